//! What a task's body is given: its host, its arguments, its connection, and the rest of the run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::settings::{Map, Overlay, Settings};
use fabric_core::{
    Emitter, EventKind, ExitStatus, HostString, Layer, Origin, PromptError, PromptKind, PromptRequest, Resolve, Secret,
    Target, Value,
};
use fabric_transport::Connection;
use fabric_transport::connection::{CommandRequest, Stdin};
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::apart::Apart;
use super::argument::Argument;
use super::backoff::Backoff;
use super::definition::Task;
use super::env::Env;
use super::error::TaskError;
use super::hide::Hide;
use super::interrupt::Interrupt;
use super::invocation::{Args, Invocation};
use super::means::Means;
use super::scope::{Scope, passed_on, without_leniency};
use super::turns::{In, Turns};
use crate::hostlist::{Listed, Selection};
use crate::report::{Execution, Hidden, HostResult};

/// What a run does for the bodies of its tasks.
#[async_trait]
pub(crate) trait Runner: Send + Sync {
    /// What it was given.
    fn means(&self) -> &Means;

    /// What yields the settings of the file that a namespace is of.
    fn resolver(&self, namespace: &str) -> &dyn Resolve;

    /// The global lists now, as the file of this task has them.
    fn global_lists(&self, task: &Task, env: &Env) -> Result<Selection, TaskError>;

    /// The same emitter, whose events are gathered for the report besides: those of an execution on a host.
    fn gathering(&self, emitter: &Emitter, execution: Execution, host: Option<Arc<str>>) -> Emitter;

    /// The connection with a target, as this context sees it. Opens nothing.
    fn connection(
        &self,
        context: &Context,
        target: &Arc<Target>,
        settings: Arc<Settings>,
    ) -> Result<Connection, fabric_core::Error>;

    /// Asks for a host, once a run: what was meant for a host never runs locally.
    async fn ask_for_host(&self) -> Result<HostString, PromptError>;

    /// Executes another task inside the run of `within`.
    async fn execute(self: Arc<Self>, what: Execute, within: Context) -> Result<Vec<HostResult>, TaskError>;

    /// The host list that a local command prints, with what it says about the hosts.
    async fn inventory(&self, line: &str, emitter: &Emitter) -> Result<Vec<Listed>, TaskError>;

    /// Opens an interactive shell on the terminal of the run.
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, TaskError>;

    /// The command after `--` has ended with this status.
    fn sole_ended(&self, status: u8);
}

/// How much is kept of output that isn't shown or saved, for the text of an error. What a report shows is kept
/// by the report.
const KEPT: u64 = 16 * 1024;

/// What a task's body is given. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Context {
    run: Arc<dyn Runner>,
    task: Arc<Task>,
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
    pub(crate) fn new(run: Arc<dyn Runner>, task: Arc<Task>, scope: Arc<Scope>, listed: Option<&Listed>) -> Self {
        let own = listed.map(|listed| &*listed.settings).unwrap_or_default();
        let own = own.iter().map(|of_role| if scope.is_check { without_leniency(of_role) } else { of_role.clone() });
        let overlays = own.chain(scope.overlays.iter().cloned()).collect();
        let emitter = match listed {
            Some(listed) => {
                let host: Arc<str> = listed.host.as_str().into();
                run.gathering(&scope.emitter.for_host(host.clone()), scope.execution, Some(host))
            }
            None => scope.emitter.clone(),
        };
        Self {
            listed: listed.cloned(),
            overlays: Arc::new(overlays),
            env: if scope.forks { scope.env.fork() } else { scope.env.clone() },
            emitter,
            run,
            task,
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
    pub(crate) fn passed_on(&self) -> Vec<Overlay> {
        passed_on(&self.overlays)
    }

    /// The same for another try.
    pub(crate) fn again(&self, attempt: u32) -> Self {
        let executed = Arc::default();
        Self { tolerated: Arc::default(), turns: Arc::default(), executed, attempt, ..self.clone() }
    }

    /// Its execution's place in the ledger.
    pub(crate) fn execution(&self) -> Execution {
        self.scope.execution
    }

    /// Takes note of an execution that it has made.
    pub(crate) fn executes(&self, execution: Execution) {
        self.executed.lock().push(execution);
    }

    /// What it has executed in this try, which is made again.
    pub(crate) fn take_executed(&self) -> Vec<Execution> {
        std::mem::take(&mut *self.executed.lock())
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// What the keys of its own executions are made of.
    pub(crate) fn as_outer(&self) -> In<'_> {
        In { key: self.scope.key.as_deref(), host: self.host().map(HostString::as_str) }
    }

    pub(crate) fn apart(&self) -> &Apart {
        &self.scope.apart
    }

    /// The same for another host of its list.
    pub(super) fn of(&self, listed: &Listed) -> Self {
        Self::new(self.run.clone(), self.task.clone(), self.scope.clone(), Some(listed))
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
        &self.task
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
        self.run.means().secrets.hidden(text)
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
        if let Some(dir) = &self.run.means().dir {
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
                let lists = self.run.global_lists(&self.task, &self.env)?;
                let list = match name {
                    "hosts" => lists.hosts,
                    "roles" => lists.roles,
                    _ => lists.exclude,
                };
                Some(list.into())
            }
            "tasks" => Some(texts(&mut self.run.means().tokens.iter().map(String::as_str))),
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
        self.run.resolver(&self.task.namespace)
    }

    pub(crate) fn layers(&self) -> Vec<Overlay> {
        let set = self.env.overlay().map(|set| if self.scope.is_check { without_leniency(&set) } else { set });
        self.scope.at_once.iter().chain(&*self.overlays).cloned().chain(set).collect()
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
            let host = self.run.ask_for_host().await.map_err(TaskError::NoHost)?;
            let emitter = self.emitter.for_host(host.as_str());
            Self { listed: Some(Listed::new(host)), emitter, resolved: Arc::default(), ..self.clone() }
        };
        Ok(context.mannered(&context.host_connection()?))
    }

    /// The same on another host than that of its list, without what a list or a role says about it. What it does there is
    /// shown under the host's name, and counts for the task.
    ///
    /// # Errors
    ///
    /// The text is no host string.
    pub fn on(&self, host: &str) -> Result<Self, TaskError> {
        let host = HostString::parse(host).map_err(|error| TaskError::abort(error.to_string()))?;
        let emitter = self.emitter.for_host(host.as_str());
        Ok(Self { listed: Some(Listed::new(host)), emitter, resolved: Arc::default(), ..self.clone() })
    }

    fn host_connection(&self) -> Result<Connection, TaskError> {
        Ok(self.run.connection(self, &self.target()?, self.settings()?)?)
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
            .with_dry(self.run.means().dry_run)
            .with_destinations(self.apart().destinations.clone())
    }

    /// A connection for local commands, which opens nothing.
    pub(crate) fn local_connection(&self) -> Result<Connection, TaskError> {
        Ok(self.mannered(&match self.host() {
            Some(_) => self.host_connection()?,
            None => Connection::builder("local://localhost")
                .settings(self.settings()?)
                .prompter(self.run.means().prompter.clone())
                .emitter(self.emitter.clone())
                .interrupt(self.run.means().interrupt.token().clone())
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
    pub async fn execute_all(&self, what: Execute) -> Result<Vec<HostResult>, TaskError> {
        self.run.clone().execute(what, self.clone()).await
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
        self.emitter.emit(EventKind::retrying(attempt, error.to_string(), pause));
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
        self.run.open_shell(connection, line).await
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
        self.run.means().secrets.learn(&answer);
        Ok(answer)
    }

    /// Asks a person yes or no.
    pub async fn confirm(&self, message: impl Into<String>, default: bool) -> Result<bool, TaskError> {
        let answer = self.ask(PromptKind::Confirm { default }, message.into()).await?;
        Ok(answer.expose() == "yes")
    }

    async fn ask(&self, kind: PromptKind, message: String) -> Result<Secret, TaskError> {
        let host = self.host().map(|host| host.as_str().to_owned());
        Ok(self.run.means().prompter.ask(PromptRequest::new(kind, message).host(host)).await?)
    }

    /// Says something to whoever watches the run (`puts` of Fabric 1).
    pub fn say(&self, text: impl Into<String>) {
        self.emitter.emit(EventKind::message(text));
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
        &self.run.means().interrupt
    }

    /// Whether the run only says what it would do. Commands and transfers of this context's
    /// connections are reported and not carried out, with an empty success as their outcome; a body that does
    /// anything else asks here first.
    pub fn is_dry_run(&self) -> bool {
        self.run.means().dry_run
    }

    /// Where local commands and relative local paths start.
    pub fn dir(&self) -> Option<&Path> {
        self.run.means().dir.as_deref()
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
        self.run.means().input.whole(self.scope.serial, false)
    }

    /// What is in a local file, whole each time, also where it is a pipe or a device: `/dev/stdin`, for example, is
    /// [`stdin`](Self::stdin).
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub async fn stdin_of(&self, path: impl AsRef<Path>) -> std::io::Result<Stdin> {
        self.run.means().input.file(path.as_ref(), self.scope.serial).await
    }

    /// The same for a command that nothing follows: what it reads need not be kept.
    pub(crate) fn last_stdin(&self) -> Result<Stdin, TaskError> {
        let once = self.all_hosts().len() <= 1 && self.settings()?.retries == 0;
        Ok(self.run.means().input.whole(self.scope.serial, once))
    }

    /// Bounds what is captured of output that isn't shown or saved, unless the settings do: ten thousand hosts must not
    /// fill the memory with what was shown long ago.
    pub(crate) fn keep_the_end(&self, request: CommandRequest) -> Result<CommandRequest, TaskError> {
        let bounded = self.settings()?.capture_buffer_size.is_some();
        Ok(if bounded { request } else { request.capture_limit(KEPT) })
    }

    /// What a person types, for commands that don't ask for this program's input.
    pub(crate) fn typed(&self) -> Stdin {
        self.run.means().input.typed(self.scope.serial)
    }

    /// The status of the command after `--`.
    pub(crate) fn note_sole(&self, exit: &ExitStatus) {
        self.run.sole_ended(exit.as_shell_status());
    }

    /// A host list that a local command prints, with what it says about the hosts.
    pub(crate) async fn inventory(&self, line: &str) -> Result<Vec<Listed>, TaskError> {
        self.run.inventory(line, &self.emitter).await
    }

    /// The global list is set to these hosts, those of an inventory with their settings.
    pub(crate) fn set_hosts(&self, of_inventory: &[Listed]) {
        self.env.set_listed(of_inventory);
    }
}
