//! What a person sees and types on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A terminal with `fab` running on it.
struct Terminal {
    master: File,
    slave: File,
    child: Child,
    seen: String,
    _dir: tempfile::TempDir,
}

impl Terminal {
    fn fab(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fabfile = "[tasks.here]\nsteps = [ { local = 'echo done' } ]\n";
        std::fs::write(dir.path().join("fabfile.toml"), fabfile).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_fab")])
            .args(args)
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self { master: File::from(master), slave, child, seen: String::new(), _dir: dir }
    }

    /// Reads until the screen ends like this.
    fn wait_for(&mut self, end: &str) {
        while !self.seen.ends_with(end) {
            let mut byte = [0];
            self.master.read_exact(&mut byte).unwrap();
            self.seen.push(char::from(byte[0]));
        }
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }
}

#[test]
fn an_initial_password_is_asked_for_first_and_never_shown() {
    let mut terminal = Terminal::fab(&["-I", "--initial-sudo-password-prompt", "-u", "deploy", "here"]);
    terminal.wait_for("Login password for deploy: ");
    assert!(!terminal.echoes());
    terminal.master.write_all(b"hunter2\n").unwrap();
    terminal.wait_for("sudo password for deploy: ");
    terminal.master.write_all(b"hunter3\n").unwrap();
    terminal.wait_for("[localhost] out: done\r\n");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(!terminal.seen.contains("hunter"), "{}", terminal.seen);
    assert!(terminal.echoes());
}

#[test]
fn a_run_without_a_host_asks_for_one() {
    let mut terminal = Terminal::fab(&["--", "true"]);
    terminal.wait_for("connection: ");
    assert!(terminal.echoes());
    terminal.master.write_all(b"127.0.0.1:1\n").unwrap();
    terminal.wait_for("refused: is sshd running on that port?\r\n");
    terminal.wait_for("\r\n");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
}

#[test]
fn giving_up_at_a_question_ends_the_run_and_leaves_the_terminal_as_it_was() {
    // Ctrl-D at the start of a line, and Ctrl-C.
    for typed in [b"\x04", b"\x03"] {
        let mut terminal = Terminal::fab(&["-I", "here"]);
        terminal.wait_for(": ");
        terminal.master.write_all(typed).unwrap();
        let status = terminal.child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{typed:?} {}", terminal.seen);
        assert!(terminal.echoes(), "{typed:?}");
    }
}
