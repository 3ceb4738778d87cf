//! What a run has come to so far: its executions and their results. Summary, report and exit status are read from here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use fabric_core::HostStatus;
use indexmap::IndexMap;
use parking_lot::{Mutex, MutexGuard};

use crate::report::{Execution, Hidden, HostReport, HostResult, TaskReport};

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    executions: Vec<Entry>,
    /// All hosts that a list has had, and whether a task was ok on it.
    hosts: IndexMap<Arc<str>, HostStatus>,
    failures: Vec<Failed>,
    /// The hosts that have failed for good, and whether a task that allowed it went on without them.
    lost: HashMap<Arc<str>, bool>,
    /// The executions that went on after a failure.
    went_on: Vec<Execution>,
    sole: Option<u8>,
    advice: Option<&'static str>,
    not_started: Vec<String>,
}

struct Entry {
    report: TaskReport,
    /// The execution in whose run this one was made.
    within: Option<Execution>,
}

/// What a task came to on a host where it was not ok.
struct Failed {
    execution: Execution,
    host: Arc<str>,
    report: HostReport,
    tolerated: bool,
    is_allowed: bool,
    /// Whether its host counts as failed no more.
    is_forgotten: bool,
}

/// What a run has come to in the end.
pub(crate) struct Account {
    pub(crate) tasks: Vec<TaskReport>,
    /// Each host's worst status.
    pub(crate) hosts: IndexMap<Arc<str>, HostReport>,
    pub(crate) not_started: Vec<String>,
    pub(crate) advice: Option<&'static str>,
    /// The status of the command after `--`.
    pub(crate) sole: Option<u8>,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock()
    }

    /// An execution begins on these hosts.
    pub(crate) fn begin(&self, report: TaskReport, within: Option<Execution>, hosts: &[Arc<str>]) -> Execution {
        let mut book = self.book();
        for host in hosts {
            book.hosts.entry(host.clone()).or_insert(HostStatus::Skipped);
        }
        book.executions.push(Entry { report, within });
        book.executions.len() - 1
    }

    /// It ended on a host, like this.
    ///
    /// `is_allowed`: whether the execution goes on without hosts that fail.
    pub(crate) fn host_finished(&self, execution: Execution, host: &Arc<str>, result: &HostResult, is_allowed: bool) {
        let mut book = self.book();
        if result.status.is_failure() {
            if !result.tolerated {
                *book.lost.entry(host.clone()).or_default() |= is_allowed;
            }
            let report =
                HostReport { status: result.status, error: result.error.clone(), hidden: result.hidden.clone() };
            let tolerated = result.tolerated;
            let host = host.clone();
            book.failures.push(Failed { execution, host, report, tolerated, is_allowed, is_forgotten: false });
        } else if let Some(status) = book.hosts.get_mut(host) {
            *status = (*status).max(result.status);
        }
    }

    /// It ended on all its hosts.
    pub(crate) fn end(&self, execution: Execution, results: &[HostResult], began: Instant) {
        if let Some(entry) = self.book().executions.get_mut(execution) {
            entry.report.duration = began.elapsed();
            entry.report.results = results.to_vec();
        }
    }

    /// What it did on a host was undone.
    pub(crate) fn rolled_back(&self, execution: Execution, host: &Arc<str>, result: &HostResult) {
        let report = HostReport { status: result.status, error: result.error.clone(), hidden: Hidden::default() };
        let host = host.clone();
        let failed = Failed { execution, host, report, tolerated: true, is_allowed: false, is_forgotten: false };
        self.book().failures.push(failed);
    }

    /// The try that made these executions failed and is made again: what they came to counts no more. Yields all
    /// executions that this concerns.
    pub(crate) fn supersede(&self, executions: &[Execution]) -> Vec<Execution> {
        if executions.is_empty() {
            return Vec::new();
        }
        let mut book = self.book();
        let first = executions.iter().copied().min().unwrap_or_default();
        let mut all: HashSet<Execution> = executions.iter().copied().collect();
        // What is made within an execution comes after it.
        for place in first..book.executions.len() {
            let entry = &mut book.executions[place];
            if all.contains(&place) || entry.within.is_some_and(|within| all.contains(&within)) {
                entry.report.superseded = true;
                all.insert(place);
            }
        }
        book.went_on.retain(|execution| !all.contains(execution));
        book.failures.retain(|failed| !all.contains(&failed.execution));
        let book = &mut *book;
        book.lost.clear();
        for failed in book.failures.iter().filter(|failed| !failed.tolerated && !failed.is_forgotten) {
            *book.lost.entry(failed.host.clone()).or_default() |= failed.is_allowed;
        }
        let mut all: Vec<Execution> = all.into_iter().collect();
        all.sort_unstable();
        all
    }

    /// Something failed in this execution that was allowed to: nothing is stopped by it, and the run has failed.
    pub(crate) fn went_on(&self, execution: Execution) {
        self.book().went_on.push(execution);
    }

    /// Whether an execution went on after a failure.
    pub(crate) fn has_gone_on(&self) -> bool {
        !self.book().went_on.is_empty()
    }

    /// No host counts as failed for good any more.
    pub(crate) fn forget_lost(&self) {
        let mut book = self.book();
        book.lost.clear();
        book.failures.iter_mut().for_each(|failed| failed.is_forgotten = true);
    }

    /// Whether a host has failed for good.
    pub(crate) fn is_lost(&self, host: &str) -> bool {
        self.book().lost.contains_key(host)
    }

    /// Whether a host has failed for good in a task that goes on without it: later ones leave it out.
    pub(crate) fn is_left_out(&self, host: &str) -> bool {
        self.book().lost.get(host).copied().unwrap_or_default()
    }

    /// How many hosts have failed for good, and how many hosts all lists have had.
    pub(crate) fn lost_of_all(&self) -> (usize, usize) {
        let book = self.book();
        (book.lost.len(), book.hosts.len())
    }

    /// What could not be done, and which option would have: the first reason counts.
    pub(crate) fn advise(&self, advice: &'static str) {
        self.book().advice.get_or_insert(advice);
    }

    /// The command after `--` ended with this status, as a shell would say it.
    pub(crate) fn sole_ended(&self, status: u8) {
        self.book().sole = Some(status);
    }

    /// Tasks of the command line that are not begun, as typed.
    pub(crate) fn not_started(&self, tasks: impl IntoIterator<Item = String>) {
        self.book().not_started.extend(tasks);
    }

    /// What it all came to. Nothing is left here.
    pub(crate) fn close(&self) -> Account {
        tracing::trace!(route = "the account of all hosts, for the report");
        let book = std::mem::take(&mut *self.book());
        let report = |(host, status)| (host, HostReport { status, error: None, hidden: Hidden::default() });
        let mut hosts: IndexMap<Arc<str>, HostReport> = book.hosts.into_iter().map(report).collect();
        for failed in book.failures {
            if let Some(host) = hosts.get_mut(&failed.host)
                && failed.report.status > host.status
            {
                *host = failed.report;
            }
        }
        Account {
            tasks: book.executions.into_iter().map(|entry| entry.report).collect(),
            hosts,
            not_started: book.not_started,
            advice: book.advice,
            sole: book.sole,
        }
    }
}
