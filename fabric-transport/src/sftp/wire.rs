//! The wire format of SFTP version 3: frames, requests and replies as bytes.
//!
//! Pure functions of bytes (draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL, section 4). Nothing here allocates
//! because a peer announces a length: it is checked against the bytes that are there first.

use bytes::{Buf as _, BufMut, Bytes, BytesMut};

use super::attributes::Attributes;
use super::error::ProtocolError;
use super::fields::Fields;

/// The longest frame that is read or written: OpenSSH's `SFTP_MAX_MSG_LENGTH` (256 KiB) and some extra for servers that
/// count the header separately.
pub const MAX_FRAME: u32 = 256 * 1024 + 1024;

/// The largest read and write if the server states no limit: 32 KiB, which every server must support.
pub const DEFAULT_CHUNK: u32 = 32 * 1024;

/// The largest read and write, whatever the server offers, so that the frame stays below [`MAX_FRAME`]: 255 KiB, which
/// is also what OpenSSH's server offers.
pub const MAX_CHUNK: u32 = 255 * 1024;

/// The packet types of version 3.
pub mod packet {
    #![allow(missing_docs, reason = "the names are the protocol's own")]
    pub const INIT: u8 = 1;
    pub const VERSION: u8 = 2;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const READ: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const LSTAT: u8 = 7;
    pub const FSTAT: u8 = 8;
    pub const SETSTAT: u8 = 9;
    pub const FSETSTAT: u8 = 10;
    pub const OPENDIR: u8 = 11;
    pub const READDIR: u8 = 12;
    pub const REMOVE: u8 = 13;
    pub const MKDIR: u8 = 14;
    pub const RMDIR: u8 = 15;
    pub const REALPATH: u8 = 16;
    pub const STAT: u8 = 17;
    pub const RENAME: u8 = 18;
    pub const READLINK: u8 = 19;
    pub const SYMLINK: u8 = 20;
    pub const STATUS: u8 = 101;
    pub const HANDLE: u8 = 102;
    pub const DATA: u8 = 103;
    pub const NAME: u8 = 104;
    pub const ATTRS: u8 = 105;
    pub const EXTENDED: u8 = 200;
    pub const EXTENDED_REPLY: u8 = 201;
}

/// Splits a byte stream into frames.
///
/// Bytes go in through [`FrameBuffer::space`]; whole frames come out of [`FrameBuffer::next_frame`] as slices of the
/// buffer.
///
/// ```
/// use bytes::BufMut;
/// use fabric_transport::sftp::wire::FrameBuffer;
///
/// let mut frames = FrameBuffer::default();
/// frames.space().put_slice(&[0, 0, 0, 5, 101, 0, 0, 0, 7, 0]);
/// assert_eq!(frames.next_frame().unwrap().unwrap(), &[101, 0, 0, 0, 7][..]);
/// assert_eq!(frames.next_frame().unwrap(), None);
/// ```
#[derive(Debug, Default)]
pub struct FrameBuffer {
    buffer: BytesMut,
}

impl FrameBuffer {
    /// If few bytes are missing, this many are read: many short replies then take one read.
    const READ_AHEAD: usize = 16 * 1024;
    /// At most this much is read beyond the end of a long frame, since it has to be copied when the next long frame
    /// needs a buffer of its own.
    const OVERSHOOT: usize = 4 * 1024;

    /// The next whole frame without its length field, or `None` if more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let Some(length) = self.announced() else { return Ok(None) };
        if length > MAX_FRAME {
            return Err(ProtocolError::FrameTooLong { length, limit: MAX_FRAME });
        }
        if length < 5 {
            return Err(ProtocolError::FrameTooShort(length));
        }
        if self.buffer.len() < 4 + length as usize {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length as usize).freeze()))
    }

    /// Room for the next read: what the current frame still needs, and some more. Call it after [`Self::next_frame`]
    /// returned `None`.
    pub fn space(&mut self) -> impl BufMut + Send + '_ {
        let whole = self.announced().map_or(0, |length| 4 + length.min(MAX_FRAME) as usize);
        let lacking = whole.saturating_sub(self.buffer.len());
        let room = if lacking > Self::READ_AHEAD { lacking + Self::OVERSHOOT } else { Self::READ_AHEAD };
        if self.buffer.is_empty() {
            // Otherwise the memory for a long frame would be kept while the connection is idle.
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(room);
        (&mut self.buffer).limit(room)
    }

    /// Whether a frame is incomplete.
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The received bytes, if they are text: a server's first frame begins with a zero byte, as its length is small,
    /// and a shell's output doesn't.
    pub(super) fn text(&self) -> Option<&[u8]> {
        self.buffer.first().filter(|first| **first != 0).map(|_| &self.buffer[..])
    }

    fn announced(&self) -> Option<u32> {
        self.buffer.first_chunk().map(|length| u32::from_be_bytes(*length))
    }
}

/// A request that is being built. Its id comes last, by [`Request::seal`].
///
/// ```
/// use fabric_transport::sftp::wire::{Request, packet};
///
/// let frame = Request::new(packet::STAT, 16).string(b"/etc").seal(7);
/// assert_eq!(frame, &b"\0\0\0\x0d\x11\0\0\0\x07\0\0\0\x04/etc"[..]);
/// ```
#[derive(Debug)]
pub struct Request {
    frame: BytesMut,
}

impl Request {
    /// Length, type and id.
    const HEAD: usize = 4 + 1 + 4;

    /// A request of type `packet`, with capacity for `capacity` further bytes.
    pub fn new(packet: u8, capacity: usize) -> Self {
        let mut frame = BytesMut::with_capacity(Self::HEAD + capacity);
        frame.put_u32(0);
        frame.put_u8(packet);
        frame.put_u32(0);
        Self { frame }
    }

    /// The extended request of this name.
    pub fn extended(name: &str, capacity: usize) -> Self {
        Self::new(packet::EXTENDED, 4 + name.len() + capacity).string(name.as_bytes())
    }

    /// Appends a 32-bit number.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.frame.put_u32(value);
        self
    }

    /// Appends a 64-bit number.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.frame.put_u64(value);
        self
    }

    /// Appends a length and the bytes.
    #[must_use]
    pub fn string(mut self, value: &[u8]) -> Self {
        self.frame.put_u32(value.len() as u32);
        self.frame.put_slice(value);
        self
    }

    /// Appends attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: &Attributes) -> Self {
        attributes.encode(&mut self.frame);
        self
    }

    /// The length of its frame in bytes.
    pub fn frame_len(&self) -> usize {
        self.frame.len()
    }

    /// The complete frame, with this id.
    pub fn seal(mut self, id: u32) -> Bytes {
        let length = (self.frame.len() - 4) as u32;
        self.frame[..4].copy_from_slice(&length.to_be_bytes());
        self.frame[5..9].copy_from_slice(&id.to_be_bytes());
        self.frame.freeze()
    }
}

/// A write request that is filled from a source: the data is read directly into the frame, without another copy.
#[derive(Debug)]
pub struct WriteRequest {
    request: Request,
    head: usize,
    chunk: usize,
}

impl WriteRequest {
    /// A write of up to `chunk` bytes to an open file, with capacity for `capacity` of them at first.
    pub fn new(handle: &[u8], chunk: usize, capacity: usize) -> Self {
        let fields = 4 + handle.len() + 8 + 4;
        let request = Request::new(packet::WRITE, fields + capacity.min(chunk)).string(handle).u64(0).u32(0);
        Self { head: request.frame_len(), request, chunk }
    }

    /// Room for more data; call it again until [`Self::is_full`].
    pub fn space(&mut self) -> impl BufMut + Send + '_ {
        let left = self.chunk - self.len();
        if self.request.frame.capacity() == self.request.frame.len() {
            self.request.frame.reserve(self.request.frame.len().min(left));
        }
        let room = left.min(self.request.frame.capacity() - self.request.frame.len());
        (&mut self.request.frame).limit(room)
    }

    /// The number of bytes of data.
    pub fn len(&self) -> usize {
        self.request.frame.len() - self.head
    }

    /// Whether it has no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no more room.
    pub fn is_full(&self) -> bool {
        self.len() >= self.chunk
    }

    /// The same data for another open file.
    #[must_use]
    pub fn to(mut self, handle: &[u8]) -> Self {
        let fields = Request::HEAD + 4;
        let length = fields + handle.len() + 12;
        if length == self.head {
            self.request.frame[fields..fields + handle.len()].copy_from_slice(handle);
            return self;
        }
        let mut other = Self::new(handle, self.chunk, self.len());
        other.request.frame.put_slice(&self.request.frame[self.head..]);
        other
    }

    /// The length of its frame in bytes.
    pub fn frame_len(&self) -> usize {
        self.request.frame_len()
    }

    /// The request to write the data at `offset`.
    pub fn at(mut self, offset: u64) -> Request {
        let length = self.len() as u32;
        let fields = &mut self.request.frame[self.head - 12..self.head];
        fields[..8].copy_from_slice(&offset.to_be_bytes());
        fields[8..].copy_from_slice(&length.to_be_bytes());
        self.request
    }
}

/// The longest handle the protocol allows, in bytes.
pub const MAX_HANDLE: usize = 256;

/// One name of a directory or path answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// The name: any bytes, not checked.
    pub name: Vec<u8>,
    /// Its attributes, from the server.
    pub attributes: Attributes,
}

/// A reply of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// A code and the server's message.
    Status(u32, Bytes),
    /// An open file or directory.
    Handle(Bytes),
    /// Data of a file.
    Data(Bytes),
    /// Entries of a directory, or one path.
    Names(Vec<Name>),
    /// Attributes of a file.
    Attributes(Attributes),
    /// The reply to an extended request, not parsed.
    Extended(Bytes),
}

impl Reply {
    /// The packet's name in the protocol.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(..) => "SSH_FXP_STATUS",
            Self::Handle(_) => "SSH_FXP_HANDLE",
            Self::Data(_) => "SSH_FXP_DATA",
            Self::Names(_) => "SSH_FXP_NAME",
            Self::Attributes(_) => "SSH_FXP_ATTRS",
            Self::Extended(_) => "SSH_FXP_EXTENDED_REPLY",
        }
    }

    /// Parses a frame as the reply to a request: its id and the content.
    pub fn decode(frame: Bytes) -> Result<(u32, Self), ProtocolError> {
        let mut fields = Fields(frame);
        let packet = fields.u8("a packet type")?;
        let id = fields.u32("a request id")?;
        let reply = match packet {
            packet::STATUS => {
                let code = fields.u32("SSH_FXP_STATUS")?;
                // Some old servers send neither message nor language.
                if fields.is_empty() {
                    Self::Status(code, Bytes::new())
                } else {
                    let message = fields.string("SSH_FXP_STATUS")?;
                    fields.string("SSH_FXP_STATUS")?;
                    Self::Status(code, message)
                }
            }
            packet::HANDLE => {
                let handle = fields.string("SSH_FXP_HANDLE")?;
                if handle.len() > MAX_HANDLE {
                    return Err(ProtocolError::HandleTooLong(handle.len()));
                }
                Self::Handle(handle)
            }
            packet::DATA => Self::Data(fields.string("SSH_FXP_DATA")?),
            packet::NAME => {
                let count = fields.u32("SSH_FXP_NAME")?;
                let mut names = Vec::new();
                for _ in 0..count {
                    let name = fields.string("SSH_FXP_NAME")?.to_vec();
                    fields.string("SSH_FXP_NAME")?;
                    names.push(Name { name, attributes: Attributes::decode(&mut fields)? });
                }
                Self::Names(names)
            }
            packet::ATTRS => Self::Attributes(Attributes::decode(&mut fields)?),
            packet::EXTENDED_REPLY => return Ok((id, Self::Extended(fields.0))),
            other => return Err(ProtocolError::UnknownPacket(other)),
        };
        fields.end(reply.name())?;
        Ok((id, reply))
    }
}

/// Parses the server's first frame: its version, and its extensions by name.
pub fn decode_version(frame: Bytes) -> Result<(u32, Vec<(Bytes, Bytes)>), ProtocolError> {
    let mut fields = Fields(frame);
    match fields.u8("a packet type")? {
        packet::VERSION => {}
        other => return Err(ProtocolError::UnknownPacket(other)),
    }
    let version = fields.u32("SSH_FXP_VERSION")?;
    let mut extensions = Vec::new();
    while !fields.is_empty() {
        extensions.push((fields.string("SSH_FXP_VERSION")?, fields.string("SSH_FXP_VERSION")?));
    }
    Ok((version, extensions))
}
