//! Frames: `u32` length, `u8` kind, `u32` length of the header, the header (a JSON object), raw bytes. Numbers are big-endian;
//! the first length counts all that comes after it.

use std::io::{self, Read, Write};

use bytes::{BufMut as _, Bytes, BytesMut};
use fabric_core::Value;
use fabric_core::settings::Map;
use thiserror::Error;

/// The version of the protocol.
pub const VERSION: u64 = 1;

/// The largest frame that either side takes, in bytes.
pub const LIMIT: usize = 1 << 30;

/// How long what stands before the header is.
const HEAD: usize = 9;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Who this is: the first frame of each side.
    Hello = 0,
    /// A request.
    Call = 1,
    /// Its answer.
    Reply = 2,
    /// What went wrong instead.
    Error = 3,
    /// Bytes on the way to an answer: what a command prints or reads.
    Data = 4,
    /// The answer is not wanted any more.
    Cancel = 5,
    /// What a person should know, and nothing answers.
    Event = 6,
    /// This side goes.
    Bye = 7,
}

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub header: Map,
    /// The bytes behind that.
    pub raw: Bytes,
}

/// What is no frame.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other side has gone, in the middle of a frame or between two.
    #[error("the other side has gone")]
    Gone,
    /// It is longer than may be.
    #[error("a frame of {0} bytes is more than the protocol takes ({LIMIT})")]
    TooLong(usize),
    /// It is none.
    #[error("not a frame of the protocol: {0}")]
    Wrong(&'static str),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Hello, Self::Call, Self::Reply, Self::Error, Self::Data, Self::Cancel, Self::Event, Self::Bye]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

impl Frame {
    /// A frame without bytes.
    pub fn new(kind: Kind, header: Map) -> Self {
        Self { kind, header, raw: Bytes::new() }
    }

    /// With bytes behind the header.
    #[must_use]
    pub fn with(self, raw: impl Into<Bytes>) -> Self {
        Self { raw: raw.into(), ..self }
    }

    /// A number of the header.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header.get(name).and_then(Value::as_u64)
    }

    /// A text of the header.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// Whether the header says yes to this.
    pub fn flag(&self, name: &str) -> bool {
        self.header.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// What goes over the socket.
    ///
    /// # Errors
    ///
    /// It is too long.
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        let header = serde_json::to_vec(&self.header).unwrap_or_default();
        let length = HEAD - 4 + header.len() + self.raw.len();
        if length > LIMIT {
            return Err(FrameError::TooLong(length));
        }
        let mut out = BytesMut::with_capacity(4 + length);
        out.put_u32(length as u32);
        out.put_u8(self.kind as u8);
        out.put_u32(header.len() as u32);
        out.put_slice(&header);
        out.put_slice(&self.raw);
        Ok(out.freeze())
    }

    /// What the first nine bytes say: the kind, and how long header and raw bytes are.
    ///
    /// # Errors
    ///
    /// They don't begin a frame.
    pub fn head(head: [u8; HEAD]) -> Result<(Kind, usize, usize), FrameError> {
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (length, header) = (number(0), number(5));
        if length > LIMIT {
            return Err(FrameError::TooLong(length));
        }
        let kind = Kind::of(head[4]).ok_or(FrameError::Wrong("its kind is unknown"))?;
        let raw = length.checked_sub(HEAD - 4 + header).ok_or(FrameError::Wrong("its header is longer than it is"))?;
        Ok((kind, header, raw))
    }

    /// The frame of this kind with this header and these bytes.
    ///
    /// # Errors
    ///
    /// The header is no JSON object.
    pub fn of(kind: Kind, header: &[u8], raw: Bytes) -> Result<Self, FrameError> {
        let header = serde_json::from_slice(header).map_err(|_| FrameError::Wrong("its header is no JSON object"))?;
        Ok(Self { kind, header, raw })
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// What came is none, or nothing came.
    pub fn read(from: &mut impl Read) -> Result<Self, FrameError> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => FrameError::Gone,
            _ => FrameError::Io(error),
        };
        let mut head = [0; HEAD];
        from.read_exact(&mut head).map_err(gone)?;
        let (kind, header, raw) = Self::head(head)?;
        let mut rest = vec![0; header + raw];
        from.read_exact(&mut rest).map_err(gone)?;
        let raw = Bytes::from(rest.split_off(header));
        Self::of(kind, &rest, raw)
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// It is too long, or the other side has gone.
    pub fn write(&self, to: &mut impl Write) -> Result<(), FrameError> {
        Ok(to.write_all(&self.encode()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_frame_reads_back() {
        let frame = Frame::new(Kind::Call, map(json!({"id": 7, "verb": "run"}))).with(&b"\x00\xff"[..]);
        let encoded = frame.encode().unwrap();
        let read = Frame::read(&mut &encoded[..]).unwrap();
        assert_eq!((read.kind, read.number("id"), &read.raw[..]), (Kind::Call, Some(7), &b"\x00\xff"[..]));
        for cut in 0..encoded.len() {
            assert!(matches!(Frame::read(&mut &encoded[..cut]), Err(FrameError::Gone)), "{cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let of = |bytes: &[u8]| Frame::read(&mut &bytes[..]).unwrap_err().to_string();
        assert!(of(&[0xff; 9]).contains("4294967295 bytes"), "four gigabytes");
        assert!(of(&[0, 0, 0, 7, 99, 0, 0, 0, 2, b'{', b'}']).contains("kind"));
        assert!(of(&[0, 0, 0, 7, 1, 0, 0, 0, 3, b'{', b'}']).contains("longer than it is"));
        assert!(of(&[0, 0, 0, 7, 1, 0, 0, 0, 2, b'[', b']']).contains("JSON object"));
    }
}
