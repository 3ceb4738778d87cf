//! `N` or `P%`, and `I/N`: how much of a list is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// A number of hosts, or a share of a list: `5` or `25%`.
///
/// ```
/// use fabric_exec::hostlist::Share;
///
/// let quarter: Share = "25%".parse()?;
/// assert_eq!((quarter.of(100), quarter.of(3), quarter.of(0)), (25, 1, 0));
/// assert_eq!("5".parse::<Share>()?.of(3), 3);
/// # Ok::<(), fabric_exec::hostlist::ShareError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Share {
    /// This many.
    Count(usize),
    /// This many of each hundred, from 0 to 100.
    Percent(u8),
}

impl Share {
    /// Reads the size of a batch, which is at least one host.
    ///
    /// # Errors
    ///
    /// It is no share, or nothing.
    pub fn of_batch(text: &str) -> Result<Self, ShareError> {
        Self::of_some(text, "a batch: it takes at least one host (5, or 25%)")
    }

    /// Reads how many hosts of each list are left, which is at least one: a run on none is a mistake, and would look like a
    /// success.
    ///
    /// # Errors
    ///
    /// It is no share, or nothing.
    pub fn of_limit(text: &str) -> Result<Self, ShareError> {
        Self::of_some(text, "a limit: it leaves at least one host (5, or 25%)")
    }

    fn of_some(text: &str, expected: &'static str) -> Result<Self, ShareError> {
        match text.parse()? {
            Self::Count(0) | Self::Percent(0) => Err(ShareError { text: text.to_owned(), expected }),
            share => Ok(share),
        }
    }

    /// How many of `total` that is: a share is rounded up, so that a share of something is something.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count.min(total),
            Self::Percent(percent) => (total * usize::from(percent)).div_ceil(100),
        }
    }

    /// How many of `total` are allowed by it: a share is rounded down, so that it is never exceeded.
    pub fn at_most(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => total * usize::from(percent) / 100,
        }
    }
}

/// A text that is no share, or no shard.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{text}` is not {expected}")]
#[non_exhaustive]
pub struct ShareError {
    /// The text.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ShareError { text: text.to_owned(), expected: "a number of hosts (5) or a share of them (25%)" };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.trim().strip_suffix('%') {
            Some(percent) if digits(percent.trim()) => match percent.trim().parse() {
                Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
                _ => Err(error()),
            },
            None if digits(text.trim()) => text.trim().parse().map(Self::Count).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// This process's part of a run that several processes share: every host whose position in its list is
/// `index` modulo `count`.
///
/// ```
/// use fabric_exec::hostlist::Shard;
/// let shard: Shard = "1/3".parse()?;
/// assert_eq!((0..7).filter(|position| shard.has(*position)).collect::<Vec<_>>(), [1, 4]);
/// # Ok::<(), fabric_exec::hostlist::ShareError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// An engine that runs one program several times, and the variables in which it passes the number of the run.
struct Engine {
    index: &'static str,
    /// The lowest index.
    first: usize,
    parts: &'static str,
}

const SLURM: &str = "SLURM_ARRAY_TASK_ID";

const ENGINES: [Engine; 7] = [
    Engine { index: "PARALLEL_SEQ", first: 1, parts: "PARALLEL_TOTAL" },
    Engine { index: SLURM, first: 0, parts: "SLURM_ARRAY_TASK_COUNT" },
    // By `srun` only: a batch script has `SLURM_PROCID` and `SLURM_NTASKS` too, and is one process.
    Engine { index: "SLURM_PROCID", first: 0, parts: "SLURM_STEP_NUM_TASKS" },
    Engine { index: "JOB_COMPLETION_INDEX", first: 0, parts: "JOB_COMPLETIONS" },
    Engine { index: "CI_NODE_INDEX", first: 1, parts: "CI_NODE_TOTAL" },
    Engine { index: "CIRCLE_NODE_INDEX", first: 0, parts: "CIRCLE_NODE_TOTAL" },
    Engine { index: "BUILDKITE_PARALLEL_JOB", first: 0, parts: "BUILDKITE_PARALLEL_JOB_COUNT" },
];

impl Shard {
    /// Part `index` of `count`; `None` unless `index < count`.
    pub fn new(index: usize, count: usize) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// Reads the index and the number of parts that an engine has set, by looking its variables up. The first
    /// of these that has set both wins:
    ///
    /// | engine | index | parts |
    /// | --- | --- | --- |
    /// | GNU parallel | `PARALLEL_SEQ`, from 1 | `PARALLEL_TOTAL`, which the job sets to `{##}` |
    /// | Slurm array | `SLURM_ARRAY_TASK_ID`, from `SLURM_ARRAY_TASK_MIN` by `SLURM_ARRAY_TASK_STEP` | `SLURM_ARRAY_TASK_COUNT` |
    /// | Slurm step (`srun -n`) | `SLURM_PROCID` | `SLURM_STEP_NUM_TASKS` |
    /// | Kubernetes Indexed Job | `JOB_COMPLETION_INDEX` | `JOB_COMPLETIONS`, which the job sets to its `completions` |
    /// | GitLab CI | `CI_NODE_INDEX`, from 1 | `CI_NODE_TOTAL` |
    /// | CircleCI | `CIRCLE_NODE_INDEX` | `CIRCLE_NODE_TOTAL` |
    /// | Buildkite | `BUILDKITE_PARALLEL_JOB` | `BUILDKITE_PARALLEL_JOB_COUNT` |
    ///
    /// # Errors
    ///
    /// None of them has, or the index is out of range.
    pub fn auto(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ShareError> {
        let number = |name: &str| variable(name).and_then(|text| text.trim().parse::<usize>().ok());
        let found = ENGINES.iter().find_map(|engine| Some((engine, number(engine.index)?, number(engine.parts)?)));
        let (engine, index, count) = found.ok_or(ShareError {
            text: "auto".to_owned(),
            expected: "a shard here: no engine has set its variables (PARALLEL_SEQ and PARALLEL_TOTAL, \
                       SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, SLURM_PROCID and SLURM_STEP_NUM_TASKS, JOB_COMPLETION_INDEX and JOB_COMPLETIONS, \
                       CI_NODE_INDEX and CI_NODE_TOTAL, ..) to numbers",
        })?;
        let first = if engine.index == SLURM { number("SLURM_ARRAY_TASK_MIN") } else { None };
        let step = if engine.index == SLURM { number("SLURM_ARRAY_TASK_STEP") } else { None };
        let text = format!("{index} of {count} ({} and {})", engine.index, engine.parts);
        let index = index
            .checked_sub(first.unwrap_or(engine.first))
            .map(|index| index / step.filter(|step| *step > 0).unwrap_or(1));
        index
            .and_then(|index| Self::new(index, count))
            .ok_or(ShareError { text, expected: "a shard: it is out of range" })
    }

    /// Whether the host at this position, counted from 0, belongs to this part.
    pub fn has(self, position: usize) -> bool {
        position % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('/')
            .and_then(|(index, count)| Self::new(index.trim().parse().ok()?, count.trim().parse().ok()?))
            .ok_or_else(|| ShareError { text: text.to_owned(), expected: "a shard I/N with 0 <= I < N, or auto" })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_share_or_shard_is_an_error() {
        for text in ["", "%", "101%", "-1", "a", "1.5", "+5"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert!(["0", "0%", "x"].iter().all(|text| Share::of_batch(text).is_err()));
        assert!(["0", "0%", "x"].iter().all(|text| Share::of_limit(text).is_err()));
        assert_eq!(Share::of_batch("5%"), Ok(Share::Percent(5)));
        for text in ["", "1", "3/3", "4/3", "0/0", "a/b", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn shards_part_a_list_without_overlap() {
        let shards: Vec<Shard> = (0..4).map(|index| Shard::new(index, 4).unwrap()).collect();
        for position in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.has(position)).count(), 1);
        }
    }

    #[test]
    fn engines_tell_the_shard() {
        let of = |pairs: &'static [(&str, &str)]| {
            Shard::auto(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "2"), ("JOB_COMPLETIONS", "5")]).unwrap().to_string(), "2/5");
        let slurm: &[(&str, &str)] =
            &[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert_eq!(of(slurm).unwrap().to_string(), "2/4");
        let steps: &[(&str, &str)] = &[
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
        ];
        assert_eq!(of(steps).unwrap().to_string(), "2/3");
        assert_eq!(of(&[("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "4")]).unwrap().to_string(), "1/4");
        assert!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).is_err(), "a batch script");
        assert_eq!(of(&[("PARALLEL_SEQ", "1"), ("PARALLEL_TOTAL", "4")]).unwrap().to_string(), "0/4");
        assert_eq!(of(&[("CI_NODE_INDEX", "4"), ("CI_NODE_TOTAL", "4")]).unwrap().to_string(), "3/4");
        assert_eq!(of(&[("CIRCLE_NODE_INDEX", "3"), ("CIRCLE_NODE_TOTAL", "4")]).unwrap().to_string(), "3/4");
        let buildkite: &[(&str, &str)] = &[("BUILDKITE_PARALLEL_JOB", "0"), ("BUILDKITE_PARALLEL_JOB_COUNT", "2")];
        assert_eq!(of(buildkite).unwrap().to_string(), "0/2");
        let error = of(&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")]).unwrap_err();
        assert_eq!(error.to_string(), "`0 of 4 (CI_NODE_INDEX and CI_NODE_TOTAL)` is not a shard: it is out of range");
        assert!(of(&[]).is_err());
    }
}
