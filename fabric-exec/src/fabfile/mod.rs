//! Declared fabfiles: TOML, YAML and JSON of one shape, read into a [`Collection`] and what goes with it.
//!
//! [`find`] walks up to the fabfile, [`load`] reads it. All its problems are reported at once,
//! each with file, line, the offending text, what was expected and the nearest right name.

mod find;
mod own_roles;
mod reader;
mod roles;
mod step;
mod tasks;
mod top;

use std::path::{Path, PathBuf};

use fabric_core::settings::{Problem, Problems};
use fabric_core::{Origin, Value};

use crate::collection::Collection;
use crate::hostlist::{FabfileLists, Roles};

pub use fabric_core_document::Format;
pub use find::{Found, find};
pub use roles::roles_of;

/// A fabfile's contents.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fabfile {
    /// The file.
    pub path: PathBuf,
    /// Its directory, where relative paths and local commands start.
    pub dir: PathBuf,
    /// Its tasks, those of included files in namespaces.
    pub collection: Collection,
    /// `[env]`: names as written, values, and where each stands. `extend` and `replace` are not among
    /// them, and ranges in host lists are expanded.
    pub env: Vec<(String, Value, Origin)>,
    /// `extend` and `replace` of the global lists.
    pub lists: FabfileLists,
    /// The same as `[env]` has them, to be shown: names, values, and where each stands.
    pub list_changes: Vec<(String, Value, Origin)>,
    /// `[hosts."pattern"]`, in file order.
    pub sections: Vec<HostSection>,
    /// `[roledefs]`.
    pub roles: Roles,
    /// What the files that it includes say for their own tasks.
    pub included: Vec<Included>,
    /// What a person should know and what stops nothing.
    pub warnings: Vec<Problem>,
}

/// What an included file says for its own tasks, beside what the files that include it say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Included {
    /// The namespace of its tasks, dotted where it is in another one.
    pub namespace: String,
    /// `[env]`, as [`Fabfile::env`] is: those of the files that include it come first.
    pub env: Vec<(String, Value, Origin)>,
    /// `extend` and `replace` of the global lists.
    pub lists: FabfileLists,
    /// `[hosts."pattern"]`: those of the files that include it come first.
    pub sections: Vec<HostSection>,
}

/// Settings for the hosts that match a pattern.
#[derive(Debug, Clone)]
pub struct HostSection {
    /// The pattern.
    pub pattern: String,
    /// Where the section stands.
    pub origin: Origin,
    /// Names as written, values, and where each stands.
    pub values: Vec<(String, Value, Origin)>,
}

/// Reads a fabfile and those it includes.
///
/// # Errors
///
/// Everything that is wrong in them.
pub fn load(path: impl AsRef<Path>) -> Result<Fabfile, Problems> {
    tracing::trace!(route = "the fabfile becomes a collection");
    top::load(path.as_ref())
}

/// Reads a fabfile's text; `path` is where it stands, or would.
///
/// # Errors
///
/// Everything that is wrong in it.
///
/// ```
/// use fabric_exec::fabfile::{Format, parse};
///
/// let fabfile = parse("fabfile.toml", "[tasks]\nuptime = 'uptime'\n", Format::Toml)?;
/// assert!(fabfile.collection.find("uptime").is_some());
///
/// let problems = parse("fabfile.toml", "[tasks.up]\nrunn = 'uptime'\n", Format::Toml).unwrap_err();
/// assert_eq!(
///     problems.0[0].to_string(),
///     "fabfile.toml:2: unknown key `runn` in task `up` (did you mean `run`?)",
/// );
/// # Ok::<(), fabric_core::settings::Problems>(())
/// ```
pub fn parse(path: impl AsRef<Path>, text: &str, format: Format) -> Result<Fabfile, Problems> {
    top::parse(path.as_ref(), text.as_bytes(), format)
}
