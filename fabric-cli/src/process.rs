//! The process: arguments, directory, panics, signals, limits, threads, log and exit. No other file touches these. Exceptions are
//! the environment, which [`Environment::capture`](fabric_config::Environment::capture) reads, and the allocator in `main.rs`.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitStatus;

use fabric_exec::Interrupt;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::UsageError;
use crate::exit::Exit;
use crate::failure::Failure;

/// Permission to change the process, which only its main program has. A program without it changes nothing that other code in
/// the process relies on.
#[derive(Debug, Clone)]
pub(crate) struct Process(());

impl Process {
    /// Runs the main program. A panic is reported as a bug, and the program fails.
    pub(crate) fn run(name: &str, main: impl FnOnce(Self) -> Exit) -> Exit {
        let program = name.to_owned();
        std::panic::set_hook(Box::new(move |panic| {
            match panic.location().filter(|_| fabric_exec::run::is_in_task()) {
                // The host's error has the message; this adds the place.
                Some(place) => eprintln!("{program}: a task panicked in {place}"),
                None => eprintln!("{program}: internal error: {panic}"),
            }
        }));
        catch_unwind(AssertUnwindSafe(|| main(Self(())))).unwrap_or_else(|_| {
            eprintln!(
                "This is a bug in {name} {}. Please report it, with the command line and the lines above, at {}/issues.",
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_PKG_REPOSITORY"),
            );
            Exit::Failed
        })
    }

    /// Ends the process at once.
    #[allow(clippy::unused_self, reason = "only the main program may end the process")]
    pub(crate) fn exit(&self, exit: Exit) -> ! {
        std::process::exit(exit.code().into())
    }

    /// Starts the diagnostic log of all crates.
    #[allow(clippy::unused_self, reason = "there is one log in a process")]
    pub(crate) fn start_log(&self, filter: &str) -> Result<(), Failure> {
        let filter = tracing_subscriber::EnvFilter::try_new(filter)
            .map_err(|error| UsageError::BadValue { option: "--log".to_owned(), reason: error.to_string() })?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .try_init()
            .map_err(|error| Failure::Failed(format!("starting the log: {error}")))
    }
}

/// The arguments, without the program's name.
pub(crate) fn arguments() -> Result<Vec<String>, UsageError> {
    let text = |(index, arg): (usize, std::ffi::OsString)| {
        arg.into_string().map_err(|arg| UsageError::NotUtf8(index + 1, arg.to_string_lossy().into_owned()))
    };
    std::env::args_os().skip(1).enumerate().map(text).collect()
}

/// The current directory.
pub(crate) fn directory() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// The path of this program's executable.
pub(crate) fn program() -> Option<String> {
    std::env::current_exe().ok()?.into_os_string().into_string().ok()
}

/// Runs another program in place of this one: by exec for the main program of a process, else as a child.
pub(crate) async fn become_program(
    process: Option<&Process>,
    interrupt: &Interrupt,
    mut program: Command,
) -> io::Result<Exit> {
    if process.is_some() {
        return Err(program.as_std_mut().exec());
    }
    let code = wait_for(&mut program.spawn()?, interrupt).await?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(Exit::Failed, Exit::Command))
}

/// Waits for another program, which gets SIGINT at an interrupt, and SIGKILL at the second.
pub(crate) async fn wait_for(child: &mut Child, interrupt: &Interrupt) -> io::Result<ExitStatus> {
    tokio::select! {
        ended = child.wait() => return ended,
        () = interrupt.stopping() => {}
    }
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        kill_process(pid, Signal::INT)?;
    }
    tokio::select! {
        ended = child.wait() => return ended,
        () = interrupt.aborting() => {}
    }
    child.kill().await?;
    child.wait().await
}

/// Takes the socket that is standard input, and puts `/dev/null` in its place.
pub(crate) fn take_socket() -> io::Result<UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

/// SIGINT, SIGTERM and SIGHUP.
pub(crate) struct Signals(Option<mpsc::UnboundedReceiver<()>>);

impl Signals {
    /// Watches them in the current runtime, for the main program of a process. A signal that can't be watched ends the process as
    /// usual.
    pub(crate) fn watch(process: Option<&Process>) -> Self {
        Self(process.map(|_| {
            let (sent, received) = mpsc::unbounded_channel();
            for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
                let Ok(mut stream) = signal(kind) else { continue };
                let sent = sent.clone();
                tokio::spawn(async move { while stream.recv().await.is_some() && sent.send(()).is_ok() {} });
            }
            received
        }))
    }

    /// Watches them in `runtime`, from now on.
    pub(crate) fn watch_in(runtime: &Runtime, process: &Process) -> Self {
        let _within = runtime.enter();
        Self::watch(Some(process))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let received = match &mut self.0 {
            Some(signals) => signals.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Discards those received so far.
    pub(crate) fn forget(&mut self) {
        while self.0.as_mut().is_some_and(|signals| signals.try_recv().is_ok()) {}
    }
}

/// The most worker threads for a program's own functions: the network can't keep more of them busy.
const WORKERS: usize = 8;

/// The most threads for blocking calls: files, name lookup, questions.
const BLOCKING: usize = 8;

/// A single-threaded runtime; a run of many hosts adds threads of its own.
pub(crate) fn runtime(process: Option<&Process>) -> Result<Runtime, Failure> {
    start(process, &mut Builder::new_current_thread())
}

/// A multi-threaded runtime, in which a task that blocks doesn't hold up the others.
pub(crate) fn shared_runtime(process: Option<&Process>) -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    start(process, Builder::new_multi_thread().worker_threads(cores.min(WORKERS)))
}

fn start(process: Option<&Process>, builder: &mut Builder) -> Result<Runtime, Failure> {
    // A runtime that gets no descriptors for its signals panics.
    room_for_hosts(process)?;
    let builder = builder.max_blocking_threads(BLOCKING).enable_all().thread_name("fab");
    builder.build().map_err(|source| Failure::System { what: "starting threads", source })
}

/// Descriptors reserved for transferred files, local commands, pipes and the program itself, where the limit allows it.
const OTHER_FILES: usize = 128;

/// Keeps an interrupt (Ctrl-C) from ending this process, for a program whose owner says what is to end.
pub(crate) fn ignore_interrupts() -> impl Sized {
    signal(SignalKind::interrupt())
}

/// Descriptors that the program needs before its first host: the runtime, signals, and a few files.
const OWN_FILES: usize = 10;

/// Descriptors that one host needs at a time: its connection, and at most a local process with its pipes.
const FILES_OF_HOST: usize = 8;

/// How many connections the limit on open files allows; `None` for any number. The main program of a process first raises the
/// soft limit.
///
/// # Errors
///
/// The limit doesn't allow one connection. Found early, since later errors would need descriptors to be reported.
pub(crate) fn room_for_hosts(process: Option<&Process>) -> Result<Option<NonZero<usize>>, Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Not more: child processes inherit the limit, and some close every possible descriptor one by one.
    const WANTED: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|soft| *soft < WANTED) else { return Ok(None) };
    let most = limit.maximum.map_or(WANTED, |hard| hard.min(WANTED));
    let raised = process
        .is_some_and(|_| setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).is_ok());
    let files = usize::try_from(if raised { most } else { soft }).unwrap_or(usize::MAX);
    let open = open_files();
    let no_room = || {
        let needed = open.unwrap_or(files) + OWN_FILES + FILES_OF_HOST;
        Failure::Failed(format!(
            "the limit on open files ({files}) leaves no room for one host: at least {needed} are needed; raise the hard limit \
             (`ulimit -Hn`), which takes root, limits.conf, LimitNOFILE= of a systemd unit, or `--ulimit nofile` of a container"
        ))
    };
    NonZero::new(room(files, open)).ok_or_else(no_room).map(Some)
}

/// How many hosts a limit of `files` allows with `open` descriptors in use; `None`: no further one can be opened.
fn room(files: usize, open: Option<usize>) -> usize {
    let left = open.map_or(0, |open| files.saturating_sub(open + OWN_FILES));
    files.saturating_sub(OTHER_FILES).min(left).max(left / FILES_OF_HOST)
}

/// How many descriptors are in use, inherited ones included; `None`: no further one can be opened.
fn open_files() -> Option<usize> {
    // Standard input, output and error, and the journal. Used where the system doesn't say.
    const USUAL: usize = 4;
    match std::fs::read_dir("/dev/fd") {
        // One of them is `/dev/fd` itself.
        Ok(files) => Some(files.count().saturating_sub(1)),
        Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::MFILE) => None,
        Err(_) => Some(USUAL),
    }
}

#[cfg(test)]
mod tests {
    use super::room;

    /// What only this file may use.
    const OWN: [&str; 12] = [
        "process::exit",
        "process::abort",
        "set_hook",
        "setrlimit",
        "signal::unix",
        "env::args",
        "env::var",
        "env::current",
        "env::set_",
        "env::temp_dir",
        "dup2",
        "try_init",
    ];

    #[test]
    fn the_process_is_touched_in_one_file() {
        let mut dirs = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else if !path.ends_with("process.rs") {
                    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                    let own: Vec<_> = OWN.iter().filter(|own| text.contains(**own)).collect();
                    assert!(own.is_empty(), "{}: {own:?} belong into process.rs", path.display());
                }
            }
        }
    }

    #[test]
    fn a_low_limit_leaves_room_for_few_hosts() {
        for (files, hosts) in [(8, 0), (21, 0), (22, 1), (64, 6), (128, 14), (1024, 896), (65_536, 65_408)] {
            assert_eq!(room(files, Some(4)), hosts, "{files}");
        }
        // Inherited descriptors count too.
        assert_eq!((room(64, Some(60)), room(1024, Some(1000)), room(64, None)), (0, 14, 0));
    }
}
