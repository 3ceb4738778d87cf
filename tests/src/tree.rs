//! The repository's own files, for tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the repository")
}

/// The files below a directory that end in one of these (`rs`), but for hidden folders and cargo's.
pub fn files_below(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let (mut waiting, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                // Cargo's folder has this file; a module may be called `target` too.
                if !path.join(".rustc_info.json").exists() && !name.starts_with('.') {
                    waiting.push(path);
                }
            } else if endings.iter().any(|ending| path.extension().is_some_and(|it| it == *ending)) {
                found.push(path);
            }
        }
    }
    found
}
