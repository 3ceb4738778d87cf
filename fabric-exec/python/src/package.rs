//! The Python package `fabric`, which is in this program, and where it is unpacked.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

macro_rules! files {
    ($($path:literal)*) => { &[$( ($path, include_str!(concat!("../package/", $path))) ),*] };
}

/// The files of the package, by their paths.
pub const FILES: &[(&str, &str)] = files!(
    "fabric/__init__.py"
    "fabric/_boot.py"
    "fabric/_calls.py"
    "fabric/_convert.py"
    "fabric/_engine.py"
    "fabric/_invoke.py"
    "fabric/_load.py"
    "fabric/_sftp.py"
    "fabric/_wire.py"
    "fabric/api.py"
    "fabric/auth.py"
    "fabric/colors.py"
    "fabric/config.py"
    "fabric/connection.py"
    "fabric/context_managers.py"
    "fabric/contrib/__init__.py"
    "fabric/contrib/console.py"
    "fabric/contrib/django.py"
    "fabric/contrib/files.py"
    "fabric/contrib/project.py"
    "fabric/decorators.py"
    "fabric/exceptions.py"
    "fabric/executor.py"
    "fabric/group.py"
    "fabric/main.py"
    "fabric/network.py"
    "fabric/operations.py"
    "fabric/runners.py"
    "fabric/state.py"
    "fabric/tasks.py"
    "fabric/testing.py"
    "fabric/transfer.py"
    "fabric/tunnels.py"
    "fabric/util.py"
    "fabric/utils.py"
    "fabric/version.py"
    "fabric2/__init__.py"
);

/// The small modules that take the places of Invoke and Paramiko where those are not installed.
pub const STAND_INS: &[(&str, &str)] = files!(
    "standins/invoke/__init__.py"
    "standins/invoke/collection.py"
    "standins/invoke/config.py"
    "standins/invoke/context.py"
    "standins/invoke/exceptions.py"
    "standins/invoke/program.py"
    "standins/invoke/runners.py"
    "standins/invoke/tasks.py"
    "standins/invoke/watchers.py"
    "standins/paramiko/__init__.py"
    "standins/paramiko/client.py"
    "standins/paramiko/ecdsakey.py"
    "standins/paramiko/ed25519key.py"
    "standins/paramiko/pkey.py"
    "standins/paramiko/rsakey.py"
    "standins/paramiko/ssh_exception.py"
    "standins/paramiko/util.py"
);

/// What tells one version of the package from another.
pub fn build_id() -> &'static str {
    static ID: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        let mut files: Vec<_> = FILES.to_vec();
        files.sort_unstable();
        for (path, text) in files {
            digest.update(path);
            digest.update([0]);
            digest.update(text.len().to_string());
            digest.update([0]);
            digest.update(text);
        }
        let first = digest.finalize().iter().take(8).fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
        format!("{first:016x}")
    });
    &ID
}

/// Where the package is.
#[derive(Debug)]
pub struct Unpacked {
    /// What Python finds it in.
    pub dir: PathBuf,
    /// What keeps a directory that is gone in the end.
    _temporary: Option<tempfile::TempDir>,
}

impl Unpacked {
    /// The package below `cache`, in a directory of the user's alone; in a temporary one where that can't be.
    ///
    /// # Errors
    ///
    /// It can be written nowhere.
    pub fn below(cache: Option<&Path>) -> io::Result<Self> {
        let name = format!("python-{}", build_id());
        if let Some(dir) = cache.map(|cache| cache.join("fabric")).and_then(|parent| kept(&parent, &name).ok()) {
            return Ok(Self { dir, _temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("fabric-python-").tempdir()?;
        write_all(temporary.path())?;
        Ok(Self { dir: temporary.path().to_owned(), _temporary: Some(temporary) })
    }
}

/// The directory of this name, which is there already, or appears at once.
fn kept(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = parent.join(name);
    if is_ours(&dir)? {
        return Ok(dir);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let beside = tempfile::Builder::new().prefix(".python-").tempdir_in(parent)?;
    fs::set_permissions(beside.path(), fs::Permissions::from_mode(0o700))?;
    write_all(beside.path())?;
    let beside = beside.keep();
    if let Err(error) = fs::rename(&beside, &dir) {
        // Another one was faster.
        drop(fs::remove_dir_all(&beside));
        if !is_ours(&dir)? {
            return Err(error);
        }
    }
    Ok(dir)
}

/// Whether this is a directory that only this user can have written.
fn is_ours(dir: &Path) -> io::Result<bool> {
    let about = match fs::symlink_metadata(dir) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let ours = about.is_dir() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0;
    if ours { Ok(true) } else { Err(io::Error::other(format!("{} is not only this user's", dir.display()))) }
}

fn write_all(dir: &Path) -> io::Result<()> {
    for (path, text) in FILES.iter().chain(STAND_INS) {
        let file = dir.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::File::create(file)?.write_all(text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_below(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("__pycache__") {
                files_below(root, &path, found);
            } else if path.extension().is_some_and(|ending| ["py", "pyi", "typed"].iter().any(|known| ending == *known))
            {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn the_list_is_all_there_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("package");
        let mut found = Vec::new();
        files_below(&root, &root, &mut found);
        found.sort_unstable();
        let mut listed: Vec<&str> = FILES.iter().chain(STAND_INS).map(|(path, _)| *path).collect();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }

    #[test]
    fn it_is_unpacked_once_and_only_where_nobody_else_writes() {
        let cache = tempfile::tempdir().unwrap();
        let first = Unpacked::below(Some(cache.path())).unwrap();
        assert!(first.dir.starts_with(cache.path()));
        assert!(first.dir.join("fabric/api.py").is_file());
        assert_eq!(Unpacked::below(Some(cache.path())).unwrap().dir, first.dir);
        fs::set_permissions(&first.dir, fs::Permissions::from_mode(0o777)).unwrap();
        let elsewhere = Unpacked::below(Some(cache.path())).unwrap();
        assert!(!elsewhere.dir.starts_with(cache.path()));
        assert!(elsewhere.dir.join("fabric/api.py").is_file());
    }
}
