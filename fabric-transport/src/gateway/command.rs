//! Gateways that are commands (ProxyCommand of ssh_config(5)).

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fabric_core::ConnectErrorKind;
use fabric_core::transport::BoxStream;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};

/// How much of a command's standard error is kept for an error message.
const STDERR_TAIL: usize = 2048;

/// How long to wait for the command after the connection has ended, for its status, before it is killed.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What is known about a proxy command, for errors.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    command: String,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<String>>,
}

/// Starts a command with the user's shell and returns its pipes, as OpenSSH does: `SHELL -c "exec COMMAND"`.
///
/// Tokens such as `%h` are expanded already. The command has a process group of its own, so that Ctrl-C
/// reaches it only through us, and ends when the stream is dropped.
pub(crate) fn dial(shell: &Path, command: &str) -> Result<(BoxStream, Witness), ConnectErrorKind> {
    let failed = |reason: String| ConnectErrorKind::ProxyCommand { command: command.to_owned(), reason };
    let mut child = Command::new(shell)
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started by {}: {error}", shell.display())))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("has no pipes".to_owned()));
    };
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let tail = Arc::new(Mutex::new(Vec::new()));
    let (end, ended) = watch::channel(None);
    let (close, closed) = oneshot::channel();
    tokio::spawn(attend(Running { child, group }, stderr, tail.clone(), end, closed));
    let stream = CommandStream { stdin: Some(stdin), stdout, silent: false, close: Some(close) };
    Ok((Box::new(stream), Witness { command: command.to_owned(), stderr: tail, ended }))
}

/// A command that is ended, with its process group, when this is dropped.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The shell was replaced by the command, or has children, which can clean up; the child itself is killed next.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Reads the command's standard error and waits for its end; ends it when the stream is gone.
async fn attend(
    mut command: Running,
    mut stderr: tokio::process::ChildStderr,
    tail: Arc<Mutex<Vec<u8>>>,
    end: watch::Sender<Option<String>>,
    closed: oneshot::Receiver<bool>,
) {
    let reading = async {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            let mut tail = tail.lock();
            tail.extend_from_slice(&buffer[..count]);
            let excess = tail.len().saturating_sub(STDERR_TAIL);
            tail.drain(..excess);
        }
    };
    let running = async {
        // Its background processes may hold its standard error open.
        let (status, _) = tokio::join!(command.child.wait(), tokio::time::timeout(LAST_WORDS, reading));
        end.send_replace(Some(status.map_or_else(|error| error.to_string(), |status| status.to_string())));
    };
    tokio::pin!(running);
    tokio::select! {
        () = &mut running => {}
        // A command that has closed its output may be about to write an error and to end.
        silent = closed => if silent.unwrap_or(false) {
            let _ = tokio::time::timeout(LAST_WORDS, running).await;
        }
    }
}

impl Witness {
    /// How the command ended and its standard error, for a connection that failed before the login. `None` if it runs and
    /// has written nothing.
    pub(crate) async fn testimony(mut self) -> Option<ConnectErrorKind> {
        let ended = tokio::time::timeout(LAST_WORDS * 2, self.ended.wait_for(Option::is_some)).await;
        let status = ended.ok().and_then(Result::ok).and_then(|status| status.clone());
        let stderr = self.stderr.lock().clone();
        let said = String::from_utf8_lossy(&stderr).trim().to_owned();
        let reason = match (status, said.is_empty()) {
            (None, true) => return None,
            (None, false) => format!("says: {said}"),
            (Some(status), true) => format!("ended ({status})"),
            (Some(status), false) => format!("ended ({status}): {said}"),
        };
        Some(ConnectErrorKind::ProxyCommand { command: self.command, reason })
    }
}

/// The pipes of a command; dropping it ends the command.
struct CommandStream {
    /// `None` once it is shut down, which closes the pipe.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// Whether the command has closed its output.
    silent: bool,
    close: Option<oneshot::Sender<bool>>,
}

impl Drop for CommandStream {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            // There is no receiver if the command has ended.
            let _ = close.send(self.silent);
        }
    }
}

impl AsyncRead for CommandStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, buf))?;
        self.silent = buf.filled().len() == before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CommandStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
