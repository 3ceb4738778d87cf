//! Cuts a stream of bytes where it may be shown: at line ends, or at least between characters.

use bytes::{Bytes, BytesMut};

/// A line that is longer is shown in parts.
const LONGEST_LINE: usize = 1024 * 1024;

/// Takes pieces as they come and gives out what may be shown by now.
#[derive(Debug)]
pub(super) struct Lines {
    /// Whole lines only.
    linewise: bool,
    held: BytesMut,
}

impl Lines {
    pub(super) fn new(linewise: bool) -> Self {
        Self { linewise, held: BytesMut::new() }
    }

    /// What may be shown, if anything, and whether it ends within a line.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Option<(Bytes, bool)> {
        let end = match memchr::memrchr(b'\n', bytes) {
            Some(at) if self.linewise => at + 1,
            None if self.linewise && self.held.len() + bytes.len() <= LONGEST_LINE => 0,
            _ => bytes.len() - unfinished(&self.held, bytes),
        };
        if end == 0 {
            self.held.extend_from_slice(bytes);
            return None;
        }
        let shown = if self.held.is_empty() {
            bytes.slice(..end)
        } else {
            self.held.extend_from_slice(&bytes[..end]);
            self.held.split().freeze()
        };
        self.held.extend_from_slice(&bytes[end..]);
        let partial = !shown.ends_with(b"\n");
        Some((shown, partial))
    }

    /// What is left at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<(Bytes, bool)> {
        (!self.held.is_empty()).then(|| (self.held.split().freeze(), true))
    }
}

/// How many bytes at the end of `held` + `bytes`, but of `bytes` at most, are the beginning of a character
/// of which more may come.
fn unfinished(held: &[u8], bytes: &[u8]) -> usize {
    let at = |back: usize| match bytes.len().checked_sub(back) {
        Some(index) => bytes.get(index),
        None => (bytes.len() + held.len()).checked_sub(back).and_then(|index| held.get(index)),
    };
    for back in 1..=3 {
        let Some(byte) = at(back) else { return 0 };
        let length = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return 0,
        };
        return if length > back { back.min(bytes.len()) } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mut lines: Lines, text: &[u8], piece: usize) -> Vec<(Bytes, bool)> {
        let mut shown: Vec<_> =
            text.chunks(piece).filter_map(|chunk| lines.push(&Bytes::copy_from_slice(chunk))).collect();
        shown.extend(lines.finish());
        shown
    }

    #[test]
    fn a_character_is_never_cut() {
        let text = "aé€𝄞 ü\nß".repeat(3);
        for piece in 1..=text.len() {
            let shown = through(Lines::new(false), text.as_bytes(), piece);
            assert!(shown.iter().all(|(part, _)| std::str::from_utf8(part).is_ok()), "{piece}");
            assert_eq!(shown.iter().flat_map(|(part, _)| part.to_vec()).collect::<Vec<_>>(), text.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_characters_all_come_through() {
        let bytes: Vec<u8> = (0..=255).chain([0xC3, 0xC3, 0xF0, 0x9F, 0xFF, 0xE2, 0x82]).collect();
        for piece in 1..=9 {
            let shown = through(Lines::new(false), &bytes, piece);
            assert_eq!(shown.iter().flat_map(|(part, _)| part.to_vec()).collect::<Vec<_>>(), bytes);
        }
    }

    #[test]
    fn linewise_output_is_whole_lines() {
        for piece in 1..=12 {
            let shown = through(Lines::new(true), b"one\ntwo\n\nthree", piece);
            let (last, rest) = shown.split_last().unwrap();
            assert_eq!(last, &(Bytes::from_static(b"three"), true));
            assert!(rest.iter().all(|(part, partial)| part.ends_with(b"\n") && !partial), "{piece}");
        }
    }

    #[test]
    fn an_endless_line_is_shown_in_parts() {
        let shown = through(Lines::new(true), &vec![b'x'; 3 * LONGEST_LINE], 64 * 1024);
        assert!(shown.len() >= 2 && shown.iter().all(|(part, partial)| *partial && part.len() <= 2 * LONGEST_LINE));
    }
}
