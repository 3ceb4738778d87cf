//! Limits on the memory that hosts can make the program use.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fabric_transport_fleet::{Fleet, cheap};
use tests::{Sshd, case, peak_memory};

const MIB: u64 = 1 << 20;

const HOSTS: usize = 1000;

/// Every process of the session floods: the command, and the one that should stop it.
#[test]
fn a_host_that_floods_whatever_it_is_asked_is_given_up_within_the_grace_time_and_little_memory() {
    for flood in ["yes", "cat /dev/zero 1>&2"] {
        let sshd = Sshd::builder().config(format!("ForceCommand trap '' INT TERM HUP; {flood}")).start();
        let case = || case!().on(&sshd).args(["-H", "{h1}"]).memory(128 * MIB);
        let honest =
            "it may still be running there: ending the process: the host runs another program instead of the script";
        case()
            .within("exec >/dev/null")
            .args(["-T", "1", "--", "anything"])
            .stderr_has("`anything` did not finish within 1 s; ")
            .stderr_has(honest)
            .status(1)
            .run();
        case()
            .within("mkfifo out; { grep -a -m 1 'run: anything' >&2; cat >/dev/null; } <out & exec >out")
            .args(["--", "anything"])
            .interrupt_at("run: anything")
            .stderr_has(honest)
            .any_status()
            .run();
    }
}

#[test]
fn a_command_that_floods_and_traps_signals_is_ended_in_little_memory() {
    // Many small messages keep a busy machine busy, so that the second process may not be stopped in time.
    for (flood, end) in [("yes", "it was ended"), ("dd if=/dev/zero bs=1", "it ")] {
        case!()
            .hosts(1)
            .args(["-T", "1", "-H", "{h1}", "--", &format!("trap '' INT TERM HUP; {flood}")])
            .within("exec >/dev/null")
            .memory(128 * MIB)
            .stderr_has(format!("did not finish within 1 s; {end}"))
            .status(1)
            .run();
    }
}

/// The memory of a debug build, whose tasks are half as large again.
const MOST: u64 = if cfg!(debug_assertions) { 384 * MIB } else { 256 * MIB };

/// Standard output is a pipe that isn't read. Once no host sends any more, nothing more is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hosts_whose_output_is_not_taken_stay_small() {
    let fleet = Fleet::builder().hosts(HOSTS).one_host_key().answers(cheap()).start().await.expect("a fleet");
    let dir = tempfile::tempdir().expect("a directory");
    for command in ["lines 2500 100", "lines 1 250000"] {
        let before = fleet.hosts()[0].logins();
        let mut fab = Command::new(env!("CARGO_BIN_EXE_fab-under-test"))
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .args(["-D", "-P", "-i"])
            .arg(fleet.client_key())
            .args(["-H", &fleet.hosts().iter().map(|host| host.address().to_string()).collect::<Vec<_>>().join(",")])
            .args(["--", command])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("fab starts");
        let begun = || fleet.hosts().iter().filter(|host| host.logins() > before).count();
        let (mut seen, mut since) = ((0, 0), Instant::now());
        // Until neither memory nor the number of hosts grows any more.
        while seen.1 == 0 || since.elapsed() < Duration::from_secs(10) {
            let now = (peak_memory(fab.id()).expect("it waits for its reader"), begun());
            if now > seen {
                (seen, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (peak, begun) = seen;
        assert!(peak < MOST, "{command}: {} MiB for {begun} hosts", peak / MIB);
        assert!(begun > HOSTS / 4, "{command}: {begun} hosts");
        // It was held up, and has more output.
        let mut some = vec![0; 1 << 20];
        fab.stdout.as_mut().expect("piped").read_exact(&mut some).expect("its output");
        fab.kill().expect("it runs");
        fab.wait().expect("its end");
    }
}
