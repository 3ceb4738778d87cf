//! What a plan says.

use serde::Serialize;

use crate::hostlist::Level;

/// What a run would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The tasks in the order in which they would run, `pre` and `post` included.
    pub tasks: Vec<PlannedTask>,
}

/// What a task would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlannedTask {
    /// The task, with its arguments, as one would type it.
    pub task: String,
    /// Why it runs: because it was asked for, or before or after another.
    pub because: Because,
    /// Its hosts, in order.
    pub hosts: Vec<String>,
    /// Which level its host list comes from.
    pub level: Level,
    /// The roles of that level.
    pub roles: Vec<String>,
    /// How: `local`, `serial`, `parallel`, `batches`, or `nowhere`.
    pub strategy: String,
    /// How many hosts at the same time.
    pub pool_size: usize,
    /// The batches, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Vec<String>>,
    /// Whether it runs on its first host only.
    pub runs_once: bool,
    /// How often it is tried again on a host where it fails.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// What runs on the hosts of each batch when they are done, `pre` and `post` included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<PlannedTask>,
    /// Whether a person is asked after the first batch.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pause: bool,
    /// What runs on all hosts that were begun if it doesn't come to its end, `pre` and `post` included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<PlannedTask>,
    /// How its host list came to be.
    pub reasons: Vec<String>,
    /// What a person should know about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why its host list may be another one when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<String>,
    /// What it does, where that is declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PlannedStep>,
    /// Whether it is code, about which nothing is known ahead.
    pub code: bool,
}

/// Why a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Because {
    /// It was asked for.
    Asked,
    /// Before another.
    Pre,
    /// After another.
    Post,
    /// Another executes it.
    Executed,
    /// To check the hosts of a batch.
    Health,
    /// To undo what another has done.
    Rollback,
}

/// A step of a planned task.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PlannedStep {
    /// Its verb.
    pub verb: &'static str,
    /// Its commands, paths or names, templates as they are written.
    pub what: String,
    /// The condition under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The condition until which it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How often it is tried again until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The task that it executes, `pre` and `post` included, where that can be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub executes: Vec<PlannedTask>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
