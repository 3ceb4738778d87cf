//! This machine's side of a transfer.

use std::ffi::OsStr;
use std::io::{self, Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fabric_core::error::{FileError, FileErrorKind};
use fabric_core::transport::{Files, WriteOptions};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt as _, Chain, Empty};
use tokio::task::JoinHandle;
use tokio_util::either::Either;

use crate::local::{LocalFiles, change, open_to_write};

/// How much of a local file is read or written at once.
const CHUNK: usize = 1024 * 1024;

/// Smaller files are read or written in one step.
pub(super) const SMALL: usize = 64 * 1024;

/// All files of this machine, by absolute paths.
pub(super) fn files() -> LocalFiles {
    LocalFiles::in_dir("/")
}

pub(super) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

pub(super) fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// A file that is being read.
pub(super) type Source = Chain<Cursor<Box<[u8]>>, Either<File, Empty>>;

/// Opens a file to be read from `offset` on. A small one is read in one step, which needs a blocking thread only once.
pub(super) async fn open_to_read(at: &[u8], offset: u64) -> Result<Source, FileError> {
    let path = path(at);
    let open = move || open(&path, offset, &mut Vec::with_capacity(SMALL));
    let opened = tokio::task::spawn_blocking(open).await.map_err(io::Error::other).flatten();
    opened.map(Opened::source).map_err(|error| failed("read", at, &error))
}

/// Opens several files to be read from their beginning, in one step on a blocking thread.
pub(super) async fn open_all_to_read(all: &[&[u8]]) -> Vec<Result<Source, FileError>> {
    let paths: Vec<PathBuf> = all.iter().map(|at| path(at)).collect();
    let open = move || {
        let mut room = Vec::with_capacity(SMALL);
        paths.iter().map(|path| open(path, 0, &mut room)).collect::<Vec<_>>()
    };
    let lost = |error: tokio::task::JoinError| {
        let text = error.to_string();
        all.iter().map(|_| Err(io::Error::other(text.clone()))).collect()
    };
    let opened = tokio::task::spawn_blocking(open).await.unwrap_or_else(lost);
    let opened = all.iter().zip(opened);
    opened.map(|(at, one)| one.map(Opened::source).map_err(|error| failed("read", at, &error))).collect()
}

/// The beginning of a file, and the file if there may be more.
struct Opened(Box<[u8]>, Option<std::fs::File>);

/// `room` has room for what is read at once, and may be used again.
fn open(path: &Path, offset: u64, room: &mut Vec<u8>) -> io::Result<Opened> {
    let mut file = std::fs::File::open(path)?;
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    room.clear();
    (&file).take(SMALL as u64).read_to_end(room)?;
    let rest = (room.len() == SMALL).then_some(file);
    // Of its own size, since those that are opened ahead wait.
    Ok(Opened(room[..].into(), rest))
}

impl Opened {
    fn source(self) -> Source {
        let rest = match self.1 {
            Some(file) => {
                let mut file = File::from_std(file);
                file.set_max_buf_size(CHUNK);
                Either::Left(file)
            }
            None => Either::Right(tokio::io::empty()),
        };
        AsyncReadExt::chain(Cursor::new(self.0), rest)
    }
}

/// A file that is written. A small one is created and written in one step, once its content is complete, for the same
/// reason.
pub(super) struct Sink<'a> {
    at: &'a [u8],
    options: &'a WriteOptions,
    state: SinkState,
}

enum SinkState {
    /// The content so far.
    Small(Vec<u8>),
    Opening(JoinHandle<io::Result<std::fs::File>>),
    Large(File),
}

impl<'a> Sink<'a> {
    pub(super) fn new(at: &'a [u8], options: &'a WriteOptions) -> Self {
        Self { at, options, state: SinkState::Small(Vec::new()) }
    }

    /// Creates the file, with the content so far.
    fn begin(&mut self) -> impl FnOnce() -> io::Result<std::fs::File> + Send + use<> {
        let head = match &mut self.state {
            SinkState::Small(head) => std::mem::take(head),
            _ => Vec::new(),
        };
        let (path, options) = (path(self.at), self.options.clone());
        move || {
            let mut file = open_to_write(&path, &options)?;
            file.write_all(&head)?;
            Ok(file)
        }
    }

    /// The file, once it is open.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut File>> {
        if let SinkState::Small(_) = &self.state {
            self.state = SinkState::Opening(tokio::task::spawn_blocking(self.begin()));
        }
        if let SinkState::Opening(opening) = &mut self.state {
            let opened = ready!(Pin::new(opening).poll(cx)).map_err(io::Error::other).flatten();
            // After an error it is not used again.
            self.state = SinkState::Small(Vec::new());
            let mut file = File::from_std(opened?);
            file.set_max_buf_size(CHUNK);
            self.state = SinkState::Large(file);
        }
        match &mut self.state {
            SinkState::Large(file) => Poll::Ready(Ok(file)),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Writes the rest, and applies the final changes of `options`.
    pub(super) async fn finish(mut self) -> Result<(), FileError> {
        let at = self.at;
        let finish = async {
            let (path, options) = (path(at), self.options.clone());
            let end = move |file: std::fs::File| {
                if options.sync {
                    file.sync_all()?;
                }
                drop(file);
                change(&path, &options.changes)
            };
            let work: Box<dyn FnOnce() -> io::Result<()> + Send> = if let SinkState::Small(_) = self.state {
                let begin = self.begin();
                Box::new(move || end(begin()?))
            } else {
                self.flush().await?;
                let SinkState::Large(file) = self.state else { return Err(io::ErrorKind::BrokenPipe.into()) };
                let file = file.into_std().await;
                Box::new(move || end(file))
            };
            tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
        };
        finish.await.map_err(|error| failed("write", at, &error))
    }
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // A file that can be resumed must exist after an interruption.
        let may_wait = !self.options.in_order;
        if let SinkState::Small(head) = &mut self.state
            && may_wait
            && head.len() + buf.len() < SMALL
        {
            head.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(ready!(self.poll_open(cx))?).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.state {
            SinkState::Small(_) => Poll::Ready(Ok(())),
            _ => Pin::new(ready!(self.poll_open(cx))?).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

pub(super) fn failed(what: &'static str, at: &[u8], error: &io::Error) -> FileError {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FileErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => FileErrorKind::PermissionDenied,
        std::io::ErrorKind::AlreadyExists => FileErrorKind::Exists,
        _ => FileErrorKind::Local(error.to_string()),
    };
    FileError::new(what, at, kind)
}

/// Directories that were created for a transfer, to be removed if they stay empty.
#[derive(Default)]
pub(super) struct MadeDirs {
    made: Vec<Vec<u8>>,
}

impl MadeDirs {
    /// Creates a directory and missing ones above it.
    pub(super) async fn make(&mut self, files: &dyn Files, dir: &[u8]) -> Result<(), FileError> {
        let mut missing = Vec::new();
        let mut at = dir;
        while let Err(FileError { kind: FileErrorKind::NotFound, .. }) = files.stat(at).await {
            missing.push(at);
            let above = crate::paths::parent(at);
            if above == at || above == b"." {
                break;
            }
            at = above;
        }
        for dir in missing.into_iter().rev() {
            match files.create_dir(dir, None).await {
                Ok(()) => self.made.push(dir.to_vec()),
                // It was created meanwhile.
                Err(_) if files.stat(dir).await.is_ok() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes the empty ones.
    pub(super) async fn undo(self, files: &dyn Files) {
        for dir in self.made.iter().rev() {
            if files.remove_dir(dir).await.is_err() {
                break;
            }
        }
    }
}
