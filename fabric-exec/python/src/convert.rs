//! Files in Python 2 become Python 3.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interpreter::Interpreter;
use crate::package::Unpacked;
use crate::program::LoadError;

/// What the interpreter begins with.
const BOOT: &str = "import sys; sys.path[:] = [sys.argv[1]] + [place for place in sys.path if place]; from fabric._convert import main; sys.exit(main(sys.argv[2:]))";

/// Converts these files, shows what changes, and keeps the old ones beside them as `.py2`: the status of that, 0 if all is done.
///
/// # Errors
///
/// The interpreter can't be started.
pub fn convert(
    interpreter: &Interpreter,
    cache: Option<&Path>,
    dir: &Path,
    files: &[PathBuf],
) -> Result<u8, LoadError> {
    let package = Unpacked::below(cache).map_err(LoadError::Package)?;
    let mut command = Command::new(&interpreter.path);
    command.args(["-c", BOOT]).arg(&package.dir).args(files).current_dir(dir);
    let status = command.status().map_err(|source| LoadError::Start {
        interpreter: interpreter.path.display().to_string(),
        fabfile: files.first().map(|file| file.display().to_string()).unwrap_or_default(),
        source,
    })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
