//! The mode, owner and times of written files.

use fabric_core::error::FileError;
use fabric_core::outcome::Direction;
use fabric_core::transport::{FileChanges, FileKind, FileStat, WriteOptions};

use super::engine::Engine;
use super::unfinished::Part;

/// The permissions that the owner needs to resume a file, and to write into a directory.
const OWN_FILE: u32 = 0o600;
pub(super) const OWN_DIRECTORY: u32 = 0o700;

impl Engine {
    /// How to write a part that replaces a file.
    pub(super) fn write_options(&self, source: &FileStat, replaced: Option<&FileStat>, part: &Part) -> WriteOptions {
        let changes = self.changes(source, replaced);
        let mode = match changes.mode {
            // Secret from the first byte on.
            Some(_) => Some(OWN_FILE),
            None if part.lasting => self.made_with(source).map(|mode| mode | OWN_FILE),
            None => self.made_with(source),
        };
        WriteOptions::default()
            .offset(part.offset)
            .truncate(!part.is_there)
            .exclusive(!part.is_there)
            .create(true)
            .no_follow(part.is_there)
            .mode(mode)
            .changes(changes)
            .sync(self.options.sync)
            // It is resumed at its end.
            .in_order(part.lasting)
    }

    /// The mode for creating a file, subject to the umask of the written side; `None` is that side's default.
    pub(super) fn made_with(&self, source: &FileStat) -> Option<u32> {
        source.mode.filter(|_| self.options.mirror_mode != Some(false)).map(|mode| mode & 0o777)
    }

    /// The changes to a written file: its mode, and its times if they are to be kept.
    pub(super) fn changes(&self, source: &FileStat, replaced: Option<&FileStat>) -> FileChanges {
        let bits = match self.direction {
            Direction::Put => 0o7777,
            // A host must not be able to create a set-user-ID program on this machine.
            Direction::Get => 0o777,
        };
        let mirrored = source.mode.filter(|_| self.options.mirror_mode == Some(true));
        let given = self.options.mode.filter(|_| source.kind != FileKind::Directory);
        let mode = given.or(mirrored).or(replaced.and_then(|stat| stat.mode));
        let times = source.modified.filter(|_| self.options.preserve_times);
        FileChanges::default()
            .mode(mode.map(|mode| mode & bits))
            .times(times.map(|modified| (source.accessed.unwrap_or(modified), modified)))
    }

    /// Removes permissions that the owner of a part needed only to resume it.
    pub(super) async fn settle_mode(
        &self,
        source: &FileStat,
        part: &Part,
        options: &WriteOptions,
    ) -> Result<(), FileError> {
        let Some(mode) = self.made_with(source).filter(|mode| part.lasting && mode & OWN_FILE != OWN_FILE) else {
            return Ok(());
        };
        if options.changes.mode.is_some() {
            return Ok(());
        }
        self.narrow(&part.path, mode).await
    }

    /// Removes permissions from a new file that `mode` doesn't have; the umask is not known here.
    pub(super) async fn narrow(&self, path: &[u8], mode: u32) -> Result<(), FileError> {
        let Some(given) = self.target().stat(path).await?.mode else { return Ok(()) };
        let changes = FileChanges::default().mode(given & (mode | 0o7000));
        self.target().set_stat(path, &changes).await
    }

    /// A replaced file keeps its owner, where this user may give files away.
    pub(super) async fn keep_owner(&self, staged: &[u8], replaced: Option<&FileStat>) {
        let Some((uid, gid)) = replaced.and_then(|stat| Some((stat.uid?, stat.gid?))) else { return };
        let Ok(made) = self.target().lstat(staged).await else { return };
        if (made.uid, made.gid) != (Some(uid), Some(gid)) {
            let changes = FileChanges::default().owner((uid, gid)).mode(made.mode);
            if let Err(error) = self.target().set_stat(staged, &changes).await {
                tracing::debug!(%error, "keep the owner");
            }
        }
    }
}
