//! Text to be written to standard output and standard error, in order.

use fabric_core::Stream;

/// Text to be written next. Both streams may be the same terminal, so their order is kept.
#[derive(Default)]
pub struct Page {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    current: Option<Stream>,
    /// How many bytes will be read when it is written.
    unread: usize,
}

enum Piece {
    /// Bytes of a stream, up to this offset.
    Bytes(Stream, usize),
    Unread(Unread),
}

/// Text kept elsewhere, passed in pieces to a function that writes it.
pub(crate) type Unread = Box<dyn FnOnce(&mut dyn FnMut(Stream, &[u8])) + Send>;

impl Page {
    /// The buffer to which bytes of this stream are added.
    pub(crate) fn to(&mut self, stream: Stream) -> &mut Vec<u8> {
        if self.current != Some(stream) {
            self.end();
            self.current = Some(stream);
        }
        &mut self.bytes
    }

    /// Adds a line to standard error.
    pub(crate) fn note(&mut self, line: &str) {
        let bytes = self.to(Stream::Stderr);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }

    /// Adds text of about this length that is not in memory.
    pub(crate) fn unread(&mut self, length: usize, text: Unread) {
        self.end();
        self.pieces.push(Piece::Unread(text));
        self.unread += length;
    }

    /// How many bytes it holds, those still to be read included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.unread
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes everything, each piece to its stream, and empties the page.
    pub fn take(&mut self, mut write: impl FnMut(Stream, &[u8])) {
        self.end();
        let mut start = 0;
        for piece in self.pieces.drain(..) {
            match piece {
                Piece::Bytes(stream, end) => {
                    if end > start {
                        write(stream, &self.bytes[start..end]);
                    }
                    start = end;
                }
                Piece::Unread(text) => text(&mut |stream, bytes| {
                    if !bytes.is_empty() {
                        write(stream, bytes);
                    }
                }),
            }
        }
        self.bytes.clear();
        self.unread = 0;
    }

    fn end(&mut self) {
        if let Some(stream) = self.current.take() {
            self.pieces.push(Piece::Bytes(stream, self.bytes.len()));
        }
    }
}

#[cfg(test)]
impl Page {
    /// The whole text, with `2>` before lines of standard error.
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
