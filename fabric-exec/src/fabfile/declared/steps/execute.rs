//! `execute`.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core_document::{Kind, Member, Members, Node};
use indexmap::IndexMap;
use serde_json::json;

use super::lists::{expand, names_something};
use super::step::{ANY, Form, Step, Verb};
use super::values::texts_of;
use super::work::Work;
use crate::fabfile::declared::reader::Reader;
use crate::fabfile::declared::rename::{Rename, rename_all};
use crate::task::{Effect, Execute, Executed, Invocation, KnownStep, TaskError, Text};
use crate::template;

pub(super) const FORM: Form =
    Form { name: "execute", keys: &[&["args", "hosts", "roles", "exclude_hosts"], ANY], read: Reader::execute };

/// An execution of another task. Texts are templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ExecuteStep {
    /// The task, by name or as `task:args`.
    pub(crate) task: String,
    /// Arguments by name.
    pub(crate) args: IndexMap<String, Value>,
    /// Hosts for this execution.
    pub(crate) hosts: Vec<String>,
    /// Roles for this execution.
    pub(crate) roles: Vec<String>,
    /// Hosts to leave out of this execution.
    pub(crate) exclude_hosts: Vec<String>,
}

#[async_trait]
impl Verb for ExecuteStep {
    fn name(&self) -> &'static str {
        FORM.name
    }

    fn what(&self) -> String {
        self.task.clone()
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        let lists = [&self.hosts, &self.roles, &self.exclude_hosts].into_iter().flatten();
        let texts = std::iter::once(&self.task).chain(lists).map(|text| Text::Plain(text));
        known.texts = texts.chain(self.args.values().flat_map(texts_of).map(Text::Plain)).collect();
        known.effect = Effect::Executes(Executed {
            task: &self.task,
            args: &self.args,
            hosts: &self.hosts,
            roles: &self.roles,
            exclude_hosts: &self.exclude_hosts,
        });
    }

    fn needs_host(&self) -> Option<bool> {
        None
    }

    fn with_roles(&self, rename: &Rename<'_>) -> Option<Arc<dyn Verb>> {
        let mut execute = self.clone();
        rename_all(&mut execute.roles, rename);
        if let Ok(mut call) = Invocation::parse(&execute.task)
            && !template::is_template(&execute.task)
            && !call.selection.roles.is_empty()
        {
            rename_all(&mut call.selection.roles, rename);
            execute.task = call.token();
        }
        Some(Arc::new(execute))
    }

    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError> {
        work.execute(step, self).await
    }
}

impl Reader {
    fn execute(&mut self, subject: &Node, members: &Members, what: &str) -> Option<Arc<dyn Verb>> {
        let args = self.optional(members, "args", |reader, node, what| {
            let Kind::Table(members) = &node.kind else {
                reader.table(node, what);
                return None;
            };
            let value = |(name, Member { node, .. }): (&String, &Member)| {
                reader.value_templates(node, what);
                (name.clone(), node.value())
            };
            Some(members.iter().map(value).collect())
        });
        Some(Arc::new(ExecuteStep {
            task: self.templated(subject, what)?,
            args: args.unwrap_or_default(),
            hosts: self.optional(members, "hosts", Self::names).unwrap_or_default(),
            roles: self.optional(members, "roles", Self::names).unwrap_or_default(),
            exclude_hosts: self.optional(members, "exclude_hosts", Self::names).unwrap_or_default(),
        }))
    }

    /// Hosts or roles, as templates.
    fn names(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let names = self.templates(node, what)?;
        for name in &names {
            self.names_something(node.line, name, what);
        }
        Some(names)
    }
}

impl Work {
    async fn execute(&mut self, step: &Step, execute: &ExecuteStep) -> Result<Value, TaskError> {
        let Some(call) = self.call(execute)? else { return Ok(Value::Null) };
        let mut context = self.context.hide(step.hide);
        if let Some(warn_only) = step.warn_only {
            context = context.setting("warn_only", warn_only);
        }
        match context.execute(Execute::call(call)).await {
            // What `warn_only` inside doesn't soften: a host that can't be reached, a time limit.
            Err(error @ (TaskError::Execute(_) | TaskError::GaveUp(_))) if step.warn_only == Some(true) => {
                self.context.warn(error.to_string());
                Ok(Value::Null)
            }
            ended => Ok(json!(ended?)),
        }
    }

    /// The call that the step asks for; `None` where a dry run can't know it.
    fn call(&self, step: &ExecuteStep) -> Result<Option<Invocation>, TaskError> {
        let token = self.render(&step.task)?;
        let lists = [&step.hosts, &step.roles, &step.exclude_hosts].into_iter().flatten();
        let open = std::iter::once(&step.task).chain(lists).any(|text| self.is_unknown(template::names, text));
        if open || self.context.emitter().condition().is_some() {
            self.plan("execute", token.clone());
        }
        if open {
            return Ok(None);
        }
        let mut call = Invocation::parse(&token).map_err(|error| TaskError::Abort(error.to_string()))?;
        for (name, value) in &step.args {
            let value = template::render_value(value, &|text| self.render(text))?;
            call.named.insert(name.clone(), value);
        }
        let given = [
            ("hosts", &step.hosts, &mut call.selection.hosts, true),
            ("roles", &step.roles, &mut call.selection.roles, false),
            ("exclude_hosts", &step.exclude_hosts, &mut call.selection.exclude, true),
        ];
        for (key, texts, list, hosts) in given {
            if texts.is_empty() {
                continue;
            }
            let mut items = Vec::new();
            for (text, written) in self.render_all(texts)?.into_iter().zip(texts) {
                names_something(key, &text, written)?;
                if hosts {
                    items.extend(expand(&text)?);
                } else {
                    items.push(text);
                }
            }
            *list = items;
        }
        Ok(Some(call))
    }
}
