//! Sessions with a real sshd: logins, host keys, processes.

mod common;

use std::time::Duration;

use common::{Done, Events, SshdExt, command, debug_sshd, end_of, finish, is_alive, open, refused, run, sshd};
use fabric_core::transport::{ProcessEvent, PtyRequest, StopOutcome, WindowSize, WriteOptions};
use fabric_core::{ConnectErrorKind, Emitter, EventKind, ExitStatus, SessionError, Signal};
use fabric_transport::connector::Connector;
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[tokio::test]
async fn a_command_runs_over_a_key_and_a_new_host_is_recorded() {
    let sshd = sshd().start();
    let (emitter, events) = Events::new();
    let connector = Connector::new();
    let session = connector.open(&sshd.target(), &emitter).await.unwrap();
    let done = run(&*session, "echo out; echo err >&2; exit 3").await;
    let expected =
        Done { stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec(), exit: Some(ExitStatus::Code(3)), lost: None };
    assert_eq!(done, expected);
    session.close().await;
    assert!(!session.is_open());

    let events = events.take();
    assert!(events.iter().any(|e| matches!(e, EventKind::HostKeyRecorded { .. })), "{events:?}");
    assert!(events.iter().any(|e| matches!(e, EventKind::Connected { .. })), "{events:?}");
    // Known now, so it isn't recorded again.
    let (emitter, events) = Events::new();
    connector.open(&sshd.target(), &emitter).await.unwrap();
    assert!(!events.take().iter().any(|e| matches!(e, EventKind::HostKeyRecorded { .. })));
}

#[tokio::test]
async fn a_changed_key_is_refused_before_anything_is_sent() {
    let sshd = debug_sshd().start();
    common::keygen(&sshd.path("other"), &["-t", "ed25519"]);
    let other = std::fs::read_to_string(sshd.path("other.pub")).unwrap();
    std::fs::write(sshd.recorded(), format!("# one line before\n[127.0.0.1]:{} {other}", sshd.port())).unwrap();
    let (emitter, _events) = Events::new();
    let error = Connector::new().open(&sshd.target(), &emitter).await.err().unwrap();
    let ConnectErrorKind::HostKeyChanged { line, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(*line, 2);
    assert!(!sshd.settled_log().contains("userauth-request"), "{}", sshd.settled_log());
}

#[tokio::test]
async fn files_are_reached_over_one_channel() {
    let sshd = debug_sshd().start();
    let session = open(&sshd.target()).await;
    let files = session.files().await.unwrap();
    let path = sshd.path("hello");
    let path = path.to_str().unwrap().as_bytes();
    files.write_file(path, &WriteOptions::default(), &mut &b"content"[..], &|_| {}).await.unwrap();
    let again = session.files().await.unwrap();
    assert_eq!(again.stat(path).await.unwrap().size, Some(7));
    assert_eq!(sshd.settled_log().matches("Starting session: subsystem 'sftp'").count(), 1);
}

#[tokio::test]
async fn stdin_goes_through_at_full_length_and_ends() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut process = session.spawn(&command("sha256sum")).await.unwrap();
    let data: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = hex(&sha2::Sha256::digest(&data));
    let mut stdin = std::mem::replace(&mut process.stdin, Box::new(tokio::io::sink()));
    let writing = tokio::spawn(async move {
        stdin.write_all(&data).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let done = finish(process).await;
    writing.await.unwrap();
    assert_eq!(done.text().split(' ').next().unwrap(), expected);
}

#[tokio::test]
async fn stdin_fails_once_the_process_is_gone() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut process = session.spawn(&command("exec <&-; sleep 0.1; exit 0")).await.unwrap();
    let data = vec![0; 8 << 20];
    let error = loop {
        if let Err(error) = process.stdin.write_all(&data).await {
            break error;
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(finish(process).await.exit, Some(ExitStatus::Code(0)));
}

#[tokio::test]
async fn a_terminal_has_the_size_asked_for_and_follows_changes() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let size = WindowSize::new(120, 40);
    let pty = Some(PtyRequest::new("xterm-256color", size));
    let request = command("stty size; echo $TERM; read line; stty size").pty(pty);
    let mut process = session.spawn(&request).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"color\r\n") {
        let Some(ProcessEvent::Stdout(data)) = process.next().await else { panic!("no output") };
        text.extend(data);
    }
    assert_eq!(String::from_utf8(text).unwrap(), "40 120\r\nxterm-256color\r\n");
    process.control.resize(WindowSize::new(99, 33)).await.unwrap();
    process.stdin.write_all(b"\n").await.unwrap();
    assert_eq!(finish(process).await.text().lines().last().unwrap(), "33 99");
}

#[tokio::test]
async fn a_signal_is_told_apart_from_an_exit_status() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let done = run(&*session, "kill -USR1 $$").await;
    assert!(matches!(done.exit, Some(ExitStatus::Signal { signal: Signal::Usr1, .. })), "{done:?}");
}

#[tokio::test]
async fn a_host_whose_output_nobody_takes_is_not_read_and_not_taken_for_dead() {
    const SIZE: u64 = 200_000_000;
    let sshd = sshd().start();
    let mut target = sshd.target();
    target.keepalive.interval = Some(Duration::from_millis(50));
    target.keepalive.count = 2;
    let session = open(&target).await;
    let mut process = session.spawn(&command(format!("head -c {SIZE} /dev/zero; echo end >&2"))).await.unwrap();
    // Several times as long as keepalives need to detect a dead host.
    let ended = tokio::time::timeout(Duration::from_secs(1), session.closed()).await;
    assert!(ended.is_err(), "{ended:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().split(' ').next().unwrap().parse().unwrap();
    assert!(resident < 64 << 10, "{resident} KiB are kept of unread output");
    let (mut taken, mut exit) = (0, None);
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(bytes) => taken += bytes.len() as u64,
            ProcessEvent::Stderr(bytes) => assert_eq!(bytes, "end\n"),
            ProcessEvent::Exit(status) => exit = Some(status),
            ProcessEvent::Lost(error) => panic!("{error}"),
        }
    }
    assert_eq!((taken, exit), (SIZE, Some(ExitStatus::Code(0))));
}

#[tokio::test]
async fn a_channel_that_nobody_reads_holds_no_other_up() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    // 6 MB fit into the store; without a task that drains the channel, it would stop after a few messages.
    let unread = session.spawn(&command("head -c 6000000 /dev/zero | tr '\\0' x; sleep 1000")).await.unwrap();
    assert_eq!(run(&*session, "echo other").await.text(), "other\n");
    drop(unread);
    assert_eq!(run(&*session, "echo still").await.text(), "still\n");
}

#[tokio::test]
async fn large_output_arrives_whole() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let done = run(&*session, "head -c 50000000 /dev/zero; echo end >&2").await;
    assert_eq!((done.stdout.len(), done.stderr.as_slice()), (50_000_000, &b"end\n"[..]));
}

#[tokio::test]
async fn dropped_processes_give_their_channels_back() {
    let sshd = sshd().config("MaxSessions 2").start();
    let session = open(&sshd.target()).await;
    for _ in 0..10 {
        // `cat` ends at the end of its input, which is the closed channel.
        drop(session.spawn(&command("cat")).await.unwrap());
        run(&*session, "true").await;
    }
}

#[tokio::test]
async fn commands_wait_for_room_on_the_connection() {
    let sshd = sshd().config("MaxSessions 2").start();
    let mut target = sshd.target();
    target.timeouts.channel = Some(Duration::from_secs(2));
    let session = open(&target).await;
    let each = (0..12).map(async |n| run(&*session, &format!("echo {n}")).await.text().to_owned());
    let said = futures_util::future::join_all(each).await;
    assert_eq!(said, (0..12).map(|n| format!("{n}\n")).collect::<Vec<_>>());
    // The last one is an error.
    let held = [session.spawn(&command("cat")).await.unwrap(), session.spawn(&command("cat")).await.unwrap()];
    let error = session.spawn(&command("true")).await.unwrap_err();
    assert!(matches!(error, SessionError::ChannelRefused { .. }), "{error}");
    assert!(error.to_string().contains("`MaxSessions`"), "{error}");
    drop(held);
}

#[tokio::test]
async fn a_server_that_takes_no_session_at_all_is_not_waited_for() {
    let sshd = debug_sshd().config("MaxSessions 0").start();
    let session = open(&sshd.target()).await;
    let began = std::time::Instant::now();
    let error = session.spawn(&command("true")).await.unwrap_err();
    assert!(matches!(error, SessionError::ChannelRefused { .. }), "{error}");
    assert_eq!(
        sshd.settled_log().matches("no more sessions").count(),
        1,
        "{:?} {}",
        began.elapsed(),
        sshd.settled_log()
    );
}

#[tokio::test]
async fn stopping_ends_the_process_and_its_children() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let pty = || Some(PtyRequest::new("xterm", WindowSize::default()));
    for (name, pty) in [("plain", None), ("terminal", pty())] {
        // Sibling processes that must survive, started before and after it.
        let before = session.spawn(&command("cat")).await.unwrap();
        let pids = sshd.path(name);
        let text = format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; echo ready; wait", pids.display());
        let mut process = session.spawn(&command(text).pty(pty)).await.unwrap();
        let after = session.spawn(&command("cat")).await.unwrap();
        session.files().await.unwrap();
        assert!(matches!(process.next().await, Some(ProcessEvent::Stdout(_))));
        assert_eq!(process.control.stop(Duration::from_secs(5)).await, StopOutcome::Ended, "{name}");
        let pids = std::fs::read_to_string(pids).unwrap();
        for pid in pids.lines() {
            assert!(!is_alive(pid), "{name}: {pid} is alive");
        }
        let done = finish(process).await;
        assert!(done.lost.is_none() && done.exit.is_some(), "{done:?}");
        for mut brother in [before, after] {
            brother.stdin.write_all(b"alive").await.unwrap();
            brother.stdin.shutdown().await.unwrap();
            assert_eq!(finish(brother).await.text(), "alive");
        }
    }
}

#[tokio::test]
async fn stopping_kills_what_ignores_the_first_signal() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut process = session.spawn(&command("trap '' TERM HUP; echo $$; while :; do sleep 1; done")).await.unwrap();
    let Some(ProcessEvent::Stdout(pid)) = process.next().await else { panic!("no pid") };
    assert_eq!(process.control.stop(Duration::from_millis(300)).await, StopOutcome::Ended);
    assert!(!is_alive(str::from_utf8(&pid).unwrap().trim()));
}

#[tokio::test]
async fn several_processes_are_stopped_at_once() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut processes = Vec::new();
    for n in 0..3 {
        processes.push(session.spawn(&command(format!("sleep 100{n}"))).await.unwrap());
    }
    let outcomes =
        futures_util::future::join_all(processes.iter().map(|p| p.control.stop(Duration::from_secs(2)))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == StopOutcome::Ended), "{outcomes:?}");
}

#[tokio::test]
async fn what_cannot_be_stopped_is_said() {
    // As root, sshd passes no signals on, and there is no second channel.
    let sshd = sshd().config("MaxSessions 1").start();
    let session = open(&sshd.target()).await;
    let process = session.spawn(&command("sleep 1000")).await.unwrap();
    match process.control.stop(Duration::from_millis(100)).await {
        StopOutcome::Unknown(reason) => assert!(reason.contains("channel"), "{reason}"),
        StopOutcome::Ended => assert_ne!(common::current_user(), "root"),
    }
}

#[tokio::test]
async fn a_cut_connection_is_told_to_everything_on_it() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut process = session.spawn(&command("echo $PPID; cat")).await.unwrap();
    let Some(ProcessEvent::Stdout(pid)) = process.next().await else { panic!("no pid") };
    let killed = std::process::Command::new("kill").arg("-KILL").arg(str::from_utf8(&pid).unwrap().trim()).status();
    assert!(killed.unwrap().success());
    let done = finish(process).await;
    assert!(done.lost.is_some(), "{done:?}");
    assert!(matches!(session.closed().await, SessionError::Lost { .. }));
    assert!(!session.is_open());
    assert!(matches!(session.spawn(&command("true")).await, Err(SessionError::Lost { .. })));
}

#[tokio::test]
async fn variables_are_sent_where_the_host_takes_them() {
    let sshd = sshd().config("AcceptEnv FAB_*").start();
    let mut target = sshd.target();
    target.send_env = vec![("FAB_TARGET".to_owned(), "one".to_owned())];
    let session = open(&target).await;
    let env = vec![("FAB_REQUEST".to_owned(), "it's \"two\"".as_bytes().to_vec())];
    let request = command("echo $FAB_TARGET $FAB_REQUEST").env(env);
    assert_eq!(finish(session.spawn(&request).await.unwrap()).await.text(), "one it's \"two\"\n");
}

#[tokio::test]
async fn compression_and_chosen_algorithms_work() {
    let sshd = debug_sshd().config("Compression yes").start();
    let mut target = sshd.target();
    target.compression = true;
    target.algorithms.ciphers = vec!["aes256-ctr".to_owned()];
    target.algorithms.macs = vec!["hmac-sha2-512-etm@openssh.com".to_owned()];
    target.algorithms.kex = vec!["curve25519-sha256".to_owned()];
    let session = open(&target).await;
    assert_eq!(run(&*session, "head -c 3000000 /dev/zero").await.stdout.len(), 3_000_000);
    let log = sshd.settled_log();
    assert!(
        log.contains(
            "kex: client->server cipher: aes256-ctr MAC: hmac-sha2-512-etm@openssh.com compression: zlib@openssh.com"
        ),
        "{log}"
    );
    assert!(log.contains("kex: algorithm: curve25519-sha256 "), "{log}");

    target.algorithms.ciphers = vec!["3des-cbc".to_owned()];
    let error = refused(&target).await;
    assert!(matches!(error.kind, ConnectErrorKind::Handshake { .. } | ConnectErrorKind::Setting { .. }), "{error}");
}

#[tokio::test]
async fn fifty_sessions_at_once() {
    let sshd = sshd().config("MaxStartups 10:30:100").start();
    let connector = Connector::new();
    let target = sshd.target();
    let all = (0..50).map(|n| {
        let (connector, target) = (connector.clone(), target.clone());
        async move {
            let session = connector.open(&target, &Emitter::none()).await.unwrap();
            assert_eq!(run(&*session, format!("echo {n}")).await.text(), format!("{n}\n"));
        }
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn a_host_that_has_gone_silent_is_noticed_and_can_be_left() {
    let sshd = sshd().start();
    let mut target = sshd.target();
    target.keepalive.interval = Some(Duration::from_millis(100));
    target.keepalive.count = 2;
    let session = open(&target).await;
    let mut process = session.spawn(&command("echo $PPID; cat")).await.unwrap();
    let Some(ProcessEvent::Stdout(pid)) = process.next().await else { panic!("no pid") };
    let pid = str::from_utf8(&pid).unwrap().trim().to_owned();
    let signal = |name: &str| std::process::Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(signal("-STOP").success());
    let reason = session.closed().await;
    assert!(reason.to_string().contains("keepalive"), "{reason}");

    // Without keepalives it isn't noticed, and closing doesn't take longer.
    signal("-CONT");
    target.keepalive.interval = None;
    let session = open(&target).await;
    let mut process = session.spawn(&command("echo $PPID; sleep 1000")).await.unwrap();
    let Some(ProcessEvent::Stdout(pid)) = process.next().await else { panic!("no pid") };
    let pid = str::from_utf8(&pid).unwrap().trim().to_owned();
    std::process::Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    // More than any window: the connection waits for the server.
    let full = tokio::time::timeout(Duration::from_millis(500), process.stdin.write_all(&vec![0; 64 << 20])).await;
    assert!(full.is_err());
    session.close().await;
    assert!(finish(process).await.lost.is_some());
    std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
}

#[tokio::test]
async fn keys_are_exchanged_again_in_the_middle_of_data() {
    for compression in [false, true] {
        let sshd = debug_sshd().config("RekeyLimit 1M").config("Compression yes").start();
        let mut target = sshd.target();
        target.compression = compression;
        let session = open(&target).await;
        let mut process = session.spawn(&command("cat")).await.unwrap();
        let mut stdin = std::mem::replace(&mut process.stdin, Box::new(tokio::io::sink()));
        let data: Vec<u8> = (0..12_000_000_u32).map(|n| (n.wrapping_mul(n) % 249) as u8).collect();
        let sent = data.clone();
        let writing = tokio::spawn(async move {
            stdin.write_all(&sent).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let done = finish(process).await;
        writing.await.unwrap();
        assert!(done.stdout == data, "{} of {} bytes, {:?}", done.stdout.len(), data.len(), done.lost);
        assert!(sshd.settled_log().matches("rekey").count() > 4);
    }
}

#[tokio::test]
async fn keys_are_exchanged_again_in_the_middle_of_a_file() {
    let sshd = debug_sshd().config("RekeyLimit 1M").start();
    let session = open(&sshd.target()).await;
    let files = session.files().await.unwrap();
    let data: Vec<u8> = (0..12_000_000_u32).map(|n| (n.wrapping_mul(n) % 249) as u8).collect();
    let path = sshd.path("file");
    let path = path.to_str().unwrap().as_bytes();
    files.write_file(path, &WriteOptions::default(), &mut &*data, &|_| {}).await.unwrap();
    let mut back = Vec::new();
    files.read_file(path, 0, &mut back, &|_| {}).await.unwrap();
    assert!(back == data, "{} of {} bytes", back.len(), data.len());
    assert!(sshd.settled_log().matches("rekey").count() > 8);
}

#[tokio::test]
async fn stopping_works_while_input_is_stuck_and_output_floods() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let mut process = session.spawn(&command("sleep 1000")).await.unwrap();
    let stuck = tokio::time::timeout(Duration::from_millis(300), process.stdin.write_all(&vec![0; 64 << 20])).await;
    assert!(stuck.is_err());
    assert_eq!(process.control.stop(Duration::from_secs(2)).await, StopOutcome::Ended);
    // Nobody reads this one.
    let mut process = session.spawn(&command("cat /dev/zero")).await.unwrap();
    process.next().await.unwrap();
    assert_eq!(process.control.stop(Duration::from_secs(2)).await, StopOutcome::Ended);
    let done = finish(process).await;
    assert!(done.exit.is_some(), "{:?}", done.lost);
    assert!(done.stdout.len() < 20 << 20, "{}", done.stdout.len());
}

#[tokio::test]
async fn a_dropped_session_is_a_closed_one() {
    let sshd = sshd().start();
    let session = open(&sshd.target()).await;
    let pid = run(&*session, "echo $PPID").await.text().trim().to_owned();
    session.files().await.unwrap();
    let process = session.spawn(&command("cat")).await.unwrap();
    drop(session);
    assert!(is_alive(&pid), "a process keeps its session");
    drop(process);
    end_of(&pid).await;
}
