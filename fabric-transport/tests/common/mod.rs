//! A real sshd on loopback, with keys and configuration of its own, for the tests of this crate.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "shared by several test programs")]

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::transport::{Process, ProcessEvent, Program, SpawnRequest};
use fabric_core::{ConnectError, Emitter, Event, EventKind, EventSink, ExitStatus, Session, Target};
use fabric_transport::connector::Connector;
use tempfile::TempDir;

/// An sshd that ends with this value.
pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    child: Child,
}

/// How to set one up.
#[derive(Default)]
pub struct Setup {
    lines: Vec<String>,
    keys: Vec<String>,
}

impl Setup {
    /// Adds a line to sshd_config; of a keyword, the first value wins.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Lets a public key in, beside the one of [`Sshd::key`].
    #[must_use]
    pub fn authorize(mut self, public_key: impl Into<String>) -> Self {
        self.keys.push(public_key.into());
        self
    }

    pub fn start(self) -> Sshd {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        keygen(&at("host_ed25519"), &["-t", "ed25519"]);
        keygen(&at("user_ed25519"), &["-t", "ed25519"]);
        let mut authorized = fs::read_to_string(at("user_ed25519.pub")).unwrap();
        for key in &self.keys {
            authorized.push_str(key.trim_end());
            authorized.push('\n');
        }
        fs::write(at("authorized_keys"), authorized).unwrap();
        // Taken and given back: sshd cannot say which port it got.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = self.lines.join("\n");
        let _ = write!(
            config,
            "
Port {port}
ListenAddress 127.0.0.1
HostKey {0}/host_ed25519
PidFile none
AuthorizedKeysFile {0}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 200
AllowStreamLocalForwarding yes
LogLevel DEBUG1
Subsystem sftp internal-sftp
",
            dir.path().display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        // sshd wants this directory for its unprivileged half.
        let _ = fs::create_dir_all("/run/sshd");
        let mut child = Command::new("/usr/sbin/sshd")
            .arg("-D")
            .arg("-f")
            .arg(at("sshd_config"))
            .arg("-E")
            .arg(at("log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd must be installed (Debian: openssh-server)");
        wait_for(&at("log"), &format!("Server listening on 127.0.0.1 port {port}"), &mut child);
        Sshd { dir, port, child }
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

fn wait_for(log: &Path, text: &str, child: &mut Child) {
    // sshd has no other way to say that it is ready.
    for _ in 0..2000 {
        if fs::read_to_string(log).is_ok_and(|log| log.contains(text)) {
            return;
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("sshd ended with {status}: {}", fs::read_to_string(log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("sshd did not start: {}", fs::read_to_string(log).unwrap_or_default());
}

impl Sshd {
    pub fn start() -> Self {
        Setup::default().start()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.path("user_ed25519")
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.path("known_hosts")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// A target with that key, which records the host's key beside the server.
    pub fn target(&self) -> Target {
        let mut target = self.target_without_auth();
        target.auth.identities = vec![Identity::new(self.key())];
        target
    }

    pub fn target_without_auth(&self) -> Target {
        let user = whoami();
        let mut target = Target::new(format!("{user}@127.0.0.1:{}", self.port).parse().unwrap());
        target.host_keys.check = HostKeyCheck::AcceptNew;
        target.host_keys.user_files = vec![self.known_hosts()];
        target
    }
}

pub fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An ssh-agent with keys, that ends with this value.
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

    /// One without keys that has this program confirm signatures.
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

/// Keeps the events it gets.
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

/// What a process printed and how it ended.
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

/// A session by a connector of its own.
pub async fn open(target: &Target) -> Arc<dyn Session> {
    Connector::new().open(target, &Emitter::none()).await.unwrap()
}

/// The error of a session that must not come about.
pub async fn refused(target: &Target) -> ConnectError {
    Connector::new().open(target, &Emitter::none()).await.err().expect("the connection must fail")
}

/// Tries until there is something: for what another program does in its own time.
pub async fn retry<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = attempt().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within 10 s");
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
