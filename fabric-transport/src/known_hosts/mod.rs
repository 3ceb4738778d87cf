//! known_hosts files: checking host keys, and recording new ones (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! [`KnownHosts`] is a shared index of the user's and the system's files. It checks the key or certificate of a [`Host`]
//! ([`KnownHosts::check`]), orders host-key algorithms ([`KnownHosts::algorithms`]), and records new keys, also from many
//! processes at once ([`KnownHosts::record`]). The rules are OpenSSH's:
//!
//! * A matching line with the key accepts it, whatever other lines have. `@revoked` takes precedence, for the key itself,
//!   for a certificate's key and for the key of its authority.
//! * Names are plain, wildcards (`*`, `?`), negated (`!name` excludes the hosts that it matches) or hashed
//!   (`|1|salt|hash`, compared in constant time). Case doesn't matter. A port other than 22 is looked up as `[host]:port`;
//!   if nothing is known under that, a key known without port is accepted too.
//! * `HostKeyAlias` replaces name and port.
//! * A `@cert-authority` line vouches for host certificates: the right type, an intact signature that is
//!   not SHA-1, within its time, for this name, without critical options. A certificate without such a
//!   line is judged by the plain key in it.
//! * An invalid line is skipped and reported ([`KnownHosts::bad_lines`]). A file that exists and can't be read is an error.
//!
//! A file is parsed once, and again when it has changed on disk; if it has only grown, only the new part. Plain names are in
//! a map. Hashed names cost one HMAC for each line; they are searched only if needed, and the results are kept.
//!
//! All calls block for disk access: microseconds while files don't change. `record` also waits for other processes that
//! record.
//!
//! ```
//! use std::time::SystemTime;
//! use fabric_transport::known_hosts::{Host, HostKey, KnownHosts, PublicKey, Verdict};
//!
//! let dir = tempfile::tempdir()?;
//! let file = dir.path().join("known_hosts");
//! let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
//! std::fs::write(&file, format!("web1.example.com {key}\n"))?;
//!
//! let known = KnownHosts::load(&[file], &[])?;
//! let key = HostKey::from(key.parse::<PublicKey>()?);
//! let verdict = known.check(&Host::new("web1.example.com", 22), &key, SystemTime::now())?;
//! assert!(matches!(verdict, Verdict::Known(place) if place.line == 1));
//! let verdict = known.check(&Host::new("web2.example.com", 22), &key, SystemTime::now())?;
//! assert!(matches!(verdict, Verdict::Unknown));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod file;
mod index;
mod key;
mod line;
mod pattern;
mod record;
mod update;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::{RwLock, RwLockReadGuard};
use ssh_key::public::KeyData;
use thiserror::Error;

pub use certificate::CertificateFault;
pub use key::{HostKey, KeyError, PublicKey};
pub use line::{BadLineReason, Marker};
pub use record::{RecordError, Recorded};
pub(crate) use update::Outdated;

use file::File;
use index::KeyEntry;

/// The host whose key is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Its name or address, as configured. All names are equivalent: don't add one that an attacker may choose, such as an
    /// address from the DNS.
    pub names: Vec<String>,
    /// The port.
    pub port: u16,
    /// The alias that replaces names and port (`HostKeyAlias`).
    pub alias: Option<String>,
}

impl Host {
    /// A host by one name.
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self { names: vec![name.into()], port, alias: None }
    }

    /// Sets `HostKeyAlias`, if there is one.
    #[must_use]
    pub fn alias(mut self, alias: Option<String>) -> Self {
        self.alias = alias;
        self
    }

    /// The names for looking up and recording keys.
    fn keys(&self) -> Vec<String> {
        match &self.alias {
            Some(alias) => vec![alias.to_ascii_lowercase()],
            None if self.port == 22 => self.principals(),
            None => self.principals().iter().map(|name| format!("[{name}]:{}", self.port)).collect(),
        }
    }

    /// The alternative names if nothing is known under [`Self::keys`].
    fn keys_without_port(&self) -> Option<Vec<String>> {
        (self.alias.is_none() && self.port != 22).then(|| self.principals())
    }

    /// The names that a certificate must be for.
    fn principals(&self) -> Vec<String> {
        match &self.alias {
            Some(alias) => vec![alias.to_ascii_lowercase()],
            None => self.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileLine {
    /// The file.
    pub file: PathBuf,
    /// The line number, from 1.
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A known key of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownKey {
    /// Its line.
    pub place: FileLine,
    /// Its marker.
    pub marker: Option<Marker>,
    /// The key.
    pub key: PublicKey,
}

/// The result of checking a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the host's key, or an authority on this line vouches for it.
    Known(FileLine),
    /// The host is unknown.
    Unknown,
    /// The host is known with other keys: there may be a man in the middle.
    Changed(Vec<KnownKey>),
    /// The key, or the authority of its certificate, is revoked by this line.
    Revoked(FileLine),
    /// The authority on this line would vouch for the certificate, but that is invalid; its plain key isn't known either.
    BadCertificate {
        /// The line of the authority.
        place: FileLine,
        /// What is wrong.
        fault: CertificateFault,
    },
}

/// An invalid line. It is skipped, as in OpenSSH.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {reason}")]
#[non_exhaustive]
pub struct BadLine {
    /// Which.
    pub place: FileLine,
    /// Why.
    pub reason: BadLineReason,
}

/// A file exists and can't be read, so that no key can be considered unknown.
#[derive(Debug, Error)]
#[error("cannot read {}: {error}; host keys cannot be checked without it", .file.display())]
#[non_exhaustive]
pub struct ReadError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The files with known host keys, parsed once, shared by all connections.
#[derive(Debug)]
pub struct KnownHosts {
    files: RwLock<Vec<File>>,
    /// How many of the files are the user's.
    user_files: usize,
}

impl KnownHosts {
    /// Reads the user's files (`UserKnownHostsFile`) and the system's (`GlobalKnownHostsFile`). Missing files count as empty,
    /// and are read once they exist.
    pub fn load(user: &[PathBuf], system: &[PathBuf]) -> Result<Self, ReadError> {
        let files: Result<Vec<_>, _> = user.iter().chain(system).map(|path| File::read(path)).collect();
        Ok(Self { files: RwLock::new(files?), user_files: user.len() })
    }

    /// Checks the key of a host. Certificates must be valid at `now`.
    pub fn check(&self, host: &Host, key: &HostKey, now: SystemTime) -> Result<Verdict, ReadError> {
        self.check_with(b"", host, key, now)
    }

    /// The same with further lines, of `KnownHostsCommand`.
    pub(crate) fn check_with(
        &self,
        further: &[u8],
        host: &Host,
        key: &HostKey,
        now: SystemTime,
    ) -> Result<Verdict, ReadError> {
        let (files, further) = (self.current()?, File::of_text(COMMAND, further));
        let files: Vec<&File> = files.iter().chain([&further]).collect();
        let verdict = judge(&files, &host.keys(), host, key, now);
        let Some(keys) = host.keys_without_port().filter(|_| verdict == Verdict::Unknown) else { return Ok(verdict) };
        match judge(&files, &keys, host, key, now) {
            // A key known without port doesn't contradict another one on this port.
            Verdict::Changed(_) => Ok(Verdict::Unknown),
            verdict => Ok(verdict),
        }
    }

    /// Moves host-key algorithms with a known key of the host to the front, so that a host with several keys shows the known
    /// one; otherwise the order is kept (as in OpenSSH).
    ///
    /// ```
    /// # use fabric_transport::known_hosts::{Host, KnownHosts};
    /// # let dir = tempfile::tempdir()?;
    /// # let file = dir.path().join("known_hosts");
    /// # let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    /// # std::fs::write(&file, format!("web1 {key}\n"))?;
    /// # let known = KnownHosts::load(&[file], &[])?;
    /// // An ssh-ed25519 key of web1 is known.
    /// let order = known.algorithms(&Host::new("web1", 22), &["rsa-sha2-512", "ssh-ed25519"])?;
    /// assert_eq!(order, ["ssh-ed25519", "rsa-sha2-512"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn algorithms<'a>(&self, host: &Host, offered: &[&'a str]) -> Result<Vec<&'a str>, ReadError> {
        self.algorithms_with(b"", host, offered)
    }

    /// The same with further lines, of `KnownHostsCommand`.
    pub(crate) fn algorithms_with<'a>(
        &self,
        further: &[u8],
        host: &Host,
        offered: &[&'a str],
    ) -> Result<Vec<&'a str>, ReadError> {
        let (files, further) = (self.current()?, File::of_text(COMMAND, further));
        let files: Vec<&File> = files.iter().chain([&further]).collect();
        let mut known = entries_for_algorithms(&files, &host.keys());
        if let Some(keys) = host.keys_without_port().filter(|_| known.is_empty()) {
            known = entries_for_algorithms(&files, &keys);
        }
        let has = |algorithm: &str| {
            let key_type = key_type_of(algorithm);
            known.iter().any(|(_, entry)| entry.marker.is_none() && entry.key.algorithm().as_str() == key_type)
        };
        if offered.first().is_some_and(|best| has(best)) {
            return Ok(offered.to_vec());
        }
        let vouched = known.iter().any(|(_, entry)| entry.marker == Some(Marker::CertAuthority));
        let first = |name: &&str| has(name) || (vouched && name.ends_with(CERTIFICATE_SUFFIX));
        let (mut order, other): (Vec<_>, Vec<_>) = offered.iter().copied().partition(first);
        order.extend(other);
        Ok(order)
    }

    /// All known keys of a host, in the order of files and lines.
    pub fn keys(&self, host: &Host) -> Result<Vec<KnownKey>, ReadError> {
        let files = self.current()?;
        let files: Vec<&File> = files.iter().collect();
        Ok(entries(&files, &host.keys()).into_iter().map(|(file, entry)| known_key(file, entry)).collect())
    }

    /// The lines that were skipped.
    pub fn bad_lines(&self) -> Vec<BadLine> {
        let files = self.files.read();
        let bad = |file: &File| {
            let of_file = file.index.bad_lines().iter();
            of_file.map(|(line, reason)| BadLine { place: file.place(*line), reason: *reason }).collect::<Vec<_>>()
        };
        files.iter().flat_map(bad).collect()
    }

    /// Records a new key of a host in the first of the user's files: one line with all its names, or hashed one line for each
    /// (`HashKnownHosts`).
    ///
    /// Many processes may do this at once. Each locks the file (advisory) and reads it again, so that a key that another
    /// process has recorded meanwhile is not recorded twice ([`Recorded::Already`]), and no different key is added
    /// ([`RecordError::Conflict`]). The file is created with mode 0600, its directory with 0700. Of a certificate the plain
    /// key is recorded.
    pub fn record(&self, host: &Host, key: &HostKey, hash: bool) -> Result<Recorded, RecordError> {
        let mut files = self.files.write();
        let file = files.first_mut().filter(|_| self.user_files > 0).ok_or(RecordError::NoFile)?;
        record::record(file, &host.keys(), key.data(), hash)
    }

    /// The difference between a host's announced keys and those in the user's files. `None` if these must not be changed, by
    /// OpenSSH's rules for `UpdateHostKeys`: they don't have the shown key; a line for the host has a marker, a pattern or
    /// further names; or one of the keys is also known under another name.
    pub(crate) fn outdated(
        &self,
        host: &Host,
        shown: &KeyData,
        announced: &[KeyData],
    ) -> Result<Option<Outdated>, ReadError> {
        let files = self.current()?;
        let [name] = &host.keys()[..] else { return Ok(None) };
        Ok(update::outdated(&files[..self.user_files], name, shown, announced))
    }

    /// Updates the user's files to a host's announcement: adds `new` keys, which it has proven to hold, to the first file, and
    /// removes lines for the host alone with keys that are not `announced`. Other lines and comments are kept. A file is
    /// locked as by [`record`](Self::record), and replaced atomically.
    pub(crate) fn update(
        &self,
        host: &Host,
        announced: &[KeyData],
        new: &[KeyData],
        hash: bool,
    ) -> Result<(), RecordError> {
        let mut files = self.files.write();
        let [name] = &host.keys()[..] else { return Ok(()) };
        update::update(&mut files[..self.user_files], name, announced, new, hash)
    }

    /// The files as they are on disk now.
    fn current(&self) -> Result<RwLockReadGuard<'_, Vec<File>>, ReadError> {
        let files = self.files.read();
        if !files.iter().any(File::has_changed) {
            return Ok(files);
        }
        drop(files);
        for file in self.files.write().iter_mut() {
            file.refresh()?;
        }
        Ok(self.files.read())
    }
}

/// The file name of lines of `KnownHostsCommand`.
const COMMAND: &str = "KnownHostsCommand";

const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";

/// The key type of an algorithm.
pub(crate) fn key_type_of(algorithm: &str) -> &str {
    match algorithm.strip_suffix(CERTIFICATE_SUFFIX).unwrap_or(algorithm) {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        // Certificate names of security keys have another ending.
        "sk-ssh-ed25519" => "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256" => "sk-ecdsa-sha2-nistp256@openssh.com",
        plain => plain,
    }
}

fn known_key(file: &File, entry: &KeyEntry) -> KnownKey {
    KnownKey { place: file.place(entry.line), marker: entry.marker, key: PublicKey(entry.key.clone().into()) }
}

/// All entries under these names, with their files.
fn entries<'a>(files: &[&'a File], keys: &[String]) -> Vec<(&'a File, &'a KeyEntry)> {
    files.iter().flat_map(|&file| file.index.entries(keys).into_iter().map(move |entry| (file, entry))).collect()
}

/// Enough entries to choose algorithms: without the hashed ones, which are expensive to find, if a plain key is known.
fn entries_for_algorithms<'a>(files: &[&'a File], keys: &[String]) -> Vec<(&'a File, &'a KeyEntry)> {
    let not_hashed = |file: &'a File| file.index.entries_by(keys, false).into_iter().map(move |entry| (file, entry));
    let found: Vec<_> = files.iter().copied().flat_map(not_hashed).collect();
    if found.iter().any(|(_, entry)| entry.marker.is_none()) { found } else { entries(files, keys) }
}

/// Checks a key against the lines for these names.
fn judge(files: &[&File], keys: &[String], host: &Host, key: &HostKey, now: SystemTime) -> Verdict {
    let certificate = key.certificate();
    let authority = certificate.map(ssh_key::Certificate::signature_key);
    // Revocations are few and always checked; one for the host on port 22 applies to every port.
    let revocable = [keys, &host.principals()].concat();
    for &file in files {
        let mut revocations = file.index.revocations(&revocable);
        let revoked = revocations.find(|entry| entry.key == *key.data() || Some(&entry.key) == authority);
        if let Some(entry) = revoked {
            return Verdict::Revoked(file.place(entry.line));
        }
    }
    // Plain names first: a hit saves searching the hashed ones.
    let (mut others, mut fault) = (Vec::new(), None);
    for hashed in [false, true] {
        for &file in files {
            for entry in file.index.entries_by(keys, hashed) {
                match (entry.marker, certificate) {
                    (None, _) if entry.key == *key.data() => return Verdict::Known(file.place(entry.line)),
                    (None, _) => others.push((file, entry)),
                    (Some(Marker::CertAuthority), Some(certificate)) if entry.key == *certificate.signature_key() => {
                        match certificate::validate(certificate, &host.principals(), now) {
                            Ok(()) => return Verdict::Known(file.place(entry.line)),
                            Err(found) => {
                                fault.get_or_insert((file.place(entry.line), found));
                            }
                        }
                    }
                    (Some(Marker::CertAuthority | Marker::Revoked), _) => {}
                }
            }
        }
    }
    if let Some((place, fault)) = fault {
        Verdict::BadCertificate { place, fault }
    } else if others.is_empty() {
        Verdict::Unknown
    } else {
        Verdict::Changed(others.into_iter().map(|(file, entry)| known_key(file, entry)).collect())
    }
}

/// The error of a file that cannot be read.
fn read_error(file: &Path, error: io::Error) -> ReadError {
    ReadError { file: file.to_owned(), error }
}
