//! Output of which only what hosts differ in by nature is masked: numbers, and the host's own name.

use std::borrow::Cow;

use fabric_core::HostString;

/// Output, masked: two hosts' outputs are nearly equal where these are equal.
pub(super) type Masked = Vec<Part>;

/// A part of masked output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// A run of digits.
    Number,
    /// The host's own name.
    Host,
}

/// What stood at the masked places, on all hosts together.
#[derive(Debug)]
pub(super) struct Seen(Vec<Place>);

/// The least and the greatest of the texts of one place.
type Place = (Vec<u8>, Vec<u8>);

/// All of it as it is.
pub(super) fn whole(bytes: Vec<u8>) -> (Masked, Seen) {
    (vec![Part::Text(bytes)], Seen(Vec::new()))
}

/// Masks runs of digits and, as whole words, the names of `host`.
pub(super) fn mask(bytes: &[u8], host: Option<&str>) -> (Masked, Seen) {
    let names = host.map(names).unwrap_or_default();
    let (mut parts, mut seen, mut text) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let starts_word = at == 0 || !in_name(bytes[at - 1]);
        let is_name = |name: &&String| {
            starts_word && rest.starts_with(name.as_bytes()) && rest.get(name.len()).is_none_or(|next| !in_name(*next))
        };
        let (part, length) = match names.iter().find(is_name) {
            Some(name) => (Part::Host, name.len()),
            None => (Part::Number, rest.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        };
        if length == 0 {
            text.push(bytes[at]);
            at += 1;
            continue;
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(part);
        seen.push((rest[..length].to_vec(), rest[..length].to_vec()));
        at += length;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    (parts, Seen(seen))
}

impl Seen {
    /// Adds what stood there on another host.
    pub(super) fn add(&mut self, other: Self) {
        for ((least, most), (a, b)) in self.0.iter_mut().zip(other.0) {
            if order(&a) < order(least) {
                *least = a;
            }
            if order(&b) > order(most) {
                *most = b;
            }
        }
    }

    /// The output, with what differs marked: `{3..17}` for numbers, `{host}` for each host's own name.
    pub(super) fn fill(&self, masked: &Masked) -> Vec<u8> {
        let mut places = self.0.iter();
        let mut filled = Vec::new();
        for part in masked {
            match part {
                Part::Text(text) => filled.extend_from_slice(text),
                Part::Number | Part::Host => {
                    let Some((least, most)) = places.next() else { continue };
                    match part {
                        _ if least == most => filled.extend_from_slice(least),
                        Part::Host => filled.extend_from_slice(b"{host}"),
                        _ => filled.extend([&b"{"[..], least, b"..", most, b"}"].concat()),
                    }
                }
            }
        }
        filled
    }
}

/// Numbers by their size, however many digits they have.
fn order(text: &[u8]) -> (usize, &[u8]) {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    (text.len() - zeros, &text[zeros..])
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// What a host may call itself: its name, and that without its domain.
fn names(host: &str) -> Vec<String> {
    let name = HostString::parse(host).map_or(Cow::Borrowed(host), |host| host.host().to_owned().into());
    let short = name.split('.').next().filter(|short| short.starts_with(|c: char| c.is_alphabetic()));
    let short = short.filter(|short| **short != *name).map(str::to_owned);
    std::iter::once(name.into_owned()).chain(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of some hosts, put together if they are nearly equal.
    fn together(outputs: &[(&str, &str)]) -> Option<String> {
        let mut masked = outputs.iter().map(|(host, text)| mask(text.as_bytes(), Some(host)));
        let (first, mut seen) = masked.next()?;
        for (parts, other) in masked {
            if parts != first {
                return None;
            }
            seen.add(other);
        }
        Some(String::from_utf8(seen.fill(&first)).unwrap())
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
            assert_eq!(together(outputs).as_deref(), Some(expected));
        }
        for outputs in
            [[("a", "yes 1"), ("b", "no 1")], [("a", "1 2"), ("b", "1")], [("red", "redder"), ("blue", "bluer")]]
        {
            assert_eq!(together(&outputs), None);
        }
    }
}
