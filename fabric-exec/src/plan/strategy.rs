//! How an execution goes over its hosts.

use super::error::RunError;
use super::job::{GuardKind, Job};
use super::shares::Shares;
use crate::hostlist::Share;
use crate::task::Mode;

/// How an execution goes over its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strategy {
    /// How many hosts at the same time.
    pub(crate) window: usize,
    /// How many hosts come first, where that is another number than [`Strategy::batch`].
    pub(crate) canary: Option<usize>,
    /// How many hosts before the next ones.
    pub(crate) batch: usize,
    /// How many of the run's hosts may fail, where that is said.
    max_failures: Option<Share>,
    /// Whether it goes on whatever fails.
    keeps_on: bool,
    /// Whether hosts are independent of one another, however few of them run at the same time.
    pub(crate) parallel: bool,
}

impl Strategy {
    /// For a list of `total` hosts.
    pub(crate) fn of(job: &Job, settings: &fabric_core::Settings, total: usize) -> Result<Self, RunError> {
        let task = &job.task;
        let Shares { batch, max_failures } = Shares::of(settings)?;
        let parallel = match task.mode {
            Some(mode) => mode == Mode::Parallel,
            // A batch is a number of hosts at the same time.
            None => !task.runs_once && (settings.parallel || batch.is_some() || task.rolling.canary.is_some()),
        };
        let pool = if settings.pool_size == 0 { total } else { settings.pool_size as usize };
        // Where it runs in one place only, whatever follows needs it.
        let max_failures = max_failures.filter(|_| total > 0 && !task.runs_once);
        Ok(Self {
            window: if parallel { pool.clamp(1, total.max(1)) } else { 1 },
            canary: task.rolling.canary.map(|share| share.of(total).max(1)),
            batch: batch.map_or(total, |share: Share| share.of(total)).max(1),
            max_failures,
            keeps_on: job.is(GuardKind::Rollback),
            parallel,
        })
    }

    /// The list in batches, the canary first.
    pub(crate) fn batches<T>(self, list: &[T]) -> Vec<&[T]> {
        let (canary, rest) = list.split_at(self.canary.unwrap_or(0).min(list.len()));
        std::iter::once(canary).filter(|batch| !batch.is_empty()).chain(rest.chunks(self.batch)).collect()
    }

    /// How many hosts of a run that has `hosts` so far may fail.
    pub(crate) fn may_fail(self, hosts: usize) -> usize {
        match self.max_failures {
            _ if self.keeps_on => usize::MAX,
            Some(share) => share.at_most(hosts),
            None => 0,
        }
    }

    /// Whether more has failed than may: `here` failures in this execution, and `lost` hosts of all that the run has.
    pub(crate) fn is_exceeded(self, here: usize, lost_of_all: impl FnOnce() -> (usize, usize)) -> bool {
        if self.keeps_on || here == 0 {
            return false;
        }
        match self.max_failures {
            Some(share) => {
                let (lost, all) = lost_of_all();
                lost > share.at_most(all)
            }
            None => true,
        }
    }

    /// Whether failures beyond those that are allowed keep the hosts of the same batch from starting, and not only what
    /// comes behind it.
    pub(crate) fn stops_at_failure(self) -> bool {
        !self.parallel || self.max_failures.is_some()
    }

    /// How hosts that were not started would have been, had too many others not failed.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self { max_failures: Some(_), .. } => "a higher --max-failures, or --keep-going, would have gone on",
            Self { parallel: true, .. } => "--keep-going or --max-failures would have gone on",
            _ => "--keep-going would have gone on",
        }
    }

    /// Its name in events and reports.
    pub(crate) fn name(self, total: usize, local: bool) -> &'static str {
        match self {
            _ if local => "local",
            Self { batch, canary, .. } if batch.min(canary.unwrap_or(batch)) < total => "batches",
            Self { parallel: true, .. } if total > 1 => "parallel",
            _ => "serial",
        }
    }
}
