//! `open_shell`.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core_document::{Kind, Node};
use serde_json::json;

use super::step::{Form, Step, Verb};
use super::work::Work;
use crate::fabfile::declared::reader::Reader;
use crate::task::{KnownStep, TaskError, Text};

pub(super) const FORM: Form = Form {
    name: "open_shell",
    keys: &[&["if", "save", "hide"]],
    read: |reader, subject, _, what| reader.open_shell(subject, what),
};

/// An interactive shell on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenShellStep {
    /// A line to begin with, a template.
    pub(crate) command: Option<String>,
}

#[async_trait]
impl Verb for OpenShellStep {
    fn name(&self) -> &'static str {
        FORM.name
    }

    fn what(&self) -> String {
        self.command.clone().unwrap_or_default()
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        known.texts = self.command.iter().map(|line| Text::Shell(line)).collect();
    }

    fn needs_host(&self) -> Option<bool> {
        Some(true)
    }

    async fn carry_out(&self, work: &mut Work, _: &Step) -> Result<Value, TaskError> {
        let command = self.command.as_ref().map(|text| work.render(text)).transpose()?;
        if work.context.is_dry_run() {
            work.plan("open_shell", command.unwrap_or_default());
            return Ok(Value::Null);
        }
        let exit = work.context.open_shell(command).await?;
        Ok(json!({ "exit": exit.code() }))
    }
}

impl Reader {
    /// `open_shell = true`, or the line to begin with.
    fn open_shell(&mut self, subject: &Node, what: &str) -> Option<Arc<dyn Verb>> {
        let command = match &subject.kind {
            Kind::Scalar(Value::Bool(true)) => None,
            Kind::Scalar(Value::String(text)) if text.is_empty() => None,
            _ if !self.no_word(subject, what) => return None,
            _ => Some(self.templated(subject, what)?),
        };
        Some(Arc::new(OpenShellStep { command }))
    }
}
