//! Steps as the body of a task, and the anonymous task of `-- COMMAND`.

use async_trait::async_trait;
use fabric_core::{Error, Value};
use serde_json::json;

use super::Step;
use super::work::{Work, keep_the_end};
use crate::Context;
use crate::task::{TaskBody, TaskError};

/// A body that is a list of steps.
#[derive(Debug, Clone, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Of these steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

#[async_trait]
impl TaskBody for Steps {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let mut work = Work::new(context);
        for step in &self.0 {
            work.step(step).await?;
        }
        Ok(work.into_value())
    }

    fn steps(&self) -> Option<&[Step]> {
        Some(&self.0)
    }
}

/// The body of `-- COMMAND`: never a template.
#[derive(Debug)]
pub(crate) struct Anonymous(String);

impl Anonymous {
    pub(crate) fn new(command: String) -> Self {
        Self(command)
    }
}

#[async_trait]
impl TaskBody for Anonymous {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let connection = context.connection().await?;
        let mut request = connection.run(self.0.as_str());
        if !context.is_dry_run() {
            request = request.stdin(context.last_stdin()?);
        }
        let ended = keep_the_end(&context, request)?.await;
        let outcome = match &ended {
            Ok(outcome) => Some(outcome),
            Err(Error::UnexpectedExit(outcome)) => Some(&**outcome),
            Err(_) => None,
        };
        if let Some(outcome) = outcome {
            context.tell_sole(&outcome.exit);
        }
        let outcome = ended?;
        if outcome.failed() {
            context.tolerate(format!("`{}` {}", outcome.command, outcome.exit));
        }
        Ok(json!(outcome.stdout().trim()))
    }

    fn needs_host(&self) -> bool {
        true
    }
}
