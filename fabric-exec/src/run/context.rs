//! What a task's body is given: its host, its arguments, its connection, and the rest of the run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fabric_core::settings::{Map, Overlay, Settings};
use fabric_core::{
    Emitter, EventKind, ExitStatus, HostString, Layer, Origin, PromptKind, PromptRequest, Resolve, Secret, Target,
    Value,
};
use fabric_transport::Connection;
use fabric_transport::connection::Stdin;
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::again::{In, Turns};
use super::apart::Apart;
use super::execute::execute;
use super::job::Job;
use super::ledger::Execution;
use super::scope::Scope;
use super::shared::{Shared, millis, passed_on};
use super::{Backoff, Env, Hide, Interrupt};
use crate::hostlist::Listed;
use crate::journal::Line;
use crate::report::{Hidden, HostResult};
use crate::task::{Args, Argument, Invocation, Task, TaskError};

/// What a task's body is given. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
    listed: Option<Listed>,
    overlays: Arc<Vec<Overlay>>,
    env: Env,
    emitter: Emitter,
    /// A failure that the settings asked to be a warning.
    tolerated: Arc<Mutex<Option<String>>>,
    attempt: u32,
    /// What of its commands and transfers is not shown.
    hidden: Hide,
    resolved: Arc<Mutex<Option<Arc<Resolved>>>>,
    /// What it has executed so far.
    turns: Arc<Turns>,
    /// Where that is in the ledger.
    executed: Arc<Mutex<Vec<Execution>>>,
    /// What of its result is in no report.
    unreported: Arc<Mutex<Hidden>>,
}

/// Settings and target of a context, worked out once for all of its commands.
struct Resolved {
    /// The shared state with which they were: a task may change it at any time.
    env: Arc<Map>,
    settings: Arc<Settings>,
    /// `None` without a host, and where there is none.
    target: Option<Arc<Target>>,
}

/// An execution of another task, as [`Context::execute`] takes it.
///
/// ```
/// use fabric_exec::run::Execute;
/// let migrate = Execute::task("migrate").arg("to", "2.4").hosts(["db1", "db2"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Execute {
    pub(crate) call: Invocation,
    pub(crate) task: Option<Arc<Task>>,
}

impl Execute {
    /// Of the task with this name, as on the command line.
    pub fn task(name: impl Into<String>) -> Self {
        Self { call: Invocation::new(name), task: None }
    }

    /// Of a task that need not be in the collection. One that runs once is the same task each time if it is handed in as
    /// the same `Arc`.
    pub fn this(task: impl Into<Arc<Task>>) -> Self {
        let task = task.into();
        Self { call: Invocation::new(task.name.clone()), task: Some(task) }
    }

    /// Of this call.
    pub fn call(call: Invocation) -> Self {
        Self { call, task: None }
    }

    /// With an argument.
    #[must_use]
    pub fn arg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.call.named.insert(name.into(), value.into());
        self
    }

    /// On these hosts.
    #[must_use]
    pub fn hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.call.selection.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// On the hosts of these roles.
    #[must_use]
    pub fn roles<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.call.selection.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Without these hosts.
    #[must_use]
    pub fn exclude_hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.call.selection.exclude = hosts.into_iter().map(Into::into).collect();
        self
    }
}

/// The key under which [`Context::execute`] yields what a task returned that ran without a host.
pub const LOCAL_ONLY: &str = "<local-only>";

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, scope: Arc<Scope>, listed: Option<&Listed>) -> Self {
        let own = listed.map(|listed| &*listed.settings).unwrap_or_default();
        let overlays = own.iter().chain(&scope.overlays).cloned().collect();
        let emitter = match listed {
            Some(listed) => {
                let host: Arc<str> = listed.host.as_str().into();
                shared.gathering(&scope.emitter.for_host(host.clone()), scope.execution, Some(host))
            }
            None => scope.emitter.clone(),
        };
        Self {
            listed: listed.cloned(),
            overlays: Arc::new(overlays),
            env: if scope.forks { scope.env.fork() } else { scope.env.clone() },
            emitter,
            shared,
            tolerated: Arc::default(),
            attempt: 1,
            hidden: scope.hidden,
            resolved: Arc::default(),
            turns: Arc::default(),
            executed: Arc::default(),
            unreported: Arc::default(),
            scope,
        }
    }

    /// The settings that are in force in what it executes too: all but its role's, and but who and where it is and
    /// how it goes over its hosts.
    pub(super) fn passed_on(&self) -> Vec<Overlay> {
        passed_on(&self.overlays)
    }

    /// The same for another try.
    pub(crate) fn again(&self, attempt: u32) -> Self {
        let executed = Arc::default();
        Self { tolerated: Arc::default(), turns: Arc::default(), executed, attempt, ..self.clone() }
    }

    /// Its execution's place in the ledger.
    pub(super) fn execution(&self) -> Execution {
        self.scope.execution
    }

    /// Takes note of an execution that it has made.
    pub(super) fn executes(&self, execution: Execution) {
        self.executed.lock().push(execution);
    }

    /// This try is made again: what it executed counts no more.
    pub(super) fn supersede(&self) {
        let executed = std::mem::take(&mut *self.executed.lock());
        let executions = self.shared.ledger.supersede(&executed);
        if !executions.is_empty() {
            self.shared.record(|| Line::Superseded { executions });
        }
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// What tells apart what it executes.
    pub(crate) fn as_outer(&self) -> In<'_> {
        In { key: self.scope.key.as_deref(), host: self.host().map(HostString::as_str) }
    }

    pub(super) fn apart(&self) -> &Apart {
        &self.scope.apart
    }

    /// The same for another host of its list.
    pub(super) fn of(&self, listed: &Listed) -> Self {
        Self::new(self.shared.clone(), self.scope.clone(), Some(listed))
    }

    /// The host it runs on; `None` where it runs locally.
    pub fn host(&self) -> Option<&HostString> {
        self.listed.as_ref().map(|listed| &listed.host)
    }

    /// That host, with what it came with.
    pub(crate) fn listed(&self) -> Option<&Listed> {
        self.listed.as_ref()
    }

    /// The task.
    pub fn task(&self) -> &Arc<Task> {
        &self.scope.task
    }

    /// The task's name, as it was called.
    pub fn task_name(&self) -> &str {
        &self.scope.name
    }

    /// The host list of this execution (`env.all_hosts`).
    pub fn all_hosts(&self) -> &[Arc<str>] {
        &self.scope.hosts
    }

    /// The roles of that list (`env.effective_roles`).
    pub fn effective_roles(&self) -> &[String] {
        &self.scope.roles
    }

    /// Which try on this host it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The task's arguments, defaults filled in.
    pub fn args(&self) -> &Args {
        &self.scope.args
    }

    /// One argument, as the type that is wanted.
    pub fn arg<T: DeserializeOwned>(&self, name: &str) -> Result<T, TaskError> {
        let error = |message: String| TaskError::Argument { name: name.to_owned(), message };
        let value = self.scope.args.get(name).ok_or_else(|| error("the task has no such parameter".to_owned()))?;
        serde_json::from_value(value.clone()).map_err(|problem| error(problem.to_string()))
    }

    /// One argument, as a parameter's type.
    pub fn argument<T: Argument>(&self, name: &str) -> Result<T, TaskError> {
        let error = |message: String| TaskError::Argument { name: name.to_owned(), message };
        let value = self.scope.args.get(name).ok_or_else(|| error("the task has no such parameter".to_owned()))?;
        T::from_value(value).map_err(|expected| error(format!("expected {expected}, not `{value}`")))
    }

    /// A text of this run without the secrets that were asked for.
    pub(crate) fn discreet(&self, text: String) -> String {
        self.shared.secrets.hidden(text)
    }

    /// Shared state: what tasks set for those that follow.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The settings in force here and now.
    pub fn settings(&self) -> Result<Arc<Settings>, TaskError> {
        Ok(self.resolved()?.settings.clone())
    }

    fn resolved(&self) -> Result<Arc<Resolved>, TaskError> {
        let env = self.env.values();
        let mut kept = self.resolved.lock();
        if let Some(resolved) = kept.as_ref().filter(|resolved| Arc::ptr_eq(&resolved.env, &env)) {
            return Ok(resolved.clone());
        }
        let (source, layers) = (self.resolver(), self.layers());
        let (mut settings, target) = match self.host() {
            Some(host) => {
                let (settings, target) = source.settings_and_target(host, &layers)?;
                (settings, target.ok())
            }
            None => (source.settings(None, &layers)?, None),
        };
        // Relative local paths and local commands start in the fabfile's directory.
        if let Some(dir) = &self.shared.dir {
            let lcwd = dir.join(&settings.lcwd);
            Arc::make_mut(&mut settings).lcwd = lcwd.to_string_lossy().into_owned();
        }
        let resolved = Resolved { env, settings, target: target.map(Arc::new) };
        Ok(kept.insert(Arc::new(resolved)).clone())
    }

    /// A value of `env`: information about this run, a setting, or shared state. Secrets are not given.
    pub fn env_value(&self, name: &str) -> Result<Option<Value>, TaskError> {
        let texts = |list: &mut dyn Iterator<Item = &str>| list.map(Value::from).collect::<Vec<_>>().into();
        Ok(match name {
            "all_hosts" => Some(texts(&mut self.scope.hosts.iter().map(AsRef::as_ref))),
            "effective_roles" => Some(texts(&mut self.scope.roles.iter().map(String::as_str))),
            "command" => Some(self.task_name().into()),
            "hosts" | "roles" | "exclude_hosts" => {
                let lists =
                    self.shared.global_lists(self.task(), &self.env).map_err(|error| TaskError::Usage(error.into()))?;
                let list = match name {
                    "hosts" => lists.hosts,
                    "roles" => lists.roles,
                    _ => lists.exclude,
                };
                Some(list.into())
            }
            "tasks" => Some(texts(&mut self.shared.tokens.iter().map(String::as_str))),
            "host_string" => Some(self.host().map(HostString::as_str).into()),
            "host" if self.host().is_none() => Some(Value::Null),
            _ if fabric_core::settings::Setting::find(name).is_some_and(|setting| setting.kind.is_secret()) => None,
            "host" | "user" | "port" if self.host().is_some() => {
                let target = self.target()?;
                Some(match name {
                    "host" => target.host.clone().into(),
                    "user" => target.user.clone().into(),
                    _ => target.port.into(),
                })
            }
            _ => self.settings()?.get(name),
        })
    }

    pub(super) fn target(&self) -> Result<Arc<Target>, TaskError> {
        if let Some(target) = &self.resolved()?.target {
            return Ok(target.clone());
        }
        // Why there is none.
        let host = self.host().ok_or(TaskError::Interrupted)?;
        Ok(Arc::new(self.resolver().target(host, &self.layers())?))
    }

    fn resolver(&self) -> &dyn Resolve {
        &*self.shared.files.of(&self.task().namespace).resolver
    }

    pub(crate) fn layers(&self) -> Vec<Overlay> {
        self.scope.at_once.iter().chain(&*self.overlays).cloned().chain(self.env.overlay()).collect()
    }

    /// The same with these settings, by their classic names, and keys of shared state for a block of code
    /// (`settings(..)` of Fabric 1); this one is not changed. They beat everything but a command's own options;
    /// of a table (`shell_env`) the keys that are not given stay.
    #[must_use]
    pub fn with(&self, values: Map) -> Self {
        let mut overlays = (*self.overlays).clone();
        overlays.push(Overlay::new(Origin::place(Layer::Step, "settings(..)"), values));
        Self { overlays: Arc::new(overlays), resolved: Arc::default(), ..self.clone() }
    }

    /// The same for what is done if this condition holds, which a dry run cannot know.
    pub(crate) fn on_condition(&self, condition: &str) -> Self {
        Self { emitter: self.emitter.on_condition(condition), ..self.clone() }
    }

    /// The connection with the host; it opens when it is first used, and its session is the same for all tasks of the
    /// run that reach the machine in the same way, whatever it is called there (see [`SessionKey`](fabric_core::SessionKey)).
    ///
    /// Without a host it asks for one, once a run.
    ///
    /// # Errors
    ///
    /// [`TaskError::NoHost`] where there is no host and no way to ask for one.
    pub async fn connection(&self) -> Result<Connection, TaskError> {
        let context = if self.host().is_some() {
            self.clone()
        } else {
            let host = self.shared.ask_for_host().await.map_err(TaskError::NoHost)?;
            let emitter = self.emitter.for_host(host.as_str());
            Self { listed: Some(Listed::new(host)), emitter, resolved: Arc::default(), ..self.clone() }
        };
        Ok(context.mannered(&context.host_connection()?))
    }

    fn host_connection(&self) -> Result<Connection, TaskError> {
        Ok(self.shared.connections.get(&self.shared, self, &self.target()?, self.settings()?)?)
    }

    pub(crate) fn hidden(&self) -> Hide {
        self.hidden
    }

    pub(super) fn with_hidden(&self, hidden: Hide) -> Self {
        Self { hidden, ..self.clone() }
    }

    /// The connection as this block of code wants it: what is shown, and whether anything is done at all.
    fn mannered(&self, connection: &Connection) -> Connection {
        let Hide { running, .. } = self.hidden;
        connection
            .with_hidden(self.hidden.streams())
            .with_echo(!running)
            .with_dry(self.shared.dry_run)
            .with_destinations(self.apart().destinations.clone())
    }

    /// A connection for local commands, which opens nothing.
    pub(crate) fn local_connection(&self) -> Result<Connection, TaskError> {
        Ok(self.mannered(&match self.host() {
            Some(_) => self.host_connection()?,
            None => Connection::builder("local://localhost")
                .settings(self.settings()?)
                .prompter(self.shared.prompter.clone())
                .emitter(self.emitter.clone())
                .interrupt(self.shared.interrupt.token().clone())
                .build()?,
        }))
    }

    /// Executes another task by all the rules of host lists, and yields what it returned on each host, in
    /// host order; under [`LOCAL_ONLY`] where it ran without a host.
    ///
    /// A task without hosts that is executed inside a host's run keeps that host.
    ///
    /// # Errors
    ///
    /// A failure that the failure policy doesn't allow, on any host: the text names all of them.
    pub async fn execute(&self, execute: Execute) -> Result<IndexMap<String, Value>, TaskError> {
        let results = self.execute_all(execute).await?;
        Ok(results
            .into_iter()
            .map(|result| (result.host.unwrap_or_else(|| LOCAL_ONLY.to_owned()), result.value))
            .collect())
    }

    /// The same, with each host's status.
    pub async fn execute_all(&self, mut what: Execute) -> Result<Vec<HostResult>, TaskError> {
        let usage = |error| TaskError::Usage(Box::new(error));
        if what.task.is_none() {
            what.call.task = self.shared.collection.qualified(&self.scope.task.namespace, &what.call.task);
        }
        let job = match what.task {
            Some(task) => {
                let args = what.call.bind(&task.params).map_err(|error| usage(error.into()))?;
                Job::new(task, what.call.task.as_str(), args, what.call.selection)
            }
            None => self.shared.job(&what.call).map_err(usage)?,
        };
        let name = job.name.clone();
        let outcome = execute(self.shared.clone(), job, Some(self.clone())).await.map_err(usage)?;
        for result in &outcome.results {
            self.hide_from_report(&result.hidden);
        }
        if let Some(message) = outcome.usage {
            self.scope.tell_usage(message.clone());
            return Err(TaskError::Execute(message));
        }
        if self.shared.interrupt.is_stopping() {
            return Err(TaskError::Interrupted);
        }
        // What puts tasks on hosts goes on where the failure policy lets the run go on; what runs on a host needs what it
        // executes.
        let goes_on = !outcome.halt && (self.host().is_none() || self.task().runs_once) && !self.is_lost();
        if goes_on && !outcome.reasons.is_empty() {
            self.shared.ledger.went_on(self.scope.execution);
        } else if !outcome.reasons.is_empty() {
            let text = format!("task `{name}` failed: {}", outcome.reasons.join("; "));
            return Err(if outcome.settled { TaskError::GaveUp(text) } else { TaskError::Execute(text) });
        }
        Ok(outcome.results)
    }

    /// Keeps this, which is of its result, out of reports.
    pub(crate) fn hide_from_report(&self, hidden: &Hidden) {
        let mut unreported = self.unreported.lock();
        unreported.value |= hidden.value;
        for part in &hidden.error {
            if !unreported.error.contains(part) {
                unreported.error.push(part.clone());
            }
        }
    }

    pub(crate) fn take_hidden(&self) -> Hidden {
        std::mem::take(&mut *self.unreported.lock())
    }

    fn is_lost(&self) -> bool {
        self.host().is_some_and(|host| self.shared.ledger.is_lost(host.as_str()))
    }

    /// Tries until there is something: `attempt` yields `None` for "not yet". An error that another try could
    /// mend is "not yet" too; any other one ends it.
    ///
    /// ```
    /// # use fabric_exec::{Context, TaskError, run::Backoff};
    /// # async fn task(context: Context) -> Result<(), TaskError> {
    /// let connection = context.connection().await?;
    /// let health = context
    ///     .until(Backoff::new(10), || async {
    ///         let outcome = connection.run("curl -fsS localhost:8080/health").warn(true).await?;
    ///         Ok(outcome.ok().then_some(outcome))
    ///     })
    ///     .await?;
    /// # let _ = health; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The last try's error, or [`TaskError::NotReady`] if it had none; [`TaskError::Interrupted`] if the run is
    /// stopped meanwhile.
    pub async fn until<T, F, Fut>(&self, backoff: Backoff, mut attempt: F) -> Result<T, TaskError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Option<T>, TaskError>>,
    {
        let mut tries = 1;
        loop {
            let error = match attempt().await {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => TaskError::NotReady { tries },
                Err(error @ (TaskError::Until { .. } | TaskError::NotReady { .. })) => error,
                Err(error) if error.is_worth_a_retry() => error,
                Err(error) => return Err(error),
            };
            let Some(pause) = backoff.pause(tries) else { return Err(error) };
            self.wait_before_retry(tries, &error, pause).await?;
            tries += 1;
        }
    }

    /// Says that something is tried again, and waits; an error if the run is stopped.
    pub(crate) async fn wait_before_retry(
        &self,
        attempt: u32,
        error: &TaskError,
        pause: Duration,
    ) -> Result<(), TaskError> {
        if self.interrupt().is_stopping() {
            return Err(TaskError::Interrupted);
        }
        self.emitter.emit(EventKind::Retrying { attempt, error: error.to_string(), delay_ms: millis(pause) });
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.interrupt().stopping() => Err(TaskError::Interrupted),
        }
    }

    /// Opens an interactive shell on the host, and says how it ended.
    ///
    /// # Errors
    ///
    /// [`TaskError::Abort`] where the run has no terminal.
    pub async fn open_shell(&self, line: Option<String>) -> Result<ExitStatus, TaskError> {
        let connection = self.connection().await?;
        let interactive = self.shared.interactive.lock().await;
        match &*interactive {
            Some(interactive) => Ok(interactive.open_shell(connection, line).await?),
            None => Err(TaskError::abort("open_shell needs a terminal, and this run has none")),
        }
    }

    /// Asks a person.
    pub async fn prompt(&self, message: impl Into<String>, default: Option<String>) -> Result<String, TaskError> {
        let kind = PromptKind::Text { default, secret: false };
        Ok(self.ask(kind, message.into()).await?.expose().to_owned())
    }

    /// Asks a person for what must not be shown: it is hidden in commands and errors of the run. What hosts print
    /// of it is not, nor what is shorter than three characters.
    pub async fn prompt_secret(&self, message: impl Into<String>) -> Result<Secret, TaskError> {
        let answer = self.ask(PromptKind::Text { default: None, secret: true }, message.into()).await?;
        self.shared.secrets.learn(&answer);
        Ok(answer)
    }

    /// Asks a person yes or no.
    pub async fn confirm(&self, message: impl Into<String>, default: bool) -> Result<bool, TaskError> {
        let answer = self.ask(PromptKind::Confirm { default }, message.into()).await?;
        Ok(answer.expose() == "yes")
    }

    async fn ask(&self, kind: PromptKind, message: String) -> Result<Secret, TaskError> {
        let host = self.host().map(|host| host.as_str().to_owned());
        Ok(self.shared.prompter.ask(PromptRequest { kind, host, message }).await?)
    }

    /// Says something to whoever watches the run (`puts` of Fabric 1).
    pub fn say(&self, text: impl Into<String>) {
        self.emitter.emit(EventKind::Message { text: text.into() });
    }

    /// Warns whoever watches the run.
    pub fn warn(&self, text: impl Into<String>) {
        self.emitter.warn(text);
    }

    /// Where events of this host and task go.
    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// How the run is stopped; a long body of one's own should end when it is.
    pub fn interrupt(&self) -> &Interrupt {
        &self.shared.interrupt
    }

    /// Whether to tell what would be done instead of doing it. Commands and transfers of this context's
    /// connections are reported and not carried out, with an empty success as their outcome; a body that does
    /// anything else asks here first.
    pub fn is_dry_run(&self) -> bool {
        self.shared.dry_run
    }

    /// Where local commands and relative local paths start.
    pub fn dir(&self) -> Option<&Path> {
        self.shared.dir.as_deref()
    }

    /// A failure that the settings asked to be a warning: the task goes on, the host counts as failed,
    /// the run does not.
    pub(crate) fn tolerate(&self, error: String) {
        self.tolerated.lock().get_or_insert(error);
    }

    pub(crate) fn tolerated(&self) -> Option<String> {
        self.tolerated.lock().clone()
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What this program was given as its standard input, whole each time, for a command that is to have it; what a person
    /// types, where that is a terminal and hosts run one after another. Nothing where the run has no [`Input`](super::Input).
    pub fn stdin(&self) -> Stdin {
        self.shared.input.whole(self.scope.serial, false)
    }

    /// What is in a local file, whole each time, also where it is a pipe or a device: `/dev/stdin`, for example, is
    /// [`stdin`](Self::stdin).
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub async fn stdin_of(&self, path: impl AsRef<Path>) -> std::io::Result<Stdin> {
        self.shared.input.file(path.as_ref(), self.scope.serial).await
    }

    /// The same for a command that nothing follows: what it reads need not be kept.
    pub(crate) fn last_stdin(&self) -> Result<Stdin, TaskError> {
        let once = self.all_hosts().len() <= 1 && self.settings()?.retries == 0;
        Ok(self.shared.input.whole(self.scope.serial, once))
    }

    /// What a person types, for commands that don't ask for this program's input.
    pub(crate) fn typed(&self) -> Stdin {
        self.shared.input.typed(self.scope.serial)
    }

    /// The status of the command after `--`.
    pub(crate) fn tell_sole(&self, exit: &ExitStatus) {
        self.shared.ledger.sole_ended(exit.as_shell_status());
    }

    /// A host list that a local command prints, with what it says about the hosts.
    pub(crate) async fn inventory(&self, line: &str) -> Result<Vec<Listed>, TaskError> {
        let dir = self.dir().map(Path::to_path_buf).unwrap_or_default();
        let members = self.shared.inventory_command(line, &dir, "hosts").await;
        for warning in self.shared.inventories.warnings() {
            self.emitter().warn(warning);
        }
        Ok(members.map_err(TaskError::Abort)?.hosts)
    }

    /// The global list is set to these hosts, those of an inventory with their settings.
    pub(crate) fn set_hosts(&self, of_inventory: &[Listed]) {
        self.env.set_listed(of_inventory);
    }
}
