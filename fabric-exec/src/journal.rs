//! Journals: each run written down as it goes, so that its failed hosts can be tried again later and a
//! crash loses nothing.
//!
//! A journal is a file of JSON lines: what was asked for, then the events that say where the run stands.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use fabric_core::{Emitter, Event, EventKind, EventSink, HostStatus};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many journals are kept at least.
const KEPT: usize = 50;

/// And how many more there may be before the oldest go.
const SPARE: usize = 10;

const ENDING: &str = "jsonl";

/// What was asked for, the first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The run's name.
    pub run: String,
    /// When.
    pub at: Timestamp,
    /// The command line, the program's name left out.
    pub arguments: Vec<String>,
    /// The directory it was given in.
    pub directory: PathBuf,
}

/// A run as its journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was asked for.
    pub asked: Asked,
    /// Each host's worst status; one that was begun and has no end counts as failed.
    pub hosts: IndexMap<String, HostStatus>,
    /// Whether the run came to its end.
    pub ended: bool,
}

impl Recorded {
    /// The hosts that failed, timed out or could not be reached.
    pub fn failed(&self) -> Vec<String> {
        self.with(HostStatus::is_failure)
    }

    /// The hosts on which nothing was started.
    pub fn skipped(&self) -> Vec<String> {
        self.with(|status| status == HostStatus::Skipped)
    }

    fn with(&self, test: impl Fn(HostStatus) -> bool) -> Vec<String> {
        self.hosts.iter().filter(|(_, status)| test(**status)).map(|(host, _)| host.clone()).collect()
    }
}

/// An [`EventSink`] that writes a journal and passes every event on.
///
/// When the journal cannot be written (a full disk), the run is warned once and goes on without.
pub struct Journal {
    next: Arc<dyn EventSink>,
    file: Mutex<Option<File>>,
}

impl Journal {
    /// Begins a journal in `dir`, which is made if it is missing; the oldest ones there are removed.
    pub fn create(dir: &Path, asked: &Asked, next: Arc<dyn EventSink>) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(format!("{}.{ENDING}", plain(&asked.run)));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        write(&mut file, asked)?;
        prune(dir);
        Ok(Self { next, file: Mutex::new(Some(file)) })
    }
}

impl EventSink for Journal {
    fn emit(&self, event: Event) {
        let told = match event.kind {
            EventKind::TaskStarted { .. }
            | EventKind::HostStarted { .. }
            | EventKind::HostFinished { .. }
            | EventKind::Summary { .. } => {
                let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                let failed = file.as_mut().and_then(|file| write(file, &event).err());
                if failed.is_some() {
                    *file = None;
                }
                failed
            }
            _ => None,
        };
        let run = event.run.clone();
        self.next.emit(event);
        if let Some(error) = told {
            let message = format!("the journal cannot be written ({error}): --retry-failed will not know this run");
            Emitter::new(self.next.clone(), run).warn(message);
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.next.poll_ready(cx)
    }
}

/// One line at once, so that a crash leaves whole lines.
fn write(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// The journals in `dir`.
fn journals(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|ending| ending == ENDING)).collect()
}

/// These journals, oldest first.
fn by_age(journals: Vec<PathBuf>) -> Vec<PathBuf> {
    let aged = journals.into_iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)));
    let mut aged: Vec<(std::time::SystemTime, PathBuf)> = aged.collect();
    aged.sort();
    aged.into_iter().map(|(_, path)| path).collect()
}

fn prune(dir: &Path) {
    let all = journals(dir);
    // Several at once, so that most runs look at none of them.
    if all.len() < KEPT + SPARE {
        return;
    }
    let all = by_age(all);
    for path in &all[..all.len().saturating_sub(KEPT)] {
        // Another process may be at it too.
        let _ = fs::remove_file(path);
    }
}

/// A run's name as the name of a file.
fn plain(run: &str) -> String {
    run.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}

/// The last run that has a journal in `dir`, if there is one.
///
/// # Errors
///
/// A journal cannot be read, or is none.
pub fn last(dir: &Path) -> io::Result<Option<Recorded>> {
    by_age(journals(dir)).last().map(|path| read(path)).transpose()
}

/// Reads a journal. A line that a crash cut off is left out.
///
/// # Errors
///
/// The file cannot be read, or its first line is none of a journal.
pub fn read(path: &Path) -> io::Result<Recorded> {
    #[derive(Deserialize)]
    struct Line {
        event: String,
        host: Option<String>,
        status: Option<HostStatus>,
        #[serde(default)]
        hosts: serde_json::Value,
    }
    let mut lines = BufReader::new(File::open(path)?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let asked: Asked = serde_json::from_str(&first).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is no journal: {error}", path.display()))
    })?;
    let mut recorded = Recorded { asked, hosts: IndexMap::new(), ended: false };
    let mut begun: IndexMap<String, u32> = IndexMap::new();
    for line in lines {
        let Ok(line) = serde_json::from_str::<Line>(&line?) else { continue };
        match (line.event.as_str(), line.host) {
            ("task_started", _) => {
                for host in line.hosts.as_array().into_iter().flatten().filter_map(|host| host.as_str()) {
                    recorded.hosts.entry(host.to_owned()).or_insert(HostStatus::Skipped);
                }
            }
            ("host_started", Some(host)) => *begun.entry(host).or_default() = 1,
            ("host_finished", Some(host)) => {
                begun.shift_remove(&host);
                let status = line.status.unwrap_or(HostStatus::Failed);
                let entry = recorded.hosts.entry(host).or_insert(HostStatus::Skipped);
                *entry = (*entry).max(status);
            }
            ("summary", _) => recorded.ended = true,
            _ => {}
        }
    }
    if !recorded.ended {
        for host in begun.into_keys() {
            let entry = recorded.hosts.entry(host).or_insert(HostStatus::Skipped);
            *entry = (*entry).max(HostStatus::Failed);
        }
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::event::NoEvents;

    fn asked(run: &str) -> Asked {
        Asked {
            run: run.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            arguments: vec!["deploy".to_owned()],
            directory: "/srv".into(),
        }
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl EventSink for Kept {
        fn emit(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    fn finished(status: HostStatus) -> EventKind {
        EventKind::HostFinished { status, error: None, duration_ms: 1 }
    }

    #[test]
    fn a_crash_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), &asked("r1"), Arc::new(NoEvents)).unwrap();
        let emitter = Emitter::new(Arc::new(journal), "r1");
        let hosts = ["a", "b", "c", "d"].map(Arc::from).to_vec();
        emitter.emit(EventKind::TaskStarted { hosts, strategy: "parallel".to_owned() });
        for host in ["a", "b", "c"] {
            emitter.for_host(host).emit(EventKind::HostStarted { attempt: 1 });
        }
        emitter.for_host("a").emit(finished(HostStatus::Ok));
        emitter.for_host("b").emit(finished(HostStatus::Unreachable));
        let recorded = last(dir.path()).unwrap().unwrap();
        assert_eq!(recorded.asked, asked("r1"));
        assert!(!recorded.ended);
        assert_eq!((recorded.failed(), recorded.skipped()), (vec!["b".into(), "c".into()], vec!["d".to_owned()]));
    }

    #[test]
    fn old_journals_go() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last(dir.path()).unwrap(), None);
        let mut create =
            |n| Journal::create(dir.path(), &asked(&format!("r{n}")), Arc::new(NoEvents)).map(drop).unwrap();
        (1..KEPT + SPARE).for_each(&mut create);
        assert_eq!(journals(dir.path()).len(), KEPT + SPARE - 1);
        create(KEPT + SPARE);
        assert_eq!(journals(dir.path()).len(), KEPT);
        assert_eq!(last(dir.path()).unwrap().unwrap().asked, asked(&format!("r{}", KEPT + SPARE)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_warning_and_nothing_more() {
        let kept = Arc::new(Kept::default());
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let journal = Journal { next: kept.clone(), file: Mutex::new(Some(full)) };
        let emitter = Emitter::new(Arc::new(journal), "r");
        for _ in 0..3 {
            emitter.for_host("a").emit(finished(HostStatus::Ok));
        }
        let events = kept.0.lock().unwrap();
        let warnings = events.iter().filter(|event| matches!(event.kind, EventKind::Warning { .. })).count();
        assert_eq!((events.len(), warnings), (4, 1));
    }
}
