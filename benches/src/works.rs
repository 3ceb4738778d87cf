//! What is measured.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::Site;

/// Where a work runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Servers {
    /// Nowhere: it is about the program alone.
    None,
    /// On so many hosts of the cheap fleet.
    Cheap(usize),
    /// On so many addresses of real OpenSSH servers.
    Sshd(usize),
    /// On one of them, behind a link with a round trip of 50 ms.
    FarSshd,
}

/// What a client is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// To list the tasks of a fabfile.
    List,
    /// To print its version.
    Version,
    /// To run a command on all hosts, on at most so many at a time; `None`: as many as it likes.
    FanOut { command: String, concurrency: Option<usize> },
    /// The same, with the lines of output behind their hosts, in a file.
    Flood { count: usize, width: usize },
    /// To run `true` so many times, one after the other, on one connection.
    Many { count: usize },
    /// To copy the file `big` to the host or from it.
    File { put: bool, size: u64 },
    /// To copy the directory `tree` to the host or from it.
    Tree { put: bool, files: usize },
    /// To hold connections to all hosts open.
    Idle,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) title: String,
    pub(crate) servers: Servers,
    pub(crate) job: Job,
    /// The only cipher that may be used; `None`: each client's own choice.
    pub(crate) cipher: Option<&'static str>,
    pub(crate) clients: Vec<&'static str>,
    /// How often each is measured at most.
    pub(crate) runs: usize,
}

/// Content of a file of a tree.
const SMALL: usize = 4096;
/// What both russh and OpenSSH have, and the fastest where the processor has AES.
const GCM: &str = "aes128-gcm@openssh.com";

/// All works.
pub(crate) fn works(quick: bool) -> Vec<Work> {
    // A tenth of the size, to see whether it works at all.
    let scale = |size: usize| if quick { size / 10 } else { size };
    let mut works = Vec::new();
    let mut add = |name: &str, title: String, servers, job, clients: &[&'static str], runs: usize| {
        let clients = clients.to_vec();
        let runs = if quick { runs.min(2) } else { runs };
        works.push(Work { name: name.to_owned(), title, servers, job, cipher: None, clients, runs });
    };

    add(
        "list",
        "list the tasks of a fabfile".into(),
        Servers::None,
        Job::List,
        &["fab", "true", "fabric3", "fab-classic"],
        40,
    );
    add("version", "print the version".into(), Servers::None, Job::Version, &["fab", "true", "fabric3", "bssh"], 40);

    let fan_out = |concurrency| Job::FanOut { command: "true".to_owned(), concurrency };
    let libraries = ["fab", "floor", "bssh", "asyncssh", "parallel-ssh", "fabric3", "fab-classic", "pyinfra"];
    let processes = ["clush", "pdsh", "pssh", "xargs", "ansible"];
    let one =
        ["fab", "floor", "ssh", "bssh", "asyncssh", "parallel-ssh", "fabric3", "fab-classic", "pyinfra", "ansible"];
    add("one-sshd", "`true` on one sshd host".into(), Servers::Sshd(1), fan_out(None), &one, 11);
    for hosts in [100, 500] {
        let hosts = scale(hosts);
        let all: Vec<_> =
            libraries.into_iter().chain(processes.into_iter().filter(|_| hosts >= 500 || quick)).collect();
        let title = format!("`true` on {hosts} sshd hosts, 100 at a time");
        add(
            &format!("sshd-{}", if quick { hosts * 10 } else { hosts }),
            title,
            Servers::Sshd(hosts),
            fan_out(Some(100)),
            &all,
            5,
        );
    }
    for hosts in [1_000, 5_000] {
        let title = format!("`true` on {} cheap hosts, 100 at a time", number(scale(hosts)));
        let all: Vec<_> = libraries
            .into_iter()
            .chain(["clush"])
            .filter(|name| hosts < 5_000 || !matches!(*name, "fab-classic" | "pyinfra" | "clush"))
            .collect();
        add(&format!("cheap-{hosts}"), title, Servers::Cheap(scale(hosts)), fan_out(Some(100)), &all, 5);
    }
    let title = format!("`true` on {} cheap hosts, default options", number(scale(10_000)));
    add("cheap-10000", title, Servers::Cheap(scale(10_000)), fan_out(None), &["fab", "floor"], 3);
    for (hosts, runs) in [(1, 21), (10, 11), (30, 7), (100, 5), (300, 5), (1_000, 5), (3_000, 3), (10_000, 3)] {
        if quick && hosts > 1_000 {
            continue;
        }
        let title = match hosts {
            1 => "a run on one cheap host".to_owned(),
            _ => format!("cost a host at {} hosts", number(hosts)),
        };
        add(&format!("linear-{hosts}"), title, Servers::Cheap(hosts), fan_out(Some(100)), &["fab", "floor"], runs);
    }

    let count = scale(500);
    let title = format!("{count} commands on one connection to sshd");
    add(
        "many",
        title,
        Servers::Sshd(1),
        Job::Many { count },
        &["fab", "floor", "ssh", "asyncssh", "parallel-ssh", "fabric3", "fab-classic"],
        5,
    );

    let big = (1_u64 << 30) / if quick { 10 } else { 1 };
    for put in [true, false] {
        let what = if put { "put" } else { "get" };
        let mebibytes = big >> 20;
        let clients = ["fab", "floor", "sftp", "scp", "asyncssh", "parallel-ssh", "fabric3"];
        add(
            what,
            format!("{what} {mebibytes} MiB, each one's default cipher"),
            Servers::Sshd(1),
            Job::File { put, size: big },
            &clients,
            5,
        );
        add(
            &format!("{what}-gcm"),
            format!("{what} {mebibytes} MiB, all with aes128-gcm"),
            Servers::Sshd(1),
            Job::File { put, size: big },
            &["fab", "floor", "sftp", "scp"],
            5,
        );
    }
    let files = scale(5_000);
    for put in [true, false] {
        let what = if put { "put" } else { "get" };
        let clients =
            ["fab", "floor", "tar", "rsync", "sftp", "scp", "asyncssh", "parallel-ssh", "fabric3", "fab-classic"];
        let title = format!("{what} {} files of 4 KiB", number(files));
        add(&format!("{what}-tree"), title, Servers::Sshd(1), Job::Tree { put, files }, &clients, 5);
    }
    let far = (256_u64 << 20) / if quick { 10 } else { 1 };
    for put in [true, false] {
        let what = if put { "put" } else { "get" };
        let title = format!("{what} {} MiB over a round trip of 50 ms", far >> 20);
        add(
            &format!("far-{what}"),
            title,
            Servers::FarSshd,
            Job::File { put, size: far },
            &["fab", "floor", "sftp", "scp", "asyncssh", "parallel-ssh", "fabric3"],
            3,
        );
    }
    let files = scale(200);
    for put in [true, false] {
        let what = if put { "put" } else { "get" };
        let title = format!("{what} {files} files of 4 KiB over a round trip of 50 ms");
        add(
            &format!("far-{what}-tree"),
            title,
            Servers::FarSshd,
            Job::Tree { put, files },
            &["fab", "floor", "tar", "rsync", "sftp"],
            3,
        );
    }
    add(
        "far-one",
        "`true` on one sshd host over a round trip of 50 ms".into(),
        Servers::FarSshd,
        fan_out(None),
        &["fab", "floor", "ssh", "bssh", "asyncssh", "parallel-ssh", "fabric3"],
        3,
    );

    let (hosts, count) = (scale(50), scale(200_000));
    let title = format!("{hosts} cheap hosts x {} lines of 80 bytes, prefixed, to a file", number(count));
    add(
        "flood",
        title,
        Servers::Cheap(hosts),
        Job::Flood { count, width: 80 },
        &["fab", "floor", "bssh", "asyncssh", "clush"],
        3,
    );
    let hosts = scale(1_000);
    let title = format!("{} idle connections in one process", number(hosts));
    add("idle", title, Servers::Cheap(hosts), Job::Idle, &["library", "floor"], 3);

    for work in &mut works {
        if work.name.ends_with("-gcm") {
            work.cipher = Some(GCM);
        }
    }
    works
}

/// `10000` as `10,000`.
pub(crate) fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Job {
    /// What is there before the first run: files that are copied, fabfiles.
    pub(crate) fn prepare(&self, site: &Site) -> io::Result<()> {
        let (from, to) = self.ends(site);
        let fabfile = match self {
            Self::List | Self::Version => FABFILE.to_owned(),
            Self::Many { count } => {
                let commands = vec!["\"true\""; *count].join(", ");
                format!("[tasks.work]\nrun = [{commands}]\n")
            }
            Self::File { put, .. } | Self::Tree { put, .. } => {
                let verb = if *put { "put" } else { "get" };
                format!("[tasks.work]\nsteps = [{{ {verb} = '{}', to = '{}' }}]\n", from.display(), to.display())
            }
            _ => String::new(),
        };
        if !fabfile.is_empty() {
            fs::write(site.dir.join("fabfile.toml"), fabfile)?;
        }
        match self {
            Self::File { size, .. } => fill(&from, *size),
            Self::Tree { files, .. } => {
                fs::create_dir(&from)?;
                for file in 0..*files {
                    fs::write(from.join(format!("file-{file:05}")), noise(file as u64, SMALL))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// From where to where is copied.
    pub(crate) fn ends(&self, site: &Site) -> (PathBuf, PathBuf) {
        let name = if matches!(self, Self::Tree { .. }) { "tree" } else { "big" };
        let (here, there) = (site.dir.join(name), site.dir.join("far").join(name));
        match self {
            Self::File { put: false, .. } | Self::Tree { put: false, .. } => (there, here),
            _ => (here, there),
        }
    }

    /// Takes away what a run has made.
    pub(crate) fn clean(&self, site: &Site) -> io::Result<()> {
        let (_, to) = self.ends(site);
        // An adapter's, which another client would take for its own.
        let fabfile = site.dir.join("fabfile.py");
        if fabfile.exists() {
            fs::remove_file(fabfile)?;
        }
        match self {
            Self::File { .. } if to.exists() => fs::remove_file(to),
            Self::Tree { .. } if to.exists() => fs::remove_dir_all(to),
            _ => Ok(()),
        }
    }

    /// Whether a run has done what it was to do; `closely`: byte by byte.
    pub(crate) fn check(&self, site: &Site, stdout: &Path, closely: bool) -> Result<(), String> {
        let (from, to) = self.ends(site);
        let failed = |error: io::Error| format!("{}: {error}", to.display());
        match self {
            Self::File { size, .. } => {
                let got = fs::metadata(&to).map_err(failed)?.len();
                if got != *size {
                    return Err(format!("{got} of {size} bytes arrived"));
                }
                if closely && !same(&from, &to).map_err(failed)? {
                    return Err("what arrived is not what was sent".to_owned());
                }
            }
            Self::Tree { files, .. } => {
                let arrived = fs::read_dir(&to).map_err(failed)?.count();
                if arrived != *files {
                    return Err(format!("{arrived} of {files} files arrived"));
                }
                for file in 0..if closely { *files } else { 0 } {
                    let content = fs::read(to.join(format!("file-{file:05}"))).map_err(failed)?;
                    if content != noise(file as u64, SMALL) {
                        return Err(format!("file-{file:05} is not what was sent"));
                    }
                }
            }
            Self::Flood { count, width } => {
                // Counted by `wc`, beside which reading it all here would take long.
                let output = Command::new("wc").arg("-l").arg(stdout).output().map_err(failed)?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let lines: usize = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
                let (least, bytes) = (count * site.hosts.len(), fs::metadata(stdout).map_err(failed)?.len());
                if lines < least || bytes < (least * width) as u64 {
                    return Err(format!("{lines} of {least} lines came out"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How many bytes of content it moves.
    pub(crate) fn bytes(&self, servers: Servers) -> Option<u64> {
        match (self, servers) {
            (Self::File { size, .. }, _) => Some(*size),
            (Self::Tree { files, .. }, _) => Some((files * SMALL) as u64),
            (Self::Flood { count, width }, Servers::Cheap(hosts)) => Some((count * width * hosts) as u64),
            _ => None,
        }
    }
}

/// A fabfile of the ordinary kind.
const FABFILE: &str = "\
[env]
user = \"deploy\"

[roledefs]
web = [\"web[1-3].example.com\"]
db = [\"db1.example.com\"]

[tasks]
uptime = \"uptime\"

[tasks.migrate]
help = \"Bring the database up to date\"
roles = [\"db\"]
runs_once = true
run = \"bin/migrate\"

[tasks.deploy]
help = \"Roll a version out\"
roles = [\"web\"]
parallel = true
args = [\"version\"]
steps = [
  { put = \"app-{{ version }}.tgz\", to = \"/tmp/app.tgz\" },
  { run = \"tar xzf /tmp/app.tgz\", cd = \"/srv/app\" },
  { sudo = \"systemctl restart app\" },
]
";

/// A file that doesn't compress and has no holes.
fn fill(file: &Path, size: u64) -> io::Result<()> {
    let block = noise(1, 1 << 20);
    let mut file = fs::File::create(file)?;
    let mut left = size;
    while left > 0 {
        let part = left.min(block.len() as u64);
        io::Write::write_all(&mut file, &block[..part as usize])?;
        left -= part;
    }
    Ok(())
}

/// Bytes without a pattern, always the same ones for a seed (xorshift64).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(Command::new("cmp").arg("-s").arg(one).arg(other).status()?.success())
}
