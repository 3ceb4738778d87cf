//! Requests on the file system.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, ReadDir};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid};

use super::wire::{self, Attrs, MAX_DATA, MAX_PACKET, Reader, Writer};

/// `SSH_FXF_*`: how to open a file.
const FOR_READ: u32 = 1;
const FOR_WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

/// The most entries in one reply to a `READDIR`, as in sftp-server.
const NAMES_AT_ONCE: usize = 100;

/// `limits@openssh.com`: how many handles may be open.
const MAX_HANDLES: u64 = 1000;

const EXTENSIONS: &[(&str, &str)] = &[
    ("posix-rename@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
];

/// The files that one client has open.
pub(super) struct Files {
    dir: PathBuf,
    open: HashMap<u32, Open>,
    next: u32,
}

enum Open {
    File { file: File, path: PathBuf, append: bool },
    Dir { entries: ReadDir, path: PathBuf, extra: Vec<Vec<u8>> },
}

/// The result of a request whose reply has no data.
type Done = Result<(), Refusal>;

/// A status other than success.
struct Refusal(u32, String);

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        // The messages of sftp-server, which has one for each code.
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self(wire::NO_SUCH_FILE, "No such file".to_owned())
            }
            io::ErrorKind::PermissionDenied => Self(wire::PERMISSION_DENIED, "Permission denied".to_owned()),
            io::ErrorKind::InvalidFilename => Self(wire::BAD_MESSAGE, "Bad message".to_owned()),
            _ => Self(wire::FAILURE, "Failure".to_owned()),
        }
    }
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, open: HashMap::new(), next: 1 }
    }

    /// Answers one request; `None` if it is truncated.
    pub(super) fn handle(
        &mut self,
        request: &mut Reader<'_>,
        listing: &[Vec<u8>],
        reply: &mut Writer<'_>,
    ) -> Option<()> {
        let kind = request.u8()?;
        if kind == wire::INIT {
            request.u32()?;
            reply.version(3, EXTENSIONS);
            return Some(());
        }
        let id = request.read_id()?;
        let done = match kind {
            wire::OPEN => {
                let (path, flags, attrs) = (self.path(request.string()?), request.u32()?, request.attrs()?);
                self.open_file(path, flags, &attrs).map(|handle| reply.handle(id, handle))
            }
            wire::OPENDIR => {
                let path = self.path(request.string()?);
                self.open_dir(path, listing).map(|handle| reply.handle(id, handle))
            }
            wire::CLOSE => {
                let handle = handle(request)?;
                match self.open.remove(&handle) {
                    Some(_) => {
                        success(reply, id);
                        Ok(())
                    }
                    None => Err(no_handle()),
                }
            }
            wire::READ => {
                let (handle, offset, length) = (handle(request)?, request.u64()?, request.u32()?);
                self.file(handle).and_then(|(file, _, _)| {
                    let most = length.min(MAX_DATA) as usize;
                    match reply.data(id, most, |buffer| read_full(file, buffer, offset))? {
                        0 if length > 0 => Err(Refusal(wire::EOF, "End of file".to_owned())),
                        _ => Ok(()),
                    }
                })
            }
            wire::WRITE => {
                let (handle, offset, data) = (handle(request)?, request.u64()?, request.string()?);
                self.file(handle).and_then(|(mut file, _, append)| {
                    if append {
                        io::Write::write_all(&mut file, data)?;
                    } else {
                        file.write_all_at(data, offset)?;
                    }
                    success(reply, id);
                    Ok(())
                })
            }
            wire::STAT => {
                let path = self.path(request.string()?);
                stat(fs::metadata(path), id, reply)
            }
            wire::LSTAT => {
                let path = self.path(request.string()?);
                stat(fs::symlink_metadata(path), id, reply)
            }
            wire::FSTAT => {
                let handle = handle(request)?;
                self.file(handle).and_then(|(file, _, _)| stat(file.metadata(), id, reply))
            }
            wire::SETSTAT => {
                let (path, attrs) = (self.path(request.string()?), request.attrs()?);
                set_stat(&path, &attrs, AtFlags::empty()).map(|()| success(reply, id))
            }
            wire::FSETSTAT => {
                let (handle, attrs) = (handle(request)?, request.attrs()?);
                self.file(handle).and_then(|(_, path, _)| {
                    set_stat(path, &attrs, AtFlags::empty())?;
                    success(reply, id);
                    Ok(())
                })
            }
            wire::READDIR => {
                let handle = handle(request)?;
                self.read_dir(handle, id, reply)
            }
            wire::REMOVE => {
                let path = self.path(request.string()?);
                fs::remove_file(path).map(|()| success(reply, id)).map_err(Into::into)
            }
            wire::MKDIR => {
                let (path, attrs) = (self.path(request.string()?), request.attrs()?);
                let mode = attrs.mode.map_or(0o777, |mode| mode & 0o7777);
                fs::DirBuilder::new().mode(mode).create(path).map(|()| success(reply, id)).map_err(Into::into)
            }
            wire::RMDIR => {
                let path = self.path(request.string()?);
                fs::remove_dir(path).map(|()| success(reply, id)).map_err(Into::into)
            }
            wire::REALPATH => {
                let path = self.path(request.string()?);
                real_path(&path).map(|real| reply.names(id, &[plain_name(real)])).map_err(Into::into)
            }
            wire::RENAME => {
                let (from, to) = (self.path(request.string()?), self.path(request.string()?));
                // Version 3 doesn't replace.
                if to.symlink_metadata().is_ok() {
                    Err(Refusal(wire::FAILURE, "Failure".to_owned()))
                } else {
                    fs::rename(from, to).map(|()| success(reply, id)).map_err(Into::into)
                }
            }
            wire::READLINK => {
                let path = self.path(request.string()?);
                fs::read_link(path).map(|target| reply.names(id, &[plain_name(target)])).map_err(Into::into)
            }
            wire::SYMLINK => {
                // OpenSSH sends target and link in the reverse of the draft's order, and other servers do too.
                let (target, link) = (as_path(request.string()?), self.path(request.string()?));
                std::os::unix::fs::symlink(target, link).map(|()| success(reply, id)).map_err(Into::into)
            }
            wire::EXTENDED => {
                let name = request.string()?;
                self.extended(name, id, request, reply)?
            }
            _ => Err(unsupported()),
        };
        if let Err(Refusal(code, text)) = done {
            reply.status(id, code, &text);
        }
        Some(())
    }

    fn extended(&mut self, name: &[u8], id: u32, request: &mut Reader<'_>, reply: &mut Writer<'_>) -> Option<Done> {
        Some(match name {
            b"posix-rename@openssh.com" => {
                let (from, to) = (self.path(request.string()?), self.path(request.string()?));
                fs::rename(from, to).map(|()| success(reply, id)).map_err(Into::into)
            }
            b"hardlink@openssh.com" => {
                let (from, to) = (self.path(request.string()?), self.path(request.string()?));
                fs::hard_link(from, to).map(|()| success(reply, id)).map_err(Into::into)
            }
            b"fsync@openssh.com" => {
                let handle = handle(request)?;
                self.file(handle).and_then(|(file, _, _)| {
                    file.sync_all()?;
                    success(reply, id);
                    Ok(())
                })
            }
            b"lsetstat@openssh.com" => {
                let (path, attrs) = (self.path(request.string()?), request.attrs()?);
                set_stat(&path, &attrs, AtFlags::SYMLINK_NOFOLLOW).map(|()| success(reply, id))
            }
            b"limits@openssh.com" => {
                reply.extended_reply(id, &[MAX_PACKET as u64, u64::from(MAX_DATA), u64::from(MAX_DATA), MAX_HANDLES]);
                Ok(())
            }
            b"expand-path@openssh.com" => {
                let path = request.string()?;
                let path = match path.strip_prefix(b"~") {
                    Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                        self.path(rest.strip_prefix(b"/").unwrap_or(rest))
                    }
                    _ => self.path(path),
                };
                real_path(&path).map(|real| reply.names(id, &[plain_name(real)])).map_err(Into::into)
            }
            _ => Err(unsupported()),
        })
    }

    fn path(&self, bytes: &[u8]) -> PathBuf {
        if bytes.is_empty() { self.dir.clone() } else { self.dir.join(as_path(bytes)) }
    }

    fn file(&self, handle: u32) -> Result<(&File, &Path, bool), Refusal> {
        match self.open.get(&handle) {
            Some(Open::File { file, path, append }) => Ok((file, path, *append)),
            _ => Err(no_handle()),
        }
    }

    fn keep(&mut self, open: Open) -> Result<u32, Refusal> {
        if self.open.len() as u64 >= MAX_HANDLES {
            return Err(Refusal(wire::FAILURE, "Failure".to_owned()));
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        self.open.insert(handle, open);
        Ok(handle)
    }

    fn open_file(&mut self, path: PathBuf, flags: u32, attrs: &Attrs) -> Result<u32, Refusal> {
        let mut options = fs::OpenOptions::new();
        let append = flags & APPEND != 0;
        options.read(flags & FOR_READ != 0).write(flags & FOR_WRITE != 0).append(append && flags & FOR_WRITE != 0);
        if flags & FOR_WRITE != 0 {
            options.truncate(flags & TRUNCATE != 0 && !append);
            match (flags & CREATE != 0, flags & EXCLUSIVE != 0) {
                (true, true) => options.create_new(true),
                (true, false) => options.create(true),
                _ => &mut options,
            };
        }
        options.mode(attrs.mode.map_or(0o666, |mode| mode & 0o7777));
        let file = options.open(&path)?;
        // Opening a directory as a file fails at once, not at the first read.
        if file.metadata()?.is_dir() {
            return Err(Refusal(wire::FAILURE, "Failure".to_owned()));
        }
        self.keep(Open::File { file, path, append })
    }

    fn open_dir(&mut self, path: PathBuf, extra: &[Vec<u8>]) -> Result<u32, Refusal> {
        let entries = fs::read_dir(&path)?;
        self.keep(Open::Dir { entries, path, extra: extra.to_vec() })
    }

    fn read_dir(&mut self, handle: u32, id: u32, reply: &mut Writer<'_>) -> Done {
        let Some(Open::Dir { entries, path, extra }) = self.open.get_mut(&handle) else {
            return Err(no_handle());
        };
        let mut names = Vec::new();
        for name in extra.drain(..) {
            let attrs = Attrs { size: Some(3), mode: Some(0o100_644), ..Attrs::default() };
            names.push((name.clone(), name, attrs));
        }
        for entry in entries.take(NAMES_AT_ONCE) {
            let name = entry?.file_name();
            // An entry that is gone by now.
            if let Ok(about) = path.join(&name).symlink_metadata() {
                names.push((name.as_bytes().to_vec(), long_name(&about, name.as_bytes()), Attrs::from(&about)));
            }
        }
        if names.is_empty() {
            return Err(Refusal(wire::EOF, "End of file".to_owned()));
        }
        reply.names(id, &names);
        Ok(())
    }
}

fn success(reply: &mut Writer<'_>, id: u32) {
    reply.status(id, wire::OK, "Success");
}

fn no_handle() -> Refusal {
    Refusal(wire::FAILURE, "Failure".to_owned())
}

fn unsupported() -> Refusal {
    Refusal(wire::UNSUPPORTED, "Operation unsupported".to_owned())
}

/// A handle from the client. One of another length is invalid and becomes 0.
fn handle(request: &mut Reader<'_>) -> Option<u32> {
    let bytes = request.string()?;
    Some(bytes.try_into().map_or(0, u32::from_be_bytes))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset.saturating_add(read as u64)) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn stat(about: io::Result<Metadata>, id: u32, reply: &mut Writer<'_>) -> Done {
    reply.attrs(id, &Attrs::from(&about?));
    Ok(())
}

fn set_stat(path: &Path, attrs: &Attrs, flags: AtFlags) -> Done {
    if let Some(size) = attrs.size {
        fs::OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some((user, group)) = attrs.owner {
        rustix::fs::chownat(CWD, path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)), flags)?;
    }
    if let Some(mode) = attrs.mode {
        if flags.contains(AtFlags::SYMLINK_NOFOLLOW) && path.symlink_metadata()?.is_symlink() {
            return Err(unsupported());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some((accessed, modified)) = attrs.times {
        let time = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        let times = Timestamps { last_access: time(accessed), last_modification: time(modified) };
        rustix::fs::utimensat(CWD, path, &times, flags)?;
    }
    Ok(())
}

/// The absolute path without links. As in sftp-server, the last part need not exist.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    let error = match path.canonicalize() {
        Ok(real) => return Ok(real),
        Err(error) => error,
    };
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) if error.kind() == io::ErrorKind::NotFound => {
            Ok(parent.canonicalize()?.join(name))
        }
        _ => Err(error),
    }
}

fn plain_name(path: PathBuf) -> (Vec<u8>, Vec<u8>, Attrs) {
    let name = path.into_os_string().into_vec();
    (name.clone(), name, Attrs::default())
}

/// A line of `ls -l`, with numbers for owners and time.
fn long_name(about: &Metadata, name: &[u8]) -> Vec<u8> {
    let kind = about.file_type();
    let letter = match () {
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () => '-',
    };
    let bits: String =
        (0..9).map(|at| if about.mode() & (0o400 >> at) == 0 { '-' } else { ['r', 'w', 'x'][at % 3] }).collect();
    let mut line = format!(
        "{letter}{bits} {:4} {:<8} {:<8} {:8} {} ",
        about.nlink(),
        about.uid(),
        about.gid(),
        about.size(),
        about.mtime()
    )
    .into_bytes();
    line.extend_from_slice(name);
    line
}
