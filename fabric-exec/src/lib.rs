//! Tasks, collections, host lists, plans and their execution on one host or ten thousand.
//!
//! ```text
//! fabfile ──► Collection ─┐
//! Invocation ─────────────┼─► HostList ─► Run ─► Context ─► Connection
//! -H, -R, env ────────────┘                └───► events, Report
//! ```
//!
//! Nothing here prints, reads a terminal or ends the process; hosts are whatever implements the
//! transport traits of fabric-core, settings come from whatever implements
//! [`Resolve`](fabric_core::Resolve).

pub mod collection;
pub mod fabfile;
pub mod group;
pub mod hostlist;
pub mod journal;
pub mod plan;
pub mod queue;
pub mod report;
pub mod run;
pub mod steps;
pub mod task;

pub use collection::{Collection, CollectionError, UnknownTask};
pub use fabric_core::Value;
pub use fabric_exec_macros::{Choice, task};
pub use group::{Group, GroupError, GroupOutcome};
pub use plan::Plan;
pub use report::Report;
pub use run::{Call, Context, Execute, Interrupt, Run, RunError};
pub use task::{
    Args, ArgsError, Argument, Invocation, InvocationError, Param, ParamKind, Task, TaskBody, TaskError, take_options,
};
