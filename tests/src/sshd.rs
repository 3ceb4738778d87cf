//! Real OpenSSH servers on loopback.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::guard::Guard;
use crate::tool::{is_root, tool};

/// sshd refuses more addresses in one process (`MAX_LISTEN_SOCKS`).
const ADDRESSES_EACH: usize = 16;
/// How long servers may take to start, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// One address of an [`Sshd`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl Host {
    /// `address:port`.
    pub fn host_string(&self) -> String {
        SocketAddr::new(self.address, self.port).to_string()
    }
}

/// Running servers: one process for up to 16 addresses, all with the same keys.
pub struct Sshd {
    hosts: Vec<Host>,
    dir: PathBuf,
    log: Arc<Log>,
    _guard: Guard,
}

impl Sshd {
    /// A server on one address.
    pub fn builder() -> SshdBuilder {
        SshdBuilder {
            hosts: 1,
            first: Ipv4Addr::new(127, 0, 1, 1),
            lines: Vec::new(),
            exports: String::new(),
            max_startups: None,
            sftp: Some("internal-sftp".to_owned()),
            log_level: "VERBOSE",
            authorized: String::new(),
        }
    }

    /// A server without SFTP that the tests of one process share.
    pub fn shared_without_sftp() -> &'static Self {
        static SHARED: OnceLock<Sshd> = OnceLock::new();
        SHARED.get_or_init(|| Self::builder().first(Ipv4Addr::new(127, 0, 4, 1)).without_sftp().start())
    }

    /// The servers that the tests of one process share: 16 addresses, `127.0.1.1` and the following.
    ///
    /// They end with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Sshd> = OnceLock::new();
        SHARED.get_or_init(|| Self::builder().hosts(ADDRESSES_EACH).start())
    }

    /// How many addresses [`Sshd::shared`] has.
    pub const fn shared_size() -> usize {
        ADDRESSES_EACH
    }

    /// Like [`Sshd::shared`], with 64 addresses.
    pub fn shared_many() -> &'static Self {
        static SHARED: OnceLock<Sshd> = OnceLock::new();
        SHARED.get_or_init(|| Self::builder().hosts(4 * ADDRESSES_EACH).first(Ipv4Addr::new(127, 0, 2, 1)).start())
    }

    /// The addresses.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The private key that logs in as the user who runs the tests, and as any [`TestUser`](crate::TestUser).
    pub fn key(&self) -> PathBuf {
        self.dir.join("client_key")
    }

    /// The public half of the server's host key, in OpenSSH's format.
    pub fn host_key(&self) -> String {
        let text = fs::read_to_string(self.dir.join("host_key.pub")).expect("the server's public key");
        text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim_end().to_owned()
    }

    /// A line of known_hosts for every address.
    pub fn known_hosts(&self) -> String {
        let key = self.host_key();
        self.hosts.iter().fold(String::new(), |mut text, host| {
            let _ = writeln!(text, "[{}]:{} {key}", host.address, host.port);
            text
        })
    }

    /// What the servers have logged so far, at level VERBOSE unless another was asked for. What they have just done may be
    /// missing still.
    pub fn log(&self) -> String {
        self.log.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same with all that they have done until now: a connection of its own, which the first one logs, comes behind it.
    #[track_caller]
    pub fn settled_log(&self) -> String {
        let host = &self.hosts[0];
        let stream = TcpStream::connect((host.address, host.port)).expect("the server takes connections");
        let own = stream.local_addr().expect("its address");
        self.wait_for_log(&format!("Connection from {} port {} on", own.ip(), own.port()), 1);
        self.log()
    }

    /// Waits until the log is as wanted, for tests whose own tasks have to go on meanwhile.
    pub async fn logged(&self, wanted: impl Fn(&str) -> bool) {
        let logged = async {
            loop {
                let mut changed = std::pin::pin!(self.log.changed.notified());
                changed.as_mut().enable();
                if wanted(&self.log()) {
                    return;
                }
                changed.await;
            }
        };
        let logged = tokio::time::timeout(START_LIMIT, logged).await;
        assert!(logged.is_ok(), "the log of sshd isn't as wanted:\n{}", self.log());
    }

    /// A file in the directory of the servers.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The port, which all addresses have.
    pub fn port(&self) -> u16 {
        self.hosts[0].port
    }

    /// Waits until the log has `needle` this many times.
    #[track_caller]
    pub fn wait_for_log(&self, needle: &str, times: usize) {
        let there = self.log.wait(|text| text.matches(needle).count() >= times);
        assert!(there, "no {times} x {needle:?} in the log of sshd:\n{}", self.log());
    }
}

/// What servers say on standard error.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
    changed: Notify,
}

impl Log {
    fn add(&self, line: &str) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
        self.grown.notify_all();
        self.changed.notify_waiters();
    }

    /// Waits until the text is as expected; `false` if it isn't in time.
    fn wait(&self, mut wanted: impl FnMut(&str) -> bool) -> bool {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.grown.wait_timeout_while(text, START_LIMIT, |text| !wanted(text));
        !result.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Builds an [`Sshd`].
#[must_use = "a builder does nothing until it is started"]
pub struct SshdBuilder {
    hosts: usize,
    first: Ipv4Addr,
    lines: Vec<String>,
    exports: String,
    max_startups: Option<String>,
    sftp: Option<String>,
    log_level: &'static str,
    authorized: String,
}

impl SshdBuilder {
    /// How many addresses. Default: 1.
    pub fn hosts(mut self, count: usize) -> Self {
        self.hosts = count;
        self
    }

    /// The first address. Default: `127.0.1.1`.
    pub fn first(mut self, address: Ipv4Addr) -> Self {
        assert!(address.is_loopback(), "{address} is no loopback address");
        self.first = address;
        self
    }

    /// A line of sshd_config; an earlier one wins over a later one, and over the harness's.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Uses this shell as the login shell, as sshd does: `SHELL -c COMMAND`, SFTP included.
    #[track_caller]
    pub fn login_shell(self, shell: &str) -> Self {
        let (shell, sftp) = (tool(shell), tool("sftp-server"));
        let (shell, sftp) = (shell.display(), sftp.display());
        self.config(format!(
            "ForceCommand case $SSH_ORIGINAL_COMMAND in \
             internal-sftp*) exec {shell} -c {sftp};; *) exec {shell} -c \"$SSH_ORIGINAL_COMMAND\";; esac"
        ))
    }

    /// `LogLevel`. Default: `VERBOSE`.
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Lets a public key in, beside that of [`Sshd::key`].
    pub fn authorize(mut self, public_key: impl AsRef<str>) -> Self {
        let _ = writeln!(self.authorized, "{}", public_key.as_ref().trim_end());
        self
    }

    /// A variable of the servers' own environment; the value may have no quote.
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        assert!(!value.contains('\''), "{value}");
        let _ = writeln!(self.exports, "export {name}='{value}'");
        self
    }

    /// `MaxSessions`. Default: 10, as sshd's.
    pub fn max_sessions(self, count: usize) -> Self {
        self.config(format!("MaxSessions {count}"))
    }

    /// The command of the subsystem `sftp`. Default: `internal-sftp`, which is part of sshd.
    pub fn sftp(mut self, command: impl Into<String>) -> Self {
        self.sftp = Some(command.into());
        self
    }

    /// Leaves the subsystem `sftp` out.
    pub fn without_sftp(mut self) -> Self {
        self.sftp = None;
        self
    }

    /// `MaxStartups`. Default here: so high that it has no effect.
    pub fn max_startups(mut self, limit: impl Into<String>) -> Self {
        self.max_startups = Some(limit.into());
        self
    }

    /// Also accepts passwords: for a [`TestUser`](crate::TestUser).
    pub fn passwords(self) -> Self {
        self.config("PasswordAuthentication yes")
    }

    /// Starts the servers, and returns once all accept connections.
    #[track_caller]
    pub fn start(self) -> Sshd {
        let sshd = tool("sshd");
        if is_root() && !Path::new("/run/sshd").exists() {
            // The privilege separation directory of sshd as root, which the package makes at boot.
            fs::create_dir_all("/run/sshd").expect("/run/sshd can be made");
        }
        // A free port may be taken before sshd binds it.
        let mut said = String::new();
        for _ in 0..10 {
            match self.try_start(&sshd) {
                Ok(running) => return running,
                Err(text) if text.contains("Bind to port") => said = text,
                Err(text) => panic!("sshd doesn't start:\n{text}"),
            }
        }
        panic!("sshd finds no free port:\n{said}")
    }

    fn try_start(&self, sshd: &Path) -> Result<Sshd, String> {
        let dir = tempfile::Builder::new().prefix("fabric-sshd-").tempdir().expect("a temporary directory").keep();
        // Another user's login reads its authorized_keys as that user.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("its mode");
        // A home without the user's start-up files, which may print and take time.
        fs::create_dir(dir.join("home")).expect("a home");
        make_key(&dir.join("host_key"));
        make_key(&dir.join("client_key"));
        let own = fs::read_to_string(dir.join("client_key.pub")).expect("the client's public key");
        fs::write(dir.join("authorized_keys"), own + &self.authorized).expect("authorized_keys");

        let addresses = self.addresses();
        let port = free_port(self.first);
        let configs = self.write_configs(&dir, &addresses, port);
        let tag = PathBuf::from(dir.file_name().unwrap_or_default());
        let fixed = [dir.as_path(), &tag, sshd];
        let begin = format!("{}{BEGIN}", self.exports);
        let mut guard = Guard::with(&begin, UNDO, fixed.into_iter().chain(configs.iter().map(PathBuf::as_path)));

        let log = Arc::new(Log::default());
        let stderr = guard.stderr().expect("piped");
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.add(&line);
            }
        });
        let failed = |text: &str| {
            let mut said = text.lines().filter(|line| !line.starts_with("debug"));
            said.any(|line| ["Bind to port", "fatal:", "onfiguration"].iter().any(|sign| line.contains(sign)))
        };
        let in_time = log.wait(|text| text.matches("Server listening on").count() == addresses.len() || failed(text));
        let text = log.text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !in_time || failed(&text) {
            return Err(text);
        }
        let hosts = addresses.iter().map(|address| Host { address: IpAddr::V4(*address), port }).collect();
        Ok(Sshd { hosts, dir, log, _guard: guard })
    }

    fn addresses(&self) -> Vec<Ipv4Addr> {
        let mut next = u32::from(self.first);
        let mut addresses = Vec::with_capacity(self.hosts);
        while addresses.len() < self.hosts {
            let address = Ipv4Addr::from(next);
            if !matches!(address.octets()[3], 0 | 255) {
                addresses.push(address);
            }
            next += 1;
        }
        addresses
    }

    fn write_configs(&self, dir: &Path, addresses: &[Ipv4Addr], port: u16) -> Vec<PathBuf> {
        let mut configs = Vec::new();
        for (number, some) in addresses.chunks(ADDRESSES_EACH).enumerate() {
            let mut text = String::new();
            for line in &self.lines {
                let _ = writeln!(text, "{line}");
            }
            for address in some {
                let _ = writeln!(text, "ListenAddress {address}:{port}");
            }
            let (tag, dir) = (dir.file_name().unwrap_or_default().display(), dir.display());
            let _ = write!(
                text,
                "HostKey {dir}/host_key\n\
                 AuthorizedKeysFile {dir}/authorized_keys\n\
                 MaxStartups {}\n\
                 PidFile none\n\
                 StrictModes no\n\
                 UsePAM no\n\
                 PermitRootLogin yes\n\
                 PasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\n\
                 PrintMotd no\n\
                 PrintLastLog no\n\
                 UseDNS no\n\
                 LogLevel {log_level}\n\
                 AcceptEnv FABRIC_TEST_*\n\
                 {sftp}\
                 SetEnv FABRIC_SSHD={tag}\n\
                 Match User {me}\n\
                 SetEnv FABRIC_SSHD={tag} HOME={dir}/home\n",
                self.max_startups.as_deref().unwrap_or("1000:30:2000"),
                me = current_user(),
                log_level = self.log_level,
                sftp = self.sftp.as_ref().map(|command| format!("Subsystem sftp {command}\n")).unwrap_or_default(),
            );
            let file = PathBuf::from(format!("{dir}/sshd_config.{number}"));
            fs::write(&file, text).expect("sshd_config");
            configs.push(file);
        }
        configs
    }
}

/// `$1` directory, `$2` tag, `$3` sshd, then a configuration file for each server.
const BEGIN: &str = r#"
dir=$1 tag=$2 sshd=$3
shift 3
servers=
for config; do
    # Without the guard's traps, which would let it miss a TERM at its start.
    (trap - INT TERM HUP PIPE; exec "$sshd" -D -e -f "$config") &
    servers="$servers $!"
done
"#;

/// Ends the servers and what their sessions have left running (found by the tag in its environment, if the system shows it), and
/// deletes the directory.
const UNDO: &str = r#"
exec 2>/dev/null
kill $servers
for environ in $(grep -lsz "^FABRIC_SSHD=$tag\$" /proc/[0-9]*/environ); do
    process=${environ#/proc/}
    kill -KILL "${process%/environ}"
done
wait
rm -rf "$dir"
"#;

pub(crate) fn make_key(file: &Path) {
    let made = Command::new(tool("ssh-keygen"))
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen starts");
    assert!(made.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&made.stderr));
}

/// The user who runs the tests.
pub fn current_user() -> String {
    let output = Command::new(tool("id")).arg("-un").output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn free_port(address: Ipv4Addr) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}
