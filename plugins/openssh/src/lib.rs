//! A transport that uses the system's `ssh`, with all its features (GSSAPI key exchange, PKCS#11, its own ssh_config)
//! and one multiplexed connection a host.
//!
//! `transport = "openssh"` or `openssh://[user@]host[:port]`. `ssh` reads its own configuration, with the lines of the
//! setting `ssh_options` before it, and never prompts: keys must be in the agent or without a passphrase (`BatchMode`).
//! It doesn't pass signals on: stopping a process closes its channel, and the error says that it may still be running.

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

/// How often to check whether the connection is ready.
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

/// Runs `$2...` until standard input is closed, so that no connection outlives the program, even if it was killed.
/// Removes the directory `$1`.
///
/// `ssh` may lose a signal that arrives just before it waits for something, so the signal is repeated. An `ssh` in the
/// background (`ForkAfterAuthentication` in its configuration) is ended by its socket.
const WITH_US: &str = r#"
dir=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
ssh=$!
{
    read -r _ <&3
    for signal in TERM TERM TERM TERM TERM TERM TERM TERM KILL; do
        kill -$signal $ssh || exit
        sleep .2
    done
} >/dev/null 2>&1 &
watch=$!
wait $ssh
kill $watch 2>/dev/null
if [ -S "$dir/s" ]; then
    read -r _ <&3
    "$1" -F none -S "$dir/s" -O exit master </dev/null >/dev/null 2>&1
fi
rm -rf "$dir"
"#;

/// Options of `ssh` with a value, by letter (ssh(1)).
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// Options with which it would not be a connection that can be ended.
const NOT_A_CONNECTION: &str = "fGOQSVW";

/// Refuses arguments with which the plugin could not end `ssh`, and words that would be taken as the host.
fn check_args(args: &[String]) -> Result<(), PluginError> {
    let wrong = |what: &str| Err(PluginError::new(format!("option `args`: {what}")));
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty() && *letters != "-") else {
            return wrong(&format!("`{word}` is no option of ssh; a value stands behind its option: [\"-p\", \"22\"]"));
        };
        for (at, letter) in letters.char_indices() {
            if NOT_A_CONNECTION.contains(letter) {
                return wrong(&format!("`-{letter}` is not possible, as ssh must stay a connection of this plugin's"));
            }
            if !WITH_VALUE.contains(letter) {
                continue;
            }
            let value = match &letters[at + letter.len_utf8()..] {
                "" => words.next().map(String::as_str),
                value => Some(value),
            };
            let Some(value) = value else { return wrong(&format!("`-{letter}` needs a value")) };
            if letter == 'o'
                && let Some(why) = refused(value)
            {
                return wrong(why);
            }
            break;
        }
    }
    Ok(())
}

/// Why a line of ssh_config is refused, if `ssh` would not be the plugin's to end with it.
fn refused(line: &str) -> Option<&'static str> {
    let name = line.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next().unwrap_or_default();
    let forks = name.eq_ignore_ascii_case("ForkAfterAuthentication");
    forks.then_some("`ForkAfterAuthentication` is not possible, as ssh must stay a connection of this plugin's")
}

fn connect_timeout(timeout: Duration) -> [String; 2] {
    ["-o".to_owned(), format!("ConnectTimeout={}", timeout.as_secs().max(1))]
}

/// The reason in the output of an `ssh` that failed: the last line, and for a host key also the key and the conflicting
/// line.
fn reason(said: &str) -> String {
    const ABOUT_KEYS: [&str; 4] = ["Host key for ", "Offending ", "SHA256:", "Host certificate"];
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(last) = lines.next_back() else { return "ssh ended without a word".to_owned() };
    if last != "Host key verification failed." {
        return last.to_owned();
    }
    let tells =
        |line: &&str| ABOUT_KEYS.iter().any(|start| line.starts_with(start)) || line.contains("host key is known for");
    let mut told: Vec<&str> = lines.filter(tells).map(|line| line.trim_end_matches('.')).collect();
    if told.is_empty() {
        told.push("ssh does not know the host's key, and does not ask: log in once by hand, or add it to known_hosts");
    }
    format!("{} {}", last, told.join("; "))
}

/// A running master and its socket, which clients use.
struct Session {
    program: String,
    args: Vec<String>,
    host: String,
    timeout: Duration,
    dir: PathBuf,
    master: std::sync::Mutex<Child>,
}

impl Session {
    fn open(request: &OpenRequest, cancel: Cancel<'_>) -> Result<Self, PluginError> {
        let text = |name: &str| request.options.get(name).and_then(|value| value.as_str());
        let program = text("ssh").unwrap_or("ssh").to_owned();
        let further = request.options.get("args").and_then(|args| args.as_array());
        let further: Vec<String> =
            further.into_iter().flatten().filter_map(|arg| Some(arg.as_str()?.to_owned())).collect();
        check_args(&further)?;
        let mut args: Vec<String> = Vec::new();
        if let Some(user) = &request.user {
            args.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = request.port {
            args.extend(["-p".to_owned(), port.to_string()]);
        }
        args.extend(further);
        for line in &request.ssh_options {
            if let Some(why) = refused(line) {
                return Err(PluginError::new(format!("setting `ssh_options`: {why}")));
            }
            args.extend(["-o".to_owned(), line.clone()]);
        }

        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("fab-ssh-").permissions(private).tempdir()?;
        let mut master = Command::new("sh");
        master.args(["-c", WITH_US, "sh"]).arg(dir.path()).arg(&program);
        master.args(["-M", "-N", "-T", "-o", "BatchMode=yes", "-o", "ControlPersist=no"]);
        let timeout = request.timeout_ms.map_or(Duration::from_secs(30), Duration::from_millis);
        master.args(connect_timeout(timeout));
        master.arg("-S").arg(dir.path().join("s")).args(&args).arg("--").arg(&request.host);
        let errors = tempfile::tempfile()?;
        master.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors.try_clone()?);
        // Fabric handles Ctrl-C, and may still need the connection.
        master.process_group(0);
        let child = master.spawn().map_err(|error| PluginError::new(format!("cannot start sh: {error}")))?;
        let (host, dir, master) = (request.host.clone(), dir.keep(), std::sync::Mutex::new(child));
        let session = Self { program, args, host, timeout, dir, master };
        session.wait(cancel, errors)?;
        Ok(session)
    }

    /// Waits for the master's socket, or for the end of the master with its reason.
    fn wait(&self, cancel: Cancel<'_>, mut errors: std::fs::File) -> Result<(), PluginError> {
        use std::io::{Read as _, Seek as _};
        let until = Instant::now() + self.timeout;
        let socket = self.socket();
        while UnixStream::connect(&socket).is_err() {
            if self.master().try_wait()?.is_some() {
                let mut said = Vec::new();
                errors.rewind()?;
                errors.read_to_end(&mut said)?;
                return Err(PluginError::new(reason(&String::from_utf8_lossy(&said))));
            }
            if cancel.is_cancelled() {
                return Err(PluginError::Cancelled);
            }
            if Instant::now() > until {
                return Err(PluginError::new(format!("no connection within {} s", self.timeout.as_secs_f64())));
            }
            // `ssh` has no other way to report that its socket is ready.
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

    /// `ssh` as a client of the master; options must come before the host.
    fn client(&self, options: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-o", "ControlMaster=no", "-o", "BatchMode=yes"]).arg("-S").arg(self.socket());
        // For a master that doesn't answer, and for the separate connection that `ssh` opens if the server refuses the
        // master another session.
        command.args(connect_timeout(self.timeout));
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
        // Closes its standard input first. It may have ended by itself; this only makes sure that it has.
        let _ = self.master().wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_leave_ssh_a_connection() {
        let check = |args: &[&str]| check_args(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        check(&["-F", "-f", "-o", "ForwardAgent=yes", "-4Cp2222", "-oServerAliveInterval=5", "-J", "u@hop"]).unwrap();
        for (args, why) in [
            (&["-f"][..], "`-f`"),
            (&["-4f"], "`-f`"),
            (&["-S", "socket"], "`-S`"),
            (&["-o", "forkafterauthentication yes"], "ForkAfterAuthentication"),
            (&["-oForkAfterAuthentication=yes"], "ForkAfterAuthentication"),
            (&["-p"], "`-p` needs a value"),
            (&["web1"], "`web1` is no option"),
            (&["--"], "`--` is no option"),
        ] {
            let error = check(args).unwrap_err().to_string();
            assert!(error.starts_with("option `args`: ") && error.contains(why), "{args:?}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_host_key_is_passed_on() {
        let changed = "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
                       IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
                       The fingerprint for the ED25519 key sent by the remote host is\nSHA256:abc.\n\
                       Add correct host key in /h/known_hosts to get rid of this message.\n\
                       Offending ECDSA key in /h/known_hosts:7\n  remove with:\n\
                       Host key for web1 has changed and you have requested strict checking.\n\
                       Host key verification failed.\n";
        assert_eq!(
            reason(changed),
            "Host key verification failed. SHA256:abc; Offending ECDSA key in /h/known_hosts:7; \
             Host key for web1 has changed and you have requested strict checking"
        );
        assert!(reason("Host key verification failed.\r\n").contains("log in once by hand"));
        assert_eq!(reason("Welcome\r\nu@h: Permission denied (publickey).\r\n"), "u@h: Permission denied (publickey).");
    }
}
