//! One line of a known_hosts file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;
use thiserror::Error;

/// The marker of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Marker {
    /// It signs certificates of hosts (`@cert-authority`).
    CertAuthority,
    /// It must not be accepted (`@revoked`).
    Revoked,
}

/// Why a line is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum BadLineReason {
    /// A marker other than `@cert-authority` and `@revoked`, or two of them.
    #[error("an unknown marker, or more than one")]
    Marker,
    /// The line ends before the key.
    #[error("no key after the names")]
    NoKey,
    /// The key cannot be decoded.
    #[error("the key cannot be decoded")]
    Key,
    /// The key's type differs from the word before it.
    #[error("the key's type differs from the one written before it")]
    KeyType,
    /// The hashed name cannot be decoded.
    #[error("the hashed name cannot be decoded")]
    Hash,
}

/// A parsed line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) marker: Option<Marker>,
    pub(super) names: Names<'a>,
    pub(super) key: KeyData,
}

/// Whose key it is.
#[derive(Debug)]
pub(super) enum Names<'a> {
    /// A list of names and patterns, separated by commas, as written.
    List(&'a [u8]),
    /// One hashed name.
    Hashed(HashedName),
}

/// A hashed name, which can be compared but not read.
#[derive(Debug, Clone)]
pub(super) struct HashedName {
    /// Initialised with the salt, which is half of the work.
    salted: Hmac<Sha1>,
    hash: [u8; HASH],
}

/// The length of a salt and of a hash, in bytes.
const HASH: usize = 20;

impl HashedName {
    /// Reads `|1|salt|hash`.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.strip_prefix(b"|1|")?.split(|&c| c == b'|');
        let (salt, hash) = (parts.next()?, parts.next()?);
        let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
        if salt.len() != HASH || parts.next().is_some() {
            return None;
        }
        Some(Self { salted: Hmac::new_from_slice(&salt).ok()?, hash: hash.try_into().ok()? })
    }

    /// Whether it is this name, in constant time. The name must be in lower case.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.salted.clone().chain_update(name).verify_slice(&self.hash).is_ok()
    }

    /// A name hashed with a salt, as in a file.
    pub(super) fn write(name: &str, salt: [u8; HASH]) -> String {
        let hashed = Hmac::<Sha1>::new_from_slice(&salt).map(|mac| mac.chain_update(name).finalize().into_bytes());
        // HMAC takes keys of any length.
        hashed.map_or_else(|_| String::new(), |hash| format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash)))
    }
}

/// Reads a line without its end; `None` for a comment or an empty one.
pub(super) fn parse(line: &[u8]) -> Option<Result<Line<'_>, BadLineReason>> {
    let mut words = line.split(|c| matches!(c, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty()).peekable();
    if words.peek()?.starts_with(b"#") {
        return None;
    }
    Some(parse_words(words))
}

fn parse_words<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Result<Line<'a>, BadLineReason> {
    let mut names = words.next().ok_or(BadLineReason::NoKey)?;
    let mut marker = None;
    if names.starts_with(b"@") {
        marker = Some(match names {
            b"@cert-authority" => Marker::CertAuthority,
            b"@revoked" => Marker::Revoked,
            _ => return Err(BadLineReason::Marker),
        });
        names = words.next().ok_or(BadLineReason::NoKey)?;
        if names.starts_with(b"@") {
            return Err(BadLineReason::Marker);
        }
    }
    let (Some(key_type), Some(blob)) = (words.next(), words.next()) else { return Err(BadLineReason::NoKey) };
    if key_type.starts_with(b"#") {
        return Err(BadLineReason::NoKey);
    }
    let names = match names.strip_prefix(b"|") {
        Some(_) => Names::Hashed(HashedName::parse(names).ok_or(BadLineReason::Hash)?),
        None => Names::List(names),
    };
    let blob = STANDARD.decode(blob).map_err(|_| BadLineReason::Key)?;
    let key = KeyData::from(PublicKey::from_bytes(&blob).map_err(|_| BadLineReason::Key)?);
    if key.is_certificate() || key.algorithm().as_str().as_bytes() != key_type {
        return Err(BadLineReason::KeyType);
    }
    Ok(Line { marker, names, key })
}
