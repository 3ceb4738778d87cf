//! The same suite over every transport: this machine, the in-memory double, the embedded fleet, a real sshd, and plugins
//! in child processes (in this one: `plugins/*/tests`).

use std::sync::Arc;

use fabric_core::transport::{Program, SpawnRequest};
use fabric_core::{Emitter, Session, Target};
use fabric_transport::{Connector, memory::MemoryTransport, plugin::Plugin};
use fabric_transport_conformance as conformance;
use fabric_transport_fleet::Fleet;
use serde_json::json;
use tests::{BuiltPlugin, Sshd};

async fn open(connector: &Connector, target: Target) -> Arc<dyn Session> {
    connector.open(&target, &Emitter::none()).await.expect("a session")
}

/// A target of an SSH server, with the key and the known_hosts that its harness made.
fn ssh_target(host: &str, key: &std::path::Path, known_hosts: &std::path::Path) -> Target {
    let mut target = Target::new(host.parse().expect("a host string"));
    target.auth.identities = vec![fabric_core::target::Identity::new(key.to_owned())];
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
    a_server(Sshd::shared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_sshd_without_sftp() {
    a_server(Sshd::shared_without_sftp()).await;
}

async fn a_server(sshd: &Sshd) {
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
    let session = open(&Connector::new().transport(memory), target).await;
    // Its files are in memory, which its commands know nothing of; its processes have no terminal.
    let without = conformance::NAMES.iter().filter(|name| FILES.contains(name) || **name == "a_terminal_has_its_size");
    conformance::run(session, &without.copied().collect::<Vec<_>>()).await;
}

/// A connector that knows this plugin, which runs in a child process.
fn isolated(plugin: &BuiltPlugin) -> Connector {
    let program = [env!("CARGO_BIN_EXE_fab-under-test"), "__plugin"].map(str::to_owned);
    Plugin::load_isolated(plugin.file(), &program).expect("a plugin").register(Connector::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_sshd_behind_a_gateway_in_a_child() {
    let (plugin, sshd) = (BuiltPlugin::new("direct"), Sshd::shared());
    let target = plugin.behind("direct://", sshd, &sshd.hosts()[0]);
    conformance::run(open(&isolated(&plugin), target).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_in_a_child() {
    let plugin = BuiltPlugin::new("container");
    let mut target = Target::new("container://here".parse().expect("a host string"));
    target.options.insert("container".to_owned(), json!({"command": ["env"]}));
    conformance::run(open(&isolated(&plugin), target).await, &[]).await;
}

/// What a child has opened is gone with it, and only that; a session's number means nothing to the next child.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_ends_the_sessions_of_its_child_and_no_later_ones() {
    let plugin = BuiltPlugin::compile("crashing", CRASHING);
    let connector = isolated(&plugin);
    let target = Target::new("crashing://here".parse().expect("a host string"));
    let spawn = async |session: &Arc<dyn Session>, line: &str| {
        let request = SpawnRequest::new(Program::Command(line.as_bytes().to_vec()));
        session.spawn(&request).await.expect_err("no processes here").to_string()
    };
    let (first, second) = (open(&connector, target.clone()).await, open(&connector, target.clone()).await);
    assert!(spawn(&second, "fine").await.contains("it failed and gave no reason"));
    assert!(spawn(&first, "crash").await.contains("it crashed (signal 11)"));
    for session in [&first, &second] {
        assert!(!session.is_open() && spawn(session, "fine").await.contains("it crashed (signal 11)"));
    }
    let third = open(&connector, target).await;
    assert!(third.is_open() && spawn(&third, "fine").await.contains("it failed and gave no reason"));
}

const CRASHING: &str = r#"
#define _GNU_SOURCE
#include "fabric_plugin.h"
#include <string.h>
static int32_t describe(fabric_buf *out) {
    static char text[] = "{\"kind\":\"transport\",\"summary\":\"crashes at a word\"}";
    out->ptr = (uint8_t *)text; out->len = sizeof text - 1; out->capacity = 0; return FABRIC_OK;
}
static int32_t open_(fabric_str request, int32_t cancel_fd, uint64_t *session, fabric_buf *error) { return FABRIC_OK; }
static int32_t spawn(uint64_t session, fabric_str request, int32_t cancel_fd, int32_t fds[4], fabric_buf *error) {
    if (memmem(request.ptr, request.len, "crash", 5)) *(volatile int *)8 = 1;
    return FABRIC_FAILED;
}
const fabric_plugin *fabric_plugin_entry(void) {
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"crashing"; t.name.len = 8; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe; t.open = open_; t.spawn = spawn;
    return &t;
}
"#;

const FILES: [&str; 6] = [
    "content_survives",
    "any_name_survives",
    "directories_are_listed",
    "a_rename_replaces",
    "what_is_not_there_is_not_found",
    "modes_and_links_are_kept",
];
