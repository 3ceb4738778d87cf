//! The classic program, in a virtual environment that `scripts/fab-classic` makes.

use std::path::{Path, PathBuf};

fn environment() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "../target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("fab-classic")
}

/// Whether `scripts/fab-classic` has noted that it can't be installed on this machine. Never so where `CI` is set.
pub fn classic_is_missing() -> bool {
    environment().join("missing").exists() && std::env::var_os("CI").is_none()
}

/// The Python that has fab-classic and its Paramiko. Without it the test fails, and says what to do.
#[track_caller]
pub fn classic_python() -> PathBuf {
    let python = environment().join("bin/python");
    assert!(
        python.exists(),
        "the tests need fab-classic in {}, which is not installed. Run: scripts/fab-classic",
        environment().display()
    );
    python
}
