//! Recording a new key, also by many processes at once.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ssh_key::PublicKey;
use ssh_key::public::KeyData;
use thiserror::Error;

use super::file::File;
use super::key::KeyError;
use super::line::{HashedName, Marker};
use super::{KnownKey, ReadError, known_key};

/// The result of recording a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It was written.
    Added,
    /// It was there already.
    Already,
}

/// Why a key was not recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The user has no file.
    #[error("there is no user known_hosts file to record a key in")]
    NoFile,
    /// A name with a different meaning in the file: empty, or with white space, a comma, a wildcard or a leading sign.
    #[error("the host name {0:?} cannot be recorded")]
    Name(String),
    /// The host has other keys there, perhaps just recorded by another process, or this one is revoked.
    #[error("another key of the host is recorded at {}", .0.place)]
    Conflict(Box<KnownKey>),
    /// The key cannot be written as text.
    #[error("the host key cannot be written: {0}")]
    Key(KeyError),
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be made, locked or written.
    #[error("cannot record a host key in {}: {error}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Adds a key under these names, all of which belong to one host.
pub(super) fn record(file: &mut File, names: &[String], key: &KeyData, hash: bool) -> Result<Recorded, RecordError> {
    let unfit = names.iter().find(|name| !is_recordable(name)).cloned();
    if let Some(name) = unfit.or_else(|| names.is_empty().then(String::new)) {
        return Err(RecordError::Name(name));
    }
    let path = file.path.clone();
    let failed = |error| RecordError::Write { file: path.clone(), error };
    let mut open = open_locked(&path).map_err(failed)?;
    if !file.is_still(&open) {
        file.refresh_from(&mut open)?;
    }

    // Another process may have changed the file since the lookup.
    let mut unknown = Vec::new();
    for name in names {
        let entries = file.index.entries(std::slice::from_ref(name));
        let revoked = entries.iter().find(|entry| entry.marker == Some(Marker::Revoked) && entry.key == *key);
        if let Some(entry) = revoked {
            return Err(RecordError::Conflict(Box::new(known_key(file, entry))));
        }
        let plain: Vec<_> = entries.into_iter().filter(|entry| entry.marker.is_none()).collect();
        match plain.first() {
            None => unknown.push(name),
            Some(_) if plain.iter().any(|entry| entry.key == *key) => {}
            Some(entry) => return Err(RecordError::Conflict(Box::new(known_key(file, entry)))),
        }
    }
    if unknown.is_empty() {
        return Ok(Recorded::Already);
    }

    let unknown: Vec<&str> = unknown.into_iter().map(String::as_str).collect();
    let lines = lines(&unknown, key, hash)?;
    append(file, &mut open, &lines).map_err(failed)?;
    Ok(Recorded::Added)
}

/// The lines for a key: one with all names, or hashed one for each name.
pub(super) fn lines(names: &[&str], key: &KeyData, hash: bool) -> Result<String, RecordError> {
    let key = PublicKey::from(key.clone()).to_openssh().map_err(|error| RecordError::Key(KeyError(error)))?;
    let names: Vec<String> = if hash {
        names.iter().map(|name| HashedName::write(name, rand::random())).collect()
    } else {
        vec![names.join(",")]
    };
    Ok(names.into_iter().flat_map(|names| [names, format!(" {key}\n")]).collect())
}

/// Writes lines at the end of a locked file.
pub(super) fn append(file: &mut File, open: &mut std::fs::File, lines: &str) -> io::Result<()> {
    let end_of_last = if file.last_byte().is_some_and(|last| last != b'\n') { "\n" } else { "" };
    // In one write, for programs that don't lock.
    let written = format!("{end_of_last}{lines}");
    open.write_all(written.as_bytes())?;
    file.appended(written.as_bytes(), open);
    Ok(())
}

/// Opens the file, created if it is missing, and locks it until it is closed.
pub(super) fn open_locked(path: &Path) -> io::Result<std::fs::File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    loop {
        let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        open.lock()?;
        // Meanwhile the file may have been replaced, as by `ssh-keygen -R`.
        let (locked, there) = (open.metadata()?, std::fs::metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
            return Ok(open);
        }
    }
}

/// Whether a name is literal in the file.
fn is_recordable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['|', '@', '#', '!'])
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '*' | '?'))
}
