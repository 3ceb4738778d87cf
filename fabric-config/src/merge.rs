//! Merges layers into one table with figment: the highest value counts, and tables are merged key by key.
//!
//! figment is used in this file only. Origins, types and the rules of host lists are in [`ladder`](crate::ladder).

use fabric_core::settings::{Map, Value};
use figment::value::Dict;
use figment::{Figment, Metadata, Profile, Provider};

use crate::values::LayerValues;

/// Merges layers, the lowest first. The keys of a table are in the order in which the layers have them.
pub(crate) fn merge(layers: &[&LayerValues]) -> Map {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(*layer));
    let merged = figment.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default)).unwrap_or_default();
    let value = |(name, value): (String, figment::value::Value)| {
        let said = layers.iter().filter_map(|layer| layer.values.get(&name)).map(|entry| &entry.value);
        let value = in_order(value.deserialize().ok()?, &said.collect::<Vec<_>>());
        Some((name, value))
    };
    merged.into_iter().filter_map(value).collect()
}

impl Provider for LayerValues {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.layer.to_string())
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        let value = |(name, entry): (&String, &crate::values::Entry)| {
            Ok((name.clone(), figment::value::Value::serialize(&entry.value)?))
        };
        Ok([(Profile::Default, self.values.iter().map(value).collect::<Result<_, figment::Error>>()?)].into())
    }
}

/// Restores the order in which the layers have the keys of tables: figment sorts them.
fn in_order(value: Value, sources: &[&Value]) -> Value {
    let Value::Object(mut merged) = value else { return value };
    let mut ordered = Map::new();
    let tables: Vec<&Map> = sources.iter().filter_map(|source| source.as_object()).collect();
    for key in tables.iter().flat_map(|table| table.keys()) {
        if let Some(inside) = merged.remove(key) {
            let sources: Vec<&Value> = tables.iter().filter_map(|table| table.get(key)).collect();
            ordered.insert(key.clone(), in_order(inside, &sources));
        }
    }
    Value::Object(ordered)
}
