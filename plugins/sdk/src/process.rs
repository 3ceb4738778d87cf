//! The descriptors of a process, and a ready way to serve a child process through them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::PluginError;
use crate::message::{Control, Ended, Pty};

/// A transport's process, as Fabric gets it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProcessFds {
    /// Its standard input; Fabric writes to it and closes it for end-of-file.
    pub stdin: OwnedFd,
    /// Its standard output; Fabric reads it to the end.
    pub stdout: OwnedFd,
    /// Its standard error, if it isn't part of the output.
    pub stderr: Option<OwnedFd>,
    /// The control socket: JSON lines, [`Control`] in and one [`Ended`] out.
    pub control: OwnedFd,
}

impl ProcessFds {
    /// Descriptors of a process that is not served by [`serve`](Self::serve).
    pub fn new(stdin: OwnedFd, stdout: OwnedFd, stderr: Option<OwnedFd>, control: OwnedFd) -> Self {
        Self { stdin, stdout, stderr, control }
    }

    /// Starts `command` as a child process in a process group of its own, on pipes or on a new pseudo-terminal, and
    /// serves its control socket on a thread: signals go to its group, and its exit status is sent.
    pub fn serve(command: Command, pty: Option<&Pty>) -> Result<Self, PluginError> {
        Self::serve_as(command, pty, Runs::Here)
    }

    /// The same for a command that is only a client of a process elsewhere and doesn't pass signals on: `ssh`, `docker
    /// exec`. A signal that ends programs (HUP, INT, KILL, QUIT, TERM) ends the client; the control socket is then
    /// closed without an exit status, as it is unknown. Other signals are ignored.
    pub fn serve_client(command: Command, pty: Option<&Pty>) -> Result<Self, PluginError> {
        Self::serve_as(command, pty, Runs::Elsewhere)
    }

    fn serve_as(mut command: Command, pty: Option<&Pty>, runs: Runs) -> Result<Self, PluginError> {
        let (ours, theirs) = UnixStream::pair()?;
        let (fds, child, terminal) = match pty {
            None => {
                command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
                let pipe = || PluginError::new("a pipe is missing");
                let fds = Self {
                    stdin: child.stdin.take().ok_or_else(pipe)?.into(),
                    stdout: child.stdout.take().ok_or_else(pipe)?.into(),
                    stderr: Some(child.stderr.take().ok_or_else(pipe)?.into()),
                    control: theirs.into(),
                };
                (fds, child, None)
            }
            Some(pty) => {
                let (leader, follower) = open_pty(pty)?;
                // `setsid --ctty` makes the terminal the process's controlling terminal without code between fork and
                // exec.
                let mut wrapped = Command::new("setsid");
                wrapped.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
                for (name, value) in command.get_envs() {
                    match value {
                        Some(value) => wrapped.env(name, value),
                        None => wrapped.env_remove(name),
                    };
                }
                if let Some(dir) = command.get_current_dir() {
                    wrapped.current_dir(dir);
                }
                wrapped.env("TERM", &pty.term);
                wrapped.stdin(follower.try_clone()?).stdout(follower.try_clone()?).stderr(follower);
                let child = wrapped.process_group(0).spawn().map_err(|error| not_started(&wrapped, &error))?;
                drop(wrapped);
                let fds = Self {
                    stdin: leader.try_clone()?,
                    stdout: leader.try_clone()?,
                    stderr: None,
                    control: theirs.into(),
                };
                (fds, child, Some(leader))
            }
        };
        let pid = Pid::from_child(&child);
        let reader = ours.try_clone()?;
        let given_up = Arc::new(AtomicBool::new(false));
        let process = Served { pid, terminal, runs, given_up: given_up.clone() };
        thread::Builder::new().name("plugin-control".to_owned()).spawn(move || process.control(&reader))?;
        thread::Builder::new().name("plugin-wait".to_owned()).spawn(move || wait(child, ours, &given_up))?;
        Ok(fds)
    }
}

/// Whether the process runs here or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Here,
    Elsewhere,
}

/// A child, as its control socket controls it.
struct Served {
    pid: Pid,
    terminal: Option<OwnedFd>,
    runs: Runs,
    given_up: Arc<AtomicBool>,
}

fn not_started(command: &Command, error: &std::io::Error) -> PluginError {
    PluginError::new(format!("cannot start {}: {error}", command.get_program().to_string_lossy()))
}

fn open_pty(pty: &Pty) -> Result<(OwnedFd, OwnedFd), PluginError> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let leader = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&leader)?;
    unlockpt(&leader)?;
    let name = ptsname(&leader, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let follower = rustix::fs::open(name, flags, rustix::fs::Mode::empty())?;
    tcsetwinsize(&leader, window(pty.columns, pty.rows))?;
    Ok((leader, follower))
}

fn window(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Served {
    /// Handles the control socket's messages until it ends.
    fn control(&self, reader: &UnixStream) {
        for line in BufReader::new(reader).lines() {
            let Ok(line) = line else { return };
            match serde_json::from_str(&line) {
                Ok(Control::Signal(name)) => self.signal(&name),
                Ok(Control::Resize { columns, rows }) => {
                    if let Some(terminal) = &self.terminal {
                        let _ = tcsetwinsize(terminal.as_fd(), window(columns, rows));
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn signal(&self, name: &str) {
        const ENDING: [&str; 5] = ["HUP", "INT", "KILL", "QUIT", "TERM"];
        if self.runs == Runs::Elsewhere {
            if !ENDING.contains(&name) {
                return;
            }
            // Before the signal, so that the thread that waits for the child sees it.
            self.given_up.store(true, Ordering::SeqCst);
        }
        if let Some(signal) = signal_of(name) {
            // The group may have ended by itself.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

/// Waits for the child and returns how it ended, unless that says nothing about the process elsewhere.
fn wait(mut child: Child, mut socket: UnixStream, given_up: &AtomicBool) {
    let status = child.wait();
    if given_up.load(Ordering::SeqCst) {
        let _ = socket.shutdown(std::net::Shutdown::Both);
        return;
    }
    let ended = match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit { exit: u32::try_from(code).unwrap_or(255) },
            (None, Some(signal)) => {
                Ended::Signal { signal: signal_name(signal).to_owned(), core_dumped: status.core_dumped() }
            }
            (None, None) => Ended::Exit { exit: 255 },
        },
        Err(_) => Ended::Exit { exit: 255 },
    };
    if let Ok(mut line) = serde_json::to_vec(&ended) {
        line.push(b'\n');
        // The reader may be gone.
        let _ = socket.write_all(&line);
    }
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

const SIGNALS: [(&str, Signal); 13] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

fn signal_of(name: &str) -> Option<Signal> {
    SIGNALS.iter().find(|(n, _)| *n == name).map(|(_, signal)| *signal)
}

fn signal_name(number: i32) -> &'static str {
    SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number).map_or("UNKNOWN", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read as _;

    fn end(control: OwnedFd) -> Ended {
        let mut text = String::new();
        UnixStream::from(control).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_child_is_served_through_descriptors() {
        let mut command = Command::new("sh");
        command.args(["-c", "cat; echo err >&2; exit 3"]);
        let fds = ProcessFds::serve(command, None).unwrap();
        File::from(fds.stdin).write_all(b"hello").unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        File::from(fds.stdout).read_to_string(&mut out).unwrap();
        File::from(fds.stderr.unwrap()).read_to_string(&mut err).unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("hello", "err\n"));
        assert_eq!(end(fds.control), Ended::Exit { exit: 3 });
    }

    #[test]
    fn signals_reach_the_whole_group() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & wait"]);
        let fds = ProcessFds::serve(command, None).unwrap();
        let mut socket = UnixStream::from(fds.control.try_clone().unwrap());
        socket.write_all(b"{\"signal\":\"TERM\"}\n").unwrap();
        let mut out = Vec::new();
        // Ends only when the last process that holds the pipe, the sleep, has ended too.
        File::from(fds.stdout).read_to_end(&mut out).unwrap();
        assert_eq!(end(fds.control), Ended::Signal { signal: "TERM".into(), core_dumped: false });
    }

    #[test]
    fn the_end_of_a_mere_client_tells_nothing_once_it_was_signalled() {
        for (signal, told) in [("USR1", "{\"exit\":0}\n"), ("TERM", "")] {
            let mut command = Command::new("sh");
            command.args(["-c", "read line"]);
            let fds = ProcessFds::serve_client(command, None).unwrap();
            let mut socket = UnixStream::from(fds.control);
            writeln!(socket, "{{\"signal\":\"{signal}\"}}").unwrap();
            if signal == "USR1" {
                File::from(fds.stdin).write_all(b"go\n").unwrap();
            }
            let mut text = String::new();
            socket.read_to_string(&mut text).unwrap();
            assert_eq!(text, told);
        }
    }

    #[test]
    fn a_terminal_has_its_size_and_name() {
        let mut command = Command::new("sh");
        command.args(["-c", "stty size; echo $TERM; test -t 0 && echo tty"]);
        let pty = Pty { term: "vt100".into(), columns: 101, rows: 31 };
        let fds = ProcessFds::serve(command, Some(&pty)).unwrap();
        let mut out = Vec::new();
        // Reading a terminal whose other side is closed ends in an error on Linux.
        let _ = File::from(fds.stdout).read_to_end(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), "31 101\r\nvt100\r\ntty\r\n");
    }
}
