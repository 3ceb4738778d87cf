//! A run: the runtime, output, questions and Ctrl-C around fabric-exec's [`Run`].

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fabric_config::{Config, ConfigBuilder, Environment};
use fabric_core::settings::{Settings, Switch};
use fabric_core::{Gateway, HostStringError, PromptKind, PromptRequest, Resolve, Target};
use fabric_exec::hostlist::Shard;
use fabric_exec::journal::{Asked, Journal};
use fabric_exec::report::{Ending, ReportFormat};
use fabric_exec::run::Input;
use fabric_exec::{Call, Interrupt, Invocation, Plan, Report, Run};
use fabric_transport::Connector;
use fabric_transport::connection::Terminal;
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Options, OutputMode, Progress, UsageError};
use crate::exit::Exit;
use crate::failure::{Failure, problem};
use crate::keyboard::Keys;
use crate::plugins;
use crate::project::{Project, Surroundings};
use crate::prompter::TerminalPrompter;
use crate::render::{Look, Outputs, Printer, renderer};
use crate::shell::TerminalShell;

/// How long the program waits for an orderly end after it was told to end at once.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Signals that come together are one.
const AT_ONCE: Duration = Duration::from_millis(10);

/// Runs what the options ask for, and says how it ended.
pub(crate) fn run(project: &Project, surroundings: &Surroundings, options: &Options) -> Result<Exit, Failure> {
    check(options)?;
    let calls = calls(project, options)?;
    let builder = project.builder(surroundings, options);
    let config = builder.clone().build()?;
    let settings = config.settings(None, &[])?;
    check_gateway(&settings)?;
    eprint!("{}", project.warnings_of_run(&config, options));

    if options.dry_run && options.levels.status && options.output != Some(OutputMode::Json) {
        eprintln!("Dry run: what would be done is told, and not done.");
    }

    let interrupt = Interrupt::new();
    let unwritten = Arc::new(Mutex::new(None));
    let outputs = Outputs::process({
        // Nobody can read what is said any more: as little as possible is done after that.
        let (interrupt, unwritten) = (interrupt.clone(), unwritten.clone());
        move |error| {
            *unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            interrupt.stop();
        }
    });
    let mode = options.output.unwrap_or(OutputMode::Prefix);
    let render = renderer(mode, look(options, &settings));
    let printer = Arc::new(if wants_live_view(options, mode) {
        Printer::with_live_view(render, outputs, terminal_size)
    } else {
        Printer::new(render, outputs)
    });
    let prompter = Arc::new(TerminalPrompter::new(settings.abort_on_prompts, Some(printer.clone())));
    prompter.on_interrupt({
        let interrupt = interrupt.clone();
        move || interrupt.stop()
    });
    let (config, builder) = ask_first(config, builder, options, &prompter)?;
    let shell = surroundings.environment.get("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    let mut connector = Connector::new().with_prompter(prompter.clone()).with_shell(shell);
    if let Some(dir) = state(&surroundings.environment) {
        connector = connector.with_state_dir(dir);
    }
    let connector = plugins::register(connector, &settings, &surroundings.environment)?;
    let shell = Arc::new(TerminalShell::new(printer.clone()));
    let keys = Keys::new(printer.clone());
    prompter.beside(keys.clone());
    let id = run_name();
    let run = prepare(project, surroundings, options, config, &builder)?;
    let run = journaled(run, &id, surroundings, options)
        .id(id)
        .connector(Arc::new(connector))
        .prompter(prompter.clone())
        .interactive(shell.clone())
        .events(printer.clone())
        .input(match options.no_stdin {
            true => Input::None,
            false if io::stdin().is_terminal() => Input::Keyboard(Arc::new(keys.clone())),
            false => Input::Inherited,
        })
        .open_at_most(allow_files()?)
        .interrupt(interrupt.clone());

    // Functions may block the thread that they are on: then others have to take over its hosts.
    let (runtime, threads) = if project.is_code() { (shared_runtime()?, 1) } else { (runtime()?, 0) };
    let report = runtime.block_on(async {
        let run = run
            .threads(threads)
            .terminal(Terminal::of_this_program(surroundings.environment.get("TERM").unwrap_or("xterm")));
        let watching = tokio::spawn(watch_signals(interrupt, printer.clone(), prompter, shell, keys));
        // On a thread that hosts are served by: what they tell the run wakes no other one.
        let report = tokio::spawn(run.start(calls)).await;
        watching.abort();
        report
    });
    let report = report.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    printer.finish();
    let written = match &report {
        Ok(report) => runtime.block_on(async {
            let mut written = Ok(());
            // One that can't be written keeps no other from being written.
            for path in &options.reports {
                let this = write(report, path).await;
                written = written.and(this);
            }
            written
        }),
        Err(_) => Ok(()),
    };
    // A thread that still waits for the terminal must not keep the program.
    runtime.shutdown_background();
    let report = report?;
    tell_what_ended_it(&report);
    written?;
    let unwritten = unwritten.lock().unwrap_or_else(PoisonError::into_inner).take();
    match unwritten {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::System { what: "writing to standard output", source: error })
        }
        Some(_) if report.ending == Ending::Interrupted => Ok(Exit::Unread),
        _ => Ok(exit(&report)),
    }
}

/// Writes the report, which may be to a pipe that nobody reads: that can be interrupted, and what is only slow is waited for.
async fn write(report: &Report, path: &Path) -> Result<(), Failure> {
    let interrupted = async |kind| match signal(kind) {
        Ok(mut stream) => stream.recv().await,
        Err(_) => std::future::pending().await,
    };
    let (report, file) = (report.clone(), path.to_owned());
    let mut writing = tokio::task::spawn_blocking(move || report.write(&file));
    let written = tokio::select! {
        written = &mut writing => Some(written),
        _ = interrupted(SignalKind::interrupt()) => None,
        _ = interrupted(SignalKind::terminate()) => None,
        _ = interrupted(SignalKind::hangup()) => None,
    };
    let written = match written {
        Some(written) => written,
        None => tokio::time::timeout(LAST_WAIT, writing).await.map_err(|_| Failure::Interrupted)?,
    };
    written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map_err(|source| Failure::File {
        what: "writing",
        path: path.to_owned(),
        source,
    })
}

/// What the run would do.
pub(crate) fn plan(project: &Project, surroundings: &Surroundings, options: &Options) -> Result<Plan, Failure> {
    let calls = calls(project, options)?;
    let builder = project.builder(surroundings, options);
    let config = builder.clone().build()?;
    plugins::load_named(&*config.settings(None, &[])?, &surroundings.environment)?;
    eprint!("{}", project.warnings(&config, options));
    let run = prepare(project, surroundings, options, config, &builder)?;
    Ok(runtime()?.block_on(run.plan(&calls))?)
}

/// Checks all tasks, and tells what a person should know about them.
pub(crate) fn check_all(project: &Project, surroundings: &Surroundings, options: &Options) -> Result<(), Failure> {
    let builder = project.builder(surroundings, options);
    let config = builder.clone().build()?;
    eprint!("{}", project.warnings(&config, options));
    let run = prepare(project, surroundings, options, config, &builder)?;
    let warnings = runtime()?.block_on(run.check())?;
    eprint!("{}", warnings.iter().map(|one| problem("warning", one)).collect::<String>());
    Ok(())
}

/// Files that are transferred, local commands, pipes, the program itself: what is left for these where that can be.
const OTHER_FILES: usize = 128;

/// What the program opens before its first host: its runtime and signals, and a few for what it reads and writes.
const OWN_FILES: usize = 10;

/// What a host needs at once: its connection, and what takes most, a process here with its pipes.
const FILES_OF_HOST: usize = 8;

/// Raises the limit on open files as far as it goes and is of use, and gives how many connections it leaves room for; 0 is
/// any number. An error if it is not even one: the program needs some files before it could tell what is wrong.
fn allow_files() -> Result<usize, Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Programs that this one starts inherit it, and some go through all that they might have open.
    const WANTED: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current.filter(|soft| *soft < WANTED) else { return Ok(0) };
    let most = limit.maximum.map_or(WANTED, |hard| hard.min(WANTED));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    let files = usize::try_from(if raised.is_ok() { most } else { soft }).unwrap_or(usize::MAX);
    let open = open_files();
    match room(files, open) {
        0 => Err(Failure::Failed(format!(
            "the limit on open files ({files}) leaves no room for one host: at least {} are needed; raise the hard limit \
             (`ulimit -Hn`), which takes root, limits.conf, LimitNOFILE= of a systemd unit, or `--ulimit nofile` of a container",
            open.unwrap_or(files) + OWN_FILES + FILES_OF_HOST
        ))),
        room => Ok(room),
    }
}

/// For how many hosts a limit leaves room, where so many files are open already; `None`: no other one can be opened.
fn room(files: usize, open: Option<usize>) -> usize {
    let left = open.map_or(0, |open| files.saturating_sub(open + OWN_FILES));
    files.saturating_sub(OTHER_FILES).min(left).max(left / FILES_OF_HOST)
}

/// How many files are open, those that the program was started with among them; `None`: no other one can be opened.
fn open_files() -> Option<usize> {
    // Standard input, output and error, and the journal: where the system doesn't tell.
    const USUAL: usize = 4;
    match std::fs::read_dir("/dev/fd") {
        // One of them is the directory.
        Ok(files) => Some(files.count().saturating_sub(1)),
        Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::MFILE) => None,
        Err(_) => Some(USUAL),
    }
}

/// Threads that carry the functions of a program: more than these are not kept busy by all that a network can bring.
const WORKERS: usize = 8;

/// Threads for what blocks: files, the lookup of names, questions.
const BLOCKING: usize = 8;

/// A runtime on the thread that waits for it, to which a run adds threads where it has many hosts.
fn runtime() -> Result<Runtime, Failure> {
    start(&mut tokio::runtime::Builder::new_current_thread())
}

/// A runtime whose threads take over from one another.
pub(crate) fn shared_runtime() -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    start(tokio::runtime::Builder::new_multi_thread().worker_threads(cores.min(WORKERS)))
}

fn start(builder: &mut tokio::runtime::Builder) -> Result<Runtime, Failure> {
    // Without files for its signals a runtime panics.
    allow_files()?;
    let builder = builder.max_blocking_threads(BLOCKING).enable_all().thread_name("fab");
    builder.build().map_err(|source| Failure::System { what: "starting threads", source })
}

/// How a run ended, as this process ends.
pub(crate) fn exit(report: &Report) -> Exit {
    match report.exit_code() {
        0 => Exit::Ok,
        1 => Exit::Failed,
        2 => Exit::Usage,
        130 => Exit::Interrupted,
        status => Exit::Command(status),
    }
}

/// Where journals are kept.
pub(crate) fn journals(environment: &Environment) -> Option<PathBuf> {
    Some(state(environment)?.join("runs"))
}

/// What is kept from run to run: `$XDG_STATE_HOME/fabric`, or below `~/.local/state`.
fn state(environment: &Environment) -> Option<PathBuf> {
    let state = environment.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(environment.home.as_ref()?.join(".local/state")));
    Some(state?.join("fabric"))
}

/// What is asked for: tasks, then the command, or the default task.
fn calls(project: &Project, options: &Options) -> Result<Vec<Call>, Failure> {
    let mut calls: Vec<Call> = options.tasks.iter().cloned().map(Call::Task).collect();
    calls.extend(options.command.clone().map(Call::Command));
    if calls.is_empty() {
        let nothing = || Failure::Refused("nothing to do: name a task, or give a command after `--`".to_owned());
        let task = project.collection.default_task().ok_or_else(nothing)?;
        calls.push(Call::Task(Invocation::new(&task.name)));
    }
    Ok(calls)
}

/// The run, apart from whom it talks to.
///
/// `builder` is what `config` was built from.
fn prepare(
    project: &Project,
    surroundings: &Surroundings,
    options: &Options,
    config: Config,
    builder: &ConfigBuilder,
) -> Result<Run, Failure> {
    let shard = options.shard.as_deref().map(|text| shard(text, surroundings)).transpose()?;
    let roles = project.roles(&config, surroundings)?;
    let mut run = Run::new(project.collection.clone(), Arc::new(config));
    for (file, builder) in project.included(builder) {
        run = run.included(&file.namespace, Arc::new(builder.build()?), file.lists.clone());
    }
    let run = run
        .roles(roles)
        .fabfile_lists(project.lists())
        .command_line(options.selection())
        .shard(shard)
        .retry(options.earlier.clone())
        .dry_run(options.dry_run)
        .keep_output(!options.reports.is_empty())
        .dir(project.dir().unwrap_or(&surroundings.dir))
        .tokens(options.words.clone());
    Ok(run)
}

/// The run with a journal.
fn journaled(run: Run, id: &str, surroundings: &Surroundings, options: &Options) -> Run {
    let Some(dir) = journals(&surroundings.environment).filter(|_| !options.dry_run) else { return run };
    let asked = Asked {
        run: id.to_owned(),
        at: Timestamp::now(),
        arguments: options.arguments.clone(),
        directory: surroundings.dir.clone(),
    };
    run.journal(Journal::new(dir, asked))
}

/// A name for the run: sorts by time, and two of one second differ.
fn run_name() -> String {
    let now = Timestamp::now();
    format!("{}-{:06x}-{}", now.strftime("%Y%m%dT%H%M%S"), now.subsec_nanosecond() / 1000, std::process::id())
}

/// Tells what was found wrong with the command line, the fabfile or the settings in the middle of the run,
/// unless it was told as a host's error.
fn tell_what_ended_it(report: &Report) {
    let Some(error) = &report.error else { return };
    let mut told = report.tasks.iter().flat_map(|task| &task.results).filter_map(|result| result.error.as_ref());
    if !told.any(|told| told.contains(error.as_str())) {
        eprint!("{}", Failure::Refused(error.clone()).report("fab"));
    }
}

/// What would only be found wrong when the run is over.
fn check(options: &Options) -> Result<(), Failure> {
    for path in &options.reports {
        if ReportFormat::of(path).is_none() {
            let reason = format!("{}: the name must end in .json, .xml (JUnit) or .html", path.display());
            return Err(UsageError::BadValue { option: "--report".to_owned(), reason }.into());
        }
        let refused = |error| {
            let reason = format!("{} cannot be written: {error}", path.display());
            UsageError::BadValue { option: "--report".to_owned(), reason }
        };
        Report::check_writable(path).map_err(refused)?;
    }
    Ok(())
}

/// A gateway that no host could be reached by.
fn check_gateway(settings: &Settings) -> Result<(), Failure> {
    let Switch::To(gateway) = &settings.gateway else { return Ok(()) };
    let parsed = Gateway::parse::<HostStringError>(gateway, |hop| Ok(Target::new(hop.clone())));
    parsed.map(drop).map_err(|error| Failure::Refused(format!("gateway `{}`: {error}", Gateway::shown(gateway))))
}

/// On a terminal, where bytes don't pass as they are.
fn wants_live_view(options: &Options, mode: OutputMode) -> bool {
    match options.progress {
        Progress::Always => true,
        Progress::Never => false,
        Progress::Auto => {
            matches!(mode, OutputMode::Prefix | OutputMode::Grouped | OutputMode::Similar)
                && options.levels.running
                && std::io::stderr().is_terminal()
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Columns and rows of the terminal on standard error; what terminals once had where there is none.
fn terminal_size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

fn shard(text: &str, surroundings: &Surroundings) -> Result<Shard, UsageError> {
    let shard = match text {
        "auto" => Shard::auto(|name| surroundings.environment.get(name).map(str::to_owned)),
        _ => text.parse(),
    };
    shard.map_err(|error| UsageError::BadValue { option: "--shard".to_owned(), reason: error.to_string() })
}

fn look(options: &Options, settings: &Settings) -> Look {
    let colours = std::io::stderr().is_terminal()
        && ["NO_COLOR", "FABRIC_DISABLE_COLORS"].iter().all(|name| std::env::var_os(name).is_none_or(|v| v.is_empty()));
    Look {
        levels: options.levels,
        output_prefix: settings.output_prefix,
        error_colours: settings.colorize_errors && colours,
    }
}

/// `-I` and `--initial-sudo-password-prompt`: asks before anything runs.
fn ask_first(
    config: Config,
    mut builder: ConfigBuilder,
    options: &Options,
    prompter: &TerminalPrompter,
) -> Result<(Config, ConfigBuilder), Failure> {
    if !options.ask_password && !options.ask_sudo_password {
        return Ok((config, builder));
    }
    let user = config.settings(None, &[])?.user.clone().unwrap_or_default();
    let questions = [
        (options.ask_password, "password", "-I", PromptKind::Password { user: user.clone() }),
        (options.ask_sudo_password, "sudo_password", "--initial-sudo-password-prompt", PromptKind::Sudo { user }),
    ];
    for (wanted, setting, option, kind) in questions {
        if wanted && options.dry_run {
            eprintln!("Dry run: env.{setting} would be asked for ({option}).");
        } else if wanted {
            let message = format!("Initial value for env.{setting}");
            let answer = prompter.ask_now(&PromptRequest { kind, host: None, message })?;
            builder = builder.option(setting, answer.expose(), option);
        }
    }
    Ok((builder.clone().build()?, builder))
}

/// Ctrl-C, and its kin from other programs: first politely, then at once.
async fn watch_signals(
    interrupt: Interrupt,
    printer: Arc<Printer>,
    prompter: Arc<TerminalPrompter>,
    shell: Arc<TerminalShell>,
    keys: Keys,
) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let (told, mut signals) = tokio::sync::mpsc::unbounded_channel();
    for kind in kinds {
        // A signal that cannot be watched ends the program, as it does everywhere.
        let Ok(mut stream) = signal(kind) else { continue };
        let told = told.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && told.send(()).is_ok() {} });
    }
    signals.recv().await;
    // `timeout` signals the program and its process group: nobody has asked twice.
    tokio::time::sleep(AT_ONCE).await;
    while signals.try_recv().is_ok() {}
    prompter.cancel();
    interrupt.stop();
    printer.note("Stopping: what runs is ended, nothing new is started. Ctrl-C again stops at once.");
    signals.recv().await;
    interrupt.abort();
    tokio::select! {
        () = tokio::time::sleep(LAST_WAIT) => {}
        _ = signals.recv() => {}
    }
    shell.restore();
    keys.restore();
    std::process::exit(Exit::Interrupted.code().into());
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn a_low_limit_leaves_room_for_few_hosts() {
        for (files, hosts) in [(8, 0), (21, 0), (22, 1), (64, 6), (128, 14), (1024, 896), (65_536, 65_408)] {
            assert_eq!(room(files, Some(4)), hosts, "{files}");
        }
        // What the program was started with counts too.
        assert_eq!((room(64, Some(60)), room(1024, Some(1000)), room(64, None)), (0, 14, 0));
    }
}
