//! Programs of the system that the tests need.

use std::path::{Path, PathBuf};

/// Directories of servers that are not in an ordinary user's `PATH`.
const ELSEWHERE: [&str; 11] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/sbin",
    "/usr/lib/openssh",
    "/usr/lib/ssh",
    "/usr/libexec/openssh",
    "/usr/libexec",
    "/opt/homebrew/sbin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/krb5/sbin",
    "/opt/homebrew/opt/krb5/bin",
];

/// The absolute path of a program. If it is missing the test fails, and says what to do.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(ELSEWHERE.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| is_program(file));
    found.unwrap_or_else(|| {
        let command = if is_root() { "scripts/setup-tests" } else { "sudo scripts/setup-tests" };
        panic!("the tests need `{name}`, which is not installed. Run: {command}")
    })
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails if the tests don't run as root. A test that calls it is marked `#[ignore = "needs root"]`; `scripts/test` runs these tests
/// if it is root.
#[track_caller]
pub fn needs_root() {
    assert!(is_root(), "this test needs root: run it as root, or leave ignored tests out");
}
