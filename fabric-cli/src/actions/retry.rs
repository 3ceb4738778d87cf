//! `--retry-failed`: repeats the last run where it failed or never started.

use fabric_exec::hostlist::Selection;
use fabric_exec::journal::{self, Recorded};

use crate::args::{Action, Options};
use crate::exit::Exit;
use crate::failure::{Failure, FileOperation};
use crate::request::Request;

/// Repeats the last run, or plans that.
pub(super) fn run(request: &Request) -> Result<Exit, Failure> {
    let options = &request.options;
    if !options.tasks.is_empty() || options.command.is_some() || options.selection() != Selection::default() {
        return Err(refused("runs the last command line: tasks, commands and hosts can't be given with it"));
    }
    let last = last(request)?;
    let name = &last.asked.run;
    if last.running {
        return Err(refused(&format!(": the last run, {name}, is still under way")));
    }
    if last.is_done() {
        request.surroundings.say(&format!("{}: the last run, {name}, failed on no host\n", request.name));
        return Ok(Exit::Ok);
    }
    let plans = matches!(options.action, Action::Plan(_));
    if last.took_input && !plans && (options.no_stdin || !request.surroundings.has_input()) {
        let why = "was given standard input, which its journal does not have: give it again";
        return Err(refused(&format!(": the last run, {name}, {why}")));
    }
    let words = arguments(options, &last)?;
    super::act(&request.again(&words, last)?)
}

fn refused(why: &str) -> Failure {
    let space = if why.starts_with(':') { "" } else { " " };
    Failure::Refused(format!("--retry-failed{space}{why}"))
}

/// The last run begun in this directory.
fn last(request: &Request) -> Result<Recorded, Failure> {
    let none = || refused(": there is no earlier run");
    let dir = request.surroundings.journals().ok_or_else(none)?;
    let unread = |source| Failure::File { what: FileOperation::ReadingJournals, path: dir.clone(), source };
    if let Some(last) = journal::last_in(&dir, &request.surroundings.dir).map_err(unread)? {
        return Ok(last);
    }
    let other = journal::last(&dir).map_err(unread)?.ok_or_else(none)?;
    Err(refused(&format!(
        ": no run was begun in this directory; the last one, {}, was begun in {}",
        other.asked.run,
        other.asked.directory.display()
    )))
}

/// The arguments of the last run, combined with the current ones.
fn arguments(options: &Options, last: &Recorded) -> Result<Vec<String>, Failure> {
    // The current ones come first: tasks and the command have to be last.
    let mut arguments: Vec<String> =
        options.arguments.iter().filter(|argument| *argument != "--retry-failed").cloned().collect();
    let recorded = &last.asked.arguments;
    let (recorded, command) = recorded.split_at(recorded.iter().position(|it| it == "--").unwrap_or(recorded.len()));
    // A gateway given now may have the password, which the journal lacks.
    let typed = options.setting("gateway").is_some();
    let gateway = |argument: &&String| argument.starts_with("--gateway=");
    if let Some(gateway) = recorded.iter().rfind(gateway).filter(|gateway| !typed && gateway.contains(":***")) {
        return Err(refused(&format!(": the journal has {gateway} without its password: give the gateway again")));
    }
    if let Some(task) = recorded.iter().find(|argument| !argument.starts_with('-') && argument.contains("***")) {
        return Err(refused(&format!(": the journal has `{task}` without its secret: type the command line again")));
    }
    // A file named now replaces the recorded one.
    let instead = |argument: &str| {
        let names = [("fabfile", "--fabfile="), ("rcfile", "--config=")];
        names.iter().any(|(name, option)| options.setting(name).is_some() && argument.starts_with(option))
    };
    let kept = recorded.iter().filter(|argument| !(typed && gateway(argument) || instead(argument)));
    // Repeated options add up, but a current `--only` must narrow the recorded one.
    arguments.extend(kept.map(|argument| match argument.strip_prefix("--only=") {
        Some(only) if options.setting("only_hosts").is_some() => format!("--only=&{{{only}}}"),
        _ => argument.clone(),
    }));
    arguments.extend_from_slice(command);
    Ok(arguments)
}
