//! Hosts that stop sending while connections stay open.

use std::fs;
use std::net::SocketAddr;

use tests::{Case, From, Sshd, Stall, case};

/// The error of a host considered dead.
const DEAD: &str = "nothing has come from the host for 1.2 s, not even answers to keepalives";

/// A network to this server that stalls after a number of bytes.
fn stall(sshd: &Sshd, bytes: usize, from: From) -> Stall {
    let host = &sshd.hosts()[0];
    Stall::after(SocketAddr::new(host.address, host.port), bytes, from)
}

/// A run against the host behind that network, which is given up soon.
fn behind(sshd: &Sshd, network: &Stall) -> Case {
    case!().on(sshd).value("stalled", network.host_string()).args(["-D", "--keepalive", "0.3"])
}

/// Expects the host's error, soon.
fn dies(case: Case) {
    case.any_stdout().stderr_has("[{stalled}] error: ").stderr_has(DEAD).status(1).run();
}

#[test]
fn a_command_whose_host_is_gone_is_an_error() {
    let sshd = Sshd::builder().start();
    let network = stall(&sshd, 300_000, From::Server);
    dies(behind(&sshd, &network).args(["-H", "{stalled}", "--", "head -c 200000 /dev/zero; echo; cat /dev/zero"]));
}

#[test]
fn transfers_with_a_host_that_is_gone_are_errors() {
    let sshd = Sshd::builder().start();
    let fabfile = "[tasks.there]\nsteps = [{ put = \"big\", to = \"{far}/big\" }]\n\
                   [tasks.back]\nsteps = [{ get = \"{far}/source\", to = \"here\" }]\n";
    for (task, from) in [("there", From::Client), ("back", From::Server)] {
        let network = stall(&sshd, 5_000_000, from);
        let case = behind(&sshd, &network).fabfile(fabfile);
        // More than any socket or window takes.
        for sparse in [case.dir().join("big"), case.far().join("source")] {
            fs::File::create(sparse).and_then(|file| file.set_len(200 << 20)).expect("a big file");
        }
        dies(case.args(["-H", "{stalled}", task]));
    }
}

#[test]
fn a_host_behind_a_gateway_that_is_gone_is_an_error() {
    let host = Sshd::builder().start();
    let gateway = Sshd::builder().config(format!("AuthorizedKeysFile {}.pub", host.key().display())).start();
    let network = stall(&gateway, 300_000, From::Server);
    behind(&host, &network)
        .args(["-g", "{stalled}", "-H", "{h1}", "--", "cat /dev/zero"])
        .any_stdout()
        .stderr_has("[{h1}] error: the connection was lost: gateway {stalled}: ")
        .stderr_has(DEAD)
        .status(1)
        .run();
    // The gateway is alive, and the host behind it is gone.
    let network = stall(&host, 300_000, From::Server);
    let gateway = gateway.hosts()[0].host_string();
    dies(behind(&host, &network).args(["-g", &gateway, "-H", "{stalled}", "--", "cat /dev/zero"]));
    dies(behind(&host, &network).args(["-g", "socat - TCP:%h:%p", "-H", "{stalled}", "--", "cat /dev/zero"]));
}

/// The output of one host isn't read for several times as long as a dead host is given. So the gateway isn't read, and nothing
/// arrives from the other host behind it, which is silent itself.
#[test]
fn hosts_that_are_not_read_or_busy_are_not_taken_for_dead() {
    let hosts = Sshd::builder().hosts(2).start();
    let gateway = Sshd::builder().config(format!("AuthorizedKeysFile {}.pub", hosts.key().display())).start();
    for way in [String::new(), gateway.hosts()[0].host_string()] {
        let gateway = if way.is_empty() { vec![] } else { vec!["-g", &way] };
        let command = "case $SSH_CONNECTION in *\" 127.0.1.1 \"*) head -c 80000000 /dev/zero | tr '\\0' x | \
                       fold -w 99;; *) sleep 6;; esac; echo; echo end";
        case!()
            .on(&hosts)
            .args(["-D", "--keepalive", "0.5", "-P"])
            .args(gateway)
            .args(["-H", "{hosts}", "--", command])
            .within("\"$0\" \"$@\" | (sleep 5; grep -c 'out: end$'); exit")
            .stdout("2\n")
            .stderr_has("2 hosts: 2 ok")
            .run();
    }
}

/// The setting in each layer, and the default.
#[test]
fn keepalive_is_thirty_seconds_unless_a_layer_says_otherwise_and_zero_is_off() {
    let shown = |case: Case| {
        let ran = case.args(["--show-config", "web1", "--format", "json"]).any_stdout().any_stderr().run();
        let shown: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        shown["settings"]["keepalive"]["value"].as_u64().unwrap_or_else(|| panic!("{shown:#}"))
    };
    let ssh = |text: &str| case!().home_file(".ssh/config", text);
    assert_eq!(shown(case!()), 30);
    assert_eq!(shown(ssh("Host other\n  ServerAliveInterval 0\n")), 30);
    assert_eq!(shown(ssh("Host web*\n  ServerAliveInterval 7\n")), 7);
    for off in [
        ssh("Host web*\n  ServerAliveInterval 0\nHost *\n  ServerAliveInterval 5\n"),
        case!().args(["--keepalive", "0"]),
        case!().args(["--set", "keepalive=0"]),
        case!().args(["--set", "ssh_options=ServerAliveInterval=0"]),
        case!().env("FABRIC_KEEPALIVE", "0"),
        case!().fabfile("[env]\nkeepalive = 0\n"),
        case!().fabfile("[hosts.web1]\nkeepalive = 0\n"),
        case!().home_file(".fabricrc", "keepalive = 0\n"),
        ssh("ServerAliveInterval 5\n").args(["--keepalive", "0"]),
    ] {
        assert_eq!(shown(off), 0);
    }
}
