//! The values of tokens.

use std::fmt::Write as _;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::local::Local;
use super::tokens::Tokens;

/// The values of tokens, once everything is known.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) hostname: String,
    /// As it was asked for.
    pub(super) host: String,
    pub(super) user: String,
    pub(super) port: u16,
    pub(super) key_alias: String,
    pub(super) local: Arc<Local>,
}

impl Tokens for Facts {
    fn push(&self, letter: char, out: &mut String) -> bool {
        match letter {
            'C' => out.push_str(&self.connection_hash()),
            'L' => out.push_str(self.local.short_hostname()),
            'd' => out.push_str(&self.local.home),
            'h' => out.push_str(&self.hostname),
            'i' => out.push_str(&self.local.uid.to_string()),
            'k' => out.push_str(&self.key_alias),
            'l' => out.push_str(&self.local.hostname),
            'n' => out.push_str(&self.host),
            'p' => out.push_str(&self.port.to_string()),
            'r' => out.push_str(&self.user),
            'u' => out.push_str(&self.local.user),
            _ => return false,
        }
        true
    }
}

impl Facts {
    /// `%C`: SHA-1 of `%l%h%p%r`, in hexadecimal.
    fn connection_hash(&self) -> String {
        let digest = Sha1::digest(
            [&self.local.hostname, &self.hostname, &self.port.to_string(), &self.user].map(String::as_str).concat(),
        );
        digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
