//! Files: which ones are read, how `Include` finds more, and who may have written them.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Fault, SshConfigError};
use super::glob;
use super::local::Local;
use super::parse;
use super::system;
use super::value::{Block, What};

/// The largest file that is read.
const MAX_SIZE: u64 = 16 << 20;
/// How deep files may include each other.
pub(super) const MAX_DEPTH: usize = 16;
/// Where relative paths of the system's file are.
const SYSTEM_FOLDER: &str = "/etc/ssh";

/// Which files to read, in the order in which their lines win.
///
/// ```
/// use fabric_config::ssh_config::{Local, SshConfigFiles};
///
/// let local = Local::new("alice", "/home/alice", "laptop");
/// let usual = SshConfigFiles::usual(&local);
/// assert_eq!(usual.user.as_deref(), Some("/home/alice/.ssh/config".as_ref()));
/// assert_eq!(usual.system.as_deref(), Some("/etc/ssh/ssh_config".as_ref()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshConfigFiles {
    /// A file to read instead of all others; it must exist.
    pub explicit: Option<PathBuf>,
    /// The user's file: read first, passed over if it can't be opened. It must belong to the user or root, and
    /// be writable by no other user.
    pub user: Option<PathBuf>,
    /// The system's file: read next, passed over if it can't be opened.
    pub system: Option<PathBuf>,
}

impl SshConfigFiles {
    /// `~/.ssh/config`, then `/etc/ssh/ssh_config`.
    pub fn usual(local: &Local) -> Self {
        Self {
            explicit: None,
            user: Some(Path::new(&local.home).join(".ssh/config")),
            system: Some(Path::new(SYSTEM_FOLDER).join("ssh_config")),
        }
    }

    /// One file and no other, as `ssh -F`; none at all if it is called `none`.
    pub fn explicit(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let none = path.to_str().is_some_and(|path| path.eq_ignore_ascii_case("none"));
        Self { explicit: (!none).then_some(path), user: None, system: None }
    }
}

/// A file's content, parsed.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: Arc<Path>,
    pub(super) blocks: Vec<Block>,
    /// Relative includes are the user's, and its keys are the user's choice.
    pub(super) of_user: bool,
    /// Another user could have written it.
    pub(super) insecure: bool,
    /// It exists, but can't be read.
    pub(super) unreadable: Option<String>,
    /// The files of each `Include` argument, by the argument.
    pub(super) includes: HashMap<Arc<str>, Result<Vec<usize>, Fault>>,
}

/// All files, the ones to begin with, and whether their permissions matter.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) files: Vec<SourceFile>,
    pub(super) roots: Vec<Root>,
}

/// A file to begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub(super) file: usize,
    pub(super) checks_permissions: bool,
}

/// A text without files behind it.
pub(super) fn parse_text(text: &[u8], path: &Path) -> Loaded {
    let mut file = SourceFile::new(path, true);
    file.blocks = parse::file(text);
    for pattern in include_patterns(&file.blocks) {
        file.includes.insert(pattern, Err(Fault::IncludeWithoutFiles));
    }
    Loaded { files: vec![file], roots: vec![Root { file: 0, checks_permissions: false }] }
}

/// Reads the files, and all that they include, whichever host they are for.
pub(super) fn load(sources: &SshConfigFiles, local: &Local) -> Result<Loaded, SshConfigError> {
    let mut loader = Loader { local, known: HashMap::new(), files: Vec::new(), queue: Vec::new() };
    let mut roots = Vec::new();
    if let Some(path) = &sources.explicit {
        let unreadable = |error| SshConfigError::Unreadable { path: path.clone(), error };
        // A pipe can be read once only.
        if fs::metadata(path).is_ok_and(|about| about.is_file() || about.is_dir()) {
            fs::File::open(path).map_err(unreadable)?;
        } else {
            fs::metadata(path).map_err(unreadable)?;
        }
        roots.push(Root { file: loader.file(path, true), checks_permissions: false });
    } else {
        for (path, of_user) in [(&sources.user, true), (&sources.system, false)] {
            if let Some(path) = path
                .as_ref()
                .filter(|path| fs::metadata(path).is_ok_and(|about| !about.is_file() || fs::File::open(path).is_ok()))
            {
                roots.push(Root { file: loader.file(path, of_user), checks_permissions: of_user });
            }
        }
    }
    while let Some(at) = loader.queue.pop() {
        loader.follow(at);
    }
    Ok(Loaded { files: loader.files, roots })
}

struct Loader<'a> {
    local: &'a Local,
    known: HashMap<(PathBuf, bool), usize>,
    files: Vec<SourceFile>,
    /// Files whose includes have not been followed.
    queue: Vec<usize>,
}

impl Loader<'_> {
    /// The index of a file, read now if it wasn't before.
    fn file(&mut self, path: &Path, of_user: bool) -> usize {
        let key = (path.to_owned(), of_user);
        if let Some(at) = self.known.get(&key) {
            return *at;
        }
        let mut file = SourceFile::new(path, of_user);
        match read(path) {
            Ok(text) => {
                file.blocks = parse::file(&text);
                file.insecure = !fs::metadata(path).is_ok_and(|meta| is_secure(&meta, self.local.uid));
            }
            Err(error) => file.unreadable = Some(error.to_string()),
        }
        let at = self.files.len();
        self.files.push(file);
        self.known.insert(key, at);
        self.queue.push(at);
        at
    }

    fn follow(&mut self, at: usize) {
        let of_user = self.files[at].of_user;
        for pattern in include_patterns(&self.files[at].blocks) {
            let found = self.expand(&pattern, of_user).map(|paths| {
                let present = paths.iter().map(Path::new).filter(|path| path.exists());
                present.map(|path| self.file(path, of_user)).collect()
            });
            self.files[at].includes.insert(pattern, found);
        }
    }

    fn expand(&self, pattern: &str, of_user: bool) -> Result<Vec<String>, Fault> {
        if pattern.starts_with('~') && !of_user {
            return Err(Fault::IncludeHome { path: pattern.to_owned() });
        }
        let anchored = match (pattern.starts_with(['/', '~']), of_user) {
            (true, _) => pattern.to_owned(),
            (false, true) => format!("~/.ssh/{pattern}"),
            (false, false) => format!("{SYSTEM_FOLDER}/{pattern}"),
        };
        let full = match anchored.strip_prefix('~') {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (user, path) = rest.split_at(end);
                // Here, other than for `~` in values, the environment is asked first.
                let home = match user {
                    "" => Some(self.local.env.get("HOME").unwrap_or(&self.local.home).clone()),
                    user => system::home_of(user),
                };
                home.map_or_else(|| anchored.clone(), |home| home + path)
            }
            None => anchored,
        };
        Ok(glob::glob(&full))
    }
}

impl SourceFile {
    fn new(path: &Path, of_user: bool) -> Self {
        Self {
            path: path.into(),
            blocks: Vec::new(),
            of_user,
            insecure: false,
            unreadable: None,
            includes: HashMap::new(),
        }
    }
}

/// Reads a file. A folder is empty, as it is when read through C's `fopen`, and so is `/dev/null`. What may have no end is an
/// error at once: other devices, a pipe that isn't one of the shell's own (`-F <(..)`), and what is larger than any file is.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let wrong = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what.to_owned()));
    let about = fs::metadata(path)?;
    let kind = about.file_type();
    if kind.is_dir() || path == Path::new("/dev/null") {
        return Ok(Vec::new());
    }
    let of_the_shell = ["/dev/fd", "/proc/self/fd"].iter().any(|fds| path.starts_with(fds));
    let is_readable = kind.is_file() || (kind.is_fifo() && of_the_shell);
    if !is_readable {
        return wrong(match () {
            () if kind.is_fifo() => "it is a named pipe, not a file",
            () if kind.is_socket() => "it is a socket, not a file",
            () => "it is a device, not a file",
        });
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SIZE { wrong("it is larger than 16 MiB") } else { Ok(text) }
}

fn include_patterns(blocks: &[Block]) -> Vec<Arc<str>> {
    let items = blocks.iter().flat_map(|block| &block.items);
    items.flat_map(|item| if let What::Include(patterns) = &item.what { patterns.clone() } else { vec![] }).collect()
}

/// Whether only the user or root can have written a file. Write access of a group is fine if it has no other
/// member (Debian's rule, whose users have groups of their own).
fn is_secure(meta: &fs::Metadata, uid: u32) -> bool {
    if (meta.uid() != 0 && meta.uid() != uid) || meta.mode() & 0o002 != 0 {
        return false;
    }
    meta.mode() & 0o020 == 0 || group_is_only(meta.gid(), meta.uid(), uid)
}

/// Whether the user is the only member of a group.
fn group_is_only(gid: u32, owner: u32, uid: u32) -> bool {
    let Some(listed) = system::members(gid) else { return false };
    let accounts: Vec<_> = system::accounts().collect();
    let primary: Vec<_> = accounts.iter().filter(|account| account.gid == gid).collect();
    if primary.iter().any(|account| account.uid != uid) {
        return false;
    }
    let Some(owner) = accounts.iter().find(|account| account.uid == owner) else { return false };
    match listed.as_slice() {
        [] => !primary.is_empty(),
        [name] => *name == owner.name,
        _ => false,
    }
}
