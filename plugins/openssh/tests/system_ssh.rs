//! The plugin's `ssh` against a real sshd.

use std::time::Duration;

use fabric_core::transport::{Program, SpawnRequest, StopOutcome};
use fabric_core::{Phase, Target};
use fabric_transport::conformance;
use tests::{BuiltPlugin, Sshd};

/// What `ssh` cannot do: it passes no signal on (see `stopping_says_what_is_not_known`), and ends with 255 where the
/// command was ended by one.
const WITHOUT: [&str; 2] = ["a_process_is_stopped", "a_signal_is_told"];

/// A target whose ssh reads a configuration of its own.
fn target(plugin: &BuiltPlugin, sshd: &Sshd, lines: &str) -> Target {
    let host = &sshd.hosts()[0];
    let (config, known_hosts) = (plugin.dir().join("config"), plugin.dir().join("known_hosts"));
    std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
    let (key, known_hosts) = (sshd.key(), known_hosts.display());
    let text =
        format!("{lines}\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {known_hosts}\n", key.display());
    std::fs::write(&config, text).expect("ssh_config");
    let mut target = Target::new(format!("openssh://{}", host.host_string()).parse().expect("a host string"));
    target.options.insert("openssh".to_owned(), serde_json::json!({"args": ["-F", config]}));
    target
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_but_for_signals() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().max_sessions(32).start());
    let session = plugin.open(&target(&plugin, &sshd, "")).await.expect("a session");
    conformance::run(session, &WITHOUT).await;
    // All of it over one connection.
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_what_is_not_known() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let session = plugin.open(&target(&plugin, sshd, "")).await.expect("a session");
    let command =
        SpawnRequest { program: Program::Command(b"echo ready; read line".to_vec()), ..SpawnRequest::default() };
    let mut process = session.spawn(&command).await.expect("a process");
    process.next().await.expect("ready");
    let stopped = process.control.stop(Duration::from_secs(5)).await;
    assert!(matches!(&stopped, StopOutcome::Unknown(why) if why.contains("cannot tell")), "{stopped:?}");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_config_is_sshs_own() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let host = &sshd.hosts()[0];
    let lines = format!("Host alias\nHostName {}\nPort {}\nHost *", host.address, host.port);
    let mut target = target(&plugin, sshd, &lines);
    (target.host, target.port) = ("alias".to_owned(), 22);
    conformance::run(plugin.open(&target).await.expect("a session"), &WITHOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sshs_own_words_are_the_error() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let mut target = target(&plugin, sshd, "");
    std::fs::write(plugin.dir().join("known_hosts"), "").expect("known_hosts");
    let error = plugin.open(&target).await.err().expect("an unknown host");
    assert_eq!(error.phase, Phase::Connect);
    assert!(error.to_string().contains("Host key verification failed"), "{error}");
    target.port = 1;
    let error = plugin.open(&target).await.err().expect("nobody is there");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
