//! Roles: names for lists of hosts, known or asked for when they are looked up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Origin;
use fabric_core::settings::{Layer, Map, Overlay, Value};
use indexmap::IndexMap;
use serde_json::json;

use super::Listed;
use crate::places::Places;

/// A role.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Role {
    /// Where its hosts come from.
    pub source: RoleSource,
    /// Settings for the hosts it names.
    pub settings: Arc<Map>,
    /// Where it is defined.
    pub origin: Option<Origin>,
    /// Where its texts are in the fabfile.
    pub places: Places,
    /// The namespace of the included file that it is in; empty for the fabfile's own.
    pub namespace: String,
}

/// Where a role's hosts come from.
#[derive(Clone)]
#[non_exhaustive]
pub enum RoleSource {
    /// They are known.
    Hosts(Vec<String>),
    /// Other roles name them: their names, or set operations on them ([`operands`](super::operands)).
    Roles(Vec<String>),
    /// A local command prints them, lines or JSON; it is run when the role is looked up.
    Command {
        /// The command line, for the local shell: a template that sees `env`.
        line: String,
        /// Where it starts.
        dir: PathBuf,
    },
    /// A file lists them, in a format of [`read_inventory`](super::read_inventory); it is read when the role
    /// is looked up.
    File {
        /// The file.
        path: PathBuf,
        /// The group in it; `None`: the one of the role's name.
        group: Option<String>,
    },
    /// Code names them when the role is looked up (a callable, Fabric 1).
    Code(Arc<dyn RoleLookup>),
}

impl fmt::Debug for RoleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => f.debug_tuple("Hosts").field(hosts).finish(),
            Self::Roles(roles) => f.debug_tuple("Roles").field(roles).finish(),
            Self::Command { line, .. } => f.debug_tuple("Command").field(line).finish(),
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
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
        Self { source, settings: Arc::default(), origin: None, places: Places::default(), namespace: String::new() }
    }

    /// The layer that its settings are for its hosts, if it has any; `name` is its own.
    pub fn overlay(&self, name: &str) -> Option<Overlay> {
        let origin = self.origin.clone().unwrap_or_else(|| Origin::place(Layer::Role, format!("role `{name}`")));
        (!self.settings.is_empty()).then(|| Overlay::new(origin.layer(Layer::Role), self.settings.clone()))
    }

    /// Where its hosts come from, as `[roledefs]` has it; empty for code.
    pub fn to_value(&self) -> Value {
        match &self.source {
            RoleSource::Hosts(hosts) => json!(hosts),
            RoleSource::Roles(roles) => json!({"roles": roles}),
            RoleSource::Command { line, .. } => json!({"command": line}),
            RoleSource::File { path, group: None } => json!({"inventory": path}),
            RoleSource::File { path, group } => json!({"inventory": path, "group": group}),
            RoleSource::Code(_) => json!({}),
        }
    }

    /// With settings for its hosts.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Into<Arc<Map>>) -> Self {
        self.settings = settings.into();
        self
    }
}

/// Code that names a role's hosts.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use fabric_exec::hostlist::{Inventory, Listed, LookupError, Role, RoleLookup, RoleSource};
///
/// /// The machines of a cloud, as its program lists them.
/// struct Cloud;
///
/// #[async_trait]
/// impl RoleLookup for Cloud {
///     async fn hosts(&self) -> Result<Vec<Listed>, LookupError> {
///         let listed = r#"{"web": ["web1"], "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.5"}}}}"#;
///         Ok(Inventory::read(listed, "cloud")?.group("web")?.hosts)
///     }
/// }
///
/// let role = Role::new(RoleSource::Code(Arc::new(Cloud)));
/// ```
#[async_trait]
pub trait RoleLookup: Send + Sync {
    /// The hosts, each with its own settings, if it has any. Called each time the role is looked up. The role's own settings are
    /// below those. An error ends the run.
    async fn hosts(&self) -> Result<Vec<Listed>, LookupError>;
}

/// Why code names no hosts.
pub type LookupError = Box<dyn std::error::Error + Send + Sync>;

/// Roles by name.
pub type Roles = IndexMap<String, Role>;
