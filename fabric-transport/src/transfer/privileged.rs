//! A host's files by `sudo`: the words of [`Files`] as commands of a shell.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fabric_core::command::quote;
use fabric_core::error::{CommandError, FileError, FileErrorKind};
use fabric_core::transport::{DirEntry, FileChanges, FileKind, FileStat, Files, Progress, WriteOptions};
use fabric_core::{CommandOutcome, Error};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::connection::{CommandRequest, Connection, Stdin};
use crate::made_by_shell::{chmod, umask};

/// How much is on its way to or from a command.
const PIPE: usize = 256 * 1024;

/// What `stat` of GNU and busybox, or that of the BSDs, is asked for.
const STAT: &str = "st() { if stat -c %f / >/dev/null 2>&1; then stat $2 -c '%f %s %u %g %X %Y' -- \"$1\"; \
                    else stat $2 -f '%Xp %z %u %g %a %m' -- \"$1\"; fi; }; ";

/// The files of a host as the user sees them that `sudo` becomes.
pub(super) struct SudoFiles {
    connection: Connection,
}

impl SudoFiles {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { connection: connection.plain() }
    }

    fn request(&self, script: &[u8]) -> CommandRequest {
        self.connection.sudo(script).env("LC_ALL", "C").shell("sh -c").pty(false).combine_stderr(false).quiet()
    }

    /// The entries of a directory that this pattern of the shell matches.
    async fn list(&self, path: &[u8], pattern: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let mut script = Script::new(STAT).text("cd ").path(path)?.text(" && for f in ");
        script.0.extend_from_slice(pattern);
        let script =
            script.text("; do if [ -e \"$f\" ] || [ -L \"$f\" ]; then st \"./$f\" && printf '%s\\0' \"$f\"; fi; done");
        let outcome = self.run("list", path, &script).await?;
        let mut entries = Vec::new();
        for record in outcome.stdout.bytes().split(|b| *b == 0).filter(|record| !record.is_empty()) {
            let end = memchr::memchr(b'\n', record).ok_or_else(|| strange("list", path))?;
            let stat = std::str::from_utf8(&record[..end]).ok().and_then(parse_stat);
            let stat = stat.ok_or_else(|| strange("list", path))?;
            entries.push(DirEntry { name: record[end + 1..].to_vec(), stat });
        }
        Ok(entries)
    }

    /// Runs a script.
    async fn run(&self, what: &'static str, path: &[u8], script: &Script) -> Result<CommandOutcome, FileError> {
        checked(what, path, self.request(&script.0).await)
    }
}

/// A script for `sh`, with paths quoted.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn path(mut self, path: &[u8]) -> Result<Self, FileError> {
        // Relative ones might look like options.
        let path = if path.starts_with(b"/") { path.to_vec() } else { [b"./", path].concat() };
        let quoted =
            quote(&path).map_err(|error| FileError::new("name", &path, FileErrorKind::Failed(error.to_string())))?;
        self.0.extend_from_slice(&quoted);
        Ok(self)
    }
}

fn checked(what: &'static str, path: &[u8], ran: Result<CommandOutcome, Error>) -> Result<CommandOutcome, FileError> {
    let outcome = ran.map_err(|error| match error {
        Error::Session { source, .. } => FileError::new(what, path, FileErrorKind::Session(source)),
        other => FileError::new(what, path, FileErrorKind::Failed(other.to_string())),
    })?;
    if outcome.ok() {
        return Ok(outcome);
    }
    let text = outcome.stderr();
    let kind = if text.contains("No such file") || text.contains("nonexistent") {
        FileErrorKind::NotFound
    } else if text.contains("Permission denied") {
        FileErrorKind::PermissionDenied
    } else if text.contains("exist") {
        FileErrorKind::Exists
    } else if text.contains("Not a directory") {
        FileErrorKind::WrongKind("a part of it is not a directory")
    } else if text.contains("s a directory") {
        FileErrorKind::WrongKind("it is a directory")
    } else {
        FileErrorKind::Failed(format!("{} ({})", text.trim(), outcome.exit))
    };
    Err(FileError::new(what, path, kind))
}

/// `mode size uid gid atime mtime`, the mode in hexadecimal digits.
fn parse_stat(text: &str) -> Option<FileStat> {
    let mut fields = text.split_whitespace();
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (size, uid, gid, accessed, modified) = (number()?, number()?, number()?, number()?, number()?);
    let time = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    Some(FileStat {
        kind: match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        },
        size: Some(size),
        mode: Some(mode & 0o7777),
        uid: u32::try_from(uid).ok(),
        gid: u32::try_from(gid).ok(),
        accessed: time(accessed),
        modified: time(modified),
    })
}

fn strange(what: &'static str, path: &[u8]) -> FileError {
    FileError::new(what, path, FileErrorKind::Protocol("its answer makes no sense".to_owned()))
}

/// What changes a file, as commands that each begin with `&&`.
fn change(script: Script, path: &[u8], changes: &FileChanges) -> Result<Script, FileError> {
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut script = script;
    if let Some(size) = changes.size {
        script = script.text(" && dd if=/dev/null bs=1 2>/dev/null").text(&format!(" seek={size} of=")).path(path)?;
    }
    if let Some((uid, gid)) = changes.owner {
        script = script.text(&format!(" && chown {uid}:{gid} ")).path(path)?;
    }
    if let Some(mode) = changes.mode {
        script = script.text(&format!(" && chmod {mode:o} ")).path(path)?;
    }
    if let Some((accessed, modified)) = changes.times {
        script = script.text(&format!(" && touch -a -d @{} ", seconds(accessed))).path(path)?;
        script = script.text(&format!(" && touch -m -d @{} ", seconds(modified))).path(path)?;
    }
    Ok(script)
}

#[async_trait]
impl Files for SudoFiles {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        let script = Script::new(STAT).text("st ").path(path)?.text(" -L");
        let outcome = self.run("stat", path, &script).await?;
        parse_stat(&outcome.stdout()).ok_or_else(|| strange("stat", path))
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        let script = Script::new(STAT).text("st ").path(path)?;
        let outcome = self.run("stat", path, &script).await?;
        parse_stat(&outcome.stdout()).ok_or_else(|| strange("stat", path))
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        let script = change(Script::new("true"), path, changes)?;
        self.run("change", path, &script).await.map(drop)
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        self.list(path, b"* .[!.]* ..?*").await
    }

    async fn read_dir_matching(&self, path: &[u8], prefix: &[u8], suffix: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        let failed = |error: CommandError| FileError::new("list", path, FileErrorKind::Failed(error.to_string()));
        let (prefix, suffix) = (quote(prefix).map_err(failed)?, quote(suffix).map_err(failed)?);
        self.list(path, &[&prefix, &b"*"[..], &suffix].concat()).await
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        // `mkdir -m` would ignore the umask.
        let script = Script::new(&mode.map(umask).unwrap_or_default()).text("mkdir ").path(path)?;
        self.run("make directory", path, &script).await.map(drop)
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        self.run("remove", path, &Script::new("rm ").path(path)?).await.map(drop)
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        self.run("remove directory", path, &Script::new("rmdir ").path(path)?).await.map(drop)
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        // `mv` would move into a directory.
        let script = Script::new("if [ -d ").path(to)?.text(" ]; then echo Is a directory >&2; exit 1; fi; mv -f ");
        self.run("rename", from, &script.path(from)?.text(" ").path(to)?).await.map(drop)
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        let quoted =
            quote(to).map_err(|error| FileError::new("link", path, FileErrorKind::Failed(error.to_string())))?;
        // `ln` would make it in a directory that is there.
        let script = Script::new("if [ -e ").path(path)?.text(" ] || [ -L ").path(path)?;
        let mut script = script.text(" ]; then echo File exists >&2; exit 1; fi; ln -s -- ");
        script.0.extend_from_slice(&quoted);
        self.run("link", path, &script.text(" ").path(path)?).await.map(drop)
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        let outcome = self.run("read link", path, &Script::new("readlink ").path(path)?).await?;
        Ok(without_line_end(&outcome.stdout.bytes()))
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        let outcome = self.run("resolve", path, &Script::new("readlink -f ").path(path)?).await?;
        Ok(without_line_end(&outcome.stdout.bytes()))
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let (ours, mut theirs) = tokio::io::duplex(PIPE);
        let script = Script::new(&format!("tail -c +{} ", offset.saturating_add(1))).path(path)?;
        let request = self.request(&script.0).out_stream(ours).capture_limit(0);
        let copy = async {
            let mut total = 0;
            let mut buffer = bytes::BytesMut::with_capacity(PIPE);
            loop {
                buffer.clear();
                if theirs.read_buf(&mut buffer).await? == 0 {
                    break;
                }
                sink.write_all(&buffer).await?;
                total += buffer.len() as u64;
                progress(buffer.len() as u64);
            }
            sink.flush().await?;
            Ok::<u64, std::io::Error>(total)
        };
        let (outcome, copied) = tokio::join!(request.into_future(), copy);
        checked("read", path, outcome)?;
        copied.map_err(|error| FileError::new("read", path, FileErrorKind::Local(error.to_string())))
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let mut script = Script::default();
        if let Some(mode) = options.mode {
            script = script.text(&umask(mode));
        }
        if options.exclusive {
            script = script.text("set -C; ");
        }
        script = if options.no_follow {
            // What is open is the regular file that is named, and no link led to it.
            let script = script.text("exec 3>> ").path(path)?.text(" && { { [ ! -L ").path(path)?.text(" ] && [ -f ");
            let script = script.path(path)?.text(" ] && [ ").path(path)?.text(" -ef /dev/fd/3 ]; } || ");
            script.text("{ echo it is not the regular file that it was >&2; false; }; } && cat >&3")
        } else if options.truncate {
            script.text("cat > ").path(path)?
        } else {
            let seek = format!("dd if=/dev/null bs=1 seek={} 2>/dev/null of=", options.offset);
            script.text(&seek).path(path)?.text(" && cat >> ").path(path)?
        };
        // A redirection makes no file that can be executed.
        if let Some(mode) = options.mode.filter(|mode| mode & 0o111 != 0 && options.changes.mode.is_none()) {
            script = script.text(" && ").text(&chmod(mode)).path(path)?;
        }
        script = change(script, path, &options.changes)?;
        if options.sync {
            script = script.text(" && sync");
        }
        let (mut ours, theirs) = tokio::io::duplex(PIPE);
        let request = self.request(&script.0).stdin(Stdin::reader(theirs));
        let copy = async move {
            let mut total = 0;
            let mut buffer = bytes::BytesMut::with_capacity(PIPE);
            loop {
                buffer.clear();
                let read = source.read_buf(&mut buffer).await;
                let count = read.map_err(|error| FileErrorKind::Local(error.to_string()))?;
                // It may have failed by now; its own words say why.
                if count == 0 || ours.write_all(&buffer).await.is_err() {
                    break;
                }
                total += count as u64;
                progress(count as u64);
            }
            Ok::<u64, FileErrorKind>(total)
        };
        let (outcome, copied) = tokio::join!(request.into_future(), copy);
        let copied = copied.map_err(|kind| FileError::new("write", path, kind))?;
        checked("write", path, outcome).map(|_| copied)
    }
}

fn without_line_end(bytes: &[u8]) -> Vec<u8> {
    bytes.strip_suffix(b"\n").unwrap_or(bytes).to_vec()
}
