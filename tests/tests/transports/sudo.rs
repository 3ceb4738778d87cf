//! A real `sudo` that asks for a real password, over a real sshd. These tests need root, to make the user.

use std::time::Duration;

use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::{Error, Settings, Target};
use fabric_transport::Connection;
use fabric_transport::transfer::Source;
use tests::{Sshd, TestUser};

/// A connection as the user, who must give a password to `sudo`.
struct Bench {
    user: TestUser,
    connection: Connection,
    dir: tempfile::TempDir,
    _sshd: Sshd,
}

impl Bench {
    fn new() -> Self {
        let user = TestUser::new();
        let sshd = Sshd::builder().start();
        let dir = tempfile::tempdir().unwrap();
        let known_hosts = dir.path().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
        let host = format!("{}@{}", user.name(), sshd.hosts()[0].host_string());
        let mut target = Target::new(host.parse().unwrap());
        target.auth.identities = vec![Identity::new(sshd.key())];
        target.auth.identities_only = true;
        target.host_keys.check = HostKeyCheck::Strict;
        target.host_keys.user_files = vec![known_hosts];
        let mut settings = Settings::default();
        settings.sudo_password = Some(user.password().into());
        let connection = Connection::to(target).settings(settings).build().unwrap();
        Self { user, connection, dir, _sshd: sshd }
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn the_whole_line_is_privileged_with_and_without_a_terminal() {
    let bench = Bench::new();
    for pty in [false, true] {
        let request = bench.connection.sudo("id -un; id -un | cat; pwd; echo \"$WHAT\"");
        let outcome = request.cd("/root").env("WHAT", "it's $x").prefix("true").pty(pty).await.unwrap();
        let text = outcome.stdout().replace("\r\n", "\n");
        assert_eq!((text.as_str(), &*outcome.stderr()), ("root\nroot\n/root\nit's $x\n", ""), "pty {pty}");
    }
    let outcome = bench.connection.sudo("id -un; id -gn").user("nobody").group(bench.user.name()).await.unwrap();
    assert_eq!(outcome.stdout(), format!("nobody\n{}\n", bench.user.name()));
}

#[tokio::test]
#[ignore = "needs root"]
async fn input_goes_to_the_command_and_the_password_to_sudo() {
    let bench = Bench::new();
    assert_eq!(bench.connection.sudo("cat").stdin("not the password\n").await.unwrap().stdout(), "not the password\n");
    assert_eq!(bench.connection.sudo("cat; echo end").await.unwrap().stdout(), "end\n");
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_wrong_password_is_refused_in_any_language() {
    let bench = Bench::new();
    for pty in [false, true] {
        let request = bench.connection.sudo("echo never").password("wrong").pty(pty).timeout(Duration::from_mins(1));
        let error = request.await.unwrap_err();
        assert!(matches!(&error, Error::SudoRefused { user, .. } if user == bench.user.name()), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn files_are_put_and_got_as_root() {
    let bench = Bench::new();
    // Only root may read it.
    let there = tempfile::tempdir().unwrap();
    let remote = there.path().join("secret").to_str().unwrap().to_owned();
    let put = || bench.connection.put(Source::bytes("content"), remote.clone());
    put().await.unwrap_err();
    put().use_sudo(true).mode(0o600).await.unwrap();
    assert_eq!(std::fs::read_to_string(&remote).unwrap(), "content");
    let local = bench.dir.path().join("copy");
    bench.connection.get(remote.clone(), &local).await.unwrap_err();
    bench.connection.get(remote, &local).use_sudo(true).verify(true).await.unwrap();
    assert_eq!(std::fs::read_to_string(&local).unwrap(), "content");
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_privileged_command_is_stopped_too() {
    let bench = Bench::new();
    let marker = format!("{}.75", 2_000_000 + std::process::id());
    let (ours, mut theirs) = tokio::io::duplex(64);
    let request = bench.connection.sudo(format!("echo begun; sleep {marker} & sleep {marker}; wait"));
    let running = request.out_stream(ours).grace(Duration::from_millis(500)).start().await.unwrap();
    tokio::io::AsyncReadExt::read_u8(&mut theirs).await.unwrap();
    let stopped = running.stop().await;
    let said = match &stopped {
        Ok(_) => false,
        Err(Error::Interrupted { still_running, .. }) => still_running.is_some(),
        Err(error) => panic!("{error:?}"),
    };
    let here = Connection::builder("local://here").build().unwrap();
    let left = here.run(format!("ps -eo args | grep -c '^[s]leep {marker}'")).warn(true).await.unwrap();
    // This user may not be able to stop a process of root; then that is reported.
    assert_eq!(left.stdout().trim() != "0", said, "{stopped:?}");
    here.run(format!("pkill -KILL -f '^sleep {marker}'")).warn(true).await.unwrap();
}
