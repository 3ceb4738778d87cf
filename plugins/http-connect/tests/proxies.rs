//! The plugin against a real HTTP proxy, with a real sshd behind it.

use std::net::{Ipv4Addr, SocketAddr};

use fabric_transport_conformance as conformance;
use tests::{BuiltPlugin, Server, Sshd};

fn tinyproxy(lines: &str) -> (Server, SocketAddr) {
    Server::tcp("tinyproxy", |address, dir| {
        let config = dir.join("tinyproxy.conf");
        let (ip, port) = (address.ip(), address.port());
        let text = format!("Listen {ip}\nPort {port}\nAllow 127.0.0.0/8\nTimeout 600\nLogLevel Connect\n{lines}");
        std::fs::write(&config, text).expect("its configuration");
        vec!["-d".to_owned(), "-c".to_owned(), config.display().to_string()]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_through_tinyproxy() {
    let (plugin, sshd, (_proxy, address)) = (BuiltPlugin::new("http-connect"), Sshd::shared(), tinyproxy(""));
    let target = plugin.behind(&format!("http-connect://{address}"), sshd, &sshd.hosts()[0]);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_given_and_a_wrong_one_is_told_without_the_password() {
    let (plugin, sshd) = (BuiltPlugin::new("http-connect"), Sshd::shared());
    let (_proxy, address) = tinyproxy("BasicAuth me open-sesame\n");
    let open = async |login: &str| {
        plugin.open(&plugin.behind(&format!("http-connect://{login}{address}"), sshd, &sshd.hosts()[0])).await
    };
    conformance::run(open("me:open-sesame@").await.expect("a session"), &[]).await;
    for login in ["me:wrong-pw@", ""] {
        let error = open(login).await.err().expect("a refusal");
        let text = format!("{error} {error:?}");
        assert!(text.contains("it wants a login or refused it"), "{text}");
        assert!(text.contains(&plugin.file().display().to_string()) && !text.contains("wrong-pw"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_looks_names_up() {
    let (plugin, (proxy, address)) = (BuiltPlugin::new("http-connect"), tinyproxy(""));
    let sshd = Sshd::builder().first(Ipv4Addr::LOCALHOST).start();
    let host = &sshd.hosts()[0];
    let mut target = plugin.behind(&format!("http-connect://{address}"), &sshd, host);
    target.host_keys.alias = Some(format!("[127.0.0.1]:{}", host.port));
    target.host = "localhost".to_owned();
    plugin.open(&target).await.expect("a session").close().await;
    assert!(proxy.log().contains(&format!("CONNECT localhost:{}", host.port)), "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_proxy_forbids_is_the_proxys_word() {
    let (plugin, sshd, (_proxy, address)) =
        (BuiltPlugin::new("http-connect"), Sshd::shared(), tinyproxy("ConnectPort 443\n"));
    let target = plugin.behind(&format!("http-connect://{address}"), sshd, &sshd.hosts()[0]);
    let text = plugin.open(&target).await.err().expect("a refusal").to_string();
    assert!(text.contains("403"), "{text}");
}
