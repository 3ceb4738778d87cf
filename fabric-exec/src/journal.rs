//! Journals: each run written down as it goes, so that what it did not finish can be tried again later and a
//! crash loses nothing.
//!
//! A journal is a file of JSON lines: what was asked for, then how far each execution of a task has come. An execution
//! has a key that is the same when the same command line is run again: the task with its arguments, in whose run on
//! which host it was executed, and how often before.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use fabric_core::settings::Map;
use fabric_core::{HostStatus, Value};
use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::report::Ending;

/// How many journals are kept at least.
const KEPT: usize = 50;

/// And how many more there may be before the oldest go.
const SPARE: usize = 10;

const ENDING: &str = "jsonl";

/// How the lines of a journal are to be read.
const VERSION: u32 = 2;

/// What was asked for, the first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl Asked {
    /// Of the run with this name, now.
    pub fn new(run: impl Into<String>, arguments: Vec<String>, directory: impl Into<PathBuf>) -> Self {
        Self { run: run.into(), at: Timestamp::now(), arguments, directory: directory.into() }
    }
}

/// A run as its journal has it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// What was asked for.
    pub asked: Asked,
    /// Each host's worst status; one that was begun and has no end counts as failed.
    pub hosts: IndexMap<String, HostStatus>,
    /// How the run ended; `None` if it did not come to its end.
    pub ending: Option<Ending>,
    /// Whether it is under way: another process has its journal open.
    pub running: bool,
    /// Whether commands were given the program's standard input, which no journal holds.
    pub took_input: bool,
    /// What was done of each execution, by key, in this run and in those that it tried again.
    pub(crate) done: IndexMap<String, Done>,
}

/// What was done of one execution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// By host string, empty for a local run: how it ended, and what it returned where another task executed it.
    pub(crate) hosts: IndexMap<String, DoneHost>,
    /// Whether all of its hosts came to their end.
    #[serde(default)]
    pub(crate) finished: bool,
    /// Whether it changed the shared state that later tasks see.
    #[serde(default)]
    pub(crate) sets: bool,
    /// What it set, if all of that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<Map>,
}

impl Done {
    /// Whether later tasks can see what it set without that it is done again.
    pub(crate) fn can_be_left(&self) -> bool {
        !self.sets || self.values.is_some()
    }
}

/// How an execution ended on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DoneHost {
    pub(crate) status: HostStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
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

    /// Whether there is nothing to try again: it succeeded, and no host failed, not even where that was allowed.
    pub fn is_done(&self) -> bool {
        self.ending == Some(Ending::Ok) && !self.hosts.values().any(|status| status.is_failure())
    }

    fn with(&self, test: impl Fn(HostStatus) -> bool) -> Vec<String> {
        self.hosts.iter().filter(|(_, status)| test(**status)).map(|(host, _)| host.clone()).collect()
    }
}

/// A line of a journal after the first. Executions without a key are tried again whatever came of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    /// What was done in the run that is tried again.
    Earlier { done: IndexMap<String, Done> },
    /// An execution begins on these hosts; on none if it is local.
    TaskStarted { key: Option<String>, hosts: Vec<String> },
    /// It begins on a host.
    HostStarted { host: Option<String> },
    /// It ended on a host.
    HostFinished {
        /// Its place among the executions of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        execution: Option<usize>,
        key: Option<String>,
        host: Option<String>,
        status: HostStatus,
        #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// What it did on these hosts is being undone: it is to be done again, however far that gets.
    RolledBack { key: Option<String>, hosts: Vec<String> },
    /// What it did on these hosts is undone.
    Undone { hosts: Vec<String> },
    /// The try that made these executions is made again: what they came to counts no more.
    Superseded { executions: Vec<usize> },
    /// It ended.
    TaskFinished {
        key: Option<String>,
        /// Whether it changed the shared state that later tasks see.
        sets: bool,
        /// What it set, if that may be written down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Map>,
    },
    /// Commands were given this program's standard input, which is not written down.
    TookInput,
    /// The run ended.
    Ended { ending: Ending },
}

/// A value that is there, be it nothing.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Where a run is written down. The file is made when the run begins.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    asked: Asked,
    file: Mutex<JournalFile>,
}

#[derive(Debug)]
enum JournalFile {
    NotYet,
    Open(File),
    /// It could not be written.
    Off,
}

/// Why a run is not written down.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// The file could not be made: a home that is read-only is a decision.
    Refused,
    /// The same, by an accident.
    Not(PathBuf, io::Error),
    /// The disk is full, for example.
    Anymore(io::Error),
}

impl Journal {
    /// A journal in `dir`, which is made if it is missing; the oldest ones there are removed.
    pub fn new(dir: impl Into<PathBuf>, asked: Asked) -> Self {
        Self { dir: dir.into(), asked, file: Mutex::new(JournalFile::NotYet) }
    }

    /// Writes a line. If it can't be written, there is one warning, and the run goes on without a journal.
    pub(crate) fn write(&self, line: &Line) -> Result<(), Unwritten> {
        let mut place = self.file.lock();
        if matches!(*place, JournalFile::NotYet) {
            *place = match self.create() {
                Ok(file) => JournalFile::Open(file),
                Err(error) => {
                    *place = JournalFile::Off;
                    return Err(match error.kind() {
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Unwritten::Refused,
                        _ => Unwritten::Not(self.dir.clone(), error),
                    });
                }
            };
        }
        let JournalFile::Open(file) = &mut *place else { return Ok(()) };
        write(file, line).map_err(|error| {
            *place = JournalFile::Off;
            Unwritten::Anymore(error)
        })
    }

    fn create(&self) -> io::Result<File> {
        #[derive(Serialize)]
        struct First<'a> {
            version: u32,
            #[serde(flatten)]
            asked: &'a Asked,
        }
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{}.{ENDING}", plain(&self.asked.run)));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        // Held until the run has ended. Where a file system knows no locks, a run under way looks like one that died.
        let _ = file.try_lock();
        write(&mut file, &First { version: VERSION, asked: &self.asked })?;
        prune(&self.dir);
        Ok(file)
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

/// The last run with a journal in `dir` that was begun in the directory `begun_in`, if there is one.
///
/// # Errors
///
/// Its journal cannot be read.
pub fn last_in(dir: &Path, begun_in: &Path) -> io::Result<Option<Recorded>> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let begun_in = real(begun_in);
    for path in by_age(journals(dir)).iter().rev() {
        let mut first = String::new();
        BufReader::new(File::open(path)?).read_line(&mut first)?;
        if serde_json::from_str::<Asked>(&first).is_ok_and(|asked| real(&asked.directory) == begun_in) {
            return read(path).map(Some);
        }
    }
    Ok(None)
}

/// Reads a journal. A line that a crash cut off is left out.
///
/// # Errors
///
/// The file cannot be read, its first line is none of a journal, or another version of this program wrote it.
pub fn read(path: &Path) -> io::Result<Recorded> {
    #[derive(Deserialize)]
    struct First {
        #[serde(default)]
        version: u32,
        #[serde(flatten)]
        asked: Asked,
    }
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, format!("{} {text}", path.display()));
    let file = File::open(path)?;
    // Whoever writes it holds it.
    let running = matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let First { version, asked } =
        serde_json::from_str(&first).map_err(|error| invalid(format!("is no journal: {error}")))?;
    if version != VERSION {
        return Err(invalid("was written by another version of this program".to_owned()));
    }
    let mut recorded =
        Recorded { asked, hosts: IndexMap::new(), ending: None, running, took_input: false, done: IndexMap::new() };
    let mut reading = Reading::default();
    for line in lines {
        if let Ok(line) = serde_json::from_str::<Line>(&line?) {
            recorded.take(line, &mut reading);
        }
    }
    for (_, host, status) in reading.failures {
        recorded.worse(host, status);
    }
    if recorded.ending.is_none() {
        for host in reading.begun.into_keys() {
            recorded.worse(host, HostStatus::Failed);
        }
    }
    Ok(recorded)
}

/// What is known while a journal is read, and not yet final.
#[derive(Default)]
struct Reading {
    /// The hosts on which something has begun and not ended.
    begun: IndexMap<String, ()>,
    /// Failures, by execution.
    failures: Vec<(Option<usize>, String, HostStatus)>,
}

impl Recorded {
    fn worse(&mut self, host: String, status: HostStatus) {
        let entry = self.hosts.entry(host).or_insert(HostStatus::Skipped);
        *entry = (*entry).max(status);
    }

    fn take(&mut self, line: Line, reading: &mut Reading) {
        match line {
            Line::Earlier { done } => self.done = done,
            Line::TaskStarted { key, hosts } => {
                if let Some(done) = key.map(|key| self.done.entry(key).or_default()) {
                    // Tried again: what it came to before counts no more.
                    let local = Some(String::new()).filter(|_| hosts.is_empty());
                    let begun = hosts.iter().cloned().chain(local);
                    done.hosts.extend(begun.map(|host| (host, DoneHost { status: HostStatus::Skipped, value: None })));
                    done.finished = false;
                }
                for host in hosts {
                    self.hosts.entry(host).or_insert(HostStatus::Skipped);
                }
            }
            Line::HostStarted { host } => drop(host.map(|host| reading.begun.insert(host, ()))),
            Line::HostFinished { execution, key, host, status, value } => {
                if let Some(host) = &host {
                    reading.begun.shift_remove(host);
                    if status.is_failure() {
                        reading.failures.push((execution, host.clone(), status));
                    } else {
                        self.worse(host.clone(), status);
                    }
                }
                if let Some(key) = key {
                    let hosts = &mut self.done.entry(key).or_default().hosts;
                    let entry = hosts.entry(host.unwrap_or_default());
                    let entry = entry.or_insert(DoneHost { status: HostStatus::Skipped, value: None });
                    // A host may be in a list twice: both must have succeeded.
                    if status >= entry.status {
                        *entry = DoneHost { status, value };
                    }
                }
            }
            Line::Undone { hosts } => {
                for host in hosts {
                    self.worse(host, HostStatus::RolledBack);
                }
            }
            Line::RolledBack { key: None, .. } => {}
            Line::RolledBack { key: Some(key), hosts } => {
                for host in hosts {
                    let inside = format!("{key}@{host} ");
                    self.done.retain(|other, _| !other.starts_with(&inside));
                    self.done.entry(key.clone()).or_default().hosts.entry(host).and_modify(|done| {
                        *done = DoneHost { status: HostStatus::Skipped, value: None };
                    });
                }
            }
            Line::Superseded { executions } => {
                let counts = |execution: Option<usize>| execution.is_none_or(|one| !executions.contains(&one));
                reading.failures.retain(|(execution, ..)| counts(*execution));
            }
            Line::TaskFinished { key, sets, values } => {
                if let Some(done) = key.map(|key| self.done.entry(key).or_default()) {
                    done.finished = true;
                    if sets {
                        // What it set before, in a run that this one tried again, still holds.
                        let before = if done.sets { done.values.take() } else { Some(Map::new()) };
                        done.values = before.zip(values).map(|(mut all, new)| {
                            all.extend(new);
                            all
                        });
                        done.sets = true;
                    }
                }
            }
            Line::TookInput => self.took_input = true,
            Line::Ended { ending } => self.ending = Some(ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(run: &str) -> Asked {
        Asked {
            run: run.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            arguments: vec!["deploy".to_owned()],
            directory: "/srv".into(),
        }
    }

    fn finished(host: &str, status: HostStatus) -> Line {
        Line::HostFinished {
            execution: None,
            key: Some("t".to_owned()),
            host: Some(host.to_owned()),
            status,
            value: None,
        }
    }

    #[test]
    fn a_crash_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path(), asked("r1"));
        assert_eq!(last(dir.path()).unwrap(), None, "it has not begun");
        let hosts = ["a", "b", "c", "d"].map(str::to_owned);
        let started = hosts[..3].iter().map(|host| Line::HostStarted { host: Some(host.clone()) });
        let mut lines = vec![Line::TaskStarted { key: Some("t".to_owned()), hosts: hosts.to_vec() }];
        lines.extend(started);
        lines.extend([finished("a", HostStatus::Ok), finished("b", HostStatus::Unreachable)]);
        for line in &lines {
            journal.write(line).unwrap();
        }
        let recorded = last(dir.path()).unwrap().unwrap();
        assert_eq!((&recorded.asked, recorded.ending), (&asked("r1"), None));
        assert_eq!((recorded.failed(), recorded.skipped()), (vec!["b".into(), "c".into()], vec!["d".to_owned()]));
        assert!(!recorded.is_done() && !recorded.done["t"].finished);
    }

    #[test]
    fn what_was_undone_was_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path(), asked("r"));
        let inner = |host: &str| Line::HostFinished {
            execution: None,
            key: Some(format!("t@{host} > u")),
            host: Some(host.to_owned()),
            status: HostStatus::Ok,
            value: Some(Value::Null),
        };
        let undone = Line::RolledBack { key: Some("t".to_owned()), hosts: vec!["a".to_owned()] };
        for line in [inner("a"), inner("ab"), finished("a", HostStatus::Ok), finished("ab", HostStatus::Ok), undone] {
            journal.write(&line).unwrap();
        }
        let done = last(dir.path()).unwrap().unwrap().done;
        assert_eq!(done.keys().collect::<Vec<_>>(), ["t@ab > u", "t"]);
        assert_eq!(done["t@ab > u"].hosts["ab"].value, Some(Value::Null));
        let status = |host: &str| done["t"].hosts[host].status;
        assert_eq!((status("a"), status("ab")), (HostStatus::Skipped, HostStatus::Ok));
    }

    #[test]
    fn old_journals_go_and_other_versions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last(dir.path()).unwrap(), None);
        let mut create = |n| Journal::new(dir.path(), asked(&format!("r{n}"))).create().map(drop).unwrap();
        (1..KEPT + SPARE).for_each(&mut create);
        assert_eq!(journals(dir.path()).len(), KEPT + SPARE - 1);
        create(KEPT + SPARE);
        assert_eq!(journals(dir.path()).len(), KEPT);
        assert_eq!(last(dir.path()).unwrap().unwrap().asked, asked(&format!("r{}", KEPT + SPARE)));
        let old = dir.path().join("old.jsonl");
        fs::write(&old, serde_json::to_string(&asked("old")).unwrap()).unwrap();
        assert!(read(&old).unwrap_err().to_string().contains("another version"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_once() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let journal = Journal { file: Mutex::new(JournalFile::Open(full)), ..Journal::new("/nowhere", asked("r")) };
        let line = finished("a", HostStatus::Ok);
        assert!(matches!(journal.write(&line), Err(Unwritten::Anymore(_))));
        assert!(journal.write(&line).is_ok());
    }
}
