//! Public keys and what hosts show of them.

use std::fmt;
use std::str::FromStr;

use ssh_key::public::KeyData;
use ssh_key::{Certificate, HashAlg};
use thiserror::Error;

/// A public key.
///
/// ```
/// use fabric_transport::known_hosts::PublicKey;
///
/// let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti web1";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.algorithm(), "ssh-ed25519");
/// assert!(key.fingerprint().starts_with("SHA256:"));
/// # Ok::<(), fabric_transport::known_hosts::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(pub(crate) ssh_key::PublicKey);

impl PublicKey {
    /// Its algorithm, as in `ssh -Q key`.
    pub fn algorithm(&self) -> String {
        self.0.algorithm().to_string()
    }

    /// `SHA256:` and its hash, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// A line as in `~/.ssh/id_ed25519.pub`.
    ///
    /// # Errors
    ///
    /// A key of a kind that has no such form.
    pub fn to_openssh(&self) -> Result<String, KeyError> {
        self.0.to_openssh().map_err(KeyError)
    }

    pub(crate) fn data(&self) -> &KeyData {
        self.0.key_data()
    }
}

/// Reads a line as in `~/.ssh/id_ed25519.pub`: algorithm, key, and perhaps a comment.
impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        ssh_key::PublicKey::from_openssh(text).map(Self).map_err(KeyError)
    }
}

/// Why a key can't be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct KeyError(pub(super) ssh_key::Error);

/// What a host shows in the key exchange: a plain key, or a certificate for one. That it has the private half is proven by
/// then; nothing of a certificate is checked.
///
/// ```
/// use fabric_transport::known_hosts::{HostKey, PublicKey};
///
/// let key: PublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti".parse()?;
/// let shown = HostKey::from(key.clone());
/// assert!(!shown.is_certificate() && shown.public_key() == key);
/// # Ok::<(), fabric_transport::known_hosts::KeyError>(())
/// ```
#[derive(Clone)]
pub struct HostKey(Shown);

#[derive(Clone)]
enum Shown {
    Key(ssh_key::PublicKey),
    Certificate(Box<Certificate>),
}

impl HostKey {
    /// The key itself, without what a certificate says of it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Shown::Key(key) => key.clone(),
            Shown::Certificate(certificate) => ssh_key::PublicKey::new(certificate.public_key().clone(), ""),
        })
    }

    /// Whether it comes with the signature of a certificate authority.
    pub fn is_certificate(&self) -> bool {
        self.certificate().is_some()
    }

    /// `SHA256:` and the hash of the key itself.
    pub fn fingerprint(&self) -> String {
        self.data().fingerprint(HashAlg::Sha256).to_string()
    }

    pub(crate) fn of_certificate(certificate: Certificate) -> Self {
        Self(Shown::Certificate(Box::new(certificate)))
    }

    pub(crate) fn certificate(&self) -> Option<&Certificate> {
        match &self.0 {
            Shown::Key(key) => match key.key_data() {
                KeyData::Certificate(certificate) => Some(certificate),
                _ => None,
            },
            Shown::Certificate(certificate) => Some(certificate),
        }
    }

    /// The key that the host proves to have.
    pub(crate) fn data(&self) -> &KeyData {
        match &self.0 {
            Shown::Key(key) => match key.key_data() {
                KeyData::Certificate(certificate) => certificate.public_key(),
                data => data,
            },
            Shown::Certificate(certificate) => certificate.public_key(),
        }
    }
}

impl From<PublicKey> for HostKey {
    fn from(key: PublicKey) -> Self {
        Self(Shown::Key(key.0))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_certificate() { "a certificate of " } else { "" };
        write!(f, "HostKey({kind}{})", self.fingerprint())
    }
}
