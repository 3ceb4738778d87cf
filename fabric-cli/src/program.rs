//! From the command line to the exit status.

use std::cell::OnceCell;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use fabric_core::settings::Overlay;
use fabric_core::{HostString, Layer, Origin, Resolve};
use fabric_exec::hostlist::{Role, RoleSource, Roles, Selection};
use fabric_exec::report::ReportFormat;
use fabric_exec::{Collection, CollectionError, Report, Value, journal};

use crate::args::low::{Typed, parse, parse_as_far_as_possible, parse_head};
use crate::args::{Action, Format, ListFormat, Options, OutputMode, UsageError, help, version};
use crate::completion;
use crate::demo;
use crate::exit::Exit;
use crate::failure::{Failure, problem};
use crate::init::init;
use crate::list;
use crate::plugins;
use crate::project::{Project, Surroundings};
use crate::run;
use crate::rust_fabfile::become_program;

/// The `main` of `fab`.
pub fn main() -> ExitCode {
    Program::new().main()
}

/// What a program's tasks can be given as: a collection, or what building one yields.
pub trait IntoTasks {
    /// The collection.
    fn into_tasks(self) -> Result<Collection, CollectionError>;
}

impl IntoTasks for Collection {
    fn into_tasks(self) -> Result<Collection, CollectionError> {
        Ok(self)
    }
}

impl IntoTasks for Result<Collection, CollectionError> {
    fn into_tasks(self) -> Result<Collection, CollectionError> {
        self
    }
}

/// A program with the command line of `fab`.
#[derive(Debug)]
pub struct Program {
    name: String,
    tasks: Option<Result<Collection, CollectionError>>,
    roles: Roles,
    env: Vec<(String, Value)>,
    surroundings: Option<Surroundings>,
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

impl Program {
    /// `fab` itself: its tasks come from fabfiles.
    pub fn new() -> Self {
        Self { name: "fab".to_owned(), tasks: None, roles: Roles::new(), env: Vec::new(), surroundings: None }
    }

    /// With these tasks instead of a fabfile's. That they could not be put together is told when the program
    /// runs.
    #[must_use]
    pub fn tasks(mut self, tasks: impl IntoTasks) -> Self {
        self.tasks = Some(tasks.into_tasks());
        self
    }

    /// With a role for these tasks.
    ///
    /// ```no_run
    /// # use fabric_cli::Program;
    /// # use fabric_exec::{Collection, hostlist::Role};
    /// fn main() -> std::process::ExitCode {
    ///     let web = Role::hosts((1..=3).map(|n| format!("web{n}.example.com")));
    ///     Program::new().tasks(Collection::new()).role("web", web).env("root", "/srv/app").main()
    /// }
    /// ```
    #[must_use]
    pub fn role(mut self, name: impl Into<String>, role: Role) -> Self {
        self.roles.insert(name.into(), role);
        self
    }

    /// With a setting, by its classic name, or a key of shared state, as in a fabfile's `[env]`. `hosts` and
    /// `roles` stand, as assignments of code do: they beat `-H` and `-R`, and the run warns of it.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// In these surroundings instead of the process's own.
    #[must_use]
    pub(crate) fn within(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// Does what the command line of this process asks for.
    pub fn main(self) -> ExitCode {
        let args: Result<Vec<String>, UsageError> = std::env::args_os()
            .skip(1)
            .enumerate()
            .map(|(index, arg)| {
                arg.into_string().map_err(|arg| UsageError::NotUtf8(index + 1, arg.to_string_lossy().into_owned()))
            })
            .collect();
        match args {
            Ok(args) => self.run(&args).into(),
            Err(error) => tell(&self.name, &error.into()).into(),
        }
    }

    /// Does what this command line asks for, the name of the program not included, and says how it ended.
    pub fn run(self, args: &[String]) -> Exit {
        std::panic::set_hook(Box::new(|panic| {
            match panic.location().filter(|_| fabric_exec::run::is_in_task()) {
                // It is told as its host's error; this is where it happened.
                Some(place) => eprintln!("fab: a task panicked in {place}"),
                None => eprintln!("fab: internal error: {panic}"),
            }
        }));
        let name = self.name.clone();
        match catch_unwind(AssertUnwindSafe(|| self.act(args))) {
            Ok(Ok(exit)) => exit,
            Ok(Err(failure)) => tell(&name, &failure),
            Err(_) => {
                eprintln!(
                    "This is a mistake in {name} {}. Please report it, with the command line and the lines above, at {}/issues.",
                    env!("CARGO_PKG_VERSION"),
                    env!("CARGO_PKG_REPOSITORY"),
                );
                Exit::Failed
            }
        }
    }

    fn act(mut self, args: &[String]) -> Result<Exit, Failure> {
        match args {
            [ask, words @ ..] if ask == completion::ASK => {
                let own = self.tasks.take().and_then(Result::ok);
                let own = own.map(|tasks| Project::code(tasks, std::mem::take(&mut self.roles), &self.env));
                return print(&completion::complete(words, own));
            }
            [child, file] if child == plugins::CHILD => return plugins::child(file.as_ref()),
            _ => {}
        }
        let stdin = OnceCell::new();
        let mut stdin = || {
            if let Some(text) = stdin.get() {
                Ok(String::clone(text))
            } else {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text)?;
                Ok(stdin.get_or_init(|| text).clone())
            }
        };
        let (head, rest) = parse_head(args)?;
        // Only for what must be known first; host lists may be read from standard input, and once.
        let head = without_hosts(head);
        let head = Options::new(head, &mut stdin)?;
        match &head.action {
            Action::Version => return print(&version()),
            Action::Help if rest.is_empty() => return print(&help(&self.name, width())),
            Action::Demo if rest.is_empty() => return demo::demo(),
            Action::Completion(shell) if rest.is_empty() => return print(completion::script(shell)),
            Action::MergeReports(files) if rest.is_empty() => return merge_reports(files, &head),
            Action::Init(kind) => {
                if let Some(word) = rest.first() {
                    return Err(Failure::Refused(format!("--init: `{word}` is none of toml, rust, plugin")));
                }
                let dir = match &self.surroundings {
                    Some(surroundings) => surroundings.dir.clone(),
                    None => Surroundings::capture()?.dir,
                };
                return print(&init(*kind, &dir)?);
            }
            _ => {}
        }
        let surroundings = match self.surroundings.take() {
            Some(surroundings) => surroundings,
            None => Surroundings::capture()?,
        };
        let (project, options) = match self.tasks.take() {
            Some(tasks) => {
                let tasks = tasks.map_err(|error| Failure::Refused(error.to_string()))?;
                let project = Project::code(tasks, std::mem::take(&mut self.roles), &self.env);
                let options = Options::new(typed(args, &project, &surroundings, &head)?, &mut stdin)?;
                (project, options)
            }
            None => load(args, &head, &surroundings, &mut stdin)?,
        };
        start_log(options.log.as_deref())?;
        for overridden in options.overridden() {
            eprint!("{}", problem("warning", &overridden));
        }
        if options.retry_failed && matches!(options.action, Action::Run | Action::Plan(_)) {
            return retry_failed(&self.name, project, &surroundings, &options, args);
        }
        self.dispatch(&project, &surroundings, &options)
    }

    fn dispatch(&self, project: &Project, surroundings: &Surroundings, options: &Options) -> Result<Exit, Failure> {
        let collection = &project.collection;
        runs_no_tasks(options)?;
        match &options.action {
            Action::Version => print(&version()),
            Action::Help if options.tasks.is_empty() => print(&help(&self.name, width())),
            Action::Help => {
                needs_fabfile(project, surroundings, options)?;
                let texts: Result<Vec<String>, Failure> =
                    options.tasks.iter().map(|call| list::details(collection, &call.task)).collect();
                print(&texts?.join("\n"))
            }
            Action::List => {
                needs_fabfile(project, surroundings, options)?;
                sound_settings(project, surroundings, options)?;
                print(&list::list(collection, options.list_format.unwrap_or(ListFormat::Normal), width()))
            }
            Action::Display(task) => {
                needs_fabfile(project, surroundings, options)?;
                sound_settings(project, surroundings, options)?;
                print(&list::details(collection, task)?)
            }
            Action::ShowConfig(host) => {
                let host = host.as_deref().map(HostString::parse).transpose();
                let host = host.map_err(|error| Failure::Refused(error.to_string()))?;
                let roles = project.roles(&project.builder(surroundings, options).build()?, surroundings)?;
                let shown = everything(project, surroundings, options)?
                    .show(host.as_ref(), &role_of(&roles, options, host.as_ref()))?;
                print(&match options.format {
                    Format::Text => shown.to_string(),
                    Format::Json => format!("{:#}\n", shown.to_json()),
                })
            }
            Action::Explain(setting) => {
                let explained = everything(project, surroundings, options)?.explain(setting, None, &[])?;
                print(&match options.format {
                    Format::Text => explained.to_string(),
                    Format::Json => format!("{:#}\n", explained.to_json()),
                })
            }
            Action::Run if options.asks_nothing() && collection.default_task().is_none() => {
                print(&help(&self.name, width()))
            }
            Action::Run => {
                if !options.tasks.is_empty() {
                    needs_fabfile(project, surroundings, options)?;
                }
                run::run(project, surroundings, options)
            }
            Action::Plan(given) => {
                if !options.tasks.is_empty() {
                    needs_fabfile(project, surroundings, options)?;
                }
                print_plan(project, surroundings, options, *given)
            }
            Action::Check => {
                needs_fabfile(project, surroundings, options)?;
                run::check_all(project, surroundings, options)?;
                print("Nothing is wrong with the tasks.\n")
            }
            Action::Init(kind) => print(&init(*kind, &surroundings.dir)?),
            Action::Demo => demo::demo(),
            Action::Completion(shell) => print(completion::script(shell)),
            Action::Plugins => {
                let settings = everything(project, surroundings, options)?.settings(None, &[])?;
                let found = plugins::found(&settings, &surroundings.environment);
                let listed = print(&plugins::list(&found, &surroundings.environment))?;
                // What was named is needed; what lies in the directory may be anything.
                Ok(if plugins::lacks_named(&found, &settings, &surroundings.environment) {
                    Exit::Usage
                } else {
                    listed
                })
            }
            Action::MergeReports(files) => merge_reports(files, options),
        }
    }
}

/// Prints what would run where.
fn print_plan(
    project: &Project,
    surroundings: &Surroundings,
    options: &Options,
    given: Option<Format>,
) -> Result<Exit, Failure> {
    let plan = run::plan(project, surroundings, options)?;
    let format = match options.output {
        Some(OutputMode::Json) => Format::Json,
        _ => options.format,
    };
    print(&match given.unwrap_or(format) {
        Format::Text => plan.to_string(),
        // Names and texts: writing them cannot fail.
        Format::Json => serde_json::to_string_pretty(&plan).unwrap_or_default() + "\n",
    })
}

/// Runs the last command line again where it failed or never started, or plans that.
fn retry_failed(
    program: &str,
    own: Project,
    surroundings: &Surroundings,
    options: &Options,
    args: &[String],
) -> Result<Exit, Failure> {
    if !options.tasks.is_empty() || options.command.is_some() || options.selection() != Selection::default() {
        let why = "--retry-failed runs the last command line: tasks, commands and hosts can't be given with it";
        return Err(Failure::Refused(why.to_owned()));
    }
    let none = || Failure::Refused("--retry-failed: there is no earlier run".to_owned());
    let dir = run::journals(&surroundings.environment).ok_or_else(none)?;
    let unread = |source| Failure::File { what: "reading the journals in", path: dir.clone(), source };
    let Some(last) = journal::last_in(&dir, &surroundings.dir).map_err(unread)? else {
        let other = journal::last(&dir).map_err(unread)?.ok_or_else(none)?;
        return Err(Failure::Refused(format!(
            "--retry-failed: no run was begun in this directory; the last one, {}, was begun in {}",
            other.asked.run,
            other.asked.directory.display()
        )));
    };
    if last.running {
        return Err(Failure::Refused(format!("--retry-failed: the last run, {}, is still under way", last.asked.run)));
    }
    if last.is_done() {
        eprintln!("{program}: the last run, {}, failed on no host", last.asked.run);
        return Ok(Exit::Ok);
    }
    if last.took_input && !matches!(options.action, Action::Plan(_)) && (options.no_stdin || !has_input()) {
        return Err(Failure::Refused(format!(
            "--retry-failed: the last run, {}, was given standard input, which its journal does not have: give it again",
            last.asked.run
        )));
    }
    // What was typed now comes first, so that the tasks and the command stay last.
    let mut arguments: Vec<String> =
        options.arguments.iter().filter(|argument| *argument != "--retry-failed").cloned().collect();
    let recorded = &last.asked.arguments;
    let (recorded, command) = recorded.split_at(recorded.iter().position(|it| it == "--").unwrap_or(recorded.len()));
    // What is typed now has what a journal doesn't: the password.
    let typed = options.setting("gateway").is_some();
    let gateway = |argument: &&String| argument.starts_with("--gateway=");
    if let Some(gateway) = recorded.iter().rfind(gateway).filter(|gateway| !typed && gateway.contains(":***")) {
        let why = format!("--retry-failed: {gateway} is without its password in the journal: give it again");
        return Err(Failure::Refused(why));
    }
    if let Some(task) = recorded.iter().find(|argument| !argument.starts_with('-') && argument.contains("***")) {
        let why = format!("--retry-failed: `{task}` is without its secret in the journal: type the command line again");
        return Err(Failure::Refused(why));
    }
    // A file that is named now is the one that is meant.
    let instead = |argument: &str| {
        let names = [("fabfile", "--fabfile="), ("rcfile", "--config=")];
        names.iter().any(|(name, option)| options.setting(name).is_some() && argument.starts_with(option))
    };
    let kept = recorded.iter().filter(|argument| !(typed && gateway(argument) || instead(argument)));
    // Lists add up, but `--only` of now only narrows that of the journal.
    arguments.extend(kept.map(|argument| match argument.strip_prefix("--only=") {
        Some(only) if options.setting("only_hosts").is_some() => format!("--only=&{{{only}}}"),
        _ => argument.clone(),
    }));
    arguments.extend_from_slice(command);
    let surroundings = Surroundings { dir: last.asked.directory.clone(), ..surroundings.clone() };
    let mut stdin = || Ok(String::new());
    let head = Options::new(without_hosts(parse_head(&arguments)?.0), &mut stdin)?;
    let (project, mut again) = if own.is_code() {
        let options = Options::new(parse(&arguments, &|task| own.params(task))?, &mut stdin)?;
        (own, options)
    } else if let Some(manifest) = surroundings.load(&head)?.program {
        // It tries its own run again.
        return Err(become_program(&manifest, args));
    } else {
        load(&arguments, &head, &surroundings, &mut stdin)?
    };
    again.earlier = Some(last);
    match again.action {
        Action::Run => run::run(&project, &surroundings, &again),
        Action::Plan(given) => print_plan(&project, &surroundings, &again, given),
        _ => Err(none()),
    }
}

/// Whether standard input is a file or a pipe from which something may come.
fn has_input() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(stdin) = std::io::stdin().as_fd().try_clone_to_owned() else { return false };
    let Ok(stat) = std::fs::File::from(stdin).metadata() else { return false };
    let kind = stat.file_type();
    kind.is_fifo() || kind.is_socket() || (kind.is_file() && stat.len() > 0)
}

/// The settings of the first of `-R`'s roles that is known to name the host.
fn role_of(roles: &Roles, options: &Options, host: Option<&HostString>) -> Vec<Overlay> {
    let named = |name: &String| {
        let role = roles.get(name)?;
        let RoleSource::Hosts(hosts) = &role.source else { return None };
        hosts.iter().any(|other| Some(other.as_str()) == host.map(HostString::as_str)).then(|| role.overlay(name))?
    };
    options.selection().roles.iter().find_map(named).into_iter().collect()
}

/// One report out of several, written to `--report` or printed.
fn merge_reports(files: &[PathBuf], options: &Options) -> Result<Exit, Failure> {
    let mut reports: Vec<Report> = Vec::new();
    for path in files {
        let report = Report::read(path);
        let report = report.map_err(|source| Failure::File { what: "reading", path: path.clone(), source })?;
        // Its hosts would count twice.
        if let Some(same) = reports.iter().position(|other| other.run == report.run) {
            let (one, other) = (files[same].display(), path.display());
            return Err(Failure::Refused(format!("--merge-reports: {one} and {other} are of the same run")));
        }
        reports.push(report);
    }
    let nothing = || Failure::Refused("--merge-reports: no reports are named".to_owned());
    let report = Report::merge(reports).ok_or_else(nothing)?;
    for path in &options.reports {
        report.write(path).map_err(|source| Failure::File { what: "writing", path: path.clone(), source })?;
    }
    if options.reports.is_empty() {
        print(&report.render(ReportFormat::Json))?;
    }
    Ok(run::exit(&report))
}

/// The settings with every option of the command line among them, and what else a run merges by itself.
fn everything(
    project: &Project,
    surroundings: &Surroundings,
    options: &Options,
) -> Result<fabric_config::Config, Failure> {
    let lists = options.settings.iter().filter(|(name, ..)| matches!(*name, "hosts" | "roles" | "exclude_hosts"));
    let lists = lists.map(|(name, value, option)| {
        ((*name).to_owned(), value.clone(), Origin::place(Layer::CommandLine, option.clone()))
    });
    let builder = project.with_lists(project.builder(surroundings, options));
    let config = builder.values(Layer::CommandLine, lists).build()?;
    eprint!("{}", project.warnings(&config, options));
    Ok(config)
}

/// Loads the fabfile and reads the command line with what its tasks declare.
fn load(
    args: &[String],
    head: &Options,
    surroundings: &Surroundings,
    stdin: &mut dyn FnMut() -> io::Result<String>,
) -> Result<(Project, Options), Failure> {
    let project = surroundings.load(head)?;
    if let Some(manifest) = &project.program {
        return Err(become_program(manifest, args));
    }
    // `-f` or `-c` after a task that doesn't declare them; what follows may be an option that the other file's task declares.
    let seen = parse_as_far_as_possible(args, &|task| project.params(task)).0;
    let seen = Options::new(without_hosts(seen), stdin)?;
    if seen.setting("fabfile") == head.setting("fabfile") && seen.setting("rcfile") == head.setting("rcfile") {
        let options = Options::new(typed(args, &project, surroundings, head)?, stdin)?;
        return Ok((project, options));
    }
    let project = surroundings.load(&seen)?;
    if let Some(manifest) = &project.program {
        return Err(become_program(manifest, args));
    }
    let options = Options::new(typed(args, &project, surroundings, &seen)?, stdin)?;
    Ok((project, options))
}

/// The whole command line, with what the project's tasks declare. Of an option that does not fit an unknown task, the task
/// is what is wrong.
fn typed(args: &[String], project: &Project, surroundings: &Surroundings, head: &Options) -> Result<Typed, Failure> {
    parse(args, &|task| project.params(task)).map_err(|error| match error.task() {
        Some(task) if project.collection.find(task).is_none() => {
            needs_fabfile(project, surroundings, head).err().unwrap_or_else(|| list::unknown(&project.collection, task))
        }
        _ => error.into(),
    })
}

/// An error if tasks or a command are given beside what would leave them out.
fn runs_no_tasks(options: &Options) -> Result<(), Failure> {
    // As everywhere, help and version win over all else; Fabric 1's list too.
    let runs = matches!(options.action, Action::Run | Action::Plan(_));
    let alone = !runs && !matches!(options.action, Action::Help | Action::Version | Action::List);
    // By its name: its arguments may be secrets.
    let given = options.tasks.first().map(|call| call.task.as_str()).or(options.command.as_ref().map(|_| "--"));
    match (given.filter(|_| alone), &options.asked_by) {
        (Some(word), Some(option)) => {
            Err(Failure::Refused(format!("{option} runs no tasks: `{word}` can't be given with it")))
        }
        _ => Ok(()),
    }
}

fn without_hosts(mut head: Typed) -> Typed {
    head.options.retain(|given| !matches!(given.option.long, "hosts" | "exclude-hosts"));
    head
}

fn needs_fabfile(project: &Project, surroundings: &Surroundings, options: &Options) -> Result<(), Failure> {
    if project.fabfile.is_some() || !project.collection.is_empty() {
        return Ok(());
    }
    let settings = surroundings.builder(options).build()?.settings(None, &[])?;
    Err(Failure::NoFabfile { name: settings.fabfile.clone(), from: surroundings.dir.clone() })
}

/// Whether a run could begin with these settings: files and `[env]` that are wrong are told with a list too.
fn sound_settings(project: &Project, surroundings: &Surroundings, options: &Options) -> Result<(), Failure> {
    project.builder(surroundings, options).build()?.settings(None, &[])?;
    Ok(())
}

/// Starts the diagnostic log, if one is wanted.
fn start_log(filter: Option<&str>) -> Result<(), Failure> {
    let Some(filter) = filter else { return Ok(()) };
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|error| UsageError::BadValue { option: "--log".to_owned(), reason: error.to_string() })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init()
        .map_err(|error| Failure::Failed(format!("starting the log: {error}")))
}

/// Prints what was asked for. That nobody reads it to its end is no failure.
fn print(text: &str) -> Result<Exit, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::System { what: "writing to standard output", source })
        }
        _ => Ok(Exit::Ok),
    }
}

fn tell(program: &str, failure: &Failure) -> Exit {
    eprint!("{}", failure.report(program));
    failure.exit()
}

/// The width of the terminal, or 80.
fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}
