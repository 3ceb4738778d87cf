//! The plugin against real SOCKS5 proxies, with a real sshd behind them.

use std::net::{Ipv4Addr, SocketAddr};

use fabric_core::{ConnectError, Phase};
use fabric_transport_conformance as conformance;
use tests::{BuiltPlugin, Host, Server, Sshd};

fn microsocks(login: Option<(&str, &str)>) -> (Server, SocketAddr) {
    Server::tcp("microsocks", |address, _| {
        let mut args = vec!["-i".to_owned(), address.ip().to_string(), "-p".to_owned(), address.port().to_string()];
        if let Some((user, password)) = login {
            args.extend(["-u", user, "-P", password].map(str::to_owned));
        }
        args
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_through_microsocks() {
    let (plugin, sshd, (_proxy, address)) = (BuiltPlugin::new("socks5"), Sshd::shared(), microsocks(None));
    let target = plugin.behind(&format!("socks5://{address}"), sshd, &sshd.hosts()[0]);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_through_ssh_d() {
    let (plugin, sshd) = (BuiltPlugin::new("socks5"), Sshd::shared());
    let known_hosts = plugin.dir().join("known_hosts");
    // For `ssh`; the target is written into the same file.
    std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
    let bastion = &sshd.hosts()[1];
    let (_proxy, address) = Server::tcp("ssh", |address, _| {
        let mut args =
            ["-F", "none", "-N", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"].map(str::to_owned).to_vec();
        args.extend(["-o".to_owned(), format!("UserKnownHostsFile={}", known_hosts.display())]);
        args.extend(["-i".to_owned(), sshd.key().display().to_string(), "-D".to_owned(), address.to_string()]);
        args.extend(["-p".to_owned(), bastion.port.to_string(), bastion.address.to_string()]);
        args
    });
    let target = plugin.behind(&format!("socks5://{address}"), sshd, &sshd.hosts()[0]);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_given_and_a_wrong_one_is_told_without_the_password() {
    let (plugin, sshd, (_proxy, address)) =
        (BuiltPlugin::new("socks5"), Sshd::shared(), microsocks(Some(("me", "pw:@/x"))));
    let open = async |login: &str| {
        plugin.open(&plugin.behind(&format!("socks5://{login}{address}"), sshd, &sshd.hosts()[0])).await
    };
    let session = open("me:pw:@/x@").await.expect("a session");
    conformance::run(session, &[]).await;

    let refused = |error: ConnectError| {
        assert_eq!(error.phase, Phase::Gateway);
        let text = format!("{error} {error:?}");
        assert!(text.contains(&plugin.file().display().to_string()) && !text.contains("sesame"), "{text}");
        text
    };
    let text = refused(open("me:sesame@").await.err().expect("a refusal"));
    assert!(text.contains("it refused the password of me"), "{text}");
    let text = refused(open("").await.err().expect("a refusal"));
    assert!(text.contains("it wants a login"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_looks_names_up() {
    let (plugin, (proxy, address)) = (BuiltPlugin::new("socks5"), microsocks(None));
    let sshd = Sshd::builder().first(Ipv4Addr::LOCALHOST).start();
    let host = &sshd.hosts()[0];
    let mut target = plugin.behind(&format!("socks5://{address}"), &sshd, host);
    target.host_keys.alias = Some(format!("[127.0.0.1]:{}", host.port));
    // A proxy that sends text, and one with a single address for every lookup.
    target.host = "127.1".to_owned();
    plugin.open(&target).await.expect("a session").close().await;
    // The name of the request, not its address.
    assert!(proxy.log().contains(&format!("connected to 127.1:{}", host.port)), "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_answer_is_the_proxys_word() {
    let (plugin, sshd, (_proxy, address)) = (BuiltPlugin::new("socks5"), Sshd::shared(), microsocks(None));
    let nobody = Host { port: 1, ..sshd.hosts()[0].clone() };
    let error = plugin.open(&plugin.behind(&format!("socks5://{address}"), sshd, &nobody)).await.err();
    let text = error.expect("nobody is there").to_string();
    assert!(text.contains("connection refused"), "{text}");
    // Unlike a proxy that doesn't answer.
    let error = plugin.open(&plugin.behind("socks5://127.0.0.1:1", sshd, &sshd.hosts()[0])).await.err();
    let text = error.expect("nobody is there").to_string();
    assert!(text.contains("proxy 127.0.0.1:1: it cannot be reached: "), "{text}");
}
