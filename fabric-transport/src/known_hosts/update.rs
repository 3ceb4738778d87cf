//! Updating known keys to those that a host announces (`UpdateHostKeys` of ssh_config(5)).

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ssh_key::public::KeyData;

use super::file::File;
use super::index::KeyEntry;
use super::record::{self, RecordError};

/// The difference between a host's keys and those in the user's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outdated {
    /// Keys that are not known.
    pub(crate) new: Vec<KeyData>,
    /// Known keys that the host no longer has.
    pub(crate) old: Vec<KeyData>,
}

/// Compares the announced keys with the user's files. `None` if these must not be changed; see
/// [`KnownHosts::outdated`](super::KnownHosts::outdated).
pub(super) fn outdated(files: &[File], name: &str, shown: &KeyData, announced: &[KeyData]) -> Option<Outdated> {
    // Usually nothing has changed, and the expensive hashed names don't matter.
    let plain: Vec<&KeyEntry> =
        files.iter().flat_map(|file| file.index.entries_by(&[name.to_owned()], false)).collect();
    let is_plain = |key: &KeyData| plain.iter().any(|entry| entry.key == *key);
    if announced.iter().all(is_plain) && plain.iter().all(|entry| announced.contains(&entry.key)) {
        return Some(Outdated::default());
    }
    let mut known: Vec<KeyData> = Vec::new();
    let mut lines = Vec::new();
    for file in files {
        let entries = entries_of(file, name)?;
        known.extend(entries.iter().map(|entry| entry.key.clone()));
        lines.push(entries.iter().map(|entry| entry.line).collect::<HashSet<usize>>());
    }
    if !known.contains(shown) {
        return None;
    }
    let new = announced.iter().filter(|key| !known.contains(key)).cloned().collect();
    let old: Vec<KeyData> = known.iter().filter(|key| !announced.contains(key)).cloned().collect();
    let concerned = |key: &KeyData| announced.contains(key) || old.contains(key);
    let elsewhere = files.iter().zip(&lines).any(|(file, lines)| {
        file.index.all().iter().any(|entry| concerned(&entry.key) && !lines.contains(&entry.line))
    });
    (!elsewhere).then_some(Outdated { new, old })
}

/// The entries of a host; `None` if one of its lines has a marker, a pattern or further names.
fn entries_of<'a>(file: &'a File, name: &str) -> Option<Vec<&'a KeyEntry>> {
    let names = [name.to_owned()];
    let entries = file.index.entries(&names);
    let own = |entry: &&KeyEntry| {
        let names = file.line(entry.line).split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
        let names = names.unwrap_or_default();
        entry.marker.is_none() && (names.starts_with(b"|") || names.eq_ignore_ascii_case(name.as_bytes()))
    };
    entries.iter().all(own).then_some(entries)
}

/// Adds `new` keys of a host to the first file, and removes its lines with other keys than `announced` from all files.
pub(super) fn update(
    files: &mut [File],
    name: &str,
    announced: &[KeyData],
    new: &[KeyData],
    hash: bool,
) -> Result<(), RecordError> {
    for (number, file) in files.iter_mut().enumerate() {
        if number > 0 && !file.path.exists() {
            continue;
        }
        let path = file.path.clone();
        let failed = |error| RecordError::Write { file: path.clone(), error };
        let mut open = record::open_locked(&path).map_err(failed)?;
        if !file.is_still(&open) {
            file.refresh_from(&mut open)?;
        }
        // Another process may have changed the file meanwhile.
        let Some(entries) = entries_of(file, name) else { return Ok(()) };
        let old: HashSet<usize> =
            entries.iter().filter(|entry| !announced.contains(&entry.key)).map(|entry| entry.line).collect();
        let missing = new.iter().filter(|key| number == 0 && entries.iter().all(|entry| entry.key != **key));
        let mut lines = String::new();
        for key in missing {
            lines += &record::lines(&[name], key, hash)?;
        }
        if !old.is_empty() {
            let mut content = file.without(&old);
            if content.last().is_some_and(|last| *last != b'\n') {
                content.push(b'\n');
            }
            content.extend_from_slice(lines.as_bytes());
            replace(&path, &open, &content).map_err(failed)?;
            file.refresh()?;
        } else if !lines.is_empty() {
            record::append(file, &mut open, &lines).map_err(failed)?;
        }
    }
    Ok(())
}

/// Replaces a file atomically, with the same mode and owner. Processes that wait for the lock on the old one notice that.
fn replace(path: &Path, old: &fs::File, content: &[u8]) -> io::Result<()> {
    // A link is kept.
    let path = fs::canonicalize(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let beside = path.with_file_name(name);
    let write = || {
        let (about, mut new) =
            (old.metadata()?, OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?);
        new.write_all(content)?;
        let made = new.metadata()?;
        if (made.uid(), made.gid()) != (about.uid(), about.gid()) {
            std::os::unix::fs::fchown(&new, Some(about.uid()), Some(about.gid()))?;
        }
        new.set_permissions(about.permissions())?;
        new.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&beside)))
}
