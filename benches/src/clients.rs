//! What is measured: ours, the floor, and the adapters of other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::Site;
use crate::works::{Job, Work};

/// How a client is run.
enum How {
    /// The `fab` that was built with this program.
    Fab,
    /// Another program built with this one.
    Built(&'static str),
    /// A program of the system, for what needs no adapter.
    Plain(&'static str),
    /// An adapter in `benches/peers`, and the program it needs.
    Shell(&'static str),
    /// An adapter in `benches/peers`, run by the Python of an environment of its own.
    Python(&'static str),
}

/// A program that can be measured.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    how: How,
    /// What its processor time and memory are those of several processes for.
    pub(crate) tree: bool,
    /// What prints its version: a program and its arguments, or for Python a distribution.
    version: &'static [&'static str],
}

const fn client(name: &'static str, how: How, tree: bool, version: &'static [&'static str]) -> Client {
    Client { name, how, tree, version }
}

/// All clients; a work names those that can do it.
pub(crate) const CLIENTS: &[Client] = &[
    client("fab", How::Fab, false, &["fab", "--version"]),
    client("library", How::Built("idle"), false, &[]),
    client("floor", How::Built("floor"), false, &[]),
    client("true", How::Plain("true"), false, &[]),
    client("fabric3", How::Python("fabric"), false, &["fabric", "paramiko", "invoke"]),
    client("fab-classic", How::Python("fab-classic"), true, &["fab-classic", "paramiko-ng", "paramiko"]),
    client("asyncssh", How::Python("asyncssh"), false, &["asyncssh"]),
    client("parallel-ssh", How::Python("parallel-ssh"), false, &["parallel-ssh", "ssh2-python"]),
    client("pyinfra", How::Python("pyinfra"), true, &["pyinfra", "paramiko"]),
    client("ansible", How::Python("ansible-core"), true, &["ansible-core"]),
    client("bssh", How::Shell("bssh"), false, &["bssh", "--version"]),
    client("clush", How::Shell("clush"), true, &["clush", "--version"]),
    client("pdsh", How::Shell("pdsh"), true, &["pdsh", "-V"]),
    client("pssh", How::Shell("parallel-ssh"), true, &["parallel-ssh", "--version"]),
    client("xargs", How::Shell("xargs"), true, &[]),
    client("ssh", How::Shell("ssh"), true, &["ssh", "-V"]),
    client("sftp", How::Shell("sftp"), true, &[]),
    client("scp", How::Shell("scp"), true, &[]),
    client("rsync", How::Shell("rsync"), true, &["rsync", "--version"]),
    client("tar", How::Shell("tar"), true, &["tar", "--version"]),
];

/// Where programs are.
pub(crate) struct Tools {
    /// Those that were built with this one.
    pub(crate) built: PathBuf,
    /// The adapters.
    pub(crate) adapters: PathBuf,
    /// What `scripts/setup-peers` installs.
    pub(crate) peers: PathBuf,
}

impl Tools {
    /// The search path of clients: what was installed for the benchmark, then the system's.
    fn path(&self) -> String {
        format!("{}:{}", self.peers.join("bin").display(), std::env::var("PATH").unwrap_or_default())
    }

    /// Where a program is.
    fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path()).map(|dir| dir.join(program)).find(|file| file.is_file())
    }
}

impl Client {
    pub(crate) fn named(name: &str) -> &'static Self {
        CLIENTS.iter().find(|client| client.name == name).expect("works name clients that there are")
    }

    /// Whether it is ours or a yardstick, which are measured more often than others.
    pub(crate) fn is_close(&self) -> bool {
        matches!(self.name, "fab" | "library" | "floor" | "sftp" | "scp" | "true")
    }

    /// What is missing for it; `None` if nothing is.
    pub(crate) fn missing(&self, tools: &Tools) -> Option<String> {
        let there = match &self.how {
            How::Fab => tools.built.join("fab").is_file(),
            How::Built(program) => tools.built.join(program).is_file(),
            How::Plain(program) | How::Shell(program) => tools.find(program).is_some(),
            How::Python(name) => tools.python(name).is_file(),
        };
        let what = match &self.how {
            How::Fab | How::Built(_) => "not built: use `just bench`",
            _ => "not installed: run scripts/setup-peers",
        };
        (!there).then(|| what.to_owned())
    }

    /// The version of what is measured, as it says itself.
    pub(crate) fn version(&self, tools: &Tools) -> Option<String> {
        let (first, rest) = self.version.split_first()?;
        let mut command = match &self.how {
            How::Fab => Command::new(tools.built.join("fab")),
            How::Python(name) => {
                let mut command = Command::new(tools.python(name));
                let print = "import sys, importlib.metadata as m\n\
                             found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n\
                             print(', '.join(f'{n} {found[n]}' for n in sys.argv[1:] if n in found))";
                command.args(["-c", print, first]);
                command
            }
            _ => Command::new(tools.find(first)?),
        };
        let output = command.args(rest).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Some(String::from_utf8_lossy(&text).lines().next()?.trim().to_owned())
    }

    /// The command that does a work.
    pub(crate) fn command(&self, work: &Work, site: &Site, tools: &Tools) -> Command {
        let mut command = match &self.how {
            How::Fab => {
                let mut command = Command::new(tools.built.join("fab"));
                command.args(fab_arguments(&work.job, site));
                command
            }
            How::Built(program) => {
                let mut command = Command::new(tools.built.join(program));
                command.args(adapter_arguments(&work.job, site));
                command
            }
            How::Plain(program) => Command::new(tools.find(program).unwrap_or_else(|| PathBuf::from(program))),
            How::Shell(_) => {
                let mut command = Command::new("/bin/sh");
                command.arg(tools.adapters.join(format!("{}.sh", self.name))).args(adapter_arguments(&work.job, site));
                command
            }
            How::Python(name) => {
                let mut command = Command::new(tools.python(name));
                let adapter = format!("{}_adapter.py", self.name.replace('-', "_"));
                command.arg(tools.adapters.join(adapter)).args(adapter_arguments(&work.job, site));
                command
            }
        };
        command.env_clear().env("PATH", tools.path()).env("LANG", "C.UTF-8").current_dir(&site.dir);
        command.env("BENCH_PEERS", &tools.peers).envs(site.environment());
        if let Job::FanOut { concurrency: Some(concurrency), .. } = work.job {
            command.env("BENCH_CONCURRENCY", concurrency.to_string());
        }
        if self.name == "floor" {
            command.envs(floor_options(work));
        }
        command
    }
}

impl Tools {
    fn python(&self, environment: &str) -> PathBuf {
        self.peers.join(environment).join("bin/python")
    }
}

/// As a user would write it. Host keys are checked against `~/.ssh/known_hosts`, a report is written.
fn fab_arguments(job: &Job, site: &Site) -> Vec<String> {
    let hosts =
        if let [one] = &site.hosts[..] { one.clone() } else { format!("@{}", site.dir.join("hosts").display()) };
    let words: Vec<String> = match job {
        Job::List => vec!["--list".into()],
        Job::Version => vec!["--version".into()],
        Job::FanOut { command, concurrency } => {
            let mut words = vec!["-H".into(), hosts, "--report".into(), "report.json".into()];
            if site.hosts.len() > 1 {
                words.push("-P".into());
            }
            if let Some(concurrency) = concurrency {
                words.extend(["-z".into(), concurrency.to_string()]);
            }
            words.extend(["--".into(), command.clone()]);
            words
        }
        Job::Flood { count, width } => {
            let command = format!("lines {count} {width}");
            ["-H", &hosts, "-P", "--output", "prefix", "--", &command].map(ToOwned::to_owned).into()
        }
        Job::Many { .. } | Job::File { .. } | Job::Tree { .. } => vec!["-H".into(), hosts, "work".into()],
        Job::Idle => Vec::new(),
    };
    words
}

/// What an adapter is given: see `benches/peers/README.md`.
fn adapter_arguments(job: &Job, site: &Site) -> Vec<String> {
    let (from, to) = job.ends(site);
    let text = |path: &Path| path.display().to_string();
    match job {
        Job::List => vec!["list".into()],
        Job::Version => vec!["version".into()],
        Job::FanOut { command, .. } => vec!["fanout".into(), command.clone()],
        Job::Flood { count, width } => vec!["fanout".into(), format!("lines {count} {width}")],
        Job::Many { count } => vec!["many".into(), count.to_string(), "true".into()],
        Job::File { put, .. } => vec![if *put { "put" } else { "get" }.into(), text(&from), text(&to)],
        Job::Tree { put, .. } => vec![if *put { "puttree" } else { "gettree" }.into(), text(&from), text(&to)],
        Job::Idle => vec!["idle".into()],
    }
}

/// With what the floor is fastest at a work, found by trying.
fn floor_options(work: &Work) -> Vec<(&'static str, &'static str)> {
    let mut options = match &work.job {
        Job::FanOut { concurrency: None, .. } => vec![("BENCH_CONCURRENCY", "500")],
        Job::File { .. } if work.name.starts_with("far-") => {
            vec![("FLOOR_WINDOW", "67108864"), ("FLOOR_DEPTH", "256"), ("FLOOR_CHANNELS", "8"), ("FLOOR_THREADS", "2")]
        }
        Job::File { .. } => vec![("FLOOR_THREADS", "2")],
        _ => Vec::new(),
    };
    if let Some(cipher) = work.cipher {
        options.push(("FLOOR_CIPHER", cipher));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::works;

    #[test]
    fn every_client_that_a_work_names_is_there_with_its_adapter() {
        let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        for work in works(false).iter().chain(&works(true)) {
            for name in &work.clients {
                let client = Client::named(name);
                let adapter = match client.how {
                    How::Shell(_) => format!("{name}.sh"),
                    How::Python(_) => format!("{}_adapter.py", name.replace('-', "_")),
                    _ => continue,
                };
                assert!(adapters.join(&adapter).is_file(), "{adapter}, for {}", work.name);
            }
        }
    }
}
