//! `run`, `sudo` and `local`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::{CommandOutcome, Value, command};
use fabric_core_document::{Kind, Member, Members, Node};
use fabric_transport::connection::{CommandRequest, Stdin};
use fabric_transport::transfer::local_path;
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::step::{ANY, Form, Step, Verb};
use super::values::{attributes, outcome_value};
use super::work::{Work, scope_of};
use crate::fabfile::declared::reader::Reader;
use crate::task::{Backoff, Effect, KnownStep, TaskError, Text};
use crate::template;

/// How often `until` tries again where nothing says how often: for half a minute or so.
const RETRIES: u32 = 5;

const KEYS: &[&str] =
    &["cd", "prefix", "path", "env", "shell", "pty", "timeout", "ok_ret_codes", "until", "retries", "delay", "stdin"];

pub(super) const RUN: Form = Form {
    name: "run",
    keys: &[KEYS, ANY],
    read: |reader, subject, members, what| reader.command(CommandVerb::Run, subject, members, what),
};

pub(super) const SUDO: Form = Form {
    name: "sudo",
    keys: &[KEYS, &["user", "group"], ANY],
    read: |reader, subject, members, what| reader.command(CommandVerb::Sudo, subject, members, what),
};

pub(super) const LOCAL: Form = Form {
    name: "local",
    keys: &[KEYS, ANY],
    read: |reader, subject, members, what| reader.command(CommandVerb::Local, subject, members, what),
};

/// Commands and what is around them. Texts are templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CommandStep {
    /// Where they run.
    pub(crate) verb: CommandVerb,
    /// The command lines, one after another.
    pub(crate) commands: Vec<String>,
    /// The working directory.
    pub(crate) cd: Option<String>,
    /// Commands that must succeed first, in the same shell.
    pub(crate) prefix: Vec<String>,
    /// Directories for `$PATH`.
    pub(crate) path: Option<String>,
    /// Environment variables.
    pub(crate) env: IndexMap<String, String>,
    /// Whether to wrap it in a shell, and in which.
    pub(crate) shell: Option<ShellChoice>,
    /// Whether it gets a pseudo-terminal.
    pub(crate) pty: Option<bool>,
    /// How long it may take, in seconds.
    pub(crate) timeout: Option<f64>,
    /// The statuses that count as success.
    pub(crate) ok_ret_codes: Option<Vec<u32>>,
    /// The user to become (`sudo`).
    pub(crate) user: Option<String>,
    /// The group to become (`sudo`).
    pub(crate) group: Option<String>,
    /// Trying again until a condition holds.
    pub(crate) until: Option<Until>,
    /// What they read, each of them whole; `None`: what a person types on a terminal, else nothing.
    pub(crate) stdin: Option<StepInput>,
}

/// What a command reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepInput {
    /// Nothing.
    Nothing,
    /// What the program was given as its standard input.
    Given,
    /// This text, a template.
    Text(String),
    /// What is in this local file; a template.
    File(String),
}

/// Trying commands again until a condition holds, with growing pauses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Until {
    /// The condition, an expression that sees how the last command ended as `outcome`.
    pub(crate) condition: String,
    /// How many further tries there are after the first.
    pub(crate) retries: u32,
    /// The first pause, in seconds; each further one is twice as long, up to 30 s.
    pub(crate) delay: f64,
}

/// Whether a command is wrapped in a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShellChoice {
    /// In the one that the `shell` setting names, or in none.
    Wrapped(bool),
    /// In this one.
    Named(String),
}

/// Where commands run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CommandVerb {
    /// On the host.
    #[default]
    Run,
    /// On the host, as another user.
    Sudo,
    /// On this machine.
    Local,
}

#[async_trait]
impl Verb for CommandStep {
    fn name(&self) -> &'static str {
        match self.verb {
            CommandVerb::Run => RUN.name,
            CommandVerb::Sudo => SUDO.name,
            CommandVerb::Local => LOCAL.name,
        }
    }

    fn what(&self) -> String {
        self.commands.join("\n")
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        known.until = self.until.as_ref().map(|until| (until.condition.as_str(), until.retries));
        let mut texts: Vec<Text<'a>> = self.commands.iter().chain(&self.prefix).map(|line| Text::Shell(line)).collect();
        // Directories and variables are quoted by the program.
        let quoted = self.cd.iter().chain(&self.path).chain(self.env.values()).chain(&self.user).chain(&self.group);
        texts.extend(quoted.map(|text| Text::Plain(text)));
        if let Some(ShellChoice::Named(shell)) = &self.shell {
            texts.push(Text::Plain(shell));
        }
        if let Some(StepInput::Text(text) | StepInput::File(text)) = &self.stdin {
            texts.push(Text::Plain(text));
        }
        known.texts = texts;
        known.attributes = attributes(&outcome_value(&CommandOutcome::new("", "")));
        if let Some(StepInput::File(file)) = &self.stdin {
            known.reads = Some(("stdin", file, false));
        }
        if self.verb == CommandVerb::Local {
            known.effect = Effect::MakesFiles;
        }
    }

    fn needs_host(&self) -> Option<bool> {
        Some(self.verb != CommandVerb::Local)
    }

    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError> {
        work.commands(step, self).await
    }
}

impl Reader {
    fn command(&mut self, verb: CommandVerb, subject: &Node, members: &Members, what: &str) -> Option<Arc<dyn Verb>> {
        Some(Arc::new(CommandStep {
            verb,
            commands: self.templates(subject, what)?,
            cd: self.optional(members, "cd", Self::templated),
            prefix: self.optional(members, "prefix", Self::templates).unwrap_or_default(),
            path: self.optional(members, "path", Self::templated),
            env: self.optional(members, "env", Self::text_map).unwrap_or_default(),
            shell: self.optional(members, "shell", |reader, node, what| match &node.kind {
                Kind::Scalar(Value::Bool(wrap)) => Some(ShellChoice::Wrapped(*wrap)),
                _ if !reader.no_word(node, what) => None,
                _ => reader.templated(node, what).map(ShellChoice::Named),
            }),
            pty: self.optional(members, "pty", Self::truth),
            timeout: self.optional(members, "timeout", Self::seconds),
            ok_ret_codes: self.optional(members, "ok_ret_codes", |reader, node, what| match &node.kind {
                Kind::List(items) => Some(items.iter().filter_map(|item| reader.integer(item, what)).collect()),
                _ => reader.integer(node, what).map(|code| vec![code]),
            }),
            user: self.optional(members, "user", Self::templated),
            group: self.optional(members, "group", Self::templated),
            until: self.until(members, what),
            stdin: self.optional(members, "stdin", Self::stdin),
        }))
    }

    /// `true`, `false`, a text, or `{ file = ".." }`.
    fn stdin(&mut self, node: &Node, what: &str) -> Option<StepInput> {
        Some(match &node.kind {
            Kind::Scalar(Value::Bool(true)) => StepInput::Given,
            Kind::Scalar(Value::Bool(false)) => StepInput::Nothing,
            Kind::Scalar(_) if !self.no_word(node, what) => return None,
            Kind::Scalar(_) => StepInput::Text(self.templated(node, what)?),
            Kind::Table(members) if members.contains_key("file") => {
                for (key, Member { line, .. }) in members.iter().filter(|(key, _)| *key != "file") {
                    self.unknown_key(*line, key, what, &["file"]);
                }
                StepInput::File(self.templated(&members["file"].node, what)?)
            }
            _ => {
                let found = node.what();
                let message = format!("{what}: expected true, a text or {{ file = \"..\" }}, found {found}");
                self.problem(node.line, message);
                return None;
            }
        })
    }

    /// `until`, `retries` and `delay`; `retries` alone is until it succeeds.
    fn until(&mut self, members: &Members, what: &str) -> Option<Until> {
        let condition = self.optional(members, "until", Self::condition);
        let retries = self.optional(members, "retries", Self::integer);
        let delay = self.optional(members, "delay", Self::seconds);
        if let (None, None, Some(Member { line, .. })) = (&condition, retries, members.get("delay")) {
            self.problem(*line, format!("`delay` of {what} is a pause between tries: it needs `until` or `retries`"));
        }
        (condition.is_some() || retries.is_some()).then(|| Until {
            condition: condition.unwrap_or_else(|| "outcome.ok".to_owned()),
            retries: retries.unwrap_or(RETRIES),
            delay: delay.unwrap_or(1.0),
        })
    }

    fn text_map(&mut self, node: &Node, what: &str) -> Option<IndexMap<String, String>> {
        let members = self.table(node, what)?;
        let mut map = IndexMap::new();
        for (key, Member { line, node, .. }) in members {
            if !command::is_env_name(key) {
                self.problem(*line, format!("{what}: `{key}` is no name of an environment variable"));
            }
            if let Some(text) = self.templated(node, &format!("{what}, `{key}`")) {
                map.insert(key.clone(), text);
            }
        }
        Some(map)
    }
}

impl Work {
    async fn commands(&mut self, step: &Step, command: &CommandStep) -> Result<Value, TaskError> {
        let remote = command.verb != CommandVerb::Local;
        let context = self.context.hide(step.hide);
        let connection = if remote { context.connection().await? } else { context.local_connection()? };
        let start = |line: String| match command.verb {
            CommandVerb::Run => connection.run(line),
            CommandVerb::Sudo => connection.sudo(line),
            CommandVerb::Local => connection.local(line),
        };
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
            let mut seen = self.saved().clone();
            let shown = template::value(&value);
            seen.extend(step.save.iter().map(|name| (name.clone(), shown.clone())));
            seen.insert("outcome".to_owned(), shown);
            if template::holds(self.environment(), &until.condition, &scope_of(&self.context, &seen))? {
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
}
