//! Transfers with the memory and the local transport.

mod faults;
mod get;
mod put;

use std::path::Path;
use std::sync::Arc;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::memory::{MemoryFiles, MemoryTransport};

/// A host in memory and its files. The login directory is `/home/user`.
fn host() -> (Connection, Arc<MemoryFiles>) {
    let fleet = MemoryTransport::named("ssh");
    let connector = Connector::new().transport(fleet.clone());
    let connection = Connection::builder("ann@web1:2200").connector(connector).build().unwrap();
    (connection, fleet.host("web1").files())
}

/// A connection to this machine as a host, with a directory there.
fn here() -> (Connection, tempfile::TempDir) {
    (Connection::builder("local://here").build().unwrap(), tempfile::tempdir().unwrap())
}

/// A directory with files of these names, each with its name as content.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        if name.ends_with('/') {
            std::fs::create_dir_all(&path).unwrap();
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, name).unwrap();
        }
    }
    dir
}

/// Everything below a directory, in order; directories end in `/`.
fn listed(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(at) = waiting.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if path.is_dir() {
                found.push(name + "/");
                waiting.push(path);
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// The paths of a host in memory below its login directory.
fn below(files: &MemoryFiles, dir: &str) -> Vec<String> {
    let prefix = format!("{dir}/");
    files.paths().iter().filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned)).collect()
}
