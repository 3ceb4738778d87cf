//! The OpenSSH extensions that the client uses (PROTOCOL, section 4), and their replies.

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

/// The extensions of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    offered: Vec<(Bytes, Bytes)>,
}

impl Extensions {
    pub(super) fn new(offered: Vec<(Bytes, Bytes)>) -> Self {
        Self { offered }
    }

    /// The data of this extension, usually its version; `None` if the server doesn't offer it.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.offered.iter().find(|(offered, _)| offered == name.as_bytes()).map(|(_, data)| &data[..])
    }

    /// Whether the server offers it, in the version that this client supports.
    ///
    /// ```
    /// # use fabric_transport::sftp::Extensions;
    /// assert!(!Extensions::default().has("posix-rename@openssh.com"));
    /// ```
    pub fn has(&self, name: &str) -> bool {
        let version: &[u8] = if name == STATVFS { b"2" } else { b"1" };
        // Some servers offer posix-rename with other versions than "1"; its form is the same.
        self.get(name).is_some_and(|data| data == version || name == POSIX_RENAME)
    }
}

/// The limits of a server (`limits@openssh.com`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest read.
    pub read: u32,
    /// The largest write.
    pub write: u32,
    /// How many handles may be open; `None` if the server doesn't say.
    pub open_handles: Option<u64>,
}

impl Default for Limits {
    /// What every server must support: 32 KiB in both directions.
    fn default() -> Self {
        Self { read: DEFAULT_CHUNK, write: DEFAULT_CHUNK, open_handles: None }
    }
}

impl Limits {
    /// Parses the reply. Zero means that the server doesn't say; absurd values are clamped.
    pub(super) fn decode(body: Bytes) -> Result<Self, ProtocolError> {
        const WHAT: &str = "the answer to limits@openssh.com";
        let mut fields = Fields(body);
        let [packet, read, write, handles] =
            [fields.u64(WHAT)?, fields.u64(WHAT)?, fields.u64(WHAT)?, fields.u64(WHAT)?];
        // The header of a write, and what else the server may count as part of the packet.
        let packet = if packet == 0 { u64::from(MAX_FRAME) } else { packet };
        let bounded = |limit: u64| {
            let limit = if limit == 0 { u64::from(DEFAULT_CHUNK) } else { limit };
            limit.min(packet.saturating_sub(1024)).clamp(1024, u64::from(MAX_CHUNK)) as u32
        };
        Ok(Self { read: bounded(read), write: bounded(write), open_handles: (handles != 0).then_some(handles) })
    }
}

/// A path's file system (`statvfs@openssh.com`, statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// The size of a block, in bytes.
    pub block_size: u64,
    /// The number of blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// Blocks that are free for users other than root.
    pub available_blocks: u64,
    /// The number of inodes.
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
