//! Declared fabfiles: TOML, YAML and JSON of one shape, read into a [`Collection`](crate::Collection) and what goes with it.
//!
//! All problems of a fabfile are reported at once, each with file, line, the offending text, what was expected and the
//! nearest right name.

mod model;
mod own_roles;
mod reader;
mod rename;
mod roles;
pub(crate) mod steps;
mod tasks;
mod top;

use std::path::Path;

use fabric_core::settings::Problems;

pub use fabric_core_document::Format;
pub use model::{Fabfile, HostSection, Included};
pub use roles::roles_of;

/// Reads a fabfile and those it includes.
///
/// # Errors
///
/// Everything that is wrong in them.
pub fn load(path: impl AsRef<Path>) -> Result<Fabfile, Problems> {
    tracing::trace!(route = "the fabfile becomes a collection");
    top::load(path.as_ref())
}

/// The keys that a declared fabfile takes besides settings, by where they are: `fabfile`, `role`, `task`, `argument`, a step by
/// its verb (`run`, `put`, ..); and the words of a step's `hide`.
///
/// ```
/// let keys = fabric_exec::fabfile::keys();
/// let of = |place| &keys.iter().find(|(name, _)| *name == place).unwrap().1;
/// assert!(of("task").contains(&"canary") && of("run").contains(&"until") && of("argument").contains(&"choices"));
/// ```
pub fn keys() -> Vec<(&'static str, Vec<&'static str>)> {
    let others = [
        ("fabfile", top::KEYS.to_vec()),
        ("role", roles::keys()),
        ("task", tasks::KEYS.to_vec()),
        ("argument", tasks::ARG_KEYS.to_vec()),
        ("hide", steps::LEVELS.to_vec()),
    ];
    others.into_iter().chain(steps::keys()).collect()
}

/// Reads a fabfile's text; `path` is the file it comes from, for messages and relative paths.
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
