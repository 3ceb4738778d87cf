//! Runs: tasks carried out on their hosts, in order, by their strategies, and what came of it.
//!
//! [`Run::start`] checks everything that can be checked before anything begins, then goes through the
//! calls in order. For each, `execute` goes by the rules of `docs/execution.md`: [`plan`](crate::plan) makes the host list,
//! `dispatch` starts the hosts in its order and owns all that happens to them, `gates` guards its way over batches, and `host`
//! runs the body on one host, tries included. What came of it all is in the `ledger`.

mod connections;
mod dispatch;
mod execute;
mod gates;
mod host;
mod interactive;
mod lanes;
mod ledger;
mod once;
mod outside;
mod runner;
mod scope;
mod start;
mod state;

use std::collections::HashMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use fabric_core::event::NoEvents;
use fabric_core::settings::{Overlay, Problem};
use fabric_core::{Emitter, EventSink, HostString, Prompter, RefusePrompts, Resolve};
use fabric_transport::Connector;
use fabric_transport::connection::Terminal;

use crate::collection::Collection;
use crate::hostlist::{FabfileLists, Roles, Selection, Shard};
use crate::journal::{Journal, Recorded};
use crate::plan::{FileSettings, Files, Inputs, Plan, Planner};
use crate::report::Report;
use crate::task::{Discreet, Means, RunInput};

use outside::Outside;
use state::RunState;

pub use crate::plan::{Call, RunError};
pub use crate::task::{Backoff, Context, Env, Execute, Hide, Input, Interrupt, LOCAL_ONLY};
pub use dispatch::is_in_task;
pub use interactive::Interactive;

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
///     .command_line(Selection::default().hosts(["web1", "web2"]))
///     .start(vec![Call::Task(Invocation::new("uptime"))])
///     .await?;
/// std::process::exit(report.exit_code().into());
/// # }
/// ```
pub struct Run {
    inputs: Inputs,
    outside: Outside,
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
        let events: Arc<dyn EventSink> = Arc::new(NoEvents);
        Self {
            inputs: Inputs {
                collection: collection.into(),
                files: Files {
                    fabfile: FileSettings { resolver: Arc::new(resolver), lists: FabfileLists::default() },
                    included: HashMap::new(),
                },
                roles: Roles::new(),
                command_line: Selection::default(),
                shard: None,
                earlier: None,
                means: Means {
                    dry_run: false,
                    dir: None,
                    tokens: Vec::new(),
                    prompter: Arc::new(RefusePrompts::default()),
                    interrupt: Interrupt::new(),
                    input: RunInput::default(),
                    secrets: Arc::default(),
                },
                emitter: Emitter::new(events.clone(), ""),
            },
            outside: Outside {
                connector: Connector::new(),
                events,
                terminal: None,
                interactive: None,
                journal: None,
                keep_output: false,
                open_at_most: 0,
                threads: 1,
                id: None,
            },
        }
    }

    /// The run under way.
    fn state(self, calls: &[Call]) -> Arc<RunState> {
        let Self { mut inputs, outside } = self;
        let secrets = inputs.means.secrets.clone();
        let id = outside.id.clone().unwrap_or_else(new_id);
        inputs.emitter = Emitter::new(Arc::new(Discreet { sink: outside.events.clone(), secrets }), id);
        if inputs.means.tokens.is_empty() {
            inputs.means.tokens = calls.iter().map(Call::token).collect();
        }
        RunState::new(inputs, outside)
    }

    /// Who opens sessions. Default: a connector of its own.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.outside.connector = connector;
        self
    }

    /// Where events go. Default: nowhere.
    #[must_use]
    pub fn events(mut self, events: impl EventSink + 'static) -> Self {
        self.outside.events = Arc::new(events);
        self
    }

    /// What answers questions. Default: every question is refused.
    #[must_use]
    pub fn prompter(mut self, prompter: impl Prompter + 'static) -> Self {
        self.inputs.means.prompter = Arc::new(prompter);
        self
    }

    /// The roles.
    #[must_use]
    pub fn roles(mut self, roles: Roles) -> Self {
        self.inputs.roles = roles;
        self
    }

    /// The fabfile's `extend` and `replace` of the global lists.
    #[must_use]
    pub fn fabfile_lists(mut self, lists: FabfileLists) -> Self {
        self.inputs.files.fabfile.lists = lists;
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
        self.inputs.files.included.insert(namespace.into(), FileSettings { resolver: Arc::new(resolver), lists });
        self
    }

    /// `-H`, `-R` and `-x`.
    #[must_use]
    pub fn command_line(mut self, selection: Selection) -> Self {
        self.inputs.command_line = selection;
        self
    }

    /// This process's part of every host list.
    #[must_use]
    pub fn shard(mut self, shard: Option<Shard>) -> Self {
        self.inputs.shard = shard;
        self
    }

    /// Where the run is written down as it goes. Default: nowhere.
    #[must_use]
    pub fn journal(mut self, journal: Journal) -> Self {
        self.outside.journal = Some(journal);
        self
    }

    /// The run that this one tries again (`--retry-failed`), with the same calls: a task that was ok on a host isn't run
    /// there again; where it failed or was never started, it is; and a task that was never started runs on its whole
    /// list. Canary, health checks, pause, batches and the number of failures that are allowed apply to what is left.
    /// Of tasks without hosts those are run again that failed or that set what later tasks see; what others set holds
    /// again, unless it may not be written down. Default: none.
    #[must_use]
    pub fn retry(mut self, earlier: Option<Recorded>) -> Self {
        self.inputs.earlier = earlier;
        self
    }

    /// Whether the report has each host's commands and transfers with what they printed: at most 64 KiB a host, the end of
    /// it, and nothing that `hide` hides. Default: no.
    #[must_use]
    pub fn keep_output(mut self, keep: bool) -> Self {
        self.outside.keep_output = keep;
        self
    }

    /// Whether the run only says what it would do. Default: no.
    #[must_use]
    pub fn dry_run(mut self, dry: bool) -> Self {
        self.inputs.means.dry_run = dry;
        self
    }

    /// Where local commands and relative local paths start. Default: the current directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.inputs.means.dir = Some(dir.into());
        self
    }

    /// The local terminal, whose type and size pseudo-terminals take. Default: none.
    #[must_use]
    pub fn terminal(mut self, terminal: Option<Terminal>) -> Self {
        self.outside.terminal = terminal;
        self
    }

    /// What commands read that take the run's input. Default: nothing, they find end-of-file.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.inputs.means.input = RunInput::new(input);
        self
    }

    /// What shows interactive shells. Default: none, and `open_shell` fails.
    #[must_use]
    pub fn interactive(mut self, interactive: impl Interactive + 'static) -> Self {
        self.outside.interactive = Some(Arc::new(interactive));
        self
    }

    /// How the run is stopped from outside.
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.inputs.means.interrupt = interrupt;
        self
    }

    /// How many connections may be open at the same time, as far as the limit on open files allows: fewer hosts are at
    /// work at the same time then, which the run warns of, and fewer connections are kept for later tasks. Default: `None`,
    /// any number.
    #[must_use]
    pub fn open_at_most(mut self, connections: Option<NonZero<usize>>) -> Self {
        self.outside.open_at_most = connections.map_or(0, NonZero::get);
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
        self.outside.threads = threads.map_or(0, NonZero::get);
        self
    }

    /// The run's name, in events and reports. Default: a [`new_id`].
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.outside.id = Some(id.into());
        self
    }

    /// The tasks as typed, for `env.tasks`. Default: made of the calls.
    #[must_use]
    pub fn tokens(mut self, tokens: Vec<String>) -> Self {
        self.inputs.means.tokens = tokens;
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
        start::start(self.state(&calls), calls).await
    }

    /// Checks all tasks, whether they are called or not, and yields what a person should know: values that reach a shell
    /// unquoted, roles that name no host. Nothing is connected to, and no command is run.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub async fn check(self) -> Result<Vec<Problem>, RunError> {
        self.state(&[]).lists.check_all().await
    }

    /// The settings that the roles of the command line ([`Run::command_line`]) and their inventories give a host, lowest layer
    /// first: those that a run puts around it. Commands of roles are run. Empty if no role names the host.
    ///
    /// # Errors
    ///
    /// Those of a host list: unknown roles, roles that can't be looked up.
    pub async fn role_settings(self, host: &HostString) -> Result<Vec<Overlay>, RunError> {
        self.state(&[]).lists.role_settings(host).await
    }

    /// What the run would do; nothing is connected to, though commands of roles are asked.
    ///
    /// # Errors
    ///
    /// Everything that would end the run with exit status 2, as far as it can be known.
    pub async fn plan(self, calls: &[Call]) -> Result<Plan, RunError> {
        let run = self.state(calls);
        let jobs = run.lists.check(calls)?;
        Planner::new(&run.lists).plan(jobs).await
    }
}
