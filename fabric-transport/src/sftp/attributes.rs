//! Attributes of files, as SFTP reports and sets them.

use bytes::{BufMut, BytesMut};

use super::error::ProtocolError;
use super::fields::Fields;

/// Attributes of a file. In a reply, `None` means that the server didn't send it; in a request, that it stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// The length in bytes; setting it truncates or extends the file.
    pub size: Option<u64>,
    /// User id and group id.
    pub owner: Option<(u32, u32)>,
    /// Type and permission bits as in `st_mode`; only the permission bits (`0o7777`) can be set.
    pub permissions: Option<u32>,
    /// Last access and last modification, in seconds since 1970-01-01 UTC; version 3 has 32 bits for each.
    pub times: Option<(u32, u32)>,
}

/// The kind of a file, from the type bits of its permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Other,
    /// Not known: the server didn't send permissions.
    Unknown,
}

const SIZE: u32 = 0x1;
const OWNER: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const TIMES: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;

impl Attributes {
    /// Only permission bits.
    pub fn permissions(mode: u32) -> Self {
        Self { permissions: Some(mode), ..Self::default() }
    }

    /// Whether no attribute is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The kind of file, from the permissions.
    pub fn file_type(&self) -> FileType {
        match self.permissions.map(|mode| mode & 0o170_000) {
            Some(0o100_000) => FileType::File,
            Some(0o040_000) => FileType::Directory,
            Some(0o120_000) => FileType::Symlink,
            None | Some(0) => FileType::Unknown,
            _ => FileType::Other,
        }
    }

    pub(super) fn encode(&self, frame: &mut BytesMut) {
        let flag = |present: bool, bit: u32| if present { bit } else { 0 };
        frame.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES),
        );
        if let Some(size) = self.size {
            frame.put_u64(size);
        }
        if let Some((user, group)) = self.owner {
            frame.put_u32(user);
            frame.put_u32(group);
        }
        if let Some(permissions) = self.permissions {
            frame.put_u32(permissions);
        }
        if let Some((accessed, modified)) = self.times {
            frame.put_u32(accessed);
            frame.put_u32(modified);
        }
    }

    pub(super) fn decode(fields: &mut Fields) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a set of file attributes";
        let flags = fields.u32(WHAT)?;
        let has = |bit: u32| flags & bit != 0;
        let mut attributes = Self::default();
        if has(SIZE) {
            attributes.size = Some(fields.u64(WHAT)?);
        }
        if has(OWNER) {
            attributes.owner = Some((fields.u32(WHAT)?, fields.u32(WHAT)?));
        }
        if has(PERMISSIONS) {
            attributes.permissions = Some(fields.u32(WHAT)?);
        }
        if has(TIMES) {
            attributes.times = Some((fields.u32(WHAT)?, fields.u32(WHAT)?));
        }
        if has(EXTENDED) {
            for _ in 0..fields.u32(WHAT)? {
                fields.string(WHAT)?;
                fields.string(WHAT)?;
            }
        }
        Ok(attributes)
    }
}
