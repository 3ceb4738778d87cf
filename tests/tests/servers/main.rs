//! Servers other than OpenSSH's.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::{Host, Sshd, case, tool};

/// A server in Python, on the Paramiko that comes with fab-classic.
struct Server {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    /// Its port and its host key.
    first: String,
}

impl Server {
    fn start(script: &str, args: &[&str]) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "../target".into(), PathBuf::from);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = here.join(target).join("fab-classic/bin/python");
        assert!(python.exists(), "the tests need {}. Run: scripts/fab-classic", python.display());
        let mut child = Command::new(python)
            .arg(here.join("tests/servers").join(script))
            .args(args)
            .env("PYTHONWARNINGS", "ignore")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        said.read_line(&mut first).expect("it says where it listens");
        Self { child, said, first: first.trim_end().to_owned() }
    }

    fn host(&self) -> (Host, String) {
        let (port, key) = self.first.split_once(' ').expect("a port and a key");
        let host = Host { address: "127.0.0.1".parse().unwrap(), port: port.parse().expect("a port") };
        let known = format!("[127.0.0.1]:{port} {key}\n");
        (host, known)
    }

    /// Ends it, and returns its log of logins.
    fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let lines = self.said.by_ref().lines().map(|line| line.expect("text")).collect();
        self.child.wait().expect("it ends");
        lines
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_rsa_key_waits_once_a_login_for_announcements_that_do_not_come() {
    let dir = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let file = dir.path().join(name);
        let made = Command::new(tool("ssh-keygen"))
            .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
            .arg(&file)
            .status()
            .unwrap();
        assert!(made.success());
        file
    };
    let (other, wanted) = (key("other"), key("wanted"));
    let public = std::fs::read_to_string(wanted.with_extension("pub")).unwrap();
    let server = Server::start("announces_nothing.py", &[&public]);
    let (host, known) = server.host();
    case!()
        .reach(vec![host], &wanted)
        .no_key()
        .known_hosts(known)
        .args(["-i", other.to_str().unwrap(), "-i", wanted.to_str().unwrap(), "-H", "{h1}", "--", "hello"])
        .stdout("[{h1}] Executing task '<remainder>'\n[{h1}] run: hello\n[{h1}] out: ran hello\n")
        .run();
    // After the answer to the first request nothing is announced any more (RFC 8308, section 2.4), so it isn't waited for.
    let logins = server.end();
    assert_eq!(logins, ["none", "publickey refused", "publickey taken", "publickey taken"]);
}

/// What a session manager prints before it connects (RFC 4253, section 4.2, allows it; OpenSSH's client takes so much).
#[test]
fn lines_before_the_version_line_are_passed_over_as_openssh_does() {
    for before in
        ["echo", "head -c 300 /dev/zero | tr \\\\0 x; echo", "head -c 8000 /dev/zero | tr \\\\0 x; echo", "seq 1024"]
    {
        case!()
            .hosts(1)
            .args(["-g", &format!("sh -c '{before}; exec socat - TCP:%h:%p'"), "-H", "{h1}", "--", "echo here"])
            .stdout_has("[{h1}] out: here")
            .run();
    }
    // Without a version line, the error quotes what was sent.
    case!()
        .hosts(1)
        .args(["-g", "sh -c 'echo; echo Session expired; echo Log in again'", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("Session expired")
        .status(1)
        .run();
}

/// russh refuses the message before it is seen here, so only the error can be improved.
#[test]
fn a_banner_that_is_not_utf_8_is_named_with_the_ways_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let banner = dir.path().join("banner");
    std::fs::write(&banner, b"Zugriff nur f\xfcr Befugte\n").unwrap();
    let sshd = Sshd::builder().config(format!("Banner {}", banner.display())).start();
    case!()
        .on(&sshd)
        .args(["-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("login banner")
        .stderr_has("not UTF-8")
        .stderr_has("openssh://")
        .status(1)
        .run();
    std::fs::write(&banner, "Zugriff nur f\u{fc}r Befugte\n").unwrap();
    case!().on(&sshd).args(["-H", "{h1}", "--", "echo here"]).stdout_has("out: here").run();
}

/// An agent that accepts connections and doesn't answer.
#[test]
fn an_agent_that_does_not_answer_is_named_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    case!()
        .hosts(1)
        .env("SSH_AUTH_SOCK", socket.to_str().unwrap())
        .args(["--auth-timeout", "3", "-H", "{h1}", "--", "echo here"])
        .stdout_has("out: here")
        .stderr_has("has not answered for 2 s")
        .run();
}

#[test]
fn too_many_keys_are_listed_in_their_order_and_a_given_password_comes_before_the_agents() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<PathBuf> = (0..4).map(|n| dir.path().join(format!("key{n}"))).collect();
    let sshd = Sshd::builder().config("MaxAuthTries 3").passwords().start();
    let (_agent, socket) = tests::Server::unix("ssh-agent", |socket| vec!["-D".into(), "-a".into(), socket.to_owned()]);
    for (n, key) in keys.iter().enumerate() {
        let made = Command::new(tool("ssh-keygen"))
            .args(["-q", "-t", "ed25519", "-N", "", "-C", &format!("key{n}"), "-f"])
            .arg(key)
            .status();
        assert!(made.unwrap().success());
        let added = Command::new(tool("ssh-add")).arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.unwrap().success());
    }
    let fab = |args: &[&str]| {
        let case = case!().on(&sshd).no_key().env("SSH_AUTH_SOCK", socket.to_str().unwrap());
        case.args(args).args(["-H", "{h1}", "--", "true"]).any_stdout().status(1)
    };
    let ran = fab(&[]).stderr_has("IdentitiesOnly").stderr_has("`-a`").any_stderr().run();
    let places: Vec<usize> = ["key0", "key1"].iter().map(|key| ran.stderr.find(key).expect("it was offered")).collect();
    assert!(places.is_sorted(), "{}", ran.stderr);
    // The named key, the password, and only then what the agent has besides.
    let named = keys[3].to_str().unwrap();
    fab(&["-i", named, "-p", "not the password"]).any_stderr().run();
    sshd.wait_for_log("Failed password", 1);
    let log = sshd.log();
    let port = log.lines().find_map(|line| line.split_once("Failed password")?.1.split_once(" port ")).unwrap().1;
    let login = |line: &&str| line.contains("Failed ") && line.contains(port);
    let failures: Vec<&str> = log.lines().filter(login).collect();
    let kinds: Vec<&str> =
        failures.iter().map(|line| if line.contains("Failed password") { "password" } else { "key" }).collect();
    assert_eq!(&kinds[..2], ["key", "password"], "{failures:?}");
}

#[test]
fn a_session_that_is_still_counted_after_its_end_is_waited_for() {
    let server = Server::start("one_session.py", &[]);
    let (host, known) = server.host();
    case!()
        .reach(vec![host], Path::new("none"))
        .no_key()
        .known_hosts(known)
        .fabfile("[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [{ run = \"a\" }, { run = \"b\" }, { run = \"c\" }]\n")
        .args(["t"])
        .stdout_has("out: ran a\n")
        .stdout_has("out: ran c\n")
        .any_stderr()
        .run();
    let again = ["refused", "refused", "refused", "taken"];
    assert_eq!(server.end(), [&["taken"], &again[..], &again[..]].concat());
}

/// A run against a server of `asks.py`: its output, and how often it was asked.
fn asked(way: &str, args: &[&str], says: &[&str]) -> usize {
    let server = Server::start("asks.py", &[way]);
    let (host, known) = server.host();
    let case = case!().reach(vec![host], Path::new("none")).no_key().known_hosts(known).env("FABRIC_PASSWORD", "right");
    let case = case.args(args).args(["-H", "{h1}", "--", "true"]).any_stdout().status(1);
    says.iter().fold(case, |case, part| case.stderr_has(*part)).run();
    server.end().len()
}

#[test]
fn a_server_that_asks_without_end_is_given_up() {
    for way in ["endless", "silent"] {
        let asked = asked(way, &["--auth-timeout", "20"], &["it asked more than 100 times"]);
        assert!((100..=101).contains(&asked), "{way}: {asked}");
    }
    // Each answer is within the limit of one, and all together are not within that of the login.
    let asked = asked("slow", &["--auth-timeout", "1"], &["timed out after 10 s", "auth_timeout"]);
    assert!(asked < 100, "{asked}");
}

/// russh hides the request for a new password, so the error can only mention the possibility.
#[test]
fn a_password_that_is_not_answered_may_have_expired() {
    let says = ["timed out after 2 s", "auth_timeout", "SSH_MSG_USERAUTH_PASSWD_CHANGEREQ", "`ssh`", "openssh://"];
    assert_eq!(asked("change", &["--auth-timeout", "2"], &says), 1);
}
