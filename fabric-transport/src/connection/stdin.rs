//! The standard input of a command: the caller's input, the answers of watchers, and end-of-file.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use fabric_core::event::{EventKind, Output};
use fabric_core::outcome::Stream;
use fabric_core::{Emitter, Secret};
use rustix::event::{PollFd, PollFlags};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::mpsc;

/// How much input is read at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// The end-of-file character of a terminal (VEOF, termios(3)).
const END_OF_TRANSMISSION: &[u8] = &[4];

/// Where the standard input of a command comes from.
#[derive(Default)]
#[non_exhaustive]
pub enum Stdin {
    /// None: the command finds end-of-file. The default.
    #[default]
    None,
    /// The standard input of this program.
    Inherit,
    /// These bytes.
    Bytes(Bytes),
    /// A handle, from [`Running::take_stdin`](super::Running::take_stdin). Without [`start`](super::CommandRequest::start) it
    /// is empty.
    Handle,
    /// From this reader.
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    /// Keys that the user types while the command runs.
    Keyboard(Arc<dyn Keyboard>),
}

/// The keys of a terminal.
pub trait Keyboard: Send + Sync {
    /// What is typed from now on, for a command with or without a pseudo-terminal: with one, each key, which the command
    /// also echoes; without one, whole lines. It ends at Ctrl-D. Dropping the reader returns the keys. `None` if there are
    /// no keys.
    fn open(&self, pty: bool) -> Option<Box<dyn AsyncRead + Send + Unpin>>;
}

impl Stdin {
    /// From `reader`.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::Reader(Box::new(reader))
    }

    /// The content of a file. The content of a pipe or device is for one command; [`SharedInput::file`] keeps it for more.
    ///
    /// # Errors
    ///
    /// The file can't be read.
    ///
    /// [`SharedInput::file`]: super::SharedInput::file
    pub async fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = tokio::fs::File::open(path).await?;
        if file.metadata().await?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::reader(file))
    }

    /// Whether this program's standard input is a file that isn't empty, or a pipe or socket with unread data.
    pub fn has_something() -> bool {
        use rustix::fs::FileType;
        let stat = rustix::fs::fstat(rustix::stdio::stdin());
        let is_file = |stat: &rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        stat.is_ok_and(|stat| is_file(&stat) && stat.st_size > 0) || Self::waiting() > 0
    }

    /// Whether this is the file that is this program's standard input.
    pub fn is_inherited(about: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let own = rustix::stdio::stdin().try_clone_to_owned().and_then(|own| std::fs::File::from(own).metadata());
        own.is_ok_and(|own| (own.dev(), own.ino()) == (about.dev(), about.ino()))
    }

    /// How many unread bytes are in the pipe or socket that is this program's standard input; 0 for others.
    pub fn waiting() -> u64 {
        use rustix::fs::FileType;
        let stdin = rustix::stdio::stdin();
        let kind = rustix::fs::fstat(stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Fifo | FileType::Socket) => rustix::io::ioctl_fionread(stdin).unwrap_or_default(),
            _ => 0,
        }
    }

    /// The reader, for a command with a pseudo-terminal or without; `None` for no input.
    pub(super) fn into_reader(self, pty: bool) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
        match self {
            Self::None | Self::Handle => None,
            Self::Inherit => inherited(),
            Self::Bytes(bytes) => Some(Box::new(io::Cursor::new(bytes))),
            Self::Reader(reader) => Some(reader),
            Self::Keyboard(keyboard) => keyboard.open(pty),
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Inherit => "Inherit",
            Self::Handle => "Handle",
            Self::Bytes(_) => "Bytes(..)",
            Self::Reader(_) => "Reader(..)",
            Self::Keyboard(_) => "Keyboard(..)",
        })
    }
}

impl From<Bytes> for Stdin {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Stdin {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Stdin {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

/// A copy of them: they need not live as long as the command.
impl From<&[u8]> for Stdin {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

/// A copy of them.
impl<const N: usize> From<&[u8; N]> for Stdin {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

/// A copy of it.
impl From<&str> for Stdin {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

/// A copy of it.
impl From<&String> for Stdin {
    fn from(text: &String) -> Self {
        Self::from(text.as_bytes())
    }
}

/// A message from the output side to the input side.
pub(super) enum Feed {
    /// Write this now.
    Answer(Bytes),
    /// Write this and a line end now.
    Password(Secret),
    /// `sudo` has finished reading: the caller's input may be written.
    Open,
}

/// The options of [`pump`].
pub(super) struct PumpOptions {
    /// Whether the caller's input has to wait for [`Feed::Open`].
    pub(super) gated: bool,
    /// Whether to keep the input open: watchers may answer while the command runs.
    pub(super) keep_open: bool,
    /// Whether the command has a terminal, where end-of-file is a character.
    pub(super) pty: bool,
    /// Where the caller's input is shown.
    pub(super) echo: Option<Emitter>,
}

/// Writes the caller's input and the answers to the command while it reads; an error if the input can't be read.
pub(super) async fn pump(
    mut stdin: Box<dyn AsyncWrite + Send + Unpin>,
    source: Stdin,
    mut feed: mpsc::UnboundedReceiver<Feed>,
    options: PumpOptions,
) -> io::Result<()> {
    let PumpOptions { mut gated, keep_open, pty, echo } = options;
    let mut source = source.into_reader(pty);
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let mut ended = false;
    let mut at_line_start = true;
    loop {
        if source.is_none() && !gated && !keep_open && !ended {
            ended = true;
            let end = match (pty, at_line_start) {
                (true, true) => stdin.write_all(END_OF_TRANSMISSION).await,
                // The first one only ends the line so far (termios(3)).
                (true, false) => stdin.write_all(&END_OF_TRANSMISSION.repeat(2)).await,
                (false, _) => stdin.shutdown().await,
            };
            if end.is_err() || stdin.flush().await.is_err() || !pty {
                return Ok(());
            }
        }
        let read = async {
            match &mut source {
                Some(reader) => reader.read_buf(&mut buffer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = feed.recv() => {
                let written = match order {
                    Some(Feed::Answer(bytes)) => stdin.write_all(&bytes).await,
                    Some(Feed::Password(password)) => match stdin.write_all(password.expose().as_bytes()).await {
                        Ok(()) => stdin.write_all(b"\n").await,
                        failed => failed,
                    },
                    Some(Feed::Open) => { gated = false; Ok(()) }
                    None => return Ok(()),
                };
                if written.is_err() || stdin.flush().await.is_err() {
                    return Ok(());
                }
            }
            count = read, if !gated => {
                if count? == 0 {
                    source = None;
                    continue;
                }
                let bytes = buffer.split().freeze();
                buffer.reserve(CHUNK);
                at_line_start = bytes.ends_with(b"\n");
                // The command may end without reading everything.
                if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                    return Ok(());
                }
                if let Some(echo) = &echo {
                    let partial = !at_line_start;
                    echo.emit(EventKind::Output(Output::new(Stream::Stdout, bytes).partial(partial)));
                }
            }
        }
    }
}

/// The standard input of this program; `None` if it is empty.
pub(super) fn inherited() -> Option<Box<dyn AsyncRead + Send + Unpin>> {
    if is_null() { None } else { waited_for(|| Ok(rustix::stdio::stdin())) }
}

/// The content of a pipe or device at a path.
pub(super) fn pipe(path: PathBuf) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
    // A named pipe is open once it has a writer.
    waited_for(move || std::fs::File::open(path))
}

/// A reader of a file that may block.
///
/// A thread waits for data and reads only what is available and asked for. So it ends with the command, and takes no input
/// of a later command except what was typed while this one ran.
fn waited_for<F: AsFd>(
    open: impl FnOnce() -> io::Result<F> + Send + 'static,
) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
    let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).ok()?;
    let (send, receive) = mpsc::unbounded_channel();
    let (ask, asked) = std::sync::mpsc::channel();
    let read = move || {
        let mut buffer = vec![0; CHUNK];
        let opened = open();
        while let Ok(()) = asked.recv() {
            let read = match &opened {
                Ok(source) => read_unless(&stopped, source.as_fd(), &mut buffer),
                Err(error) => Some(Err(io::Error::new(error.kind(), error.to_string()))),
            };
            let Some(read) = read else { break };
            if send.send(read.map(|count| Bytes::copy_from_slice(&buffer[..count]))).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read).ok()?;
    Some(Box::new(Inherited { ask, asked: false, receive, rest: Bytes::new(), _stop: stop }))
}

/// Waits for input and reads it; `None` if it was stopped before.
fn read_unless(stopped: &OwnedFd, source: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<io::Result<usize>> {
    loop {
        let mut ready = [PollFd::from_borrowed_fd(source, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match rustix::event::poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Some(Err(error.into())),
            Ok(_) if !ready[1].revents().is_empty() => return None,
            Ok(_) => {}
        }
        match rustix::io::read(source, &mut *buffer) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            read => return Some(read.map_err(io::Error::from)),
        }
    }
}

/// Whether it is `/dev/null`, which programs that are started by others often have.
fn is_null() -> bool {
    let null = rustix::fs::stat("/dev/null").map(|null| null.st_rdev);
    null.is_ok() && rustix::fs::fstat(rustix::stdio::stdin()).map(|stdin| stdin.st_rdev) == null
}

struct Inherited {
    ask: std::sync::mpsc::Sender<()>,
    /// Whether the thread was asked and has not answered.
    asked: bool,
    receive: mpsc::UnboundedReceiver<io::Result<Bytes>>,
    rest: Bytes,
    /// Dropping it wakes the thread up.
    _stop: OwnedFd,
}

impl AsyncRead for Inherited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            if !self.asked {
                self.asked = self.ask.send(()).is_ok();
            }
            let read = std::task::ready!(self.receive.poll_recv(cx));
            self.asked = false;
            self.rest = read.transpose()?.unwrap_or_default();
        }
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}
