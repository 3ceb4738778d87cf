//! The request: the command line, and everything read for it (fabfile, settings files), each once.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_config::{Config, ConfigBuilder, SettingsFiles};
use fabric_core::settings::{Problems, Settings};
use fabric_core::{Layer, Origin, Resolve};
use fabric_exec::hostlist::{Roles, Shard};
use fabric_exec::journal::Recorded;
use fabric_exec::{Collection, CollectionError, Interrupt, Run, Value};

use crate::args::parser::{Typed, parse, parse_as_far_as_possible, parse_head};
use crate::args::table::names_files;
use crate::args::{Action, InitKind, Options, UsageError};
use crate::failure::{Failure, problem};
use crate::process::Process;
use crate::project::{LoadedFabfile, Project};
use crate::surroundings::Surroundings;

/// The parts of a [`Program`](crate::Program).
#[derive(Debug, Clone)]
pub(crate) struct ProgramParts {
    pub name: String,
    pub version: String,
    /// Its own tasks; `None` reads them from a fabfile.
    pub tasks: Option<Result<Collection, CollectionError>>,
    pub roles: Roles,
    pub env: Vec<(String, Value)>,
    pub interrupt: Interrupt,
}

impl Default for ProgramParts {
    /// `fab` itself.
    fn default() -> Self {
        Self {
            name: "fab".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tasks: None,
            roles: Roles::new(),
            env: Vec::new(),
            interrupt: Interrupt::new(),
        }
    }
}

/// All that an action needs.
pub(crate) struct Request {
    /// The program's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The arguments.
    pub args: Vec<String>,
    /// The words that are this command line: the arguments, unless it is another run's that is tried again.
    words: Vec<String>,
    pub surroundings: Surroundings,
    pub process: Option<Process>,
    pub interrupt: Interrupt,
    pub options: Options,
    pub project: Project,
    /// The run that `--retry-failed` repeats.
    pub earlier: Option<Recorded>,
    /// Settings files and variables. Its clones share what was read, so that each file is read once.
    files: ConfigBuilder,
    config: OnceCell<Config>,
}

impl Request {
    /// Reads the arguments, and what the requested action needs: settings files and the fabfile.
    pub(crate) fn read(
        own: ProgramParts,
        surroundings: Surroundings,
        process: Option<Process>,
        args: Vec<String>,
    ) -> Result<Self, Failure> {
        tracing::trace!(route = "the request: all that is typed and found, read once");
        let files = Config::builder()
            .environment(surroundings.environment.clone())
            .sources(SettingsFiles::standard(&surroundings.environment));
        let mut request = Self {
            name: own.name,
            version: own.version,
            surroundings,
            process,
            interrupt: own.interrupt,
            options: Options::default(),
            project: Project::default(),
            earlier: None,
            files,
            config: OnceCell::new(),
            words: args.clone(),
            args,
        };
        let code = |tasks| Project::code(tasks, own.roles, own.env);
        if let Some(action) = Action::hidden(&request.args) {
            request.project = own.tasks.and_then(Result::ok).map(code).unwrap_or_default();
            request.options.action = action;
            return Ok(request);
        }
        let (head, rest) = parse_head(&request.args)?;
        let head = Options::head(head)?;
        if head.action.reads_nothing(rest) {
            refuse_task(&head, first_task(rest))?;
            return Ok(Self { options: head, ..request });
        }
        request.surroundings.needs_dir()?;
        if let Some(tasks) = own.tasks {
            request.project = code(tasks.map_err(|error| Failure::Refused(error.to_string()))?);
        }
        let words = request.args.clone();
        let request = request.find(&words, head)?;
        if let Some(filter) = &request.options.log {
            let needs = || Failure::Refused("--log: only the main program of a process has a log".to_owned());
            request.process.as_ref().ok_or_else(needs)?.start_log(filter)?;
        }
        for overridden in request.options.overridden() {
            request.surroundings.say(&problem("warning", &overridden));
        }
        Ok(request)
    }

    /// The request of an earlier run's command line, in that run's directory.
    pub(crate) fn again(&self, words: &[String], earlier: Recorded) -> Result<Self, Failure> {
        let surroundings = self.surroundings.clone().at(earlier.asked.directory.clone());
        let request = Self { surroundings, earlier: Some(earlier), ..self.fresh() };
        request.find(words, Options::head(parse_head(words)?.0)?)
    }

    /// A copy without options and without what was read for them.
    fn fresh(&self) -> Self {
        Self {
            name: self.name.clone(),
            version: self.version.clone(),
            args: self.args.clone(),
            words: self.args.clone(),
            surroundings: self.surroundings.clone(),
            process: self.process.clone(),
            interrupt: self.interrupt.clone(),
            options: Options::default(),
            project: if self.project.is_code() { self.project.clone() } else { Project::default() },
            earlier: None,
            files: self.files.clone(),
            config: OnceCell::new(),
        }
    }

    /// Finds the fabfile, then reads the whole command line with the parameters of its tasks. `head` has the options before the
    /// first task.
    fn find(mut self, words: &[String], head: Options) -> Result<Self, Failure> {
        self.options = head;
        words.clone_into(&mut self.words);
        if !self.project.is_code() {
            if let Some(manifest) = self.load()? {
                self.options.action = Action::HandOver(manifest);
                return Ok(self);
            }
            // `-f` or `-c` may also follow a task that has no such option; then the fabfile is another one, and its tasks may
            // declare other options.
            let seen = parse_as_far_as_possible(words, &|task| self.project.params(task)).0;
            let seen = Options::head(seen)?;
            if !seen.names_the_files_of(&self.options) {
                self.options = seen;
                if let Some(manifest) = self.load()? {
                    self.options.action = Action::HandOver(manifest);
                    return Ok(self);
                }
            }
        }
        let typed = self.typed(words)?;
        self.options = Options::new(typed, &|file| self.surroundings.host_list(file))?;
        let first = self.options.tasks.first().map(|call| call.task.as_str());
        refuse_task(&self.options, first.or(self.options.command.as_ref().map(|_| "--")))?;
        Ok(self)
    }

    /// Reads the fabfile; `Some` is the manifest if it is a Rust program.
    fn load(&mut self) -> Result<Option<PathBuf>, Failure> {
        // What code sees of the command line: its tasks' own options are not known before it is loaded.
        let all = || {
            let typed = parse_as_far_as_possible(&self.words, &|_| Vec::new()).0;
            Options::new(typed, &|file| self.surroundings.host_list(file)).unwrap_or_default()
        };
        // Without `-f`, settings files and variables may name it.
        let config = |options: &Options, beside: Option<&Path>| {
            let builder = self.with_these(options);
            beside.into_iter().fold(builder, ConfigBuilder::beside).build()
        };
        match Project::load(&self.options, &self.surroundings, &self.args, all, config)? {
            LoadedFabfile::Project(project) => self.project = project,
            LoadedFabfile::Program(manifest) => return Ok(Some(manifest)),
        }
        Ok(None)
    }

    /// What an unfinished command line means, for a completion, and the manifest if the fabfile is a Rust program. Errors are
    /// ignored.
    pub(crate) fn guess(&self, words: &[String]) -> (Self, Option<PathBuf>) {
        let typed = parse_as_far_as_possible(words, &|_| Vec::new()).0;
        let options = Options::new(typed, &|_| Ok(String::new())).unwrap_or_default();
        let mut request = Self { options, words: words.to_vec(), ..self.fresh() };
        let manifest = if request.project.is_code() { None } else { request.load().ok().flatten() };
        (request, manifest)
    }

    /// The whole command line, read with the parameters of the project's tasks. An unknown option of an unknown task is reported
    /// as an unknown task.
    fn typed(&self, words: &[String]) -> Result<Typed, Failure> {
        parse(words, &|task| self.project.params(task)).map_err(|error| match error.task() {
            Some(task) if self.project.collection.find(task).is_none() => {
                self.needs_tasks().err().unwrap_or_else(|| Failure::unknown_task(&self.project.collection, task))
            }
            _ => error.into(),
        })
    }

    /// The sources of settings but for the project's: files, variables and the command line.
    fn with_options(&self) -> ConfigBuilder {
        self.with_these(&self.options)
    }

    fn with_these(&self, options: &Options) -> ConfigBuilder {
        let mut builder = self.files.clone();
        for text in &options.set {
            builder = builder.set(text);
        }
        for (name, value, option) in &options.settings {
            match *name {
                // A file with any settings, read at once.
                "rcfile" => builder = builder.rcfile(self.surroundings.file(value.as_str().unwrap_or_default())),
                // The run merges these lists by the rules of host lists.
                "hosts" | "roles" | "exclude_hosts" => {}
                _ if *name != "fabfile" && names_files(name) => {
                    builder = builder.option(name, self.surroundings.files(value), option);
                }
                _ => builder = builder.option(name, value.clone(), option),
            }
        }
        builder
    }

    /// All sources of settings, the project's included.
    pub(crate) fn sources(&self) -> ConfigBuilder {
        self.project.with_settings(self.with_options(), &self.surroundings)
    }

    /// The configuration of all sources, built at the first call.
    pub(crate) fn config(&self) -> Result<&Config, Problems> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.sources().build()?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The settings in force outside a host.
    pub(crate) fn settings(&self) -> Result<Arc<Settings>, Problems> {
        self.config()?.settings(None, &[])
    }

    /// The configuration with the host lists and roles in it that a run takes separately: for `--show-config` and the like.
    pub(crate) fn everything(&self) -> Result<Config, Failure> {
        let options = self.options.settings.iter();
        let lists = options.filter(|(name, ..)| matches!(*name, "hosts" | "roles" | "exclude_hosts"));
        let lists = lists.map(|(name, value, option)| {
            ((*name).to_owned(), value.clone(), Origin::place(Layer::CommandLine, option.clone()))
        });
        let config = self.project.with_lists(self.sources()).values(Layer::CommandLine, lists).build()?;
        self.warn(&config);
        Ok(config)
    }

    /// The project's roles, and those that settings define.
    pub(crate) fn roles(&self, config: &Config) -> Result<Roles, Problems> {
        self.project.roles(config, &self.surroundings)
    }

    /// Prints the warnings about the fabfile and the settings.
    pub(crate) fn warn(&self, config: &Config) {
        self.surroundings.say(&self.project.warnings(config, &self.options, self.options.action == Action::Run));
    }

    /// An error if there is neither a fabfile nor a program's own tasks.
    pub(crate) fn needs_tasks(&self) -> Result<(), Failure> {
        if !self.project.is_missing() {
            return Ok(());
        }
        let name = self.with_options().build()?.settings(None, &[])?.fabfile.clone();
        Err(Failure::NoFabfile { name, from: self.surroundings.dir.clone() })
    }

    /// The run, apart from its connections, output and questions. `config` was built from `sources`.
    pub(crate) fn run(&self, config: &Config, sources: &ConfigBuilder) -> Result<Run, Failure> {
        let mut run = Run::new(self.project.collection.clone(), config.clone());
        for (file, sources) in self.project.included(sources) {
            run = run.included(&file.namespace, sources.build()?, file.lists.clone());
        }
        let run = run
            .roles(self.roles(config)?)
            .fabfile_lists(self.project.lists())
            .command_line(self.options.selection())
            .shard(self.options.shard.as_deref().map(|text| self.shard(text)).transpose()?)
            .retry(self.earlier.clone())
            .interrupt(self.interrupt.clone())
            .dry_run(self.options.dry_run)
            .keep_output(!self.options.reports.is_empty())
            .dir(self.project.dir().unwrap_or(&self.surroundings.dir))
            .tokens(self.options.words.clone());
        Ok(run)
    }

    fn shard(&self, text: &str) -> Result<Shard, UsageError> {
        let shard = match text {
            "auto" => Shard::auto(|name| self.surroundings.environment.get(name).map(str::to_owned)),
            _ => text.parse(),
        };
        shard.map_err(|error| UsageError::BadValue { option: "--shard".to_owned(), reason: error.to_string() })
    }
}

/// An error if an action that runs nothing is given a task or a command. Help, version and, as in Fabric 1, `--list` ignore
/// them.
fn refuse_task(options: &Options, task: Option<&str>) -> Result<(), Failure> {
    let (Some(option), Some(task)) = (&options.asked_by, task) else { return Ok(()) };
    Err(Failure::Refused(match options.action {
        Action::Run | Action::Plan(_) | Action::Help | Action::Version | Action::List => return Ok(()),
        Action::Init(_) => format!("{option}: `{task}` is none of {}", InitKind::WORDS.join(", ")),
        _ => format!("{option} runs no tasks: `{task}` can't be given with it"),
    }))
}

/// The name of the first task of these words, without its arguments, which may be secrets; `--` for a command.
fn first_task(words: &[String]) -> Option<&str> {
    match words {
        [dashes] if dashes == "--" => None,
        [first, ..] => Some(first.split_once(':').map_or(first.as_str(), |(name, _)| name)),
        [] => None,
    }
}
