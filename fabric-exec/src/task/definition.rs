//! What a task is: its name, parameters and options, and what it does behind a trait.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::settings::Map;
use fabric_core::{Origin, Value};

use super::context::Context;
use super::error::TaskError;
use super::id::TaskId;
use super::invocation::Invocation;
use super::outline::Outline;
use super::param::Param;
use crate::hostlist::{Selection, Share};
use crate::places::Places;

/// What a task does. A task source (declared steps, functions, another language) has a body of its own.
#[async_trait]
pub trait TaskBody: Any + Send + Sync {
    /// Does it, for the host of `context` if there is one. What it returns becomes the host's value in
    /// the report and in what `execute` yields.
    async fn call(&self, context: Context) -> Result<Value, TaskError>;

    /// What is known of it before it runs: plans show it, and it is checked before anything begins. Default: nothing, as
    /// of code.
    fn outline(&self) -> Option<Outline<'_>> {
        None
    }

    /// Whether it is known to need a host: where it has none, a person is asked for one before it begins. Default: no.
    fn needs_host(&self) -> bool {
        false
    }

    /// Whether it transfers files, which keeps a thread busy for a single host. Default: no.
    fn moves_files(&self) -> bool {
        false
    }
}

/// A named unit of work.
///
/// ```
/// use fabric_exec::{Context, Param, Task};
///
/// let deploy = Task::from_fn("deploy", |context: Context| async move {
///     let version: String = context.arg("version")?;
///     context.connection().await?.run(format!("bin/deploy {version}")).await?;
///     Ok(())
/// })
/// .help("Roll a version out")
/// .param(Param::required("version"))
/// .roles(["web"]);
/// assert_eq!(deploy.own.roles, ["web"]);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Task {
    /// Its name, without the namespaces it is in.
    pub name: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// What it does; the first line is a summary.
    pub help: Option<String>,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// Its own hosts and roles (the decorators of Fabric 1); they beat the global lists.
    pub own: Selection,
    /// Whether it runs once a run, whatever its host list, the first host being the one.
    pub runs_once: bool,
    /// Whether it runs on its hosts at the same time; `None`: as the `parallel` setting says.
    pub mode: Option<Mode>,
    /// How many hosts at the same time; `None`: as the `pool_size` setting says.
    pub pool_size: Option<u32>,
    /// How many hosts before it goes on to the next; `None`: as the `batch` setting says.
    pub batch: Option<Share>,
    /// What guards its way over the batches.
    pub rolling: Rolling,
    /// What runs before it, once a run.
    pub pre: Vec<Invocation>,
    /// What runs after it, once a run.
    pub post: Vec<Invocation>,
    /// Settings for the time it runs.
    pub settings: Arc<Map>,
    /// Whether the name of its collection alone means it.
    pub default: bool,
    /// Where it is defined.
    pub origin: Option<Origin>,
    /// The namespace of the included file that it is in, in which the names that it uses are looked for first; empty for
    /// the fabfile's own.
    pub namespace: String,
    /// Where its texts are in the fabfile, except for those of its steps.
    pub places: Places,
    /// What it does.
    pub body: Arc<dyn TaskBody>,
    id: TaskId,
}

/// What guards a task's way over its batches.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Rolling {
    /// How many hosts, or what share, the first batch is: the canary.
    pub canary: Option<Share>,
    /// What runs on the hosts of each batch when they are done; if it fails on one, nothing more is started.
    pub health: Option<Invocation>,
    /// Whether a person is asked after the first batch if it is to go on. Whoever cannot be asked says no.
    pub pause: bool,
    /// What runs on all hosts that were begun, if it does not come to its end.
    pub rollback: Option<Invocation>,
}

/// Whether a task runs on its hosts one after another or at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// One after another, whatever the settings say.
    Serial,
    /// At the same time, whatever the settings say.
    Parallel,
}

impl Rolling {
    /// The first of these keys that is given.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let given = [
            ("canary", self.canary.is_some()),
            ("health", self.health.is_some()),
            ("pause", self.pause),
            ("rollback", self.rollback.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }
}

impl Task {
    /// A task with this body and nothing else.
    pub fn new(name: impl Into<String>, body: Arc<dyn TaskBody>) -> Self {
        Self {
            name: name.into(),
            aliases: Vec::new(),
            help: None,
            params: Vec::new(),
            own: Selection::default(),
            runs_once: false,
            mode: None,
            pool_size: None,
            batch: None,
            rolling: Rolling::default(),
            pre: Vec::new(),
            post: Vec::new(),
            settings: Arc::default(),
            default: false,
            origin: None,
            namespace: String::new(),
            places: Places::default(),
            body,
            id: TaskId::new(),
        }
    }

    /// Which task it is: the same under all of its names.
    pub(crate) fn id(&self) -> TaskId {
        self.id.same()
    }

    /// Whether nothing of it follows on a host on which its body has ended.
    pub(crate) fn is_last_on_its_hosts(&self) -> bool {
        self.post.is_empty() && self.rolling.health.is_none() && self.rolling.rollback.is_none()
    }

    /// A further name.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// What it does; the first line is a summary.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// One more parameter.
    #[must_use]
    pub fn param(mut self, param: Param) -> Self {
        self.params.push(param);
        self
    }

    /// Its own hosts, as host strings.
    #[must_use]
    pub fn hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.own.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Its own roles.
    #[must_use]
    pub fn roles<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.own.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Runs once a run.
    #[must_use]
    pub fn runs_once(mut self) -> Self {
        self.runs_once = true;
        self
    }

    /// Runs on its hosts at the same time.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.mode = Some(Mode::Parallel);
        self
    }

    /// Runs on its hosts one after another, whatever the settings say.
    #[must_use]
    pub fn serial(mut self) -> Self {
        self.mode = Some(Mode::Serial);
        self
    }

    /// How many hosts at the same time; 0 is all.
    #[must_use]
    pub fn pool_size(mut self, hosts: u32) -> Self {
        self.pool_size = Some(hosts);
        self
    }

    /// How many hosts, or what share, before it goes on to the next.
    #[must_use]
    pub fn batch(mut self, share: Share) -> Self {
        self.batch = Some(share);
        self
    }

    /// How many hosts, or what share, the first batch is.
    #[must_use]
    pub fn canary(mut self, share: Share) -> Self {
        self.rolling.canary = Some(share);
        self
    }

    /// What runs on the hosts of each batch when they are done; if it fails on one, nothing more is started.
    #[must_use]
    pub fn health(mut self, invocation: Invocation) -> Self {
        self.rolling.health = Some(invocation);
        self
    }

    /// A person is asked after the first batch if it is to go on.
    #[must_use]
    pub fn pause(mut self) -> Self {
        self.rolling.pause = true;
        self
    }

    /// What runs on all hosts that were begun, if it does not come to its end.
    #[must_use]
    pub fn rollback(mut self, invocation: Invocation) -> Self {
        self.rolling.rollback = Some(invocation);
        self
    }

    /// What runs before it, once a run.
    #[must_use]
    pub fn pre(mut self, invocation: Invocation) -> Self {
        self.pre.push(invocation);
        self
    }

    /// What runs after it, once a run.
    #[must_use]
    pub fn post(mut self, invocation: Invocation) -> Self {
        self.post.push(invocation);
        self
    }

    /// Settings for the time it runs, by their classic names.
    #[must_use]
    pub fn with(mut self, settings: Map) -> Self {
        self.settings = Arc::new(settings);
        self
    }

    /// The name of its collection alone means it.
    #[must_use]
    pub fn default(mut self) -> Self {
        self.default = true;
        self
    }

    /// The first line of its help that says something.
    pub fn summary(&self) -> Option<&str> {
        self.help.as_deref()?.lines().map(str::trim).find(|line| !line.is_empty())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).finish_non_exhaustive()
    }
}
