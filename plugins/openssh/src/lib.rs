//! A transport by the system's `ssh`: everything that ssh can (GSSAPI key exchange, PKCS#11, its own
//! ssh_config), with one multiplexed connection a host.
//!
//! `transport = "openssh"` or `openssh://[user@]host[:port]`. `ssh` reads its own configuration and never
//! asks: keys must be in the agent or without a passphrase (`BatchMode`). It passes no signals on: stopping a
//! process ends its channel, and says that it may still be running.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fabric_plugin_sdk::{
    Cancel, Description, OpenRequest, OptionKind, PluginError, ProcessFds, SpawnRequest, TransportPlugin,
    TransportSession, export_plugin,
};

/// How often to look whether the connection stands yet.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Default)]
struct OpenSsh;

impl TransportPlugin for OpenSsh {
    const NAME: &'static str = "openssh";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Session = Session;

    fn describe(&self) -> Description {
        Description::transport("the system's ssh, one multiplexed connection a host")
            .option("ssh", OptionKind::Text, "the ssh program (default: ssh)")
            .option("args", OptionKind::List, "further arguments for it: [\"-F\", \"config\"]")
    }

    fn open(&self, request: &OpenRequest, cancel: &Cancel<'_>) -> Result<Session, PluginError> {
        Session::open(request, *cancel)
    }
}

export_plugin!(transport OpenSsh);

/// Runs `$2...`, which ends with its standard input: so no connection outlives whoever opened it, not even one that was
/// killed. The directory `$1` goes with it.
const WITH_US: &str = r#"
dir=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
ssh=$!
{ read -r _ <&3; kill $ssh; } 2>/dev/null &
wait $ssh
kill $! 2>/dev/null
rm -rf "$dir"
"#;

/// A running master and the socket by which others join it.
struct Session {
    program: String,
    args: Vec<String>,
    host: String,
    dir: PathBuf,
    master: std::sync::Mutex<Child>,
}

impl Session {
    fn open(request: &OpenRequest, cancel: Cancel<'_>) -> Result<Self, PluginError> {
        let text = |name: &str| request.options.get(name).and_then(|value| value.as_str());
        let program = text("ssh").unwrap_or("ssh").to_owned();
        let mut args: Vec<String> = Vec::new();
        if let Some(user) = &request.user {
            args.extend(["-l".to_owned(), user.clone()]);
        }
        // Port 22 is what a host string without a port has: left to ssh_config.
        if request.port != 22 {
            args.extend(["-p".to_owned(), request.port.to_string()]);
        }
        let further = request.options.get("args").and_then(|args| args.as_array());
        args.extend(further.into_iter().flatten().filter_map(|arg| arg.as_str().map(str::to_owned)));

        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("fab-ssh-").permissions(private).tempdir()?;
        let mut master = Command::new("sh");
        master.args(["-c", WITH_US, "sh"]).arg(dir.path()).arg(&program);
        master.args(["-M", "-N", "-T", "-o", "BatchMode=yes", "-o", "ControlPersist=no"]);
        let timeout = request.timeout_ms.map_or(Duration::from_secs(30), Duration::from_millis);
        master.arg("-o").arg(format!("ConnectTimeout={}", timeout.as_secs().max(1)));
        master.arg("-S").arg(dir.path().join("s")).args(&args).arg("--").arg(&request.host);
        let errors = tempfile::tempfile()?;
        master.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors.try_clone()?);
        // Ctrl-C is Fabric's to handle, which may still need the connection.
        master.process_group(0);
        let child = master.spawn().map_err(|error| PluginError::new(format!("cannot start sh: {error}")))?;
        let (host, dir, master) = (request.host.clone(), dir.keep(), std::sync::Mutex::new(child));
        let session = Self { program, args, host, dir, master };
        session.wait(cancel, timeout, errors)?;
        Ok(session)
    }

    /// Until the master's socket is there, or the master has ended with its reason.
    fn wait(&self, cancel: Cancel<'_>, timeout: Duration, mut errors: std::fs::File) -> Result<(), PluginError> {
        use std::io::{Read as _, Seek as _};
        let until = Instant::now() + timeout;
        let socket = self.socket();
        while UnixStream::connect(&socket).is_err() {
            if self.master().try_wait()?.is_some() {
                let mut text = String::new();
                errors.rewind()?;
                errors.read_to_string(&mut text)?;
                let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("ssh ended without a word");
                return Err(PluginError::new(last.trim()));
            }
            if cancel.is_cancelled() {
                return Err(PluginError::Cancelled);
            }
            if Instant::now() > until {
                return Err(PluginError::new(format!("no connection within {} s", timeout.as_secs_f64())));
            }
            // `ssh` has no other way of telling that its socket listens.
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }

    fn master(&self) -> std::sync::MutexGuard<'_, Child> {
        self.master.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `ssh` as a client of the master; options must follow before the host.
    fn client(&self, options: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-o", "ControlMaster=no", "-o", "BatchMode=yes"]).arg("-S").arg(self.socket());
        command.args(options).args(&self.args).arg("--").arg(&self.host);
        command
    }
}

impl TransportSession for Session {
    fn spawn(&self, request: &SpawnRequest, _cancel: &Cancel<'_>) -> Result<ProcessFds, PluginError> {
        let mut command = self.client(&[if request.pty.is_some() { "-tt" } else { "-T" }]);
        if let Some(line) = &request.command {
            command.arg(OsStr::from_bytes(line));
        }
        ProcessFds::serve_client(command, request.pty.as_ref())
    }

    fn files(&self, _cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = self.client(&["-T", "-s"]);
        command
            .arg("sftp")
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        std::thread::Builder::new().name("plugin-sftp".to_owned()).spawn(move || child.wait())?;
        Ok(ours.into())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closes its standard input first. It may have ended by itself; what counts is that it is gone and waited for.
        let _ = self.master().wait();
    }
}
