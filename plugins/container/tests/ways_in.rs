//! The plugin with the runtimes that work without a container service; services are replaced by scripts.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::transport::{Program, SpawnRequest, StopOutcome};
use fabric_core::{ProcessEvent, Session, Target};
use fabric_transport_conformance as conformance;
use serde_json::{Value, json};
use tests::{BuiltPlugin, needs_root};

fn target(host: &str, options: Value) -> Target {
    let mut target = Target::new(format!("container://{host}").parse().expect("a host string"));
    target.options.insert("container".to_owned(), options);
    target
}

async fn open(plugin: &BuiltPlugin, host: &str, options: Value) -> Arc<dyn Session> {
    plugin.open(&target(host, options)).await.expect("a session")
}

async fn output(session: &Arc<dyn Session>, line: &str) -> String {
    let request = SpawnRequest::new(Program::Command(line.as_bytes().to_vec()));
    let mut process = session.spawn(&request).await.expect("a process");
    let mut said = Vec::new();
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes) => said.extend_from_slice(&bytes),
            _ => {}
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Clients of services don't pass signals on, and the plugin's error says so.
async fn assert_unknown_when_stopped(session: &Arc<dyn Session>) {
    let program = Program::Command(b"echo ready; read line".to_vec());
    let mut process = session.spawn(&SpawnRequest::new(program)).await.expect("a process");
    process.next().await.expect("ready");
    let stopped = process.control.stop(Duration::from_secs(5)).await;
    assert!(matches!(&stopped, StopOutcome::Unknown(why) if why.contains("cannot tell")), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_by_a_command_of_ones_own() {
    let plugin = BuiltPlugin::new("container");
    let target = target("here", json!({"command": ["env"]}));
    conformance::run_plugin(plugin.file(), &target, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn the_suite_passes_by_chroot() {
    needs_root();
    let plugin = BuiltPlugin::new("container");
    conformance::run(open(&plugin, "here", json!({"runtime": "chroot", "root": "/"})).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn the_suite_passes_in_namespaces_of_their_own() {
    needs_root();
    let plugin = BuiltPlugin::new("container");
    let command = json!({"command": ["unshare", "--mount", "--uts", "--ipc", "--"]});
    conformance::run(open(&plugin, "here", command).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn the_suite_passes_by_nsenter() {
    needs_root();
    let plugin = BuiltPlugin::new("container");
    // A process with a host name of its own, to check that its namespaces are entered.
    let mut holder = tokio::process::Command::new("unshare")
        .args(["--uts", "--mount", "sh", "-c", "hostname inside; echo; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("unshare starts");
    let mut ready = [0];
    tokio::io::AsyncReadExt::read_exact(holder.stdout.as_mut().expect("piped"), &mut ready).await.expect("a line");
    let pid = holder.id().expect("it runs").to_string();
    let session = open(&plugin, &pid, json!({"runtime": "nsenter"})).await;
    assert_eq!(output(&session, "hostname").await, "inside\n");
    conformance::run(session, &[]).await;
}

/// A script in place of the client, which checks its arguments and runs the command here. This tests the arguments, and
/// that output and status arrive; not that a service accepts them.
#[tokio::test(flavor = "multi_thread")]
async fn stand_ins_for_clients_of_services_get_their_words() {
    let plugin = BuiltPlugin::new("container");
    let text = "\
        test \"$1\" = exec && shift || exit 99\n\
        while :; do case $1 in --interactive|--stdin|--tty) shift;; --user) shift 2;; *) break;; esac; done\n\
        test \"$1\" = web1 && shift || exit 98\n\
        test \"$1\" != -- || shift\n\
        exec \"$@\"";
    let script = plugin.script("stand-in", text);
    for runtime in ["docker", "podman", "kubectl"] {
        let session = open(&plugin, "web1", json!({"runtime": runtime, "program": script})).await;
        assert_eq!(output(&session, "echo é").await, "é\n", "{runtime}");

        assert_unknown_when_stopped(&session).await;
        if runtime == "docker" {
            conformance::run(session, &["a_process_is_stopped"]).await;
        }
    }
}

/// A custom command may be a client of a process elsewhere, such as `kubectl -n shop exec`.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_ones_own_is_not_said_to_have_stopped_anything() {
    let plugin = BuiltPlugin::new("container");
    let session = open(&plugin, "here", json!({"command": ["env"], "client": true})).await;
    assert_unknown_when_stopped(&session).await;
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_options_are_told_before_anything_starts() {
    let plugin = BuiltPlugin::new("container");
    let refuse =
        async |options: Value| plugin.open(&target("web1", options)).await.err().expect("a refusal").to_string();
    let text = refuse(json!({"runtme": "podman"})).await;
    assert!(text.contains("unknown option `runtme`: did you mean `runtime`?"), "{text}");
    let text = refuse(json!({"runtime": "lxc"})).await;
    assert!(text.contains("expected one of docker, podman, kubectl, nsenter, chroot"), "{text}");
    assert!(text.contains(&plugin.file().display().to_string()), "{text}");
}
