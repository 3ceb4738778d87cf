//! Which fabfile is meant.

use std::io;
use std::path::{Path, PathBuf};

/// A fabfile that was found, by what it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// TOML, YAML or JSON.
    Declared(PathBuf),
    /// A Python file or package.
    Python(PathBuf),
    /// The manifest of a Rust program.
    Rust(PathBuf),
}

impl Found {
    /// The file: for a Python package its directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::Declared(path) | Self::Python(path) | Self::Rust(path) => path,
        }
    }

    fn of(path: PathBuf) -> Option<Self> {
        // Looked up once: hardly one of the dozen names in each directory above exists.
        let metadata = path.metadata().ok()?;
        if metadata.is_dir() {
            let manifest = path.join("Cargo.toml");
            if manifest.is_file() {
                return Some(Self::Rust(manifest));
            }
            return path.join("__init__.py").is_file().then_some(Self::Python(path));
        }
        if !metadata.is_file() {
            return None;
        }
        if super::Format::of(&path).is_some() && path.file_name() != Some("Cargo.toml".as_ref()) {
            return Some(Self::Declared(path));
        }
        match path.extension()?.to_str()? {
            "py" => Some(Self::Python(path)),
            "toml" => Some(Self::Rust(path)),
            _ => None,
        }
    }
}

/// Looks for the fabfile `name` (the `fabfile` setting, `-f`).
///
/// A name without a directory part is looked for in `from` and then in each directory above it, in each
/// as `NAME.toml`, `.yaml`, `.yml`, `.json`, `.py`, the package `NAME/` and `NAME/Cargo.toml`, in that order,
/// and exactly as given. A name with a directory part is that file only, seen from `from`.
///
/// # Errors
///
/// The name has a directory part or an ending, and a file is there that is no fabfile.
pub fn find(name: &str, from: &Path) -> io::Result<Option<Found>> {
    let path = Path::new(name);
    if path.components().count() > 1 || path.is_absolute() {
        let path = from.join(path);
        return match Found::of(path.clone()) {
            Some(found) => Ok(Some(found)),
            None if path.exists() => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is no fabfile: expected .toml, .yaml, .yml, .json, .py, or a directory", path.display()),
            )),
            None => Ok(from.join(&path).parent().and_then(|dir| in_directory(dir, name_of(&path)?))),
        };
    }
    Ok(from.ancestors().find_map(|dir| in_directory(dir, name)))
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn in_directory(dir: &Path, name: &str) -> Option<Found> {
    let endings = super::Format::ENDINGS.iter().map(|(ending, _)| *ending).chain(["py"]);
    let with_ending = endings.map(|ending| format!("{name}.{ending}")).find_map(|file| Found::of(dir.join(file)));
    with_ending
        .or_else(|| {
            let package = dir.join(name);
            package.join("__init__.py").is_file().then_some(Found::Python(package))
        })
        .or_else(|| Found::of(dir.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_directory_and_the_first_form_win() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let of = |name: &str| find(name, &deep).unwrap();
        assert_eq!(of("fabfile"), None);
        fs::write(root.path().join("fabfile.py"), "").unwrap();
        assert_eq!(of("fabfile"), Some(Found::Python(root.path().join("fabfile.py"))));
        fs::create_dir_all(root.path().join("a/fabfile")).unwrap();
        fs::write(root.path().join("a/fabfile/Cargo.toml"), "").unwrap();
        assert_eq!(of("fabfile"), Some(Found::Rust(root.path().join("a/fabfile/Cargo.toml"))));
        fs::write(root.path().join("a/fabfile.json"), "{}").unwrap();
        fs::write(root.path().join("a/fabfile.toml"), "").unwrap();
        assert_eq!(of("fabfile"), Some(Found::Declared(root.path().join("a/fabfile.toml"))));
        assert_eq!(of("fabfile.json"), Some(Found::Declared(root.path().join("a/fabfile.json"))));
        assert_eq!(of("../fabfile.json"), Some(Found::Declared(deep.join("../fabfile.json"))));
        fs::write(deep.join("notes.txt"), "").unwrap();
        assert!(find("./notes.txt", &deep).is_err());
        assert_eq!(of("./other.toml"), None);
    }
}
