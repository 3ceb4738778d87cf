//! Roles: names for lists of hosts, known or asked for when they are looked up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::{HostStringError, Origin, settings::Map};
use indexmap::IndexMap;
use serde_json::Value;
use thiserror::Error;

/// A role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Where its hosts come from.
    pub source: RoleSource,
    /// Settings for the hosts it names.
    pub settings: Arc<Map>,
    /// Where it is defined.
    pub origin: Option<Origin>,
}

/// Where a role's hosts come from.
#[derive(Clone)]
pub enum RoleSource {
    /// They are known.
    Hosts(Vec<String>),
    /// A local command prints them, lines or JSON; it is run when the role is looked up.
    Command {
        /// The command line, for the local shell.
        line: String,
        /// Where it starts.
        dir: PathBuf,
    },
    /// Code names them when the role is looked up (a callable, Fabric 1).
    Code(Arc<dyn RoleLookup>),
}

impl fmt::Debug for RoleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => f.debug_tuple("Hosts").field(hosts).finish(),
            Self::Command { line, .. } => f.debug_tuple("Command").field(line).finish(),
            Self::Code(_) => f.write_str("Code"),
        }
    }
}

impl Role {
    /// A role of these hosts.
    pub fn hosts<T: Into<String>>(hosts: impl IntoIterator<Item = T>) -> Self {
        Self::new(RoleSource::Hosts(hosts.into_iter().map(Into::into).collect()))
    }

    /// A role with this source.
    pub fn new(source: RoleSource) -> Self {
        Self { source, settings: Arc::default(), origin: None }
    }

    /// With settings for its hosts.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Into<Arc<Map>>) -> Self {
        self.settings = settings.into();
        self
    }
}

/// Code that names a role's hosts.
#[async_trait]
pub trait RoleLookup: Send + Sync {
    /// The host strings, each time the role is looked up.
    async fn hosts(&self) -> Result<Vec<String>, String>;
}

/// Roles by name.
pub type Roles = IndexMap<String, Role>;

/// The output of an inventory command that names no hosts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryError {
    /// JSON of another shape.
    #[error("its output is JSON, but neither a list of host strings nor an object with `hosts`{0}")]
    Shape(String),
    /// A line or item is no host.
    #[error(transparent)]
    Host(#[from] HostStringError),
}

/// Reads the hosts that an inventory printed: a JSON list of host strings, a JSON object with `hosts`
/// (or one with a member per role, of which `role` is taken: an Ansible inventory script's output), or
/// one host string a line, `#` comments and blank lines left out. Ranges and braces are expanded.
///
/// ```
/// use fabric_exec::hostlist::read_inventory;
/// assert_eq!(read_inventory("web[1-2]\n# off\ndb1\n", "any")?, ["web1", "web2", "db1"]);
/// assert_eq!(read_inventory(r#"{"web": {"hosts": ["a"]}, "db": ["b"]}"#, "db")?, ["b"]);
/// # Ok::<(), fabric_exec::hostlist::InventoryError>(())
/// ```
pub fn read_inventory(text: &str, role: &str) -> Result<Vec<String>, InventoryError> {
    let items: Vec<String> = match serde_json::from_str::<Value>(text.trim()) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => json_hosts(&value, role)?,
        _ => lines(text),
    };
    let mut hosts = Vec::new();
    for item in items {
        hosts.extend(fabric_core::host::expand(&item)?);
    }
    Ok(hosts)
}

/// One host string a line; what follows `#` at the start or after white space is a comment.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| match line.find('#') {
            Some(at) if at == 0 || line[..at].ends_with(char::is_whitespace) => line[..at].trim(),
            _ => line.trim(),
        })
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn json_hosts(value: &Value, role: &str) -> Result<Vec<String>, InventoryError> {
    let list = match value {
        Value::Object(map) => match (map.get("hosts"), map.get(role)) {
            (_, Some(member @ (Value::Array(_) | Value::Object(_)))) => return json_hosts(member, role),
            (Some(hosts), _) => hosts,
            (None, _) => return Err(InventoryError::Shape(format!(" or `{role}`"))),
        },
        list => list,
    };
    let shape = || InventoryError::Shape(String::new());
    match list {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(shape)).collect(),
        // Ansible's YAML inventories, as JSON, have the hosts as keys.
        Value::Object(map) => Ok(map.keys().cloned().collect()),
        _ => Err(shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventories_come_in_several_shapes() {
        let ok: &[(&str, &[&str])] = &[
            ("a\nb\n", &["a", "b"]),
            ("# none\n\n", &[]),
            ("a # the first\nu@b:22", &["a", "u@b:22"]),
            (r#"["a", "w[1-2]"]"#, &["a", "w1", "w2"]),
            ("[::1]:22\n", &["[::1]:22"]),
            (r#"{"hosts": ["a"]}"#, &["a"]),
            (r#"{"hosts": {"a": {}, "b": null}}"#, &["a", "b"]),
            (r#"{"web": ["a"], "_meta": {}}"#, &["a"]),
            (r#"{"web": {"hosts": ["a"]}, "hosts": ["b"]}"#, &["a"]),
            ("", &[]),
        ];
        for (text, hosts) in ok {
            assert_eq!(read_inventory(text, "web").unwrap(), *hosts, "{text}");
        }
        for text in [r#"{"db": []}"#, "[1]", r#"{"hosts": 1}"#, "w[1-"] {
            assert!(read_inventory(text, "web").is_err(), "{text}");
        }
    }
}
