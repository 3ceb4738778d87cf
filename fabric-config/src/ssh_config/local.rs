//! The facts about this side that a lookup needs: user, home, host name, environment.

use std::collections::HashMap;

use super::system;

/// The local facts that patterns, tokens and `~` refer to. Nothing else about the process is ever read.
///
/// ```
/// use fabric_config::ssh_config::Local;
///
/// let mut local = Local::new("alice", "/home/alice", "laptop.example.org");
/// local.uid = 1000;
/// local.env.insert("PROJECT".into(), "shop".into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Local {
    /// The local user's name: `%u`, `Match localuser`, and the remote user where none is given.
    pub user: String,
    /// The home directory: `~`, `%d`, and where `.ssh/config` is.
    pub home: String,
    /// The user id: `%i`, and who may own a configuration file.
    pub uid: u32,
    /// The full local host name: `%l`, and, up to its first dot, `%L`.
    pub hostname: String,
    /// The environment: `${NAME}`, and `SHELL` for `Match exec`.
    pub env: HashMap<String, String>,
}

impl Local {
    /// Made-up facts: user id 0, an empty environment.
    pub fn new(user: impl Into<String>, home: impl Into<String>, hostname: impl Into<String>) -> Self {
        Self { user: user.into(), home: home.into(), uid: 0, hostname: hostname.into(), env: HashMap::new() }
    }

    /// The facts about this process. Its home is `$HOME`, else the password database's. Variables
    /// that are not UTF-8 are left out.
    pub fn capture() -> Self {
        let home = std::env::home_dir().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default();
        Self { home, ..Self::capture_like_ssh() }
    }

    /// As [`capture`](Self::capture), but with the home directory of the password database even where `$HOME`
    /// says otherwise, as OpenSSH does.
    pub fn capture_like_ssh() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let account = system::accounts().find(|account| account.uid == uid);
        let (user, home) = match account {
            Some(account) => (account.name, account.home),
            None => (
                whoami::username().unwrap_or_default(),
                std::env::home_dir().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default(),
            ),
        };
        Self {
            user,
            home,
            uid,
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }

    /// The host name up to its first dot.
    pub(super) fn short_hostname(&self) -> &str {
        self.hostname.split('.').next().unwrap_or_default()
    }
}
