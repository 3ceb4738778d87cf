//! Shared state: what tasks set for those that follow.

use std::sync::{Arc, Mutex, PoisonError};

use fabric_core::settings::{Map, Overlay};
use fabric_core::{Layer, Origin, Value};

use crate::hostlist::RuntimeLists;

/// The values that tasks have set in this run: settings by their classic names, and any other key
/// (`env` of Fabric 1). Cheap to clone; all clones are one.
///
/// A value set here is seen by whatever begins afterwards: the next step, host or task.
#[derive(Debug, Clone, Default)]
pub struct Env(Arc<Mutex<Arc<Map>>>);

impl Env {
    /// Sets a value.
    pub fn set(&self, name: impl Into<String>, value: impl Into<Value>) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut values).insert(name.into(), value.into());
    }

    /// A value that a task has set.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values().get(name).cloned()
    }

    /// Everything that tasks have set.
    pub fn values(&self) -> Arc<Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
