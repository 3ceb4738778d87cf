//! Process groups: signals to them, and whether any of their processes still runs.

use std::io;
use std::time::Duration;

use fabric_core::Signal;
use fabric_core::transport::StopOutcome;
use rustix::process::{Pid, Signal as Number, kill_process_group, test_kill_process_group};
use tokio::time::{Instant, sleep};

/// How long killed processes may take to end.
pub(super) const AFTER_KILL: Duration = Duration::from_secs(2);

/// The system doesn't report when a group has become empty, so it is polled.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// The system's number of a signal.
pub(super) fn number_of(signal: &Signal) -> Option<Number> {
    Some(match signal {
        Signal::Abrt => Number::ABORT,
        Signal::Alrm => Number::ALARM,
        Signal::Fpe => Number::FPE,
        Signal::Hup => Number::HUP,
        Signal::Ill => Number::ILL,
        Signal::Int => Number::INT,
        Signal::Kill => Number::KILL,
        Signal::Pipe => Number::PIPE,
        Signal::Quit => Number::QUIT,
        Signal::Segv => Number::SEGV,
        Signal::Term => Number::TERM,
        Signal::Usr1 => Number::USR1,
        Signal::Usr2 => Number::USR2,
        Signal::Other(name) => match name.as_str() {
            "CONT" => Number::CONT,
            "STOP" => Number::STOP,
            "TSTP" => Number::TSTP,
            "WINCH" => Number::WINCH,
            "CHLD" => Number::CHILD,
            "BUS" => Number::BUS,
            "TRAP" => Number::TRAP,
            _ => return None,
        },
        _ => return None,
    })
}

/// The signal of a system number.
pub(super) fn signal_of(number: i32) -> Signal {
    const NAMES: [&str; 20] = [
        "ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2", "CONT",
        "STOP", "TSTP", "WINCH", "CHLD", "BUS", "TRAP",
    ];
    let named = NAMES.iter().map(|name| Signal::from_name(name));
    let found = named.into_iter().find(|signal| number_of(signal).is_some_and(|n| n.as_raw() == number));
    found.unwrap_or_else(|| Signal::Other(number.to_string()))
}

/// Sends a signal to a group; one that is gone already is no error.
pub(super) fn send(group: Pid, signal: Number) -> io::Result<()> {
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends TERM, then KILL to the rest after `grace`; returns the result.
pub(super) async fn stop(groups: &[Pid], grace: Duration) -> StopOutcome {
    let mut refused = None;
    for (signal, patience) in [(Number::TERM, grace), (Number::KILL, AFTER_KILL)] {
        for group in groups {
            refused = send(*group, signal).err().or(refused);
        }
        let deadline = Instant::now() + patience;
        loop {
            if !groups.iter().any(|group| lives(*group)) {
                return StopOutcome::Ended;
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(ASK_EVERY.min(deadline - Instant::now())).await;
        }
    }
    StopOutcome::Unknown(match refused {
        Some(error) => format!("the system refused the signal: {error}"),
        None => "it did not end after SIGKILL".to_owned(),
    })
}

/// Whether a process of the group still runs. Zombies don't count: in a container without an init they are never
/// reaped.
fn lives(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    match std::fs::read_dir("/proc") {
        Ok(entries) => entries.flatten().any(|entry| runs_in(&entry.path().join("stat"), group)),
        Err(_) => true,
    }
}

/// `pid (name) state ppid pgrp ..`; the name may contain any character (proc(5)).
fn runs_in(stat: &std::path::Path, group: Pid) -> bool {
    let Ok(text) = std::fs::read(stat) else { return false };
    let Some(end) = text.iter().rposition(|b| *b == b')') else { return false };
    let rest = String::from_utf8_lossy(&text[end + 1..]);
    let mut fields = rest.split_whitespace();
    let state = fields.next().unwrap_or("Z");
    let of = fields.nth(1).and_then(|field| field.parse::<i32>().ok());
    !matches!(state, "Z" | "X") && of == Some(group.as_raw_nonzero().get())
}
