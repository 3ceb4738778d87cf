//! Roles that several files define: each file's own names mean its own, then the fabfile's.

use std::collections::HashMap;
use std::sync::Arc;

use fabric_core::Value;

use super::steps::{SetValue, Step, Steps, Verb};
use crate::collection::Collection;
use crate::hostlist::{RoleSource, Roles, with_operands};
use crate::task::{Invocation, Task};
use crate::template;

/// Puts the roles of the included files to the fabfile's own. One that several files define keeps its name in the
/// fabfile, and is called by its namespace where it is included: `db.web`.
pub(super) fn merge(roles: &mut Roles, included: Vec<(String, Roles)>, collection: &mut Collection) {
    let mut files: HashMap<String, usize> = HashMap::new();
    for name in included.iter().flat_map(|(_, roles)| roles.keys()) {
        *files.entry(name.clone()).or_default() += 1;
    }
    let of_fabfile: Vec<String> = roles.keys().cloned().collect();
    let is_shared =
        |name: &str| files.get(name).is_some_and(|files| *files > 1) || of_fabfile.iter().any(|own| own == name);
    for (namespace, own) in included {
        let shared: Vec<String> = own.keys().filter(|name| is_shared(name)).cloned().collect();
        let rename = |name: &str| {
            let is_own = shared.iter().any(|shared| shared == name);
            if is_own { format!("{namespace}.{name}") } else { name.to_owned() }
        };
        for (name, mut role) in own {
            role.namespace.clone_from(&namespace);
            if let RoleSource::Roles(items) = &mut role.source {
                rename_all(items, &rename);
            }
            roles.insert(rename(&name), role);
        }
        if !shared.is_empty() {
            let tasks = collection.all_mut().into_iter().filter(|task| task.namespace == namespace);
            tasks.for_each(|task| of_task(Arc::make_mut(task), &rename));
        }
    }
}

type Rename<'a> = dyn Fn(&str) -> String + 'a;

fn rename_all(items: &mut [String], rename: &Rename<'_>) {
    for item in items.iter_mut().filter(|item| !template::is_template(item)) {
        *item = with_operands(item, rename);
    }
}

fn of_task(task: &mut Task, rename: &Rename<'_>) {
    rename_all(&mut task.own.roles, rename);
    let rolling = task.rolling.health.iter_mut().chain(&mut task.rolling.rollback);
    for call in task.pre.iter_mut().chain(&mut task.post).chain(rolling) {
        rename_all(&mut call.selection.roles, rename);
    }
    if let Some(steps) = Steps::of(task) {
        let mut steps = steps.to_vec();
        for step in &mut steps {
            of_step(step, rename);
        }
        task.body = Arc::new(Steps::new(steps));
    }
}

fn of_step(step: &mut Step, rename: &Rename<'_>) {
    match &mut step.verb {
        Verb::Execute(execute) => {
            rename_all(&mut execute.roles, rename);
            if let Ok(mut call) = Invocation::parse(&execute.task)
                && !template::is_template(&execute.task)
                && !call.selection.roles.is_empty()
            {
                rename_all(&mut call.selection.roles, rename);
                execute.task = call.token();
            }
        }
        Verb::Set(values) => {
            if let Some(SetValue::Plain(roles)) = values.0.get_mut("roles") {
                of_value(roles, rename);
            }
        }
        _ => {}
    }
}

/// A list of roles, or what is added to one.
fn of_value(roles: &mut Value, rename: &Rename<'_>) {
    match roles {
        Value::String(role) => rename_all(std::slice::from_mut(role), rename),
        Value::Array(items) => items.iter_mut().for_each(|item| of_value(item, rename)),
        Value::Object(members) => members.values_mut().for_each(|item| of_value(item, rename)),
        _ => {}
    }
}
