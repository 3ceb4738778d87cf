//! Processes: streams, exit statuses, input, several at once, stopping, terminals.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::transport::{PtyRequest, StopOutcome, WindowSize};
use fabric_core::{ExitStatus, ProcessEvent, Session, Signal};
use tokio::io::AsyncWriteExt as _;

use super::{Failure, ensure, gather, on_a_terminal, run_line, start};

pub(super) async fn streams_stay_apart(session: Arc<dyn Session>) -> Result<(), Failure> {
    let said = run_line(&session, "printf out; printf err >&2").await?;
    ensure!(said.stdout == b"out" && said.stderr == b"err" && said.exit == ExitStatus::Code(0), "{said:?}");
    Ok(())
}

pub(super) async fn exit_status_is_told(session: Arc<dyn Session>) -> Result<(), Failure> {
    for status in [0, 1, 7, 255] {
        let said = run_line(&session, &format!("exit {status}")).await?;
        ensure!(said.exit == ExitStatus::Code(status), "exit {status}: {said:?}");
    }
    Ok(())
}

pub(super) async fn a_signal_is_told(session: Arc<dyn Session>) -> Result<(), Failure> {
    let said = run_line(&session, "kill -TERM $$").await?;
    // A shell in between may turn it into a status.
    ensure!(matches!(&said.exit, ExitStatus::Signal { signal: Signal::Term, .. } | ExitStatus::Code(143)), "{said:?}");
    Ok(())
}

pub(super) async fn end_of_input_ends_a_reader(session: Arc<dyn Session>) -> Result<(), Failure> {
    let said = run_line(&session, "cat; echo done").await?;
    ensure!(said.stdout == b"done\n", "{said:?}");
    Ok(())
}

/// More than all windows and buffers on the way hold, so that they fill up and empty again.
pub(super) async fn bytes_both_ways_are_exact(session: Arc<dyn Session>) -> Result<(), Failure> {
    const LENGTH: usize = 100_000_000;
    const PIECE: usize = 1 << 20;
    let piece = |from: usize| -> Vec<u8> {
        let length = PIECE.min(LENGTH - from);
        (from..from + length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    };
    let process = start(&session, "cat").await?;
    let fabric_core::Process { mut stdin, mut output, control: _control, .. } = process;
    let write = async {
        let mut sent = 0;
        while sent < LENGTH {
            let bytes = piece(sent);
            stdin.write_all(&bytes).await.map_err(|error| format!("after {sent} bytes of input: {error}"))?;
            sent += bytes.len();
        }
        stdin.shutdown().await.map_err(|error| format!("closing input: {error}"))
    };
    let read = async {
        let mut received = 0;
        let mut expected = Vec::new();
        let mut exit = ExitStatus::Unknown;
        while let Some(event) = std::future::poll_fn(|cx| output.poll_next(cx)).await {
            match event {
                ProcessEvent::Stdout(mut bytes) => {
                    while !bytes.is_empty() {
                        if expected.is_empty() {
                            ensure!(received < LENGTH, "more bytes came back than were sent");
                            expected = piece(received);
                        }
                        let length = bytes.len().min(expected.len());
                        let equal = bytes.split_to(length) == expected[..length];
                        ensure!(equal, "the bytes from {received} on came back changed");
                        expected.drain(..length);
                        received += length;
                    }
                }
                ProcessEvent::Exit(status) => exit = status,
                other => return Err(format!("{other:?}")),
            }
        }
        ensure!(received == LENGTH && exit == ExitStatus::Code(0), "{received} of {LENGTH} bytes came back, {exit}");
        Ok(())
    };
    let (written, read) = tokio::join!(write, read);
    written.and(read)
}

pub(super) async fn output_is_whole_when_the_process_ends(session: Arc<dyn Session>) -> Result<(), Failure> {
    let said = run_line(&session, "head -c 300000 /dev/zero; head -c 70000 /dev/zero >&2; exit 5").await?;
    let (out, err) = (said.stdout.len(), said.stderr.len());
    ensure!(
        out == 300_000 && err == 70_000 && said.exit == ExitStatus::Code(5),
        "{out} and {err} bytes, {}",
        said.exit
    );
    Ok(())
}

pub(super) async fn one_stream_may_end_before_the_other(session: Arc<dyn Session>) -> Result<(), Failure> {
    // Waits for input after standard output has ended, so that the order is certain.
    let mut process = start(&session, "exec >&-; echo ready >&2; read line; echo $line >&2; exit 4").await?;
    match process.next().await {
        Some(ProcessEvent::Stderr(bytes)) if bytes == "ready\n" => {}
        other => return Err(format!("expected `ready`, got {other:?}")),
    }
    process.stdin.write_all(b"late\n").await.map_err(|error| format!("after standard output ended: {error}"))?;
    let said = gather(process).await?;
    ensure!(said.stderr == b"late\n" && said.exit == ExitStatus::Code(4), "{said:?}");
    Ok(())
}

pub(super) async fn processes_run_beside_each_other(session: Arc<dyn Session>) -> Result<(), Failure> {
    const COUNT: usize = 8;
    let mut processes = Vec::new();
    for number in 0..COUNT {
        processes.push(start(&session, &format!("read line; echo {number} $line")).await?);
    }
    // Answered in reverse order, so that none of them can have waited for another.
    for (number, mut process) in processes.into_iter().enumerate().rev() {
        process.stdin.write_all(b"go\n").await.map_err(|error| error.to_string())?;
        let said = gather(process).await?;
        ensure!(said.stdout() == format!("{number} go\n"), "{said:?}");
    }
    Ok(())
}

pub(super) async fn an_unread_process_holds_up_no_other(session: Arc<dyn Session>) -> Result<(), Failure> {
    // More than pipes and sockets hold, but within what a transport must buffer for a slow reader.
    let flood = start(&session, "head -c 4000000 /dev/zero").await?;
    let said = run_line(&session, "echo other").await?;
    ensure!(said.stdout == b"other\n", "{said:?}");
    let said = gather(flood).await?;
    ensure!(said.stdout.len() == 4_000_000, "{} bytes", said.stdout.len());
    Ok(())
}

pub(super) async fn a_dropped_process_harms_nothing(session: Arc<dyn Session>) -> Result<(), Failure> {
    // Fewer than sshd allows at once on a connection (MaxSessions): it frees them when the processes have ended.
    for _ in 0..5 {
        drop(start(&session, "while :; do echo flood; done").await?);
    }
    let said = run_line(&session, "echo still here").await?;
    ensure!(said.stdout == b"still here\n", "{said:?}");
    Ok(())
}

pub(super) async fn a_process_is_stopped(session: Arc<dyn Session>) -> Result<(), Failure> {
    // A child of the shell, so that stopping must reach the whole group; the shell prints its number.
    let mut process = start(&session, "sleep 1000 & echo $!; wait").await?;
    let pid = match process.next().await {
        Some(ProcessEvent::Stdout(bytes)) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        other => return Err(format!("expected a number, got {other:?}")),
    };
    let stopped = process.control.stop(Duration::from_secs(5)).await;
    ensure!(stopped == StopOutcome::Ended, "{stopped:?}");
    gather(process).await?;
    // A zombie (state Z) doesn't run any more.
    let said =
        run_line(&session, &format!("case $(ps -o stat= -p {pid}) in ''|Z*) echo gone;; *) echo alive;; esac")).await?;
    ensure!(said.stdout == b"gone\n", "process {pid} is alive after stop()");
    Ok(())
}

pub(super) async fn a_terminal_has_its_size(session: Arc<dyn Session>) -> Result<(), Failure> {
    let pty = PtyRequest::new("vt220", WindowSize::new(101, 31));
    let request = on_a_terminal("stty size; echo $TERM; until stty size | grep -x '50 120'; do :; done", pty);
    let mut process = session.spawn(&request).await.map_err(|error| format!("no terminal: {error}"))?;
    let mut seen = String::new();
    while !seen.contains("vt220") {
        match process.next().await {
            Some(ProcessEvent::Stdout(bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            other => return Err(format!("after {seen:?}: {other:?}")),
        }
    }
    ensure!(seen.contains("31 101"), "{seen:?}");
    let size = WindowSize::new(120, 50);
    process.control.resize(size).await.map_err(|error| format!("resize: {error}"))?;
    // It may come on another way than input does, so the process itself waits for it.
    let said = gather(process).await?;
    ensure!(said.stdout().contains("50 120"), "{said:?}");
    Ok(())
}
