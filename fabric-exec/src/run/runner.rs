//! What a run does for the bodies of its tasks.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::settings::Settings;
use fabric_core::{Emitter, Error, ExitStatus, HostString, PromptError, Resolve, Target};
use fabric_transport::Connection;

use super::execute::execute;
use super::state::RunState;
use crate::hostlist::{Listed, Selection};
use crate::plan::Job;
use crate::report::{Execution, HostResult};
use crate::task::{Context, Env, Execute, Means, Runner, Task, TaskError};

#[async_trait]
impl Runner for RunState {
    fn means(&self) -> &Means {
        &self.inputs.means
    }

    fn resolver(&self, namespace: &str) -> &dyn Resolve {
        &*self.inputs.files.of(namespace).resolver
    }

    fn global_lists(&self, task: &Task, env: &Env) -> Result<Selection, TaskError> {
        Ok(self.inputs.global_lists(task, env)?)
    }

    fn gathering(&self, emitter: &Emitter, execution: Execution, host: Option<Arc<str>>) -> Emitter {
        Self::gathering(self, emitter, execution, host)
    }

    fn connection(
        &self,
        context: &Context,
        target: &Arc<Target>,
        settings: Arc<Settings>,
    ) -> Result<Connection, Error> {
        self.connections.get(&self.inputs.means, context.emitter(), target, settings)
    }

    async fn ask_for_host(&self) -> Result<HostString, PromptError> {
        self.lists.ask_for_host().await
    }

    async fn execute(self: Arc<Self>, mut what: Execute, within: Context) -> Result<Vec<HostResult>, TaskError> {
        let job = if let Some(task) = what.task {
            let args = what.call.bind(&task.params).map_err(|error| TaskError::Usage(error.into()))?;
            Job::new(task, what.call.task.as_str(), args, what.call.selection)
        } else {
            what.call.task = self.inputs.collection.qualified(&within.task().namespace, &what.call.task);
            self.inputs.job(&what.call)?
        };
        let name = job.name.clone();
        let outcome = execute(self.clone(), job, Some(within.clone())).await?;
        for result in &outcome.results {
            within.hide_from_report(&result.hidden);
        }
        if let Some(message) = outcome.usage {
            within.scope().note_usage(message.clone());
            return Err(TaskError::Execute(message));
        }
        if self.inputs.means.interrupt.is_stopping() {
            return Err(TaskError::Interrupted);
        }
        // What puts tasks on hosts goes on where the failure policy lets the run go on; what runs on a host needs what it
        // executes.
        let is_lost = || within.host().is_some_and(|host| self.ledger.is_lost(host.as_str()));
        let may_go_on = (within.host().is_none() || within.task().runs_once) && !within.scope().is_check;
        let goes_on = !outcome.halt && may_go_on && !is_lost();
        if goes_on && !outcome.reasons.is_empty() {
            self.ledger.went_on(within.execution());
        } else if !outcome.reasons.is_empty() {
            let text = format!("task `{name}` failed: {}", outcome.reasons.join("; "));
            return Err(if outcome.settled { TaskError::GaveUp(text) } else { TaskError::Execute(text) });
        }
        Ok(outcome.results)
    }

    async fn inventory(&self, line: &str, emitter: &Emitter) -> Result<Vec<Listed>, TaskError> {
        self.lists.printed_by(line, emitter).await
    }

    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, TaskError> {
        match &*self.interactive.lock().await {
            Some(interactive) => Ok(interactive.open_shell(connection, line).await?),
            None => Err(TaskError::abort("open_shell needs a terminal, and this run has none")),
        }
    }

    fn sole_ended(&self, status: u8) {
        self.ledger.sole_ended(status);
    }
}
