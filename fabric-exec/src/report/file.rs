//! Where a report's text goes: a file that is replaced as a whole, or what can only be written into.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// As many links as Linux follows.
const LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A file, or where one can be made: it is replaced as a whole. Links are followed, so that a link stays one.
    File(PathBuf),
    /// A pipe with a name, which takes nothing before it is read.
    Pipe(PathBuf),
    /// A terminal, `/dev/null` or another device, or an open file by its number, such as a shell's `>(..)`.
    Device(PathBuf),
    /// Standard output: what is written to it by its number comes after what was written before, in a file too.
    Stdout,
    /// Standard error, likewise.
    Stderr,
}

impl Destination {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            if let Some(place) = Self::open_file(&path) {
                return Ok(place);
            }
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::File(path)),
                Err(error) => return Err(error),
            };
            if !kind.is_symlink() {
                return Self::of_kind(path, kind);
            }
            let target = fs::read_link(&path)?;
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        // The system's own words for a loop.
        fs::metadata(&path).map(|_| Self::File(path))
    }

    /// `/dev/fd/N`, `/proc/self/fd/N`: links to files that this process has open, of which some have no name.
    fn open_file(path: &Path) -> Option<Self> {
        let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let dir = path.parent()?.canonicalize().ok()?;
        let is = |name: &str| Path::new(name).canonicalize().is_ok_and(|own| own == dir);
        (is("/dev/fd") || is("/proc/self/fd")).then(|| match number {
            1 => Self::Stdout,
            2 => Self::Stderr,
            _ => Self::Device(path.to_owned()),
        })
    }

    fn of_kind(path: PathBuf, kind: FileType) -> io::Result<Self> {
        match kind {
            _ if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            _ if kind.is_file() => Ok(Self::File(path)),
            _ if kind.is_fifo() => Ok(Self::Pipe(path)),
            _ => Ok(Self::Device(path)),
        }
    }

    /// Whether writing there may wait for a reader.
    pub(super) fn may_wait(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// Whether a text could be written now, as far as can be known without writing it.
    pub(super) fn check(&self) -> io::Result<()> {
        match self {
            Self::File(path) => {
                let beside = beside(path);
                File::create(&beside)?;
                fs::remove_file(&beside)
            }
            Self::Device(path) => into(path).map(drop),
            // To open it is to wait for who reads it.
            Self::Pipe(_) | Self::Stdout | Self::Stderr => Ok(()),
        }
    }

    /// Writes a file through one beside it, so that no reader sees half of it, and nothing of it is left if that fails.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        match self {
            Self::File(path) => {
                let beside = beside(path);
                let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
                written.inspect_err(|_| drop(fs::remove_file(&beside)))
            }
            Self::Pipe(path) | Self::Device(path) => into(path)?.write_all(text.as_bytes()),
            Self::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(text.as_bytes()),
            Self::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?).write_all(text.as_bytes()),
        }
    }
}

/// Behind what is there: an open file may be one that a shell redirected to.
fn into(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// The file that becomes the report once it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    beside.into()
}
