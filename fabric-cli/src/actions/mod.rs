//! The actions, of which the command line chooses one. Each has a module.

mod completion;
mod demo;
mod engine;
mod init;
mod list;
mod merge_reports;
mod plan;
mod plugins;
mod retry;
mod run;
mod rust_fabfile;
mod settings;

use crate::args::{Action, ListFormat, help};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::process::Process;
use crate::python;
use crate::request::{ProgramParts, Request};
use crate::surroundings::Surroundings;

/// Does what the arguments ask for, and reports an error.
pub(crate) fn answer(
    own: ProgramParts,
    surroundings: &Surroundings,
    process: Option<Process>,
    args: Vec<String>,
) -> Exit {
    let name = own.name.clone();
    let request = Request::read(own, surroundings.clone(), process, args);
    request.and_then(|request| act(&request)).unwrap_or_else(|failure| {
        surroundings.say(&failure.report(&name));
        failure.exit()
    })
}

/// Runs the action.
fn act(request: &Request) -> Result<Exit, Failure> {
    tracing::trace!(route = "one action");
    let print = |text: &str| request.surroundings.print(text);
    match &request.options.action {
        Action::Run | Action::Plan(_) if request.options.retry_failed => retry::run(request),
        Action::Run if request.options.asks_nothing() && request.project.collection.default_task().is_none() => {
            print(&help(&request.name, request.surroundings.width()))
        }
        Action::Run => run::run(request),
        Action::Plan(format) => plan::run(request, *format),
        Action::Check => plan::check(request),
        Action::Help if request.options.tasks.is_empty() => print(&help(&request.name, request.surroundings.width())),
        Action::Help => list::help(request),
        Action::Version => print(&format!("{} {}\n", request.name, request.version)),
        Action::List => list::list(request, request.options.list_format.unwrap_or(ListFormat::Normal)),
        Action::Display(task) => list::display(request, task),
        Action::ShowConfig(host) => settings::show(request, host.as_deref()),
        Action::Explain(setting) => settings::explain(request, setting),
        Action::Plugins => plugins::list(request),
        Action::Init(kind) => {
            request.surroundings.needs_dir()?;
            print(&init::init(*kind, &request.surroundings.dir)?)
        }
        Action::Demo(kind) => demo::run(request, *kind),
        Action::MergeReports => merge_reports::run(request),
        Action::Completion(shell) => print(&completion::script(*shell, &request.name)),
        Action::Complete(words) => print(&completion::complete(words, request)),
        Action::ToPython3 => {
            let files: Vec<_> = request.options.converted.iter().map(|file| request.surroundings.file(file)).collect();
            python::convert(request.config()?, &files, &request.surroundings)
        }
        Action::Engine => engine::run(request),
        Action::HostPlugin(file) => plugins::host(file),
        Action::HandOver(manifest) => rust_fabfile::run(request, manifest),
    }
}
