//! Hosts that are reached through others.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Case, Sshd, case};

/// A server that the key of `other` logs into as well.
fn bastion(other: &Sshd) -> Sshd {
    Sshd::builder().config(format!("AuthorizedKeysFile {}.pub", other.key().display())).start()
}

/// How often somebody has logged in.
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
        let _ = writeln!(config, "Host {name}\n  HostName {}\n  Port {}", at.address, at.port);
        let _ = writeln!(config, "  IdentityFile {}", hop.key().display());
    }
    // What would lead nowhere: `none` says that the first hop needs no gateway, and a later hop has its own already.
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
