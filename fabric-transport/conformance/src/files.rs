//! Files: content, names, directories, renames, errors.

use std::sync::Arc;

use fabric_core::transport::{FileChanges, FileKind, WriteOptions};
use fabric_core::{FileErrorKind, Files, Session};

use super::{Failure, ensure, run_line};

/// A fresh directory on the host, removed by [`Place::remove`].
struct Place {
    session: Arc<dyn Session>,
    files: Arc<dyn Files>,
    dir: String,
}

impl Place {
    async fn new(session: Arc<dyn Session>) -> Result<Self, Failure> {
        let said = run_line(&session, "mktemp -d").await?;
        // Start-up files may have printed something before.
        let dir = said.stdout().trim().lines().last().unwrap_or_default().to_owned();
        ensure!(dir.starts_with('/'), "mktemp: {said:?}");
        let files = session.files().await.map_err(|error| format!("no files: {error}"))?;
        Ok(Self { session, files, dir })
    }

    fn path(&self, name: &[u8]) -> Vec<u8> {
        [self.dir.as_bytes(), b"/", name].concat()
    }

    async fn write(&self, name: &[u8], content: &[u8]) -> Result<u64, Failure> {
        let mut source = content;
        let written = self.files.write_file(&self.path(name), &WriteOptions::default(), &mut source, &|_| {}).await;
        written.map_err(text)
    }

    async fn read(&self, name: &[u8], offset: u64) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        self.files.read_file(&self.path(name), offset, &mut content, &|_| {}).await.map_err(text)?;
        Ok(content)
    }

    async fn remove(self) -> Result<(), Failure> {
        run_line(&self.session, &format!("rm -rf {}", self.dir)).await.map(drop)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: fabric_core::FileError) -> Failure {
    error.to_string()
}

pub(super) async fn content_survives(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(40_503) >> 7) as u8).collect();
    for content in [&b""[..], b"x", b"line\r\n\0\xff", &large] {
        let written = place.write(b"file", content).await?;
        ensure!(written == content.len() as u64, "{written} bytes written of {}", content.len());
        let read = place.read(b"file", 0).await?;
        ensure!(read == content, "{} bytes came back of {}, or others", read.len(), content.len());
    }
    ensure!(place.read(b"file", 2_999_990).await? == large[2_999_990..], "reading from the middle");
    let at = WriteOptions::default().offset(3_000_000).truncate(false);
    place.files.write_file(&place.path(b"file"), &at, &mut &b"more"[..], &|_| {}).await.map_err(text)?;
    let stat = place.files.stat(&place.path(b"file")).await.map_err(text)?;
    ensure!(stat.size == Some(3_000_004) && stat.kind == FileKind::File, "{stat:?}");
    ensure!(place.read(b"file", 2_999_999).await?[1..] == *b"more", "writing from the end on");
    place.remove().await
}

pub(super) async fn any_name_survives(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    for name in [&b"plain"[..], b"with space", b"-dash", b"quote'\"$x`", b"line\nend", b"latin-\xe9", b"*"] {
        place.write(name, name).await?;
        ensure!(place.read(name, 0).await? == name, "{:?}", String::from_utf8_lossy(name));
        place.files.remove_file(&place.path(name)).await.map_err(text)?;
    }
    place.remove().await
}

pub(super) async fn directories_are_listed(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    place.files.create_dir(&place.path(b"sub"), None).await.map_err(text)?;
    for name in [&b"b"[..], b".hidden", b"a\xe9"] {
        place.write(&[b"sub/", name].concat(), b"12345").await?;
    }
    place.files.create_dir(&place.path(b"sub/dir"), None).await.map_err(text)?;
    let mut entries = place.files.read_dir(&place.path(b"sub")).await.map_err(text)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = entries.iter().map(|entry| (&entry.name[..], entry.stat.kind)).collect();
    let expected = [
        (&b".hidden"[..], FileKind::File),
        (b"a\xe9", FileKind::File),
        (b"b", FileKind::File),
        (b"dir", FileKind::Directory),
    ];
    ensure!(seen == expected, "{seen:?}");
    place.files.remove_dir(&place.path(b"sub/dir")).await.map_err(text)?;
    ensure!(place.files.remove_dir(&place.path(b"sub")).await.is_err(), "a directory that is not empty was removed");
    place.remove().await
}

pub(super) async fn a_rename_replaces(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    place.write(b"old", b"old").await?;
    place.write(b"new", b"new").await?;
    place.files.rename(&place.path(b"new"), &place.path(b"old")).await.map_err(text)?;
    ensure!(place.read(b"old", 0).await? == b"new", "the old content is still there");
    ensure!(place.files.stat(&place.path(b"new")).await.is_err(), "the new name is still there");
    place.remove().await
}

pub(super) async fn what_is_not_there_is_not_found(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    let path = place.path(b"missing");
    let kinds = [
        place.files.stat(&path).await.map(drop),
        place.files.read_dir(&path).await.map(drop),
        place.files.remove_file(&path).await,
        place.files.read_file(&path, 0, &mut Vec::new(), &|_| {}).await.map(drop),
        place
            .files
            .write_file(&place.path(b"missing/x"), &WriteOptions::default(), &mut &b""[..], &|_| {})
            .await
            .map(drop),
    ];
    for (at, outcome) in kinds.into_iter().enumerate() {
        let found = outcome.as_ref().err().map(|error| &error.kind);
        ensure!(found == Some(&FileErrorKind::NotFound), "operation {at}: {outcome:?}");
    }
    place.write(b"there", b"").await?;
    let exclusive = WriteOptions::default().exclusive(true);
    let again = place.files.write_file(&place.path(b"there"), &exclusive, &mut &b""[..], &|_| {}).await;
    ensure!(again.is_err(), "an existing file was written exclusively");
    place.remove().await
}

pub(super) async fn modes_and_links_are_kept(session: Arc<dyn Session>) -> Result<(), Failure> {
    let place = Place::new(session).await?;
    place.write(b"file", b"x").await?;
    let changes = FileChanges::default().mode(0o640);
    place.files.set_stat(&place.path(b"file"), &changes).await.map_err(text)?;
    let stat = place.files.stat(&place.path(b"file")).await.map_err(text)?;
    ensure!(stat.mode.map(|mode| mode & 0o7777) == Some(0o640), "{stat:?}");
    place.files.symlink(b"file", &place.path(b"link")).await.map_err(text)?;
    let to = place.files.read_link(&place.path(b"link")).await.map_err(text)?;
    ensure!(to == b"file", "the link points to {:?}", String::from_utf8_lossy(&to));
    let link = place.files.lstat(&place.path(b"link")).await.map_err(text)?;
    ensure!(link.kind == FileKind::Symlink, "{link:?}");
    let through = place.files.stat(&place.path(b"link")).await.map_err(text)?;
    ensure!(through.kind == FileKind::File, "{through:?}");
    let whole = place.files.canonicalize(&place.path(b"link")).await.map_err(text)?;
    ensure!(whole.ends_with(b"/file") && whole.starts_with(b"/"), "{:?}", String::from_utf8_lossy(&whole));
    place.remove().await
}
