//! Plugins as cargo has built them for their own tests, and the programs that they talk to.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fabric_core::{ConnectError, Emitter, Gateway, Session, Target};
use fabric_transport::Connector;
use fabric_transport::plugin::Plugin;
use tempfile::TempDir;

use crate::guard::Guard;
use crate::sshd::{Host, Sshd, free_port};
use crate::tool::tool;
use crate::world::ssh_target;

/// How long a program may take until it listens, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A plugin's library, in a directory that no other user may write, whatever the umask of the build was.
pub struct BuiltPlugin {
    dir: TempDir,
    file: PathBuf,
}

impl BuiltPlugin {
    /// The library of the package whose test this is, or of one it depends on: cargo builds it beside the test.
    #[track_caller]
    pub fn new(package: &str) -> Self {
        let name =
            format!("{}{}{}", std::env::consts::DLL_PREFIX, package.replace('-', "_"), std::env::consts::DLL_SUFFIX);
        let test = std::env::current_exe().expect("the path of this test");
        let built = test.with_file_name(&name);
        assert!(built.is_file(), "cargo has not built {}", built.display());
        let dir = tempfile::Builder::new().prefix("fabric-plugin-").tempdir().expect("a temporary directory");
        let file = dir.path().join(name);
        fs::copy(&built, &file).expect("a copy of the library");
        Self::private(dir, file)
    }

    /// A plugin in C, compiled by `cc`.
    #[track_caller]
    pub fn compile(name: &str, source: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("fabric-plugin-").tempdir().expect("a temporary directory");
        let (code, file) = (dir.path().join(format!("{name}.c")), dir.path().join(format!("{name}.so")));
        fs::write(&code, source).expect("the source");
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/include");
        let mut cc = std::process::Command::new(tool("cc"));
        cc.args(["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-shared", "-fPIC", "-I"]).arg(include);
        let output = cc.arg("-o").arg(&file).arg(&code).output().expect("cc starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::private(dir, file)
    }

    fn private(dir: TempDir, file: PathBuf) -> Self {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
        Self { dir, file }
    }

    /// The library.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Its directory, which a test may use for its own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a script to that directory, in place of a program.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
        file
    }

    /// A host of `sshd` as a target, with the harness's key and known_hosts.
    pub fn target(&self, sshd: &Sshd, host: &Host) -> Target {
        let known_hosts = self.dir.path().join("known_hosts");
        fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
        ssh_target(&host.host_string(), &sshd.key(), &known_hosts)
    }

    /// The same behind a gateway, given as in the settings.
    pub fn behind(&self, gateway: &str, sshd: &Sshd, host: &Host) -> Target {
        let mut target = self.target(sshd, host);
        let none = |_: &_| -> Result<Target, fabric_core::HostStringError> { unreachable!("no hop is named") };
        target.gateway = Gateway::parse(gateway, none).expect("a gateway");
        target
    }

    /// A session by this plugin.
    pub async fn open(&self, target: &Target) -> Result<Arc<dyn Session>, ConnectError> {
        let plugin = Plugin::load(&self.file).expect("a plugin");
        plugin.register(Connector::new()).open(target, &Emitter::none()).await
    }
}

/// A program that listens, until dropped.
pub struct Server {
    dir: TempDir,
    _guard: Guard,
}

/// Starts `$3...` with its output in the file `$2`; all of it ends with the directory `$1`.
const BEGIN: &str = r#"
dir=$1 log=$2
shift 2
"$@" >"$log" 2>&1 &
server=$!
"#;
/// SIGKILL, because the guard and its children ignore other signals.
const UNDO: &str = "exec 2>/dev/null; kill -KILL $server; wait; rm -rf \"$dir\"";

impl Server {
    /// Starts a program with an address to listen on, and waits until it does.
    #[track_caller]
    pub fn tcp<A: AsRef<OsStr>>(program: &str, args: impl FnOnce(SocketAddr, &Path) -> Vec<A>) -> (Self, SocketAddr) {
        // An address for this process alone, so that no other test takes the port.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 64 | (high & 0x3f), low, 1);
        let address = SocketAddr::from((ip, free_port(ip)));
        let server = Self::start(program, |dir| args(address, dir), &|_| TcpStream::connect(address).is_ok());
        (server, address)
    }

    /// Starts a program with a unix socket to listen on, and waits until it does.
    #[track_caller]
    pub fn unix<A: AsRef<OsStr>>(program: &str, args: impl FnOnce(&Path) -> Vec<A>) -> (Self, PathBuf) {
        let socket = |dir: &Path| dir.join("socket");
        let server = Self::start(program, |dir| args(&socket(dir)), &|dir| UnixStream::connect(socket(dir)).is_ok());
        let socket = socket(server.dir.path());
        (server, socket)
    }

    #[track_caller]
    fn start<A: AsRef<OsStr>>(
        program: &str,
        args: impl FnOnce(&Path) -> Vec<A>,
        listens: &dyn Fn(&Path) -> bool,
    ) -> Self {
        let program = tool(program);
        let dir = tempfile::Builder::new().prefix("fabric-server-").tempdir().expect("a temporary directory");
        let (log, args) = (dir.path().join("log"), args(dir.path()));
        let fixed = [dir.path().as_os_str(), log.as_os_str(), program.as_os_str()];
        let guard = Guard::with(BEGIN, UNDO, fixed.into_iter().chain(args.iter().map(AsRef::as_ref)));
        let server = Self { dir, _guard: guard };
        let until = Instant::now() + START_LIMIT;
        while !listens(server.dir.path()) {
            assert!(Instant::now() < until, "{} does not listen: {}", program.display(), server.log());
            // These programs don't report that they listen.
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}
