//! Which machine a host string leads to, and under which name its output is shown.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use tests::{Case, Sshd, case};

/// How many logins there were.
fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

/// Two machines that are `here` and `there`, each behind a command that leads to it.
fn machines() -> [Sshd; 2] {
    [1, 2].map(|net| Sshd::builder().first(Ipv4Addr::new(127, 0, net, 1)).start())
}

/// A command that prints the machine's name.
const WHICH: &str = "case $SSH_CONNECTION in *' 127.0.2.1 '*) echo there;; *) echo here;; esac";

/// ProxyCommand that leads to this server, whatever the address.
fn relay(to: &Sshd) -> String {
    let host = &to.hosts()[0];
    format!("bash -c 'exec 3<> /dev/tcp/{}/{}; cat <&3 & exec cat >&3'", host.address, host.port)
}

/// A case that logs into both, with any host key.
fn at(machines: &[Sshd; 2]) -> Case {
    case!().no_key().args(["-D", "--set", "no_agent=true"]).reach(machines[0].hosts().to_vec(), &machines[0].key())
}

#[test]
fn one_address_behind_two_commands_is_two_machines() {
    let machines = machines();
    let mut config = String::new();
    for (name, machine) in ["prod", "stage"].iter().zip(&machines) {
        let (key, relay) = (machine.key(), relay(machine));
        let _ = write!(config, "Host {name}\n HostName 10.0.0.5\n IdentityFile {}\n", key.display());
        let _ = writeln!(config, " ProxyCommand {relay}");
    }
    let said = ["[prod] out: here", "[stage] out: there"];
    let case = || at(&machines).home_file(".ssh/config", &config).any_stderr();
    for options in [&["-H", "prod,stage"][..], &["-H", "stage,prod", "-P"], &["-P", "-H", "prod,stage"]] {
        let ran = case().args(options).args(["--", WHICH]).any_stdout().run();
        for line in said {
            assert!(ran.stdout.contains(line), "{options:?}: {}", ran.stdout);
        }
    }
    // The same by other ways to set the gateway: a role, a section of hosts, a task.
    let keys = machines.each_ref().map(Sshd::key);
    let [here, there] = machines.each_ref().map(|machine| serde_json::json!(relay(machine)).to_string());
    let [one, two] = keys.each_ref().map(|key| key.display().to_string());
    let fabfile = format!(
        "[roledefs]
         a = {{ hosts = [\"10.0.0.5\"], gateway = {here}, key_filename = [\"{one}\"] }}
         b = {{ hosts = [\"10.0.0.5:22\"], gateway = {there}, key_filename = [\"{two}\"] }}
         [hosts.\"10.0.0.6\"]
         gateway = {here}
         key_filename = [\"{one}\"]
         [hosts.\"other\"]
         gateway = {there}
         key_filename = [\"{two}\"]
         [tasks]
         machine = \"{WHICH}\"
         [tasks.one]
         with = {{ gateway = {here}, key_filename = [\"{one}\"] }}
         hosts = [\"10.0.0.7\"]
         run = \"{WHICH} | sed s/^/one-/\"
         [tasks.two]
         with = {{ gateway = {there}, key_filename = [\"{two}\"] }}
         hosts = [\"10.0.0.7\"]
         run = \"{WHICH} | sed s/^/two-/\"
        "
    );
    let case = || case().fabfile(&fabfile).home_file(".ssh/config", "Host other\n HostName 10.0.0.6\n");
    case()
        .args(["-R", "a,b", "machine"])
        .stdout_has("[10.0.0.5] out: here\n")
        .stdout_has("[10.0.0.5:22] out: there\n")
        .run();
    case()
        .args(["-H", "10.0.0.6,other", "machine"])
        .stdout_has("[10.0.0.6] out: here\n")
        .stdout_has("[other] out: there\n")
        .run();
    case().args(["one", "two"]).stdout_has("out: one-here\n").stdout_has("out: two-there\n").run();
}

#[test]
fn one_address_behind_two_jump_hosts_goes_through_each() {
    let host = Sshd::builder().start();
    let key = format!("AuthorizedKeysFile {}.pub", host.key().display());
    let jumps = [(); 2].map(|()| Sshd::builder().config(&key).start());
    let mut config = String::new();
    for (name, jump) in ["one", "two"].iter().zip(&jumps) {
        let jump = &jump.hosts()[0];
        let _ = write!(config, "Host {name}\n HostName {{address1}}\n Port {{port}}\n ");
        let _ = writeln!(config, "ProxyJump {}", jump.host_string());
    }
    let known = jumps.iter().map(Sshd::known_hosts).collect::<String>() + &host.known_hosts();
    let case = || case!().on(&host).known_hosts(&known).home_file(".ssh/config", &config).any_stderr();
    case().args(["-H", "one,two,{h1}", "--", "true"]).any_stdout().run();
    assert_eq!([logins(&jumps[0]), logins(&jumps[1]), logins(&host)], [1, 1, 3]);
}

#[test]
fn a_host_is_let_in_under_its_own_checks_and_as_itself_only() {
    let sshd = Sshd::builder().config("AcceptEnv LIKE").start();
    let base = " HostName {address1}\n Port {port}\n";
    let config = format!(
        "Host good same\n{base} IdentityFile {{key}}\n\
         Host strict\n{base} IdentityFile {{key}}\n HostKeyAlias nobody-knows\n StrictHostKeyChecking yes\n\
         Host files\n{base} IdentityFile {{key}}\n UserKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n\
         Host stranger\n{base} IdentityFile {{dir}}/other\n IdentitiesOnly yes\n\
         Host bound\n{base} IdentityFile {{key}}\n BindAddress 127.0.0.9\n\
         Host set\n{base} IdentityFile {{key}}\n SetEnv LIKE=this\n"
    );
    let other = Sshd::builder().start();
    let key = std::fs::read_to_string(other.key()).expect("a key that the server does not know");
    let case = || {
        let case = case!().on(&sshd).no_key().home_file(".ssh/config", &config).file("other", &key).any_stderr();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(case.dir().join("other"), mode).expect("the key's mode");
        case.args(["--set", "no_agent=true"])
    };
    for refused in ["strict", "files", "stranger"] {
        for options in [&["--max-failures", "100%"][..], &["-P", "--max-failures", "100%"]] {
            let hosts = format!("good,{refused},same");
            let case = case().args(options).args(["-H", &hosts, "--", "echo in"]).status(1);
            let ran = case.stdout_has("[good] out: in\n").stdout_has("[same] out: in\n").run();
            assert!(!ran.stdout.contains(&format!("[{refused}] out")), "{}", ran.stdout);
            assert!(ran.stderr.contains(&format!("[{refused}] error: ")), "{}", ran.stderr);
        }
    }
    let from = "echo from ${SSH_CLIENT%% *} $LIKE";
    let ran = case().args(["-H", "good,bound,set", "--", from]).any_stdout().run();
    assert!(ran.stdout.contains("[bound] out: from 127.0.0.9\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("[good] out: from 127.0.0.9"), "{}", ran.stdout);
    assert!(ran.stdout.contains("[set] out: from ") && ran.stdout.contains(" this\n"), "{}", ran.stdout);
    // Targets without a difference share a session: `good` and `same` in each of six runs, and `bound` and `set` beside `good`.
    assert_eq!(logins(&sshd), 6 + 3);
}

/// Two names of one machine, which share a session.
const ALIASES: &str = "Host one two\n HostName {address1}\n Port {port}\n";

#[test]
fn all_that_a_host_says_is_under_its_own_name() {
    let sshd = Sshd::builder().start();
    let case = || case!().on(&sshd).home_file(".ssh/config", ALIASES);
    for order in ["one,two", "two,one"] {
        for options in [&[][..], &["-P"]] {
            let ran = case()
                .args(options)
                .args(["-H", order, "--", "echo out; echo err >&2"])
                .any_stdout()
                .stderr_has("2 hosts: 2 ok")
                .run();
            for host in ["one", "two"] {
                for (stream, text) in [(&ran.stdout, "out: out"), (&ran.stderr, "err: err"), (&ran.stdout, "run: echo")]
                {
                    assert_eq!(stream.matches(&format!("[{host}] {text}")).count(), 1, "{host}: {stream}");
                }
            }
        }
    }
    assert_eq!(logins(&sshd), 4, "they share a session");
    // Events: each host has all of its own.
    let ran = case().args(["--output", "json", "-P", "-H", "one,two", "--", "echo out; exit 3"]).status(1).any_stdout();
    let ran = ran.any_stderr().run();
    for kind in ["host_started", "command_started", "output", "command_finished", "host_finished"] {
        for host in ["one", "two"] {
            let is_it = |line: &&str| {
                let event: serde_json::Value = serde_json::from_str(line).expect("an event");
                event["event"] == kind && event["host"] == host
            };
            assert_eq!(ran.stdout.lines().filter(is_it).count(), 1, "{kind} of {host}: {}", ran.stdout);
        }
    }
    // Groups.
    let says = "echo same";
    let grouped = case().args(["--output", "grouped", "-P", "-H", "one,two,{h1}", "--", says]).any_stderr();
    grouped.stdout("--- {h1},one,two (3 hosts)\nsame\n").run();
}

#[test]
fn files_of_two_names_are_two_files() {
    let sshd = Sshd::builder().start();
    let fabfile = "[tasks.fetch]\nsteps = [\n\
                   { get = \"{far}/log\" },\n\
                   { get = \"{far}/log\", to = \"by/%(host)s\" },\n\
                   { get = \"{far}/log\", to = \"in/{{ env.host_string }}\" },\n]\n";
    for options in [&["-H", "one,two"][..], &["-P", "-H", "two,one"]] {
        let case = case!().on(&sshd).home_file(".ssh/config", ALIASES).fabfile(fabfile);
        std::fs::write(case.far().join("log"), "text\n").expect("a file");
        let ran = case.args(options).args(["fetch"]).any_stdout().any_stderr().run();
        for host in ["one", "two"] {
            for file in [format!("{host}/log"), format!("by/{host}"), format!("in/{host}")] {
                assert_eq!(ran.read(&file), "text\n", "{file}");
            }
        }
    }
}

#[test]
fn errors_bear_the_name_of_the_host_that_they_are_of() {
    let sshd = Sshd::builder().start();
    // The result of an attempt is shared by all that wait for it.
    let nowhere = "Host one two\n HostName 127.0.0.1\n Port 1\n";
    let unknown = "Host one two\n HostName {address1}\n Port {port}\n StrictHostKeyChecking yes\n";
    let hop = "Host hop\n HostName 127.0.0.1\n Port 1\nHost one two\n HostName {address1}\n ProxyJump hop\n";
    let no_file = "{far}/none";
    for (config, known, options) in [
        (nowhere, true, &["--", "true"][..]),
        (unknown, false, &["--", "true"]),
        (hop, true, &["--", "true"]),
        (ALIASES, true, &["--", "exit 3"]),
        (ALIASES, true, &["-T", "1", "--", "exec sleep 30"]),
        (ALIASES, true, &["fetch"]),
        (ALIASES, true, &["send"]),
    ] {
        let fabfile = format!(
            "[tasks.fetch]\nsteps = [{{ get = \"{no_file}\" }}]\n\
             [tasks.send]\nsteps = [{{ put = \"fabfile.toml\", to = \"{no_file}/at/all\" }}]\n"
        );
        let case = case!().on(&sshd).home_file(".ssh/config", config).fabfile(fabfile).status(1);
        let case = if known { case } else { case.known_hosts("") };
        let ran = case.args(["-P", "-H", "one,two"]).args(options).any_stdout().any_stderr().run();
        for (host, other) in [("one", "two"), ("two", "one")] {
            let of_host: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with(&format!("[{host}]"))).collect();
            assert!(of_host.iter().any(|line| line.contains("error: ")), "{options:?} {host}: {}", ran.stderr);
            let foreign = of_host.iter().find(|line| line.split([' ', ':', '`']).any(|word| word == other));
            assert_eq!(foreign, None, "{options:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_host_keeps_what_its_role_says_in_all_that_its_run_leads_to() {
    let sshd = Sshd::builder().hosts(4).start();
    // Without the role's port and key no host is reached.
    let fabfile = "[roledefs]
        web = { hosts = [\"{address1}\", \"{address2}\", \"{address3}\", \"{address4}\"], port = {port}, \
                key_filename = [\"{key}\"] }
        lb = [\"lb\"]
        [tasks.deploy]
        roles = [\"web\"]
        batch = 1
        health = \"healthy\"
        rollback = \"undo\"
        run = \"echo new\"
        [tasks.healthy]
        hosts = [\"lb\"]
        steps = [{ run = \"echo healthy\" }, { execute = \"count\" }]
        [tasks.count]
        run = \"echo up >> {far}/up; test $(wc -l < {far}/up) -lt 2\"
        [tasks.undo]
        run = \"echo undone\"
        ";
    let case = || case!().on(&sshd).no_key().fabfile(fabfile).args(["--set", "no_agent=true"]).status(1);
    let one_before_another = |ran: &tests::Ran, hosts: [&str; 2]| {
        for host in hosts.map(|host| ran.case().fill(host)) {
            for said in ["new", "healthy", "undone"] {
                let line = format!("[{host}] out: {said}\n");
                assert_eq!(ran.stdout.matches(&line).count(), 1, "{line}{}{}", ran.stdout, ran.stderr);
            }
        }
        assert_eq!(ran.stdout.matches("out: new").count(), 2, "{}", ran.stdout);
        assert!(!ran.stderr.contains("-x"), "{}", ran.stderr);
    };
    let first = ["{address1}", "{address2}"];
    for narrowed in [&["--limit", "3"][..], &["--limit", "60%"], &["--only", "{address1},{address2},{address4}"]] {
        one_before_another(&case().args(narrowed).args(["deploy"]).any_stdout().any_stderr().run(), first);
    }
    let sharded = case().args(["--shard", "1/2", "deploy"]).any_stdout().any_stderr().run();
    one_before_another(&sharded, ["{address2}", "{address4}"]);
}
