//! One process, measured from its start to its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::results::Usage;

/// How often the process is looked at.
const SAMPLE: Duration = Duration::from_millis(4);
/// How often its descendants are, which takes longer.
const SAMPLE_TREE: Duration = Duration::from_millis(50);

/// How to measure a process.
pub(crate) struct Trial<'a> {
    /// Gets its standard output.
    pub(crate) stdout: &'a Path,
    /// Gets its standard error.
    pub(crate) stderr: &'a Path,
    /// When it is ended.
    pub(crate) limit: Duration,
    /// Whether it has other processes work for it.
    pub(crate) tree: bool,
}

/// Runs a command to its end. It is an error unless the command ends with status 0.
///
/// Nothing else that this process has started may end meanwhile: processor time is that of the children that have ended.
pub(crate) fn measure(command: &mut Command, trial: &Trial<'_>) -> Result<Usage, String> {
    let open = |path: &Path| {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        file.map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut stderr = open(trial.stderr)?;
    let clone = stderr.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(open(trial.stdout)?).stderr(clone).process_group(0);
    let before = processor_time();
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let group = Pid::from_raw(child.id() as i32);
    let (ended, wait) = mpsc::channel();
    let (status, wall, seen) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || watch(group, trial, &wait));
        let (status, wall) = finish(child, begun);
        let _ = ended.send(());
        (status, wall, watch.join().unwrap_or_default())
    });
    let cpu = processor_time().saturating_sub(before).as_secs_f64();
    let status = status.map_err(|error| error.to_string())?;
    if seen.stopped {
        return Err(format!("not done in {} s", trial.limit.as_secs()));
    }
    if !status.success() {
        let mut said = String::new();
        // Only for a person.
        let _ = stderr.seek(SeekFrom::Start(0)).and_then(|_| stderr.read_to_string(&mut said));
        let tail: Vec<&str> = said.lines().rev().take(3).collect();
        return Err(format!("{status}: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" / ")));
    }
    Ok(Usage { wall: wall.as_secs_f64(), cpu, memory: seen.memory as f64 / 1024.0, threads: seen.threads, value: None })
}

fn finish(mut child: Child, begun: Instant) -> (std::io::Result<std::process::ExitStatus>, Duration) {
    let status = child.wait();
    (status, begun.elapsed())
}

/// Of all children that have ended and were waited for, with theirs.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it has no way to fail");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

#[derive(Default)]
struct Seen {
    /// KiB.
    memory: u64,
    threads: u32,
    /// It took too long.
    stopped: bool,
}

/// Looks at a process until it has ended, and ends it, and its descendants, at the limit.
fn watch(root: Pid, trial: &Trial<'_>, ended: &mpsc::Receiver<()>) -> Seen {
    let begun = Instant::now();
    let mut seen = Seen::default();
    let period = if trial.tree { SAMPLE_TREE } else { SAMPLE };
    while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
        let family = if trial.tree { family(root.as_raw()) } else { vec![root.as_raw()] };
        let (mut memory, mut threads) = (0, 0);
        for process in family {
            let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) else { continue };
            // Of a single process the kernel keeps the most itself.
            memory += field(&status, if trial.tree { "VmRSS:" } else { "VmHWM:" });
            threads += field(&status, "Threads:") as u32;
        }
        seen.memory = seen.memory.max(memory);
        seen.threads = seen.threads.max(threads);
        if begun.elapsed() > trial.limit && !seen.stopped {
            seen.stopped = true;
            // It may just have ended by itself.
            let _ = killpg(root, Signal::SIGKILL);
        }
    }
    seen
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A process and its descendants.
fn family(root: i32) -> Vec<i32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        // Behind the name, which may hold anything: the state, then the parent.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&process) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == process).map(|(child, _)| *child));
        next += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_grandchildren_and_failures_count() {
        let dir = tempfile::tempdir().unwrap();
        let (stdout, stderr) = (dir.path().join("out"), dir.path().join("err"));
        let trial = Trial { stdout: &stdout, stderr: &stderr, limit: Duration::from_mins(1), tree: true };
        let mut command = Command::new("sh");
        // Two processes that count, one of them a grandchild.
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done'"]);
        let usage = measure(&mut command, &trial).unwrap();
        assert!(usage.cpu > 0.0 && usage.wall > 0.0, "{usage:?}");
        assert_eq!(std::fs::read_to_string(&stdout).unwrap(), "done\n");

        let mut command = Command::new("sh");
        let error = measure(command.args(["-c", "echo why >&2; exit 3"]), &trial).unwrap_err();
        assert!(error.ends_with("3: why"), "{error}");

        let trial = Trial { limit: Duration::from_millis(100), ..trial };
        let error = measure(Command::new("sleep").arg("1000"), &trial).unwrap_err();
        assert_eq!(error, "not done in 0 s");
    }
}
