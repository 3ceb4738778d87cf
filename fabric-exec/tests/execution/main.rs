//! The execution model over hosts in memory.

mod again;
#[path = "../common/mod.rs"]
mod common;
mod failures;
mod gates;
mod hosts;
mod interrupts;
mod joints;
mod nested;
mod rolling;
mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{World, calls};
use fabric_core::settings::Problem;
use fabric_core::{ConnectErrorKind, EventKind, HostStatus, Phase};
use fabric_exec::report::Ending;
use fabric_exec::{Collection, Context, Execute, Interrupt, Invocation, RunError, Task, TaskError};
use fabric_transport::memory::Reply;

fn collection(tasks: impl IntoIterator<Item = Task>) -> Collection {
    tasks.into_iter().fold(Collection::new(), |collection, task| collection.task(task).unwrap())
}

/// A task that runs its own name on the host.
fn running(name: &'static str) -> Task {
    Task::from_fn(name, move |context: Context| async move {
        let outcome = context.connection().await?.run(name).await?;
        Ok(outcome.stdout().trim().to_owned())
    })
}

fn unreachable() -> ConnectErrorKind {
    Problem::new("no host is there").into()
}

/// Answers every question with one word.
struct Says(&'static str);

#[async_trait::async_trait]
impl fabric_core::Prompter for Says {
    async fn ask(&self, _: fabric_core::PromptRequest) -> Result<fabric_core::Secret, fabric_core::PromptError> {
        Ok(self.0.into())
    }
}
