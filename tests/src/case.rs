//! One run of `fab`, and its expected results.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sshd::{Host, Sshd};

/// How long a run may take before it counts as hanging.
const LIMIT: Duration = Duration::from_mins(1);

/// One run of `fab`, and its expected results. Default: nothing on standard output and standard error, and status 0.
///
/// It runs in an empty directory with an empty home, an environment of only `PATH` and `HOME`, and `/dev/null` as standard
/// input. Arguments, files, variables, input and expectations may have placeholders:
///
/// | text | for |
/// | --- | --- |
/// | `{h1}`, `{h2}`, ... | the hosts, as `address:port` |
/// | `{hosts}` | all of them, separated by commas |
/// | `{address1}`, ...; `{port}` | their parts |
/// | `{key}` | the private key that logs in; given as `-i` already, unless [`Case::no_key`] |
/// | `{home}`, `{dir}` | the home and the working directory of `fab` |
/// | `{far}` | an empty directory on the hosts, which are this machine |
///
/// In output every time in seconds is replaced by `(T s)`.
#[must_use = "a case does nothing until it is run"]
pub struct Case {
    program: PathBuf,
    root: TempDir,
    hosts: Vec<Host>,
    key: Option<PathBuf>,
    give_key: bool,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    stdout: Expected,
    stderr: Expected,
    status: Option<i32>,
    interrupts: Vec<String>,
    memory: Option<u64>,
    limits: Option<String>,
    values: Vec<(String, String)>,
}

/// The expected content of a stream.
#[derive(Default)]
struct Expected {
    exact: Option<String>,
    any: bool,
    unordered: Option<Vec<String>>,
    has: Vec<String>,
    lacks: Vec<String>,
}

impl Case {
    /// A run of this program. Tests use [`case!`](crate::case).
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let root = tempfile::Builder::new().prefix("fabric-case-").tempdir().expect("a temporary directory");
        for dir in ["home/.ssh", "dir", "far", "bin"] {
            fs::create_dir_all(root.path().join(dir)).expect("a directory of the case");
        }
        // Called by its own name, which it shows in its usage text.
        let program = program.into();
        let fab = root.path().join("bin/fab");
        std::os::unix::fs::symlink(program, &fab).expect("a link to the program");
        Self {
            program: fab,
            root,
            hosts: Vec::new(),
            key: None,
            give_key: true,
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            stdout: Expected::default(),
            stderr: Expected::default(),
            status: Some(0),
            interrupts: Vec::new(),
            memory: None,
            limits: None,
            values: Vec::new(),
        }
    }

    /// Gives the case this many hosts of a shared [`Sshd`], whose keys are known.
    #[track_caller]
    pub fn hosts(self, count: usize) -> Self {
        let sshd = if count <= Sshd::shared_size() { Sshd::shared() } else { Sshd::shared_many() };
        assert!(count <= sshd.hosts().len(), "there are {} hosts", sshd.hosts().len());
        self.on(sshd).first_hosts(count)
    }

    /// Gives the case the hosts of this server, whose keys are known.
    pub fn on(self, sshd: &Sshd) -> Self {
        let case = self.reach(sshd.hosts().to_vec(), &sshd.key());
        case.known_hosts(sshd.known_hosts())
    }

    /// Gives the case these hosts, which accept this key: for an embedded fleet.
    pub fn reach(mut self, hosts: Vec<Host>, key: &Path) -> Self {
        self.hosts = hosts;
        self.key = Some(key.to_owned());
        self
    }

    fn first_hosts(mut self, count: usize) -> Self {
        self.hosts.truncate(count);
        self
    }

    /// The content of `~/.ssh/known_hosts`.
    pub fn known_hosts(self, text: impl AsRef<str>) -> Self {
        self.home_file(".ssh/known_hosts", text)
    }

    /// Leaves `-i` out.
    pub fn no_key(mut self) -> Self {
        self.give_key = false;
        self
    }

    /// A `fabfile.toml` in the working directory.
    pub fn fabfile(self, text: impl AsRef<str>) -> Self {
        self.file("fabfile.toml", text)
    }

    /// A file in the working directory.
    pub fn file(self, path: impl AsRef<Path>, text: impl AsRef<str>) -> Self {
        let file = self.dir().join(path);
        self.write(&file, text.as_ref())
    }

    /// A file in the home directory.
    pub fn home_file(self, path: impl AsRef<Path>, text: impl AsRef<str>) -> Self {
        let file = self.root.path().join("home").join(path);
        self.write(&file, text.as_ref())
    }

    fn write(self, file: &Path, text: &str) -> Self {
        fs::create_dir_all(file.parent().expect("a file has a directory")).expect("its directory");
        fs::write(file, self.fill(text)).expect("a file of the case");
        self
    }

    /// Adds a placeholder: `{name}` becomes `value`.
    pub fn value(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.push((name.to_owned(), value.into()));
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<str>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Its standard input.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(input.into());
        self
    }

    /// Expects exactly this standard output.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout.exact = Some(text.into());
        self
    }

    /// Expects these lines of standard output, in any order.
    pub fn stdout_lines<L: Into<String>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.stdout.unordered = Some(lines.into_iter().map(Into::into).collect());
        self
    }

    /// Expects this in standard output; the rest doesn't matter.
    pub fn stdout_has(mut self, part: impl Into<String>) -> Self {
        self.stdout.has.push(part.into());
        self
    }

    /// Expects this not to be in standard output; the rest doesn't matter.
    pub fn stdout_lacks(mut self, part: impl Into<String>) -> Self {
        self.stdout.lacks.push(part.into());
        self
    }

    /// Accepts any standard output.
    pub fn any_stdout(mut self) -> Self {
        self.stdout.any = true;
        self
    }

    /// Expects exactly this standard error.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr.exact = Some(text.into());
        self
    }

    /// Expects this in standard error; the rest doesn't matter.
    pub fn stderr_has(mut self, part: impl Into<String>) -> Self {
        self.stderr.has.push(part.into());
        self
    }

    /// Expects this not to be in standard error; the rest doesn't matter.
    pub fn stderr_lacks(mut self, part: impl Into<String>) -> Self {
        self.stderr.lacks.push(part.into());
        self
    }

    /// Accepts any standard error.
    pub fn any_stderr(mut self) -> Self {
        self.stderr.any = true;
        self
    }

    /// Sends it SIGINT (Ctrl-C) once it has printed this. Several are sent one after another.
    pub fn interrupt_at(mut self, text: impl Into<String>) -> Self {
        self.interrupts.push(text.into());
        self
    }

    /// Expects at most this much memory at any time, in bytes (maximum resident set).
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Runs it in a shell after these commands, such as `ulimit` or `trap`. They may also run it themselves as `"$0" "$@"`, and exit.
    pub fn within(mut self, script: impl Into<String>) -> Self {
        self.limits = Some(script.into());
        self
    }

    /// The expected exit status. Default: 0.
    pub fn status(mut self, status: i32) -> Self {
        self.status = Some(status);
        self
    }

    /// Accepts any exit status.
    pub fn any_status(mut self) -> Self {
        self.status = None;
        self
    }

    /// The working directory.
    pub fn dir(&self) -> PathBuf {
        self.root.path().join("dir")
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The directory on the hosts.
    pub fn far(&self) -> PathBuf {
        self.root.path().join("far")
    }

    /// A text with its placeholders replaced.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        let mut put = |name: &str, value: &str| filled = filled.replace(&format!("{{{name}}}"), value);
        for (name, value) in &self.values {
            put(name, value);
        }
        let strings: Vec<String> = self.hosts.iter().map(Host::host_string).collect();
        put("hosts", &strings.join(","));
        for (number, (host, string)) in self.hosts.iter().zip(&strings).enumerate() {
            put(&format!("h{}", number + 1), string);
            put(&format!("address{}", number + 1), &host.address.to_string());
        }
        if let Some(host) = self.hosts.first() {
            put("port", &host.port.to_string());
        }
        if let Some(key) = &self.key {
            put("key", &key.to_string_lossy());
        }
        for (name, path) in [("home", self.home()), ("dir", self.dir()), ("far", self.far())] {
            put(name, &path.to_string_lossy());
        }
        filled
    }

    /// Runs it, and compares.
    #[track_caller]
    pub fn run(self) -> Ran {
        let mut command = match &self.limits {
            Some(script) => {
                let mut command = Command::new("/bin/sh");
                let script = self.fill(script);
                command.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        if let (true, Some(key)) = (self.give_key, &self.key) {
            command.arg("-i").arg(key);
        }
        command.args(self.args.iter().map(|arg| self.fill(arg)));
        command.current_dir(self.dir()).env_clear().env("HOME", self.home());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.root.path().join("bin").display()));
        // With backtraces a panic is recognised, and an error must not have one.
        command.env("RUST_BACKTRACE", "1");
        command.envs(self.env.iter().map(|(name, value)| (name, self.fill(value))));
        let input = self.stdin.clone().map(|input| match String::from_utf8(input) {
            Ok(text) => self.fill(&text).into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        });
        let interrupts = self.interrupts.iter().map(|text| self.fill(text)).collect();
        let (stdout, stderr, exit, peak) = finish(&mut command, input, interrupts);
        let (stdout, stderr) = (without_times(&stdout), without_times(&stderr));
        let ran = Ran { stdout, stderr, exit, peak, case: self };
        let problems = ran.problems();
        assert!(problems.is_empty(), "{problems}\n{}", ran.describe(&command));
        ran
    }
}

/// Replaces every `(1.2 s)` by `(T s)`, as times are not compared.
fn without_times(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('(') {
        kept.push_str(before);
        kept.push('(');
        rest = match after.split_once(" s)") {
            Some((time, end)) if time.parse::<f64>().is_ok() => {
                kept.push_str("T s)");
                end
            }
            _ => after,
        };
    }
    kept.push_str(rest);
    kept
}

/// The capacity of a pipe.
const PIPE: usize = 4096;

/// A pipe with this content.
fn filled_pipe(input: &[u8]) -> OwnedFd {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    assert_eq!(rustix::io::write(&write, input), Ok(input.len()));
    read
}

/// Runs a command to its end, with a time limit, and interrupts it at each of these texts.
fn finish(
    command: &mut Command,
    input: Option<Vec<u8>>,
    interrupts: VecDeque<String>,
) -> (String, String, ExitStatus, u64) {
    let (early, input) = match input {
        // Written before the program starts.
        Some(input) if input.len() <= PIPE => (Some(filled_pipe(&input)), None),
        input => (None, input),
    };
    command.stdin(match (early, &input) {
        (Some(pipe), _) => pipe.into(),
        (None, Some(_)) => Stdio::piped(),
        (None, None) => Stdio::null(),
    });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("fab starts");
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        std::thread::spawn(move || {
            // The program need not read all of it.
            let _ = stdin.write_all(&input);
        });
    }
    let pid = child.id();
    // The peak only grows, so that polling it is enough.
    let watching = std::thread::spawn(move || {
        let mut most = 0;
        while let Some(peak) = peak_memory(pid) {
            most = peak;
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    });
    let (sender, receiver) = mpsc::channel();
    let read = |mut from: Box<dyn Read + Send>, number: usize| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 * 1024];
            loop {
                let count = from.read(&mut bytes).unwrap_or(0);
                // An empty part marks the end.
                if sender.send((number, bytes[..count].to_vec())).is_err() || count == 0 {
                    break;
                }
            }
        });
    };
    read(Box::new(child.stdout.take().expect("piped")), 0);
    read(Box::new(child.stderr.take().expect("piped")), 1);
    let mut said = [Vec::new(), Vec::new()];
    let text = |said: &[Vec<u8>; 2], number: usize| String::from_utf8_lossy(&said[number]).into_owned();
    let (mut interrupts, mut open, deadline) = (interrupts, 2, Instant::now() + LIMIT);
    while open > 0 {
        let Ok((number, bytes)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            let _ = child.kill();
            let _ = child.wait();
            let (stdout, stderr) = (text(&said, 0), text(&said, 1));
            panic!("still running after {LIMIT:?}: {command:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        };
        open -= usize::from(bytes.is_empty());
        said[number].extend(bytes);
        let is_said = |wanted: &String| (0..2).any(|number| text(&said, number).contains(wanted.as_str()));
        if interrupts.front().is_some_and(is_said) {
            interrupts.pop_front();
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        }
    }
    // It has closed its streams; until it is waited for, it can be inspected.
    let exit = child.wait().expect("its status");
    let peak = watching.join().expect("its memory");
    assert!(interrupts.is_empty(), "it never said {interrupts:?}:\n{}\n{}", text(&said, 0), text(&said, 1));
    (text(&said, 0), text(&said, 1), exit, peak)
}

/// The peak memory of a process in bytes; `None` once it has ended.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// A run with the expected results, for further checks.
pub struct Ran {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    exit: ExitStatus,
    peak: u64,
    case: Case,
}

impl Ran {
    /// The content of a file in the working directory.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let file = self.case.dir().join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// The content of a file in the directory on the hosts.
    #[track_caller]
    pub fn read_far(&self, path: &str) -> String {
        let file = self.case.far().join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Its exit status, unless a signal ended it.
    pub fn status(&self) -> Option<i32> {
        self.exit.code()
    }

    /// The case, with its directories.
    pub fn case(&self) -> &Case {
        &self.case
    }

    fn problems(&self) -> String {
        let mut problems = String::new();
        let status = self.exit.code().unwrap_or_else(|| 128 + self.exit.signal().unwrap_or_default());
        if let Some(expected) = self.case.status.filter(|expected| *expected != status) {
            let _ = writeln!(problems, "status is {status} and should be {expected}");
        }
        if let Some(most) = self.case.memory.filter(|most| *most < self.peak) {
            let _ = writeln!(problems, "it took {} bytes of memory and may take {most}", self.peak);
        }
        for (name, text, expected) in
            [("stdout", &self.stdout, &self.case.stdout), ("stderr", &self.stderr, &self.case.stderr)]
        {
            expected.judge(name, text, &self.case, &mut problems);
            for sign in ["panicked at", "stack backtrace", "RUST_BACKTRACE"] {
                if text.contains(sign) {
                    let _ = writeln!(problems, "{name} shows a panic or a backtrace ({sign})");
                }
            }
        }
        problems
    }

    fn describe(&self, command: &Command) -> String {
        let args: Vec<_> = command.get_args().map(|arg| format!("{:?}", arg.to_string_lossy())).collect();
        format!(
            "\nfab {}\n--- stdout ---\n{}--- stderr ---\n{}--- status: {}",
            args.join(" "),
            self.stdout,
            self.stderr,
            self.exit
        )
    }
}

impl Expected {
    fn judge(&self, name: &str, text: &str, case: &Case, problems: &mut String) {
        for part in &self.has {
            let part = case.fill(part);
            if !text.contains(&part) {
                let _ = writeln!(problems, "{name} should have {part:?}");
            }
        }
        for part in &self.lacks {
            let part = case.fill(part);
            if text.contains(&part) {
                let _ = writeln!(problems, "{name} should not have {part:?}");
            }
        }
        if let Some(lines) = &self.unordered {
            let mut expected: Vec<String> = lines.iter().map(|line| case.fill(line)).collect();
            let mut seen: Vec<&str> = text.lines().collect();
            expected.sort();
            seen.sort_unstable();
            if seen != expected {
                let _ = writeln!(problems, "{name} should have these lines, in any order:\n{}", expected.join("\n"));
            }
        }
        let free = self.any || !self.has.is_empty() || !self.lacks.is_empty() || self.unordered.is_some();
        let exact = match &self.exact {
            Some(exact) => case.fill(exact),
            None if free => return,
            None => String::new(),
        };
        if text != exact {
            let _ = writeln!(problems, "{name} should be:\n{exact}{}", first_difference(&exact, text));
        }
    }
}

/// The first difference between two texts.
fn first_difference(expected: &str, seen: &str) -> String {
    let (mut left, mut right) = (expected.lines(), seen.lines());
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => return format!("(line {number}: expected {one:?}, seen {other:?})"),
        }
    }
    "(they differ in line ends)".to_owned()
}
