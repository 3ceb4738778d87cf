//! Local processes: pipes or a pseudo-terminal, a process group, and the exit status.

use std::ffi::OsString;
use std::future::Future;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use fabric_core::error::SessionError;
use fabric_core::transport::{ProcessEvent, ProcessOutput, Program, SpawnRequest, StopOutcome, WindowSize};
use fabric_core::{ExitStatus, Process, ProcessControl, Signal};
use rustix::termios::Winsize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_util::io::poll_read_buf;

use super::error::system;
use super::group;

/// The size of a read.
const CHUNK: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// Starts the process of `request` in `dir`.
pub(super) fn spawn(
    request: &SpawnRequest,
    dir: &Path,
    shell: Option<&Path>,
    clear_env: bool,
) -> Result<(Process, Arc<LocalControl>), SessionError> {
    let mut command = match &request.program {
        Program::Command(line) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(OsString::from_vec(line.clone()));
            command
        }
        Program::Shell => login_shell(shell),
        Program::Subsystem(_) => return Err(SessionError::Unsupported { what: "subsystems" }),
    };
    command.current_dir(dir);
    if clear_env {
        command.env_clear();
    }
    for (name, value) in &request.env {
        command.env(name, std::ffi::OsStr::from_bytes(value));
    }
    match &request.pty {
        Some(pty) => {
            command.env("TERM", &pty.term);
            with_terminal(command, pty.size)
        }
        None => with_pipes(command),
    }
}

/// The user's shell; the leading dash of its name makes it a login shell, as with sshd.
fn login_shell(shell: Option<&Path>) -> Command {
    let users = || std::env::var_os("SHELL").filter(|s| !s.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let shell = shell.map_or_else(users, |shell| shell.as_os_str().to_owned());
    let name = Path::new(&shell).file_name().unwrap_or(shell.as_os_str());
    let mut arg0 = OsString::from("-");
    arg0.push(name);
    let mut command = Command::new(&shell);
    command.arg0(arg0);
    command
}

fn with_pipes(mut command: Command) -> Result<(Process, Arc<LocalControl>), SessionError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| system("start a process", error))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (exit, control) = watch_over(child, None)?;
    let output = LocalOutput {
        stdout: stdout.map(|pipe| Box::new(pipe) as Reader),
        stderr: stderr.map(|pipe| Box::new(pipe) as Reader),
        stderr_first: false,
        exit: Some(Box::pin(ended(exit))),
        buffer: BytesMut::new(),
    };
    Ok((Process::new(UntilShutdown(stdin), output, control.clone()), control))
}

fn with_terminal(command: Command, size: WindowSize) -> Result<(Process, Arc<LocalControl>), SessionError> {
    let failed = |error| system("open a pseudo-terminal", error);
    let (pty, pts) = pty_process::open().map_err(failed)?;
    pty.resize(pty_process::Size::new(size.rows, size.columns)).map_err(failed)?;
    let terminal = rustix::io::dup(pty.as_fd()).map_err(|error| system("open a pseudo-terminal", error))?;
    let child = pty_process::Command::from(command).spawn(pts).map_err(|error| system("start a process", error))?;
    let (exit, control) = watch_over(child, Some(terminal))?;
    let (read, write) = pty.into_split();
    let output = LocalOutput {
        stdout: Some(Box::new(Terminal(read))),
        stderr: None,
        stderr_first: false,
        exit: Some(Box::pin(ended(exit))),
        buffer: BytesMut::new(),
    };
    Ok((Process::new(write, output, control.clone()), control))
}

/// Reaps the child and reports its exit status.
fn watch_over(
    mut child: Child,
    terminal: Option<OwnedFd>,
) -> Result<(watch::Receiver<Option<ExitStatus>>, Arc<LocalControl>), SessionError> {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let id = id.ok_or_else(|| system("start a process", "it ended before it had an id"))?;
    let (tell, exit) = watch::channel(None);
    tokio::spawn(async move {
        let status = child.wait().await.map_or(ExitStatus::Unknown, exit_status);
        tell.send_replace(Some(status));
    });
    Ok((exit.clone(), Arc::new(LocalControl { id, terminal, exit, disowned: AtomicBool::new(false) })))
}

async fn ended(mut exit: watch::Receiver<Option<ExitStatus>>) -> ExitStatus {
    match exit.wait_for(Option::is_some).await {
        Ok(status) => status.clone().unwrap_or(ExitStatus::Unknown),
        Err(_) => ExitStatus::Unknown,
    }
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(code.unsigned_abs()),
        (None, Some(number)) => ExitStatus::Signal {
            signal: group::signal_of(number),
            core_dumped: status.core_dumped(),
            message: String::new(),
        },
        (None, None) => ExitStatus::Unknown,
    }
}

/// Both streams, alternately, and the exit status; nothing is read before the caller asks.
struct LocalOutput {
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    stderr_first: bool,
    exit: Option<Pin<Box<dyn Future<Output = ExitStatus> + Send>>>,
    buffer: BytesMut,
}

impl ProcessOutput for LocalOutput {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<ProcessEvent>> {
        for turn in 0..2 {
            let err = self.stderr_first == (turn == 0);
            let slot = if err { &mut self.stderr } else { &mut self.stdout };
            match poll_chunk(slot, &mut self.buffer, cx) {
                Poll::Ready(Some(Ok(bytes))) => {
                    self.stderr_first = !err;
                    let event = if err { ProcessEvent::Stderr } else { ProcessEvent::Stdout };
                    return Poll::Ready(Some(event(bytes)));
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(ProcessEvent::Lost(system("read what a process prints", error))));
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
        if let Some(exit) = &mut self.exit {
            let status = ready!(exit.as_mut().poll(cx));
            self.exit = None;
            return Poll::Ready(Some(ProcessEvent::Exit(status)));
        }
        if self.stdout.is_none() && self.stderr.is_none() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// The next bytes of a stream; at its end the stream is dropped, and this returns `None`.
fn poll_chunk(
    slot: &mut Option<Reader>,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<Option<std::io::Result<bytes::Bytes>>> {
    let Some(reader) = slot else { return Poll::Ready(None) };
    buffer.reserve(CHUNK);
    let read = ready!(poll_read_buf(Pin::new(reader), cx, buffer));
    if !matches!(read, Ok(1..)) {
        *slot = None;
    }
    Poll::Ready(match read {
        Ok(0) => None,
        Ok(_) => Some(Ok(buffer.split().freeze())),
        Err(error) => Some(Err(error)),
    })
}

/// The reading side of a pseudo-terminal. The system reports its end as an I/O error.
struct Terminal(pty_process::OwnedReadPty);

impl AsyncRead for Terminal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf).map(|read| match read {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error()) => Err(error),
            _ => Ok(()),
        })
    }
}

/// A pipe that is closed by a shutdown, as the trait requires; tokio's pipes only close on drop.
struct UntilShutdown<W>(Option<W>);

impl<W: AsyncWrite + Unpin> AsyncWrite for UntilShutdown<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => Pin::new(pipe).poll_write(cx, bytes),
            None => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |pipe| Pin::new(pipe).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// Signals, size and exit status of a local process.
pub(super) struct LocalControl {
    id: rustix::process::Pid,
    terminal: Option<OwnedFd>,
    exit: watch::Receiver<Option<ExitStatus>>,
    disowned: AtomicBool,
}

impl LocalControl {
    pub(super) fn is_disowned(&self) -> bool {
        self.disowned.load(Ordering::Relaxed)
    }

    /// The process's own group and, on a terminal, the foreground group: a shell with job control starts each job in a
    /// group of its own.
    fn groups(&self) -> Vec<rustix::process::Pid> {
        let mut groups = vec![self.id];
        let foreground = self.terminal.as_ref().and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
        groups.extend(foreground.filter(|group| *group != self.id));
        groups
    }
}

#[async_trait]
impl ProcessControl for LocalControl {
    async fn signal(&self, signal: Signal) -> Result<(), SessionError> {
        let number = group::number_of(&signal).ok_or_else(|| system("send a signal", format!("no signal {signal}")))?;
        for group in self.groups() {
            group::send(group, number).map_err(|error| system(format!("send SIG{signal}"), error))?;
        }
        Ok(())
    }

    async fn resize(&self, size: WindowSize) -> Result<(), SessionError> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).map_err(|error| system("set the terminal's size", error))
    }

    fn kill(&self) -> bool {
        for group in self.groups() {
            // A process that can't be stopped wouldn't end by waiting either.
            let _ = group::send(group, rustix::process::Signal::KILL);
        }
        true
    }

    fn disown(&self) {
        self.disowned.store(true, Ordering::Relaxed);
    }

    async fn stop(&self, grace: Duration) -> StopOutcome {
        let groups = self.groups();
        let outcome = group::stop(&groups, grace).await;
        // So that the process is reaped before anyone else asks.
        if outcome == StopOutcome::Ended {
            let _ = tokio::time::timeout(group::AFTER_KILL, ended(self.exit.clone())).await;
        }
        outcome
    }
}
