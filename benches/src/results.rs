//! What came out, and how it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that was measured, of one or of several runs of the program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The machine's class.
    pub(crate) machine: String,
    /// Versions of what was measured, by client.
    pub(crate) versions: BTreeMap<String, String>,
    /// By the work's name, in the order of the list of works.
    pub(crate) works: Vec<Measured>,
}

/// What came of one work. All its numbers are from one run, in which the clients took turns.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) work: String,
    pub(crate) date: String,
    pub(crate) commit: String,
    /// Made with small sizes.
    pub(crate) quick: bool,
    pub(crate) clients: Vec<Entry>,
}

/// One client at one work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) client: String,
    pub(crate) runs: Vec<Usage>,
    /// Why there is nothing, or no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// What one run took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Start to end, in seconds.
    pub(crate) wall: f64,
    /// Processor time of the process and all its descendants, in seconds.
    pub(crate) cpu: f64,
    /// The most that was resident at once, in MiB; of several processes the sum, shared pages counted each time.
    pub(crate) memory: f64,
    /// The most threads at once, of all its processes.
    pub(crate) threads: u32,
    /// What the work counts besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
}

impl Results {
    pub(crate) fn work(&self, name: &str) -> Option<&Measured> {
        self.works.iter().find(|measured| measured.work == name)
    }

    /// The median of something, of one client at one work.
    pub(crate) fn median(&self, work: &str, client: &str, of: impl Fn(&Usage) -> f64) -> Option<f64> {
        self.work(work)?.entry(client)?.median(of)
    }

    /// Puts a work's numbers in the place of older ones.
    pub(crate) fn put(&mut self, measured: Measured) {
        match self.works.iter_mut().find(|there| there.work == measured.work) {
            Some(there) => *there = measured,
            None => self.works.push(measured),
        }
    }
}

impl Measured {
    pub(crate) fn entry(&self, client: &str) -> Option<&Entry> {
        self.clients.iter().find(|entry| entry.client == client)
    }
}

impl Entry {
    /// `None` if it was never measured.
    pub(crate) fn median(&self, of: impl Fn(&Usage) -> f64) -> Option<f64> {
        let sorted = self.sorted(of);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            length if length % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// The least and the most.
    pub(crate) fn spread(&self, of: impl Fn(&Usage) -> f64) -> Option<(f64, f64)> {
        let sorted = self.sorted(of);
        Some((*sorted.first()?, *sorted.last()?))
    }

    fn sorted(&self, of: impl Fn(&Usage) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        let usage = |wall| Usage { wall, ..Usage::default() };
        let entry = |walls: &[f64]| Entry {
            client: "c".to_owned(),
            runs: walls.iter().copied().map(usage).collect(),
            trouble: None,
        };
        let median = |walls: &[f64]| entry(walls).median(|usage| usage.wall);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(entry(&[3.0, 1.0, 2.0]).spread(|usage| usage.wall), Some((1.0, 3.0)));
    }
}
