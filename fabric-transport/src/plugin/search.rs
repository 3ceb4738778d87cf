//! Where plugins are looked for.

use std::path::{Path, PathBuf};

use super::{Plugin, PluginLoadError};

/// A file that was found, and what became of it.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// The plugin in it, or why it is not taken.
    pub plugin: Result<Plugin, PluginLoadError>,
}

/// Loads the given files and the libraries in the given directories, in that order, by name within a
/// directory. A directory that is not there has none. The first plugin of a name is the one that serves it.
pub fn find(files: &[PathBuf], directories: &[PathBuf]) -> Vec<Found> {
    find_by(files, directories, Plugin::load)
}

/// The same with another way to load each, such as [`Plugin::load_isolated`].
pub fn find_by(
    files: &[PathBuf],
    directories: &[PathBuf],
    load: impl Fn(&Path) -> Result<Plugin, PluginLoadError>,
) -> Vec<Found> {
    let in_directories = directories.iter().flat_map(|directory| libraries(directory));
    let mut seen = std::collections::HashSet::new();
    files
        .iter()
        .cloned()
        .chain(in_directories)
        .filter(|file| seen.insert(file.clone()))
        .map(|file| Found { plugin: load(&file), file })
        .collect()
}

fn libraries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "so" || ending == "dylib"))
        .collect();
    files.sort();
    files
}
