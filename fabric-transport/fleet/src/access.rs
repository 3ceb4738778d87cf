//! What all hosts of a fleet share: credentials, and the environment of processes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use fabric_core::Secret;
use russh::keys::PublicKey;
use russh::{MethodKind, MethodSet};
use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::groups::Groups;

/// What all hosts of a fleet share.
pub(super) struct Access {
    pub(super) users: Vec<String>,
    pub(super) keys: Vec<PublicKey>,
    pub(super) password: Option<Secret>,
    pub(super) questions: Vec<(String, Secret)>,
    pub(super) required: Vec<MethodKind>,
    pub(super) max_sessions: usize,
    pub(super) shell: PathBuf,
    pub(super) env: Vec<(String, String)>,
    pub(super) answers: Option<Answers>,
    /// The names of the fleet's hosts, which its hosts can resolve.
    pub(super) names: HashMap<String, IpAddr>,
    pub(super) ended: CancellationToken,
    pub(super) groups: Groups,
}

impl Access {
    /// The methods that are offered first.
    pub(super) fn methods(&self) -> MethodSet {
        if let Some(first) = self.required.first() {
            return MethodSet::from(&[*first][..]);
        }
        let mut methods = vec![MethodKind::PublicKey];
        if self.password.is_some() {
            methods.push(MethodKind::Password);
        }
        if !self.questions.is_empty() {
            methods.push(MethodKind::KeyboardInteractive);
        }
        MethodSet::from(methods.as_slice())
    }
}
