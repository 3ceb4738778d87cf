//! The traits behind which a host is reached.
//!
//! ```text
//! Transport --open--> Session --spawn-------> Process (stdin, output, control)
//!                            --open_stream--> ByteStream to a host and port beyond
//!                            --listen-------> Listener of streams from the far side
//!                            --files--------> Files
//! ```
//!
//! All are object safe: SSH, this machine, a plugin and a double in a test are transports alike, and the
//! layers above cannot tell which one they have. Futures may be dropped at any time; what was under way
//! is then given up and whatever it held on the far side is released.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{ConnectError, FileError, SessionError};
use crate::event::Emitter;
use crate::outcome::ExitStatus;
use crate::prompt::Prompter;
use crate::target::Target;

/// Bytes both ways: a socket, a tunnel through a gateway, the pipes of a ProxyCommand.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> ByteStream for T {}

/// A [`ByteStream`] whose type does not matter.
pub type BoxStream = Box<dyn ByteStream>;

/// Whom a transport turns to while it opens a session.
#[derive(Clone)]
pub struct OpenContext {
    /// Who answers questions: passwords, passphrases, unknown host keys.
    pub prompter: Arc<dyn Prompter>,
    /// Gets the events.
    pub events: Emitter,
}

impl fmt::Debug for OpenContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenContext").finish_non_exhaustive()
    }
}

/// How sessions with targets are opened: `ssh`, `local`, or a plugin's way.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Its name, as in a host string's scheme and in the `transport` setting.
    fn name(&self) -> &str;

    /// Opens a session with `target`.
    ///
    /// `stream` is what the target's gateway yielded; without a gateway it is `None`, and the transport
    /// dials by itself. All of the target's timeouts are the transport's to keep, each with its
    /// [`Phase`](crate::Phase) in the error.
    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        (**self).open(target, stream, context).await
    }
}

/// An open transport to one host.
#[async_trait]
pub trait Session: Send + Sync {
    /// Starts a process.
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError>;

    /// Opens a stream from the host to `host:port`; the name is resolved on the host (RFC 4254, section
    /// 7.2). This is what jump hosts and local forwards run on.
    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError>;

    /// Opens a stream from the host to a unix socket there (`direct-streamlocal@openssh.com`).
    async fn open_unix_stream(&self, path: &[u8]) -> Result<BoxStream, SessionError> {
        let _ = path;
        Err(SessionError::Unsupported { what: "streams to unix sockets" })
    }

    /// Listens on the host and yields each connection made there (RFC 4254, section 7.1).
    async fn listen(&self, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
        let _ = at;
        Err(SessionError::Unsupported { what: "listening on the host" })
    }

    /// The host's files. Calls may share one channel.
    async fn files(&self) -> Result<Arc<dyn Files>, SessionError>;

    /// Whether the session still stands, as far as this side can know without asking.
    fn is_open(&self) -> bool;

    /// Whether it works only while the runtime runs in which it was opened, because tasks there move its bytes. Default: yes.
    fn needs_its_runtime(&self) -> bool {
        true
    }

    /// Waits until the session has ended, and says why.
    async fn closed(&self) -> SessionError;

    /// Ends the session and what runs on it. Closing twice is closing once.
    async fn close(&self);
}

/// Where a [`Session`] listens on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port; port 0 lets the host choose.
    Tcp {
        /// `""` is all interfaces, `localhost` the loopback ones (RFC 4254, section 7.1).
        host: String,
        /// The port, or 0.
        port: u16,
    },
    /// A unix socket (`streamlocal-forward@openssh.com`).
    Unix {
        /// Its path.
        path: Vec<u8>,
    },
}

/// What listens on a host until it is dropped or closed.
#[async_trait]
pub trait Listener: Send + Sync {
    /// The port in use; 0 for a unix socket.
    fn port(&self) -> u16;

    /// The next connection; `None` once the listener or its session has ended.
    async fn accept(&mut self) -> Option<BoxStream>;

    /// Stops listening.
    async fn close(&mut self);
}

/// What process to start and with what around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpawnRequest {
    /// What to run.
    pub program: Program,
    /// A pseudo-terminal, if one is wanted.
    pub pty: Option<PtyRequest>,
    /// Variables sent beside the command (RFC 4254, section 6.4); the host may drop them. What must
    /// arrive is part of the rendered command instead.
    pub env: Vec<(String, Vec<u8>)>,
    /// Whether the user's agent may be reached from this process.
    pub forward_agent: bool,
    /// Whether the command is for a Bourne shell whatever the login shell is
    /// ([`Rendered::is_for_bourne`](crate::command::Rendered::is_for_bourne)). Transports whose commands are read by
    /// `/bin/sh` have nothing to do for it.
    pub for_bourne: bool,
}

/// What a process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Program {
    /// The user's login shell, interactively.
    #[default]
    Shell,
    /// A rendered command.
    Command(Vec<u8>),
    /// A subsystem by name (`sftp`).
    Subsystem(String),
}

/// The pseudo-terminal of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtyRequest {
    /// The terminal's type, `$TERM`.
    pub term: String,
    /// Its size.
    pub size: WindowSize,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

impl Default for WindowSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// A running process. Dropping it gives it up: its channel is closed, which a process without a terminal
/// may well survive; see [`ProcessControl::stop`].
pub struct Process {
    /// Its standard input; shutting it down sends end-of-file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its output, and at last how it ended.
    pub output: Box<dyn ProcessOutput>,
    /// Signals, window size, stopping.
    pub control: Arc<dyn ProcessControl>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// The next piece of output or the exit status; `None` after the last one.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        std::future::poll_fn(|cx| self.output.poll_next(cx)).await
    }
}

/// What comes out of a process, in the order in which it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// Bytes of standard output.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// How it ended. Output may still follow: only `None` is the end.
    Exit(ExitStatus),
    /// The session broke: the process may run on, and what it printed last may be missing. After
    /// [`Exit`](Self::Exit), only the latter.
    Lost(SessionError),
}

/// The output side of a [`Process`].
///
/// What is not taken is kept in a bounded store; when that is full, the host is no longer read from.
pub trait ProcessOutput: Send {
    /// The next event, or `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>>;
}

/// The control side of a [`Process`].
#[async_trait]
pub trait ProcessControl: Send + Sync {
    /// Sends a signal. Over SSH there is no answer to it, and servers may ignore it.
    async fn signal(&self, signal: Signal) -> Result<(), SessionError>;

    /// Tells the new size of the local terminal.
    async fn resize(&self, size: WindowSize) -> Result<(), SessionError>;

    /// Ends the process and its group at once, without waiting for anything, where the transport can; says whether it
    /// can. It is for who is dropped, and can't wait. Default: it can't.
    fn kill(&self) -> bool {
        false
    }

    /// The process is to outlive its session, if the transport allows it: closing that doesn't end it.
    fn disown(&self) {}

    /// Ends the process and its group: TERM, then KILL after `grace`, by every way the transport has, and
    /// says what came of it. The output goes on until its own end.
    async fn stop(&self, grace: Duration) -> StopOutcome;
}

/// What came of stopping a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopOutcome {
    /// It has ended.
    Ended,
    /// It may still be running; the text says why it could not be ended or checked.
    Unknown(String),
}

/// A signal by its name without `SIG` (RFC 4254, section 6.10).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Abnormal termination.
    Abrt,
    /// Alarm.
    Alrm,
    /// Arithmetic error.
    Fpe,
    /// Hang-up.
    Hup,
    /// Illegal instruction.
    Ill,
    /// Interrupt, as of Ctrl-C.
    Int,
    /// The one that cannot be caught.
    Kill,
    /// Broken pipe.
    Pipe,
    /// Quit.
    Quit,
    /// Segmentation fault.
    Segv,
    /// Termination.
    Term,
    /// The first of the user's own.
    Usr1,
    /// The second of the user's own.
    Usr2,
    /// Any other, by its name.
    Other(String),
}

impl Signal {
    const TABLE: [(Self, &'static str, u8); 13] = [
        (Self::Abrt, "ABRT", 6),
        (Self::Alrm, "ALRM", 14),
        (Self::Fpe, "FPE", 8),
        (Self::Hup, "HUP", 1),
        (Self::Ill, "ILL", 4),
        (Self::Int, "INT", 2),
        (Self::Kill, "KILL", 9),
        (Self::Pipe, "PIPE", 13),
        (Self::Quit, "QUIT", 3),
        (Self::Segv, "SEGV", 11),
        (Self::Term, "TERM", 15),
        (Self::Usr1, "USR1", 10),
        (Self::Usr2, "USR2", 12),
    ];

    /// The signal of this name, with or without `SIG`.
    pub fn from_name(name: &str) -> Self {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        let known = Self::TABLE.iter().find(|(_, n, _)| *n == name);
        known.map_or_else(|| Self::Other(name.to_owned()), |(signal, ..)| signal.clone())
    }

    /// Its name without `SIG`.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            _ => Self::TABLE.iter().find(|(signal, ..)| signal == self).map_or("", |(_, name, _)| name),
        }
    }

    /// Its number on Linux; `None` for one that only has a name.
    pub fn number(&self) -> Option<u8> {
        Self::TABLE.iter().find(|(signal, ..)| signal == self).map(|(.., number)| *number)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket or a pipe.
    Other,
    /// What the host doesn't say.
    Unknown,
}

/// What a host says about a file. What it doesn't say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its permission bits (`0o7777`).
    pub mode: Option<u32>,
    /// The owner's id.
    pub uid: Option<u32>,
    /// The group's id.
    pub gid: Option<u32>,
    /// When it was last read.
    pub accessed: Option<SystemTime>,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

/// What to change about a file; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChanges {
    /// Its length: longer is filled with zeros, shorter is cut.
    pub size: Option<u64>,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// Owner and group ids.
    pub owner: Option<(u32, u32)>,
    /// When it was last read and written, in whole seconds on most hosts.
    pub times: Option<(SystemTime, SystemTime)>,
}

/// An entry of a directory, `.` and `..` left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name: whatever bytes the host sent, not checked. Use it as a part of a local path only after
    /// checking that it is one plain name.
    pub name: Vec<u8>,
    /// What the host says about it, links not followed.
    pub stat: FileStat,
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Where in the file to begin; what is there before stays. 0 with `truncate` replaces the file.
    pub offset: u64,
    /// Whether to empty the file first.
    pub truncate: bool,
    /// Whether to refuse a file that exists.
    pub exclusive: bool,
    /// Whether to make a file that is missing. In a sticky directory Linux may let only its owner write a file by a call
    /// that could make it (`protected_regular` of proc_sys_fs(5)). Default: yes.
    pub create: bool,
    /// Whether to refuse a symbolic link (`O_NOFOLLOW` of open(2)). SFTP has no such flag: there, what was opened is
    /// compared with what the path names before anything is written. Default: no.
    pub no_follow: bool,
    /// The permission bits of a file that is made; the host's umask applies. Default: the host's.
    pub mode: Option<u32>,
    /// What to change on the open file after its content.
    pub changes: FileChanges,
    /// Whether to wait until the host has it on its disk (`fsync@openssh.com`).
    pub sync: bool,
    /// Whether the file has no holes at any time, so that a write that is cut short can be gone on with where
    /// the file ends. A long link may take more at once without. Default: no.
    pub in_order: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            offset: 0,
            truncate: true,
            exclusive: false,
            create: true,
            no_follow: false,
            mode: None,
            changes: FileChanges::default(),
            sync: false,
            in_order: false,
        }
    }
}

/// Gets the number of further bytes that have moved, each time some have.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A host's files. Paths are bytes, relative ones start in the login directory; names are whatever the
/// host has.
#[async_trait]
pub trait Files: Send + Sync {
    /// About a file, links followed.
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError>;

    /// About a file or link itself.
    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError>;

    /// Changes what is known about a file, links followed.
    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError>;

    /// The entries of a directory, in the host's order.
    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError>;

    /// The entries of a directory whose names begin with `prefix` and end with `suffix`. Default: those of
    /// [`read_dir`](Self::read_dir); a host for which each entry costs something can do better.
    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let mut entries = self.read_dir(path).await?;
        entries.retain(|entry| entry.name.starts_with(prefix) && entry.name.ends_with(suffix));
        Ok(entries)
    }

    /// The same files over a channel of their own, to write many at once: servers serve a channel on one processor. Default:
    /// there is none.
    async fn over_further_channel(&self) -> Option<Arc<dyn Files>> {
        None
    }

    /// Makes a directory; its parent must exist. The host's umask applies to `mode`.
    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError>;

    /// Removes a file or link.
    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError>;

    /// Removes an empty directory.
    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError>;

    /// Renames, replacing what is there in one step where the host can
    /// (`posix-rename@openssh.com`); else it removes and renames.
    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError>;

    /// Makes a symbolic link at `path` that points to `to`.
    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError>;

    /// Where a link points.
    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError>;

    /// The absolute path, links resolved; `.` is the login directory.
    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError>;

    /// The SHA-256 checksum of a file, in hexadecimal digits, as the host computes it; `None` where files are reached in a
    /// way that has no checksums. Default: that.
    async fn sha256(&self, path: &[u8]) -> Result<Option<String>, FileError> {
        let _ = path;
        Ok(None)
    }

    /// Copies a file's content from `offset` to its end into `sink`, and says how many bytes.
    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError>;

    /// Writes all of `source` into a file, and says how many bytes.
    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError>;
}
