//! The lines of one file, found by name.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;
use ssh_key::public::KeyData;

use super::line::{self, BadLineReason, HashedName, Marker, Names};
use super::pattern;

/// The key of a line.
#[derive(Debug)]
pub(super) struct KeyEntry {
    pub(super) line: usize,
    pub(super) marker: Option<Marker>,
    pub(super) key: KeyData,
}

/// The entries of a file, in order, with indexes by name. Append-only.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<KeyEntry>,
    lines: usize,
    /// Names without wildcards, in lower case, from lines that have no others.
    plain: HashMap<Box<[u8]>, Vec<u32>>,
    /// Lists with wildcards or negations, in lower case.
    patterns: Vec<(Box<[u8]>, u32)>,
    hashed: Vec<(HashedName, u32)>,
    /// Entries that are revocations, a second time.
    revocations: Vec<(Revoked, u32)>,
    bad_lines: Vec<(usize, BadLineReason)>,
    /// Results for names, with how many of the hashed lines were searched.
    found: Mutex<HashMap<Box<[u8]>, HashedHits>>,
}

#[derive(Debug, Clone, Default)]
struct HashedHits {
    among: usize,
    entries: Vec<u32>,
}

/// Whose key is revoked.
#[derive(Debug)]
enum Revoked {
    List(Box<[u8]>),
    Hashed(HashedName),
}

impl Index {
    /// Adds lines.
    pub(super) fn add(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|&c| c == b'\n') {
            self.lines += 1;
            match line::parse(line.strip_suffix(b"\n").unwrap_or(line)) {
                None => {}
                Some(Err(reason)) => self.bad_lines.push((self.lines, reason)),
                Some(Ok(line)) => self.add_line(line),
            }
        }
    }

    fn add_line(&mut self, line: line::Line<'_>) {
        let at = self.entries.len() as u32;
        self.entries.push(KeyEntry { line: self.lines, marker: line.marker, key: line.key });
        let revoked = match line.names {
            Names::Hashed(name) => {
                self.hashed.push((name.clone(), at));
                Revoked::Hashed(name)
            }
            Names::List(list) => {
                let list = list.to_ascii_lowercase();
                if list.iter().any(|c| matches!(c, b'*' | b'?' | b'!')) {
                    self.patterns.push((list.clone().into(), at));
                } else {
                    for name in list.split(|&c| c == b',') {
                        self.plain.entry(name.into()).or_default().push(at);
                    }
                }
                Revoked::List(list.into())
            }
        };
        if line.marker == Some(Marker::Revoked) {
            self.revocations.push((revoked, at));
        }
    }

    /// The lines that could not be read, with their numbers.
    pub(super) fn bad_lines(&self) -> &[(usize, BadLineReason)] {
        &self.bad_lines
    }

    /// The entries under any of these names: hashed ones, or the others.
    pub(super) fn entries_by(&self, names: &[String], hashed: bool) -> Vec<&KeyEntry> {
        let places: BTreeSet<u32> = if hashed {
            names.iter().flat_map(|name| self.hashed_under(name.as_bytes())).collect()
        } else {
            let plain = names.iter().filter_map(|name| self.plain.get(name.as_bytes())).flatten();
            let patterns = self.patterns.iter().filter(|(list, _)| any_matches(list, names));
            plain.chain(patterns.map(|(_, at)| at)).copied().collect()
        };
        places.into_iter().map(|at| &self.entries[at as usize]).collect()
    }

    /// All entries.
    pub(super) fn all(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// All entries under any of these names, in the order of lines.
    pub(super) fn entries(&self, names: &[String]) -> Vec<&KeyEntry> {
        let mut entries = self.entries_by(names, false);
        entries.extend(self.entries_by(names, true));
        entries.sort_by_key(|entry| entry.line);
        entries
    }

    /// The revocations under any of these names.
    pub(super) fn revocations(&self, names: &[String]) -> impl Iterator<Item = &KeyEntry> {
        let matching = self.revocations.iter().filter(|(revoked, _)| match revoked {
            Revoked::List(list) => any_matches(list, names),
            Revoked::Hashed(hashed) => names.iter().any(|name| hashed.is(name.as_bytes())),
        });
        matching.map(|(_, at)| &self.entries[*at as usize])
    }

    /// The hashed entries of a name. Every hashed line is tried once for each name.
    fn hashed_under(&self, name: &[u8]) -> Vec<u32> {
        if self.hashed.is_empty() {
            return Vec::new();
        }
        let cached = self.found.lock().get(name).cloned();
        let mut found = cached.unwrap_or_default();
        if found.among < self.hashed.len() {
            let untried = &self.hashed[found.among..];
            found.entries.extend(untried.iter().filter(|(hashed, _)| hashed.is(name)).map(|(_, at)| *at));
            found.among = self.hashed.len();
            self.found.lock().insert(name.into(), found.clone());
        }
        found.entries
    }
}

fn any_matches(list: &[u8], names: &[String]) -> bool {
    names.iter().any(|name| pattern::list_matches(list, name.as_bytes()))
}
