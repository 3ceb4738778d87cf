//! `--list`, `--display` and `--help TASK`.

use fabric_exec::Collection;
use fabric_exec::collection::Entry;

use crate::args::ListFormat;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::request::Request;

/// Prints the list of tasks.
pub(crate) fn list(request: &Request, format: ListFormat) -> Result<Exit, Failure> {
    checked(request)?;
    let listing = request.project.collection.listing();
    let width = request.surroundings.width();
    request.surroundings.print(&match format {
        ListFormat::Short => listing.short().join("\n") + "\n",
        ListFormat::Normal => listing.normal(width),
        ListFormat::Nested => listing.nested(width),
        // Serialising names and texts cannot fail.
        ListFormat::Json => serde_json::to_string(&listing).unwrap_or_default() + "\n",
    })
}

/// Prints a task's details.
pub(crate) fn display(request: &Request, task: &str) -> Result<Exit, Failure> {
    checked(request)?;
    request.surroundings.print(&details(&request.project.collection, task)?)
}

/// Prints the help of the tasks on the command line.
pub(crate) fn help(request: &Request) -> Result<Exit, Failure> {
    request.needs_tasks()?;
    let tasks = request.options.tasks.iter();
    let texts: Result<Vec<String>, Failure> =
        tasks.map(|call| details(&request.project.collection, &call.task)).collect();
    request.surroundings.print(&texts?.join("\n"))
}

/// An error if no run could begin: there are no tasks, or settings are invalid.
fn checked(request: &Request) -> Result<(), Failure> {
    request.needs_tasks()?;
    request.settings()?;
    Ok(())
}

fn details(collection: &Collection, name: &str) -> Result<String, Failure> {
    let unknown = || Failure::unknown_task(collection, name);
    let task = collection.find(name).ok_or_else(unknown)?;
    let listing = collection.listing();
    let is_meant = |entry: &&Entry| entry.name == name || entry.aliases.iter().any(|alias| alias == name);
    // A namespace's name is that of its default task.
    let entry = listing
        .entries()
        .find(is_meant)
        .or_else(|| listing.entries().find(|entry| entry.default && entry.name == format!("{name}.{}", task.name)));
    entry.map(Entry::details).ok_or_else(unknown)
}
