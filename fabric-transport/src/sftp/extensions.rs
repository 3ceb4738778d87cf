//! The extensions of OpenSSH that are used (PROTOCOL, section 4), and what they answer.

use bytes::Bytes;

use super::error::ProtocolError;
use super::fields::Fields;
use super::wire::{DEFAULT_CHUNK, MAX_CHUNK, MAX_FRAME};

pub(super) const POSIX_RENAME: &str = "posix-rename@openssh.com";
pub(super) const FSYNC: &str = "fsync@openssh.com";
pub(super) const HARDLINK: &str = "hardlink@openssh.com";
pub(super) const STATVFS: &str = "statvfs@openssh.com";
pub(super) const LSETSTAT: &str = "lsetstat@openssh.com";
pub(super) const LIMITS: &str = "limits@openssh.com";
pub(super) const EXPAND_PATH: &str = "expand-path@openssh.com";
pub(super) const COPY_DATA: &str = "copy-data";

/// Which extensions a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    offered: Vec<(Bytes, Bytes)>,
}

impl Extensions {
    pub(super) fn new(offered: Vec<(Bytes, Bytes)>) -> Self {
        Self { offered }
    }

    /// The data that the server gave with this extension, its version as a rule; `None` if it is not
    /// offered.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.offered.iter().find(|(offered, _)| offered == name.as_bytes()).map(|(_, data)| &data[..])
    }

    /// Whether the server offers it, in the version this client knows.
    ///
    /// ```
    /// # use fabric_transport::sftp::Extensions;
    /// assert!(!Extensions::default().has("posix-rename@openssh.com"));
    /// ```
    pub fn has(&self, name: &str) -> bool {
        let version: &[u8] = if name == STATVFS { b"2" } else { b"1" };
        // posix-rename has been offered with other versions than its "1" by servers in use; it has one form.
        self.get(name).is_some_and(|data| data == version || name == POSIX_RENAME)
    }
}

/// What a server takes and gives at most (`limits@openssh.com`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes that one read is asked for.
    pub read: u32,
    /// The most bytes that one write carries.
    pub write: u32,
    /// How many handles may be open; `None` if the server does not say.
    pub open_handles: Option<u64>,
}

impl Default for Limits {
    /// What every server must take: 32 KiB either way.
    fn default() -> Self {
        Self { read: DEFAULT_CHUNK, write: DEFAULT_CHUNK, open_handles: None }
    }
}

impl Limits {
    /// Reads the answer. Zero means that the server does not say; what is absurd is bounded.
    pub(super) fn decode(body: Bytes) -> Result<Self, ProtocolError> {
        const WHAT: &str = "the answer to limits@openssh.com";
        let mut fields = Fields(body);
        let [packet, read, write, handles] =
            [fields.u64(WHAT)?, fields.u64(WHAT)?, fields.u64(WHAT)?, fields.u64(WHAT)?];
        // The head of a write and the server's own idea of what counts as the packet.
        let packet = if packet == 0 { u64::from(MAX_FRAME) } else { packet };
        let bounded = |limit: u64| {
            let limit = if limit == 0 { u64::from(DEFAULT_CHUNK) } else { limit };
            limit.min(packet.saturating_sub(1024)).clamp(1024, u64::from(MAX_CHUNK)) as u32
        };
        Ok(Self { read: bounded(read), write: bounded(write), open_handles: (handles != 0).then_some(handles) })
    }
}

/// About the file system that holds a path (`statvfs@openssh.com`, statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// The unit in which the numbers of blocks are counted, in bytes.
    pub block_size: u64,
    /// All blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// Blocks that are free for users other than root.
    pub available_blocks: u64,
    /// All inodes.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// Inodes that are free for users other than root.
    pub available_inodes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// The longest file name, in bytes.
    pub max_name: u64,
}

impl FileSystem {
    pub(super) fn decode(body: Bytes) -> Result<Self, ProtocolError> {
        const WHAT: &str = "the answer to statvfs@openssh.com";
        let mut fields = Fields(body);
        let mut next = || fields.u64(WHAT);
        let (_preferred, block_size) = (next()?, next()?);
        let (blocks, free_blocks, available_blocks) = (next()?, next()?, next()?);
        let (inodes, free_inodes, available_inodes) = (next()?, next()?, next()?);
        let (_id, flags, max_name) = (next()?, next()?, next()?);
        Ok(Self {
            block_size,
            blocks,
            free_blocks,
            available_blocks,
            inodes,
            free_inodes,
            available_inodes,
            read_only: flags & 1 != 0,
            max_name,
        })
    }
}
