//! The interpreters that this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Every python3 from 3.6 on: those on `PATH`, and those that pyenv keeps. At least one.
pub(crate) fn all() -> &'static [PathBuf] {
    static ALL: OnceLock<Vec<PathBuf>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for candidate in candidates() {
            let script =
                "import sys; print(sys.version_info >= (3, 6), sys.implementation.name, *sys.version_info[:3])";
            let Ok(answer) = Command::new(&candidate).args(["-c", script]).output() else { continue };
            let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            if version.starts_with("True") && !found.iter().any(|(known, _)| *known == version) {
                found.push((version, candidate));
            }
        }
        for (version, path) in &found {
            eprintln!("python: {} ({version})", path.display());
        }
        assert!(!found.is_empty(), "there is no python3 from 3.6 on: install one");
        found.into_iter().map(|(_, path)| path).collect()
    })
}

/// The newest one.
pub(crate) fn one() -> &'static Path {
    &all()[0]
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut candidates = Vec::new();
    for dir in path.split(':').map(Path::new) {
        if dir.ends_with("shims") {
            // What pyenv puts there starts one of these, and takes long for it.
            let versions = dir.with_file_name("versions");
            let versions = fs::read_dir(versions).into_iter().flatten().flatten();
            candidates.extend(versions.map(|version| version.path().join("bin/python3")));
            continue;
        }
        let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        candidates.extend(names.filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let version = name.strip_prefix("python3").or_else(|| name.strip_prefix("pypy3"));
            version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't'))
        }));
    }
    candidates.retain(|path| path.is_file());
    candidates
}

/// Who runs the tests, and logs in.
pub(crate) fn user() -> String {
    let answer = Command::new("id").arg("-un").output().expect("it runs");
    String::from_utf8(answer.stdout).expect("a name").trim().to_owned()
}
