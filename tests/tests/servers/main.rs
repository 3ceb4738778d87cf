//! Servers that differ from OpenSSH's.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::{Host, case, tool};

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

    /// Ends it, and returns what it said of logins.
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
    // Where no version line comes, what was said is the best there is.
    case!()
        .hosts(1)
        .args(["-g", "sh -c 'echo; echo Session expired; echo Log in again'", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("Session expired")
        .status(1)
        .run();
}
