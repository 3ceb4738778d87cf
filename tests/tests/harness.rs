//! The harness itself: servers start, serve OpenSSH's client, and are gone at the end.

use std::process::{Command, Stdio};

use tests::{Guard, Sshd, TestUser, case};

fn ssh(sshd: &Sshd, host: usize, user: Option<&str>) -> Command {
    let mut command = Command::new(tests::tool("ssh"));
    let host = &sshd.hosts()[host];
    command.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    command.args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "LogLevel=ERROR"]);
    command.args(["-o", "BatchMode=yes", "-i"]).arg(sshd.key()).args(["-p", &host.port.to_string()]);
    command.arg(format!("{}{}", user.map_or(String::new(), |user| format!("{user}@")), host.address));
    command.stdin(Stdio::null());
    command
}

#[test]
fn every_address_is_a_host() {
    let sshd = Sshd::builder().hosts(20).start();
    for host in [0, 15, 16, 19] {
        let output = ssh(&sshd, host, None).arg("echo $SSH_CONNECTION").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = format!(" {} {}\n", sshd.hosts()[host].address, sshd.hosts()[host].port);
        assert!(text.ends_with(&expected), "{text:?} {output:?}");
    }
    assert_eq!(sshd.known_hosts().lines().count(), 20);
    sshd.wait_for_log("Accepted publickey", 4);
}

#[test]
fn nothing_is_left_of_a_server() {
    let sshd = Sshd::builder().start();
    let dir = sshd.key().parent().unwrap().to_owned();
    // A background process outlives its session, but not its server.
    let output = ssh(&sshd, 0, None).arg("sleep 1000 >/dev/null 2>&1 & echo $!").output().unwrap();
    let left = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    let left = rustix::process::Pid::from_raw(left).unwrap();
    assert!(rustix::process::test_kill_process(left).is_ok());
    let address = sshd.hosts()[0].host_string();
    drop(sshd);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!dir.exists());
    if cfg!(target_os = "linux") {
        // Killed, but perhaps not reaped yet. If it were not killed, this would not end.
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", left.as_raw_nonzero()));
        while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_guard_keeps_its_word_when_its_process_is_killed() {
    const PIPE: &str = "FABRIC_TEST_GUARD_PIPE";
    if let Some(pipe) = std::env::var_os(PIPE) {
        // The process that the other one has started is killed without a chance to clean up.
        let _guard = Guard::new("echo undone > \"$1\"", [pipe]);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        unreachable!("killed");
    }
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut killed = Command::new(std::env::current_exe().unwrap());
    killed.args(["--exact", "a_guard_keeps_its_word_when_its_process_is_killed"]).env(PIPE, &pipe);
    let killed = killed.stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(std::fs::read_to_string(&pipe).unwrap(), "undone\n");
    assert_eq!(killed.wait_with_output().unwrap().status.code(), None);
}

#[test]
#[ignore = "needs root"]
fn a_throw_away_user_logs_in_and_has_a_password() {
    let user = TestUser::new();
    let sshd = Sshd::builder().passwords().start();
    let output = ssh(&sshd, 0, Some(user.name())).arg("id -un; pwd").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{}\n{}\n", user.name(), user.home().display()),
        "{output:?}"
    );
    let mut sudo = ssh(&sshd, 0, Some(user.name()));
    let mut sudo = sudo.arg("sudo -S -p '' id -un").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut sudo.stdin.take().unwrap(), format!("{}\n", user.password()).as_bytes()).unwrap();
    assert_eq!(String::from_utf8_lossy(&sudo.wait_with_output().unwrap().stdout), "root\n");
}

#[test]
fn placeholders_are_filled_in() {
    let case = case!().hosts(2).value("who", "me");
    let (one, two) = (case.fill("{h1}"), case.fill("{h2}"));
    assert_eq!(case.fill("{hosts} {who} {{ env.host }}"), format!("{one},{two} me {{{{ env.host }}}}"));
    assert_eq!(case.fill("{address2}:{port}"), two);
}
