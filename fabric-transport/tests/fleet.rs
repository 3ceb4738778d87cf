//! The embedded fleet, used by OpenSSH's own client.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::time::Duration;

use fabric_transport_fleet::{ExitFault, Faults, Fleet, Greeting, Method, Penalties, cheap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// An OpenSSH command with the fleet's configuration.
fn openssh(program: &str, fleet: &Fleet) -> Command {
    let mut command = Command::new(program);
    command.arg("-F").arg(fleet.ssh_config()).args(["-o", "BatchMode=yes"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Without messages that aren't errors.
const QUIET: [&str; 2] = ["-o", "LogLevel=ERROR"];

async fn ssh(fleet: &Fleet, args: &[&str]) -> Output {
    openssh("ssh", fleet).args(QUIET).args(args).output().await.expect("ssh is installed: scripts/setup-tests")
}

async fn ssh_with_input(fleet: &Fleet, args: &[&str], input: &[u8]) -> Output {
    let mut command = openssh("ssh", fleet);
    command.args(QUIET).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("ssh is installed: scripts/setup-tests");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = tokio::spawn(async move {
        // A command that doesn't read all of its input isn't an error of the writer.
        let _ = stdin.write_all(&input).await;
    });
    let output = child.wait_with_output().await.expect("ssh runs");
    writer.await.expect("no panic");
    output
}

#[track_caller]
fn check(output: &Output, stdout: &str, stderr: &str, status: i32) {
    let seen = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code(),
    );
    assert_eq!(seen, (stdout.to_owned(), stderr.to_owned(), Some(status)));
}

#[tokio::test]
async fn a_command_has_its_streams_and_its_status() {
    let fleet = Fleet::builder().hosts(2).start().await.unwrap();
    check(&ssh(&fleet, &["host1", "echo out; echo err >&2; exit 3"]).await, "out\n", "err\n", 3);
    check(&ssh(&fleet, &["host2", "printf %s \"$HOSTNAME\""]).await, "host2", "", 0);
    check(&ssh(&fleet, &["host2", "no-such-command 2>/dev/null"]).await, "", "", 127);
}

#[tokio::test]
async fn a_command_starts_in_the_directory_of_its_host() {
    let fleet = Fleet::builder().names(["web", "db"]).start().await.unwrap();
    let dir = fleet.host("db").unwrap().dir().display().to_string();
    check(&ssh(&fleet, &["db", "pwd -P; echo $HOME; echo hi > file"]).await, &format!("{dir}\n{dir}\n"), "", 0);
    assert_eq!(std::fs::read_to_string(fleet.host("db").unwrap().dir().join("file")).unwrap(), "hi\n");
    assert!(!fleet.host("web").unwrap().dir().join("file").exists());
}

#[tokio::test]
async fn standard_input_arrives_whole_and_ends() {
    let fleet = Fleet::builder().start().await.unwrap();
    let input: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let output = ssh_with_input(&fleet, &["host1", "cat"], &input).await;
    assert!(output.stdout == input, "what came back is not what was sent");
    check(&ssh_with_input(&fleet, &["host1", "wc -c"], b"four").await, "4\n", "", 0);
    check(&ssh_with_input(&fleet, &["host1", "head -c 3"], &vec![b'x'; 1 << 20]).await, "xxx", "", 0);
}

#[tokio::test]
async fn much_output_arrives_whole() {
    let fleet = Fleet::builder().start().await.unwrap();
    let output = ssh(&fleet, &["host1", "head -c 20000000 /dev/zero"]).await;
    assert_eq!(output.stdout.len(), 20_000_000);
}

#[tokio::test]
async fn a_terminal_is_a_terminal() {
    let fleet = Fleet::builder().start().await.unwrap();
    let output = ssh(&fleet, &["-tt", "host1", "test -t 0 && test -t 1 && echo $TERM-tty; echo err >&2; exit 5"]).await;
    assert_eq!(output.status.code(), Some(5));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("-tty\r\nerr\r\n"), "{text:?}");
    let output = ssh(&fleet, &["-tt", "host1", "tty; ps -o tty= -p $$"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let (named, controlling) = (lines.next().unwrap(), lines.next().unwrap());
    assert_eq!(named.trim_start_matches("/dev/"), controlling, "the terminal controls the process");
}

#[tokio::test]
async fn a_shell_reads_commands() {
    let fleet = Fleet::builder().start().await.unwrap();
    check(&ssh_with_input(&fleet, &["host1"], b"echo one\nexit 7\n").await, "one\n", "", 7);
}

#[tokio::test]
async fn variables_are_passed_on() {
    let fleet = Fleet::builder().env("FLEET", "yes").start().await.unwrap();
    check(&ssh(&fleet, &["-o", "SetEnv=WHO=me", "host1", "echo $FLEET $WHO"]).await, "yes me\n", "", 0);
}

#[tokio::test]
async fn a_signal_that_ends_a_command_is_told() {
    let fleet = Fleet::builder().start().await.unwrap();
    // OpenSSH's client shows it as 255.
    let output =
        openssh("ssh", &fleet).args(["-o", "LogLevel=DEBUG", "host1", "kill -TERM $$"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exit-signal"));
}

#[tokio::test]
async fn only_the_key_logs_in() {
    let fleet = Fleet::builder().start().await.unwrap();
    let other = Fleet::builder().start().await.unwrap();
    let key = format!("IdentityFile={}", other.client_key().display());
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "IdentityAgent=none"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", &key, "-p"]);
    let address = fleet.hosts()[0].address();
    let output =
        command.arg(address.port().to_string()).arg(address.ip().to_string()).arg("true").output().await.unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied (publickey)"));
    assert_eq!((fleet.hosts()[0].attempts(), fleet.hosts()[0].logins()), (1, 0));
}

#[tokio::test]
async fn passwords_questions_and_several_methods() {
    let askpass = |dir: &std::path::Path| {
        let script = dir.join("askpass");
        // Each question gets the answer that its first word names.
        std::fs::write(&script, "#!/bin/sh\ncase $1 in *Code*) echo 42 ;; *) echo sesame ;; esac\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        script
    };
    let login = async |fleet: &Fleet, methods: &str| {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(fleet.ssh_config()).args(["-o", &format!("PreferredAuthentications={methods}")]);
        command.args(["-o", "NumberOfPasswordPrompts=1", "host1", "echo in"]).stdin(Stdio::null());
        command.env("SSH_ASKPASS", askpass(fleet.dir())).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", "none");
        String::from_utf8_lossy(&command.output().await.unwrap().stdout).into_owned()
    };
    let fleet = Fleet::builder()
        .password("sesame")
        .keyboard_interactive([("Word: ", "sesame"), ("Code: ", "42")])
        .start()
        .await
        .unwrap();
    assert_eq!(login(&fleet, "password").await, "in\n");
    assert_eq!(login(&fleet, "keyboard-interactive").await, "in\n");

    let both =
        Fleet::builder().password("sesame").require([Method::PublicKey, Method::Password]).start().await.unwrap();
    assert_eq!(login(&both, "publickey,password").await, "in\n");
    assert_eq!(login(&both, "publickey").await, "");
    assert_eq!(login(&both, "password").await, "");

    let wrong = Fleet::builder().password("other").start().await.unwrap();
    assert_eq!(login(&wrong, "password").await, "");
}

#[tokio::test]
async fn files_go_both_ways_by_sftp() {
    let fleet = Fleet::builder().start().await.unwrap();
    let home = fleet.hosts()[0].dir().to_owned();
    let here = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 253) as u8).collect();
    std::fs::write(here.path().join("up"), &content).unwrap();
    std::fs::set_permissions(here.path().join("up"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::fs::create_dir_all(here.path().join("tree/sub")).unwrap();
    for n in 0..150 {
        std::fs::write(here.path().join(format!("tree/sub/{n}")), format!("file {n}")).unwrap();
    }
    let mut batch = String::new();
    for line in [
        "put -p up there/copy",
        "get there/copy back",
        "put -R tree",
        "rename there/copy there/moved",
        "ln -s moved there/link",
        "chmod 600 there/moved",
        "ls -l there",
        "rm tree/sub/7",
        "get -R tree tree-back",
    ] {
        writeln!(batch, "{line}").unwrap();
    }
    std::fs::create_dir(home.join("there")).unwrap();
    std::fs::write(here.path().join("batch"), batch).unwrap();
    let output =
        openssh("sftp", &fleet).args(["-b", "batch", "host1"]).current_dir(here.path()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(here.path().join("back")).unwrap() == content);
    assert!(std::fs::read(home.join("there/link")).unwrap() == content);
    assert_eq!(std::fs::metadata(home.join("there/moved")).unwrap().permissions().mode() & 0o7777, 0o600);
    let back = std::fs::read_dir(here.path().join("tree-back/sub")).unwrap().count();
    assert_eq!((std::fs::read_dir(home.join("tree/sub")).unwrap().count(), back), (149, 149));
}

#[tokio::test]
async fn a_host_is_a_gateway_to_the_others() {
    let fleet = Fleet::builder().names(["bastion", "inner"]).start().await.unwrap();
    // The bastion resolves the name `inner`.
    let output = ssh(&fleet, &["-o", "HostName=inner", "-J", "bastion", "inner", "echo $HOSTNAME"]).await;
    check(&output, "inner\n", "", 0);
}

#[tokio::test]
async fn ports_are_forwarded_from_and_to_a_host() {
    let fleet = Fleet::builder().start().await.unwrap();
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = echo.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    // `-W` is direct-tcpip on the client's own pipes.
    let output = ssh_with_input(&fleet, &["-W", &target.to_string(), "host1"], b"there and back").await;
    check(&output, "there and back", "", 0);

    let mut command = openssh("ssh", &fleet);
    command.args(["-N", "-R", &format!("0:{target}"), "host1"]).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut said = tokio::io::BufReader::new(client.stderr.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut said, &mut line).await.unwrap();
    let port: u16 = line.strip_prefix("Allocated port ").unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"round").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "round");
    client.kill().await.unwrap();

    let refused = openssh("ssh", &fleet).args(["-W", "192.0.2.1:80", "host1"]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("administratively prohibited"), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_fleet_leaves_nothing_behind() {
    let fleet = Fleet::builder().start().await.unwrap();
    let dir = fleet.dir().to_owned();
    let mut client = openssh("ssh", &fleet);
    client.args(["host1", "echo $$; sleep 1000 & wait"]).stdout(Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = tokio::io::BufReader::new(client.stdout.take().unwrap());
    tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line).await.unwrap();
    let group = rustix::process::Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process_group(group).is_ok());
    drop(fleet);
    assert_eq!(client.wait().await.unwrap().code(), Some(255));
    while rustix::process::test_kill_process_group(group).is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!dir.exists());
}

#[tokio::test]
async fn cheap_commands_take_no_process() {
    let fleet = Fleet::builder().answers(cheap()).start().await.unwrap();
    check(&ssh(&fleet, &["host1", "lines 2 4"]).await, "xxx\nxxx\n", "", 0);
    check(&ssh(&fleet, &["host1", "exit 9"]).await, "", "", 9);
    check(&ssh(&fleet, &["host1", "echo $((1 + 1))"]).await, "2\n", "", 0);
}

#[tokio::test]
async fn faults_are_what_they_say() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = &fleet.hosts()[0];
    let said = async |faults: Faults| {
        host.set_faults(faults);
        let output = openssh("ssh", &fleet).args(["host1", "head -c 100000 /dev/zero"]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(255));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let mut faults = Faults::default();
    faults.greeting = Greeting::Close;
    // Closed or reset: depends on whether the client's version line had arrived.
    assert!(said(faults.clone()).await.contains("by 127.0.1.1 port"));
    faults.greeting = Greeting::Version;
    faults.cut_after = Some(2000);
    // Reset, broken pipe or closed: depends on what the client was doing.
    said(faults.clone()).await;
    faults.cut_after = None;
    faults.garble_after = Some(3000);
    assert!(said(faults.clone()).await.contains("message"));
    faults.garble_after = None;
    faults.exit = ExitFault::Missing;
    said(faults.clone()).await;
    faults.exit = ExitFault::None;
    faults.refuse_channels = true;
    assert!(said(faults.clone()).await.contains("open failed"));

    faults.refuse_channels = false;
    faults.greeting = Greeting::Late(Duration::from_millis(5));
    host.set_faults(faults);
    check(&ssh(&fleet, &["host1", "echo at last"]).await, "at last\n", "", 0);
}

#[tokio::test]
async fn an_address_whose_logins_fail_is_refused_for_a_while() {
    let mut faults = Faults::default();
    let long = Duration::from_hours(1);
    let mut penalties = Penalties::default();
    (penalties.failed, penalties.max) = (long, long);
    faults.penalties = Some(penalties);
    let fleet = Fleet::builder().users(["somebody"]).faults(faults).start().await.unwrap();
    let stderr = async |user: &str| {
        let output = openssh("ssh", &fleet).args(["-l", user, "host1", "echo in"]).output().await.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert_eq!(stderr("somebody").await, "in\n");
    assert!(stderr("nobody").await.contains("Permission denied"));
    // Whether the text arrives before the reset depends on the system.
    assert!(!stderr("somebody").await.contains("in\n"));
    assert_eq!((fleet.hosts()[0].logins(), fleet.hosts()[0].attempts()), (1, 2));
    fleet.hosts()[0].set_faults(Faults::default());
    assert_eq!(stderr("somebody").await, "in\n");
}

#[tokio::test]
async fn names_and_addresses_are_checked() {
    for names in [vec![""], vec!["a", "a"], vec!["../up"], vec!["-o"], vec!["a b"]] {
        assert!(Fleet::builder().names(names.clone()).start().await.is_err(), "{names:?}");
    }
    assert!(Fleet::builder().first_address([10, 0, 0, 1].into()).start().await.is_err());
    let fleet = Fleet::builder().hosts(3).one_address().start().await.unwrap();
    let ports: std::collections::HashSet<u16> = fleet.hosts().iter().map(|host| host.address().port()).collect();
    assert_eq!(ports.len(), 3);
    check(&ssh(&fleet, &["host3", "echo $HOSTNAME"]).await, "host3\n", "", 0);
}
