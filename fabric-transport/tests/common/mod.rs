//! Shared code of this crate's tests.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "shared by several test programs")]

use std::fs;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;

use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::transport::{Process, ProcessEvent, Program, SpawnRequest};
use fabric_core::{ConnectError, Emitter, Event, EventKind, EventSink, ExitStatus, Session, Target};
use fabric_transport::connector::Connector;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tests::SshdBuilder;

pub use tests::{Sshd, current_user};

/// An sshd of the harness on 127.0.0.1.
pub fn sshd() -> SshdBuilder {
    Sshd::builder().first(Ipv4Addr::LOCALHOST)
}

/// One that logs every request too. It also writes debug messages to the standard error of commands.
pub fn debug_sshd() -> SshdBuilder {
    sshd().log_level("DEBUG1")
}

/// Helpers for an sshd of the harness.
pub trait SshdExt {
    /// A known_hosts file beside the server.
    fn recorded(&self) -> PathBuf;

    /// A target with [`Sshd::key`], which records the host's key.
    fn target(&self) -> Target;

    fn target_without_auth(&self) -> Target;
}

impl SshdExt for Sshd {
    fn recorded(&self) -> PathBuf {
        self.path("known_hosts")
    }

    fn target(&self) -> Target {
        let mut target = self.target_without_auth();
        target.auth.identities = vec![Identity::new(self.key())];
        target
    }

    fn target_without_auth(&self) -> Target {
        let mut target = Target::new(format!("{}@127.0.0.1:{}", current_user(), self.port()).parse().unwrap());
        target.host_keys.check = HostKeyCheck::AcceptNew;
        target.host_keys.user_files = vec![self.recorded()];
        target
    }
}

/// Makes a key pair at `path`.
pub fn keygen(path: &Path, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-f"]).arg(path).args(arguments);
    if !arguments.contains(&"-N") {
        command.args(["-N", ""]);
    }
    assert!(command.stdin(Stdio::null()).status().expect("ssh-keygen must be installed").success());
}

/// An ssh-agent with keys, which ends with this value.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    pub fn start(dir: &Path, keys: &[&Path]) -> Self {
        let agent = Self::asking(dir, "false");
        for key in keys {
            agent.add(key, &[]);
        }
        agent
    }

    /// An agent without keys, which confirms signatures by this program.
    pub fn asking(dir: &Path, program: impl AsRef<std::ffi::OsStr>) -> Self {
        let socket = dir.join("agent.sock");
        let mut child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .env("SSH_ASKPASS", program)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdout(Stdio::piped())
            .spawn()
            .expect("ssh-agent must be installed");
        // The socket is bound before the first line is printed.
        let mut first = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        Self { socket, child }
    }

    pub fn add(&self, key: &Path, options: &[&str]) {
        let mut command = Command::new("ssh-add");
        let status = command.arg("-q").args(options).arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects events.
pub struct Events(mpsc::Receiver<Event>);

struct Sink(std::sync::Mutex<mpsc::Sender<Event>>);

impl EventSink for Sink {
    fn emit(&self, event: Event) {
        let _ = self.0.lock().unwrap().send(event);
    }
}

impl Events {
    pub fn new() -> (Emitter, Self) {
        let (sender, receiver) = mpsc::channel();
        (Emitter::new(Arc::new(Sink(std::sync::Mutex::new(sender))), "test"), Self(receiver))
    }

    pub fn take(&self) -> Vec<EventKind> {
        self.0.try_iter().map(|event| event.kind).collect()
    }
}

/// A process's output and exit status.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Option<ExitStatus>,
    pub lost: Option<String>,
}

impl Done {
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap()
    }
}

pub fn command(text: impl AsRef<[u8]>) -> SpawnRequest {
    SpawnRequest::new(Program::Command(text.as_ref().to_vec()))
}

pub async fn finish(mut process: Process) -> Done {
    let mut done = Done { stdout: Vec::new(), stderr: Vec::new(), exit: None, lost: None };
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(data) => done.stdout.extend(data),
            ProcessEvent::Stderr(data) => done.stderr.extend(data),
            ProcessEvent::Exit(exit) => done.exit = Some(exit),
            ProcessEvent::Lost(error) => done.lost = Some(error.to_string()),
        }
    }
    done
}

pub async fn run(session: &dyn Session, text: impl AsRef<[u8]>) -> Done {
    finish(session.spawn(&command(text)).await.unwrap()).await
}

/// Opens a session with a new connector.
pub async fn open(target: &Target) -> Arc<dyn Session> {
    Connector::new().open(target, &Emitter::none()).await.unwrap()
}

/// The error of a session that must fail.
pub async fn refused(target: &Target) -> ConnectError {
    Connector::new().open(target, &Emitter::none()).await.err().expect("the connection must fail")
}

/// Waits for the end of a process, which may not be a child of this one.
pub async fn end_of(pid: &str) {
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("not 0");
    match pidfd_open(pid, PidfdFlags::empty()) {
        // Readable once it has ended.
        Ok(process) => {
            let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], None);
            tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
        }
        Err(error) => assert_eq!(error, Errno::SRCH, "the process can be waited for"),
    }
}

/// Whether a process exists and isn't a zombie.
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
