//! Processes: streams, status, signals, terminals, stopping.

use std::time::Duration;

use fabric_core::transport::{Process, ProcessEvent, Program, PtyRequest, SpawnRequest, StopOutcome, WindowSize};
use fabric_core::{ExitStatus, Signal};
use tests::{World, transports};
use tokio::io::AsyncWriteExt;

transports! {
    streams_and_status_come_back: memory local embedded sshd dropbear;
    a_command_that_is_missing_is_127: memory local embedded sshd dropbear;
    standard_input_arrives_whole_and_ends: memory local embedded sshd dropbear;
    bytes_are_kept: memory local embedded sshd dropbear;
    much_output_arrives_whole: memory local embedded sshd dropbear;
    a_signal_is_told: memory local embedded sshd dropbear;
    output_comes_while_the_process_runs: memory local embedded sshd;
    many_processes_run_at_once: memory local embedded sshd dropbear;
    one_that_takes_no_input_stops_no_other: local embedded sshd dropbear;
    a_terminal_has_a_type_and_a_size: local embedded sshd_with_terminals dropbear;
    a_terminal_can_be_resized: local embedded sshd_with_terminals;
    stopping_ends_the_group: local embedded sshd dropbear;
    stopping_kills_what_ignores_it: local embedded sshd dropbear;
    stopping_works_with_a_terminal: local embedded sshd_with_terminals;
}

fn command(text: &str) -> SpawnRequest {
    SpawnRequest::new(Program::Command(text.as_bytes().to_vec()))
}

fn with_terminal(text: &str, columns: u16, rows: u16) -> SpawnRequest {
    let pty = PtyRequest::new("vt100", WindowSize::new(columns, rows));
    command(text).pty(pty)
}

/// Standard output, standard error and exit of a process whose input has ended.
async fn finish(mut process: Process) -> (Vec<u8>, Vec<u8>, ExitStatus) {
    process.stdin.shutdown().await.expect("its input ends");
    let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), None);
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(data) => stdout.extend_from_slice(&data),
            ProcessEvent::Stderr(data) => stderr.extend_from_slice(&data),
            ProcessEvent::Exit(status) => exit = Some(status),
            ProcessEvent::Lost(error) => panic!("the session broke: {error}"),
        }
    }
    (stdout, stderr, exit.expect("an exit"))
}

/// Standard output up to the end of its first line.
async fn first_line(process: &mut Process) -> String {
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        match process.next().await {
            Some(ProcessEvent::Stdout(data)) => text.extend_from_slice(&data),
            // A process's end may arrive before the last of its output.
            Some(ProcessEvent::Exit(_)) => {}
            other => panic!("no line of output, but {other:?}"),
        }
    }
    String::from_utf8(text).expect("text").trim().to_owned()
}

async fn streams_and_status_come_back(world: &World) {
    let session = world.session().await;
    let process = session.spawn(&command("echo out; echo err >&2; exit 3")).await.unwrap();
    let (stdout, stderr, exit) = finish(process).await;
    assert_eq!((stdout.as_slice(), stderr.as_slice(), exit), (&b"out\n"[..], &b"err\n"[..], ExitStatus::Code(3)));
}

async fn a_command_that_is_missing_is_127(world: &World) {
    let session = world.session().await;
    let process = session.spawn(&command("no-such-command-anywhere")).await.unwrap();
    let (stdout, stderr, exit) = finish(process).await;
    assert_eq!((stdout.len(), exit), (0, ExitStatus::Code(127)));
    assert!(String::from_utf8_lossy(&stderr).contains("no-such-command-anywhere"));
}

async fn standard_input_arrives_whole_and_ends(world: &World) {
    let session = world.session().await;
    let mut process = session.spawn(&command("cksum; echo done")).await.unwrap();
    let input: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    process.stdin.write_all(&input).await.unwrap();
    let (stdout, _, exit) = finish(process).await;
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(stdout.contains(" 3000000\ndone\n"), "{stdout}");
    assert_eq!(exit, ExitStatus::Code(0));
}

async fn bytes_are_kept(world: &World) {
    let session = world.session().await;
    let mut process = session.spawn(&command("cat; cat /dev/null >&2")).await.unwrap();
    let input: Vec<u8> = (0..=255).cycle().take(256 * 100).collect();
    process.stdin.write_all(&input).await.unwrap();
    let (stdout, stderr, _) = finish(process).await;
    assert!(stdout == input, "what came back is not what was sent");
    assert!(stderr.is_empty());
}

async fn much_output_arrives_whole(world: &World) {
    let session = world.session().await;
    let both = "head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let (stdout, stderr, exit) = finish(session.spawn(&command(both)).await.unwrap()).await;
    assert_eq!((stdout.len(), stderr.len(), exit), (5_000_000, 3_000_000, ExitStatus::Code(0)));
}

async fn a_signal_is_told(world: &World) {
    let session = world.session().await;
    let (.., exit) = finish(session.spawn(&command("kill -TERM $$")).await.unwrap()).await;
    assert!(matches!(exit, ExitStatus::Signal { signal: Signal::Term, .. }), "{exit:?}");
}

async fn output_comes_while_the_process_runs(world: &World) {
    let session = world.session().await;
    // It ends at the end of its input, so that its end comes after all lines.
    let mut process = session.spawn(&command("echo ready; read line; echo got $line; cat")).await.unwrap();
    assert_eq!(first_line(&mut process).await, "ready");
    process.stdin.write_all(b"word\n").await.unwrap();
    assert_eq!(first_line(&mut process).await, "got word");
    assert_eq!(finish(process).await.2, ExitStatus::Code(0));
}

async fn many_processes_run_at_once(world: &World) {
    let session = world.session().await;
    // Below sshd's MaxSessions; each waits until all have started.
    let mut processes = Vec::new();
    for number in 0..8 {
        processes.push(session.spawn(&command(&format!("read go; echo {number} $go"))).await.unwrap());
    }
    for (number, mut process) in processes.into_iter().enumerate() {
        process.stdin.write_all(b"went\n").await.unwrap();
        let (stdout, ..) = finish(process).await;
        assert_eq!(String::from_utf8_lossy(&stdout), format!("{number} went\n"));
    }
}

async fn one_that_takes_no_input_stops_no_other(world: &World) {
    let session = world.session().await;
    let mut stuck = session.spawn(&command("echo ready; exec sleep 1000")).await.unwrap();
    assert_eq!(first_line(&mut stuck).await, "ready");
    let Process { mut stdin, output, control, .. } = stuck;
    let writer = tokio::spawn(async move {
        // More than any pipe or window holds: this never ends by itself.
        let _ = stdin.write_all(&vec![0; 8 << 20]).await;
        stdin
    });
    let (stdout, ..) = finish(session.spawn(&command("echo free")).await.unwrap()).await;
    assert_eq!(stdout, b"free\n");
    assert_eq!(control.stop(Duration::from_secs(20)).await, StopOutcome::Ended);
    writer.abort();
    drop(output);
}

async fn a_terminal_has_a_type_and_a_size(world: &World) {
    let session = world.session().await;
    let text = "test -t 0 && test -t 1 && test -t 2 && echo $TERM && stty size && exit 4";
    let mut process = session.spawn(&with_terminal(text, 91, 33)).await.unwrap();
    let (mut stdout, mut exit) = (Vec::new(), None);
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(data) => stdout.extend_from_slice(&data),
            ProcessEvent::Exit(status) => exit = Some(status),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(String::from_utf8_lossy(&stdout), "vt100\r\n33 91\r\n");
    assert_eq!(exit, Some(ExitStatus::Code(4)));
}

async fn a_terminal_can_be_resized(world: &World) {
    let session = world.session().await;
    let text = "stty -echo; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done";
    let mut process = session.spawn(&with_terminal(text, 80, 24)).await.unwrap();
    assert_eq!(first_line(&mut process).await, "ready");
    process.control.resize(WindowSize::new(132, 50)).await.unwrap();
    assert_eq!(first_line(&mut process).await, "50 132");
}

/// Starts a shell with a child, and returns the ids of both.
async fn family(world: &World, request: impl Fn(&str) -> SpawnRequest, before: &str) -> (Process, Vec<i32>) {
    let session = world.session().await;
    let text = format!("{before} sleep 1000 & echo $$ $!; wait; wait; wait");
    let mut process = session.spawn(&request(&text)).await.unwrap();
    let ids = first_line(&mut process).await.split(' ').map(|id| id.parse().unwrap()).collect();
    // The session stays open for as long as the process is watched.
    std::mem::forget(session);
    (process, ids)
}

/// Waits until none of these processes runs; one that was not collected yet doesn't.
async fn gone(ids: &[i32]) {
    let runs = |id: &i32| match std::fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        // No such process, or no such file system.
        Err(_) => {
            !std::path::Path::new("/proc/self").exists()
                && rustix::process::Pid::from_raw(*id).is_some_and(|id| rustix::process::test_kill_process(id).is_ok())
        }
    };
    while ids.iter().any(runs) {
        tokio::task::yield_now().await;
    }
}

async fn stopping_ends_the_group(world: &World) {
    let (mut process, ids) = family(world, command, "").await;
    assert_eq!(process.control.stop(Duration::from_secs(20)).await, StopOutcome::Ended);
    gone(&ids).await;
    while process.next().await.is_some() {}
}

async fn stopping_kills_what_ignores_it(world: &World) {
    let (mut process, ids) = family(world, command, "trap '' TERM INT HUP;").await;
    assert_eq!(process.control.stop(Duration::from_millis(50)).await, StopOutcome::Ended);
    gone(&ids).await;
    while process.next().await.is_some() {}
}

async fn stopping_works_with_a_terminal(world: &World) {
    let (mut process, ids) = family(world, |text| with_terminal(text, 80, 24), "trap '' HUP;").await;
    assert_eq!(process.control.stop(Duration::from_secs(20)).await, StopOutcome::Ended);
    gone(&ids).await;
    while process.next().await.is_some() {}
}
