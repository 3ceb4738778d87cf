//! The two programs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A run of a fabfile.
pub(crate) struct Ran {
    /// Its whole output.
    pub(crate) text: String,
    /// Its exit status.
    pub(crate) status: i32,
}

impl Ran {
    /// The lines of its tasks, in order: `task host arguments`.
    pub(crate) fn lines(&self) -> Vec<String> {
        // The classic program writes lines and line ends separately: other text may come before.
        let said = self.text.lines().filter_map(|line| Some(line.split_once("RAN ")?.1));
        said.map(|line| line.trim_end().to_owned()).collect()
    }
}

/// The classic program, as a server of runs.
pub(crate) struct Classic {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Classic {
    /// Starts it; `None`, with a message on standard error, if it could not be installed.
    pub(crate) fn start() -> Option<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "../target".into(), PathBuf::from);
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("fab-classic");
        if venv.join("missing").exists() && std::env::var_os("CI").is_none() {
            eprintln!("fab-classic could not be installed: nothing is compared with the classic program");
            return None;
        }
        let python = venv.join("bin/python");
        assert!(python.exists(), "the tests need fab-classic in {}. Run: scripts/fab-classic", venv.display());
        let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/classic/runner.py");
        let mut child = Command::new(python)
            .arg(runner)
            .env_remove("PYTHONPATH")
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self { child, stdin, stdout })
    }

    /// Runs `fabfile.py` of this directory.
    pub(crate) fn run(&mut self, dir: &Path, args: &[String]) -> Ran {
        let stdin = self.stdin.as_mut().expect("it runs");
        writeln!(stdin, "{}", serde_json::json!({ "dir": dir, "args": args })).expect("it listens");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        let answer: serde_json::Value = serde_json::from_str(&line).expect("an answer");
        let status = answer["status"].as_i64().and_then(|status| i32::try_from(status).ok()).expect("a status");
        Ran { text: answer["out"].as_str().expect("its output").to_owned(), status }
    }
}

impl Drop for Classic {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// Our program.
pub(crate) struct Ours {
    home: tempfile::TempDir,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a home") }
    }

    /// Runs `fabfile.toml` of this directory.
    pub(crate) fn run(&self, dir: &Path, args: &[String]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_fab-under-test"))
            .args(["-f", "fabfile.toml", "--output", "raw"])
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .expect("fab starts");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ran { text, status: output.status.code().expect("it is not killed") }
    }
}
