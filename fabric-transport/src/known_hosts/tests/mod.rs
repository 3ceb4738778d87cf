//! Tests of known_hosts: tables, OpenSSH's own answers, certificates, and many writers.

mod certificates;
mod check;
mod differential;
mod record;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use super::{Host, KnownHosts, PublicKey, Verdict};

/// Keys of three kinds, as text.
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGXVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcE=";
const OTHER_ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE7x9ln6uZLLkfXM8iatrnAAuytVHeCznU8VlEgx7TvL";

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// A file with this content, in a directory of its own.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known_hosts");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

fn load(path: &Path) -> KnownHosts {
    KnownHosts::load(&[path.to_owned()], &[]).unwrap()
}

/// The verdict as a word, with its lines.
fn verdict(known: &KnownHosts, host: &Host, key_text: &str) -> String {
    match known.check(host, &key(key_text).into(), SystemTime::now()).unwrap() {
        Verdict::Known(place) => format!("known {}", place.line),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed(keys) => {
            let lines: Vec<_> = keys.iter().map(|key| key.place.line.to_string()).collect();
            format!("changed {}", lines.join(" "))
        }
        Verdict::Revoked(place) => format!("revoked {}", place.line),
        Verdict::BadCertificate { place, fault } => format!("bad certificate {}: {fault}", place.line),
    }
}
