//! The facts about this process that settings need: its user, home and variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fabric_core::home;

/// The process's environment, as far as settings need it. Nothing else of the process is read, and only
/// [`Environment::capture`] reads it; a test or a server makes one by hand.
///
/// ```
/// use fabric_config::Environment;
///
/// let environment = Environment::new("alice", "/home/alice").variable("FABRIC_WARN_ONLY", "yes");
/// assert_eq!(environment.get("FABRIC_WARN_ONLY"), Some("yes"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A user and their home directory, and nothing else.
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
        home::expand(path.as_ref(), self.home.as_deref())
    }

    /// A directory of the XDG Base Directory Specification: that of its variable if it is absolute, else one below home.
    ///
    /// ```
    /// use std::path::Path;
    /// use fabric_config::Environment;
    ///
    /// let environment = Environment::new("alice", "/home/alice");
    /// let state = |environment: &Environment| environment.xdg("XDG_STATE_HOME", ".local/state");
    /// assert_eq!(state(&environment).as_deref(), Some(Path::new("/home/alice/.local/state")));
    /// let elsewhere = environment.variable("XDG_STATE_HOME", "/var/state");
    /// assert_eq!(state(&elsewhere).as_deref(), Some(Path::new("/var/state")));
    /// ```
    pub fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| Some(self.home.as_ref()?.join(below_home)))
    }
}
