//! Hosts that are reached through others.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use tests::{BuiltPlugin, Case, Sshd, case};

/// A server that the key of `other` logs into as well.
fn bastion(other: &Sshd) -> Sshd {
    Sshd::builder().config(format!("AuthorizedKeysFile {}.pub", other.key().display())).start()
}

/// How many logins there were.
fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

/// A case with these servers, all of whose keys are known.
fn behind(host: &Sshd, gateways: &[(&str, &Sshd)]) -> Case {
    let all = gateways.iter().map(|(_, gateway)| gateway.known_hosts()).collect::<String>();
    let case = case!().on(host).known_hosts(host.known_hosts() + &all);
    gateways.iter().fold(case, |case, (name, gateway)| case.value(name, gateway.hosts()[0].host_string()))
}

/// A program in the working directory.
fn program(case: Case, name: &str, text: &str) -> Case {
    let case = case.file(name, text);
    fs::set_permissions(case.dir().join(name), fs::Permissions::from_mode(0o755)).expect("a program");
    case
}

#[test]
fn one_login_at_the_gateway_serves_the_hosts_behind_it() {
    let hosts = Sshd::builder().hosts(6).start();
    let gateway = bastion(&hosts);
    for options in [["-P", "--keepalive=0"], ["-z", "1"]] {
        let before = logins(&gateway);
        let case = behind(&hosts, &[("gateway", &gateway)]).args(["-g", "{gateway}", "-H", "{hosts}"]).args(options);
        case.args(["--", "echo in"]).any_stdout().stderr_has("6 hosts: 6 ok").run();
        assert_eq!(logins(&gateway) - before, 1, "{options:?}");
    }
    assert_eq!(logins(&hosts), 12);
}

#[test]
fn hops_of_ssh_config_go_in_its_order_each_by_its_own_lines() {
    let host = Sshd::builder().start();
    // Each hop forwards to the next only, so no other order leads there.
    let only = |to: &Sshd| format!("PermitOpen {}", to.hosts()[0].host_string());
    let second = Sshd::builder().config(only(&host)).start();
    let first = Sshd::builder().config(only(&second)).start();
    let mut config =
        "Host web\n  HostName {address1}\n  Port {port}\n  IdentityFile {key}\n  ProxyJump one,two\n".to_owned();
    for (name, hop) in [("one", &first), ("two", &second)] {
        let at = &hop.hosts()[0];
        let lines = format!("Host {name}\n  HostName {}\n  Port {}\n", at.address, at.port);
        config.extend([lines, format!("  IdentityFile {}\n", hop.key().display())]);
    }
    // Each of these is unused: the first hop has `none`, and a later hop has a gateway of its own.
    config += "Host one\n  ProxyJump none\nHost one two\n  ProxyJump 127.0.0.1:1\n";
    behind(&host, &[("one", &first), ("two", &second)])
        .no_key()
        .home_file(".ssh/config", config)
        .args(["-H", "web", "--", "echo there"])
        .stdout_has("[web] out: there\n")
        .any_stderr()
        .run();
    assert_eq!([logins(&first), logins(&second), logins(&host)], [1, 1, 1]);
}

#[test]
fn the_setting_beats_proxy_jump_and_proxy_command() {
    let host = Sshd::builder().start();
    let gateway = bastion(&host);
    for line in ["ProxyJump 127.0.0.1:1", "ProxyCommand exit 9"] {
        let config = format!("Host web\n  HostName {{address1}}\n  Port {{port}}\n  {line}\n");
        let case = || behind(&host, &[("gateway", &gateway)]).home_file(".ssh/config", &config).args(["-H", "web"]);
        let through = |option: &str| case().args(["-g", option, "--", "echo in"]).stdout_has("[web] out: in\n");
        let before = logins(&gateway);
        through("{gateway}").any_stderr().run();
        assert_eq!(logins(&gateway) - before, 1, "{line}");
        through("none").any_stderr().run();
        assert_eq!(logins(&gateway) - before, 1, "{line}");
        // It is in force where nothing beats it.
        case().args(["--", "echo in"]).any_stdout().stderr_has("[web] error: ").status(1).run();
    }
}

#[test]
fn a_proxy_command_is_run_by_the_users_shell_and_heard_when_it_fails() {
    let config = "Host web\n  HostName {address1}\n  Port {port}\n  User me\n  ProxyCommand ./relay %h %p %r %n %%\n";
    let with = |relay: &str| {
        let case = case!().hosts(1).home_file(".ssh/config", config).env("SHELL", "{dir}/shell");
        let case = program(case, "shell", "#!/bin/sh\necho \"by $1\" >> {dir}/seen\nexec /bin/sh \"$@\"\n");
        program(case, "relay", &format!("#!/bin/bash\necho \"$@\" >> {{dir}}/seen\n{relay}\n"))
    };
    let relay = "exec 3<> /dev/tcp/$1/$2\ncat <&3 &\nexec cat >&3";
    let user = std::process::Command::new("id").arg("-un").output().expect("id starts").stdout;
    let user = String::from_utf8_lossy(&user).trim().to_owned();
    let ran = with(relay)
        .args(["-u", &user, "-H", "web", "--", "echo there"])
        .stdout_has("[web] out: there\n")
        .any_stderr()
        .run();
    assert_eq!(ran.read("seen"), ran.case().fill(&format!("by -c\n{{address1}} {{port}} {user} web %\n")));
    with("echo no way to $1 >&2; exit 7")
        .args(["-H", "web", "--", "echo there"])
        .any_stdout()
        .stderr_has("[web] error: ")
        .stderr_has("no way to {address1}")
        .status(1)
        .run();
}

/// A server that answers each message with the next of these, and then closes.
fn answers(with: &[&[u8]]) -> String {
    let with: Vec<Vec<u8>> = with.iter().map(|answer| answer.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its number").to_string();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            for answer in &with {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(answer);
            }
        }
    });
    address
}

/// The one host is reported to have failed, with this gateway and reason.
fn fails(case: Case, gateway: &str, reason: &str) {
    case.args(["--", "true"])
        .any_stdout()
        .stderr_has("[{h1}] error: ")
        .stderr_has(gateway)
        .stderr_has(reason)
        .status(1)
        .run();
}

#[test]
fn a_proxy_command_that_ends_is_named_with_its_status_and_its_words() {
    for (command, reason) in [
        ("sh -c 'exit 3'", "exit status: 3"),
        ("sh -c 'kill -9 $$'", "signal: 9"),
        ("sh -c 'echo no route there >&2; exit 4'", "exit status: 4): no route there"),
        ("/nonexistent/relay --fast", "not found"),
        ("sh -c 'echo nonsense; exit 5'", "exit status: 5"),
        ("sh -c 'exec 0<&- 1>&-; sleep 100'", "closed the connection"),
    ] {
        fails(case!().hosts(1).args(["-g", command, "-H", "{h1}"]), &format!("proxy command `{command}`"), reason);
    }
}

#[test]
fn a_jump_host_that_does_not_lead_there_is_named_with_its_words() {
    let host = Sshd::builder().start();
    let strict = Sshd::builder().config(format!("AuthorizedKeysFile {}.pub", host.key().display()));
    let (strict, open) = (strict.config("AllowTcpForwarding no").start(), bastion(&host));
    let closing = answers(&[b""]);
    let through = |gateway: &Sshd, to: &str| {
        behind(&host, &[("gateway", gateway)]).args(["-g", "{gateway}", "-H", to]).value("h1", to)
    };
    let at = host.hosts()[0].host_string();
    fails(through(&strict, &at), "gateway {gateway} does not forward to", "AllowTcpForwarding");
    fails(through(&open, "127.0.0.1:1"), "gateway {gateway} could not connect to it", "Connection refused");
    fails(through(&open, &closing), "gateway {gateway}", "closed the connection");
    // Errors of the gateway's own connection.
    let dead = || case!().on(&host).args(["-H", "{h1}"]);
    fails(dead().args(["-g", "127.0.0.1:1"]), "gateway 127.0.0.1:1", "is sshd running on that port?");
    fails(dead().args(["-g", &closing]), &format!("gateway {closing}"), "closed the connection");
}

#[test]
fn a_plugins_gateway_that_refuses_or_closes_is_named_with_its_words() {
    const GREETING: &[u8] = b"\x05\x00";
    for (plugin, answer, reason) in [
        ("http-connect", &[&b"HTTP/1.1 403 Not through me\r\n\r\n"[..]][..], "403 Not through me"),
        ("http-connect", &[b"HTTP/1.1 502 Bad Gateway\r\n\r\n"], "502 Bad Gateway"),
        ("http-connect", &[b""], "closed"),
        ("http-connect", &[b"HTTP/1.1 200 OK\r\n\r\n"], "closed the connection"),
        ("socks5", &[GREETING, b"\x05\x05\0\x01\0\0\0\0\0\0"], "refused"),
        ("socks5", &[b""], "closed"),
        ("socks5", &[GREETING, b"\x05\0\0\x01\0\0\0\0\0\0"], "closed the connection"),
    ] {
        let library = BuiltPlugin::new(plugin);
        let proxy = answers(answer);
        let case = case!().hosts(1).value("plugin", library.file().display().to_string());
        let gateway = format!("{plugin}://{proxy}");
        fails(case.args(["--plugin", "{plugin}", "-g", &gateway, "-H", "{h1}"]), &proxy, reason);
    }
}
