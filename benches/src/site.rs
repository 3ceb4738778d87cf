//! The hosts that a work runs on, and the files with which clients reach them.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tests::{Host, Link, Sshd};

use crate::works::Servers;

/// Half a round trip of the slow link.
const DELAY: Duration = Duration::from_millis(25);

/// The servers that are running. Each kind is started when it is first wanted, with the most hosts that any work asks for,
/// and ends with this.
pub(crate) struct Machines {
    dir: PathBuf,
    /// Where the programs are that were built with this one.
    programs: PathBuf,
    most_cheap: usize,
    most_sshd: usize,
    fleet: Option<Fleet>,
    sshd: Option<Sshd>,
    runtime: tokio::runtime::Runtime,
}

/// Some hosts, and a directory with all that a client needs to reach them.
pub(crate) struct Site {
    /// Of this site alone; clients work in it, and the far ends of transfers are in it.
    pub(crate) dir: PathBuf,
    pub(crate) hosts: Vec<String>,
    pub(crate) link: Option<Link>,
    key: PathBuf,
}

impl Machines {
    pub(crate) fn new(dir: &Path, programs: &Path, most_cheap: usize, most_sshd: usize) -> Result<Self, String> {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let (dir, programs) = (dir.to_owned(), programs.to_owned());
        Ok(Self { dir, programs, most_cheap, most_sshd, fleet: None, sshd: None, runtime })
    }

    /// Makes the site of a work; `cipher`: the only one that clients may use.
    pub(crate) fn site(&mut self, servers: Servers, cipher: Option<&str>) -> Result<Site, String> {
        let dir = self.dir.join("site");
        let site = |hosts, key, link| Site { dir, hosts, link, key };
        match servers {
            Servers::None => site(Vec::new(), PathBuf::new(), None).prepared("", cipher),
            Servers::Cheap(count) => {
                if self.fleet.is_none() {
                    self.fleet = Some(Fleet::start(&self.programs, &self.dir, self.most_cheap)?);
                }
                let Some(Fleet { about, .. }) = &self.fleet else { return Err("no fleet".to_owned()) };
                let known = fs::read_to_string(about.dir.join("known_hosts")).map_err(|error| error.to_string())?;
                let hosts = about.hosts[..count].to_vec();
                site(hosts, about.dir.join("client_key"), None).prepared(&first_lines(&known, count), cipher)
            }
            Servers::Sshd(count) => {
                let sshd = start_sshd(&mut self.sshd, self.most_sshd);
                let hosts = sshd.hosts()[..count].iter().map(Host::host_string).collect();
                site(hosts, sshd.key(), None).prepared(&first_lines(&sshd.known_hosts(), count), cipher)
            }
            Servers::FarSshd => {
                let sshd = start_sshd(&mut self.sshd, self.most_sshd);
                let host = &sshd.hosts()[0];
                let link = self.runtime.block_on(Link::to(SocketAddr::new(host.address, host.port), DELAY));
                let at = link.address();
                let known = format!("[{}]:{} {}\n", at.ip(), at.port(), sshd.host_key());
                site(vec![at.to_string()], sshd.key(), Some(link)).prepared(&known, cipher)
            }
        }
    }
}

fn start_sshd(sshd: &mut Option<Sshd>, most: usize) -> &Sshd {
    sshd.get_or_insert_with(|| {
        // VERBOSE, which the tests want, costs the server some lines for each login.
        Sshd::builder().hosts(most).first([127, 0, 64, 1].into()).config("LogLevel INFO").start()
    })
}

fn first_lines(text: &str, count: usize) -> String {
    text.lines().take(count).fold(String::new(), |all, line| all + line + "\n")
}

impl Site {
    /// Writes its files.
    fn prepared(self, known: &str, cipher: Option<&str>) -> Result<Self, String> {
        self.write(known, cipher).map_err(|error| format!("{}: {error}", self.dir.display()))?;
        Ok(self)
    }

    /// All hosts of a site have the same port.
    fn port(&self) -> &str {
        self.hosts.first().and_then(|host| host.rsplit_once(':')).map_or("22", |(_, port)| port)
    }

    fn write(&self, known: &str, cipher: Option<&str>) -> std::io::Result<()> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)?;
        }
        fs::create_dir_all(self.dir.join("home/.ssh"))?;
        fs::create_dir_all(self.dir.join("far"))?;
        let addresses = self.hosts.iter().filter_map(|host| Some(host.rsplit_once(':')?.0));
        fs::write(self.dir.join("hosts"), self.hosts.join("\n") + "\n")?;
        fs::write(self.dir.join("addresses"), addresses.collect::<Vec<_>>().join("\n") + "\n")?;
        fs::write(self.dir.join("known_hosts"), known)?;
        let (key, port) = (self.key.display(), self.port());
        let mut config = format!(
            "Host *\n    Port {port}\n    User {}\n    IdentityFile {key}\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile {}\n    GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    \
             UpdateHostKeys no\n    LogLevel ERROR\n",
            user(),
            self.dir.join("known_hosts").display(),
        );
        if let Some(cipher) = cipher {
            let _ = writeln!(config, "    Ciphers {cipher}");
        }
        fs::write(self.dir.join("ssh_config"), &config)?;
        fs::write(self.dir.join("home/.ssh/config"), &config)
    }

    /// What every client and adapter finds in its environment: see `benches/peers/README.md`.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("HOME", file("home")),
            ("BENCH_HOSTS", file("hosts")),
            ("BENCH_ADDRESSES", file("addresses")),
            ("BENCH_KNOWN_HOSTS", file("known_hosts")),
            ("BENCH_SSH_CONFIG", file("ssh_config")),
            ("BENCH_KEY", self.key.display().to_string()),
            ("BENCH_PORT", self.port().to_owned()),
            ("BENCH_USER", user()),
        ]
    }
}

/// Who logs in: whoever runs this.
fn user() -> String {
    whoami::username().unwrap_or_else(|_| "root".to_owned())
}

/// A process that is N cheap hosts, from the package of the tests.
struct Fleet {
    process: Child,
    stdin: Option<ChildStdin>,
    about: About,
}

#[derive(Deserialize)]
struct About {
    dir: PathBuf,
    hosts: Vec<String>,
}

impl Fleet {
    fn start(programs: &Path, dir: &Path, hosts: usize) -> Result<Self, String> {
        let mut command = Command::new(programs.join("fleet"));
        command.arg(hosts.to_string()).arg(dir.join("fleet")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("fleet: {error}"))?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no output of the fleet")?;
        BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("fleet: {error}"))?;
        let about = serde_json::from_str(&line).map_err(|error| format!("fleet: {error}: {line}"))?;
        Ok(Self { stdin: process.stdin.take(), process, about })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
