//! The bytes of SFTP packets.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// The longest accepted request, as in OpenSSH (`SFTP_MAX_MSG_LENGTH`).
pub(super) const MAX_PACKET: usize = 256 * 1024;
/// The longest read and write (`limits@openssh.com`).
pub(super) const MAX_DATA: u32 = 255 * 1024;

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const FSETSTAT: u8 = 10;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const READLINK: u8 = 19;
pub(super) const SYMLINK: u8 = 20;
pub(super) const EXTENDED: u8 = 200;

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

pub(super) const OK: u32 = 0;
pub(super) const EOF: u32 = 1;
pub(super) const NO_SUCH_FILE: u32 = 2;
pub(super) const PERMISSION_DENIED: u32 = 3;
pub(super) const FAILURE: u32 = 4;
pub(super) const BAD_MESSAGE: u32 = 5;
pub(super) const UNSUPPORTED: u32 = 8;

const ATTR_SIZE: u32 = 1;
const ATTR_OWNER: u32 = 2;
const ATTR_MODE: u32 = 4;
const ATTR_TIMES: u32 = 8;
const ATTR_EXTENDED: u32 = 1 << 31;

/// Attributes; each may be missing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Attrs {
    pub(super) size: Option<u64>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: Option<u32>,
    /// Access and modification, in seconds since the epoch.
    pub(super) times: Option<(u32, u32)>,
}

impl From<&Metadata> for Attrs {
    fn from(of: &Metadata) -> Self {
        Self {
            size: Some(of.size()),
            owner: Some((of.uid(), of.gid())),
            mode: Some(of.mode()),
            times: Some((of.atime() as u32, of.mtime() as u32)),
        }
    }
}

/// Parses a packet. Every method returns `None` once the packet is too short.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    id: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(packet: &'a [u8]) -> Self {
        Self { rest: packet, id: 0 }
    }

    /// The request's id, after it was read.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn read_id(&mut self) -> Option<u32> {
        self.id = self.u32()?;
        Some(self.id)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*first))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*first))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    pub(super) fn attrs(&mut self) -> Option<Attrs> {
        let flags = self.u32()?;
        let mut attrs = Attrs::default();
        if flags & ATTR_SIZE != 0 {
            attrs.size = Some(self.u64()?);
        }
        if flags & ATTR_OWNER != 0 {
            attrs.owner = Some((self.u32()?, self.u32()?));
        }
        if flags & ATTR_MODE != 0 {
            attrs.mode = Some(self.u32()?);
        }
        if flags & ATTR_TIMES != 0 {
            attrs.times = Some((self.u32()?, self.u32()?));
        }
        if flags & ATTR_EXTENDED != 0 {
            for _ in 0..self.u32()? {
                self.string()?;
                self.string()?;
            }
        }
        Some(attrs)
    }
}

/// Builds one packet, without its length.
pub(super) struct Writer<'a> {
    to: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: &'a mut Vec<u8>) -> Self {
        let start = to.len();
        Self { to, start }
    }

    fn begin(&mut self, kind: u8, id: u32) {
        // A truncated request, for which part of a reply was already written.
        self.to.truncate(self.start);
        self.to.push(kind);
        self.u32(id);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn string(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.to.extend_from_slice(value);
    }

    pub(super) fn version(&mut self, version: u32, extensions: &[(&str, &str)]) {
        self.begin(VERSION, version);
        for (name, data) in extensions {
            self.string(name.as_bytes());
            self.string(data.as_bytes());
        }
    }

    pub(super) fn status(&mut self, id: u32, code: u32, text: &str) {
        self.begin(STATUS, id);
        self.u32(code);
        self.string(text.as_bytes());
        self.string(b"");
    }

    pub(super) fn handle(&mut self, id: u32, handle: u32) {
        self.begin(HANDLE, id);
        self.string(&handle.to_be_bytes());
    }

    /// Appends data of at most `most` bytes, which `fill` writes and counts.
    pub(super) fn data<E>(
        &mut self,
        id: u32,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.begin(DATA, id);
        let length_at = self.to.len();
        self.u32(0);
        let data_at = self.to.len();
        self.to.resize(data_at + most, 0);
        let count = fill(&mut self.to[data_at..])?;
        self.to.truncate(data_at + count);
        self.to[length_at..data_at].copy_from_slice(&(count as u32).to_be_bytes());
        Ok(count)
    }

    pub(super) fn attrs(&mut self, id: u32, attrs: &Attrs) {
        self.begin(ATTRS, id);
        self.plain_attrs(attrs);
    }

    pub(super) fn names(&mut self, id: u32, names: &[(Vec<u8>, Vec<u8>, Attrs)]) {
        self.begin(NAME, id);
        self.u32(names.len() as u32);
        for (name, long, attrs) in names {
            self.string(name);
            self.string(long);
            self.plain_attrs(attrs);
        }
    }

    pub(super) fn extended_reply(&mut self, id: u32, numbers: &[u64]) {
        self.begin(EXTENDED_REPLY, id);
        for number in numbers {
            self.u64(*number);
        }
    }

    fn plain_attrs(&mut self, attrs: &Attrs) {
        let flag = |given: bool, flag: u32| if given { flag } else { 0 };
        self.u32(
            flag(attrs.size.is_some(), ATTR_SIZE)
                | flag(attrs.owner.is_some(), ATTR_OWNER)
                | flag(attrs.mode.is_some(), ATTR_MODE)
                | flag(attrs.times.is_some(), ATTR_TIMES),
        );
        if let Some(size) = attrs.size {
            self.u64(size);
        }
        if let Some((user, group)) = attrs.owner {
            self.u32(user);
            self.u32(group);
        }
        if let Some(mode) = attrs.mode {
            self.u32(mode);
        }
        if let Some((accessed, modified)) = attrs.times {
            self.u32(accessed);
            self.u32(modified);
        }
    }
}
