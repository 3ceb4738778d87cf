//! Files through commands, for transports that have nothing better: `cat`, `stat -c`, `mv`, ...
//!
//! What is needed on the far side is a POSIX shell, its usual utilities, and `stat -c` (GNU or busybox).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use fabric_core::command::quote;
use fabric_core::transport::{
    DirEntry, FileChanges, FileKind, FileStat, Program, Progress, SpawnRequest, WriteOptions,
};
use fabric_core::{ExitStatus, FileError, FileErrorKind, Files, ProcessEvent, Session, SessionError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::made_by_shell::{chmod, umask};

/// How much of a file is moved at once.
const CHUNK: usize = 64 * 1024;

/// Who has the session that commands run on.
pub(super) trait Host: Send + Sync {
    fn session(&self) -> Result<Arc<dyn Session>, SessionError>;
}

pub(super) struct CommandFiles<H>(H);

/// What a command said before it ended.
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit: ExitStatus,
}

impl<H: Host> CommandFiles<H> {
    pub(super) fn new(host: H) -> Self {
        Self(host)
    }

    /// Runs a script in which `"$1"`, `"$2"`.. are the arguments, whatever bytes they hold.
    async fn start(&self, script: &str, arguments: &[&[u8]]) -> Result<fabric_core::Process, FileErrorKind> {
        let word = |bytes: &[u8]| {
            quote(bytes).map(std::borrow::Cow::into_owned).map_err(|e| FileErrorKind::Failed(e.to_string()))
        };
        let mut line = b"LC_ALL=C sh -c ".to_vec();
        line.extend(word(script.as_bytes())?);
        line.extend_from_slice(b" sh");
        for argument in arguments {
            line.push(b' ');
            // A leading dash would be an option of the commands in the script.
            let safe = if argument.starts_with(b"-") { [b"./", *argument].concat() } else { argument.to_vec() };
            line.extend(word(&safe)?);
        }
        let request = SpawnRequest { program: Program::Command(line), ..SpawnRequest::default() };
        Ok(self.0.session()?.spawn(&request).await?)
    }

    async fn run(&self, script: &str, arguments: &[&[u8]]) -> Result<Vec<u8>, FileErrorKind> {
        let mut process = self.start(script, arguments).await?;
        // Commands that read nothing must not wait for it.
        let _ = process.stdin.shutdown().await;
        let said = gather(&mut process).await?;
        if said.exit == ExitStatus::Code(0) { Ok(said.stdout) } else { Err(kind_of(&said)) }
    }

    async fn about(&self, what: &'static str, path: &[u8], follow: bool) -> Result<FileStat, FileError> {
        let script =
            if follow { r#"stat -L -c '%f %s %u %g %X %Y' -- "$1""# } else { r#"stat -c '%f %s %u %g %X %Y' -- "$1""# };
        let said = self.run(script, &[path]).await.map_err(|kind| FileError::new(what, path, kind))?;
        parse_stat(&said).ok_or_else(|| {
            let text = String::from_utf8_lossy(&said).into_owned();
            FileError::new(what, path, FileErrorKind::Protocol(format!("stat answered {text:?}")))
        })
    }

    async fn change(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileErrorKind> {
        if let Some(size) = changes.size {
            self.run(r#"truncate -s "$2" -- "$1""#, &[path, size.to_string().as_bytes()]).await?;
        }
        if let Some((uid, gid)) = changes.owner {
            self.run(r#"chown "$2" -- "$1""#, &[path, format!("{uid}:{gid}").as_bytes()]).await?;
        }
        if let Some(mode) = changes.mode {
            self.run(r#"chmod "$2" -- "$1""#, &[path, format!("{:o}", mode & 0o7777).as_bytes()]).await?;
        }
        if let Some((accessed, modified)) = changes.times {
            let stamp =
                |time: SystemTime| format!("@{}", time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
            let (accessed, modified) = (stamp(accessed), stamp(modified));
            let script = r#"touch -a -d "$2" -- "$1" && touch -m -d "$3" -- "$1""#;
            self.run(script, &[path, accessed.as_bytes(), modified.as_bytes()]).await?;
        }
        Ok(())
    }
}

/// `%f %s %u %g %X %Y` of `stat -c`.
fn parse_stat(said: &[u8]) -> Option<FileStat> {
    let text = std::str::from_utf8(said).ok()?;
    let mut words = text.split_ascii_whitespace();
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    let size = words.next()?.parse().ok()?;
    let uid = words.next()?.parse().ok()?;
    let gid = words.next()?.parse().ok()?;
    let mut time = || Some(UNIX_EPOCH + Duration::from_secs(words.next()?.parse().ok()?));
    let (accessed, modified) = (time()?, time()?);
    let kind = match raw & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Some(FileStat {
        kind,
        size: Some(size),
        mode: Some(raw & 0o7777),
        uid: Some(uid),
        gid: Some(gid),
        accessed: Some(accessed),
        modified: Some(modified),
    })
}

async fn gather(process: &mut fabric_core::Process) -> Result<Said, FileErrorKind> {
    let mut said = Said { stdout: Vec::new(), stderr: Vec::new(), exit: ExitStatus::Unknown };
    while let Some(event) = process.next().await {
        match event {
            ProcessEvent::Stdout(bytes) => said.stdout.extend_from_slice(&bytes),
            ProcessEvent::Stderr(bytes) => said.stderr.extend_from_slice(&bytes),
            ProcessEvent::Exit(exit) => said.exit = exit,
            ProcessEvent::Lost(error) => return Err(error.into()),
        }
    }
    Ok(said)
}

/// The utilities' own words, in the C locale.
fn kind_of(said: &Said) -> FileErrorKind {
    let text = String::from_utf8_lossy(&said.stderr);
    let text = text.trim();
    if text.contains("No such file") || text.contains("nonexistent") {
        FileErrorKind::NotFound
    } else if text.contains("Permission denied") || text.contains("not permitted") {
        FileErrorKind::PermissionDenied
    } else if text.contains("File exists") || text.contains("cannot overwrite existing file") {
        FileErrorKind::Exists
    } else if text.is_empty() {
        FileErrorKind::Failed(said.exit.to_string())
    } else {
        FileErrorKind::Failed(text.to_owned())
    }
}

/// What is open as descriptor 3 is the regular file that `$1` names, and no link led to it.
const NOT_A_LINK: &str =
    r#"{ { [ ! -L "$1" ] && [ -f "$1" ] && [ "$1" -ef /dev/fd/3 ]; } || { echo it is a link >&2; false; }; }"#;

#[async_trait]
impl<H: Host> Files for CommandFiles<H> {
    async fn stat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.about("stat", path, true).await
    }

    async fn lstat(&self, path: &[u8]) -> Result<FileStat, FileError> {
        self.about("lstat", path, false).await
    }

    async fn set_stat(&self, path: &[u8], changes: &FileChanges) -> Result<(), FileError> {
        self.change(path, changes).await.map_err(|kind| FileError::new("change", path, kind))
    }

    async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>, FileError> {
        // Name and facts in turn, each ended by NUL or a line end, so that any name survives. `ls` says why a
        // directory cannot be had in the same words everywhere, which `cd` does not.
        let script = r#"ls -d -- "$1/" >/dev/null && cd -- "$1" && for n in * .*; do
            case "$n" in .|..) continue;; esac
            [ -e "$n" ] || [ -L "$n" ] || continue
            printf '%s\0' "$n"; stat -c '%f %s %u %g %X %Y' -- "$n"
        done"#;
        let error = |kind| FileError::new("list", path, kind);
        let said = self.run(script, &[path]).await.map_err(error)?;
        let mut entries = Vec::new();
        let mut rest = &said[..];
        while let Some(nul) = rest.iter().position(|b| *b == 0) {
            let (name, after) = (&rest[..nul], &rest[nul + 1..]);
            let line = after.iter().position(|b| *b == b'\n').unwrap_or(after.len());
            let stat = parse_stat(&after[..line])
                .ok_or_else(|| error(FileErrorKind::Protocol("stat's answer is not understood".to_owned())))?;
            entries.push(DirEntry { name: name.to_vec(), stat });
            rest = &after[(line + 1).min(after.len())..];
        }
        Ok(entries)
    }

    async fn create_dir(&self, path: &[u8], mode: Option<u32>) -> Result<(), FileError> {
        // `mkdir -m` would ignore the umask.
        let script = format!("{}mkdir -- \"$1\"", mode.map(umask).unwrap_or_default());
        let done = self.run(&script, &[path]).await;
        done.map(drop).map_err(|kind| FileError::new("create directory", path, kind))
    }

    async fn remove_file(&self, path: &[u8]) -> Result<(), FileError> {
        let done = self.run(r#"rm -- "$1""#, &[path]).await;
        done.map(drop).map_err(|kind| FileError::new("remove", path, kind))
    }

    async fn remove_dir(&self, path: &[u8]) -> Result<(), FileError> {
        let done = self.run(r#"rmdir -- "$1""#, &[path]).await;
        done.map(drop).map_err(|kind| FileError::new("remove directory", path, kind))
    }

    async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), FileError> {
        // `mv` would move into an existing directory.
        let script = r#"if [ -d "$2" ] && [ ! -L "$2" ]; then rmdir -- "$2" || exit; fi; mv -f -- "$1" "$2""#;
        let done = self.run(script, &[from, to]).await;
        done.map(drop).map_err(|kind| FileError::new("rename", from, kind))
    }

    async fn symlink(&self, to: &[u8], path: &[u8]) -> Result<(), FileError> {
        // `ln` would make it in a directory that is there.
        let script = r#"if [ -e "$2" ] || [ -L "$2" ]; then echo File exists >&2; exit 1; fi; ln -s -- "$1" "$2""#;
        let done = self.run(script, &[to, path]).await;
        done.map(drop).map_err(|kind| FileError::new("link", path, kind))
    }

    async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        let mut said = self
            .run(r#"readlink -n -- "$1""#, &[path])
            .await
            .map_err(|kind| FileError::new("read link", path, kind))?;
        if said.ends_with(b"\n") {
            said.pop();
        }
        Ok(said)
    }

    async fn canonicalize(&self, path: &[u8]) -> Result<Vec<u8>, FileError> {
        let error = |kind| FileError::new("resolve", path, kind);
        let mut said = self.run(r#"readlink -f -- "$1""#, &[path]).await.map_err(error)?;
        if said.ends_with(b"\n") {
            said.pop();
        }
        if said.is_empty() { Err(error(FileErrorKind::NotFound)) } else { Ok(said) }
    }

    async fn read_file(
        &self,
        path: &[u8],
        offset: u64,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let error = |kind| FileError::new("read", path, kind);
        let from = (offset + 1).to_string();
        let script = r#"if [ "$2" = 1 ]; then exec cat -- "$1"; else exec tail -c "+$2" -- "$1"; fi"#;
        let mut process = self.start(script, &[path, from.as_bytes()]).await.map_err(error)?;
        // It reads nothing.
        let _ = process.stdin.shutdown().await;
        let mut said = Said { stdout: Vec::new(), stderr: Vec::new(), exit: ExitStatus::Unknown };
        let mut total = 0;
        while let Some(event) = process.next().await {
            match event {
                ProcessEvent::Stdout(bytes) => {
                    sink.write_all(&bytes).await.map_err(|e| error(FileErrorKind::Local(e.to_string())))?;
                    total += bytes.len() as u64;
                    progress(bytes.len() as u64);
                }
                ProcessEvent::Stderr(bytes) => said.stderr.extend_from_slice(&bytes),
                ProcessEvent::Exit(exit) => said.exit = exit,
                ProcessEvent::Lost(lost) => return Err(error(lost.into())),
            }
        }
        if said.exit == ExitStatus::Code(0) { Ok(total) } else { Err(error(kind_of(&said))) }
    }

    async fn write_file(
        &self,
        path: &[u8],
        options: &WriteOptions,
        source: &mut (dyn AsyncRead + Send + Unpin),
        progress: Progress<'_>,
    ) -> Result<u64, FileError> {
        let error = |kind| FileError::new("write", path, kind);
        let mut script = String::new();
        if options.exclusive {
            script.push_str("set -C; ");
        }
        if let Some(mode) = options.mode {
            script.push_str(&umask(mode));
        }
        if options.offset > 0 && !options.no_follow {
            // What is there before the offset stays, the rest is cut, and the new content follows.
            script = format!("{script}truncate -s {} -- \"$1\" && ", options.offset);
        }
        let redirect = if options.truncate && options.offset == 0 { ">" } else { ">>" };
        let write = match options.mode {
            _ if options.no_follow => format!("exec 3>>\"$1\" && {NOT_A_LINK} && exec cat >&3"),
            // A redirection makes no file that can be executed.
            Some(mode) if mode & 0o111 != 0 => format!("cat {redirect} \"$1\" && {}\"$1\"", chmod(mode)),
            _ => format!("exec cat {redirect} \"$1\""),
        };
        script.push_str(&write);
        let mut process = self.start(&script, &[path]).await.map_err(error)?;
        let mut buffer = vec![0; CHUNK];
        let mut total = 0;
        loop {
            let read = source.read(&mut buffer).await.map_err(|e| error(FileErrorKind::Local(e.to_string())))?;
            if read == 0 {
                break;
            }
            if process.stdin.write_all(&buffer[..read]).await.is_err() {
                // The command has ended; why, it says below.
                break;
            }
            total += read as u64;
            progress(read as u64);
        }
        // A command that has ended already says why below.
        let _ = process.stdin.shutdown().await;
        let said = gather(&mut process).await.map_err(error)?;
        if said.exit != ExitStatus::Code(0) {
            return Err(error(kind_of(&said)));
        }
        self.change(path, &options.changes).await.map_err(error)?;
        if options.sync {
            self.run(r#"sync "$1" 2>/dev/null || sync"#, &[path]).await.map_err(error)?;
        }
        Ok(total)
    }
}
