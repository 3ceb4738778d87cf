//! `fab --init`: commented starter projects. Existing files are never overwritten.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::args::InitKind;
use crate::failure::{Failure, FileOperation};

/// The files of a starter project, and what to do next.
struct Starter {
    files: &'static [(&'static str, &'static str)],
    next: &'static str,
}

const TOML: Starter = Starter {
    files: &[("fabfile.toml", include_str!("fabfile.toml"))],
    next: "Put your hosts into it, then: fab --list",
};

const PYTHON: Starter =
    Starter { files: &[("fabfile.py", include_str!("fabfile.py"))], next: "Put your hosts into it, then: fab --list" };

const RUST: Starter = Starter {
    files: &[
        ("fabfile/Cargo.toml", include_str!("rust_Cargo.toml")),
        ("fabfile/src/main.rs", include_str!("rust_main.rs")),
    ],
    next: "fab builds and runs it: fab --list",
};

const PLUGIN: Starter = Starter {
    files: &[
        ("my-gateway/Cargo.toml", include_str!("plugin_Cargo.toml")),
        ("my-gateway/src/lib.rs", include_str!("plugin_lib.rs")),
    ],
    next: "Say in my-gateway/Cargo.toml where the SDK is, then: cd my-gateway && cargo test",
};

/// Writes a starter project to `dir`, and returns a text that says so.
pub(super) fn init(kind: InitKind, dir: &Path) -> Result<String, Failure> {
    let starter = match kind {
        InitKind::Toml => TOML,
        InitKind::Python => PYTHON,
        InitKind::Rust => RUST,
        InitKind::Plugin => PLUGIN,
    };
    // Write nothing if any of the files exists.
    for (name, _) in starter.files {
        let path = dir.join(name);
        if path.symlink_metadata().is_ok() {
            let text = format!("{} already exists; nothing was written", path.display());
            return Err(Failure::Refused(text));
        }
    }
    let mut said = String::new();
    for (name, text) in starter.files {
        let path = dir.join(name);
        write_new(&path, &text.replace("@VERSION@", env!("CARGO_PKG_VERSION"))).map_err(|source| Failure::File {
            what: FileOperation::Writing,
            path: path.clone(),
            source,
        })?;
        said.extend(["wrote ", name, "\n"]);
    }
    Ok(said + starter.next + "\n")
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toml_starter_is_a_fabfile() {
        let dir = tempfile::tempdir().unwrap();
        assert!(init(InitKind::Toml, dir.path()).unwrap().starts_with("wrote fabfile.toml\n"));
        let fabfile = fabric_exec::fabfile::load(dir.path().join("fabfile.toml")).unwrap();
        assert!(fabfile.warnings.is_empty(), "{:?}", fabfile.warnings);
        assert_eq!(fabfile.collection.find("deploy").unwrap().params.len(), 2);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("fabfile/src")).unwrap();
        fs::write(dir.path().join("fabfile/src/main.rs"), "mine").unwrap();
        let error = init(InitKind::Rust, dir.path()).unwrap_err().to_string();
        assert!(error.contains("main.rs already exists"), "{error}");
        assert!(!dir.path().join("fabfile/Cargo.toml").exists());
        init(InitKind::Plugin, dir.path()).unwrap();
        assert!(init(InitKind::Plugin, dir.path()).is_err());
    }
}
