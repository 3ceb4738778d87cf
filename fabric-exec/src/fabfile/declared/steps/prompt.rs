//! `prompt`.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core_document::{Members, Node};
use serde_json::json;

use super::step::{Form, Step, Verb};
use super::work::Work;
use crate::fabfile::declared::reader::Reader;
use crate::task::{KnownStep, TaskError, Text};

pub(super) const FORM: Form =
    Form { name: "prompt", keys: &[&["default", "secret"], &["if", "save", "hide"]], read: Reader::prompt };

/// A question.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PromptStep {
    /// The text.
    pub(crate) text: String,
    /// The answer that an empty line gives.
    pub(crate) default: Option<String>,
    /// Whether the answer is not shown.
    pub(crate) secret: bool,
}

#[async_trait]
impl Verb for PromptStep {
    fn name(&self) -> &'static str {
        FORM.name
    }

    fn what(&self) -> String {
        self.text.clone()
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        known.texts = std::iter::once(&self.text).chain(&self.default).map(|text| Text::Plain(text)).collect();
    }

    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError> {
        work.prompt(step, self).await
    }
}

impl Reader {
    fn prompt(&mut self, subject: &Node, members: &Members, what: &str) -> Option<Arc<dyn Verb>> {
        Some(Arc::new(PromptStep {
            text: self.templated(subject, what)?,
            default: self.optional(members, "default", Self::templated),
            secret: self.optional(members, "secret", Self::truth).unwrap_or_default(),
        }))
    }
}

impl Work {
    /// An answer that is kept under the name of a parameter has its type.
    async fn prompt(&mut self, step: &Step, prompt: &PromptStep) -> Result<Value, TaskError> {
        let text = self.render(&prompt.text)?;
        let default = self.render_some(prompt.default.as_ref())?;
        if self.context.is_dry_run() {
            self.plan("prompt", text);
            return Ok(json!(default.unwrap_or_default()));
        }
        let answer = if prompt.secret {
            self.context.prompt_secret(text).await?.expose().to_owned()
        } else {
            self.context.prompt(text, default).await?
        };
        let params = &self.context.task().params;
        match params.iter().find(|param| Some(&param.name) == step.save.as_ref()) {
            Some(param) => param.parse(&answer).map_err(|expected| TaskError::Argument {
                name: param.name.clone(),
                message: format!("expected {expected}"),
            }),
            None => Ok(json!(answer)),
        }
    }
}
