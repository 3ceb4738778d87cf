//! Connecting: how, and for how long.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tests::{BuiltPlugin, Case, Ran, Sshd, case, needs_root, tool};

/// A port without a listener.
const DEAD: &str = "127.0.9.9:1";

fn failing(host: impl Into<String>, options: &[&str]) -> Case {
    case!().args(options).args(["-H", &host.into(), "--", "true"]).status(1)
}

fn reach(options: &[&str]) -> Case {
    case!().hosts(1).args(options).args(["-H", "{h1}", "--", "echo reached"]).any_stderr()
}

/// An address that doesn't answer connection attempts, because its queue is full.
fn silent_address() -> (String, tokio::net::TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let listener = socket.listen(0).expect("a listener");
    let address = listener.local_addr().expect("its address");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "{address} takes everybody");
    }
    (address.to_string(), listener, waiting)
}

#[test]
fn timeout_gives_up_an_address_that_does_not_answer() {
    let (address, _listener, _waiting) = silent_address();
    let case = failing(&address, &["-t", "0.3"]).any_stdout();
    case.stderr_has(format!("[{address}] error: "))
        .stderr_has("timed out after 0.3 s")
        .stderr_has("setting timeout")
        .run();
}

/// An address that accepts connections and sends nothing.
fn mute() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    (listener.local_addr().expect("its address").to_string(), listener)
}

#[test]
fn timeout_covers_the_version_line_unless_banner_timeout_is_given() {
    let (address, _listener) = mute();
    let case = |options: &[&str]| failing(&address, options).any_stdout();
    let late = |setting| format!("timed out after 0.3 s while waiting for the server's banner (setting {setting})");
    case(&["-t", "0.3"]).stderr_has(late("timeout")).run();
    case(&[]).env("FABRIC_TIMEOUT", "0.3").stderr_has(late("timeout")).run();
    case(&[]).home_file(".ssh/config", "ConnectTimeout 1\n").stderr_has("after 1 s while waiting").run();
    case(&["--set", "ssh_options=ConnectTimeout=1"]).stderr_has("(setting timeout)").run();
    // Shorter or longer, in whatever layer.
    case(&["-t", "60", "--banner-timeout", "0.3"]).stderr_has(late("banner_timeout")).run();
    case(&["-t", "0.1", "--banner-timeout", "0.3"]).stderr_has(late("banner_timeout")).run();
    case(&["-t", "0.1"]).fabfile("[env]\nbanner_timeout = 0.3\n").stderr_has(late("banner_timeout")).run();
    case(&["-t", "0.1"]).env("FABRIC_BANNER_TIMEOUT", "0.3").stderr_has(late("banner_timeout")).run();
}

#[test]
fn timeout_covers_what_is_beyond_a_gateway_too() {
    let (address, _listener) = mute();
    let (host, port) = address.split_once(':').expect("a port");
    let late =
        |setting| format!("[web] error: timed out after 1 s while waiting for the server's banner (setting {setting})");
    let plugin = BuiltPlugin::compile("direct-c", include_str!("../../../plugins/examples/direct.c"));
    let sshd = Sshd::builder().start();
    let gateway = sshd.hosts()[0].host_string();
    let config = format!("Host web\n HostName {host}\n Port {port}\n ConnectTimeout 1\nHost *\n ConnectTimeout 60\n");
    let case = |way: &str, options: &[&str]| {
        let case =
            case!().on(&sshd).value("plugin", plugin.file().display().to_string()).home_file(".ssh/config", &config);
        case.args(["--plugin", "{plugin}", "-g", way, "-H", "web"])
            .args(options)
            .args(["--", "true"])
            .any_stdout()
            .status(1)
    };
    for way in [gateway.as_str(), "sleep 1000", "direct-c://"] {
        case(way, &[]).stderr_has(late("timeout")).run();
    }
    case(&gateway, &[]).fabfile("[env]\nbanner_timeout = 1\n").stderr_has(late("banner_timeout")).run();
    // A gateway that sends nothing itself.
    let (address, _gateway) = mute();
    let said = format!(
        "gateway {address}: {address}: timed out after 1 s while waiting for the server's banner (setting timeout)"
    );
    case(&address, &["-t", "1"]).stderr_has(said).run();
    // One that doesn't get there.
    let (silent, _silent, _waiting) = silent_address();
    let (host, port) = silent.split_once(':').expect("a port");
    let config = format!("Host web\n HostName {host}\n Port {port}\n ConnectTimeout 1\nHost *\n ConnectTimeout 60\n");
    let said = format!("[web] error: gateway {gateway}: timed out after 1 s while connecting (setting timeout)");
    case(&gateway, &[]).home_file(".ssh/config", config).stderr_has(said).run();
}

/// The server looks the key up by a slow command, which only root can configure.
#[test]
#[ignore = "needs root"]
fn auth_timeout_gives_up_a_login_that_is_not_answered() {
    needs_root();
    let slow = format!("AuthorizedKeysCommand {} 5", tool("sleep").display());
    let sshd = Sshd::builder().config("AuthorizedKeysFile none").config(slow).config("AuthorizedKeysCommandUser root");
    let sshd = sshd.start();
    let case = case!().on(&sshd).args(["--auth-timeout", "0.5", "-H", "{h1}", "--", "true"]).any_stdout().status(1);
    case.stderr_has("timed out after 0.5 s").stderr_has("setting auth_timeout").run();
}

fn retries(ran: &Ran) -> Vec<u64> {
    let events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    events.filter(|event| event["event"] == "retrying").filter_map(|event| event["attempt"].as_u64()).collect()
}

#[test]
fn connection_attempts_are_made() {
    let case = |attempts: &str| failing(DEAD, &["--output", "json", "-n", attempts]).any_stdout().any_stderr();
    assert_eq!(retries(&case("1").run()), [0_u64; 0]);
    assert_eq!(retries(&case("2").run()), [1]);
}

/// The process that serves the connection is stopped, as if the host had lost its power.
#[test]
fn keepalive_notices_a_host_that_has_gone() {
    let sshd = Sshd::builder().start();
    let ran = case!()
        .on(&sshd)
        .args(["--keepalive", "0.3", "-H", "{h1}", "--", "echo $PPID > {far}/pid; kill -STOP $PPID; exec sleep 1000"])
        .any_stdout()
        .stderr_has("[{h1}] error: ")
        .status(1)
        .run();
    let pid = ran.read_far("pid");
    let killed = std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill starts");
    assert!(killed.success());
}

#[test]
fn gateway_is_what_the_connection_goes_through() {
    let (gateway, target) = (Sshd::builder().start(), Sshd::builder().start());
    let case = |options: &[&str]| {
        case!()
            .on(&target)
            .value("gateway", gateway.hosts()[0].host_string())
            .known_hosts(format!("{}{}", gateway.known_hosts(), target.known_hosts()))
            .args(["-i", &gateway.key().display().to_string()])
            .args(options)
            .args(["-H", "{h1}", "--", "echo reached"])
            .stdout_has("[{h1}] out: reached\n")
            .any_stderr()
    };
    case(&[]).run();
    assert!(!gateway.log().contains("Accepted publickey"));
    case(&["-g", "{gateway}"]).run();
    gateway.wait_for_log("Accepted publickey", 1);
    target.wait_for_log("Accepted publickey", 2);
}

#[test]
fn a_gateway_may_be_a_command() {
    let copy = "python3 -c 'import os,socket,sys,threading\n\
                s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n\
                open(sys.argv[3],\"w\").close()\n\
                def up():\n\
                \x20for d in iter(lambda:os.read(0,9999),b\"\"):s.sendall(d)\n\
                \x20s.shutdown(1)\n\
                threading.Thread(target=up,daemon=True).start()\n\
                for d in iter(lambda:s.recv(9999),b\"\"):os.write(1,d)' %h %p {far}/used";
    let ran = reach(&["-g", copy]).stdout_has("out: reached\n").run();
    assert_eq!(ran.read_far("used"), "");
}

const OTHER_KEY: &str =
    "[{address1}]:{port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n";

#[test]
fn disable_known_hosts_takes_any_key() {
    let case = |options: &[&str]| reach(options).known_hosts(OTHER_KEY);
    case(&[]).stdout_lacks("reached").stderr_has("host key").status(1).run();
    case(&["-D"]).stdout_has("out: reached\n").stderr_has("has changed from the one at").run();
    // As with ssh, which gives such a host no password either.
    let lax = |case: Case| case.known_hosts(OTHER_KEY).home_file(".ssh/config", "StrictHostKeyChecking no\n");
    lax(reach(&[])).stdout_has("out: reached\n").stderr_has("has changed from the one at").run();
    let sshd = Sshd::builder().passwords().config("PubkeyAuthentication no").start();
    lax(case!().on(&sshd).no_key())
        .env("FABRIC_PASSWORD", "hunter2")
        .args(["-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("password (not with a host whose key has changed)")
        .status(1)
        .run();
}

#[test]
fn reject_unknown_hosts_wants_the_key_known_and_system_known_hosts_may_know_it() {
    let case = |options: &[&str]| {
        let case = reach(options).known_hosts("");
        let known = Sshd::shared().known_hosts();
        case.file("known", known)
    };
    case(&["-r"]).stdout_lacks("reached").stderr_has("host key").status(1).run();
    case(&["-r", "--system-known-hosts", "{dir}/known"]).stdout_has("out: reached\n").run();
    case(&[]).stdout_has("out: reached\n").run();
}

#[test]
fn ssh_config_is_read_or_another_or_none() {
    let case = |options: &[&str]| {
        case!()
            .hosts(2)
            .home_file(".ssh/config", "Host 127.0.9.9\n  HostName {address1}\n")
            .file("other", "Host 127.0.9.9\n  HostName {address2}\n")
            .args(options)
            .args(["-H", "127.0.9.9:{port}", "--", "echo ${SSH_CONNECTION#* * }"])
            .any_stderr()
    };
    case(&[]).stdout_has("out: {address1} {port}\n").run();
    case(&["--ssh-config-path", "{dir}/other"]).stdout_has("out: {address2} {port}\n").run();
    case(&["--ignore-ssh-config"]).any_stdout().stderr_has("connection to 127.0.9.9:{port} refused").status(1).run();
    case(&["--set", "use_ssh_config=false"]).any_stdout().stderr_has("127.0.9.9:{port} refused").status(1).run();
}
