//! The interpreter that runs a fabfile.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use command_fds::{CommandFdExt as _, FdMapping};
use fabric_core::HostString;
use fabric_core::settings::Map;
use fabric_exec::hostlist::{Listed, LookupError, RoleLookup};
use parking_lot::Mutex;
use serde_json::json;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::channel::{Channel, hello};
use crate::frame::{Frame, FrameError, Kind, VERSION};
use crate::interpreter::Interpreter;
use crate::package::{Unpacked, build_id};

/// The descriptor by which the interpreter has its end.
const FD: i32 = 3;

/// What the interpreter begins with. The package is the first place that modules come from, stand-ins are the last; the
/// directory is none, whose files may have the names of Python's own modules.
const BOOT: &str = "import sys; sys.path[:] = [sys.argv[1]] + [place for place in sys.path if place]; sys.path.append(sys.argv[1] + '/standins'); \
                    from fabric._boot import main; main()";

/// How long it may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// A fabfile to be loaded.
#[derive(Debug)]
pub struct Loading<'a> {
    /// The file, or the package's directory.
    pub fabfile: &'a Path,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Where caches are kept.
    pub cache: Option<PathBuf>,
    /// This program, for processes that the user's code starts.
    pub fab: Option<&'a Path>,
    /// Where it was typed.
    pub dir: &'a Path,
    /// What was typed.
    pub args: &'a [String],
    /// The tasks of that, as typed.
    pub tasks: Vec<String>,
    /// `env` as files and the command line have it, by classic names.
    pub env: Map,
    /// The output levels, by their names.
    pub output: Map,
    /// Whether commands are shown and not run.
    pub dry_run: bool,
    /// What becomes of files in Python 2 (the setting `python2`).
    pub python2: Option<&'a str>,
    /// Whether what the user's code prints goes to standard error: standard output has something else.
    pub prints_aside: bool,
}

/// Why a fabfile is not loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The interpreter can't be started.
    #[error("starting {interpreter}, which runs {fabfile}: {source}")]
    Start {
        /// The interpreter.
        interpreter: String,
        /// The fabfile.
        fabfile: String,
        /// What the system said.
        source: io::Error,
    },
    /// The package can't be unpacked.
    #[error("unpacking the Python package: {0}")]
    Package(io::Error),
    /// The interpreter ended, or is none.
    #[error("{interpreter}, which runs {fabfile}, {what}: it must be Python 3.6 or newer")]
    NoAnswer {
        /// The interpreter.
        interpreter: String,
        /// The fabfile.
        fabfile: String,
        /// What it did.
        what: String,
    },
    /// What is wrong with the fabfile; the interpreter has shown where.
    #[error("{0}")]
    Broken(String),
    /// The fabfile ended the program while it was loaded, with this status.
    #[error("{message}")]
    Exit {
        /// The status.
        code: u8,
        /// What it says.
        message: String,
    },
    /// A person interrupted it.
    #[error("interrupted")]
    Interrupted,
}

/// A fabfile in an interpreter, which ends with this.
pub struct Program {
    child: Mutex<Child>,
    socket: Mutex<Option<UnixStream>>,
    /// For the end: what the other side reads from.
    end: UnixStream,
    channel: OnceCell<Arc<Channel>>,
    shown: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    /// The status that the user's code asked for; above 255: none.
    exit: AtomicU16,
    _package: Unpacked,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Program({})", self.child.lock().id())
    }
}

impl Program {
    /// Starts the interpreter, and loads the fabfile: what it says is in it.
    pub(crate) fn start(loading: &Loading<'_>) -> Result<(Arc<Self>, Map), LoadError> {
        let package = Unpacked::below(loading.cache.as_deref()).map_err(LoadError::Package)?;
        let interpreter = loading.interpreter.path.display().to_string();
        let fabfile = loading.fabfile.display().to_string();
        let failed = |source| LoadError::Start { interpreter: interpreter.clone(), fabfile: fabfile.clone(), source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(&loading.interpreter.path);
        command.args(["-c", BOOT]).arg(&package.dir).arg(FD.to_string()).arg(build_id());
        command.current_dir(loading.dir);
        if let Some(fab) = loading.fab {
            command.env("FABRIC_FAB", fab);
        }
        if loading.prints_aside {
            command
                .stdout(Stdio::from(rustix::io::dup(rustix::stdio::stderr()).map_err(|error| failed(error.into()))?));
        }
        let mapping = FdMapping { parent_fd: OwnedFd::from(theirs), child_fd: FD };
        command.fd_mappings(vec![mapping]).map_err(|error| failed(io::Error::other(error)))?;
        let child = command.spawn().map_err(failed)?;
        // It has the other end; this program's copy of it must go, or its end would not be seen.
        drop(command);
        let end = ours.try_clone().map_err(failed)?;
        let program = Self {
            child: Mutex::new(child),
            socket: Mutex::new(None),
            end,
            channel: OnceCell::new(),
            shown: OnceLock::new(),
            exit: AtomicU16::new(u16::MAX),
            _package: package,
        };
        let no_answer =
            |what: String| LoadError::NoAnswer { interpreter: interpreter.clone(), fabfile: fabfile.clone(), what };
        let mut socket = ours;
        let frame = match Self::talk(&mut socket, loading) {
            Ok(frame) => frame,
            Err(FrameError::Gone) => {
                let status = program.child.lock().wait().map_err(failed)?;
                return Err(match status.code() {
                    Some(130) | None if interrupted(status) => LoadError::Interrupted,
                    _ => no_answer(format!("ended before the fabfile was loaded ({status})")),
                });
            }
            Err(error) => return Err(no_answer(error.to_string())),
        };
        if frame.kind == Kind::Error {
            let message = frame.text("message").unwrap_or_default().to_owned();
            return Err(match frame.text("kind") {
                Some("exit") => LoadError::Exit { code: frame.number("code").unwrap_or(1) as u8, message },
                Some("interrupted") => LoadError::Interrupted,
                _ => LoadError::Broken(message),
            });
        }
        *program.socket.lock() = Some(socket);
        Ok((Arc::new(program), frame.header))
    }

    /// Says who this is, and asks what is in the fabfile.
    fn talk(socket: &mut UnixStream, loading: &Loading<'_>) -> Result<Frame, FrameError> {
        Frame::new(Kind::Hello, hello(build_id())).write(socket)?;
        let theirs = Frame::read(socket)?;
        if theirs.kind != Kind::Hello || theirs.number("protocol") != Some(VERSION) {
            return Err(FrameError::Wrong("it does not say hello as the package of this fab does"));
        }
        if theirs.text("build") != Some(build_id()) {
            return Err(FrameError::Wrong("its package is not the one of this fab"));
        }
        let header = json!({
            "id": 1,
            "verb": "load",
            "path": loading.fabfile,
            "args": loading.args,
            "tasks": loading.tasks,
            "env": loading.env,
            "output": loading.output,
            "dry_run": loading.dry_run,
            "python2": loading.python2,
        });
        let header = header.as_object().cloned().unwrap_or_default();
        Frame::new(Kind::Call, header).write(socket)?;
        loop {
            let frame = Frame::read(socket)?;
            match frame.kind {
                Kind::Reply | Kind::Error => return Ok(frame),
                Kind::Call => {
                    let why = "no host can be reached while the fabfile is loaded: put this into a task";
                    let header = json!({"id": frame.number("id"), "kind": "usage", "message": why});
                    Frame::new(Kind::Error, header.as_object().cloned().unwrap_or_default()).write(socket)?;
                }
                _ => {}
            }
        }
    }

    /// Called before each answer to the user's code, so that what the run has shown is there before what that prints.
    pub fn when_shown(&self, shown: Arc<dyn Fn() + Send + Sync>) {
        // The first run is the one that counts.
        drop(self.shown.set(shown));
    }

    pub(crate) fn shown(&self) -> Option<Arc<dyn Fn() + Send + Sync>> {
        self.shown.get().cloned()
    }

    /// The status with which the user's code ended the program, if it did.
    pub fn exit_status(&self) -> Option<u8> {
        u8::try_from(self.exit.load(Ordering::Relaxed)).ok()
    }

    pub(crate) fn exits(&self, code: u8) {
        self.exit.store(code.into(), Ordering::Relaxed);
    }

    /// The channel with the interpreter, in the runtime of the run.
    pub(crate) async fn channel(&self) -> io::Result<Arc<Channel>> {
        let take = || self.socket.lock().take().ok_or_else(|| io::Error::from(ErrorKind::BrokenPipe));
        self.channel.get_or_try_init(|| async { Channel::new(take()?) }).await.cloned()
    }
}

fn interrupted(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(2) || status.code() == Some(130)
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends when nothing more comes.
        let _ = self.end.shutdown(std::net::Shutdown::Both);
        let mut child = self.child.lock();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = child.try_wait() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A role that the user's code looks up.
pub(crate) struct Looked {
    pub(crate) program: Arc<Program>,
    pub(crate) role: String,
}

#[async_trait]
impl RoleLookup for Looked {
    async fn hosts(&self) -> Result<Vec<Listed>, LookupError> {
        let channel = self.program.channel().await?;
        let header = json!({"role": self.role}).as_object().cloned().unwrap_or_default();
        match channel.ask("role.hosts", header, None).await {
            Some(Ok(frame)) => {
                let hosts = frame.header.get("hosts").and_then(|hosts| hosts.as_array());
                let listed = |host| Ok(Listed::new(HostString::parse(host)?));
                hosts.into_iter().flatten().filter_map(|host| host.as_str()).map(listed).collect()
            }
            Some(Err(error)) => Err(error.text("message").unwrap_or_default().into()),
            None => Err("the process of Python that runs the fabfile has ended".into()),
        }
    }
}
