//! Carrying steps out on one host.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use fabric_core::Value;
use fabric_core::command::join_dir;
use minijinja::Environment;

use super::step::Step;
use crate::report::Hidden;
use crate::task::{Context, Hide, TaskError};
use crate::template;

/// A task's steps on one host: what was saved so far, and what templates see.
pub(crate) struct Work {
    pub(super) context: Context,
    environment: Environment<'static>,
    saved: Saved,
    last: Value,
}

/// Saved outcomes by name, as templates take them: what a host printed may be long, and is copied once.
pub(super) type Saved = BTreeMap<String, minijinja::Value>;

impl Work {
    pub(super) fn new(context: Context) -> Self {
        Self { context, environment: template::environment(), saved: Saved::new(), last: Value::Null }
    }

    pub(super) fn saved(&self) -> &Saved {
        &self.saved
    }

    pub(super) fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// Whether a name that a text uses is a saved outcome, or in one.
    pub(super) fn is_saved(&self, name: &str) -> bool {
        self.saved.contains_key(name.split('.').next().unwrap_or_default())
    }

    /// What the last step that yields something yielded.
    pub(super) fn into_value(self) -> Value {
        self.last
    }

    /// Carries one step out.
    pub(super) async fn step(&mut self, step: &Step) -> Result<(), TaskError> {
        if self.context.interrupt().is_stopping() {
            return Err(TaskError::Interrupted);
        }
        match self.carry_out(step).await {
            Ok(()) => Ok(()),
            // A missing host is about the command line, not about the step that brought it up.
            Err(error @ (TaskError::Step { .. } | TaskError::NoHost(_) | TaskError::Interrupted)) => Err(error),
            Err(error) => Err(TaskError::Step { at: step.at.clone(), error: Box::new(error) }),
        }
    }

    async fn carry_out(&mut self, step: &Step) -> Result<(), TaskError> {
        if let Some(condition) = &step.condition {
            if self.is_unknown(template::names_in_condition, condition) {
                let on_condition = self.context.on_condition(condition);
                let outer = std::mem::replace(&mut self.context, on_condition);
                let done = self.do_it(step).await;
                self.context = outer;
                return done;
            }
            if !template::holds(&self.environment, condition, &self.scope())? {
                return Ok(());
            }
        }
        self.do_it(step).await
    }

    /// What of the step is not shown.
    pub(super) fn hidden(&self, step: &Step) -> Hide {
        self.context.hidden().and(step.hide)
    }

    async fn do_it(&mut self, step: &Step) -> Result<(), TaskError> {
        let value = step.verb.carry_out(self, step).await?;
        if let Some(name) = &step.save {
            self.saved.insert(name.clone(), template::value(&value));
        }
        if !step.verb.yields_a_value() {
            return Ok(());
        }
        if self.hidden(step).stdout {
            self.context.hide_from_report(&Hidden { value: true, error: Vec::new() });
        }
        // A value for the report: what a command printed, not all about it.
        self.last = match value {
            Value::Object(mut outcome) => outcome.remove("stdout").unwrap_or(Value::Object(outcome)),
            value => value,
        };
        Ok(())
    }

    /// A text with its templates filled in. In a dry run one that needs an outcome stays a template.
    pub(super) fn render(&self, text: &str) -> Result<String, TaskError> {
        if self.is_unknown(template::names, text) {
            return Ok(text.to_owned());
        }
        Ok(template::render(&self.environment, text, &self.scope())?)
    }

    /// The same for a file's text.
    pub(super) fn render_file(&self, path: &Path, text: &str) -> Result<String, TaskError> {
        Ok(template::render_file(&self.environment, path, text, &self.scope())?)
    }

    pub(super) fn render_all(&self, texts: &[String]) -> Result<Vec<String>, TaskError> {
        texts.iter().map(|text| self.render(text)).collect()
    }

    pub(super) fn render_some(&self, text: Option<&String>) -> Result<Option<String>, TaskError> {
        text.map(|text| self.render(text)).transpose()
    }

    /// Whether this is a dry run and the text uses what it cannot know: an outcome, or what was made of one, which is a
    /// template still.
    pub(super) fn is_unknown(&self, names: fn(&Environment<'_>, &str) -> HashSet<String>, text: &str) -> bool {
        if !self.context.is_dry_run() {
            return false;
        }
        let scope = self.scope();
        let is_open = |value: minijinja::Value| template::is_template(&value.to_string());
        names(&self.environment, text)
            .iter()
            .any(|name| self.is_saved(name) || template::look_up(&scope, name).is_some_and(is_open))
    }

    /// What templates see: arguments and saved outcomes by name, and `env`.
    pub(super) fn scope(&self) -> minijinja::Value {
        scope_of(&self.context, &self.saved)
    }

    /// A failure that was a warning: the author's business where the step says so, else the host's.
    pub(super) fn tolerate(&self, step: &Step, error: String) {
        if step.warn_only.is_none() {
            self.context.tolerate(error);
        }
    }

    pub(super) fn plan(&self, verb: &str, what: String) {
        self.context.emitter().plan(verb, what);
    }

    /// A remote directory below the `cwd` setting.
    pub(super) fn below(base: &str, path: &str) -> String {
        let mut dir = base.as_bytes().to_vec();
        join_dir(&mut dir, path.as_bytes());
        String::from_utf8_lossy(&dir).into_owned()
    }
}

pub(super) fn scope_of(context: &Context, saved: &Saved) -> minijinja::Value {
    let env = minijinja::Value::from_object(EnvObject(context.clone()));
    let args = context.args().iter().map(|(name, value)| (name.clone(), template::value(value)));
    let saved = saved.iter().map(|(name, value)| (name.clone(), value.clone()));
    minijinja::Value::from_pairs(args.chain(saved).chain([("env".to_owned(), env)]))
}

/// `env` in templates: information, settings and shared state, looked up when asked for.
#[derive(Clone)]
struct EnvObject(Context);

impl std::fmt::Debug for EnvObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("env")
    }
}

impl minijinja::value::Object for EnvObject {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        let value = self.0.env_value(key.as_str()?).ok().flatten()?;
        Some(template::value(&value))
    }
}
