//! Runs: tasks carried out on their hosts, in order, by their strategies, and what came of it.
//!
//! [`Run::start`] checks everything that can be checked before anything begins, then goes through the
//! calls in order. For each, `execute` goes by the rules of `docs/execution.md`: `lists` makes the host list, `dispatch`
//! starts the hosts in its order and owns all that happens to them, `gates` guards its way over batches, and `host` runs
//! the body on one host, tries included. What came of it all is in the `ledger`.

pub(crate) mod again;
mod apart;
mod backoff;
mod block;
mod check;
mod connections;
mod context;
mod dispatch;
mod env;
mod execute;
mod files;
mod gates;
mod host;
mod input;
mod interrupt;
mod inventories;
pub(crate) mod job;
mod lanes;
mod ledger;
pub(crate) mod lists;
mod once;
mod scope;
mod secrets;
pub(crate) mod shared;
pub(crate) mod strategy;

use std::collections::HashMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::settings::{Problem, Problems};
use fabric_core::{Error, EventSink, ExitStatus, Origin, PromptError, Prompter, RefusePrompts, Resolve};
use fabric_transport::connection::Terminal;
use fabric_transport::{Connection, Connector};
use thiserror::Error;

use crate::collection::{Collection, UnknownTask};
use crate::hostlist::{FabfileLists, HostListError, Roles, Selection, Shard};
use crate::journal::{Journal, Recorded};
use crate::plan::{Plan, Planner};
use crate::report::Report;
use crate::task::{ArgsError, Invocation};

use files::{FileSettings, Files};

pub use backoff::Backoff;
pub use block::Hide;
pub use context::{Context, Execute, LOCAL_ONLY};
pub use dispatch::is_in_task;
pub use env::Env;
pub use input::Input;
pub use interrupt::Interrupt;

/// Who has the terminal that an interactive shell (`open_shell`) is shown on.
#[async_trait]
pub trait Interactive: Send + Sync {
    /// Opens a shell on the host of `connection`, types `line` first if there is one, and stays until the
    /// shell has ended. Called for one host at a time.
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, Error>;
}

#[async_trait]
impl<I: Interactive + ?Sized> Interactive for Arc<I> {
    async fn open_shell(&self, connection: Connection, line: Option<String>) -> Result<ExitStatus, Error> {
        (**self).open_shell(connection, line).await
    }
}

/// One thing to do in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// A task of the collection.
    Task(Invocation),
    /// A command for every host of the global host list (`-- COMMAND`). It is never a template.
    Command(String),
}

/// Why a run, or a nested execution, could not even begin.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Names that no task has.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnknownTasks(Vec<UnknownTask>),
    /// Arguments that don't fit.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// Roles that don't exist, or texts that are no hosts.
    #[error(transparent)]
    HostList(#[from] HostListError),
    /// The same, in a task's own `hosts` and `roles`.
    #[error("{origin}: {source}")]
    OwnHostList {
        /// Where the task is defined.
        origin: Origin,
        /// What is wrong.
        source: HostListError,
    },
    /// A role's hosts could not be found out.
    #[error("role `{role}`: {message}")]
    Role {
        /// The role.
        role: String,
        /// What happened.
        message: String,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// Tasks that would run are wrong: names that nothing has, files that are not there. All of it, and what else is
    /// wrong with the calls.
    #[error(transparent)]
    Fabfile(Problems),
    /// A task executes itself without end, or waits for itself.
    #[error("task `{0}` executes itself without end")]
    Endless(String),
    /// A task needs a host, and there is no way to ask for one.
    #[error("task `{task}` has no host to run on: give -H, -R, hosts or roles ({source})")]
    NoHost {
        /// The task.
        task: String,
        /// Why no question is asked.
        source: PromptError,
    },
    /// A task needs itself before or after it.
    #[error("task `{0}` needs itself: look at `pre` and `post`")]
    Cycle(String),
}

/// A run to be. Everything it needs is handed in; nothing is read from the environment.
///
/// ```no_run
/// # async fn run(settings: fabric_core::Settings) -> Result<(), Box<dyn std::error::Error>> {
/// use fabric_exec::{Call, Collection, Context, Invocation, Run, Task, hostlist::Selection};
///
/// let uptime = Task::from_fn("uptime", |context: Context| async move {
///     let outcome = context.connection().await?.run("uptime").await?;
///     Ok(outcome.stdout().into_owned())
/// });
/// let report = Run::new(Collection::new().task(uptime)?, settings)
///     .command_line(Selection { hosts: vec!["web1".into(), "web2".into()], ..Selection::default() })
///     .start(vec![Call::Task(Invocation::new("uptime"))])
///     .await?;
/// std::process::exit(report.exit_code().into());
/// # }
/// ```
pub struct Run {
    collection: Arc<Collection>,
    files: Files,
    connector: Connector,
    events: Arc<dyn EventSink>,
    prompter: Arc<dyn Prompter>,
    roles: Roles,
    command_line: Selection,
    shard: Option<Shard>,
    journal: Option<Journal>,
    earlier: Option<Recorded>,
    keep_output: bool,
    dry: bool,
    dir: Option<PathBuf>,
    terminal: Option<Terminal>,
    input: Input,
    interactive: Option<Arc<dyn Interactive>>,
    interrupt: Interrupt,
    open_at_most: usize,
    threads: usize,
    id: Option<String>,
    tokens: Vec<String>,
}

/// A name for a run: names sort by time, and two of one moment differ.
pub fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let micros = now.subsec_nanosecond() / 1000;
    format!("{}-{micros:05x}-{:06x}", now.strftime("%Y%m%dT%H%M%S"), rand::random::<u32>() & 0x00ff_ffff)
}

impl Run {
    /// A run of tasks of this collection, under the settings that `resolver` yields.
    pub fn new(collection: impl Into<Arc<Collection>>, resolver: impl Resolve + 'static) -> Self {
        Self {
            collection: collection.into(),
            files: Files {
                fabfile: FileSettings { resolver: Arc::new(resolver), lists: FabfileLists::default() },
                included: HashMap::new(),
            },
            connector: Connector::new(),
            events: Arc::new(fabric_core::event::NoEvents),
            prompter: Arc::new(RefusePrompts::default()),
            roles: Roles::new(),
            command_line: Selection::default(),
            shard: None,
            journal: None,
            earlier: None,
            keep_output: false,
            dry: false,
            dir: None,
            terminal: None,
            input: Input::None,
            interactive: None,
            interrupt: Interrupt::new(),
            open_at_most: 0,
            threads: 1,
            id: None,
            tokens: Vec::new(),
        }
    }

    /// Who opens sessions. Default: a connector of its own.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = connector;
        self
    }

    /// Where events go. Default: nowhere.
    #[must_use]
    pub fn events(mut self, events: impl EventSink + 'static) -> Self {
        self.events = Arc::new(events);
        self
    }

    /// What answers questions. Default: every question is refused.
    #[must_use]
    pub fn prompter(mut self, prompter: impl Prompter + 'static) -> Self {
        self.prompter = Arc::new(prompter);
        self
    }

    /// The roles.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// The fabfile's `extend` and `replace` of the global lists.
    #[must_use]
    pub fn fabfile_lists(mut self, lists: FabfileLists) -> Self {
        self.files.fabfile.lists = lists;
        self
    }

    /// The settings and the `extend` and `replace` of an included file, which are for the tasks of its namespace. Default:
    /// those of the fabfile.
    #[must_use]
    pub fn included(
        mut self,
        namespace: impl Into<String>,
        resolver: impl Resolve + 'static,
        lists: FabfileLists,
    ) -> Self {
        self.files.included.insert(namespace.into(), FileSettings { resolver: Arc::new(resolver), lists });
        self
    }

    /// `-H`, `-R` and `-x`.
    #[must_use]
    pub fn command_line(mut self, selection: Selection) -> Self {
        self.command_line = selection;
        self
    }

    /// This process's part of every host list.
    #[must_use]
    pub fn shard(mut self, shard: Option<Shard>) -> Self {
        self.shard = shard;
        self
    }

    /// Where the run is written down as it goes. Default: nowhere.
    #[must_use]
    pub fn journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// The run that this one tries again (`--retry-failed`), with the same calls: a task that was ok on a host isn't run
    /// there again; where it failed or was never started, it is; and a task that was never started runs on its whole
    /// list. Canary, health checks, pause, batches and the number of failures that are allowed apply to what is left.
    /// Of tasks without hosts those are run again that failed or that set what later tasks see; what others set holds
    /// again, unless it may not be written down. Default: none.
    #[must_use]
    pub fn retry(mut self, earlier: Option<Recorded>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Whether the report has each host's commands and transfers with what they printed: at most 64 KiB a host, the end of
    /// it, and nothing that `hide` hides. Default: no.
    #[must_use]
    pub fn keep_output(mut self, keep: bool) -> Self {
        self.keep_output = keep;
        self
    }

    /// Whether to tell what would be done instead of doing it. Default: no.
    #[must_use]
    pub fn dry_run(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Where local commands and relative local paths start. Default: the current directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// The local terminal, whose type and size pseudo-terminals take. Default: none.
    #[must_use]
    pub fn terminal(mut self, terminal: Option<Terminal>) -> Self {
        self.terminal = terminal;
        self
    }

    /// What commands read that take the run's input. Default: nothing, they find end-of-file.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// What shows interactive shells. Default: none, and `open_shell` fails.
    #[must_use]
    pub fn interactive(mut self, interactive: impl Interactive + 'static) -> Self {
        self.interactive = Some(Arc::new(interactive));
        self
    }

    /// How the run is stopped from outside.
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// How many connections may be open at the same time, as far as the limit on open files allows: fewer hosts are at
    /// work at the same time then, which the run warns of, and fewer connections are kept for later tasks. Default: `None`,
    /// any number.
    #[must_use]
    pub fn open_at_most(mut self, connections: Option<NonZero<usize>>) -> Self {
        self.open_at_most = connections.map_or(0, NonZero::get);
        self
    }

    /// Over how many threads hosts are spread; `None` for one a core, at most 8. The first is the runtime in which the run is
    /// started; each other one has a runtime of its own for as long as the run lasts, and begins where there are 16 hosts
    /// at work on each so far, or one if files are transferred. A host stays where it was begun, so that a body that
    /// blocks its thread holds up the other hosts there. Default: 1.
    ///
    /// This takes less processor time than a runtime of several threads, if the run is started in one that has a single
    /// one ([`tokio::runtime::Builder::new_current_thread`]).
    #[must_use]
    pub fn threads(mut self, threads: Option<NonZero<usize>>) -> Self {
        self.threads = threads.map_or(0, NonZero::get);
        self
    }

    /// The run's name, in events and reports. Default: a [`new_id`].
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The tasks as typed, for `env.tasks`. Default: made of the calls.
    #[must_use]
    pub fn tokens(mut self, tokens: Vec<String>) -> Self {
        self.tokens = tokens;
        self
    }

    /// Carries the calls out, one after another, and reports.
    ///
    /// # Errors
    ///
    /// What can be known to be wrong before anything begins: unknown tasks, arguments that don't fit,
    /// settings. Nothing has run then. All that goes wrong later is in the report.
    pub async fn start(self, calls: Vec<Call>) -> Result<Report, RunError> {
        tracing::trace!(route = "calls: checked, then run in order");
        shared::Shared::new(self, &calls).start(calls).await
    }

    /// Checks all tasks, whether they are called or not, and yields what a person should know: values that reach a shell
    /// unquoted, roles that name no host. Nothing is connected to, and no command is run.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub async fn check(self) -> Result<Vec<Problem>, RunError> {
        shared::Shared::new(self, &[]).check_all().await
    }

    /// What the run would do; nothing is connected to, though commands of roles are asked.
    ///
    /// # Errors
    ///
    /// Everything that would end the run with exit status 2, as far as it can be known.
    pub async fn plan(self, calls: &[Call]) -> Result<Plan, RunError> {
        let shared = shared::Shared::new(self, calls);
        let jobs = shared.check(calls)?;
        Planner::new(shared).plan(jobs).await
    }
}
