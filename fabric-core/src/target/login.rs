//! How to log in.

use std::path::PathBuf;

use crate::secret::Secret;
use crate::setters::setters;

/// How to log in. The order is OpenSSH's: certificates and keys (agent first where it has them), then
/// GSSAPI, keyboard-interactive and password, as [`Auth::methods`] has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auth {
    /// Methods in order (`PreferredAuthentications`). Default: gssapi-with-mic, publickey,
    /// keyboard-interactive, password.
    pub methods: Vec<String>,
    /// Key files in order. Those given explicitly come before the default ones.
    pub identities: Vec<Identity>,
    /// Whether the identities that were not given explicitly were named all the same (`IdentityFile`): then a failed login
    /// lists those that don't exist too. Default: no, they are those that `ssh` looks for by itself.
    pub identities_named: bool,
    /// The text of a private key (`key` of Fabric 1).
    pub key: Option<Secret>,
    /// Certificate files beside those found next to the keys (`CertificateFile`).
    pub certificates: Vec<PathBuf>,
    /// Whether to offer only the keys in `identities`, not all that the agent has.
    pub identities_only: bool,
    /// The socket of the user's agent; `None` uses no agent (`no_agent`, `IdentityAgent none`).
    pub agent: Option<PathBuf>,
    /// For key files that are encrypted; asked for where it is missing.
    pub passphrase: Option<Secret>,
    /// The login password; asked for where it is missing and the server wants one.
    pub password: Option<Secret>,
    /// How often to ask for a password. Default: 3 (`NumberOfPasswordPrompts`).
    pub password_prompts: u32,
    /// Signature algorithms to use keys with (`PubkeyAcceptedAlgorithms`, with its `+`, `^` and `-` before the first); empty
    /// is all but SHA-1.
    pub key_algorithms: Vec<String>,
    /// Whether to try GSSAPI (`GSSAPIAuthentication`). Default: no.
    pub gssapi: bool,
    /// Whether to delegate GSSAPI credentials. Default: no.
    pub gssapi_delegate: bool,
}

setters!(Auth {
    methods: Vec<String>,
    identities: Vec<Identity>,
    identities_named: bool,
    #[into] key: Option<Secret>,
    certificates: Vec<PathBuf>,
    identities_only: bool,
    #[into] agent: Option<PathBuf>,
    #[into] passphrase: Option<Secret>,
    #[into] password: Option<Secret>,
    password_prompts: u32,
    key_algorithms: Vec<String>,
    gssapi: bool,
    gssapi_delegate: bool,
});

impl Default for Auth {
    fn default() -> Self {
        let methods = ["gssapi-with-mic", "publickey", "keyboard-interactive", "password"];
        Self {
            methods: methods.map(str::to_owned).to_vec(),
            identities: Vec::new(),
            identities_named: false,
            key: None,
            certificates: Vec::new(),
            identities_only: false,
            agent: None,
            passphrase: None,
            password: None,
            password_prompts: 3,
            key_algorithms: Vec::new(),
            gssapi: false,
            gssapi_delegate: false,
        }
    }
}

/// A private key file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Where it is, or its public half, where the agent has the private one.
    pub path: PathBuf,
    /// Whether it was asked for: a missing or unreadable file is then an error, not passed over.
    pub explicit: bool,
}

impl Identity {
    /// A key file that was asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), explicit: true }
    }
}

setters!(Identity { explicit: bool });
