//! Shared state: what tasks set for those that follow.

use std::borrow::Cow;
use std::sync::Arc;

use fabric_core::settings::{Map, Overlay};
use fabric_core::{Layer, Origin, Value};
use parking_lot::{Mutex, MutexGuard};

use crate::hostlist::{Around, Listed, RuntimeLists, with_settings};

/// The values that tasks have set in this run: settings by their classic names, and any other key
/// (`env` of Fabric 1). Cheap to clone; all clones are one.
///
/// A value set here is seen by whatever begins afterwards: the next step, host or task. Where hosts are at work in
/// parallel, each has shared state of its own, which is gone when its task has ended there: Fabric 1 forked.
#[derive(Debug, Clone, Default)]
pub struct Env(Arc<Mutex<SharedState>>);

#[derive(Debug, Clone, Default)]
struct SharedState {
    values: Arc<Map>,
    /// The hosts of the global list that have been set from an inventory, with their settings.
    listed: Arc<Around>,
}

impl Env {
    fn state(&self) -> MutexGuard<'_, SharedState> {
        self.0.lock()
    }

    /// Another state that begins with the same values.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Sets a value. Of a table (`shell_env`) the keys that are not given stay.
    pub fn set(&self, name: impl Into<String>, value: impl Into<Value>) {
        let mut state = self.state();
        let values = Arc::make_mut(&mut state.values);
        let (name, value) = (name.into(), value.into());
        match (values.get_mut(&name), value) {
            (Some(Value::Object(table)), Value::Object(new)) => table.extend(new),
            (_, value) => drop(values.insert(name, value)),
        }
    }

    /// Sets values that an earlier run has set.
    pub(crate) fn restore(&self, values: &Map) {
        let mut state = self.state();
        if values.contains_key("hosts") {
            state.listed = Arc::default();
        }
        Arc::make_mut(&mut state.values).extend(values.clone());
    }

    /// Whether the global list has hosts of an inventory, with settings.
    pub(crate) fn has_listed(&self) -> bool {
        !self.state().listed.is_empty()
    }

    /// The global list has been set: by an inventory with these hosts, or by hand with none.
    pub(crate) fn set_listed(&self, hosts: &[Listed]) {
        self.state().listed = Arc::new(with_settings(hosts));
    }

    /// The hosts that a list may name with settings: those of the task around it, and those that have been set.
    pub(crate) fn around<'a>(&self, around: &'a Around) -> Cow<'a, Around> {
        let listed = self.state().listed.clone();
        if listed.is_empty() {
            return Cow::Borrowed(around);
        }
        let mut all = (*listed).clone();
        all.extend(around.iter().map(|(host, listed)| (host.clone(), listed.clone())));
        Cow::Owned(all)
    }

    /// A value that a task has set.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values().get(name).cloned()
    }

    /// Everything that tasks have set.
    pub fn values(&self) -> Arc<Map> {
        self.state().values.clone()
    }

    /// The values as a layer, if there are any.
    pub(crate) fn overlay(&self) -> Option<Overlay> {
        let values = self.values();
        (!values.is_empty()).then(|| Overlay::new(Origin::new(Layer::Runtime), values))
    }

    /// The global lists that tasks have set.
    pub(crate) fn lists(&self) -> RuntimeLists {
        let values = self.values();
        let list = |name: &str| match values.get(name)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(items) => Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()),
            _ => None,
        };
        RuntimeLists { hosts: list("hosts"), roles: list("roles"), exclude: list("exclude_hosts") }
    }
}
