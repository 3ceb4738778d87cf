//! Which Python runs a fabfile.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// An interpreter, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The program.
    pub path: PathBuf,
    /// Why, as a person reads it.
    pub why: String,
}

/// There is none.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct NoInterpreter(String);

/// Where an interpreter is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search<'a> {
    /// What was asked for: the setting `python`, and where it comes from.
    pub asked: Option<(&'a str, &'a str)>,
    /// This program.
    pub program: Option<&'a Path>,
    /// `VIRTUAL_ENV`.
    pub virtual_env: Option<&'a str>,
    /// `CONDA_PREFIX`.
    pub conda: Option<&'a str>,
    /// The fabfile's directory.
    pub fabfile: Option<&'a Path>,
    /// The directory where `fab` was typed.
    pub dir: &'a str,
    /// `PATH`.
    pub path: &'a str,
}

impl Search<'_> {
    /// The first that is found: what was asked for; beside this program, where that is a virtual environment; `VIRTUAL_ENV`;
    /// `CONDA_PREFIX`; `.venv` or `venv` beside the fabfile or above it, up to the project's root (a directory with `.git`) or
    /// the home directory; `python3` on `PATH`.
    ///
    /// # Errors
    ///
    /// What was asked for is not there, or there is none at all.
    pub fn find(&self) -> Result<Interpreter, NoInterpreter> {
        if let Some((name, from)) = self.asked {
            return self.named(name).map(|path| Interpreter { path, why: format!("{from} says so") }).ok_or_else(
                || {
                    NoInterpreter(format!(
                        "there is no Python `{name}` ({from}): give the path of a python3, or its name on PATH"
                    ))
                },
            );
        }
        let found = |path: PathBuf, why: String| Interpreter { path, why };
        if let Some(bin) = self.program.and_then(Path::parent)
            && bin.parent().is_some_and(|root| root.join("pyvenv.cfg").is_file())
            && let Some(path) = in_bin(bin)
        {
            return Ok(found(path, "fab itself is in this virtual environment".to_owned()));
        }
        for (name, root) in [("VIRTUAL_ENV", self.virtual_env), ("CONDA_PREFIX", self.conda)] {
            if let Some(path) =
                root.filter(|root| !root.is_empty()).and_then(|root| in_bin(&Path::new(root).join("bin")))
            {
                return Ok(found(path, format!("{name} names its environment")));
            }
        }
        for dir in self.fabfile.into_iter().flat_map(Path::ancestors) {
            for name in [".venv", "venv"] {
                let root = dir.join(name);
                if root.join("pyvenv.cfg").is_file()
                    && let Some(path) = in_bin(&root.join("bin"))
                {
                    return Ok(found(path, format!("{} is the fabfile's environment", root.display())));
                }
            }
            if dir.join(".git").exists() {
                break;
            }
        }
        let on_path = self.on_path("python3").or_else(|| self.on_path("python"));
        on_path.map(|path| found(path, "it is the first python3 on PATH".to_owned())).ok_or_else(|| {
            NoInterpreter(
                "there is no python3, which Python fabfiles need: neither in an environment (VIRTUAL_ENV, CONDA_PREFIX, .venv) nor \
                 on PATH; --python names one"
                    .to_owned(),
            )
        })
    }

    fn named(&self, name: &str) -> Option<PathBuf> {
        if !name.contains('/') {
            return self.on_path(name);
        }
        let path = Path::new(self.dir).join(name);
        if path.is_dir() { in_bin(&path.join("bin")) } else { Some(path).filter(|path| path.is_file()) }
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        let places = self.path.split(':').filter(|place| !place.is_empty());
        places.map(|place| Path::new(place).join(name)).find(|path| path.is_file())
    }
}

fn in_bin(bin: &Path) -> Option<PathBuf> {
    ["python3", "python"].map(|name| bin.join(name)).into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_first_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let python = |dir: &str| {
            let bin = root.path().join(dir).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("python3"), "").unwrap();
            fs::write(root.path().join(dir).join("pyvenv.cfg"), "").unwrap();
            bin
        };
        let place = |dir: &str| root.path().join(dir).display().to_string();
        let path = python("usr").display().to_string();
        let project = root.path().join("project/deploy");
        fs::create_dir_all(&project).unwrap();
        let mut search = Search { path: &path, fabfile: Some(&project), dir: "/", ..Search::default() };
        let at = |search: &Search<'_>| {
            let found = search.find().unwrap().path;
            found.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(at(&search), "usr/bin/python3");
        python("project/.venv");
        assert_eq!(at(&search), "project/.venv/bin/python3");
        let conda = place("conda");
        search.conda = Some(&conda);
        assert_eq!(at(&search), "project/.venv/bin/python3", "there is nothing in it");
        python("conda");
        assert_eq!(at(&search), "conda/bin/python3");
        let venv = place("active");
        python("active");
        search.virtual_env = Some(&venv);
        assert_eq!(at(&search), "active/bin/python3");
        let fab = python("own").join("fab");
        search.program = Some(&fab);
        assert_eq!(at(&search), "own/bin/python3");
        search.asked = Some(("python3", "--python"));
        assert_eq!(at(&search), "usr/bin/python3");
        search.asked = Some(("/nowhere/python3", "--python"));
        assert!(search.find().unwrap_err().to_string().contains("/nowhere/python3"));
    }
}
