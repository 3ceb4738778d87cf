//! A host's files through its shell: `cat`, `stat`, `mv` and others in scripts for `sh`.
//!
//! Used with `sudo`, for transports of plugins without files, and on hosts without SFTP. The guarantees are those of any
//! [`Files`]: names and content are any bytes, a written file is complete or an error, and memory is bounded. The host needs
//! a POSIX shell and the usual utilities, such as busybox.

mod facts;
mod frame;
mod modes;
mod run;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use async_trait::async_trait;
use fabric_core::transport::{DirEntry, FileChanges, FileStat, Files, Progress, WriteOptions};
use fabric_core::{FileError, FileErrorKind};
use tokio::io::{AsyncRead, AsyncWrite};

use self::facts::ST;
use self::modes::{chmod, umask};
pub(crate) use self::run::{ERRORS, Ended, Runner, Scripts};
#[cfg(any(feature = "ssh", feature = "plugins"))]
pub(crate) use self::run::{OnSession, ScriptHost};

/// The warning when it replaces SFTP.
#[cfg(any(feature = "ssh", feature = "plugins"))]
pub(crate) const NO_SFTP: &str = "the host has no SFTP server: files go through its shell, by `cat`, one after another";

/// Files, by scripts that `R` runs.
pub(crate) struct ShellFiles<R>(Scripts<R>);

impl<R: Runner> ShellFiles<R> {
    pub(crate) fn new(runner: R) -> Self {
        Self(Scripts::new(runner))
    }

    /// Checks that the host runs scripts.
    #[cfg(any(feature = "ssh", feature = "plugins"))]
    pub(crate) async fn probe(&self) -> Result<(), FileErrorKind> {
        self.0.output(":", &[]).await.map(drop)
    }

    async fn run(&self, what: &'static str, script: &str, paths: &[&[u8]]) -> Result<Vec<u8>, FileError> {
        let path = paths.first().copied().unwrap_or_default();
        self.0.output(script, paths).await.map_err(|kind| FileError::new(what, path, kind))
    }

    async fn about(&self, what: &'static str, path: &[u8], how: &str) -> Result<FileStat, FileError> {
        let said = self.run(what, &format!("{ST}how={how}; st \"$1\""), &[path]).await?;
        facts::parse(&said).ok_or_else(|| strange(what, path))
    }

    /// The entries of a directory that match a shell pattern.
    async fn list(&self, pattern: &str, arguments: &[&[u8]]) -> Result<Vec<DirEntry>, FileError> {
        let script = [ST, LIST[0], pattern, LIST[1]].concat();
        let said = self.run("list", &script, arguments).await?;
        let strange = || strange("list", arguments.first().copied().unwrap_or_default());
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        let mut records = said.split(|b| *b == 0);
        while let Some(record) = records.next() {
            if !record.is_empty() {
                names.push(record);
                continue;
            }
            let Some(lines) = records.next() else { break };
            let mut lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
            for name in names.drain(..) {
                match lines.next() {
                    // It was removed meanwhile.
                    Some(b"-") => {}
                    line => {
                        let stat = line.and_then(facts::parse).ok_or_else(strange)?;
                        entries.push(DirEntry::new(name.to_vec(), stat));
                    }
                }
            }
            if lines.next().is_some() {
                return Err(strange());
            }
        }
        if names.is_empty() { Ok(entries) } else { Err(strange()) }
    }
}

/// Prints the checksum of `$1`.
const CHECKSUM: &str = "for sum in sha256sum 'shasum -a 256' 'openssl dgst -sha256 -r'; do \
    command -v ${sum%% *} >/dev/null 2>&1 && exec $sum <\"$1\"; done; \
    echo the host has no sha256sum, shasum or openssl >&2; exit 127";

impl<R: Runner> Scripts<R> {
    /// The checksum of a file, in hexadecimal digits.
    pub(crate) async fn sha256(&self, path: &[u8]) -> Result<String, FileError> {
        let failed = |kind| FileError::new("compute the checksum of", path, kind);
        let said = self.output(CHECKSUM, &[path]).await.map_err(failed)?;
        let sum = String::from_utf8_lossy(&said).split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(strange("compute the checksum of", path));
        }
        Ok(sum)
    }
}

/// Lists `$1`: up to a hundred names, each ended by NUL; another NUL; a line with attributes for each; NUL. The pattern is
/// inserted between; `$p` and `$s` in it are `$2` and `$3`.
const LIST: [&str; 2] = [
    "ls -d -- \"$1/\" >/dev/null && cd -- \"$1\" || exit; [ -r . ] || { echo Permission denied >&2; exit 1; }; \
     p=$2; s=$3; set --; \
     group() { o=$(st \"$@\" 2>/dev/null) || o=$(for g; do st \"$g\" 2>/dev/null || echo -; done); \
     printf '\\0%s\\n\\0' \"$o\"; }; for n in ",
    "; do [ -e \"$n\" ] || [ -L \"$n\" ] || continue; case $n in .|..) continue;; esac; \
     printf '%s\\0' \"$n\"; set -- \"$@\" \"./$n\"; [ $# -lt 100 ] || { group \"$@\"; set --; }; done; \
     [ $# = 0 ] || group \"$@\"",
];

/// `mv` alone would move into a directory, or into the target of a link.
const RENAME: &str = "if [ -L \"$2\" ] && [ -d \"$2\" ]; then rm -f -- \"$2\" || exit; fi; \
    if [ -d \"$2\" ]; then echo Is a directory >&2; exit 1; fi; mv -f -- \"$1\" \"$2\"";

/// `ln` alone would create the link in an existing directory.
const SYMLINK: &str =
    "if [ -e \"$1\" ] || [ -L \"$1\" ]; then echo File exists >&2; exit 1; fi; ln -s -- \"$2\" \"$1\"";

const CANONICALIZE: &str = "readlink -f -- \"$1\" 2>/dev/null || { ls -d -- \"$1\" >/dev/null || exit; \
    if [ -d \"$1\" ]; then cd -P -- \"$1\" && pwd -P; \
    else d=$(dirname -- \"$1\"); b=$(basename -- \"$1\"); cd -P -- \"$d\" && printf '%s/%s\\n' \"$(pwd -P)\" \"$b\"; fi; }";

/// Checks that descriptor 3 is the regular file `$1`, not opened through a link.
const NOT_A_LINK: &str = "{ { [ ! -L \"$1\" ] && [ -f \"$1\" ] && [ \"$1\" -ef /dev/fd/3 ]; } || \
    { echo it is not the regular file that it was >&2; false; }; }";

/// Commands that change the file `$1`, each with a leading `&&`.
fn change(script: &mut String, changes: &FileChanges) {
    // Writing to a String cannot fail.
    if let Some(size) = changes.size {
        let by_dd = format!("dd if=/dev/null of=\"$1\" bs=1 seek={size} 2>/dev/null");
        let _ = write!(script, " && {{ truncate -c -s {size} \"$1\" 2>/dev/null || {by_dd}; }}");
    }
    if let Some((uid, gid)) = changes.owner {
        let _ = write!(script, " && chown {uid}:{gid} \"$1\"");
    }
    if let Some(mode) = changes.mode {
        let _ = write!(script, " && chmod {:o} \"$1\"", mode & 0o7777);
    }
    if let Some((accessed, modified)) = changes.times {
        // GNU and busybox, then POSIX.
        let by = |how: &str, accessed: &str, modified: &str| {
            format!("touch -a {how}{accessed} \"$1\" && touch -m {how}{modified} \"$1\"")
        };
        let [exact_a, exact_m] = [accessed, modified].map(|time| facts::seconds(time).to_string());
        let (exact, posix) =
            (by("-d @", &exact_a, &exact_m), by("-t ", &facts::stamp(accessed), &facts::stamp(modified)));
        let _ = write!(script, " && {{ {{ {exact}; }} 2>/dev/null || {{ TZ=UTC0; export TZ; {posix}; }}; }}");
    }
}

/// A script that writes its input to `$1`, and prints the attributes of the result.
fn write_script(options: &WriteOptions) -> String {
    let mut script = ST.to_owned();
    if let Some(mode) = options.mode {
        script.push_str(&umask(mode));
    }
    if options.exclusive {
        script.push_str("set -C; ");
    }
    let write = write_input(options);
    if options.create {
        script.push_str(&write);
    } else {
        // Any redirection may create the file.
        let over_its_beginning = options.no_follow && options.offset == 0 && !options.truncate;
        let probe =
            if over_its_beginning { format!("{DD} if=/dev/null of=/dev/null 2>/dev/null") } else { "false".to_owned() };
        let _ = write!(script, "if {probe}; then {DD} of=\"$1\"; else {IS_THERE} && {write}; fi");
    }
    // A redirection creates no executable file.
    if let Some(mode) = options.mode.filter(|mode| mode & 0o111 != 0 && options.changes.mode.is_none()) {
        script.push_str(" && ");
        script.push_str(&chmod(mode));
        script.push_str("\"$1\"");
    }
    change(&mut script, &options.changes);
    if options.sync {
        script.push_str(" && { sync \"$1\" 2>/dev/null || sync; }");
    }
    script.push_str(" && st \"$1\"");
    script
}

const IS_THERE: &str = "ls -d -- \"$1\" >/dev/null";

/// GNU's `dd`, which overwrites the beginning of an existing file that is no link.
const DD: &str = "dd bs=65536 conv=notrunc,nocreat oflag=nofollow status=none";

/// A command that writes its input to `$1`.
fn write_input(options: &WriteOptions) -> String {
    let offset = options.offset;
    match (options.no_follow, options.truncate || options.exclusive) {
        (true, _) if offset == 0 => format!("exec 3<>\"$1\" && {NOT_A_LINK} && cat >&3"),
        (true, _) => format!("exec 3>>\"$1\" && {NOT_A_LINK} && cat >&3"),
        (false, true) => "cat >\"$1\"".to_owned(),
        (false, false) if offset == 0 => "cat 1<>\"$1\"".to_owned(),
        (false, false) => {
            format!("dd if=/dev/null of=\"$1\" bs=1 seek={offset} 2>/dev/null && cat >>\"$1\"")
        }
    }
}

fn strange(what: &'static str, path: &[u8]) -> FileError {
    FileError::new(what, path, FileErrorKind::Protocol("its answer is invalid".to_owned()))
}

fn without_line_end(mut said: Vec<u8>) -> Vec<u8> {
    if said.ends_with(b"\n") {
        said.pop();
    }
    said
}

#[async_trait]
impl<R: Runner> Files for ShellFiles<R> {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.about("stat", path, "-L").await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.about("stat", path, "").await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        let mut script = "true".to_owned();
        change(&mut script, changes);
        self.run("change", &script, &[path]).await.map(drop)
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.list("* .*", &[path]).await
    }

    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        // The leading letter prevents that a prefix is read as an option.
        let (prefix, suffix) = ([b"x", prefix].concat(), [b"x", suffix].concat());
        self.list("\"${p#x}\"*\"${s#x}\"", &[path, &prefix, &suffix]).await
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        // `mkdir -m` would ignore the umask.
        let script = format!("{}mkdir -- \"$1\"", mode.map(umask).unwrap_or_default());
        self.run("make directory", &script, &[path]).await.map(drop)
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        // `rm` without `-f` may ask.
        let script = "[ -e \"$1\" ] || [ -L \"$1\" ] || { ls -d -- \"$1\"; exit; }; rm -f -- \"$1\"";
        self.run("remove", script, &[path]).await.map(drop)
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.run("remove directory", "rmdir -- \"$1\"", &[path]).await.map(drop)
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        self.run("rename", RENAME, &[from, to]).await.map(drop)
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        // The text of a link may begin with a dash.
        let text = [b"x", to].concat();
        let script = format!("set -- \"$1\" \"${{2#x}}\"; {SYMLINK}");
        self.run("link", &script, &[path, &text]).await.map(drop)
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        self.run("read link", "ls -d -- \"$1\" >/dev/null && readlink -- \"$1\"", &[path]).await.map(without_line_end)
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        let said = self.run("resolve", CANONICALIZE, &[path]).await.map(without_line_end)?;
        if said.is_empty() { Err(FileError::new("resolve", path, FileErrorKind::NotFound)) } else { Ok(said) }
    }

    async fn sha256(&self, path: &[u8]) -> Result<Option<String>, FileError> {
        self.0.sha256(path).await.map(Some)
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let script = match offset {
            0 => "cat -- \"$1\"".to_owned(),
            _ => format!("tail -c +{} -- \"$1\"", offset.saturating_add(1)),
        };
        let read = self.0.read(&script, &[path], sink, progress).await;
        read.map_err(|kind| FileError::new("read", path, kind))
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let fed = self.0.feed(&write_script(options), &[path], source, progress).await;
        let (sent, said) = fed.map_err(|kind| FileError::new("write", path, kind))?;
        let stat = facts::parse(&said).ok_or_else(|| strange("write", path))?;
        // After overwriting the beginning of a file there may be more behind it.
        let whole = options.truncate || options.exclusive || options.offset > 0;
        let expected = options.changes.size.or_else(|| whole.then_some(options.offset + sent));
        match (expected, stat.size) {
            (Some(expected), Some(size)) if size != expected => {
                let kind = FileErrorKind::Differs(format!("it has {size} bytes, not {expected}"));
                Err(FileError::new("write", path, kind))
            }
            _ => Ok(sent),
        }
    }
}
