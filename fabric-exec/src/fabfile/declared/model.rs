//! What a declared fabfile has.

use std::path::PathBuf;

use fabric_core::settings::Problem;
use fabric_core::{Origin, Value};

use crate::collection::Collection;
use crate::hostlist::{FabfileLists, Roles};

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
    /// `[env]`: names as written, values, and the origin of each. `extend` and `replace` are not among
    /// them, and ranges in host lists are expanded.
    pub env: Vec<(String, Value, Origin)>,
    /// `extend` and `replace` of the global lists.
    pub lists: FabfileLists,
    /// The same as `[env]` has them, to be shown: names, values, and the origin of each.
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
#[non_exhaustive]
pub struct HostSection {
    /// The pattern.
    pub pattern: String,
    /// Where the section is.
    pub origin: Origin,
    /// Names as written, values, and the origin of each.
    pub values: Vec<(String, Value, Origin)>,
}
