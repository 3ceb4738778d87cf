//! `--plan` and `--check`.

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::{Failure, problem};
use crate::plugins;
use crate::process::{Signals, runtime};
use crate::render::OutputMode;
use crate::request::Request;

use super::run::calls;

/// Prints the plan: what would run where.
pub(super) fn run(request: &Request, format: Option<Format>) -> Result<Exit, Failure> {
    if !request.options.tasks.is_empty() {
        request.needs_tasks()?;
    }
    let calls = calls(request)?;
    let config = request.config()?;
    plugins::load_named(&*request.settings()?, &request.surroundings)?;
    request.warn(config);
    let run = request.run(config, &request.sources())?;
    let plan = runtime(request.process.as_ref())?.block_on(async {
        let mut signals = Signals::watch(request.process.as_ref());
        tokio::select! {
            plan = run.plan(&calls) => match plan {
                Err(_) if request.interrupt.is_stopping() => Err(Failure::Interrupted),
                plan => plan.map_err(Failure::from),
            },
            () = signals.next() => Err(Failure::Interrupted),
        }
    })?;
    let format = format.unwrap_or(match request.options.output {
        Some(OutputMode::Json) => Format::Json,
        _ => request.options.format,
    });
    request.surroundings.print(&match format {
        Format::Text => plan.to_string(),
        // Serialising names and texts cannot fail.
        Format::Json => serde_json::to_string_pretty(&plan).unwrap_or_default() + "\n",
    })
}

/// Checks all tasks.
pub(super) fn check(request: &Request) -> Result<Exit, Failure> {
    request.needs_tasks()?;
    let config = request.config()?;
    request.warn(config);
    let run = request.run(config, &request.sources())?;
    let warnings = runtime(request.process.as_ref())?.block_on(run.check())?;
    request.surroundings.say(&warnings.iter().map(|one| problem("warning", one)).collect::<String>());
    request.surroundings.print("Nothing is wrong with the tasks.\n")
}
