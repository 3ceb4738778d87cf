//! The ladder: layers of values merged into one, each value with where it comes from.
//!
//! Of single values the highest layer's wins. Tables are merged key by key. Host lists have rules of their own (interface,
//! section 3).

use std::sync::Arc;

use fabric_core::Settings;
use fabric_core::settings::{Gate, Layer, Value};
use indexmap::IndexMap;

use crate::merge::merge;
use crate::values::{Entry, LayerValues, ListChange, is_host_list, list_change};

/// The values in force.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    /// Each value that some layer has, and the origin of the one in force.
    pub(crate) values: IndexMap<String, Entry>,
    /// The same, typed, on top of the defaults.
    pub(crate) settings: Arc<Settings>,
}

impl Merged {
    /// Whether a layer gives this setting a value.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|entry| !entry.value.is_null())
    }

    /// Merges layers, the lowest first. Their values have been checked.
    pub(crate) fn new(layers: &[&LayerValues], defaults: &Settings) -> Self {
        let mut values = IndexMap::new();
        for (name, value) in merge(layers) {
            // The highest layer's value counts; of a table it is a part.
            if let Some(winner) = layers.iter().rev().find_map(|layer| layer.values.get(&name)) {
                values.insert(name, Entry { value, origin: winner.origin.clone() });
            }
        }
        for name in ["hosts", "roles", "exclude_hosts"] {
            if let (Some(entry), Some(list)) = (values.get_mut(name), HostList::of(name, layers)) {
                entry.value = list.items().cloned().collect();
                let highest = list.layers().last().and_then(|index| layers[*index].values.get(name));
                entry.origin = highest.map_or_else(|| entry.origin.clone(), |entry| entry.origin.clone());
            }
        }
        let mut settings = defaults.clone();
        for (name, entry) in &values {
            // It was checked when it was read.
            let _ = settings.set(name, &entry.value);
        }
        if settings.use_shell == Gate::Open && values.get("shell").is_some_and(|entry| !entry.value.is_null()) {
            settings.use_shell = Gate::Asks;
        }
        Self { values, settings: Arc::new(settings) }
    }
}

/// A global list, and what layers have in it.
#[derive(Debug, Default)]
pub(crate) struct HostList {
    plain: Vec<Part>,
    added: Vec<Part>,
    /// Whether the fabfile has replaced it, the command line's list included.
    replaced: bool,
}

/// A layer's index, and its items.
type Part = (usize, Vec<String>);

impl HostList {
    /// The rules for `hosts`, `roles` and `exclude_hosts`; `None` for other settings.
    ///
    /// A plain list of a lower layer is set aside when the command line has hosts or roles; the fabfile's `extend`
    /// adds to the command line's list and its `replace` overrides it; excluded hosts of the command line come
    /// on top of the others. An empty list of the command line counts as never given.
    pub(crate) fn of(name: &str, layers: &[&LayerValues]) -> Option<Self> {
        if !is_host_list(name) {
            return None;
        }
        let excludes = name == "exclude_hosts";
        let mut list = Self::default();
        for (index, layer) in layers.iter().enumerate() {
            let given = |name: &str| layer.values.get(name).map(|entry| texts(&entry.value)).unwrap_or_default();
            match layer.layer {
                // `--set` may overwrite those of lower layers; else the command line adds to them.
                Layer::CommandLine if excludes => match layer.values.get(name).and_then(|e| list_change(&e.value)) {
                    Some((ListChange::Replace, items)) => {
                        list = Self { plain: vec![(index, texts(items))], ..Self::default() };
                    }
                    Some((ListChange::Extend, items)) => list.plain.push((index, list.unlisted(texts(items)))),
                    None => list.plain.push((index, list.unlisted(given(name)))),
                },
                Layer::CommandLine if given("hosts").is_empty() && given("roles").is_empty() => {}
                Layer::CommandLine if list.replaced => {}
                Layer::CommandLine => list.plain = vec![(index, given(name))],
                of => list.take(index, of, layer.values.get(name)),
            }
        }
        Some(list)
    }

    fn take(&mut self, index: usize, layer: Layer, entry: Option<&Entry>) {
        let Some(entry) = entry else { return };
        let fabfile = layer == Layer::Fabfile;
        let (change, items) = list_change(&entry.value).unzip();
        let part = (index, texts(items.unwrap_or(&entry.value)));
        match change {
            Some(ListChange::Extend) if fabfile => self.added.push(part),
            Some(ListChange::Extend) => self.plain.push(part),
            Some(ListChange::Replace) | None => {
                let replaced = fabfile && change.is_some();
                *self = Self { plain: vec![part], added: Vec::new(), replaced };
            }
        }
    }

    /// Those of the items that are not in it yet.
    fn unlisted(&self, mut items: Vec<String>) -> Vec<String> {
        items.retain(|item| !self.items().any(|known| known == item));
        items
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.plain.iter().chain(&self.added)
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &String> {
        self.parts().flat_map(|(_, items)| items)
    }

    /// The layers that have items in it, the lowest first.
    pub(crate) fn layers(&self) -> Vec<usize> {
        let mut layers: Vec<usize> =
            self.parts().filter(|(_, items)| !items.is_empty()).map(|(layer, _)| *layer).collect();
        layers.sort_unstable();
        layers
    }
}

/// The items of a list; a single text is a list of one.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use fabric_core::settings::{Map, Origin};
    use serde_json::json;

    use super::*;

    fn layer(layer: Layer, values: Value) -> LayerValues {
        let Value::Object(map) = values else { panic!("a table") };
        let entry = |value| Entry { value, origin: Origin::place(layer, layer.to_string()) };
        LayerValues { layer, values: map.into_iter().map(|(key, value)| (key, entry(value))).collect() }
    }

    fn merged(layers: &[LayerValues]) -> Merged {
        Merged::new(&layers.iter().collect::<Vec<_>>(), &Settings::default())
    }

    #[test]
    fn the_highest_layer_wins_and_tables_merge_in_order() {
        let merged = merged(&[
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
    fn a_shell_that_some_layer_names_is_asked_for() {
        let gate = |values: Value| merged(&[layer(Layer::User, values)]).settings.use_shell;
        assert_eq!(gate(json!({"shell": "sh -c"})), Gate::Asks);
        assert_eq!(gate(json!({"shell": "sh -c", "use_shell": false})), Gate::Shut);
        assert_eq!(gate(json!({"shell": null})), Gate::Open);
        assert_eq!(gate(json!({"user": "me"})), Gate::Open);
    }

    #[test]
    fn a_table_that_a_task_sets_is_merged_as_any_other() {
        let merged = merged(&[
            layer(Layer::Fabfile, json!({"shell_env": {"A": "1"}})),
            layer(Layer::Runtime, json!({"shell_env": {"B": "2"}})),
        ]);
        assert_eq!(merged.values["shell_env"].value, json!({"A": "1", "B": "2"}));
    }

    #[test]
    fn host_lists_and_the_command_line() {
        let hosts = |fabfile: Value, line: Value| {
            let merged = merged(&[layer(Layer::Fabfile, fabfile), layer(Layer::CommandLine, line)]);
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
        let merged = merged(&[
            layer(Layer::Fabfile, json!({"exclude_hosts": ["a"]})),
            layer(Layer::CommandLine, json!({"exclude_hosts": ["b"], "hosts": ["x"]})),
            layer(Layer::Runtime, json!({"hosts": ["y"]})),
        ]);
        assert_eq!(merged.settings.exclude_hosts, ["a", "b"]);
        assert_eq!((merged.settings.hosts.as_slice(), merged.settings.roles.len()), (["y".to_owned()].as_slice(), 0));
    }

    #[test]
    fn each_option_of_the_command_line_leaves_the_others_as_they_are() {
        let merged = merged(&[
            layer(Layer::Project, json!({"exclude_hosts": ["p"], "hosts": {"extend": ["p"]}})),
            layer(Layer::Fabfile, json!({"exclude_hosts": ["f"], "hosts": ["f"], "roles": {"extend": ["f"]}})),
            layer(Layer::CommandLine, json!({"exclude_hosts": ["s", "f"], "hosts": ["s"]})),
            layer(Layer::CommandLine, json!({"exclude_hosts": ["x"], "hosts": [], "roles": ["o"]})),
            layer(Layer::CommandLine, json!({"hosts": [], "warn_only": true})),
        ]);
        assert_eq!(merged.settings.hosts, [""; 0]);
        assert_eq!(merged.settings.roles, ["o", "f"]);
        assert_eq!(merged.settings.exclude_hosts, ["f", "s", "x"]);
        assert_eq!(merged.values["roles"].origin.layer, Layer::CommandLine);
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
            let low = as_layer(&merged(&[a.clone(), b.clone()]), Layer::User);
            let high = as_layer(&merged(&[b.clone(), c.clone()]), Layer::Fabfile);
            proptest::prop_assert_eq!(&values(&[&low, &c]), &all);
            proptest::prop_assert_eq!(&values(&[&a, &high]), &all);
            proptest::prop_assert_eq!(&values(&[&a, &a]), &values(&[&a]));
        }
    }
}
