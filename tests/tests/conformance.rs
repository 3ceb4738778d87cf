//! The same suite over every transport: this machine, the in-memory double, the embedded fleet, a real sshd.

use std::sync::Arc;

use fabric_core::{Emitter, Session, Target};
use fabric_transport::{Connector, conformance, memory::MemoryTransport, server::Fleet};
use tests::Sshd;

async fn open(connector: &Connector, target: Target) -> Arc<dyn Session> {
    connector.open(&target, &Emitter::none()).await.expect("a session")
}

/// A target of an SSH server, with the key and the known_hosts that its harness made.
fn ssh_target(host: &str, key: &std::path::Path, known_hosts: &std::path::Path) -> Target {
    let mut target = Target::new(host.parse().expect("a host string"));
    target.auth.identities = vec![fabric_core::target::Identity { path: key.to_owned(), explicit: true }];
    target.host_keys.user_files = vec![known_hosts.to_owned()];
    target
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine() {
    let target = Target::new("local://localhost".parse().expect("a host string"));
    conformance::run(open(&Connector::new(), target).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_fleet() {
    let fleet = Fleet::builder().hosts(1).start().await.expect("a fleet");
    let host = fleet.host_strings().remove(0);
    let target = ssh_target(&host, fleet.client_key(), fleet.known_hosts());
    conformance::run(open(&Connector::new(), target).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_sshd() {
    let sshd = Sshd::shared();
    let dir = tempfile::tempdir().expect("a directory");
    let known_hosts = dir.path().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
    let target = ssh_target(&sshd.hosts()[0].host_string(), &sshd.key(), &known_hosts);
    conformance::run(open(&Connector::new(), target).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_in_memory_double() {
    let dir = tempfile::tempdir().expect("a directory");
    let memory = MemoryTransport::new();
    memory.host("web1").run_by_sh(dir.path());
    let target = Target::new("memory://web1".parse().expect("a host string"));
    let session = open(&Connector::new().with_transport(memory), target).await;
    // Its files are in memory, which its commands know nothing of; its processes have no terminal.
    let without = conformance::NAMES.iter().filter(|name| FILES.contains(name) || **name == "a_terminal_has_its_size");
    conformance::run(session, &without.copied().collect::<Vec<_>>()).await;
}

const FILES: [&str; 6] = [
    "content_survives",
    "any_name_survives",
    "directories_are_listed",
    "a_rename_replaces",
    "what_is_not_there_is_not_found",
    "modes_and_links_are_kept",
];
