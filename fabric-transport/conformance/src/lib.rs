//! A test suite for transports.
//!
//! The transports of `fabric-transport` and the plugins that come with Fabric pass it. The author of another transport
//! runs it in a test with one line:
//!
//! ```no_run
//! # async fn example(session: std::sync::Arc<dyn fabric_core::Session>) {
//! fabric_transport_conformance::run(session, &[]).await;
//! # }
//! ```
//!
//! or, for a plugin's library, with [`run_plugin`].
//!
//! The host of the session needs a POSIX shell with the usual utilities. Each case works in a directory of its own,
//! which it removes. Cases that a transport can't pass are excluded by name ([`NAMES`] has all), so that its limits are
//! written down.

mod files;
mod processes;

use std::sync::Arc;
use std::time::Duration;

use fabric_core::transport::{Program, PtyRequest, SpawnRequest};
use fabric_core::{ExitStatus, Process, ProcessEvent, Session};
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;

/// The time limit of a case.
const LIMIT: Duration = Duration::from_mins(1);

/// Why a case failed.
type Failure = String;
type Case = fn(Arc<dyn Session>) -> BoxFuture<'static, Result<(), Failure>>;

macro_rules! cases {
    ($($module:ident::$name:ident),+ $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |session| Box::pin($module::$name(session)))),+];
        /// The names of all cases.
        pub const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

cases! {
    processes::streams_stay_apart,
    processes::exit_status_is_told,
    processes::a_signal_is_told,
    processes::end_of_input_ends_a_reader,
    processes::bytes_both_ways_are_exact,
    processes::output_is_whole_when_the_process_ends,
    processes::one_stream_may_end_before_the_other,
    processes::processes_run_beside_each_other,
    processes::an_unread_process_holds_up_no_other,
    processes::a_dropped_process_harms_nothing,
    processes::a_process_is_stopped,
    processes::a_terminal_has_its_size,
    files::content_survives,
    files::any_name_survives,
    files::directories_are_listed,
    files::a_rename_replaces,
    files::what_is_not_there_is_not_found,
    files::modes_and_links_are_kept,
}

/// Runs all cases except those named in `without`, one after another, and then closes the session.
///
/// # Panics
///
/// With the names of the cases that failed, and why. Also for a name in `without` that isn't a case.
pub async fn run(session: Arc<dyn Session>, without: &[&str]) {
    for name in without {
        assert!(NAMES.contains(name), "there is no case `{name}`");
    }
    let mut failed = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| !without.contains(name)) {
        match tokio::time::timeout(LIMIT, case(session.clone())).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failed.push(format!("{name}: {failure}")),
            Err(_) => failed.push(format!("{name}: took longer than {} s", LIMIT.as_secs())),
        }
    }
    if !session.is_open() {
        failed.push("the session broke".to_owned());
    }
    session.close().await;
    if session.spawn(&command("true")).await.is_ok() {
        failed.push("a closed session starts a process".to_owned());
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// [`run`] on a session that the plugin in `file` opens with `target`: for a transport, the target of its host string;
/// for a gateway, an SSH server behind it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let target = fabric_core::Target::new("container://web".parse()?);
/// fabric_transport_conformance::run_plugin("target/debug/libcontainer.so", &target, &[]).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// As [`run`]; and if the plugin can't be loaded or opens no session.
pub async fn run_plugin(file: impl AsRef<std::path::Path>, target: &fabric_core::Target, without: &[&str]) {
    let plugin = fabric_transport::plugin::Plugin::load(file.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let connector = plugin.register(fabric_transport::Connector::new());
    let session = connector.open(target, &fabric_core::Emitter::none()).await;
    run(session.unwrap_or_else(|error| panic!("{error}")), without).await;
}

/// Returns an error with this text unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
use ensure;

fn command(line: &str) -> SpawnRequest {
    SpawnRequest::new(Program::Command(line.as_bytes().to_vec()))
}

fn on_a_terminal(line: &str, pty: PtyRequest) -> SpawnRequest {
    command(line).pty(pty)
}

async fn start(session: &Arc<dyn Session>, line: &str) -> Result<Process, Failure> {
    session.spawn(&command(line)).await.map_err(|error| format!("cannot start `{line}`: {error}"))
}

/// A process's output and exit status.
#[derive(Debug)]
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit: ExitStatus,
}

impl Said {
    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

async fn gather(mut process: Process) -> Result<Said, Failure> {
    let mut said = Said { stdout: Vec::new(), stderr: Vec::new(), exit: ExitStatus::Unknown };
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(bytes) => said.stdout.extend_from_slice(&bytes),
            ProcessEvent::Stderr(bytes) => said.stderr.extend_from_slice(&bytes),
            ProcessEvent::Exit(exit) => said.exit = exit,
            ProcessEvent::Lost(error) => return Err(format!("the process was lost: {error}")),
        }
    }
    Ok(said)
}

async fn run_line(session: &Arc<dyn Session>, line: &str) -> Result<Said, Failure> {
    let mut process = start(session, line).await?;
    process.stdin.shutdown().await.map_err(|error| format!("closing input: {error}"))?;
    gather(process).await
}
