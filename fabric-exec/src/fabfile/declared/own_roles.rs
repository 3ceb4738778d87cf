//! Roles that several files define: each file's own names mean its own, then the fabfile's.

use std::collections::HashMap;
use std::sync::Arc;

use super::rename::{Rename, rename_all};
use super::steps::Steps;
use crate::collection::Collection;
use crate::hostlist::{RoleSource, Roles};
use crate::task::Task;

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

fn of_task(task: &mut Task, rename: &Rename<'_>) {
    rename_all(&mut task.own.roles, rename);
    let rolling = task.rolling.health.iter_mut().chain(&mut task.rolling.rollback);
    for call in task.pre.iter_mut().chain(&mut task.post).chain(rolling) {
        rename_all(&mut call.selection.roles, rename);
    }
    if let Some(steps) = Steps::of(task) {
        let mut steps = steps.to_vec();
        for step in &mut steps {
            if let Some(verb) = step.verb.with_roles(rename) {
                step.verb = verb;
            }
        }
        task.body = Arc::new(Steps::new(steps));
    }
}
