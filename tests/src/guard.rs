//! Cleaning up, however a test ends.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A shell that waits for the end of this process, or of the guard, and then runs a script.
///
/// It waits on a pipe, which the system closes however the process ends: a test that is killed leaves no server, user
/// or directory behind. It is in a process group of its own, so that Ctrl-C doesn't end it together with the test.
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// Runs `undo` at the end; `$1`, `$2`, ... are `args`.
    pub fn new<A: AsRef<OsStr>>(undo: &str, args: impl IntoIterator<Item = A>) -> Self {
        Self::with("", undo, args)
    }

    /// Runs `begin` at once and `undo` at the end, in the same shell.
    pub fn with<A: AsRef<OsStr>>(begin: &str, undo: &str, args: impl IntoIterator<Item = A>) -> Self {
        let script = format!("trap '' INT TERM HUP PIPE\n{begin}\nwhile read -r _; do :; done\n{undo}\n");
        let shell = Command::new("/bin/sh")
            .args(["-c", &script, "guard"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .expect("/bin/sh starts");
        Self { shell }
    }

    /// Standard error of the shell and its children.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.shell.stderr.take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Returns once the script has ended.
        let _ = self.shell.wait();
    }
}
