//! Cuts a stream of bytes at line ends, or at least between characters, so that the pieces can be shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

/// A line that is longer is shown in parts.
const LONGEST_LINE: usize = 1024 * 1024;

/// The same if the lines of all hosts together take more than [`ROOM`].
const SHORTER: usize = 16 * 1024;

/// How many bytes of unfinished lines all hosts together may hold.
const ROOM: usize = 16 * 1024 * 1024;

/// Takes pieces as they arrive and returns what can be shown.
#[derive(Debug)]
pub(super) struct Lines {
    /// Whole lines only.
    linewise: bool,
    held: BytesMut,
    /// The bytes that all hosts hold.
    all: Arc<AtomicUsize>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.all.fetch_sub(self.held.len(), Ordering::Relaxed);
    }
}

impl Lines {
    /// `all` counts the bytes that its owners hold together.
    pub(super) fn new(linewise: bool, all: Arc<AtomicUsize>) -> Self {
        Self { linewise, held: BytesMut::new(), all }
    }

    fn longest(&self) -> usize {
        if self.all.load(Ordering::Relaxed) > ROOM { SHORTER } else { LONGEST_LINE }
    }

    /// What can be shown, if anything, and whether it ends within a line.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Option<(Bytes, bool)> {
        let before = self.held.len();
        let shown = self.take(bytes);
        let after = self.held.len();
        if after > before {
            self.all.fetch_add(after - before, Ordering::Relaxed);
        } else if after < before {
            self.all.fetch_sub(before - after, Ordering::Relaxed);
        }
        shown
    }

    fn take(&mut self, bytes: &Bytes) -> Option<(Bytes, bool)> {
        let end = match memchr::memrchr(b'\n', bytes) {
            Some(at) if self.linewise => at + 1,
            None if self.linewise && self.held.len() + bytes.len() <= self.longest() => 0,
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

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The rest, at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<(Bytes, bool)> {
        self.all.fetch_sub(self.held.len(), Ordering::Relaxed);
        (!self.held.is_empty()).then(|| (self.held.split().freeze(), true))
    }
}

/// How many bytes at the end of `held` + `bytes`, but of `bytes` at most, are the beginning of an incomplete character.
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
            let shown = through(Lines::new(false, Arc::default()), text.as_bytes(), piece);
            assert!(shown.iter().all(|(part, _)| std::str::from_utf8(part).is_ok()), "{piece}");
            assert_eq!(shown.iter().flat_map(|(part, _)| part.to_vec()).collect::<Vec<_>>(), text.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_characters_all_come_through() {
        let bytes: Vec<u8> = (0..=255).chain([0xC3, 0xC3, 0xF0, 0x9F, 0xFF, 0xE2, 0x82]).collect();
        for piece in 1..=9 {
            let shown = through(Lines::new(false, Arc::default()), &bytes, piece);
            assert_eq!(shown.iter().flat_map(|(part, _)| part.to_vec()).collect::<Vec<_>>(), bytes);
        }
    }

    #[test]
    fn linewise_output_is_whole_lines() {
        for piece in 1..=12 {
            let shown = through(Lines::new(true, Arc::default()), b"one\ntwo\n\nthree", piece);
            let (last, rest) = shown.split_last().unwrap();
            assert_eq!(last, &(Bytes::from_static(b"three"), true));
            assert!(rest.iter().all(|(part, partial)| part.ends_with(b"\n") && !partial), "{piece}");
        }
    }

    #[test]
    fn an_endless_line_is_shown_in_parts() {
        let shown = through(Lines::new(true, Arc::default()), &vec![b'x'; 3 * LONGEST_LINE], 64 * 1024);
        assert!(shown.len() >= 2 && shown.iter().all(|(part, partial)| *partial && part.len() <= 2 * LONGEST_LINE));
    }

    #[test]
    fn the_endless_lines_of_a_thousand_hosts_take_little() {
        let all = Arc::new(AtomicUsize::new(0));
        let mut hosts: Vec<_> = (0..1000).map(|_| Lines::new(true, all.clone())).collect();
        for _ in 0..64 {
            for host in &mut hosts {
                host.push(&Bytes::from_static(&[b'x'; SHORTER]));
            }
            let held = all.load(Ordering::Relaxed);
            assert_eq!(held, hosts.iter().map(|host| host.held.len()).sum::<usize>());
            assert!(held <= ROOM + hosts.len() * SHORTER, "{held}");
        }
        drop(hosts);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
