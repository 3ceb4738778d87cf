//! The wire format of SFTP version 3: frames, requests and replies as bytes.
//!
//! Pure functions of bytes (draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL, section 4). Nothing here
//! allocates on the word of a peer: a length is checked against what is there before it is used.

use bytes::{Buf as _, BufMut, Bytes, BytesMut};

use super::attributes::Attributes;
use super::error::ProtocolError;
use super::fields::Fields;

/// The longest frame that is read or sent: OpenSSH's `SFTP_MAX_MSG_LENGTH` (256 KiB) and some slack for
/// servers that count the header separately.
pub const MAX_FRAME: u32 = 256 * 1024 + 1024;

/// What one read or write carries where the server states no limit: 32 KiB, which every server must take.
pub const DEFAULT_CHUNK: u32 = 32 * 1024;

/// The most that one read or write carries, whatever the server offers, so that its frame stays below
/// [`MAX_FRAME`]: 255 KiB, which is also what OpenSSH's server offers.
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

/// Cuts a byte stream into frames.
///
/// Bytes go in through [`FrameBuffer::space`], whole frames come out of [`FrameBuffer::next_frame`] as
/// slices of the very bytes that were read.
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
    /// Where few bytes are due, as many are asked for: many short answers then cost one read.
    const READ_AHEAD: usize = 16 * 1024;
    /// Beyond the end of a long frame only this much is asked for, since it has to be moved once the next
    /// long frame calls for a buffer of its own.
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

    /// Room for the bytes that are read next: what the frame at hand still lacks and some more. Call it
    /// after [`Self::next_frame`] gave `None`.
    pub fn space(&mut self) -> impl BufMut + Send + '_ {
        let whole = self.announced().map_or(0, |length| 4 + length.min(MAX_FRAME) as usize);
        let lacking = whole.saturating_sub(self.buffer.len());
        let room = if lacking > Self::READ_AHEAD { lacking + Self::OVERSHOOT } else { Self::READ_AHEAD };
        if self.buffer.is_empty() {
            // What a long frame needed would otherwise be held on to while nothing happens.
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(room);
        (&mut self.buffer).limit(room)
    }

    /// Whether a frame has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What has come, where it is text: the first frame of a server begins with a zero byte, as its length is small, and
    /// nothing that a shell prints does.
    pub(super) fn text(&self) -> Option<&[u8]> {
        self.buffer.first().filter(|first| **first != 0).map(|_| &self.buffer[..])
    }

    fn announced(&self) -> Option<u32> {
        self.buffer.first_chunk().map(|length| u32::from_be_bytes(*length))
    }
}

/// A request being put together. Its id is given last, by [`Request::seal`].
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

    /// A request of type `packet`, with room for `capacity` further bytes.
    pub fn new(packet: u8, capacity: usize) -> Self {
        let mut frame = BytesMut::with_capacity(Self::HEAD + capacity);
        frame.put_u32(0);
        frame.put_u8(packet);
        frame.put_u32(0);
        Self { frame }
    }

    /// The named extended request.
    pub fn extended(name: &str, capacity: usize) -> Self {
        Self::new(packet::EXTENDED, 4 + name.len() + capacity).string(name.as_bytes())
    }

    /// Appends a number.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.frame.put_u32(value);
        self
    }

    /// Appends a long number.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.frame.put_u64(value);
        self
    }

    /// Appends a length and as many bytes.
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

    /// The finished frame, with this id.
    pub fn seal(mut self, id: u32) -> Bytes {
        let length = (self.frame.len() - 4) as u32;
        self.frame[..4].copy_from_slice(&length.to_be_bytes());
        self.frame[5..9].copy_from_slice(&id.to_be_bytes());
        self.frame.freeze()
    }
}

/// A write request that is filled from a source: the data is read into its place in the frame, so
/// that it is not copied once more.
#[derive(Debug)]
pub struct WriteRequest {
    request: Request,
    head: usize,
    chunk: usize,
}

impl WriteRequest {
    /// A write of up to `chunk` bytes to an open file, with room for `capacity` of them to begin with.
    pub fn new(handle: &[u8], chunk: usize, capacity: usize) -> Self {
        let fields = 4 + handle.len() + 8 + 4;
        let request = Request::new(packet::WRITE, fields + capacity.min(chunk)).string(handle).u64(0).u32(0);
        Self { head: request.frame_len(), request, chunk }
    }

    /// Room for data that it still takes; call it again until [`Self::is_full`].
    pub fn space(&mut self) -> impl BufMut + Send + '_ {
        let left = self.chunk - self.len();
        if self.request.frame.capacity() == self.request.frame.len() {
            self.request.frame.reserve(self.request.frame.len().min(left));
        }
        let room = left.min(self.request.frame.capacity() - self.request.frame.len());
        (&mut self.request.frame).limit(room)
    }

    /// How many bytes of data it has.
    pub fn len(&self) -> usize {
        self.request.frame.len() - self.head
    }

    /// Whether it has no data.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it takes no more data.
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
    /// What the server says about it.
    pub attributes: Attributes,
}

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// A code and the server's words about it.
    Status(u32, Bytes),
    /// An open file or directory.
    Handle(Bytes),
    /// A piece of a file.
    Data(Bytes),
    /// Entries of a directory, or one path.
    Names(Vec<Name>),
    /// About a file.
    Attributes(Attributes),
    /// The answer to an extended request, not looked into.
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

    /// Reads a frame as the answer to a request: the request's id and what was answered.
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

/// Reads a frame as the server's first one: its version and its extensions, by name.
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
