//! One report out of several shards' reports.

use fabric_core::HostStatus;

use super::{Ending, Hidden, HostReport, Report, TaskReport};

impl Report {
    /// One report of the same run done in parts: each task once, with all parts' hosts; each host's worst
    /// status; the worst ending. `None` of no reports.
    pub fn merge(reports: impl IntoIterator<Item = Report>) -> Option<Report> {
        let mut reports = reports.into_iter();
        let mut all = reports.next()?;
        for report in reports {
            all.add(report);
        }
        all.shard = None;
        Some(all)
    }

    fn add(&mut self, other: Report) {
        let end = |report: &Report| {
            report.started.as_millisecond() + i64::try_from(report.duration.as_millis()).unwrap_or(i64::MAX / 2)
        };
        let ended = end(self).max(end(&other));
        self.started = self.started.min(other.started);
        self.duration =
            std::time::Duration::from_millis(u64::try_from(ended - self.started.as_millisecond()).unwrap_or_default());
        self.ending = match (self.ending, other.ending) {
            // It ran somewhere.
            (Ending::NothingRan, ending @ Ending::Ok) | (ending @ Ending::Ok, Ending::NothingRan) => ending,
            (a, b) => a.max(b),
        };
        self.error = self.error.take().or(other.error);
        self.sole_command = None;
        for task in other.not_started {
            if !self.not_started.contains(&task) {
                self.not_started.push(task);
            }
        }
        for (host, report) in other.hosts {
            let entry = self.hosts.entry(host).or_insert(HostReport {
                status: HostStatus::Skipped,
                error: None,
                hidden: Hidden::default(),
            });
            if report.status > entry.status || entry.error.is_none() && report.status == entry.status {
                *entry = report;
            }
        }
        // The same task the second time is another execution of it.
        let mut taken = vec![false; self.tasks.len()];
        for task in other.tasks {
            let same = |(index, mine): &(usize, &TaskReport)| mine.task == task.task && !taken[*index];
            match self.tasks.iter().enumerate().take(taken.len()).find(same).map(|(index, _)| index) {
                Some(index) => {
                    taken[index] = true;
                    let mine = &mut self.tasks[index];
                    mine.started = mine.started.min(task.started);
                    mine.duration = mine.duration.max(task.duration);
                    mine.results.extend(task.results);
                }
                None => self.tasks.push(task),
            }
        }
    }
}
