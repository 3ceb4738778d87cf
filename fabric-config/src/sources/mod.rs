//! Where settings are read from: files, variables, and texts.

mod file;
mod rc;
mod set;
mod variables;

use std::path::{Path, PathBuf};

use fabric_core::settings::{Layer, Problem};
use fabric_core_document::Format;

pub(crate) use file::{parse, read};
pub(crate) use rc::parse as parse_rc;
pub use set::{Assignment, parse as parse_set};
pub(crate) use variables::read as read_variables;

use crate::environment::Environment;

/// The files that settings come from, by the names and in the order that Fabric looks for them.
///
/// Of each place that has `.toml`, `.yaml`, `.yml` and `.json`, the first that exists is read. A missing
/// file is passed over, unless it was named explicitly.
///
/// ```
/// use fabric_config::{Environment, SettingsFiles};
///
/// let environment = Environment::new("alice", "/nowhere/alice");
/// let sources = SettingsFiles::standard(&environment).beside("/nowhere/project");
/// assert!(sources.files().is_empty(), "none of them exists");
/// ```
#[derive(Debug, Clone, Default)]
pub struct SettingsFiles {
    system: Vec<PathBuf>,
    rc: Option<PathBuf>,
    rc_named: Option<PathBuf>,
    user: Vec<PathBuf>,
    project: Vec<PathBuf>,
    ssh_config: bool,
}

impl SettingsFiles {
    /// The system's and the user's files: `/etc/fabric.*`, `~/.fabricrc` (or `$FABRIC_RCFILE`), `~/.fabric.*`,
    /// `$XDG_CONFIG_HOME/fabric/fabric.*` or `config.*` there, and, when a host is resolved, `~/.ssh/config` and
    /// `/etc/ssh/ssh_config`.
    pub fn standard(environment: &Environment) -> Self {
        let home = environment.home.as_deref();
        let config = environment.xdg("XDG_CONFIG_HOME", ".config").map(|config| config.join("fabric"));
        let user = home.map(|home| home.join(".fabric")).into_iter();
        Self {
            system: vec![PathBuf::from("/etc/fabric")],
            rc: home.map(|home| home.join(".fabricrc")),
            rc_named: environment
                .get("FABRIC_RCFILE")
                .filter(|path| !path.is_empty())
                .map(|path| environment.expand(path)),
            user: user.chain(config.iter().flat_map(|at| [at.join("fabric"), at.join("config")])).collect(),
            project: Vec::new(),
            ssh_config: true,
        }
    }

    /// No file at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// This file instead of `~/.fabricrc` (`-c`); it must exist. A `.toml`, `.yaml` or `.json` file is read
    /// as such.
    #[must_use]
    pub fn rcfile(mut self, path: impl Into<PathBuf>) -> Self {
        self.rc_named = Some(path.into());
        self
    }

    /// `fabric.*` in this directory, the fabfile's, too.
    #[must_use]
    pub fn beside(mut self, directory: impl AsRef<Path>) -> Self {
        self.project = vec![directory.as_ref().join("fabric")];
        self
    }

    pub(crate) fn reads_ssh_config(&self) -> bool {
        self.ssh_config
    }

    /// The rc file that is read, if any.
    pub fn rc(&self) -> Option<&Path> {
        self.rc_named.as_deref().or(self.rc.as_deref())
    }

    /// The files that exist, from the lowest layer to the highest.
    pub fn files(&self) -> Vec<SourceFile> {
        self.look().0
    }

    /// The files that exist, and those that are not read because one of the same name with another ending comes first.
    pub(crate) fn look(&self) -> (Vec<SourceFile>, Vec<Problem>) {
        let (mut files, mut passed_over) = (Vec::new(), Vec::new());
        let mut look = |files: &mut Vec<SourceFile>, layer, stems: &[PathBuf]| {
            for stem in stems {
                let mut found = candidates(layer, stem);
                let Some(read) = found.next() else { continue };
                let of_no_use = |file: SourceFile| {
                    format!("{} is not read, because {} is there", file.path.display(), read.path.display())
                };
                passed_over.extend(found.map(of_no_use).map(Problem::new));
                files.push(read);
            }
        };
        look(&mut files, Layer::System, &self.system);
        match (&self.rc_named, &self.rc) {
            (Some(path), _) => {
                files.push(SourceFile { layer: Layer::User, path: path.clone(), format: Format::of(path) });
            }
            (None, Some(path)) if is_there(path) => {
                files.push(SourceFile { layer: Layer::User, path: path.clone(), format: None });
            }
            _ => {}
        }
        look(&mut files, Layer::User, &self.user);
        look(&mut files, Layer::Project, &self.project);
        (files, passed_over)
    }
}

/// A file of settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SourceFile {
    /// The layer that it belongs to.
    pub layer: Layer,
    /// Where it is.
    pub path: PathBuf,
    /// Its format; `None` is the classic `key = value`.
    pub format: Option<Format>,
}

/// The existing files with this name and a known ending, in the order of the endings.
fn candidates(layer: Layer, stem: &Path) -> impl Iterator<Item = SourceFile> {
    let name = stem.as_os_str().to_owned();
    let endings = if may_hold_files(stem.parent()) { Format::ENDINGS.iter() } else { [].iter() };
    endings.filter_map(move |(ending, format)| {
        let mut name = name.clone();
        name.push(".");
        name.push(ending);
        let path = PathBuf::from(name);
        is_there(&path).then_some(SourceFile { layer, path, format: Some(*format) })
    })
}

/// Whether the directory exists; if not, there is no need to try the endings. A relative name's directory is the current one.
fn may_hold_files(dir: Option<&Path>) -> bool {
    dir.is_none_or(|dir| dir.as_os_str().is_empty() || is_there(dir))
}

/// Whether a file of that name exists. One that can't be examined counts as existing, so that reading it reports why.
fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_name_is_in_the_current_directory() {
        assert!(may_hold_files(Path::new("fabric").parent()));
        assert!(!may_hold_files(Path::new("/nowhere/project/fabric").parent()));
    }

    #[test]
    fn the_first_ending_wins_and_order_is_the_ladders() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join(".config/fabric")).unwrap();
        for name in [".fabricrc", ".fabric.yaml", ".fabric.json", ".config/fabric/config.toml"] {
            std::fs::write(home.join(name), "").unwrap();
        }
        std::fs::write(dir.path().join("fabric.yml"), "").unwrap();
        let environment = Environment::new("me", &home);
        let files = SettingsFiles::standard(&environment).beside(dir.path()).files();
        let names: Vec<_> = files
            .iter()
            .filter(|file| file.layer != Layer::System)
            .map(|file| (file.layer, file.path.file_name().unwrap().to_str().unwrap()))
            .collect();
        assert_eq!(
            names,
            [
                (Layer::User, ".fabricrc"),
                (Layer::User, ".fabric.yaml"),
                (Layer::User, "config.toml"),
                (Layer::Project, "fabric.yml")
            ]
        );
        let (_, passed_over) = SettingsFiles::standard(&environment).look();
        assert!(
            passed_over.iter().any(|problem| problem.message.contains(".fabric.json is not read")),
            "{passed_over:?}"
        );
        let other = SettingsFiles::standard(&environment.variable("FABRIC_RCFILE", "~/other"));
        assert_eq!(other.rc(), Some(home.join("other").as_path()));
    }
}
