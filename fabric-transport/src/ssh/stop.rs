//! Stopping a process on the host, and making sure that it ended.
//!
//! The protocol's signal request has no answer, and sshd ignores it for root and for forced commands. So a script on a
//! second channel of the same connection stops the process. The processes that sshd starts for the channels of a
//! connection have one parent, which is also the parent of the script's shell. The right one is identified by the order
//! in which they were started, checked by their number. If it is not certain, nothing is killed, and the answer says why.
//!
//! A process that has ended may have left others behind that hold its output, and so its channel, open (`server &`). They
//! are identified by the connection in their environment, by a session whose leader has gone, and by a pipe to the server.
//! They are stopped only if there is one such session, and one such channel.

use std::fmt::Write as _;
use std::time::Duration;

use fabric_core::transport::{Process, ProcessEvent, Program, SpawnRequest, StopOutcome};
use fabric_core::{SessionError, Signal};

use super::control::Control;
use super::registry::Position;
use crate::commands::HELD;

/// The time for the channel, the shell and the script, in addition to the grace time.
const OVERHEAD: Duration = Duration::from_secs(8);

/// The time between the end of a process and that of its output.
const SETTLE: Duration = Duration::from_millis(500);

/// The time between the end of a process and the server's report.
const REPORT: Duration = Duration::from_secs(2);

/// The script prints less, including the start files of the login shell. If there is more, the host runs another program
/// instead, such as a forced command.
const LONGEST_ANSWER: usize = 256 << 10;

/// Finds the process, sends TERM to its process group and session, KILL to the rest after the grace time, and prints
/// `ended` or why not. If it has no process group of its own, as with dropbear without a terminal, it and its descendants
/// (`kin`) are stopped.
///
/// With `left` for `$1` it stops the session that was left behind; `$2` channels wait for one.
///
/// One line without single quotes, `!` or newlines, so that csh and fish pass it on to `sh` too. `$1` is
/// the position of the process among the `$2` live ones of this connection, `$3` the grace time in tenths of seconds.
/// Linux is read from /proc, because slim systems have no `ps`.
const SCRIPT: &str = concat!(
    "exec 2>/dev/null; want=$1; live=$2; grace=$3; me=$$; top=$PPID; ",
    "list() { if [ -r /proc/self/stat ]; then for d in /proc/[0-9]*; do read -r line <$d/stat || continue; ",
    "id=${line%% *}; set -- ${line##*) }; echo ${20} $id $2 $3 $4 $1; done; ",
    "else ps -A -o pid= -o ppid= -o pgid= -o stat= | while read -r id up group state; do ",
    "echo $id $id $up $group $group $state; done; fi; }; ",
    "words() { tr \"\\0\" \" \" </proc/$1/cmdline || ps -o args= -p $1; }; ",
    "find() { list | sort -n | while read -r at id up group session state; do ",
    "[ $up = $top ] || continue; [ $id = $me ] && continue; case $state in Z*) continue;; esac; ",
    "case $(words $id) in *\" fabric-stop \"*) continue;; esac; echo $id; done; }; ",
    "mine() { tr \"\\0\" \"\\n\" </proc/$1/environ | grep -qxF \"SSH_CONNECTION=$SSH_CONNECTION\"; }; ",
    "readers() { ls -l $1 | grep ^lr | grep -cF -- \"-> $pipe\"; }; ",
    "holds() { for fd in 1 2; do pipe=$(readlink /proc/$1/fd/$fd); case $pipe in pipe:*) ;; *) continue;; esac; ",
    // Only root can see the server's end; another reader is in a pipeline.
    "[ $(readers \"/proc/[0-9]*/fd\") = $(readers /proc/$top/fd) ] && return 0; done; return 1; }; ",
    "left() { list | while read -r at id up group session state; do case $state in Z*) continue;; esac; ",
    "[ -e /proc/$session ] && continue; mine $id || continue; holds $id && echo $session; done | sort -u; }; ",
    "if [ $want = left ]; then found=$(left); want=0; else found=$(find); fi; set -- $found; ",
    "[ $# = $live ] || { echo \"unclear: $# processes on this connection, $live expected\"; exit; }; ",
    "shift $want; it=$1; ",
    "members() { list | sort -n | while read -r at id up group session state; do case $state in Z*) continue;; esac; ",
    "if [ $group = $it ] || [ $session = $it ]; then echo $id; continue; fi; ",
    "case \"$kin\" in *\" $id \"* | *\" $up \"*) kin=\"$kin$id \"; echo $id;; esac; done; }; ",
    // Processes that it has started in their own sessions are left alone, and reported if they use the terminal.
    "tty() { for fd in 0 1 2; do case $(readlink /proc/$1/fd/$fd) in /dev/pts/*) return 0;; esac; done; return 1; }; ",
    "away() { list | sort -n | while read -r at id up group session state; do case \"$tree\" in *\" $up \"*) ;; ",
    "*) continue;; esac; tree=\"$tree$id \"; [ $group = $it ] && continue; [ $session = $it ] && continue; ",
    "tty $id && echo $id; done; }; tree=\" $it \"; away=$(echo $(away)); ",
    "kin=; [ \"$(members)\" ] || { kin=\" $it \"; kin=\" $(echo $(members)) \"; }; ",
    "send() { for id in $(members); do kill -$1 $id; done; }; ",
    "nap() { sleep 0.1 || sleep 1; }; ",
    "send TERM; n=0; while [ -n \"$(members)\" ] && [ $n -lt $grace ]; do nap; n=$((n+1)); done; ",
    "n=0; while [ -n \"$(members)\" ] && [ $n -lt 20 ]; do send KILL; nap; n=$((n+1)); done; ",
    "left=$(echo $(members)); if [ \"$left\" ]; then echo \"alive: $left\"; exit; fi; ",
    "for id in $away; do read -r line </proc/$id/stat || continue; case $line in *\") Z \"*) ;; *) left=\"$left $id\";; esac; done; ",
    "if [ \"$left\" ]; then echo \"away:$left\"; else echo ended; fi",
);

/// Stops the process of `control`. `run` starts an unlisted process on the same connection.
pub(super) async fn stop<F>(control: &Control, run: impl Fn(SpawnRequest) -> F, grace: Duration) -> StopOutcome
where
    F: Future<Output = Result<Process, SessionError>>,
{
    let script = async |which: &str, live| by_script(&run, which, live, grace).await;
    control.make_way();
    // One at a time: concurrent scripts would count each other.
    let _turn = control.turn().await;
    let work = async {
        // The list may be outdated for a moment if another process of the connection is ending.
        let mut reason = String::new();
        for pause in [0, 50, 100, 200] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if control.has_ended() {
                return what_is_left(control, script("left", 1)).await;
            }
            let Some(Position { index, live }) = control.position() else {
                "it is not among the processes of this connection".clone_into(&mut reason);
                continue;
            };
            match script(&index.to_string(), live).await {
                Ok(answer) if answer == "ended" => return output_ends(control).await,
                Ok(answer) if answer.starts_with("away: ") => {
                    let ids = &answer["away: ".len()..];
                    let reason = format!("processes {ids}, which it started in sessions of their own, were left alone");
                    return StopOutcome::Unknown(reason);
                }
                Ok(answer) => match answer.strip_prefix("alive: ") {
                    Some(ids) => {
                        let reason = format!("processes {ids} cannot be ended by the login user");
                        return StopOutcome::Unknown(reason);
                    }
                    None => reason = answer,
                },
                Err(error) => return by_signal(control, grace, &error).await,
            }
        }
        let error = SessionError::System { what: "finding the process".to_owned(), reason };
        by_signal(control, grace, &error).await
    };
    match tokio::time::timeout(grace + OVERHEAD, work).await {
        Ok(outcome) => outcome,
        Err(_) => StopOutcome::Unknown("the host did not answer in time".to_owned()),
    }
}

/// After all that could be found has ended.
async fn output_ends(control: &Control) -> StopOutcome {
    if control.is_whole(REPORT).await {
        StopOutcome::Ended
    } else if control.has_ended() {
        StopOutcome::Unknown(HELD.to_owned())
    } else {
        StopOutcome::Unknown("the host still holds its output open".to_owned())
    }
}

/// Stops background processes of a process that has ended, if they hold its output open.
async fn what_is_left<F>(control: &Control, left: F) -> StopOutcome
where
    F: Future<Output = Result<String, SessionError>>,
{
    // Constant output doesn't prevent it.
    if tokio::time::timeout(SETTLE, control.is_whole(SETTLE)).await == Ok(true) {
        return StopOutcome::Ended;
    }
    // With several such channels it isn't certain which of them is the right one.
    if control.held() == 1 {
        match left.await {
            Ok(answer) if answer == "ended" => return output_ends(control).await,
            Ok(answer) => tracing::debug!(%answer, "what a command left behind"),
            Err(error) => tracing::debug!(%error, "what a command left behind"),
        }
    }
    output_ends(control).await
}

/// Runs the script on a channel of its own and returns the last line that it prints.
async fn by_script<F>(
    run: &impl Fn(SpawnRequest) -> F,
    which: &str,
    live: usize,
    grace: Duration,
) -> Result<String, SessionError>
where
    F: Future<Output = Result<Process, SessionError>>,
{
    let mut command = String::new();
    let tenths = grace.as_millis().div_ceil(100);
    // Writing to a String cannot fail.
    let _ = write!(command, "exec /bin/sh -c '{SCRIPT}' fabric-stop {which} {live} {tenths}");
    let request = SpawnRequest::new(Program::Command(command.into_bytes()));
    let mut process = run(request).await?;
    let (mut output, mut said) = (Vec::new(), 0);
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(data) => output.extend_from_slice(&data),
            ProcessEvent::Lost(error) => return Err(error),
            ProcessEvent::Stderr(data) => said += data.len(),
            ProcessEvent::Exit(_) => {}
        }
        if output.len() + said > LONGEST_ANSWER {
            return Err(SessionError::System {
                what: "ending the process".to_owned(),
                reason: "the host runs another program instead of the script that was to end it".to_owned(),
            });
        }
    }
    // Start files of the login shell may print something first.
    let text = String::from_utf8_lossy(&output);
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map(str::to_owned).ok_or_else(|| SessionError::System {
        what: "ending the process".to_owned(),
        reason: "the host ran no script".to_owned(),
    })
}

/// Without a second channel: by the protocol's own signals.
async fn by_signal(control: &Control, grace: Duration, error: &SessionError) -> StopOutcome {
    // Both within the grace time, so that an interrupt doesn't take longer.
    let report = REPORT.min(grace / 2);
    for (signal, wait) in [(Signal::Term, grace.saturating_sub(report)), (Signal::Kill, report)] {
        if control.send_signal(&signal).await.is_ok() && tokio::time::timeout(wait, control.ended()).await.is_ok() {
            return StopOutcome::Ended;
        }
    }
    StopOutcome::Unknown(format!("{error}, and the server passes no signals on"))
}
