//! What a deploy tool in Rust uses: `use fabric_exec::prelude::*;`.
//!
//! ```
//! use fabric_exec::prelude::*;
//!
//! #[task]
//! async fn uptime(context: Context) -> Result<String, TaskError> {
//!     Ok(context.connection().await?.run("uptime").await?.stdout().into_owned())
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let report = Run::new(Collection::new().task(uptime::task())?, Settings::default())
//!     .command_line(Selection::default().hosts(["web1"]))
//!     .start(vec![Call::Task(Invocation::new("uptime"))])
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! SSH is in the feature `ssh`.

pub use async_trait::async_trait;
pub use fabric_core::{
    CommandOutcome, Error, Event, EventKind, EventSink, ExitStatus, HostStatus, HostString, PathBehavior, PromptError,
    PromptKind, PromptRequest, Prompter, RefusePrompts, Resolve, Secret, Settings, TransferOutcome, Value,
    settings::Map,
};
pub use fabric_transport::transfer::{Destination, Source};
pub use fabric_transport::{Connection, Connector};
pub use serde_json::json;

pub use crate::hostlist::{Role, Roles, Selection, read_inventory};
pub use crate::task::{Backoff, Hide};
pub use crate::{
    Argument, Call, Choice, Collection, CollectionError, Context, Execute, Group, Interrupt, Invocation, Param,
    ParamKind, Report, Run, RunError, Task, TaskError, task,
};
