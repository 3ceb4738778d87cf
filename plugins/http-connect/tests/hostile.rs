//! Proxies that break the protocol: each is an error in time; data after a valid answer isn't consumed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use fabric_core::Target;
use fabric_transport_conformance as conformance;
use tests::{BuiltPlugin, Sshd};

/// A proxy for one connection: reads the request, and then runs this.
fn proxy(then: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut request = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            request.read_line(&mut line).expect("a line of the request");
        }
        then(request.into_inner());
    });
    address
}

fn says(answer: &'static [u8]) -> SocketAddr {
    proxy(move |mut stream| stream.write_all(answer).expect("it is read"))
}

fn behind(plugin: &BuiltPlugin, proxy: SocketAddr) -> Target {
    let sshd = Sshd::shared();
    plugin.behind(&format!("http-connect://me:sesame@{proxy}"), sshd, &sshd.hosts()[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_an_error() {
    let plugin = BuiltPlugin::new("http-connect");
    let endless = proxy(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").expect("it is read");
        while stream.write_all(b"X-More: of this\r\n").is_ok() {}
    });
    let proxies = [
        (endless, "the answer is longer than 65536 bytes"),
        (says(b""), "the connection was closed in the middle of an answer"),
        (says(b"HTTP/1.1 200 OK\r\nVia: x\r\n"), "the connection was closed in the middle of an answer"),
        (says(b"\0\xff\xfe\r\n\r\n"), "it does not speak HTTP"),
        (says(b"HTTP/1.1 fine\r\n\r\n"), "it does not speak HTTP"),
        (says(b"SSH-2.0-x\r\n\r\n"), "it does not speak HTTP"),
        (says(b"HTTP/1.1 407 Who are you\r\nContent-Length: 3\r\n\r\nbye"), "wants a login or refused it"),
        (says(b"HTTP/1.1 503 Not for me:sesame\r\n\r\n"), "cannot reach 127.0.1.1:"),
    ];
    for (proxy, reason) in proxies {
        let text = plugin.open(&behind(&plugin, proxy)).await.err().expect("an error").to_string();
        assert!(text.contains(reason) && text.contains(&plugin.file().display().to_string()), "{text}");
        assert!(!text.contains("sesame") && text.len() < 1000, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_an_error_when_time_is_up() {
    let plugin = BuiltPlugin::new("http-connect");
    // Until the other side closes.
    let silent = proxy(|mut stream| drop(stream.read(&mut [0])));
    let mut target = behind(&plugin, silent);
    target.timeouts.connect = Some(Duration::from_millis(100));
    let text = plugin.open(&target).await.err().expect("an error").to_string();
    let late = format!("gateway http-connect://me@{silent}: timed out after 0.1 s while connecting (setting timeout)");
    assert!(text.ends_with(&late), "{text}");
}

/// Without the `@proxy`, the rest may be a password.
#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_address_is_told_without_what_may_be_a_password() {
    let (plugin, sshd) = (BuiltPlugin::new("http-connect"), Sshd::shared());
    let target = plugin.behind("http-connect://me:sesame", sshd, &sshd.hosts()[0]);
    let text = plugin.open(&target).await.err().expect("an error").to_string();
    assert!(text.contains("`http-connect://me:***` is not scheme://") && !text.contains("sesame"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banner_that_comes_with_the_answer_is_not_lost() {
    let (plugin, host) = (BuiltPlugin::new("http-connect"), Sshd::shared().hosts()[0].clone());
    let eager = proxy(move |mut near| {
        let mut far = TcpStream::connect((host.address, host.port)).expect("sshd");
        let mut answer = b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec();
        while answer.last() != Some(&b'\n') || !answer.windows(4).any(|part| part == b"SSH-") {
            let mut byte = [0];
            far.read_exact(&mut byte).expect("the banner");
            answer.extend(byte);
        }
        // One write, one packet.
        near.write_all(&answer).expect("it is read");
        let (mut back, mut forth) = (far.try_clone().expect("a copy"), near.try_clone().expect("a copy"));
        thread::spawn(move || {
            let _ = std::io::copy(&mut forth, &mut back);
            let _ = back.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut far, &mut near);
        let _ = near.shutdown(Shutdown::Write);
    });
    let target = behind(&plugin, eager);
    conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}
