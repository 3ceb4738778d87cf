//! `--list`, `--display` and `--help TASK`.

use fabric_exec::Collection;
use fabric_exec::collection::Listing;

use crate::args::ListFormat;
use crate::failure::Failure;

/// The list of tasks.
pub(crate) fn list(collection: &Collection, format: ListFormat, width: usize) -> String {
    let listing = collection.listing();
    match format {
        ListFormat::Short => listing.short().join("\n") + "\n",
        ListFormat::Normal => listing.normal(width),
        ListFormat::Nested => listing.nested(width),
        // Names and texts: writing them cannot fail.
        ListFormat::Json => serde_json::to_string(&listing).unwrap_or_default() + "\n",
    }
}

/// What is known about a task.
pub(crate) fn details(collection: &Collection, name: &str) -> Result<String, Failure> {
    let unknown = || unknown(collection, name);
    let task = collection.find(name).ok_or_else(unknown)?;
    let listing: Listing = collection.listing();
    let is_meant =
        |entry: &&fabric_exec::collection::Entry| entry.name == name || entry.aliases.iter().any(|alias| alias == name);
    // A namespace stands for its default task.
    let entry = listing
        .entries()
        .find(is_meant)
        .or_else(|| listing.entries().find(|entry| entry.default && entry.name == format!("{name}.{}", task.name)));
    entry.map(fabric_exec::collection::Entry::details).ok_or_else(unknown)
}

/// That there is no task of this name.
pub(crate) fn unknown(collection: &Collection, name: &str) -> Failure {
    Failure::Run(fabric_exec::RunError::UnknownTasks(vec![collection.unknown(name)]))
}
