//! A throw-away user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::guard::Guard;
use crate::tool::{needs_root, tool};

/// A user with a password, a home and a sudo rule that asks for the password, until dropped. Needs root.
pub struct TestUser {
    name: String,
    password: String,
    _guard: Guard,
}

impl TestUser {
    /// Creates one. A test that does is marked `#[ignore = "needs root"]`; `scripts/test` runs it as root.
    #[track_caller]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::with_shell(Path::new("/bin/sh"))
    }

    /// Creates one with this login shell.
    #[track_caller]
    pub fn with_shell(shell: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        needs_root();
        let name = format!("fabtest{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let password = format!("pw {name} $'\"\\ ä");
        let rule = PathBuf::from(format!("/etc/sudoers.d/{name}"));
        // The guard first, so that nothing is left behind.
        let undo = "exec 2>/dev/null; rm -f \"$2\"; pkill -KILL -u \"$1\"; userdel -rf \"$1\"";
        let guard = Guard::new(undo, [&name, &rule.display().to_string()]);

        run(Command::new(tool("useradd")).args(["-m", "-s"]).arg(shell).arg(&name), "");
        run(&mut Command::new(tool("chpasswd")), &format!("{name}:{password}\n"));
        tool("sudo");
        fs::write(&rule, format!("{name} ALL=(ALL:ALL) ALL\nDefaults:{name} !lecture\n")).expect("a sudo rule");
        fs::set_permissions(&rule, fs::Permissions::from_mode(0o440)).expect("its mode");
        Self { name, password, _guard: guard }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its password, with characters that break careless quoting.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its home directory.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(format!("/home/{}", self.name))
    }
}

#[track_caller]
fn run(command: &mut Command, input: &str) {
    use std::io::Write;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
