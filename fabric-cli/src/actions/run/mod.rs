//! Runs tasks: fabric-exec's [`Run`], with connections, output, questions, signals and reports around it.

mod end;
mod output;

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use fabric_config::{Config, ConfigBuilder};
use fabric_core::settings::{Settings, Switch};
use fabric_core::{Gateway, HostStringError, PromptKind, PromptRequest, Prompter, Target};
use fabric_exec::journal::{Asked, Journal};
use fabric_exec::report::{Ending, ReportFormat};
use fabric_exec::run::Input;
use fabric_exec::{Call, Invocation, Report, Run};
use fabric_transport::Connector;
use fabric_transport::connection::{SharedInput, Terminal};

use crate::args::{Options, UsageError};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keyboard::Keys;
use crate::plugins;
use crate::process::{Signals, room_for_hosts, runtime, shared_runtime};
use crate::prompter::TerminalPrompter;
use crate::render::OutputMode;
use crate::request::Request;
use crate::shell::TerminalShell;

/// Output waits for this long at the beginning: by then the run waits for its first host.
const FIRST_OUTPUT: Duration = Duration::from_millis(1);

/// Runs the tasks and the command of the command line.
pub(super) fn run(request: &Request) -> Result<Exit, Failure> {
    tracing::trace!(route = "the run, with its connections, output, questions and end");
    let (options, surroundings) = (&request.options, &request.surroundings);
    if !options.tasks.is_empty() {
        request.needs_tasks()?;
    }
    check_reports(request)?;
    let calls = calls(request)?;
    let config = request.config()?;
    let settings = request.settings()?;
    check_gateway(&settings)?;
    request.warn(config);
    if options.dry_run && options.levels.status && options.output != Some(OutputMode::Json) {
        surroundings.say("Dry run: nothing is done, only shown.\n");
    }

    let interrupt = request.interrupt.clone();
    let (printer, unwritten) = output::printer(request, &settings, &interrupt);
    let python = request.project.python();
    if let Some(python) = python {
        // What the user's code prints itself comes after what was shown before.
        let printer = printer.clone();
        python.program.when_shown(Arc::new(move || drop(printer.hold())));
    }
    let prompter = TerminalPrompter::new(settings.abort_on_prompts, Some(printer.clone()), interrupt.clone());
    if surroundings.own_stdin().is_some() {
        prompter.without_terminal();
    }
    let prompter = Arc::new(prompter);
    let shell = Arc::new(TerminalShell::new(printer.clone()));
    let keys = Keys::new(printer.clone());
    prompter.beside(keys.clone());
    // Functions may block their thread: then other threads have to go on with its hosts.
    let process = request.process.as_ref();
    let (runtime, threads) = if request.project.is_code() || python.is_some() {
        (shared_runtime(process)?, NonZero::new(1))
    } else {
        (runtime(process)?, None)
    };
    let watching = process.cloned().map(|process| {
        // Registered now, not once the task is first polled.
        let signals = Signals::watch_in(&runtime, &process);
        let terminal = (prompter.clone(), shell.clone(), keys.clone());
        runtime.spawn(end::at_signals(process, signals, interrupt.clone(), printer.clone(), terminal))
    });
    let (config, sources) = runtime.block_on(ask_first(config.clone(), request.sources(), request, &prompter))?;
    let connector = connector(request, &settings, prompter.clone())?;
    let id = fabric_exec::run::new_id();
    let run = request.run(&config, &sources)?;
    let run = journaled(run, &id, request)
        .id(id)
        .connector(connector)
        .prompter(prompter.clone())
        .events(printer.clone())
        .input(match (options.no_stdin, surroundings.own_stdin()) {
            (true, _) => Input::None,
            (false, Some(bytes)) => Input::Given(SharedInput::new(io::Cursor::new(bytes))),
            (false, None) if surroundings.is_typed() => Input::Keyboard(Arc::new(keys.clone())),
            (false, None) => Input::Inherited,
        })
        .open_at_most(room_for_hosts(process)?);
    let run = if surroundings.own_stdin().is_none() { run.interactive(shell.clone()) } else { run };

    let report = runtime.block_on(async {
        let size = process.and_then(|_| Terminal::of_this_program(surroundings.variable("TERM").unwrap_or("xterm")));
        let run = run.threads(threads).terminal(size);
        let output = printer.clone();
        tokio::spawn(async move {
            tokio::time::sleep(FIRST_OUTPUT).await;
            output.begin();
        });
        // As a task it shares its thread with hosts, whose reports to it wake no other thread then.
        let report = tokio::spawn(run.start(calls)).await;
        if let Some(watching) = watching {
            watching.abort();
        }
        report
    });
    let report = report.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    printer.finish();
    let written = match &report {
        Ok(report) => runtime.block_on(end::write_reports(report, request)),
        Err(_) => Ok(()),
    };
    // Don't wait for a thread that still reads the terminal.
    runtime.shutdown_background();
    let report = report?;
    say_what_ended_it(&report, request);
    written?;
    match unwritten.take() {
        Some(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::System { what: "writing to standard output", source })
        }
        Some(_) if report.ending == Ending::Interrupted => Ok(Exit::Unread),
        _ => Ok(python.map_or(Exit::of(&report), |python| python.exit(Exit::of(&report)))),
    }
}

/// The calls of the command line: tasks, then the command, or else the default task.
pub(super) fn calls(request: &Request) -> Result<Vec<Call>, Failure> {
    let options = &request.options;
    let mut calls: Vec<Call> = options.tasks.iter().cloned().map(Call::Task).collect();
    calls.extend(options.command.clone().map(Call::Command));
    if calls.is_empty() {
        let nothing = || Failure::Refused("nothing to do: name a task, or give a command after `--`".to_owned());
        let task = request.project.collection.default_task().ok_or_else(nothing)?;
        calls.push(Call::Task(Invocation::new(&task.name)));
    }
    Ok(calls)
}

/// Finds reports that can't be written before the run rather than after it.
fn check_reports(request: &Request) -> Result<(), Failure> {
    for path in &request.options.reports {
        let bad = |reason| UsageError::BadValue { option: "--report".to_owned(), reason };
        if ReportFormat::of(path).is_none() {
            return Err(bad(format!("{}: the name must end in .json, .xml (JUnit) or .html", path.display())).into());
        }
        Report::check_writable(&request.surroundings.file(path))
            .map_err(|error| bad(format!("{} cannot be written: {error}", path.display())))?;
    }
    Ok(())
}

/// An error if no host could be reached by the gateway, as it is invalid.
fn check_gateway(settings: &Settings) -> Result<(), Failure> {
    let Switch::To(gateway) = &settings.gateway else { return Ok(()) };
    let parsed = Gateway::parse::<HostStringError>(gateway, |hop| Ok(Target::new(hop.clone())));
    parsed.map(drop).map_err(|error| Failure::Refused(format!("gateway `{}`: {error}", Gateway::shown(gateway))))
}

/// Asks for passwords before anything runs (`-I`, `--initial-sudo-password-prompt`).
async fn ask_first(
    config: Config,
    mut sources: ConfigBuilder,
    request: &Request,
    prompter: &TerminalPrompter,
) -> Result<(Config, ConfigBuilder), Failure> {
    let Options { ask_password, ask_sudo_password, dry_run, .. } = request.options;
    if !ask_password && !ask_sudo_password {
        return Ok((config, sources));
    }
    let user = request.settings()?.user.clone().unwrap_or_default();
    let questions = [
        (ask_password, "password", "-I", PromptKind::Password { user: user.clone() }),
        (ask_sudo_password, "sudo_password", "--initial-sudo-password-prompt", PromptKind::Sudo { user }),
    ];
    for (_, setting, option, kind) in questions.into_iter().filter(|(wanted, ..)| *wanted) {
        if dry_run {
            request.surroundings.say(&format!("Dry run: env.{setting} would be asked for ({option}).\n"));
        } else {
            let message = format!("Initial value for env.{setting}");
            let answer = prompter.ask(PromptRequest::new(kind, message)).await?;
            sources = sources.option(setting, answer.expose(), option);
        }
    }
    Ok((sources.clone().build()?, sources))
}

/// The connector of the run, with plugins.
pub(super) fn connector(
    request: &Request,
    settings: &Settings,
    prompter: Arc<dyn Prompter>,
) -> Result<Connector, Failure> {
    let surroundings = &request.surroundings;
    let shell = surroundings.variable("SHELL").unwrap_or("/bin/sh");
    let mut connector = Connector::new().prompter(prompter).shell(shell);
    if let Some(dir) = surroundings.state_dir() {
        connector = connector.state_dir(dir);
    }
    plugins::register(connector, settings, surroundings)
}

/// Adds a journal, unless it is a dry run.
fn journaled(run: Run, id: &str, request: &Request) -> Run {
    let Some(dir) = request.surroundings.journals().filter(|_| !request.options.dry_run) else { return run };
    let asked = Asked::new(id, request.options.arguments.clone(), request.surroundings.dir.clone());
    run.journal(Journal::new(dir, asked))
}

/// Reports an error in the command line, the fabfile or settings that ended the run midway, unless it was reported as a host's
/// error.
fn say_what_ended_it(report: &Report, request: &Request) {
    let Some(error) = &report.error else { return };
    let mut reported = report.tasks.iter().flat_map(|task| &task.results).filter_map(|result| result.error.as_ref());
    if !reported.any(|reported| reported.contains(error.as_str())) {
        request.surroundings.say(&Failure::Refused(error.clone()).report(&request.name));
    }
}
