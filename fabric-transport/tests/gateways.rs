//! Jump hosts, proxy commands, forwards and agent forwarding with real sshds.

mod common;

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Agent, Events, Sshd, SshdExt, command, debug_sshd, end_of, finish, is_alive, open, refused, run, sshd};
use fabric_core::transport::ListenAddress;
use fabric_core::{ConnectErrorKind, Emitter, EventKind, Gateway, Phase, SessionError, Target};
use fabric_transport::connector::Connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

fn through(mut target: Target, hop: Target) -> Target {
    target.gateway = Some(Gateway::Jump(Box::new(hop)));
    target
}

/// How many logins a server's log contains.
fn logins(sshd: &Sshd) -> usize {
    sshd.settled_log().matches("Accepted publickey").count()
}

#[tokio::test]
async fn hops_are_dialled_one_after_another_each_with_its_own_key() {
    let [first, second, last] = [debug_sshd().start(), debug_sshd().start(), debug_sshd().start()];
    let target = through(last.target(), through(second.target(), first.target()));
    let (emitter, events) = Events::new();
    let session = Connector::new().open(&target, &emitter).await.unwrap();
    assert_eq!(run(&*session, "echo there").await.text(), "there\n");
    let forwarded = |sshd: &Sshd, to: &Sshd| sshd.settled_log().contains(&format!("to 127.0.0.1 port {}", to.port()));
    assert!(
        forwarded(&first, &second) && forwarded(&second, &last),
        "{}\n{}",
        first.settled_log(),
        second.settled_log()
    );
    assert!(!forwarded(&first, &last) && !forwarded(&second, &first));
    assert_eq!([logins(&first), logins(&second), logins(&last)], [1, 1, 1]);
    let connected: Vec<String> = events
        .take()
        .into_iter()
        .filter_map(|event| match event {
            EventKind::Connected { address, .. } => Some(address.rsplit(':').next().unwrap().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(connected, [first.port(), second.port(), last.port()].map(|port| port.to_string()));
}

#[tokio::test]
async fn targets_share_a_gateway_up_to_its_limit_and_it_ends_with_them() {
    let (bastion, host) = (sshd().start(), sshd().start());
    let connector = Connector::new();
    let target = through(host.target(), bastion.target());
    let nobody = Emitter::none();
    let opening = (0..20).map(|_| connector.open(&target, &nobody));
    let sessions: Vec<_> =
        futures_util::future::join_all(opening).await.into_iter().map(|session| session.unwrap()).collect();
    assert_eq!(logins(&bastion), 3);
    let running = sessions.iter().map(|session| run(&**session, "echo here"));
    assert!(futures_util::future::join_all(running).await.iter().all(|done| done.text() == "here\n"));
    // Closing one doesn't affect the others.
    sessions[0].close().await;
    assert_eq!(run(&*sessions[1], "echo still").await.text(), "still\n");
    for session in &sessions {
        session.close().await;
    }
    drop(sessions);
    let gone = |log: &str| log.matches("Disconnected from user").count() + log.matches("Closing connection to").count();
    bastion.logged(|log| gone(log) >= 3).await;
}

#[tokio::test]
async fn a_gateway_that_broke_is_opened_again() {
    let (bastion, host) = (sshd().start(), sshd().start());
    let connector = Connector::new();
    let target = through(host.target(), bastion.target());
    let gateway = connector.open(&bastion.target(), &Emitter::none()).await.unwrap();
    let first = connector.open(&target, &Emitter::none()).await.unwrap();
    let killed = run(&*gateway, "kill -KILL $(pgrep -P $(ps -o ppid= -p $PPID))").await;
    let _ = killed;
    let reason = first.closed().await;
    assert!(matches!(reason, SessionError::Lost { .. }), "{reason}");
    let second = connector.open(&target, &Emitter::none()).await.unwrap();
    assert_eq!(run(&*second, "echo again").await.text(), "again\n");
}

#[tokio::test]
async fn failures_of_gateways_name_them() {
    let (bastion, host) = (sshd().start(), sshd().start());
    // No login succeeds.
    let mut closed = bastion.target();
    closed.auth.identities.clear();
    let error = refused(&through(host.target(), closed)).await;
    let ConnectErrorKind::Gateway { gateway, error: cause } = &error.kind else { panic!("{error}") };
    assert_eq!((error.phase, gateway.as_str()), (Phase::Gateway, bastion.target().host_string.as_str()));
    assert!(matches!(cause.kind, ConnectErrorKind::AuthFailed { .. }));
    // Nothing listens behind it.
    let mut gone = host.target();
    gone.port = 1;
    let error = refused(&through(gone, bastion.target())).await;
    assert!(
        matches!(&error.kind, ConnectErrorKind::Unreachable { address, .. } if address == "127.0.0.1:1"),
        "{error}"
    );
    // A gateway without forwarding.
    let strict = sshd().config("AllowTcpForwarding no").start();
    let error = refused(&through(host.target(), strict.target())).await;
    assert!(error.to_string().contains("does not forward"), "{error}");
}

#[tokio::test]
async fn a_gateway_that_is_the_target_is_not_used_but_those_before_it_are() {
    let (sshd, first) = (sshd().start(), sshd().start());
    open(&through(sshd.target(), sshd.target())).await;
    assert_eq!(logins(&sshd), 1);
    open(&through(sshd.target(), through(sshd.target(), first.target()))).await;
    assert_eq!([logins(&first), logins(&sshd)], [1, 2]);
    // Under other checks the same address is another machine, beyond the gateway.
    let mut beyond = sshd.target();
    beyond.host_keys.alias = Some("beyond".to_owned());
    open(&through(beyond, sshd.target())).await;
    assert_eq!(logins(&sshd), 4);
}

#[tokio::test]
async fn a_command_carries_the_connection_and_ends_with_it() {
    let sshd = sshd().start();
    let pid = sshd.path("pid");
    let mut target = sshd.target();
    let script = sshd.path("proxy.sh");
    let relay = format!("echo $$ > {}; exec socat - TCP:127.0.0.1:{}", pid.display(), sshd.port());
    let relay = if Path::new("/usr/bin/socat").exists() { relay } else { nc(&pid, sshd.port()) };
    std::fs::write(&script, relay).unwrap();
    target.gateway = Some(Gateway::Command(format!("sh {}", script.display())));
    let session = open(&target).await;
    assert_eq!(run(&*session, "echo there").await.text(), "there\n");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(is_alive(pid.trim()));
    session.close().await;
    drop(session);
    end_of(&pid).await;

    target.gateway = Some(Gateway::Command("echo no way >&2; exit 7 #".to_owned()));
    let error = refused(&target).await;
    let ConnectErrorKind::ProxyCommand { reason, .. } = &error.kind else { panic!("{error}") };
    assert!(reason.contains("no way"), "{reason}");
    assert_eq!(error.phase, Phase::Gateway);
}

/// A relay in a language that is installed.
fn nc(pid: &Path, port: u16) -> String {
    format!(
        "echo $$ > {}; exec python3 -c '
import socket, sys, threading, os
s = socket.create_connection((\"127.0.0.1\", {port}))
def up():
    while True:
        data = os.read(0, 65536)
        if not data: break
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data: break
    os.write(1, data)
'",
        pid.display()
    )
}

#[tokio::test]
async fn streams_through_the_host_keep_half_close() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        socket.write_all(format!("got {}", all.len()).as_bytes()).await.unwrap();
    });
    let mut stream = session.open_stream("localhost", port).await.unwrap();
    stream.write_all(&vec![7; 5_000_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "got 5000000");
    let error = session.open_stream("127.0.0.1", 1).await.err().unwrap();
    assert!(matches!(error, SessionError::ChannelRefused { .. }), "{error}");

    let path = sshd.path("echo.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = socket.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut stream = session.open_unix_stream(path.to_str().unwrap().as_bytes()).await.unwrap();
    stream.write_all(b"echo").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "echo");
}

#[tokio::test]
async fn the_host_listens_for_us() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut listener = session.listen(&ListenAddress::tcp("127.0.0.1", None)).await.unwrap();
    let port = listener.port().expect("a port").get();
    let client = tokio::spawn(async move {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.write_all(b"question").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let mut stream = listener.accept().await.unwrap();
    let mut question = String::new();
    stream.read_to_string(&mut question).await.unwrap();
    stream.write_all(format!("{question}?").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(client.await.unwrap(), "question?");

    // The port is in use.
    let again = session.listen(&ListenAddress::tcp("127.0.0.1", NonZeroU16::new(port))).await;
    assert!(matches!(again.err().unwrap(), SessionError::RequestRefused { .. }));
    listener.close().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());

    let path = sshd.path("listen.sock");
    let mut listener = session.listen(&ListenAddress::unix(path.to_str().unwrap())).await.unwrap();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hi").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    listener.accept().await.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hi");
    // It ends with its session.
    session.close().await;
    assert!(listener.accept().await.is_none());
}

#[tokio::test]
async fn the_agent_is_forwarded_to_who_asks_for_it() {
    let sshd = sshd().start();
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(dir.path(), &[&sshd.key()]);
    let mut target = sshd.target();
    target.auth.agent = Some(agent.socket.clone());
    target.forward_agent = true;
    let session = open(&target).await;
    let list = |forward_agent| command("ssh-add -l; echo $?").forward_agent(forward_agent);
    // In this order: after one request, sshd sets up the agent for all later processes of the connection.
    let done = finish(session.spawn(&list(false)).await.unwrap()).await;
    assert!(!done.text().contains("ED25519"), "{done:?}");
    let done = finish(session.spawn(&list(true)).await.unwrap()).await;
    assert!(done.text().contains("ED25519") && done.text().ends_with("0\n"), "{done:?}");
    // A target without forwarding doesn't forward, even on request.
    target.forward_agent = false;
    let session = open(&target).await;
    let done = finish(session.spawn(&list(true)).await.unwrap()).await;
    assert!(!done.text().contains("ED25519"), "{done:?}");
}

#[tokio::test]
async fn bulk_both_ways_through_two_hops_beside_many_commands() {
    let [first, second, last] = [sshd().start(), sshd().start(), sshd().start()];
    let connector = Connector::new();
    let target = through(last.target(), through(second.target(), first.target()));
    let session = connector.open(&target, &Emitter::none()).await.unwrap();
    let other = connector.open(&target, &Emitter::none()).await.unwrap();
    let size = 30_000_000_u64;
    let down = run(&*other, format!("head -c {size} /dev/zero"));
    let up = async {
        let mut process = session.spawn(&command("wc -c")).await.unwrap();
        let mut stdin = std::mem::replace(&mut process.stdin, Box::new(tokio::io::sink()));
        let writing = async {
            let chunk = vec![0; 1_000_000];
            for _ in 0..30 {
                stdin.write_all(&chunk).await.unwrap();
            }
            stdin.shutdown().await.unwrap();
        };
        tokio::join!(writing, finish(process)).1
    };
    let small = async {
        for batch in 0..10 {
            let sessions: [&Arc<dyn fabric_core::Session>; 2] = [&session, &other];
            let running = (0..4).map(|n| run(&**sessions[n % 2], format!("echo {batch} {n}")));
            for (n, done) in futures_util::future::join_all(running).await.iter().enumerate() {
                assert_eq!(done.text(), format!("{batch} {n}\n"));
            }
        }
    };
    let all = async { tokio::join!(down, up, small) };
    let (down, up, ()) = tokio::time::timeout(Duration::from_mins(2), all).await.expect("no deadlock");
    assert_eq!(down.stdout.len() as u64, size);
    assert_eq!(up.text().trim(), size.to_string());
}
