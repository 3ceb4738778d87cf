//! The ladder: layers of values merged into one, each value with where it comes from.
//!
//! figment merges; nothing of it shows outside this file. Of single values the highest layer's wins. Tables
//! are merged key by key, apart from those that a task sets while it runs, which stand as they are. Host
//! lists have rules of their own (interface, section 3).

use std::sync::Arc;

use fabric_core::Settings;
use fabric_core::settings::{Layer, Map, Origin, Value};
use figment::value::Dict;
use figment::{Figment, Metadata, Profile, Provider};
use indexmap::IndexMap;
use serde_json::json;

use crate::values::{Entry, LayerValues, ListChange, list_change};

/// The values in force.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    /// Each value that some layer has, and where the winner stands.
    pub(crate) values: IndexMap<String, Entry>,
    /// The same, typed, on top of the defaults.
    pub(crate) settings: Arc<Settings>,
}

impl Merged {
    /// Whether some layer gives this setting a value.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|entry| !entry.value.is_null())
    }

    /// Merges layers, the lowest first. Their values have been checked.
    pub(crate) fn new(layers: &[&LayerValues], defaults: &Settings) -> Self {
        let figment = layers.iter().enumerate().fold(Figment::new(), |figment, (index, layer)| {
            figment.merge(Rung { index, values: rung(layer, &layers[index + 1..]) })
        });
        let mut values = IndexMap::new();
        let merged =
            figment.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default)).unwrap_or_default();
        for (name, value) in merged {
            let winner = figment.get_metadata(value.tag()).and_then(|data| data.name.parse::<usize>().ok());
            let origin =
                winner.and_then(|index| layers.get(index)?.values.get(&name)).map(|entry| entry.origin.clone());
            let (Some(origin), Ok(value)) = (origin, value.deserialize::<Value>()) else { continue };
            let sources: Vec<&Value> = layers.iter().filter_map(|l| l.values.get(&name)).map(|e| &e.value).collect();
            values.insert(name, Entry { value: in_order(value, &sources), origin });
        }
        host_lists(layers, &mut values);
        let mut settings = defaults.clone();
        for (name, entry) in &values {
            // Checked when it was read: it fits.
            let _ = settings.set(name, &entry.value);
        }
        Self { values, settings: Arc::new(settings) }
    }
}

/// One layer, as figment takes it.
struct Rung {
    index: usize,
    values: Dict,
}

impl Provider for Rung {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.index.to_string())
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        Ok([(Profile::Default, self.values.clone())].into())
    }
}

/// What a layer adds, without tables that a task replaces further up.
fn rung(layer: &LayerValues, above: &[&LayerValues]) -> Dict {
    let replaced = |name: &str| {
        above.iter().any(|up| up.layer == Layer::Runtime && up.values.get(name).is_some_and(|e| e.value.is_object()))
    };
    let kept = layer.values.iter().filter(|(name, _)| !replaced(name));
    kept.filter_map(|(name, entry)| Some((name.clone(), figment::value::Value::serialize(&entry.value).ok()?)))
        .collect()
}

/// Puts the keys of tables back into the order in which the layers have them: figment sorts.
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

/// The rules for `hosts`, `roles` and `exclude_hosts`.
///
/// A plain list of a lower layer is set aside when the command line has hosts or roles; `extend` adds to
/// what is below and to the command line's; `replace` stands against the command line; excluded hosts of the
/// command line come on top of the others.
fn host_lists(layers: &[&LayerValues], values: &mut IndexMap<String, Entry>) {
    let command_line = |name: &str| layers.iter().rfind(|l| l.layer == Layer::CommandLine)?.values.get(name);
    let given = command_line("hosts").or_else(|| command_line("roles")).map(|entry| entry.origin.clone());
    for name in ["hosts", "roles"] {
        let mut list = HostList::default();
        for layer in layers {
            if layer.layer == Layer::CommandLine {
                continue;
            }
            if layer.layer > Layer::CommandLine {
                list.command_line(command_line(name), given.as_ref());
            }
            if let Some(entry) = layer.values.get(name) {
                list.take(entry);
            }
        }
        list.command_line(command_line(name), given.as_ref());
        if let Some(entry) = list.finish() {
            values.insert(name.to_owned(), entry);
        }
    }
    let excluded = |of: &dyn Fn(Layer) -> bool| {
        layers
            .iter()
            .rfind(|layer| of(layer.layer) && layer.values.contains_key("exclude_hosts"))
            .and_then(|layer| layer.values.get("exclude_hosts"))
    };
    let above = excluded(&|layer| layer > Layer::CommandLine);
    let (below, on_line) =
        (excluded(&|layer| layer < Layer::CommandLine), excluded(&|layer| layer == Layer::CommandLine));
    if let (None, Some(below), Some(on_line)) = (above, below, on_line) {
        let all: Vec<String> = texts(&below.value).into_iter().chain(texts(&on_line.value)).collect();
        values.insert("exclude_hosts".to_owned(), Entry { value: json!(all), origin: on_line.origin.clone() });
    }
}

#[derive(Default)]
struct HostList {
    items: Option<Vec<String>>,
    added: Vec<String>,
    origin: Option<Origin>,
    replaced: bool,
    asked_command_line: bool,
}

impl HostList {
    fn take(&mut self, entry: &Entry) {
        self.origin = Some(entry.origin.clone());
        match list_change(&entry.value) {
            Some((ListChange::Extend, items)) => self.added.extend(texts(items)),
            Some((ListChange::Replace, items)) => self.set(texts(items), true),
            None => self.set(texts(&entry.value), false),
        }
    }

    fn set(&mut self, items: Vec<String>, replaced: bool) {
        self.items = Some(items);
        self.added.clear();
        self.replaced = replaced;
    }

    /// What the command line does to it, once: `given` is where hosts or roles stand on it.
    fn command_line(&mut self, entry: Option<&Entry>, given: Option<&Origin>) {
        let (false, false, Some(given)) = (self.asked_command_line, self.replaced, given) else { return };
        self.asked_command_line = true;
        let own = entry.map(|entry| texts(&entry.value));
        if own.is_some() || self.items.is_some() {
            self.origin = Some(given.clone());
        }
        if own.is_some() || self.items.is_some() {
            self.items = Some(own.unwrap_or_default());
        }
    }

    fn finish(self) -> Option<Entry> {
        let origin = self.origin?;
        let mut items = self.items.unwrap_or_default();
        items.extend(self.added);
        Some(Entry { value: json!(items), origin })
    }
}

/// The items of a list, of which a single text is one of one.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(layer: Layer, values: Value) -> LayerValues {
        let Value::Object(map) = values else { panic!("a table") };
        let entry = |value| Entry { value, origin: Origin::place(layer, layer.to_string()) };
        LayerValues { layer, values: map.into_iter().map(|(key, value)| (key, entry(value))).collect() }
    }

    fn merge(layers: &[LayerValues]) -> Merged {
        Merged::new(&layers.iter().collect::<Vec<_>>(), &Settings::default())
    }

    #[test]
    fn the_highest_layer_wins_and_tables_merge_in_order() {
        let merged = merge(&[
            layer(Layer::User, json!({"user": "low", "shell_env": {"Z": "1", "A": "1"}})),
            layer(Layer::Fabfile, json!({"user": "high", "shell_env": {"M": "2", "Z": "2"}})),
        ]);
        assert_eq!(merged.settings.user.as_deref(), Some("high"));
        let env: Vec<_> = merged.settings.shell_env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, [("Z", "2"), ("A", "1"), ("M", "2")]);
        assert_eq!(merged.values["shell_env"].origin.layer, Layer::Fabfile);
        assert_eq!(merged.values["user"].origin.layer, Layer::Fabfile);
    }

    #[test]
    fn a_task_replaces_tables() {
        let merged = merge(&[
            layer(Layer::Fabfile, json!({"shell_env": {"A": "1"}})),
            layer(Layer::Runtime, json!({"shell_env": {"B": "2"}})),
        ]);
        assert_eq!(merged.values["shell_env"].value, json!({"B": "2"}));
    }

    #[test]
    fn host_lists_and_the_command_line() {
        let hosts = |fabfile: Value, line: Value| {
            let merged = merge(&[layer(Layer::Fabfile, fabfile), layer(Layer::CommandLine, line)]);
            (merged.settings.hosts.join(","), merged.settings.roles.join(","))
        };
        let both = json!({"hosts": ["a"], "roles": ["r"]});
        let pair = |hosts: &str, roles: &str| (hosts.to_owned(), roles.to_owned());
        assert_eq!(hosts(both.clone(), json!({})), pair("a", "r"));
        assert_eq!(hosts(both.clone(), json!({"hosts": ["x"]})), pair("x", ""));
        assert_eq!(hosts(both, json!({"roles": ["q"]})), pair("", "q"));
        assert_eq!(hosts(json!({"hosts": {"extend": ["a"]}}), json!({"hosts": ["x"]})), pair("x,a", ""));
        assert_eq!(hosts(json!({"hosts": {"extend": "a"}}), json!({"roles": ["q"]})), pair("a", "q"));
        assert_eq!(hosts(json!({"hosts": {"replace": ["a"]}}), json!({"hosts": ["x"]})), pair("a", ""));
        let merged = merge(&[
            layer(Layer::Fabfile, json!({"exclude_hosts": ["a"]})),
            layer(Layer::CommandLine, json!({"exclude_hosts": ["b"], "hosts": ["x"]})),
            layer(Layer::Runtime, json!({"hosts": ["y"]})),
        ]);
        assert_eq!(merged.settings.exclude_hosts, ["a", "b"]);
        assert_eq!((merged.settings.hosts.as_slice(), merged.settings.roles.len()), (["y".to_owned()].as_slice(), 0));
    }

    /// Values without host lists, whose rules look at the command line. A setting has the same type in all
    /// layers; where a table could become a text and then a table again, the order of merging would show.
    fn any_values() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = || prop_oneof![any::<bool>().prop_map(|v| json!(v)), any::<u32>().prop_map(|v| json!(v))];
        let table = || prop::collection::hash_map("[a-d]", leaf(), 0..4).prop_map(|map| json!(map));
        let deep = prop::collection::hash_map("[a-d]", table(), 0..4).prop_map(|map| json!(map));
        let maybe = |value: BoxedStrategy<Value>| prop::option::of(value);
        let plain = prop_oneof![leaf(), Just(Value::Null)].boxed();
        (maybe(plain), maybe(table().boxed()), maybe(deep.boxed())).prop_map(|(x, y, z)| {
            let given = [("x", x), ("y", y), ("z", z)].into_iter();
            given.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map>().into()
        })
    }

    fn as_layer(merged: &Merged, layer: Layer) -> LayerValues {
        LayerValues { layer, values: merged.values.clone() }
    }

    proptest::proptest! {
        #[test]
        fn merging_is_associative(a in any_values(), b in any_values(), c in any_values()) {
            let (a, b, c) = (layer(Layer::User, a), layer(Layer::Project, b), layer(Layer::Fabfile, c));
            let values = |layers: &[&LayerValues]| Merged::new(layers, &Settings::default()).values;
            let all = values(&[&a, &b, &c]);
            let low = as_layer(&merge(&[a.clone(), b.clone()]), Layer::User);
            let high = as_layer(&merge(&[b.clone(), c.clone()]), Layer::Fabfile);
            proptest::prop_assert_eq!(&values(&[&low, &c]), &all);
            proptest::prop_assert_eq!(&values(&[&a, &high]), &all);
            proptest::prop_assert_eq!(&values(&[&a, &a]), &values(&[&a]));
        }
    }
}
