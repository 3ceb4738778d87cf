//! The anonymous task of `-- COMMAND`.

use async_trait::async_trait;
use fabric_core::{Error, Value};
use serde_json::json;

use crate::task::{Context, TaskBody, TaskError};

/// The body of `-- COMMAND`: never a template.
#[derive(Debug)]
pub(crate) struct Remainder(String);

impl Remainder {
    pub(crate) fn new(command: String) -> Self {
        Self(command)
    }
}

#[async_trait]
impl TaskBody for Remainder {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let connection = context.connection().await?;
        let mut request = connection.run(self.0.as_str());
        if !context.is_dry_run() {
            request = request.stdin(context.last_stdin()?);
        }
        let ended = context.keep_the_end(request)?.await;
        let outcome = match &ended {
            Ok(outcome) => Some(outcome),
            Err(Error::UnexpectedExit(outcome)) => Some(&**outcome),
            Err(_) => None,
        };
        if let Some(outcome) = outcome {
            context.note_sole(&outcome.exit);
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
