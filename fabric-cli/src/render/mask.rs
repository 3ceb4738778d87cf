//! Masks what naturally differs between hosts in their output: numbers, and the host's own name.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use fabric_core::{HostString, Stream};

use super::host_output::Printed;
use super::text_store::{Store, Text};

/// What is masked.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    on: bool,
    /// The names of the host.
    names: Arc<[String]>,
}

impl Mask {
    /// Masks nothing.
    pub(super) fn nothing() -> Self {
        Self { on: false, names: Arc::default() }
    }

    /// Masks runs of digits and the names of `host` as whole words.
    pub(super) fn of(host: &str) -> Self {
        Self { on: true, names: names(host).into() }
    }
}

/// A part of a stream's output. Outputs are nearly equal if only their numbers and host names differ.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// Unmasked bytes; the next part may be such, too.
    Text(&'a [u8]),
    /// A run of digits.
    Number(&'a [u8]),
    /// The host's own name.
    Host(&'a [u8]),
}

/// Splits the output of a stream into parts, however it is cut into pieces.
#[derive(Debug)]
pub(super) struct Parts {
    mask: Mask,
    /// The byte before `ahead`.
    last: Option<u8>,
    /// Digits; more may follow.
    number: Vec<u8>,
    /// Bytes that may be the beginning of a name.
    ahead: Vec<u8>,
}

impl Parts {
    /// Splits by this mask.
    pub(super) fn new(mask: Mask) -> Self {
        Self { mask, last: None, number: Vec::new(), ahead: Vec::new() }
    }

    /// Adds output, and passes its parts on.
    pub(super) fn push<E>(&mut self, bytes: &[u8], take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        if !self.mask.on {
            return take(Part::Text(bytes));
        }
        self.ahead.extend_from_slice(bytes);
        self.find(false, take)
    }

    /// Ends the output.
    pub(super) fn end<E>(mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        self.find(true, take)
    }

    fn find<E>(&mut self, is_all: bool, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        let bytes = std::mem::take(&mut self.ahead);
        // A name ends where no further letter follows, at the latest with the line.
        let longest = self.mask.names.iter().map(String::len).max().unwrap_or(0);
        let lines = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
        let end = if is_all { bytes.len() } else { bytes.len().saturating_sub(longest).max(lines) };
        // All names of a host have a common beginning.
        let first = self.mask.names.first().and_then(|name| name.bytes().next());
        let (mut text, mut at) = (0, 0);
        while at < end {
            let rest = &bytes[at..];
            let starts_word = self.last.is_none_or(|last| !in_name(last));
            let is_name = |name: &&String| {
                rest.starts_with(name.as_bytes()) && rest.get(name.len()).is_none_or(|next| !in_name(*next))
            };
            let name = self.mask.names.iter().filter(|_| starts_word).find(is_name).map_or(0, String::len);
            let digits = rest[..end - at].iter().take_while(|byte| name == 0 && byte.is_ascii_digit()).count();
            if digits == 0 {
                self.end_number(take)?;
            }
            if name + digits > 0 {
                if text < at {
                    take(Part::Text(&bytes[text..at]))?;
                }
                text = at + name + digits;
            }
            if name > 0 {
                take(Part::Host(&rest[..name]))?;
            }
            self.number.extend_from_slice(&rest[..digits]);
            at += (name + digits).max(1);
            if digits == 0 {
                let rest = &bytes[at..end.max(at)];
                let begins = |byte: &u8| byte.is_ascii_digit() || Some(*byte) == first;
                at += rest.iter().position(begins).unwrap_or(rest.len());
            }
            self.last = Some(bytes[at - 1]);
        }
        if text < at {
            take(Part::Text(&bytes[text..at]))?;
        }
        if is_all {
            self.end_number(take)?;
        }
        self.ahead = bytes[at..].to_vec();
        Ok(())
    }

    fn end_number<E>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        if !self.number.is_empty() {
            take(Part::Number(&self.number))?;
            self.number.clear();
        }
        Ok(())
    }
}

/// The masked parts of nearly equal outputs, by stream: the least and the greatest text of each part, each followed by
/// [`END`].
#[derive(Debug)]
pub(super) struct Seen([Text; 2]);

/// Occurs in no number and in no name.
const END: u8 = 0;

impl Seen {
    /// The masked parts of one output.
    pub(super) fn of(printed: &Printed, store: &Store) -> io::Result<Self> {
        let mut seen = Self::nothing(store);
        printed.places(&mut |stream, place| {
            seen.push(stream, place, place);
            Ok(())
        })?;
        Ok(seen)
    }

    /// Merges the masked parts of another output.
    pub(super) fn with(&self, other: &Printed, store: &Store) -> io::Result<Self> {
        let (mut places, mut seen) = (Places::of(Some(self)), Self::nothing(store));
        other.places(&mut |stream, place| {
            let (least, most) = places.next(stream, place)?;
            let least = if order(place) < order(least) { place } else { least };
            let most = if order(place) > order(most) { place } else { most };
            seen.push(stream, least, most);
            Ok(())
        })?;
        Ok(seen)
    }

    fn nothing(store: &Store) -> Self {
        Self([store.text(), store.text()])
    }

    fn push(&mut self, stream: Stream, least: &[u8], most: &[u8]) {
        for text in [least, &[END], most, &[END]] {
            self.0[stream as usize].push(text);
        }
    }
}

/// Reads masked parts one after the other.
pub(super) struct Places<'a> {
    /// `None` if they are the same in all outputs.
    seen: Option<[Box<dyn BufRead + 'a>; 2]>,
    least: Vec<u8>,
    most: Vec<u8>,
}

impl<'a> Places<'a> {
    /// Starts with the first part.
    pub(super) fn of(seen: Option<&'a Seen>) -> Self {
        let seen = seen.map(|seen| seen.0.each_ref().map(|text| Box::new(BufReader::new(text.reader())) as _));
        Self { seen, least: Vec::new(), most: Vec::new() }
    }

    /// Passes a part of one of the outputs on, with what differs replaced: numbers by `{3..17}`, each host's own name by
    /// `{host}`.
    pub(super) fn fill(&mut self, stream: Stream, part: Part<'_>, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
        match part {
            Part::Text(text) => take(text),
            Part::Number(place) | Part::Host(place) => match (self.next(stream, place)?, part) {
                ((least, most), _) if least == most => take(least),
                (_, Part::Host(_)) => take(b"{host}"),
                ((least, most), _) => [b"{", least, b"..", most, b"}"].into_iter().for_each(take),
            },
        }
        Ok(())
    }

    /// The least and the greatest text of the stream's next masked part, which is `text` in one of the outputs.
    fn next<'b>(&'b mut self, stream: Stream, place: &'b [u8]) -> io::Result<(&'b [u8], &'b [u8])> {
        let Some(seen) = &mut self.seen else { return Ok((place, place)) };
        for text in [&mut self.least, &mut self.most] {
            text.clear();
            seen[stream as usize].read_until(END, text)?;
            text.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        Ok((&self.least, &self.most))
    }
}

/// Compares numbers of any length by value.
fn order(text: &[u8]) -> (usize, &[u8]) {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    (text.len() - zeros, &text[zeros..])
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The names of a host: its name with and without domain.
fn names(host: &str) -> Vec<String> {
    let name = HostString::parse(host).map_or(Cow::Borrowed(host), |host| host.host().to_owned().into());
    let short = name.split('.').next().filter(|short| short.starts_with(|c: char| c.is_alphabetic()));
    let short = short.filter(|short| **short != *name).map(str::to_owned);
    std::iter::once(name.into_owned()).chain(short).collect()
}

#[cfg(test)]
mod tests {
    use super::super::host_output::Printing;
    use super::*;

    /// The outputs of some hosts, each of which comes in pieces of this size, put together if they are nearly equal.
    fn together(outputs: &[(&str, &str)], size: usize) -> Option<String> {
        let store = Store::default();
        let printed = |(host, text): &(&str, &str)| {
            let mut printing = Printing::new(&store, Mask::of(host));
            text.as_bytes().chunks(size).for_each(|piece| printing.push(Stream::Stdout, piece));
            printing.end()
        };
        let (first, digests) = printed(&outputs[0]);
        let mut seen = Seen::of(&first, &store).unwrap();
        for (other, others) in outputs[1..].iter().map(printed) {
            if others.map(|digests| digests.masked) != digests.map(|digests| digests.masked) {
                return None;
            }
            seen = seen.with(&other, &store).unwrap();
        }
        let (mut places, mut filled) = (Places::of(Some(&seen)), Vec::new());
        first.read(&mut |stream, part| places.fill(stream, part, &mut |text| filled.extend_from_slice(text))).unwrap();
        Some(String::from_utf8(filled).unwrap())
    }

    #[test]
    fn what_differs_is_marked() {
        for (outputs, expected) in [
            (
                &[("a", "up 3 days, load 0.07\n"), ("b", "up 17 days, load 0.12\n")][..],
                "up {3..17} days, load 0.{07..12}\n",
            ),
            (&[("a", "v2"), ("b", "v2")], "v2"),
            (&[("u@red.x.org:22", "red: ok"), ("blue.x.org", "blue: ok")], "{host}: ok"),
            (&[("red.x.org", "I am red.x.org."), ("blue.x.org", "I am blue.x.org.")], "I am {host}."),
            (&[("10.0.0.9", "at 10.0.0.9"), ("10.0.0.10", "at 10.0.0.10")], "at {host}"),
            (&[("web1", "web1 web10"), ("web2", "web2 web20")], "{host} web{10..20}"),
            (&[("a", "008"), ("b", "7"), ("c", "9")], "{7..9}"),
        ] {
            for size in 1..20 {
                assert_eq!(together(outputs, size).as_deref(), Some(expected));
            }
        }
        for outputs in
            [[("a", "yes 1"), ("b", "no 1")], [("a", "1 2"), ("b", "1")], [("red", "redder"), ("blue", "bluer")]]
        {
            assert_eq!(together(&outputs, 20), None);
        }
    }
}
