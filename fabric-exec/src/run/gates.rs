//! What guards a task's way over its batches: health checks, a person's answer, and the way back.

use std::sync::Arc;

use fabric_core::{HostStatus, PromptKind, PromptRequest};

use super::dispatch::Dispatcher;
use super::execute::execute;
use crate::hostlist::Listed;
use crate::journal::Line;
use crate::plan::{Guard, GuardKind, Job, Outcome, RunError};
use crate::task::{Invocation, TaskId};

impl Dispatcher<'_> {
    /// What has to hold between a batch and the next one.
    pub(super) async fn gate(&mut self, batch: Vec<Listed>, first: bool, left: usize) {
        // The way back goes to every host.
        if self.job.is(GuardKind::Rollback) {
            return;
        }
        let rolling = self.job.task.rolling.clone();
        if let Some(health) = &rolling.health {
            let ended = self.execute_guard(GuardKind::Health, health, batch).await;
            if let Err(why) = ended.map_err(|error| error.to_string()).and_then(is_healthy) {
                return self.close_gate(&format!("`{}` failed: {why}", health.task));
            }
        }
        if rolling.pause && first && left > 0 {
            let done = self.results.iter().flatten().count();
            let message = format!("{}: {done} done, {left} to go. Go on?", self.job.name);
            if self.run.inputs.means.dry_run {
                return self.scope.emitter.plan("pause", message);
            }
            let request = PromptRequest::new(PromptKind::Confirm { default: false }, message);
            match self.run.inputs.means.prompter.ask(request).await {
                Ok(answer) if answer.expose() == "yes" => {}
                Ok(_) => self.close_gate("a person said no"),
                Err(error) => self.close_gate(&error.to_string()),
            }
        }
    }

    fn close_gate(&mut self, why: &str) {
        let reason = format!("`{}` does not go on: {why}", self.job.name);
        self.scope.emitter.warn(&reason);
        self.reasons.push(reason);
        self.gate_closed = true;
    }

    /// Runs the rollback on all hosts that were begun. Those on which it succeeds are rolled back.
    pub(super) async fn roll_back(&mut self) {
        let Some(rollback) = self.job.task.rolling.rollback.clone() else { return };
        let begun: Vec<usize> = (0..self.list.hosts.len())
            .filter(|place| self.results[*place].as_ref().is_some_and(|result| result.status != HostStatus::Skipped))
            .collect();
        if begun.is_empty() || self.job.is(GuardKind::Rollback) {
            return;
        }
        let hosts: Vec<Listed> = begun.iter().map(|place| self.list.hosts[*place].clone()).collect();
        if self.run.inputs.means.interrupt.is_stopping() {
            let begun = fabric_core::host::fold(hosts.iter().map(|listed| listed.host.as_str()));
            self.scope.emitter.warn(format!(
                "`{}` was interrupted and is not rolled back: `{}` was not run on {begun}",
                self.job.name, rollback.task
            ));
            return;
        }
        let names = || hosts.iter().map(|listed| listed.host.as_str().to_owned()).collect();
        self.run.record(|| Line::RolledBack { key: self.key(), hosts: names() });
        let hosts_are = if hosts.len() == 1 { "host" } else { "hosts" };
        self.scope.emitter.warn(format!("rolling `{}` back on {} {hosts_are}", self.job.name, hosts.len()));
        // Hosts that have failed are the ones that need it most.
        self.run.ledger.forget_lost();
        let ended = self.execute_guard(GuardKind::Rollback, &rollback, hosts).await;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => return self.scope.emitter.warn(format!("`{}` failed: {error}", rollback.task)),
        };
        if let Some(why) = outcome.reasons.first().or(outcome.usage.as_ref()) {
            self.scope.emitter.warn(format!("`{}` failed: {why}", rollback.task));
        }
        let mut all_undone = Vec::new();
        for place in begun {
            let undone = outcome.results.iter().any(|result| {
                let same = result.host.as_deref() == Some(self.list.hosts[place].host.as_str());
                same && result.status == HostStatus::Ok
            });
            if let Some(result) = self.results[place].as_mut()
                && undone
                && result.status == HostStatus::Ok
            {
                result.status = HostStatus::RolledBack;
                result.error = Some(format!("rolled back by `{}`", rollback.task));
                let host: Arc<str> = self.list.hosts[place].host.as_str().into();
                self.run.ledger.rolled_back(self.scope.execution, &host, result);
                all_undone.push(host.to_string());
            }
        }
        self.run.record(|| Line::Undone { hosts: all_undone });
    }

    /// Executes a guard on these hosts, in the block of settings that this task is executed in.
    async fn execute_guard(&self, kind: GuardKind, call: &Invocation, hosts: Vec<Listed>) -> Result<Outcome, RunError> {
        let path = self.scope.path.iter().map(TaskId::same).collect();
        let guard = Guard { kind, hosts: hosts.into(), path };
        let job = Job { guard: Some(guard), ..self.run.inputs.job(call)? };
        execute(self.run.clone(), job, self.parent.cloned()).await
    }
}

/// Whether a health check says so: any failure is one, tolerated or not.
fn is_healthy(outcome: Outcome) -> Result<(), String> {
    let why = outcome.any_failure();
    outcome.reasons.into_iter().next().or(outcome.usage).or(why).map_or(Ok(()), Err)
}
