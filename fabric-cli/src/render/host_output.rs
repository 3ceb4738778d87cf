//! The output of a host on both streams, in order of arrival, with digests by which hosts are compared.

use std::convert::Infallible;
use std::io::{self, BufRead as _, BufReader, Read as _};

use fabric_core::Stream;
use sha2::{Digest as _, Sha256};

use super::mask::{Mask, Part, Parts};
use super::text_store::{Store, Text};

/// How much is read at a time.
const BLOCK: usize = 64 * 1024;

/// The output of a host while it prints.
pub(super) struct Printing {
    text: Text,
    mask: Mask,
    /// By stream, since the order in which lines of both arrive is random.
    streams: [(Parts, Hashes); 2],
}

impl Printing {
    /// Empty output.
    pub(super) fn new(store: &Store, mask: Mask) -> Self {
        let streams = [(); 2].map(|()| (Parts::new(mask.clone()), Hashes::default()));
        Self { text: store.text(), mask, streams }
    }

    /// Adds output.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.text.push(&header(stream, bytes.len()));
        self.text.push(bytes);
        let (parts, hashes) = &mut self.streams[stream as usize];
        let Ok(()) = parts.push(bytes, &mut hashing(hashes));
    }

    /// The whole output, and the digests of each stream.
    pub(super) fn end(self) -> (Printed, [Digests; 2]) {
        let digests = self.streams.map(|(parts, mut hashes)| {
            let Ok(()) = parts.end(&mut hashing(&mut hashes));
            hashes.end()
        });
        (Printed { text: self.text, mask: self.mask }, digests)
    }
}

/// The output of a host.
#[derive(Debug)]
pub(super) struct Printed {
    /// Bytes as received, with a [`header`] before each piece.
    text: Text,
    mask: Mask,
}

impl Printed {
    /// Whether it is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its length, if it is not in memory.
    pub(super) fn length_in_file(&self) -> Option<u64> {
        self.text.is_in_file().then(|| self.text.len())
    }

    /// Reads it, and passes its parts on.
    pub(super) fn read(&self, take: &mut impl FnMut(Stream, Part<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(BLOCK, self.text.reader());
        let [mut stdout, mut stderr] = [(); 2].map(|()| Parts::new(self.mask.clone()));
        while !reader.fill_buf()?.is_empty() {
            let mut bytes = [0; HEADER];
            reader.read_exact(&mut bytes)?;
            let (stream, mut left) = parse(bytes);
            let parts = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
            loop {
                let bytes = reader.fill_buf()?;
                let count = bytes.len().min(left);
                if count == 0 && left > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                parts.push(&bytes[..count], &mut |part| take(stream, part))?;
                reader.consume(count);
                left -= count;
                if left == 0 {
                    break;
                }
            }
        }
        stdout.end(&mut |part| take(Stream::Stdout, part))?;
        stderr.end(&mut |part| take(Stream::Stderr, part))
    }

    /// Reads the masked parts.
    pub(super) fn places(&self, take: &mut impl FnMut(Stream, &[u8]) -> io::Result<()>) -> io::Result<()> {
        self.read(&mut |stream, part| match part {
            Part::Number(place) | Part::Host(place) => take(stream, place),
            Part::Text(_) => Ok(()),
        })
    }
}

const HEADER: usize = size_of::<u64>();

/// The stream and the length of the bytes that follow.
fn header(stream: Stream, length: usize) -> [u8; HEADER] {
    ((length as u64) << 1 | u64::from(stream == Stream::Stderr)).to_le_bytes()
}

fn parse(header: [u8; HEADER]) -> (Stream, usize) {
    let number = u64::from_le_bytes(header);
    (if number & 1 == 0 { Stream::Stdout } else { Stream::Stderr }, (number >> 1) as usize)
}

/// SHA-256: no collisions are known, so equal digests mean equal output.
pub(super) type Hash = [u8; 32];

/// Digests of the output of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digests {
    /// Of the unmasked parts: equal for outputs that are (nearly) equal.
    pub masked: Hash,
    /// Of the masked parts.
    pub places: Hash,
}

/// Computes both digests.
fn hashing(hashes: &mut Hashes) -> impl FnMut(Part<'_>) -> Result<(), Infallible> {
    |part| {
        hashes.take(part);
        Ok(())
    }
}

#[derive(Default)]
struct Hashes {
    masked: Sha256,
    places: Sha256,
    /// The length of the text before the next masked part.
    text: u64,
}

impl Hashes {
    /// Each text is followed by its length, so that different outputs are never the same sequence of bytes.
    fn take(&mut self, part: Part<'_>) {
        let (kind, place) = match part {
            Part::Text(text) => {
                self.masked.update(text);
                self.text += text.len() as u64;
                return;
            }
            Part::Number(place) => (0, place),
            Part::Host(place) => (1, place),
        };
        self.end_text(kind);
        self.places.update(place);
        self.places.update((place.len() as u64).to_le_bytes());
    }

    fn end_text(&mut self, kind: u8) {
        self.masked.update(std::mem::take(&mut self.text).to_le_bytes());
        self.masked.update([kind]);
    }

    fn end(mut self) -> Digests {
        self.end_text(2);
        Digests { masked: self.masked.finalize().into(), places: self.places.finalize().into() }
    }
}
