//! What settings need to know about this process: who runs it, where, with which variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The process's environment, as far as settings go. Nothing else of the process is ever read, and
/// [`Environment::capture`] is the only function that does; a test or a server fills one in by hand.
///
/// ```
/// use fabric_config::Environment;
///
/// let environment = Environment::new("alice", "/home/alice").variable("FABRIC_WARN_ONLY", "yes");
/// assert_eq!(environment.get("FABRIC_WARN_ONLY"), Some("yes"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variables, apart from those that are not UTF-8.
    pub variables: BTreeMap<String, String>,
    /// The names of variables whose values are not UTF-8.
    pub undecodable: Vec<String>,
    /// The user who runs the program.
    pub user: Option<String>,
    /// The home directory: `$HOME`, else the password database's.
    pub home: Option<PathBuf>,
    /// The user's number.
    pub uid: u32,
    /// This machine's name.
    pub hostname: String,
}

impl Environment {
    /// A user at home, and nothing else.
    pub fn new(user: impl Into<String>, home: impl Into<PathBuf>) -> Self {
        Self { user: Some(user.into()), home: Some(home.into()), hostname: "localhost".to_owned(), ..Self::default() }
    }

    /// With one more variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Reads it from this process.
    pub fn capture() -> Self {
        let mut variables = BTreeMap::new();
        let mut undecodable = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) => undecodable.push(name),
            }
        }
        Self {
            variables,
            undecodable,
            user: whoami::username().ok().filter(|user| !user.is_empty()),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            uid: rustix::process::getuid().as_raw(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// A variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A path with a leading `~` or `~/` replaced by the home directory.
    pub fn expand(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tilde_is_home() {
        let environment = Environment::new("me", "/home/me");
        assert_eq!(environment.expand("~/x"), Path::new("/home/me/x"));
        assert_eq!(environment.expand("~you/x"), Path::new("~you/x"));
        assert_eq!(environment.expand("a/~"), Path::new("a/~"));
        assert_eq!(Environment::default().expand("~/x"), Path::new("~/x"));
    }
}
