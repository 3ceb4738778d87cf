//! The global lists: what files, the fabfile, the command line and earlier tasks come to together.

use std::collections::HashSet;

use fabric_core::Value;
use serde_json::json;

use super::Selection;

/// What a fabfile's `[env]` does to a global list beyond setting it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directive {
    /// Adds to whatever the list is, the command line's included.
    Extend(Vec<String>),
    /// Overwrites it, the command line's included.
    Replace(Vec<String>),
}

impl Directive {
    /// As `[env]` has it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Extend(list) => json!({"extend": list}),
            Self::Replace(list) => json!({"replace": list}),
        }
    }
}

/// A fabfile's `extend` and `replace` of the global lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FabfileLists {
    /// Of `hosts`.
    pub hosts: Option<Directive>,
    /// Of `roles`.
    pub roles: Option<Directive>,
}

/// Lists that a task has set for what follows; `None` where none has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeLists {
    /// `hosts`.
    pub hosts: Option<Vec<String>>,
    /// `roles`.
    pub roles: Option<Vec<String>>,
    /// `exclude_hosts`.
    pub exclude: Option<Vec<String>>,
}

/// Where the global lists come from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EnvLists<'a> {
    /// Plain lists of all layers up to the fabfile's `[env]`, key by key.
    pub settings: &'a Selection,
    /// The fabfile's `extend` and `replace`.
    pub fabfile: &'a FabfileLists,
    /// `-H`, `-R` and `-x`.
    pub command_line: &'a Selection,
    /// What tasks have set.
    pub runtime: &'a RuntimeLists,
}

impl<'a> EnvLists<'a> {
    /// Of what the layers up to the fabfile's `[env]` say, and the command line.
    pub fn new(settings: &'a Selection, command_line: &'a Selection) -> Self {
        static NO_FABFILE: FabfileLists = FabfileLists { hosts: None, roles: None };
        static NO_TASK: RuntimeLists = RuntimeLists { hosts: None, roles: None, exclude: None };
        Self { settings, fabfile: &NO_FABFILE, command_line, runtime: &NO_TASK }
    }

    /// The global lists now.
    ///
    /// Plain `hosts` and `roles` are both set aside when `-H` or `-R` is given; a fabfile's `extend` and `replace` come
    /// after that, and what a task has set, last. To what settings or a task exclude, `-x` always adds.
    pub fn merge(&self) -> Selection {
        let base = if self.command_line.gives_hosts() { self.command_line } else { self.settings };
        let mut exclude = self.runtime.exclude.as_ref().unwrap_or(&self.settings.exclude).clone();
        let known: HashSet<String> = exclude.iter().cloned().collect();
        exclude.extend(self.command_line.exclude.iter().filter(|host| !known.contains(*host)).cloned());
        Selection {
            hosts: directed(&base.hosts, self.fabfile.hosts.as_ref(), self.runtime.hosts.as_ref()),
            roles: directed(&base.roles, self.fabfile.roles.as_ref(), self.runtime.roles.as_ref()),
            exclude,
        }
    }
}

fn directed(base: &[String], directive: Option<&Directive>, runtime: Option<&Vec<String>>) -> Vec<String> {
    if let Some(set) = runtime {
        return set.clone();
    }
    match directive {
        Some(Directive::Replace(list)) => list.clone(),
        Some(Directive::Extend(list)) => base.iter().chain(list).cloned().collect(),
        None => base.to_vec(),
    }
}
