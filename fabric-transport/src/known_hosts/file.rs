//! A file with its index, kept up to date.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::index::Index;
use super::{FileLine, ReadError, read_error};

/// The longest file that is read, in bytes: a million lines.
const MAX_LENGTH: u64 = 256 * 1024 * 1024;

/// A known_hosts file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) index: Index,
    content: Vec<u8>,
    stamp: Option<Stamp>,
}

/// What identifies a version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

impl File {
    /// Reads a file; one that does not exist is empty.
    pub(super) fn read(path: &Path) -> Result<Self, ReadError> {
        let mut file = Self { path: path.to_owned(), index: Index::default(), content: Vec::new(), stamp: None };
        file.refresh()?;
        Ok(file)
    }

    /// Lines without a file.
    pub(super) fn of_text(path: &str, text: &[u8]) -> Self {
        let mut index = Index::default();
        index.add(text);
        Self { path: path.into(), index, content: Vec::new(), stamp: None }
    }

    pub(super) fn place(&self, line: usize) -> FileLine {
        FileLine { file: self.path.clone(), line }
    }

    /// Whether the file on disk differs from the one that was read. If that is unknown it counts as a change, so that
    /// reading it reports the error.
    pub(super) fn has_changed(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(about) => self.stamp != Some(Stamp::from(&about)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.stamp.is_some(),
            Err(_) => true,
        }
    }

    /// Reads the file again if it has changed.
    pub(super) fn refresh(&mut self) -> Result<(), ReadError> {
        if !self.has_changed() {
            return Ok(());
        }
        match std::fs::File::open(&self.path) {
            Ok(mut open) => self.refresh_from(&mut open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.take_in(Vec::new(), None);
                Ok(())
            }
            Err(error) => Err(read_error(&self.path, error)),
        }
    }

    /// Reads the file again through a descriptor at its beginning.
    pub(super) fn refresh_from(&mut self, open: &mut std::fs::File) -> Result<(), ReadError> {
        let mut read = || -> io::Result<_> {
            // Before the content: a change while it is read is then seen as a change.
            let stamp = Stamp::from(&open.metadata()?);
            let mut content = Vec::with_capacity(stamp.length.min(MAX_LENGTH) as usize);
            open.take(MAX_LENGTH + 1).read_to_end(&mut content)?;
            if content.len() as u64 > MAX_LENGTH {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok((content, stamp))
        };
        let (content, stamp) = read().map_err(|error| read_error(&self.path, error))?;
        self.take_in(content, Some(stamp));
        Ok(())
    }

    /// Whether this, an open file, is the file that was read, unchanged.
    pub(super) fn is_still(&self, open: &std::fs::File) -> bool {
        open.metadata().is_ok_and(|about| self.stamp == Some(Stamp::from(&about)))
    }

    /// Adds lines that this process has just appended to the locked file; after other changes it is read again the next
    /// time.
    pub(super) fn appended(&mut self, written: &[u8], open: &std::fs::File) {
        let mut content = std::mem::take(&mut self.content);
        let before = content.len();
        content.extend_from_slice(written);
        let stamp = open.metadata().ok().map(|about| Stamp::from(&about));
        let stamp = stamp.filter(|stamp| stamp.length == content.len() as u64);
        if stamp.is_some() && (before == 0 || content[..before].ends_with(b"\n")) {
            self.index.add(written);
        } else {
            self.index = Index::default();
            self.index.add(&content);
        }
        (self.content, self.stamp) = (content, stamp);
    }

    /// A line's text, without its end.
    pub(super) fn line(&self, number: usize) -> &[u8] {
        self.content.split(|c| *c == b'\n').nth(number - 1).unwrap_or_default()
    }

    /// The content without some of its lines.
    pub(super) fn without(&self, lines: &HashSet<usize>) -> Vec<u8> {
        let all = self.content.split_inclusive(|c| *c == b'\n').zip(1..);
        all.filter(|(_, number)| !lines.contains(number)).flat_map(|(line, _)| line).copied().collect()
    }

    /// The last byte, if there is one.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.content.last().copied()
    }

    fn take_in(&mut self, content: Vec<u8>, stamp: Option<Stamp>) {
        let whole_lines = self.content.is_empty() || self.content.ends_with(b"\n");
        match content.strip_prefix(&self.content[..]) {
            // It has only grown, by whole lines.
            Some(further) if whole_lines => self.index.add(further),
            _ => {
                self.index = Index::default();
                self.index.add(&content);
            }
        }
        (self.content, self.stamp) = (content, stamp);
    }
}
