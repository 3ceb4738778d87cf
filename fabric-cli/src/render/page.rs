//! Text on its way to standard output and standard error, in one order.

use fabric_core::Stream;

/// What is to be written next: bytes for two streams that may well be the same terminal, and so have to
/// stay in order.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    /// Where the bytes of a stream end, in order.
    ends: Vec<(Stream, usize)>,
    current: Option<Stream>,
}

impl Page {
    /// Where the bytes of this stream are added.
    pub fn to(&mut self, stream: Stream) -> &mut Vec<u8> {
        if self.current != Some(stream) {
            self.end();
            self.current = Some(stream);
        }
        &mut self.bytes
    }

    /// Adds a line to standard error.
    pub fn note(&mut self, line: &str) {
        let bytes = self.to(Stream::Stderr);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes everything, each piece to its stream, and is empty again.
    pub fn take(&mut self, mut write: impl FnMut(Stream, &[u8])) {
        self.end();
        let mut start = 0;
        for (stream, end) in self.ends.drain(..) {
            if end > start {
                write(stream, &self.bytes[start..end]);
            }
            start = end;
        }
        self.bytes.clear();
        self.current = None;
    }

    fn end(&mut self) {
        if let Some(stream) = self.current {
            self.ends.push((stream, self.bytes.len()));
        }
    }
}

#[cfg(test)]
impl Page {
    /// Everything, lines of standard error marked with `2>`.
    pub fn into_text(mut self) -> String {
        let mut text = String::new();
        self.take(|stream, bytes| {
            for line in String::from_utf8_lossy(bytes).split_inclusive('\n') {
                text.push_str(if stream == Stream::Stderr { "2> " } else { "" });
                text.push_str(line);
            }
        });
        text
    }
}
