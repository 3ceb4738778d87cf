//! Scripts of this crate's own on a host.

use async_trait::async_trait;
use bytes::BytesMut;
use fabric_core::ExitStatus;
use fabric_core::command::quote;
use fabric_core::error::{FileErrorKind, SessionError};
use fabric_core::transport::{Process, ProcessEvent, Program, Progress, SpawnRequest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::Semaphore;

use super::frame::{End, ScriptFrame};
use crate::sftp::printable;

/// How much is on its way to or from a script.
const PIPE: usize = 256 * 1024;
/// How much of standard error is kept.
pub(crate) const ERRORS: usize = 64 * 1024;
/// How much a script may print whose output is kept as a whole: a listing of some million files.
const LONGEST: u64 = 256 * 1024 * 1024;
/// How many scripts run at once, unless a runner says otherwise: hosts allow few sessions on a connection (MaxSessions).
const AT_ONCE: usize = 4;

/// How scripts are run with `sh` on a host.
#[async_trait]
pub(crate) trait Runner: Send + Sync {
    /// How many it runs at once.
    fn at_once(&self) -> usize {
        AT_ONCE
    }

    /// Runs `script`, which reads `input` and whose output goes to `output`, to its end.
    async fn run(
        &self,
        script: &[u8],
        input: Option<DuplexStream>,
        output: DuplexStream,
    ) -> Result<Ended, FileErrorKind>;
}

/// How a process ended, and what it said to standard error.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stderr: Vec<u8>,
    pub(crate) exit: ExitStatus,
}

/// Runs scripts, and takes their answers from what else the host prints.
pub(crate) struct Scripts<R> {
    runner: R,
    turns: Semaphore,
}

/// What a script has read and printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub(super) sent: u64,
    pub(super) taken: u64,
}

impl<R: Runner> Scripts<R> {
    pub(crate) fn new(runner: R) -> Self {
        let turns = Semaphore::new(runner.at_once());
        Self { runner, turns }
    }

    /// What a script prints that reads nothing.
    pub(crate) async fn output(&self, script: &str, arguments: &[&[u8]]) -> Result<Vec<u8>, FileErrorKind> {
        let mut output = Vec::new();
        self.run(script, arguments, None, &mut Bounded(&mut output), (&|_| (), &|_| ())).await?;
        Ok(output)
    }

    /// What a script prints that reads all of `source`, and how much that was.
    pub(super) async fn feed(
        &self,
        script: &str,
        arguments: &[&[u8]],
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<(u64, Vec<u8>), FileErrorKind> {
        let mut output = Vec::new();
        let sink = &mut Bounded(&mut output);
        let moved = self.run(script, arguments, Some(source), sink, (progress, &|_| ())).await?;
        Ok((moved.sent, output))
    }

    /// Writes what a script prints to `sink` as it comes.
    pub(super) async fn read(
        &self,
        script: &str,
        arguments: &[&[u8]],
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileErrorKind> {
        Ok(self.run(script, arguments, None, sink, (&|_| (), progress)).await?.taken)
    }

    async fn run(
        &self,
        script: &str,
        arguments: &[&[u8]],
        source: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        (on_sent, on_taken): (Progress<'_>, Progress<'_>),
    ) -> Result<Moved, FileErrorKind> {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        let frame = ScriptFrame::new();
        let text = frame.around(script, arguments)?;
        let (from_script, mut printed) = tokio::io::duplex(PIPE);
        let (to_script, mut input) = source.is_some().then(|| tokio::io::duplex(PIPE)).unzip();
        let sending = async move {
            let mut sent = 0;
            if let (Some(source), Some(mut pipe)) = (source, to_script) {
                let mut buffer = BytesMut::with_capacity(PIPE);
                loop {
                    buffer.clear();
                    let count = source.read_buf(&mut buffer).await.map_err(local)?;
                    // It may have ended by now; its own words say why.
                    if count == 0 || pipe.write_all(&buffer).await.is_err() {
                        break;
                    }
                    sent += count as u64;
                    on_sent(count as u64);
                }
            }
            Ok::<_, FileErrorKind>(sent)
        };
        let taking = async {
            let (mut reader, mut taken) = (frame.reader(), 0);
            let mut buffer = BytesMut::with_capacity(PIPE);
            loop {
                buffer.clear();
                if printed.read_buf(&mut buffer).await.map_err(local)? == 0 {
                    break;
                }
                let own = reader.take(&buffer);
                if !own.is_empty() {
                    sink.write_all(&own).await.map_err(local)?;
                    taken += own.len() as u64;
                    on_taken(own.len() as u64);
                }
            }
            sink.flush().await.map_err(local)?;
            Ok((reader.end(), taken))
        };
        let running = async { tokio::try_join!(self.runner.run(&text, input.take(), from_script), taking) };
        let (mut running, mut sending) = (std::pin::pin!(running), std::pin::pin!(sending));
        let mut sent = None;
        let (ended, (end, taken)) = loop {
            tokio::select! {
                biased;
                done = &mut running => break done?,
                // What can't be read here is given up there too.
                done = &mut sending, if sent.is_none() => sent = Some(done?),
            }
        };
        match end {
            End::Status(0) => Ok(Moved { sent: sent.unwrap_or_default(), taken }),
            End::Status(status) => {
                Err(kind_of(frame.errors(&ended.stderr), &ExitStatus::Code(status.into()), arguments.first()))
            }
            End::Cut => Err(FileErrorKind::Failed(format!("the host's output was cut short ({})", ended.exit))),
            End::Missing(noise) if ended.stderr.trim_ascii().is_empty() && !noise.is_empty() => {
                let noise = printable(&noise);
                Err(FileErrorKind::Failed(format!(
                    "the host cannot run scripts: its login shell printed \"{noise}\" instead ({})",
                    ended.exit
                )))
            }
            End::Missing(_) => Err(kind_of(&ended.stderr, &ended.exit, None)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn local(error: std::io::Error) -> FileErrorKind {
    FileErrorKind::Local(error.to_string())
}

/// What the utilities say in the C locale, without the path, which may say anything.
fn kind_of(stderr: &[u8], exit: &ExitStatus, path: Option<&&[u8]>) -> FileErrorKind {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let path = path.map(|path| String::from_utf8_lossy(path)).filter(|path| !path.is_empty());
    let said = path.map_or_else(|| text.to_owned(), |path| text.replace(&*path, ""));
    let says = |part: &str| said.contains(part);
    if says("No such file") || says("nonexistent") {
        FileErrorKind::NotFound
    } else if says("Permission denied") || says("not permitted") {
        FileErrorKind::PermissionDenied
    } else if says("File exists") || says("existing file") {
        FileErrorKind::Exists
    } else if says("Not a directory") {
        FileErrorKind::WrongKind("a part of it is not a directory")
    } else if says("s a directory") {
        FileErrorKind::WrongKind("it is a directory")
    } else if text.is_empty() {
        FileErrorKind::Failed(exit.to_string())
    } else {
        FileErrorKind::Failed(format!("{} ({exit})", printable(text.as_bytes())))
    }
}

/// Keeps what is written, up to a bound.
struct Bounded<'a>(&'a mut Vec<u8>);

impl AsyncWrite for Bounded<'_> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if (self.0.len() + bytes.len()) as u64 > LONGEST {
            return std::task::Poll::Ready(Err(std::io::Error::other("the host's answer does not end")));
        }
        self.0.extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

/// Who has the session that scripts run on.
#[cfg_attr(
    not(any(feature = "ssh", feature = "plugins")),
    allow(dead_code, reason = "only these have sessions without files")
)]
#[async_trait]
pub(crate) trait ScriptHost: Send + Sync {
    /// How many scripts may run on it at once.
    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError>;
}

/// Runs scripts as processes of a session.
#[cfg_attr(
    not(any(feature = "ssh", feature = "plugins")),
    allow(dead_code, reason = "only these have sessions without files")
)]
pub(crate) struct OnSession<H>(pub(crate) H);

#[async_trait]
impl<H: ScriptHost> Runner for OnSession<H> {
    fn at_once(&self) -> usize {
        self.0.at_once()
    }

    async fn run(
        &self,
        script: &[u8],
        input: Option<DuplexStream>,
        mut output: DuplexStream,
    ) -> Result<Ended, FileErrorKind> {
        let quoted = quote(script).map_err(|error| FileErrorKind::Failed(error.to_string()))?;
        let line = [b"exec sh -c ", &*quoted].concat();
        let request = SpawnRequest::new(Program::Command(line)).for_bourne(true);
        let process = self.0.spawn(&request).await?;
        let Process { mut stdin, output: mut from, control: _control, .. } = process;
        let feeding = async {
            if let Some(input) = input {
                // Where it fails, the script has ended, which it says itself.
                let _ = tokio::io::copy_buf(&mut BufReader::with_capacity(PIPE, input), &mut stdin).await;
            }
            let _ = stdin.shutdown().await;
            std::future::pending().await
        };
        let taking = async {
            let mut ended = Ended { stderr: Vec::new(), exit: ExitStatus::Unknown };
            while let Some(event) = std::future::poll_fn(|cx| from.poll_next(cx)).await {
                match event {
                    ProcessEvent::Stdout(bytes) => output.write_all(&bytes).await.map_err(local)?,
                    ProcessEvent::Stderr(bytes) => {
                        let room = ERRORS.saturating_sub(ended.stderr.len());
                        ended.stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                    ProcessEvent::Exit(exit) => ended.exit = exit,
                    ProcessEvent::Lost(error) => return Err(error.into()),
                }
            }
            Ok(ended)
        };
        tokio::select! {
            biased;
            ended = taking => ended,
            ended = feeding => ended,
        }
    }
}
