//! What of a stream is kept for the outcome.

use bytes::{Bytes, BytesMut};

/// The bytes of one stream, or the last of them. Every byte is moved a bounded number of times, however
/// many pieces it comes in.
///
/// This is the one place that decides where output is kept: a capture that spills to disk goes here.
#[derive(Debug)]
pub(super) struct Capture {
    kept: BytesMut,
    limit: Option<usize>,
    dropped: bool,
}

impl Capture {
    /// Keeps the last `limit` bytes; without a limit, all.
    pub(super) fn new(limit: Option<u64>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { kept: BytesMut::new(), limit, dropped: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(limit) = self.limit else {
            self.kept.extend_from_slice(bytes);
            return;
        };
        let skipped = bytes.len().saturating_sub(limit);
        self.dropped |= skipped > 0;
        self.kept.extend_from_slice(&bytes[skipped..]);
        // Cutting at twice the limit makes it a copy of each byte, not of the whole for each piece.
        if self.kept.len() > limit.saturating_mul(2) {
            self.cut(limit);
        }
    }

    /// The bytes, and whether earlier ones were dropped.
    pub(super) fn finish(mut self) -> (Bytes, bool) {
        if let Some(limit) = self.limit {
            self.cut(limit);
        }
        (self.kept.freeze(), self.dropped)
    }

    fn cut(&mut self, limit: usize) {
        let surplus = self.kept.len().saturating_sub(limit);
        if surplus > 0 {
            self.kept = BytesMut::from(&self.kept[surplus..]);
            self.dropped = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_however_they_come() {
        let text = b"0123456789abcdef";
        for limit in 0..=17_u64 {
            for piece in 1..=16 {
                let mut capture = Capture::new(Some(limit));
                text.chunks(piece).for_each(|chunk| capture.push(chunk));
                let from = text.len().saturating_sub(limit as usize);
                assert_eq!(capture.finish(), (Bytes::copy_from_slice(&text[from..]), from > 0), "{limit} {piece}");
            }
        }
    }
}
