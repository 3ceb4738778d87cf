//! Collections: tasks and further collections under names.

mod listing;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use thiserror::Error;

use crate::task::Task;

pub use listing::{Entry, Listing};

/// Tasks and namespaces. A task in a namespace has a dotted name: `db.migrate`.
///
/// ```
/// use fabric_exec::{Collection, Context, Task};
///
/// let nothing = |_: Context| async { Ok(()) };
/// let db = Collection::new().task(Task::from_fn("migrate", nothing).alias("m").default())?;
/// let all = Collection::new().task(Task::from_fn("deploy", nothing))?.namespace("db", db)?;
/// assert_eq!(all.find("db.m").unwrap().name, "migrate");
/// assert_eq!(all.find("db").unwrap().name, "migrate");
/// assert_eq!(all.unknown("deploi").nearest.as_deref(), Some("deploy"));
/// # Ok::<(), fabric_exec::CollectionError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Collection {
    doc: Option<String>,
    tasks: IndexMap<String, Arc<Task>>,
    names: BTreeMap<String, String>,
    namespaces: IndexMap<String, Collection>,
}

/// A collection that cannot be made.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectionError {
    /// Two things would have one name.
    #[error("`{0}` is the name of two tasks or namespaces")]
    Twice(String),
    /// A name that could not be typed.
    #[error("`{0}` can't be a name: names have no `.`, `:`, `,`, `=`, white space, or `-` at the start")]
    BadName(String),
}

/// A name that no task has.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("there is no task `{name}`{}", suggestion(.nearest.as_ref()))]
#[non_exhaustive]
pub struct UnknownTask {
    /// The name.
    pub name: String,
    /// The name nearest to it.
    pub nearest: Option<String>,
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl Collection {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it is for, as listings show it.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        self.doc = Some(text.into());
        self
    }

    /// With one more task.
    pub fn task(mut self, task: Task) -> Result<Self, CollectionError> {
        self.add(task)?;
        Ok(self)
    }

    /// Adds a task under its name and aliases.
    pub fn add(&mut self, task: Task) -> Result<(), CollectionError> {
        let task = Arc::new(task);
        for name in std::iter::once(&task.name).chain(&task.aliases) {
            self.check_name(name)?;
        }
        for alias in &task.aliases {
            self.names.insert(alias.clone(), task.name.clone());
        }
        self.tasks.insert(task.name.clone(), task);
        Ok(())
    }

    /// With a collection under a name.
    pub fn namespace(mut self, name: impl Into<String>, collection: Collection) -> Result<Self, CollectionError> {
        self.add_namespace(name, collection)?;
        Ok(self)
    }

    /// Adds a collection under a name.
    pub fn add_namespace(&mut self, name: impl Into<String>, collection: Collection) -> Result<(), CollectionError> {
        let name = name.into();
        self.check_name(&name)?;
        self.namespaces.insert(name, collection);
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), CollectionError> {
        if name.is_empty()
            || name.starts_with('-')
            || name.contains(|c: char| c.is_whitespace() || c.is_control() || ".:,=".contains(c))
        {
            return Err(CollectionError::BadName(name.to_owned()));
        }
        if self.tasks.contains_key(name) || self.names.contains_key(name) || self.namespaces.contains_key(name) {
            return Err(CollectionError::Twice(name.to_owned()));
        }
        Ok(())
    }

    /// The task of this name, alias, or namespace with a default task.
    pub fn find(&self, name: &str) -> Option<&Arc<Task>> {
        if let Some((namespace, rest)) = name.split_once('.') {
            return self.namespaces.get(namespace)?.find(rest);
        }
        let direct = self.tasks.get(name).or_else(|| self.tasks.get(self.names.get(name)?));
        direct.or_else(|| self.namespaces.get(name)?.default_task())
    }

    /// The full name of a task that is named in the file of this namespace: one of that file, else one of the fabfile.
    pub(crate) fn qualified(&self, namespace: &str, name: &str) -> String {
        let own = format!("{namespace}.{name}");
        if !namespace.is_empty() && self.find(&own).is_some() { own } else { name.to_owned() }
    }

    /// All tasks, those of namespaces too.
    pub(crate) fn all(&self) -> Vec<&Arc<Task>> {
        self.tasks.values().chain(self.namespaces.values().flat_map(Self::all)).collect()
    }

    /// The same, to be changed.
    pub(crate) fn all_mut(&mut self) -> Vec<&mut Arc<Task>> {
        self.tasks.values_mut().chain(self.namespaces.values_mut().flat_map(Self::all_mut)).collect()
    }

    /// Puts the tasks of an included file, which are these, in its namespace: the names that they use are looked for in
    /// the file first.
    pub(crate) fn within(&mut self, namespace: &str) {
        let names: Vec<String> = self.tasks.keys().cloned().collect();
        for name in names {
            let mut task = Task::clone(&self.tasks[&name]);
            namespace.clone_into(&mut task.namespace);
            let rolling = task.rolling.health.iter_mut().chain(&mut task.rolling.rollback);
            for call in task.pre.iter_mut().chain(&mut task.post).chain(rolling) {
                if self.find(&call.task).is_some() {
                    call.task = format!("{namespace}.{}", call.task);
                }
            }
            self.tasks.insert(name, Arc::new(task));
        }
    }

    /// The task that runs when no name is given: the last one that is marked so.
    pub fn default_task(&self) -> Option<&Arc<Task>> {
        self.tasks.values().rev().find(|task| task.default)
    }

    /// Whether there is no task in it.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.namespaces.values().all(Self::is_empty)
    }

    /// The error for a name that [`Collection::find`] doesn't know.
    pub fn unknown(&self, name: &str) -> UnknownTask {
        let names: Vec<String> = self.listing().names().collect();
        let nearest = fabric_core::settings::nearest(name, names.iter().map(String::as_str));
        UnknownTask { name: name.to_owned(), nearest: nearest.map(str::to_owned) }
    }
}
