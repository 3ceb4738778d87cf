//! What a plugin costs: the gateway `direct` against a direct connection, the transport `openssh` against plain `ssh`.
//!
//! `cargo bench -p tests --bench plugins`
//!
//! Both ways take turns, in pieces, on sessions that stand, and the middle piece of each counts: what else the machine
//! does meets both alike, and its peaks neither.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::transport::{Program, SpawnRequest};
use fabric_core::{Emitter, ExitStatus, ProcessEvent, Session, Target};
use fabric_transport::Connector;
use tests::{BuiltPlugin, Sshd};

/// 16 pieces are a gibibyte.
const PIECE: u64 = 64 << 20;
const PIECES: u32 = 16;
/// 20 turns of 25 are 500.
const COMMANDS: u32 = 25;
const TURNS: u32 = 20;

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` runs this too, and has no time for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (sshd, direct) = (Sshd::shared(), BuiltPlugin::new("direct"));
    let host = &sshd.hosts()[0];
    let plain = Connector::new().open(&direct.target(sshd, host), &Emitter::none()).await.expect("a session");
    let through = direct.open(&direct.behind("direct://", sshd, host)).await.expect("a session");
    let ways = [("direct connection", plain.clone()), ("gateway plugin", through)];
    compare("1 GiB from the host", PIECES, &ways, download).await;
    compare("500 commands", TURNS, &ways, commands).await;

    let openssh = BuiltPlugin::new("openssh");
    let mut target = Target::new(format!("openssh://{}", host.host_string()).parse().expect("a host string"));
    let known_hosts = direct.dir().join("known_hosts").display().to_string();
    let key = sshd.key().display().to_string();
    let args =
        ["-F", "none", "-o", &format!("UserKnownHostsFile={known_hosts}"), "-o", "IdentitiesOnly=yes", "-i", &key];
    target.options.insert("openssh".to_owned(), serde_json::json!({ "args": args }));
    let by_ssh = openssh.open(&target).await.expect("a session");
    // The same multiplexing, by hand.
    let socket = direct.dir().join("master").display().to_string();
    let ssh = |options: &[&str]| {
        let mut ssh = Command::new("ssh");
        ssh.args(args).args(["-S", &socket, "-p", &host.port.to_string()]).args(options);
        ssh.arg(host.address.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        ssh
    };
    assert!(ssh(&["-M", "-f", "-N"]).stderr(Stdio::null()).status().expect("ssh starts").success());
    let (mut plain_took, mut plugin_took) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plugin_took.push(timed(commands(by_ssh.clone())).await);
        let begun = Instant::now();
        for _ in 0..COMMANDS {
            let mut command = ssh(&["-T"]);
            assert!(command.arg("true").status().expect("ssh starts").success());
        }
        plain_took.push(begun.elapsed());
    }
    assert!(ssh(&["-O", "exit"]).stderr(Stdio::null()).status().expect("ssh starts").success());
    tell("500 commands", ("ssh with ControlMaster", plain_took), ("openssh plugin", plugin_took));
}

async fn compare<F: Future<Output = ()>>(
    what: &str,
    turns: u32,
    [plain, plugin]: &[(&str, Arc<dyn Session>); 2],
    work: impl Fn(Arc<dyn Session>) -> F,
) {
    let (mut plain_took, mut plugin_took) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        // Each is first in every other turn.
        for first in [turn % 2 == 0, turn % 2 != 0] {
            let (took, session) = if first { (&mut plain_took, &plain.1) } else { (&mut plugin_took, &plugin.1) };
            took.push(timed(work(session.clone())).await);
        }
    }
    tell(what, (plain.0, plain_took), (plugin.0, plugin_took));
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

fn tell(what: &str, plain: (&str, Vec<Duration>), plugin: (&str, Vec<Duration>)) {
    let all = |mut took: Vec<Duration>| {
        took.sort();
        took[took.len() / 2].as_secs_f64() * took.len() as f64
    };
    let (before, after) = (all(plain.1), all(plugin.1));
    let more = (after / before - 1.0) * 100.0;
    println!("{what}: {} {before:.2} s, {} {after:.2} s ({more:+.1} %)", plain.0, plugin.0);
}

async fn download(session: Arc<dyn Session>) {
    assert_eq!(run(&session, &format!("head -c {PIECE} /dev/zero")).await, PIECE);
}

async fn commands(session: Arc<dyn Session>) {
    for _ in 0..COMMANDS {
        run(&session, "true").await;
    }
}

/// Runs a command and says how much it printed.
async fn run(session: &Arc<dyn Session>, line: &str) -> u64 {
    let program = Program::Command(line.as_bytes().to_vec());
    let mut process = session.spawn(&SpawnRequest::new(program)).await.expect("a process");
    let (mut printed, mut exit) = (0, ExitStatus::Unknown);
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(bytes) => printed += bytes.len() as u64,
            ProcessEvent::Exit(status) => exit = status,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(exit, ExitStatus::Code(0), "{line}");
    printed
}
