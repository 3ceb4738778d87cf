//! Users, keys and passwords.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fabric_transport::ssh::GSSAPI;
use tests::{Case, Server, Sshd, TestUser, case, tool};

fn keyless(options: &[&str]) -> Case {
    case!().hosts(1).no_key().args(options).args(["-H", "{h1}", "--", "echo in"]).any_stderr()
}

fn let_in(case: Case) {
    case.stdout_has("[{h1}] out: in\n").run();
}

fn refused(case: Case) {
    case.stdout_lacks("out: in").stderr_has("login as ").status(1).run();
}

/// A private key that only its owner can read.
fn install(key: &Path, file: &Path) {
    fs::copy(key, file).expect("a copy of the key");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

#[test]
fn key_is_the_text_of_a_key_and_key_filename_names_files() {
    refused(keyless(&[]));
    let text = fs::read_to_string(Sshd::shared().key()).expect("the key");
    let case = keyless(&[]).env("FABRIC_KEY", &text);
    let ran = case.stdout_has("[{h1}] out: in\n").stdout_lacks(text.lines().nth(1).expect("its middle")).run();
    assert!(!ran.stderr.contains("PRIVATE KEY"));
    let_in(keyless(&[]).env("FABRIC_KEY_FILENAME", "{key}"));
    let_in(keyless(&["-i", "{key}"]));
}

#[test]
fn no_keys_leaves_the_keys_at_home_alone() {
    let at_home = |options: &[&str]| {
        let case = keyless(options);
        install(&Sshd::shared().key(), &case.home().join(".ssh/id_ed25519"));
        case
    };
    let_in(at_home(&[]));
    refused(at_home(&["-k"]));
    // A named key is tried all the same.
    let_in(at_home(&["-k", "-i", "{key}"]));
}

/// An agent that has the key.
struct Agent {
    socket: PathBuf,
    _server: Server,
}

impl Agent {
    fn with(key: &Path) -> Self {
        let (server, socket) = Server::unix("ssh-agent", |socket| vec!["-D".into(), "-a".into(), socket.to_owned()]);
        let file = socket.with_file_name("key");
        install(key, &file);
        let added = Command::new(tool("ssh-add")).arg("-q").arg(file).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.expect("ssh-add starts").success());
        Self { socket, _server: server }
    }

    fn given_to(&self, case: Case) -> Case {
        case.env("SSH_AUTH_SOCK", self.socket.display().to_string())
    }
}

#[test]
fn no_agent_leaves_the_agent_alone() {
    let agent = Agent::with(&Sshd::shared().key());
    let_in(agent.given_to(keyless(&[])));
    refused(agent.given_to(keyless(&["-a"])));
    refused(agent.given_to(keyless(&["--no_agent"])));
}

#[test]
fn forward_agent_lets_processes_use_the_agent() {
    let agent = Agent::with(&Sshd::shared().key());
    let case = |options: &[&str]| {
        let case = case!().hosts(1).args(options).args(["-H", "{h1}", "--", "ssh-add -l; true"]);
        agent.given_to(case).any_stdout().any_stderr()
    };
    case(&[]).stdout_lacks("ED25519").run();
    case(&["-A"]).stdout_has("(ED25519)\n").run();
}

#[test]
#[ignore = "needs root"]
fn user_is_who_logs_in() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    let case = || case!().on(&sshd).value("user", user.name()).any_stderr();
    let who = ["--", "id -un"];
    case().args(["-u", "{user}", "-H", "{h1}"]).args(who).stdout_has("[{h1}] out: {user}\n").run();
    case().env("FABRIC_USER", "{user}").args(["-H", "{h1}"]).args(who).stdout_has("[{h1}] out: {user}\n").run();
}

#[test]
#[ignore = "needs root"]
fn passwords_are_of_a_host_and_password_of_all() {
    let user = TestUser::new();
    let sshd = Sshd::builder().hosts(2).passwords().config("PubkeyAuthentication no").start();
    let quoted = serde_json::to_string(user.password()).expect("a text");
    let case = |env: &str| {
        case!()
            .on(&sshd)
            .no_key()
            .value("user", user.name())
            .fabfile(format!("[env]\nuser = \"{{user}}\"\n{env}\n"))
            .args(["--skip-bad-hosts", "-H", "{hosts}", "--", "id -un"])
            .any_stderr()
            .stderr_lacks(user.password())
            .stdout_lacks(user.password())
    };
    let both = case(&format!("password = {quoted}"));
    both.stdout_has("[{h1}] out: {user}\n").stdout_has("[{h2}] out: {user}\n").run();
    let one = case(&format!("password = \"wrong\"\npasswords = {{ \"{{user}}@{{h2}}\" = {quoted} }}"));
    one.stdout_lacks("[{h1}] out: {user}").stdout_has("[{h2}] out: {user}\n").run();
}

#[test]
fn what_gssapi_is_not_there_for_is_said() {
    let asked = [
        ("--gss-auth", "gss_auth", "no GSSAPI", !GSSAPI),
        ("--gss-deleg", "gss_deleg", "no GSSAPI", !GSSAPI),
        ("--gss-kex", "gss_kex", "no key exchange by GSSAPI", true),
    ];
    for (option, setting, what, warned) in asked {
        let case = case!().hosts(1).args([option, "-H", "{h1}", "--", "echo in"]).stdout_has("[{h1}] out: in\n");
        let warning = format!("warning: `{setting}` has no effect: the transport `ssh` has {what}\n");
        if warned { case.stderr_has(warning) } else { case }.run();
    }
}
