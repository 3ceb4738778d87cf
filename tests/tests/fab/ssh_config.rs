//! ssh_config of newer and other versions of OpenSSH, with keywords that have no effect here.

use tests::{Case, case};

/// One host called `web`, by this ssh_config before the lines that lead there.
fn web(config: &str) -> Case {
    let config = format!("{config}\nHost web\n  HostName {{address1}}\n  Port {{port}}\n  IdentityFile {{key}}\n");
    case!().hosts(1).no_key().home_file(".ssh/config", config)
}

fn works(config: &str) -> Case {
    web(config).args(["-H", "web", "--", "echo in"]).stdout_has("[web] out: in\n")
}

#[test]
fn keywords_of_other_builds_and_releases_are_passed_over_and_logged_once() {
    let lines = "UseKeychain yes\nObscureKeystrokeTiming interval:20\nChannelTimeout *=10m\nWarnWeakCrypto no\n\
                 VersionAddendum x\nNoneEnabled yes\nGSSAPIKexAlgorithms gss-gex-sha1-\nForwardX11 yes\n\
                 LocalForward 9 localhost:9\nDynamicForward 10\n";
    works(lines).stderr_lacks("warning").run();
    let ran = web(lines)
        .args(["--log", "info", "-H", "web", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .any_stderr()
        .any_status()
        .run();
    for said in [
        "usekeychain has no effect here ({home}/.ssh/config:1)",
        "warnweakcrypto has no effect here ({home}/.ssh/config:4)",
        "forwardx11 has no effect here ({home}/.ssh/config:8)",
        "localforward is not opened, as with scp and sftp ({home}/.ssh/config:9)",
        "dynamicforward is not opened, as with scp and sftp ({home}/.ssh/config:10)",
    ] {
        assert_eq!(ran.stderr.matches(&ran.case().fill(said)).count(), 1, "{said}\n{}", ran.stderr);
    }
}

#[test]
fn a_connection_can_be_refused_in_words() {
    let refusing = "Match host {address1} tagged \"\"\n  RefuseConnection \"use the bastion\"\n";
    let case = || web("").args(["-H", "{h1}", "--", "echo in"]);
    case()
        .home_file(".ssh/config", refusing)
        .any_stdout()
        .stderr_has("[{h1}] error: RefuseConnection: use the bastion ({home}/.ssh/config:2)")
        .status(1)
        .run();
    let tagged = format!("Tag special\n{refusing}IdentityFile {{key}}\nHost *\nIdentityFile {{key}}\n");
    case().home_file(".ssh/config", tagged).stdout_has("out: in\n").any_stderr().run();
}

#[test]
fn algorithms_that_are_not_known_are_left_out_with_a_warning() {
    let some = "KexAlgorithms sntrup1277@example.org,curve25519-sha256\nCiphers +rot13,aes*\nMACs ^hmac-x\n";
    works(some)
        .stderr_has("kexalgorithms: not known here, and left out: sntrup1277@example.org ({home}/.ssh/config:1)")
        .stderr_has("ciphers: not known here, and left out: rot13, aes* ({home}/.ssh/config:2)")
        .stderr_has("macs: not known here, and left out: hmac-x ({home}/.ssh/config:3)")
        .run();
    works("KexAlgorithms mlkem768x25519-sha256,curve25519-sha256\n").stderr_lacks("warning").run();
    // None is left, in a block that matches and in one that doesn't.
    let none = |line: &str| web(line).args(["-H", "web", "--", "true"]).any_stdout().any_status();
    none("Ciphers rot13,rot26\n").stderr_has("ciphers").stderr_has("rot13,rot26").stderr_has("config:1").run();
    // OpenSSH knows it, and this program doesn't.
    none("MACs umac-64@openssh.com\nCiphers aes128-ctr\n")
        .stderr_has("MACs `umac-64@openssh.com` at {home}/.ssh/config:1")
        .run();
    works("Host other\n  Ciphers rot13\n  KexAlgorithms nothing\n  HostKeyAlgorithms no\n")
        .stderr_lacks("warning")
        .run();
}

#[test]
fn what_no_build_knows_is_an_error_with_its_place_and_a_way_out() {
    let wrong = "Host other\n  Colour red\n";
    web(wrong)
        .args(["-H", "web", "--", "true"])
        .any_stdout()
        .stderr_has("{home}/.ssh/config:2")
        .stderr_has("Bad configuration option: colour")
        .stderr_has("IgnoreUnknown colour")
        .any_status()
        .run();
    works(&format!("IgnoreUnknown colour\n{wrong}")).any_stderr().run();
}

#[test]
fn includes_that_have_no_end_are_errors() {
    for (file, said) in [("/dev/zero", "it is a device"), ("config", "too many recursive configuration includes")] {
        web(&format!("Include {file}\n"))
            .args(["-H", "web", "--", "true"])
            .any_stdout()
            .stderr_has(said)
            .stderr_has("{home}/.ssh/config")
            .any_status()
            .run();
    }
}

/// Keywords for shells have no effect on commands and files.
#[test]
fn what_is_for_a_shell_is_not_for_commands() {
    for line in [
        "RemoteCommand echo other",
        "RequestTTY force",
        "SessionType none",
        "SessionType subsystem\nRemoteCommand sftp",
    ] {
        let case = web(line).args(["-H", "web", "--", "test -t 0 || echo plain"]);
        case.stdout_has("[web] out: plain\n").any_stderr().run();
    }
}

#[test]
fn a_match_is_judged_by_what_is_done_here() {
    let config = "Match sessiontype exec localnetwork 127.0.0.0/8 version OpenSSH_1?.* command *\n  SetEnv LC_SEEN=yes\n\
                  Match sessiontype shell\n  SetEnv LC_SEEN=no\n";
    let sshd = tests::Sshd::builder().config("AcceptEnv LC_SEEN").start();
    let config = format!("{config}Host web\n  HostName {{address1}}\n  Port {{port}}\n  IdentityFile {{key}}\n");
    case!()
        .on(&sshd)
        .no_key()
        .home_file(".ssh/config", config)
        .args(["-H", "web", "--", "echo $LC_SEEN"])
        .stdout_has("[web] out: yes\n")
        .any_stderr()
        .run();
}

/// For the host, and for a jump host too.
#[test]
fn known_hosts_may_come_from_a_command() {
    let (host, gateway) = (tests::Sshd::builder().start(), tests::Sshd::builder().start());
    let at = |sshd: &tests::Sshd| (sshd.hosts()[0].address.to_string(), sshd.hosts()[0].port);
    let key = host.key().display().to_string();
    let gateway_key = gateway.key().display().to_string();
    let ((address, port), (through, gate)) = (at(&host), at(&gateway));
    let config = |command: &str| {
        format!(
            "KnownHostsCommand {command}\nStrictHostKeyChecking yes\n\
             Host web\n  HostName {address}\n  Port {port}\n  IdentityFile {key}\n  ProxyJump gate\n\
             Host gate\n  HostName {through}\n  Port {gate}\n  IdentityFile {gateway_key}\n"
        )
    };
    let case = |command: &str| {
        let case = case!().file("keys", host.known_hosts() + &gateway.known_hosts());
        let case =
            case.file("print", "echo \"$@\" >> {dir}/seen\ncat {dir}/keys\n").home_file(".ssh/config", config(command));
        case.args(["-H", "web", "--", "echo in"]).any_stderr()
    };
    let ran = case("/bin/sh {dir}/print %I %H %t 100%%").stdout_has("[web] out: in\n").run();
    let name = |(address, port): (String, u16)| format!("[{address}]:{port}");
    let (host, gateway) = (name(at(&host)), name(at(&gateway)));
    let asked = |name: &str| format!("ORDER {name} NONE 100%\nHOSTNAME {name} ssh-ed25519 100%\n");
    assert_eq!(ran.read("seen"), asked(&gateway) + &asked(&host));
    let refused = |command: &str| case(command).any_stdout().any_status();
    refused("/bin/sh -c 'echo no directory >&2; exit 3'")
        .stderr_has("KnownHostsCommand")
        .stderr_has("no directory")
        .run();
    refused("/bin/true").stderr_has("host key").run();
    refused("true").stderr_has("absolute path").stderr_has("config:1").run();
}

#[test]
fn a_revoked_host_key_is_refused_whatever_else_says() {
    let config = "RevokedHostKeys ~/revoked\nStrictHostKeyChecking no\n";
    let run = |list: &str| {
        let script = format!("{list} > {{home}}/revoked; \"$0\" \"$@\"; exit $?");
        web(config).within(script).args(["-H", "web", "--", "echo in"])
    };
    run("echo '# none'").stdout_has("[web] out: in\n").any_stderr().run();
    run("cut -d' ' -f2- {home}/.ssh/known_hosts")
        .stdout_lacks("out: in")
        .stderr_has("it is revoked by {home}/revoked")
        .status(1)
        .run();
    // A file that can't be read refuses all hosts, as with ssh.
    let missing = || web(config).args(["-H", "web", "--", "echo in"]).stdout_lacks("out: in");
    missing().stderr_has("`RevokedHostKeys` {home}/revoked: ").status(1).run();
    run("printf 'SSHKRL\\n\\000x'").stdout_lacks("out: in").stderr_has("a key revocation list (KRL)").status(1).run();
}

#[test]
fn no_identity_file_means_no_key_at_home_either() {
    let keys = "mkdir -p {home}/.ssh; cp {key} {home}/.ssh/id_ed25519; \"$0\" \"$@\"; exit $?";
    let run = |config: &str| {
        let config = format!("Host web\n  HostName {{address1}}\n  Port {{port}}\n{config}");
        case!().hosts(1).no_key().home_file(".ssh/config", config).within(keys).args(["-H", "web", "--", "echo in"])
    };
    run("").stdout_has("[web] out: in\n").any_stderr().run();
    run("  IdentityFile none\n").stdout_lacks("out: in").any_stderr().status(1).run();
}
