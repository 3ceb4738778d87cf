//! Carrying steps out on one host.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fabric_core::command::join_dir;
use fabric_core::settings::Map;
use fabric_core::{CommandOutcome, Value};
use fabric_transport::Connection;
use fabric_transport::connection::{CommandRequest, Stdin};
use fabric_transport::transfer::local_path;
use minijinja::Environment;
use parking_lot::Mutex;
use serde_json::json;

use super::values::{outcome_value, texts_of};
use super::{CommandStep, ExecuteStep, PromptStep, SetValue, ShellChoice, Step, StepInput, Until, Verb};
use crate::report::Hidden;
use crate::task::{Backoff, Context, Execute, Hide, Invocation, TaskError};
use crate::template;

/// A task's steps on one host: what was saved so far, and what templates see.
pub(super) struct Work {
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
        let value = match &step.verb {
            Verb::Run(command) => self.commands(step, command, Connection::run, true).await?,
            Verb::Sudo(command) => self.commands(step, command, Connection::sudo, true).await?,
            Verb::Local(command) => self.commands(step, command, Connection::local, false).await?,
            Verb::Put(transfer) => self.put(step, transfer).await?,
            Verb::Get(transfer) => self.get(step, transfer).await?,
            Verb::Execute(execute) => self.execute(step, execute).await?,
            Verb::Set(values) => self.set_all(values).await?,
            Verb::Prompt(prompt) => self.prompt(step, prompt).await?,
            Verb::OpenShell { command } => self.open_shell(command.as_deref()).await?,
        };
        if let Some(name) = &step.save {
            self.saved.insert(name.clone(), template::value(&value));
        }
        if matches!(step.verb, Verb::Set(_)) {
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
    fn is_unknown(&self, names: fn(&Environment<'_>, &str) -> HashSet<String>, text: &str) -> bool {
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

    async fn commands(
        &mut self,
        step: &Step,
        command: &CommandStep,
        verb: fn(&Connection, Vec<u8>) -> CommandRequest,
        remote: bool,
    ) -> Result<Value, TaskError> {
        let context = self.context.hide(step.hide);
        let connection = if remote { context.connection().await? } else { context.local_connection()? };
        let start = |line: String| verb(&connection, line.into_bytes());
        if let Some(until) = command.until.as_ref().filter(|_| !self.context.is_dry_run()) {
            return self.until(step, command, until, &start, remote).await;
        }
        // Of several the first that failed, else the last.
        let (mut shown, mut has_failed) = (Value::Null, false);
        for line in &command.commands {
            let request = self.request(step, command, start(self.render(line)?), remote).await?;
            let outcome = request.await?;
            if !has_failed {
                shown = outcome_value(&outcome);
            }
            if outcome.failed() {
                has_failed = true;
                self.tolerate(step, format!("`{}` {}", outcome.command, outcome.exit));
            }
        }
        Ok(shown)
    }

    /// The commands again and again until the condition holds; then how they ended is no failure.
    async fn until(
        &self,
        step: &Step,
        command: &CommandStep,
        until: &Until,
        start: &(dyn Fn(String) -> CommandRequest + Sync),
        remote: bool,
    ) -> Result<Value, TaskError> {
        let backoff = Backoff::new(until.retries).delay(Duration::from_secs_f64(until.delay));
        let (tries, last) = (AtomicU32::new(0), Mutex::new(Value::Null));
        let attempt = || async {
            let tries = tries.fetch_add(1, Ordering::Relaxed) + 1;
            let Some(outcome) = self.try_once(step, command, start, remote).await? else {
                return Ok(Some(Value::Null));
            };
            let value = outcome_value(&outcome);
            let mut seen = self.saved.clone();
            let shown = template::value(&value);
            seen.extend(step.save.iter().map(|name| (name.clone(), shown.clone())));
            seen.insert("outcome".to_owned(), shown);
            if template::holds(&self.environment, &until.condition, &scope_of(&self.context, &seen))? {
                return Ok(Some(value));
            }
            *last.lock() = value;
            let last = format!("{}: `{}` {}", outcome.host, outcome.command, outcome.exit);
            Err(TaskError::Until { condition: until.condition.clone(), tries, last })
        };
        match self.context.until(backoff, attempt).await {
            Err(error @ TaskError::Until { .. }) if step.warn_only.unwrap_or(self.context.settings()?.warn_only) => {
                self.context.warn(error.to_string());
                self.tolerate(step, error.to_string());
                Ok(last.into_inner())
            }
            ended => ended,
        }
    }

    /// The commands up to the first that fails, and how the last of those ended.
    async fn try_once(
        &self,
        step: &Step,
        command: &CommandStep,
        start: &(dyn Fn(String) -> CommandRequest + Sync),
        remote: bool,
    ) -> Result<Option<CommandOutcome>, TaskError> {
        let mut last = None;
        for line in &command.commands {
            let request = self.request(step, command, start(self.render(line)?), remote).await?;
            let outcome = match request.warn(false).await {
                Err(fabric_core::Error::UnexpectedExit(outcome)) => return Ok(Some(*outcome)),
                ended => ended?,
            };
            last = Some(outcome);
        }
        Ok(last)
    }

    async fn request(
        &self,
        step: &Step,
        command: &CommandStep,
        mut request: CommandRequest,
        remote: bool,
    ) -> Result<CommandRequest, TaskError> {
        if let Some(dir) = self.render_some(command.cd.as_ref())? {
            request = request.cd(dir);
        }
        for prefix in self.render_all(&command.prefix)? {
            request = request.prefix(prefix);
        }
        if let Some(path) = self.render_some(command.path.as_ref())? {
            request = request.path(path, self.context.settings()?.path_behavior);
        }
        for (name, value) in &command.env {
            request = request.env(name.clone(), self.render(value)?);
        }
        match &command.shell {
            Some(ShellChoice::Wrapped(wrap)) => request = request.shell(*wrap),
            Some(ShellChoice::Named(shell)) => request = request.shell(self.render(shell)?),
            None => {}
        }
        if let Some(pty) = command.pty {
            request = request.pty(pty);
        }
        if let Some(seconds) = command.timeout {
            request = request.timeout((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)));
        }
        if let Some(codes) = &command.ok_ret_codes {
            request = request.ok_codes(codes.clone());
        }
        if let Some(warn) = step.warn_only {
            request = request.warn(warn);
        }
        if step.save.is_none() {
            request = self.context.keep_the_end(request)?;
        }
        if !self.context.is_dry_run() {
            request = request.stdin(self.stdin(command.stdin.as_ref()).await?);
        }
        if remote {
            if let Some(user) = self.render_some(command.user.as_ref())? {
                request = request.user(user);
            }
            if let Some(group) = self.render_some(command.group.as_ref())? {
                request = request.group(group);
            }
        }
        Ok(request)
    }

    async fn stdin(&self, given: Option<&StepInput>) -> Result<Stdin, TaskError> {
        Ok(match given {
            None => self.context.typed(),
            Some(StepInput::Nothing) => Stdin::None,
            Some(StepInput::Given) => self.context.stdin(),
            Some(StepInput::Text(text)) => self.render(text)?.into(),
            Some(StepInput::File(file)) => {
                let file = self.render(file)?;
                let path = local_path(&self.context.settings()?.lcwd, Path::new(&file));
                let unread = |error| TaskError::Abort(format!("`stdin`: {}: {error}", path.display()));
                self.context.stdin_of(&path).await.map_err(unread)?
            }
        })
    }

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

    async fn set_all(&self, values: &indexmap::IndexMap<String, SetValue>) -> Result<Value, TaskError> {
        let mut set = Map::new();
        for (name, value) in values {
            set.insert(name.clone(), self.set(name, value).await?);
        }
        Ok(Value::Object(set))
    }

    /// Sets one value, and yields it; nothing where a dry run can't know it.
    async fn set(&self, name: &str, value: &SetValue) -> Result<Value, TaskError> {
        use fabric_core::settings::{Kind, Setting};
        let (rendered, command) = match value {
            SetValue::Plain(value) => (template::render_value(value, &|text| self.render(text))?, None),
            SetValue::Command(line) => (Value::Null, Some(self.render(line)?)),
        };
        // A setting or a list that is a template still is of no use.
        let text = command.clone().unwrap_or_else(|| rendered.to_string());
        let steers = command.is_some() || Setting::find(name).is_some();
        let is_open = self.context.is_dry_run() && steers && template::is_template(&text);
        if is_open || self.context.emitter().condition().is_some() {
            self.plan("set", name.to_owned());
        }
        if is_open {
            return Ok(Value::Null);
        }
        if name == "hosts" {
            self.context.set_hosts(&[]);
        }
        if let SetValue::Plain(written) = value
            && ["hosts", "roles", "exclude_hosts", "only_hosts"].contains(&name)
        {
            let texts = texts_of(&rendered).into_iter().zip(texts_of(written));
            texts.into_iter().try_for_each(|(text, written)| names_something(name, text, written))?;
        }
        let value = match command {
            Some(line) => {
                let hosts = self.context.inventory(&line).await?;
                if name == "hosts" && hosts.is_empty() {
                    // Taken for a missing list, what follows would run here.
                    return Err(TaskError::abort(
                        "`hosts`: the command names no hosts, so that nothing can run on them",
                    ));
                }
                if name == "hosts" {
                    self.context.set_hosts(&hosts);
                }
                hosts.iter().map(|listed| listed.host.as_str()).collect()
            }
            None => self.changed_list(name, rendered)?,
        };
        let value = match (name, &value, Setting::find(name)) {
            ("hosts" | "exclude_hosts", Value::String(text), _) => json!(expand(text)?),
            ("hosts" | "exclude_hosts", Value::Array(items), _) => {
                let mut hosts = Vec::new();
                for item in items {
                    hosts.extend(expand(item.as_str().unwrap_or_default())?);
                }
                json!(hosts)
            }
            // What a template yields is text; the setting has its type.
            (_, Value::String(text), Some(setting)) if setting.kind != Kind::Text => {
                setting.kind.parse(text).map_err(|expected| TaskError::Abort(format!("`{name}`: {expected}")))?
            }
            _ => value,
        };
        self.context.env().set(name, value.clone());
        Ok(value)
    }

    /// The global list that `{ extend = [..] }` or `{ replace = [..] }` leads to; any other value is itself.
    fn changed_list(&self, name: &str, value: Value) -> Result<Value, TaskError> {
        let (change, items) = match &value {
            Value::Object(map) if matches!(name, "hosts" | "roles" | "exclude_hosts") => match map.iter().next() {
                Some((change, items)) => (change.as_str(), items),
                None => return Ok(value),
            },
            _ => return Ok(value),
        };
        let mut list = match change {
            "extend" => self.context.env_value(name)?.unwrap_or_default(),
            _ => json!([]),
        };
        let items = match items {
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        list.as_array_mut().into_iter().for_each(|list| list.extend(items.iter().cloned()));
        Ok(list)
    }

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

    async fn open_shell(&mut self, command: Option<&str>) -> Result<Value, TaskError> {
        let command = command.map(|text| self.render(text)).transpose()?;
        if self.context.is_dry_run() {
            self.plan("open_shell", command.unwrap_or_default());
            return Ok(Value::Null);
        }
        let exit = self.context.open_shell(command).await?;
        Ok(json!({ "exit": exit.code() }))
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

/// Fails where hosts or roles are named by an empty text: taken for a list that was not given, it would mean others.
fn names_something(key: &str, text: &str, written: &str) -> Result<(), TaskError> {
    if !text.trim().is_empty() {
        return Ok(());
    }
    let came_out = if template::is_template(written) { format!(": `{written}` came out empty") } else { String::new() };
    Err(TaskError::Abort(format!("`{key}` is an empty text, which names nothing{came_out} (`[]` is an empty list)")))
}

fn expand(text: &str) -> Result<Vec<String>, TaskError> {
    let mut hosts = Vec::new();
    for item in fabric_core::host::split_list(text) {
        hosts.extend(fabric_core::host::expand(item).map_err(|error| TaskError::Abort(error.to_string()))?);
    }
    Ok(hosts)
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
