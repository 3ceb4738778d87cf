//! What is known before anything runs: the inputs of a run, its calls, their host lists, and the plan.
//!
//! Nothing is connected to. Commands of roles are asked, since without them there is no host list; what
//! only the run itself knows (hosts that a task sets, what code executes) is marked and not guessed.

mod again;
mod call;
mod capture;
mod check;
mod error;
mod files;
mod inputs;
mod inventories;
mod job;
mod lists;
mod planned;
mod planner;
mod remainder;
mod role_error;
mod shares;
mod strategy;
mod text;

pub(crate) use again::with_before;
pub use call::Call;
pub use error::RunError;
pub(crate) use files::{FileSettings, Files};
pub(crate) use inputs::Inputs;
pub(crate) use job::{Guard, GuardKind, Job, Outcome, SameCall};
pub(crate) use lists::{HostLists, Inside};
pub use planned::{Because, Plan, PlannedStep, PlannedTask};
pub(crate) use planner::Planner;
pub use role_error::{CaptureError, RoleError};
pub(crate) use strategy::Strategy;
