//! Failing and lying hosts.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use fabric_core::error::{FileError, FileErrorKind, SessionError};
use fabric_core::transport::{
    BoxStream, DirEntry, FileChanges, FileKind, FileStat, Files, OpenContext, Progress, SpawnRequest, WriteOptions,
};
use fabric_core::{ConnectError, Error, Process, Session, Target, Transport};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{listed, tree};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::local::LocalFiles;
use crate::transfer::Source;

/// Local files with faults.
struct Faulty {
    real: LocalFiles,
    /// Every listing contains these names too, as regular files and as directories.
    lies: Vec<(Vec<u8>, FileKind)>,
    /// Every read and write fails after this many bytes.
    cut_after: AtomicU64,
    /// Content is changed when it is read.
    garbles: bool,
    /// No part can be created, as in a directory that isn't writable.
    no_parts: bool,
    /// No part can replace a file, as in a sticky directory or at a mount.
    no_renames: bool,
    /// A write in place blocks before its end until the transfer is cancelled.
    stalls: Option<tokio::sync::Notify>,
    /// The same files over a further channel.
    further: Option<Arc<Faulty>>,
    /// The channel ends with this operation: it may be done or not, and the reply is lost.
    ends_at: Option<usize>,
    operations: AtomicUsize,
    /// Notified when a file was removed.
    removed: tokio::sync::Notify,
}

impl Faulty {
    fn new() -> Self {
        Self {
            real: LocalFiles::in_dir("/"),
            lies: Vec::new(),
            cut_after: AtomicU64::new(u64::MAX),
            garbles: false,
            no_parts: false,
            no_renames: false,
            stalls: None,
            further: None,
            ends_at: None,
            operations: AtomicUsize::new(0),
            removed: tokio::sync::Notify::new(),
        }
    }

    /// Whether the channel has ended, and whether it ended just now.
    fn ended(&self) -> Option<std::cmp::Ordering> {
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        self.ends_at.map(|at| operation.cmp(&at)).filter(|ended| ended.is_ge())
    }

    fn connect(self) -> (Connection, Arc<Self>) {
        let files = Arc::new(self);
        let connector = Connector::new().transport(Host(files.clone()));
        (Connection::builder("faulty://host").connector(connector).build().unwrap(), files)
    }
}

struct Host(Arc<Faulty>);

#[async_trait]
impl Transport for Host {
    #[allow(clippy::unnecessary_literal_bound)]
    fn name(&self) -> &str {
        "faulty"
    }

    async fn open(&self, _: &Target, _: Option<BoxStream>, _: &OpenContext) -> Result<Arc<dyn Session>, ConnectError> {
        Ok(Arc::new(Host(self.0.clone())))
    }
}

#[async_trait]
impl Session for Host {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        crate::local::LocalSession::here().spawn(request).await
    }

    async fn open_stream(&self, _: &str, _: u16) -> Result<BoxStream, SessionError> {
        Err(SessionError::Unsupported { what: "streams" })
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        Ok(self.0.clone())
    }

    fn is_open(&self) -> bool {
        true
    }

    async fn closed(&self) -> SessionError {
        std::future::pending().await
    }

    async fn close(&self) {}
}

#[async_trait]
impl Files for Faulty {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.real.stat(path).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.real.lstat(path).await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        self.real.set_stat(path, changes).await
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let mut entries = self.real.read_dir(path).await?;
        let stat = self.real.stat(path).await?;
        let lie = |(name, kind): &(Vec<u8>, FileKind)| DirEntry::new(name.clone(), stat.clone().kind(*kind).size(4));
        entries.extend(self.lies.iter().map(lie));
        Ok(entries)
    }

    async fn over_further_channel(&self) -> Option<Arc<dyn Files>> {
        self.further.clone().map(|files| files as _)
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        self.real.create_dir(path, mode).await
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.real.remove_file(path).await.inspect(|()| self.removed.notify_one())
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.real.remove_dir(path).await
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        if self.no_renames && self.real.lstat(to).await.is_ok() {
            return Err(FileError::new("rename", from, FileErrorKind::Failed("Device or resource busy".to_owned())));
        }
        match self.ended() {
            None => self.real.rename(from, to).await,
            Some(ended) => {
                if ended.is_eq() {
                    self.real.rename(from, to).await?;
                }
                Err(lost(from))
            }
        }
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        self.real.symlink(to, path).await
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.real.read_link(path).await
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.real.canonicalize(path).await
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let cut = self.cut_after.load(Ordering::Relaxed);
        if cut == u64::MAX && !self.garbles {
            return self.real.read_file(path, offset, sink, progress).await;
        }
        let mut content = Vec::new();
        self.real.read_file(path, offset, &mut content, &|_| ()).await?;
        if self.garbles {
            content = content.into_iter().map(|byte| byte ^ 1).collect();
        }
        let whole = content.len() as u64;
        content.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
        let local = |error: std::io::Error| FileError::new("read", path, FileErrorKind::Local(error.to_string()));
        sink.write_all(&content).await.map_err(local)?;
        sink.flush().await.map_err(local)?;
        progress(content.len() as u64);
        if whole > cut { Err(lost(path)) } else { Ok(whole) }
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        use tokio::io::AsyncReadExt as _;
        let ended = self.ended();
        if ended.is_some_and(std::cmp::Ordering::is_gt) {
            return Err(lost(path));
        }
        let is_part = crate::part_names::PartName::parse(crate::paths::base(path)).is_some();
        if self.no_parts && is_part {
            return Err(FileError::new("write", path, FileErrorKind::PermissionDenied));
        }
        let cut = if is_part && self.no_renames { u64::MAX } else { self.cut_after.load(Ordering::Relaxed) };
        if let (Some(stalled), false, Some(_)) = (&self.stalls, is_part, options.changes.size) {
            self.real.write_file(path, options, &mut source.take(2), progress).await?;
            stalled.notify_one();
            return std::future::pending().await;
        }
        let mut some = source.take(cut);
        let written = self.real.write_file(path, options, &mut some, progress).await?;
        if written == cut || ended.is_some() { Err(lost(path)) } else { Ok(written) }
    }
}

fn lost(path: &[u8]) -> FileError {
    let reason = "the network is gone".to_owned();
    FileError::new("transfer", path, FileErrorKind::Session(SessionError::Lost { reason }))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_name_that_a_host_lists_cannot_lead_out() {
    let mut faulty = Faulty::new();
    let names: [&[u8]; 7] = [b"../evil", b"..", b".", b"/etc/evil", b"a/b", b"", b"nul\0"];
    for name in names {
        faulty.lies.push((name.to_vec(), FileKind::File));
        faulty.lies.push((name.to_vec(), FileKind::Directory));
    }
    let (connection, _) = faulty.connect();
    let (there, here) = (tree(&["app/good", "app/sub/fine"]), tempfile::tempdir().unwrap());
    for (local, prefix) in [("in/app", ""), ("by/{path}", "app/")] {
        let error = connection.get(text(&there.path().join("app")), here.path().join(local)).await.unwrap_err();
        let Error::TransferIncomplete(outcome) = &error else { panic!("{error}") };
        assert_eq!((outcome.local.len(), outcome.failed.len()), (2, 2 * 2 * names.len()), "{prefix}");
        assert!(outcome.failed.iter().all(|(_, why)| why.contains("leads out")), "{error}");
    }
    let made = ["by/", "by/app/", "by/app/good", "by/app/sub/", "by/app/sub/fine"];
    let made = made.into_iter().chain(["in/", "in/app/", "in/app/good", "in/app/sub/", "in/app/sub/fine"]);
    assert_eq!(listed(here.path()), made.collect::<Vec<_>>());
    let warned = connection.get(text(&there.path().join("app")), here.path().join("w")).warn(true).await.unwrap();
    assert!(!warned.ok());
}

#[tokio::test]
async fn what_breaks_off_leaves_the_old_file_and_nothing_else() {
    let (connection, faulty) = Faulty::new().connect();
    let (there, here) = (tree(&["old", "new"]), tree(&["old", "new"]));
    faulty.cut_after.store(2, Ordering::Relaxed);
    connection.put(here.path().join("new"), text(&there.path().join("old"))).await.unwrap_err();
    connection.get(text(&there.path().join("new")), here.path().join("old")).await.unwrap_err();
    connection.get(text(&there.path().join("new")), here.path().join("deep/er/x")).await.unwrap_err();
    connection.put(Source::bytes("stream"), text(&there.path().join("old"))).await.unwrap_err();
    for dir in [&there, &here] {
        assert_eq!(listed(dir.path()), ["new", "old"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("old")).unwrap(), "old");
    }
}

#[tokio::test]
async fn a_transfer_goes_on_where_it_broke_off() {
    let (connection, faulty) = Faulty::new().connect();
    let (there, here) = (tree(&["content"]), tree(&["content"]));
    let (remote, local) = (text(&there.path().join("copy")), here.path().join("copy"));
    faulty.cut_after.store(3, Ordering::Relaxed);
    let put = || connection.put(here.path().join("content"), remote.clone()).resume(true).verify(true);
    let get = || connection.get(text(&there.path().join("content")), &local).resume(true).verify(true);
    put().await.unwrap_err();
    get().await.unwrap_err();
    let [part, content] = &listed(there.path())[..] else { panic!("{:?}", listed(there.path())) };
    assert!(crate::part_names::PartName::parse(part.as_bytes()).is_some_and(|part| part.of == b"copy"), "{part}");
    assert_eq!(content, "content");
    faulty.cut_after.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(put().await.unwrap().bytes, 4);
    assert_eq!(get().await.unwrap().bytes, 4);
    for dir in [&there, &here] {
        assert_eq!(listed(dir.path()), ["content", "copy"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("copy")).unwrap(), "content");
    }
}

#[tokio::test]
async fn a_copy_that_differs_is_found() {
    let mut faulty = Faulty::new();
    faulty.garbles = true;
    let (connection, _) = faulty.connect();
    let (there, here) = (tree(&["x"]), tempfile::tempdir().unwrap());
    let error = connection.get(text(&there.path().join("x")), here.path().join("x")).verify(true).await.unwrap_err();
    assert!(error.to_string().contains("the copy differs: SHA-256"), "{error}");
    assert!(listed(here.path()).is_empty());
}

#[tokio::test]
async fn one_file_that_fails_does_not_keep_the_others() {
    let (connection, _) = Faulty::new().connect();
    let (there, here) = (tree(&["to/b/"]), tree(&["from/a", "from/b", "from/c"]));
    let to = there.path().join("to");
    let error = connection.put(here.path().join("from/*"), text(&to)).await.unwrap_err();
    let Error::TransferIncomplete(outcome) = &error else { panic!("{error}") };
    assert_eq!((outcome.remote.len(), outcome.failed.len()), (2, 1));
    assert!(error.to_string().contains("1 of 3 files were not transferred"), "{error}");
    assert_eq!(listed(&to), ["a", "b/", "c"]);
}

#[tokio::test]
async fn a_transfer_that_is_given_up_is_taken_back() {
    let (connection, files) = Faulty::new().connect();
    let there = tempfile::tempdir().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64);
    let put = connection.put(Source::reader(theirs), text(&there.path().join("x")));
    let task = tokio::spawn(put.into_future());
    // More than fits into the pipe, so that a part of it has been consumed.
    ours.write_all(&[0; 1024]).await.unwrap();
    assert_eq!(listed(there.path()).len(), 1);
    task.abort();
    files.removed.notified().await;
    assert!(listed(there.path()).is_empty());
}

/// Hosts on which a file can be written but not replaced.
fn without_renames() -> [(Connection, Arc<Faulty>); 2] {
    [Faulty { no_parts: true, ..Faulty::new() }, Faulty { no_renames: true, ..Faulty::new() }].map(Faulty::connect)
}

#[tokio::test]
async fn what_cannot_be_replaced_is_written_in_place() {
    for (connection, _) in without_renames() {
        let (there, here) = (tree(&["app/a", "app/long"]), tree(&["app/a", "app/long", "x"]));
        let at = |name: &str| there.path().join(name);
        std::fs::write(at("app/a"), "old").unwrap();
        std::fs::write(at("app/long"), "what was there before is longer").unwrap();
        let inode = std::fs::metadata(at("app/a")).unwrap().ino();
        let put = || connection.put(here.path().join("app"), text(there.path())).verify(true);
        let error = put().atomic(true).await.unwrap_err();
        assert!(error.to_string().contains("which `atomic` rules out"), "{error}");
        assert_eq!(std::fs::read_to_string(at("app/a")).unwrap(), "old");
        let outcome = put().await.unwrap();
        assert_eq!(outcome.in_place, [text(&at("app/a")), text(&at("app/long"))]);
        assert_eq!(outcome.bytes, 13);
        let stream = connection.put(Source::bytes("a stream"), text(&at("app/a"))).await.unwrap();
        assert_eq!(stream.in_place, [text(&at("app/a"))]);
        assert_eq!(std::fs::read_to_string(at("app/a")).unwrap(), "a stream");
        assert_eq!(std::fs::read_to_string(at("app/long")).unwrap(), "app/long");
        assert_eq!(std::fs::metadata(at("app/a")).unwrap().ino(), inode);
        assert_eq!(listed(there.path()), ["app/", "app/a", "app/long"]);
    }
}

#[tokio::test]
async fn a_source_that_breaks_off_harms_nothing_that_would_be_written_in_place() {
    for (connection, _) in without_renames() {
        let there = tree(&["x"]);
        let broken = tokio_util::io::StreamReader::new(futures_util::stream::iter([
            Ok(bytes::Bytes::from_static(b"begun")),
            Err(std::io::Error::other("the disk is gone")),
        ]));
        let error = connection.put(Source::reader(broken), text(&there.path().join("x"))).await.unwrap_err();
        assert!(error.to_string().contains("the disk is gone"), "{error}");
        assert_eq!(std::fs::read_to_string(there.path().join("x")).unwrap(), "x");
        assert_eq!(listed(there.path()), ["x"]);
    }
}

#[tokio::test]
async fn what_breaks_off_in_place_says_that_it_may_be_incomplete() {
    for (connection, faulty) in without_renames() {
        let (there, here) = (tree(&["old"]), tree(&["new"]));
        faulty.cut_after.store(2, Ordering::Relaxed);
        let put = connection.put(here.path().join("new"), text(&there.path().join("old")));
        let error = put.await.unwrap_err();
        assert!(error.to_string().contains("written in place, so that it may be incomplete"), "{error}");
        assert_eq!(listed(there.path()), ["old"]);
    }
}

#[tokio::test]
async fn an_interrupt_while_a_file_is_written_in_place_says_so() {
    let stalls = Some(tokio::sync::Notify::new());
    let (connection, faulty) = Faulty { no_parts: true, stalls, ..Faulty::new() }.connect();
    let (there, here) = (tree(&["old"]), tree(&["new"]));
    let token = tokio_util::sync::CancellationToken::new();
    let connection = connection.with_interrupt(token.clone());
    let put = connection.put(here.path().join("new"), text(&there.path().join("old"))).into_future();
    let stalled = async {
        faulty.stalls.as_ref().unwrap().notified().await;
        token.cancel();
    };
    let error = tokio::join!(put, stalled).0.unwrap_err();
    assert!(error.to_string().contains("old: interrupted; it was being written in place"), "{error}");
    assert!(error.to_string().contains("may be incomplete"), "{error}");
}

#[tokio::test]
async fn a_part_that_is_elsewhere_and_cannot_be_renamed_is_made_beside() {
    let (connection, _) = Faulty { no_renames: true, ..Faulty::new() }.connect();
    let (there, here) = (tree(&["old", "temp/"]), tree(&["new"]));
    let put = connection.put(here.path().join("new"), text(&there.path().join("old")));
    put.temp_dir(text(&there.path().join("temp"))).await.unwrap();
    assert_eq!(std::fs::read_to_string(there.path().join("old")).unwrap(), "new");
    assert_eq!(listed(there.path()), ["old", "temp/"]);
}

#[tokio::test]
async fn devices_pipes_and_sockets_are_no_files() {
    let (connection, _) = Faulty::new().connect();
    let (there, here) = (tree(&["app/a"]), tempfile::tempdir().unwrap());
    let fifo = there.path().join("app/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    std::os::unix::fs::symlink(&fifo, there.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(there.path().join("app/socket")).unwrap();
    for special in ["app/fifo", "link", "app/socket"]
        .map(|name| text(&there.path().join(name)))
        .iter()
        .chain([&"/dev/zero".to_owned()])
    {
        let error = connection.get(special.as_str(), here.path().join("x")).await.unwrap_err();
        assert!(error.to_string().contains("neither a file nor a directory"), "{error}");
        let error = connection.put(special, text(&there.path().join("x"))).await.unwrap_err();
        assert!(error.to_string().contains("neither a file nor a directory"), "{error}");
    }
    assert!(listed(here.path()).is_empty());
    let error = connection.get(text(&there.path().join("app")), here.path().join("x")).await.unwrap_err();
    let Error::TransferIncomplete(outcome) = &error else { panic!("{error}") };
    assert_eq!((outcome.local.len(), outcome.failed.len()), (1, 2));
    assert_eq!(listed(here.path()), ["x/", "x/a"]);
}

/// The further channel ends with a write, or with a rename, and the replies are lost.
#[tokio::test]
async fn many_files_are_whole_though_their_further_channel_ends() {
    let names: Vec<String> = (0..600).map(|number| format!("f{number:03}")).collect();
    let source = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut used = Vec::new();
    for ends_at in [Some(0), Some(1), Some(200), Some(201), Some(222), None] {
        let further = Arc::new(Faulty { ends_at, ..Faulty::new() });
        let (connection, _) = Faulty { further: Some(further.clone()), ..Faulty::new() }.connect();
        let to = tempfile::tempdir().unwrap();
        let done = connection.put(source.path(), format!("{}/", to.path().display())).await.unwrap();
        assert_eq!((done.remote.len(), done.failed.len()), (600, 0), "{ends_at:?}");
        let target = to.path().join(source.path().file_name().unwrap());
        assert_eq!(listed(&target), names, "{ends_at:?}");
        for name in &names {
            assert_eq!(std::fs::read_to_string(target.join(name)).unwrap(), *name);
        }
        used.push(further.operations.load(Ordering::Relaxed));
    }
    assert!(used.iter().all(|operations| *operations > 0), "{used:?}");

    // A few files aren't worth a channel.
    let further = Arc::new(Faulty::new());
    let (connection, _) = Faulty { further: Some(further.clone()), ..Faulty::new() }.connect();
    let (few, to) = (tree(&["a", "b"]), tempfile::tempdir().unwrap());
    connection.put(few.path(), format!("{}/", to.path().display())).await.unwrap();
    assert_eq!(further.operations.load(Ordering::Relaxed), 0);
}
