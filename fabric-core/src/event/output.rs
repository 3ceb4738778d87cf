//! What a command printed.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::outcome::Stream;
use crate::setters::setters;

/// Bytes that a command printed: whole lines, one or many at once, or a part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// Which stream.
    pub stream: Stream,
    /// The bytes, each line with its end as the host sent it (`\n`, `\r\n`).
    pub data: Bytes,
    /// Whether `data` ends in the middle of a line: more of it follows (`linewise` is off), or the output
    /// ended without a line end.
    pub partial: bool,
}

impl Output {
    /// Bytes that end with a line.
    pub fn new(stream: Stream, data: impl Into<Bytes>) -> Self {
        Self { stream, data: data.into(), partial: false }
    }

    /// The lines, exact but for their line ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let data: &[u8] = &self.data;
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        let none = self.data.is_empty();
        data.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(move |_| !none)
    }
}

setters!(Output { partial: bool });

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let line = self.lines().next().unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("stream", &self.stream)?;
        map.serialize_entry("line", &String::from_utf8_lossy(line))?;
        if self.partial {
            map.serialize_entry("partial", &true)?;
        }
        map.end()
    }
}
