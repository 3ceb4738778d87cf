//! What is kept of a command's output.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// The bytes of one output stream: in memory, or if they are many, in a temporary file that has no name and
/// goes when the last clone does.
///
/// ```
/// use fabric_core::Captured;
///
/// let output = Captured::from("one\ntwo\nthree\n");
/// assert_eq!(output.len(), 14);
/// assert_eq!(output.tail(2), "two\nthree");
/// assert_eq!(output.lines().last().unwrap()?, "three");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Captured(Kept);

#[derive(Clone)]
enum Kept {
    Memory(Bytes),
    File { file: Arc<File>, length: u64 },
}

impl Captured {
    /// The first `length` bytes of an open file, which doesn't change any more.
    pub fn in_file(file: File, length: u64) -> Self {
        Self(Kept::File { file: Arc::new(file), length })
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Kept::Memory(bytes) => bytes.len() as u64,
            Kept::File { length, .. } => *length,
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are in a file.
    pub fn is_in_file(&self) -> bool {
        matches!(self.0, Kept::File { .. })
    }

    /// All of them. What is in a file is read into memory; an error of the disk ends it early.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.0 {
            Kept::Memory(bytes) => Cow::Borrowed(bytes),
            Kept::File { length, .. } => Cow::Owned(self.read(0, *length)),
        }
    }

    /// All of them as text; bytes that are not UTF-8 show as U+FFFD. See [`Captured::bytes`].
    pub fn text(&self) -> Cow<'_, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(lossy(bytes)),
        }
    }

    /// Reads them from the beginning, a piece at a time.
    pub fn reader(&self) -> impl Read + use<> {
        Reader { captured: self.clone(), at: 0 }
    }

    /// The lines as text, one at a time; bytes that are not UTF-8 show as U+FFFD.
    pub fn lines(&self) -> impl Iterator<Item = io::Result<String>> + use<> {
        BufReader::with_capacity(BLOCK, self.reader()).split(b'\n').map(|line| line.map(lossy))
    }

    /// The last `count` bytes, or all if they are fewer.
    pub fn end(&self, count: usize) -> Cow<'_, [u8]> {
        let from = self.len().saturating_sub(count as u64);
        match &self.0 {
            Kept::Memory(bytes) => Cow::Borrowed(&bytes[from as usize..]),
            Kept::File { length, .. } => Cow::Owned(self.read(from, length - from)),
        }
    }

    /// The last `count` lines as text, however much is before them.
    pub fn tail(&self, count: usize) -> String {
        let mut wanted = BLOCK;
        loop {
            let end = self.end(wanted);
            // The line end of the last line begins no other.
            let body = end.strip_suffix(b"\n").unwrap_or(&end);
            let mut ends = body.iter().rev().zip(0..).filter(|(byte, _)| **byte == b'\n').map(|(_, back)| back);
            let cut = if count == 0 { Some(0) } else { ends.nth(count - 1) };
            if cut.is_some() || end.len() as u64 == self.len() || end.len() < wanted {
                let lines = &end[body.len() - cut.unwrap_or(body.len())..];
                let text = String::from_utf8_lossy(lines);
                return text.lines().collect::<Vec<_>>().join("\n");
            }
            wanted *= 4;
        }
    }

    fn read(&self, from: u64, count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What can't be read is missing, as the callers document.
        let _ = Reader { captured: self.clone(), at: from }.take(count).read_to_end(&mut bytes);
        bytes
    }
}

/// Text of these bytes, without copying them if they are UTF-8.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

struct Reader {
    captured: Captured,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.captured.len().saturating_sub(self.at);
        let room = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let count = match &self.captured.0 {
            Kept::Memory(bytes) => {
                let from = self.at as usize;
                buf[..room].copy_from_slice(&bytes[from..from + room]);
                room
            }
            Kept::File { file, .. } => file.read_at(&mut buf[..room], self.at)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl Default for Captured {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl From<Bytes> for Captured {
    fn from(bytes: Bytes) -> Self {
        Self(Kept::Memory(bytes))
    }
}

impl From<&'static str> for Captured {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Captured {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Captured {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl PartialEq<[u8]> for Captured {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() as u64 && *self.bytes() == *other
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Memory(bytes) => bytes.fmt(f),
            Kept::File { length, .. } => write!(f, "{length} bytes in a file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn in_file(bytes: &[u8]) -> Captured {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Captured::in_file(file, bytes.len() as u64)
    }

    #[test]
    fn a_file_and_memory_say_the_same() {
        let long = "a line of some length\n".repeat(20_000);
        for text in ["", "\n", "one", "one\n", "one\ntwo", "\n\n", "a\r\nb\r\n", &long, long.trim_end()] {
            let (memory, file) = (Captured::from(text.to_owned()), in_file(text.as_bytes()));
            assert!(!memory.is_in_file() && file.is_in_file());
            for one in [&memory, &file] {
                assert_eq!((one.len(), one.is_empty()), (text.len() as u64, text.is_empty()));
                assert_eq!(one.text(), text);
                assert!(*one == *text.as_bytes());
                let lines: Vec<&str> = text.lines().collect();
                for count in [0, 1, 2, 3, 10_000, 30_000] {
                    let expected = lines[lines.len().saturating_sub(count)..].join("\n");
                    assert_eq!(one.tail(count), expected, "{count} of {text:.20}");
                }
                let split: Vec<&str> = text.split_terminator('\n').collect();
                assert_eq!(one.lines().map(Result::unwrap).collect::<Vec<_>>(), split);
                assert_eq!(*one.end(3), text.as_bytes()[text.len().saturating_sub(3)..]);
            }
        }
    }

    #[test]
    fn the_end_of_a_long_line_is_found() {
        let text = format!("first\n{}\nlast\n", "x".repeat(5 * BLOCK));
        for captured in [Captured::from(text.clone()), in_file(text.as_bytes())] {
            assert_eq!(captured.tail(1), "last");
            assert_eq!(captured.tail(2).len(), 5 * BLOCK + 5);
            assert_eq!(captured.tail(3), text.trim_end());
        }
    }

    #[test]
    fn what_is_not_utf_8_shows() {
        let bytes = b"caf\xe9\nline\n";
        for captured in [Captured::from(bytes.to_vec()), in_file(bytes)] {
            assert_eq!(captured.text(), "caf\u{fffd}\nline\n");
            assert_eq!(captured.tail(2), "caf\u{fffd}\nline");
            assert_eq!(*captured.bytes(), *bytes);
        }
    }
}
