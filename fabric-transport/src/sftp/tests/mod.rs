//! Tests of the client against OpenSSH's own server and against servers that misbehave.

mod attributes;
mod cancel;
mod content;
mod files;
mod hostile;
mod lanes;
mod paths;
mod wire;

use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::Client;

/// OpenSSH's server; part of the package `openssh-sftp-server`.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// A client of a real server whose relative paths start in `directory`.
async fn client(directory: &Path) -> Client {
    client_and_server(directory, &[]).await.0
}

/// With further arguments for the server, and with its process.
async fn client_and_server(directory: &Path, arguments: &[&str]) -> (Client, Child) {
    let mut server = server(directory, arguments);
    let (stdout, stdin) = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
    (Client::start_on(stdout, stdin).await.unwrap(), server)
}

/// The server ends by itself when the client's stream is closed.
fn server(directory: &Path, arguments: &[&str]) -> Child {
    Command::new(SFTP_SERVER)
        .arg("-d")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need OpenSSH's sftp-server")
}

/// Content in which every part is different.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Ignores the progress.
fn quiet(_more: u64) {}
