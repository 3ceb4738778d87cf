//! Processes of a host: of the login shell, with pipes or a terminal.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use fabric_core::Signal;
use russh::server::Handle;
use russh::{ChannelId, Sig};
use rustix::process::{Pid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Child;

use super::answers::Answer;
use super::faults::{ExitFault, Faults};
use super::forward::Agent;
use super::host::HostState;
use super::input::{Input, Life, Output};
use super::terminal::{Terminal, cells};

const STDERR: u32 = 1;
const READ_SIZE: usize = 32 * 1024;

/// What to run.
pub(super) enum What {
    /// The login shell.
    Shell,
    /// A command, run by the login shell.
    Command(Vec<u8>),
}

/// What to run, and its environment.
pub(super) struct Spec {
    pub(super) what: What,
    pub(super) user: String,
    pub(super) peer: SocketAddr,
    pub(super) env: Vec<(String, String)>,
    pub(super) terminal: Option<Terminal>,
    pub(super) agent: Option<Agent>,
}

/// A handle of a running process.
pub(super) struct Running {
    group: Pid,
    terminal: Option<OwnedFd>,
    /// Dropped when the channel is closed: the session no longer counts.
    served: Weak<()>,
}

impl Running {
    /// Sends a signal to the process and its group.
    pub(super) fn signal(&self, signal: &Signal) {
        let number = signal.number().and_then(|number| rustix::process::Signal::from_named_raw(i32::from(number)));
        if let Some(number) = number {
            let _ = kill_process_group(self.group, number);
        }
    }

    /// Whether its channel is still open.
    pub(super) fn is_served(&self) -> bool {
        self.served.strong_count() > 0
    }

    /// Resizes its terminal, if it has one.
    pub(super) fn resize(&self, columns: u32, rows: u32) {
        if let Some(terminal) = &self.terminal {
            let _ = rustix::termios::tcsetwinsize(terminal, winsize(cells(columns), cells(rows)));
        }
    }
}

fn winsize(columns: u16, rows: u16) -> rustix::termios::Winsize {
    rustix::termios::Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Sends a prepared answer, without a process.
pub(super) async fn answer(answer: Answer, output: Output, faults: Arc<Faults>) {
    let sent = async {
        output.data_bytes(answer.stdout).await?;
        output.extended_data_bytes(STDERR, answer.stderr).await?;
        output.eof().await?;
        if faults.exit != ExitFault::Missing {
            output.exit_status(answer.exit).await?;
        }
        output.close().await
    };
    let _: Result<(), russh::Error> = sent.await;
}

/// Starts a process and serves it until it, or its channel, has ended. `None` if it can't be started, which the client
/// sees as with sshd: as an exit status.
pub(super) fn start(
    host: &Arc<HostState>,
    mut spec: Spec,
    input: Input,
    output: Output,
    handle: Handle,
    life: &Life,
    faults: Arc<Faults>,
) -> Option<Running> {
    let channel = Chan { output, handle, faults };
    let agent = spec.agent.take();
    let (child, terminal, streams) = match spawn(host, &spec, agent.as_ref()) {
        Ok(started) => started,
        Err(error) => {
            tokio::spawn(async move {
                let text = format!("cannot start {}: {error}\n", host_shell(&spec));
                let _ = channel.output.extended_data_bytes(STDERR, text.into_bytes()).await;
                channel.end(ExitStatus::from_raw(127 << 8)).await;
            });
            return None;
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(id as i32))?;
    host.access.groups.add(group);
    let host = Arc::clone(host);
    // Data that the client sent before it closed the channel still reaches a pipe; a terminal is hung up at once. As in
    // sshd.
    let outputs = match streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            tokio::spawn(life.ended.clone().run_until_cancelled_owned(pump_in(input, stdin)));
            Outputs::Pipes(stdout, stderr)
        }
        Streams::Terminal(read, write, rest) => {
            tokio::spawn(life.closed.clone().run_until_cancelled_owned(pump_in(input, write)));
            Outputs::Terminal(read, rest)
        }
    };
    let closed = life.closed.clone();
    let serving = Arc::new(());
    let served = Arc::downgrade(&serving);
    tokio::spawn(async move {
        let mut child = child;
        tokio::select! {
            // The client is gone: the pipes are dropped, which doesn't end a process by itself, as in sshd.
            () = closed.cancelled() => {}
            () = serve(&mut child, outputs, &channel) => {}
        }
        drop(channel);
        drop(agent);
        drop(serving);
        let _ = child.wait().await;
        host.access.groups.leader_ended(group);
    });
    Some(Running { group, terminal, served })
}

fn host_shell(spec: &Spec) -> &'static str {
    match spec.what {
        What::Shell => "the login shell",
        What::Command(_) => "the command",
    }
}

/// The connection between a process and its channel.
enum Streams {
    Pipes {
        stdin: tokio::process::ChildStdin,
        stdout: tokio::process::ChildStdout,
        stderr: tokio::process::ChildStderr,
    },
    Terminal(pty_process::OwnedReadPty, pty_process::OwnedWritePty, OwnedFd),
}

fn spawn(
    host: &HostState,
    spec: &Spec,
    agent: Option<&Agent>,
) -> Result<(Child, Option<OwnedFd>, Streams), std::io::Error> {
    let access = &host.access;
    let shell = &access.shell;
    let name = shell.file_name().unwrap_or(shell.as_os_str());
    let mut arguments: Vec<OsString> = Vec::new();
    let mut arg0 = name.to_owned();
    match &spec.what {
        // A leading dash makes a login shell, as in sshd.
        What::Shell => {
            arg0 = OsString::from("-");
            arg0.push(name);
        }
        What::Command(command) => arguments.extend([OsString::from("-c"), OsString::from_vec(command.clone())]),
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    let address = host.address;
    let mut env: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), path),
        ("HOME".into(), host.dir.clone().into()),
        ("USER".into(), spec.user.clone().into()),
        ("LOGNAME".into(), spec.user.clone().into()),
        ("SHELL".into(), shell.clone().into()),
        ("HOSTNAME".into(), host.name.clone().into()),
        (
            "SSH_CONNECTION".into(),
            format!("{} {} {} {}", spec.peer.ip(), spec.peer.port(), address.ip(), address.port()).into(),
        ),
    ];
    env.extend(agent.map(|agent| ("SSH_AUTH_SOCK".into(), agent.socket().into())));
    env.extend(access.env.iter().chain(&spec.env).map(|(name, value)| (name.into(), value.into())));

    let Some(terminal) = &spec.terminal else {
        let mut command = tokio::process::Command::new(shell);
        command.arg0(arg0).args(arguments).env_clear().envs(env).current_dir(&host.dir).process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = taken else {
            return Err(std::io::Error::other("the process has no pipes"));
        };
        return Ok((child, None, Streams::Pipes { stdin, stdout, stderr }));
    };

    let (pty, pts) = pty_process::open().map_err(std::io::Error::other)?;
    let (columns, rows) = terminal.size;
    rustix::termios::tcsetwinsize(pty.as_fd(), winsize(columns, rows))?;
    terminal.apply_modes(pty.as_fd());
    env.push(("TERM".into(), terminal.term.clone().into()));
    let (for_size, for_rest) = (pty.as_fd().try_clone_to_owned()?, pty.as_fd().try_clone_to_owned()?);
    if let Ok(name) = rustix::pty::ptsname(pty.as_fd(), Vec::new()) {
        env.push(("SSH_TTY".into(), OsString::from_vec(name.into_bytes())));
    }
    let command =
        pty_process::Command::new(shell).arg0(arg0).args(arguments).env_clear().envs(env).current_dir(&host.dir);
    let child = command.spawn(pts).map_err(std::io::Error::other)?;
    let (read, write) = pty.into_split();
    Ok((child, Some(for_size), Streams::Terminal(read, write, for_rest)))
}

/// The channel of a process.
struct Chan {
    output: Output,
    handle: Handle,
    faults: Arc<Faults>,
}

impl Chan {
    fn id(&self) -> ChannelId {
        self.output.id()
    }

    /// Sends the exit status.
    async fn tell(&self, status: ExitStatus) {
        if let Some(code) = status.code() {
            let _ = self.output.exit_status(code as u32).await;
        } else if let Some(number) = status.signal() {
            let _ = self
                .handle
                .exit_signal_request(self.id(), sig(number), status.core_dumped(), String::new(), String::new())
                .await;
        }
    }

    /// Sends the exit status last, and closes the channel.
    async fn end(&self, status: ExitStatus) {
        let _ = self.output.eof().await;
        match self.faults.exit {
            ExitFault::None => self.tell(status).await,
            ExitFault::Missing | ExitFault::First => {}
            ExitFault::NeverCloses => {
                self.tell(status).await;
                return;
            }
        }
        let _ = self.output.close().await;
    }
}

/// The source of a process's output.
enum Outputs {
    Pipes(tokio::process::ChildStdout, tokio::process::ChildStderr),
    Terminal(pty_process::OwnedReadPty, OwnedFd),
}

async fn serve(child: &mut Child, outputs: Outputs, channel: &Chan) {
    if channel.faults.exit == ExitFault::First {
        channel.tell(ExitStatus::from_raw(0)).await;
    }
    let status = match outputs {
        Outputs::Pipes(stdout, stderr) => {
            // A background process of a shell may hold the pipes open; sshd waits for it too.
            tokio::join!(
                pump_out(stdout, &channel.output, None),
                pump_out(stderr, &channel.output, Some(STDERR)),
                child.wait(),
            )
            .2
        }
        Outputs::Terminal(read, rest) => terminal_out(child, read, rest, &channel.output).await,
    };
    if let Ok(status) = status {
        channel.end(status).await;
    } else {
        let _ = channel.output.close().await;
    }
}

async fn pump_in(mut input: Input, mut stdin: impl AsyncWrite + Unpin) {
    while let Some(data) = input.next().await {
        if stdin.write_all(&data).await.is_err() || stdin.flush().await.is_err() {
            break;
        }
    }
}

async fn pump_out(mut from: impl AsyncRead + Unpin, to: &Output, extended: Option<u32>) {
    let mut buffer = vec![0; READ_SIZE];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 || send(to, &buffer[..count], extended).await.is_err() {
            break;
        }
    }
}

async fn send(to: &Output, data: &[u8], extended: Option<u32>) -> Result<(), russh::Error> {
    let data = Bytes::copy_from_slice(data);
    match extended {
        None => to.data_bytes(data).await,
        Some(kind) => to.extended_data_bytes(kind, data).await,
    }
}

/// Copies a terminal's output until its process has ended, without waiting for others that hold it open, as in sshd.
async fn terminal_out(
    child: &mut Child,
    mut from: pty_process::OwnedReadPty,
    rest: OwnedFd,
    to: &Output,
) -> std::io::Result<ExitStatus> {
    let mut buffer = vec![0; READ_SIZE];
    let mut open = true;
    let status = loop {
        tokio::select! {
            read = from.read(&mut buffer), if open => match read {
                Ok(count) if count > 0 => open = send(to, &buffer[..count], None).await.is_ok(),
                // Linux reports EIO when the terminal is closed everywhere.
                _ => open = false,
            },
            status = child.wait() => break status,
        }
    };
    // Output from before the end is still in the terminal; the descriptor doesn't block.
    while open {
        match rustix::io::read(&rest, &mut *buffer) {
            Ok(count) if count > 0 => open = send(to, &buffer[..count], None).await.is_ok(),
            Err(rustix::io::Errno::INTR) => {}
            _ => break,
        }
    }
    status
}

fn sig(number: i32) -> Sig {
    use fabric_core::Signal as S;
    let known = [
        (S::Abrt, Sig::ABRT),
        (S::Alrm, Sig::ALRM),
        (S::Fpe, Sig::FPE),
        (S::Hup, Sig::HUP),
        (S::Ill, Sig::ILL),
        (S::Int, Sig::INT),
        (S::Kill, Sig::KILL),
        (S::Pipe, Sig::PIPE),
        (S::Quit, Sig::QUIT),
        (S::Segv, Sig::SEGV),
        (S::Term, Sig::TERM),
        (S::Usr1, Sig::USR1),
        (S::Usr2, Sig::Custom("USR2".into())),
    ];
    let found = known.into_iter().find(|(signal, _)| signal.number().map(i32::from) == Some(number));
    // The name that sshd sends for signals without a standard name.
    found.map_or_else(|| Sig::Custom(format!("SIG@{number}")), |(_, sig)| sig)
}

/// The protocol's signal as ours.
pub(super) fn signal(signal: &Sig) -> Signal {
    match signal {
        Sig::Custom(name) => Signal::from_name(name),
        // Its variants have the names of the protocol (RFC 4254, section 6.10).
        known => Signal::from_name(&format!("{known:?}")),
    }
}
