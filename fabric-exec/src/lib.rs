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
//!
//! ```
//! use fabric_core::Settings;
//! use fabric_exec::hostlist::Selection;
//! use fabric_exec::{Call, Collection, Context, Invocation, Run, TaskError, task};
//! use fabric_transport::{connector::Connector, memory::{MemoryTransport, Reply}};
//!
//! /// Roll a version out.
//! #[task(parallel, pool_size = 5)]
//! async fn deploy(context: Context, version: String, force: bool) -> Result<String, TaskError> {
//!     let command = format!("bin/deploy {version}{}", if force { " --force" } else { "" });
//!     let outcome = context.connection().await?.run(command).cd("/srv/app").await?;
//!     Ok(outcome.stdout().trim().to_owned())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Hosts in memory take the place of real ones; a task sees no difference.
//! let fleet = MemoryTransport::named("ssh");
//! fleet.every_host().on("cd /srv/app && bin/deploy 2.4", Reply::stdout("done\n"));
//!
//! let report = Run::new(Collection::new().task(deploy::task())?, Settings::default())
//!     .connector(Connector::new().transport(fleet))
//!     .command_line(Selection::default().hosts(["web1", "web2"]))
//!     .start(vec![Call::Task(Invocation::parse("deploy:2.4")?)])
//!     .await?;
//! assert_eq!(report.exit_code(), 0);
//! assert_eq!(report.tasks[0].results[1].value, "done");
//! # Ok(()) }
//! ```
//!
//! # What is promised, and what is not
//!
//! * Host lists follow the rules of Fabric 1's "Execution model"; what was dangerous in them is described where
//!   it differs, in [`hostlist`].
//! * Results and reports are in the order of the host list, whatever the order in which hosts finish; hosts
//!   are started in that order too.
//! * The first failure stops the run, unless settings say otherwise: nothing new is started, what runs goes
//!   on to its end. A panic is one host's failure.
//! * Memory is bounded by the number of hosts, not by what they print; no host has a thread of its own.
//! * Cancelling a run by dropping its future gives everything up at once, without a report; [`Interrupt`]
//!   ends it politely.

pub mod collection;
pub mod fabfile;
pub mod group;
pub mod hostlist;
pub mod journal;
mod places;
pub mod plan;
pub mod prelude;
pub mod queue;
pub mod report;
pub mod run;
pub mod task;
mod template;

pub use collection::{Collection, CollectionError, UnknownTask};
pub use fabric_core::Value;
/// Makes an enum whose variants have no fields the type of an argument: each variant is a word, `BlueGreen` is
/// `blue-green`.
///
/// ```
/// use fabric_exec::prelude::*;
///
/// #[derive(Choice)]
/// enum Colour { Blue, DeepGreen }
///
/// assert_eq!(Colour::param("colour").kind, ParamKind::Choice(vec!["blue".into(), "deep-green".into()]));
/// ```
///
/// `#[choice(crate = path)]` says where fabric-exec is, where the crate's manifest doesn't.
pub use fabric_exec_macros::Choice;
#[doc = include_str!("macros.md")]
pub use fabric_exec_macros::task;
pub use group::{Group, GroupError, GroupOutcome, GroupRequest};
pub use plan::{Call, Plan, RunError};
pub use report::Report;
pub use run::Run;
pub use task::{
    Args, ArgsError, Argument, Context, Execute, Expected, Interrupt, Invocation, InvocationError, Param, ParamKind,
    Task, TaskBody, TaskError, take_options,
};
pub use {fabric_core, fabric_transport};
