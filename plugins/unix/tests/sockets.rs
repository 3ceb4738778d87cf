//! The plugin against real unix sockets, with a real sshd behind them.

use fabric_transport_conformance as conformance;
use tests::{BuiltPlugin, Server, Sshd};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_through_socat() {
    let (plugin, sshd) = (BuiltPlugin::new("unix"), Sshd::shared());
    let host = &sshd.hosts()[0];
    let (_relay, socket) = Server::unix("socat", |socket| {
        vec![format!("UNIX-LISTEN:{},fork", socket.display()), format!("TCP:{}", host.host_string())]
    });
    let target = plugin.behind(&format!("unix://{}", socket.display()), sshd, host);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_of_ssh_is_such_a_socket() {
    let (plugin, sshd) = (BuiltPlugin::new("unix"), Sshd::shared());
    let (host, bastion) = (&sshd.hosts()[0], &sshd.hosts()[1]);
    let known_hosts = plugin.dir().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
    let (_forward, socket) = Server::unix("ssh", |socket| {
        let mut args =
            ["-F", "none", "-N", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"].map(str::to_owned).to_vec();
        args.extend(["-o".to_owned(), format!("UserKnownHostsFile={}", known_hosts.display())]);
        args.extend(["-i".to_owned(), sshd.key().display().to_string()]);
        args.extend(["-L".to_owned(), format!("{}:{}", socket.display(), host.host_string())]);
        args.extend(["-p".to_owned(), bastion.port.to_string(), bastion.address.to_string()]);
        args
    });
    // By the target's name in the path.
    let named = socket.with_file_name(format!("{}.sock", host.address));
    std::os::unix::fs::symlink(&socket, &named).expect("a link");
    let path = named.with_file_name("{host}.sock");
    let target = plugin.behind(&format!("unix://{}", path.display()), sshd, host);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_not_there_is_named() {
    let (plugin, sshd) = (BuiltPlugin::new("unix"), Sshd::shared());
    let target = plugin.behind("unix:///nowhere/ssh.sock", sshd, &sshd.hosts()[0]);
    let text = plugin.open(&target).await.err().expect("nobody is there").to_string();
    assert!(text.contains("cannot connect to /nowhere/ssh.sock"), "{text}");
    assert!(text.contains(&plugin.file().display().to_string()), "{text}");
}
