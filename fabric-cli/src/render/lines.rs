//! Splits output into lines, however long they are.

use super::visible;

/// How much of an unfinished line is held back.
const LONG: usize = 64 * 1024;

/// Shows output that arrives in pieces as lines.
#[derive(Debug)]
pub(super) struct LineSplitter {
    /// The prefix of each line.
    prefix: &'static str,
    /// The unfinished line, as far as it isn't shown yet.
    open: Vec<u8>,
    /// Whether the beginning of the unfinished line is shown already.
    begun: bool,
}

impl LineSplitter {
    /// LineSplitter with this prefix.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, open: Vec::new(), begun: false }
    }

    /// Adds output.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.open.extend_from_slice(&bytes[..end]);
            self.end_line(out);
            bytes = &bytes[end + 1..];
        }
        self.open.extend_from_slice(bytes);
        if self.open.len() > LONG {
            self.begin_line(out);
            let end = whole(&self.open);
            visible::push(&self.open[..end], out);
            self.open.drain(..end);
        }
    }

    /// Ends the output.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if self.begun || !self.open.is_empty() {
            self.end_line(out);
        }
    }

    fn begin_line(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(self.prefix.as_bytes());
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        self.begin_line(out);
        visible::push(self.open.strip_suffix(b"\r").unwrap_or(&self.open), out);
        out.push(b'\n');
        self.open.clear();
        self.begun = false;
    }
}

/// How much of an unfinished line can be shown already: whole characters only, and not a carriage return at its end, which may
/// be part of the line end.
fn whole(line: &[u8]) -> usize {
    let begins = |byte: &u8| !matches!(byte, 0x80..=0xbf);
    let end = &line[line.len().saturating_sub(4)..];
    end.iter().rposition(begins).map_or(line.len(), |at| line.len() - end.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference() {
        let long = "x".repeat(LONG - 1) + "\u{1f600}\r" + &"\u{fc}".repeat(LONG);
        let bad = [&b"a\xf0\x9f\x98"[..], &vec![0x98; LONG], b"\xe2\x82", &[b'\x1b'; 10], b"\r"].concat();
        for text in [&b"\n"[..], b"a", b"a\n\nb\r\n", b"\r\r\n\r", long.as_bytes(), &bad] {
            let body = text.strip_suffix(b"\n").unwrap_or(text);
            let mut expected = Vec::new();
            for line in body.split(|byte| *byte == b'\n') {
                expected.extend_from_slice(b"> ");
                visible::push(line.strip_suffix(b"\r").unwrap_or(line), &mut expected);
                expected.push(b'\n');
            }
            for size in [1, 2, 3, 1001, 1 << 20] {
                let (mut lines, mut out) = (LineSplitter::new("> "), Vec::new());
                text.chunks(size).for_each(|piece| lines.push(piece, &mut out));
                lines.end(&mut out);
                assert!(out == expected, "{size}: {:?}", String::from_utf8_lossy(&text[..text.len().min(20)]));
            }
        }
    }
}
