//! The settings of a task as layers.

use fabric_core::settings::{Map, Overlay};
use fabric_core::{Layer, Origin};

use super::definition::Task;
use super::env::Env;

/// The settings around a task, its own, and those of its code.
pub(crate) fn task_layers(task: &Task, around: &[Overlay], env: &Env) -> Vec<Overlay> {
    around.iter().cloned().chain(task_overlay(task)).chain(env.overlay()).collect()
}

/// A task's own settings as a layer, if it has any.
pub(crate) fn task_overlay(task: &Task) -> Option<Overlay> {
    let mut values: Map = (*task.settings).clone();
    if let Some(pool_size) = task.pool_size {
        values.insert("pool_size".to_owned(), pool_size.into());
    }
    if let Some(batch) = task.batch {
        values.insert("batch".to_owned(), batch.to_string().into());
    }
    if values.is_empty() {
        return None;
    }
    let origin = task.origin.clone().unwrap_or_else(|| Origin::place(Layer::Task, format!("task `{}`", task.name)));
    Some(Overlay::new(origin.layer(Layer::Task), values))
}
