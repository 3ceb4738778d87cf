//! `group_vars` and `host_vars` beside an inventory.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

use super::model::{FileLine, Model, Vars};
use super::{InventoryError, yaml};

/// Endings of files with variables; a name without one is looked for first.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Reads the variables of the groups and hosts of an inventory that is in this directory.
pub(super) fn read(dir: &Path, model: &mut Model) -> Result<(), InventoryError> {
    let (of_groups, of_hosts) = (Files::of(dir.join("group_vars"))?, Files::of(dir.join("host_vars"))?);
    let Model { hosts, groups, warnings } = model;
    for (name, group) in groups {
        of_groups.read(name, &mut group.file_vars, warnings)?;
    }
    for (name, host) in hosts {
        of_hosts.read(name, &mut host.file_vars, warnings)?;
    }
    Ok(())
}

/// A directory and the names in it, so that ten thousand hosts don't ask for four files each.
struct Files {
    dir: PathBuf,
    names: HashSet<OsString>,
}

impl Files {
    fn of(dir: PathBuf) -> Result<Self, InventoryError> {
        let names = if dir.is_dir() { names(&dir)? } else { Vec::new() };
        Ok(Self { names: names.into_iter().collect(), dir })
    }

    /// The variables of a group or host: of its file, or of all files in its directory, those of a later one count.
    fn read(&self, name: &str, vars: &mut Vars, warnings: &mut IndexSet<String>) -> Result<(), InventoryError> {
        let mut names = ENDINGS.iter().map(|ending| format!("{name}{ending}"));
        let Some(name) = names.find(|name| self.names.contains(OsStr::new(name))) else { return Ok(()) };
        let mut files = Vec::new();
        let path = self.dir.join(name);
        if path.is_dir() {
            inside(&path, &mut files)?;
        } else {
            files.push(path);
        }
        for path in files {
            let place = FileLine::file(&path.to_string_lossy());
            let text = std::fs::read_to_string(&path).map_err(|error| place.refused(error.to_string()))?;
            if text.starts_with("$ANSIBLE_VAULT;") {
                warnings.insert(format!("{place} is encrypted: what it says is not known here"));
                continue;
            }
            vars.extend(yaml::read_vars(&text, &place)?);
        }
        Ok(())
    }
}

/// The files with variables in a directory and those below, sorted by name.
fn inside(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), InventoryError> {
    for name in names(dir)? {
        let text = name.to_string_lossy();
        if text.starts_with('.') || text.ends_with('~') {
            continue;
        }
        let path = dir.join(&name);
        let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
        if path.is_dir() {
            if ending.is_empty() {
                inside(&path, files)?;
            }
        } else if path.is_file() && ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &Path) -> Result<Vec<OsString>, InventoryError> {
    let refused = |error: std::io::Error| FileLine::file(&dir.to_string_lossy()).refused(error.to_string());
    let entries: Result<Vec<_>, _> = std::fs::read_dir(dir).map_err(refused)?.collect();
    let mut names: Vec<OsString> = entries.map_err(refused)?.into_iter().map(|entry| entry.file_name()).collect();
    names.sort();
    Ok(names)
}
