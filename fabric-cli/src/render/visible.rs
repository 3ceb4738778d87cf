//! What a host sends, made harmless for a terminal.
//!
//! Control characters could move the cursor, change the title, or make one host's lines look like
//! another's. They are shown in caret notation (`^[`), those of the C1 range and of the Unicode text
//! direction as `\u{9b}`. Tabs and all other text stay; bytes that are not UTF-8 become U+FFFD.

/// Whether these bytes hold nothing but printable ASCII, tabs and line feeds, so that no line of them needs
/// [`push`].
pub(crate) fn is_plain(data: &[u8]) -> bool {
    let harmful = |byte: &u8| !matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    // No early end within a block: the compiler makes vector code of it.
    data.chunks(256).all(|block| block.iter().fold(0, |found, byte| found | u8::from(harmful(byte))) == 0)
}

/// Adds a line, made harmless.
pub(crate) fn push(line: &[u8], out: &mut Vec<u8>) {
    if is_plain(line) {
        out.extend_from_slice(line);
        return;
    }
    for chunk in line.utf8_chunks() {
        push_text(chunk.valid(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// A text, made harmless.
pub(crate) fn text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    push_text(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(is_harmful) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let mut chars = from.chars();
        match chars.next() {
            Some(c) if c < ' ' => out.extend_from_slice(&[b'^', c as u8 + b'@']),
            Some('\x7f') => out.extend_from_slice(b"^?"),
            Some(c) => out.extend_from_slice(format!("\\u{{{:x}}}", c as u32).as_bytes()),
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Controls but for the tab, and the overrides of text direction, by which a line can be made to read as
/// another.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let mut out = Vec::new();
        push(line, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn controls_are_made_visible() {
        for (line, expected) in [
            (&b"plain\ttext ~"[..], "plain\ttext ~"),
            (b"\x1b[31mred\x1b[0m", "^[[31mred^[[0m"),
            (b"\x1b]0;title\x07", "^[]0;title^G"),
            (b"10%\r20%", "10%^M20%"),
            (b"a\x00b\x7fc\x08", "a^@b^?c^H"),
            ("a\u{9b}2Jb\u{85}".as_bytes(), "a\\u{9b}2Jb\\u{85}"),
            ("gr\u{fc}n \u{1f600} \u{202e}x".as_bytes(), "gr\u{fc}n \u{1f600} \\u{202e}x"),
            (b"bad \xff\xc3 utf-8 \x9b1m", "bad \u{fffd}\u{fffd} utf-8 \u{fffd}1m"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn plain_is_what_needs_no_change() {
        assert!(is_plain(&[b'a'; 1000]) && is_plain(b"a\tb\n"));
        for harmful in [&b"\r"[..], b"\x1b", b"\x7f", "\u{fc}".as_bytes()] {
            assert!(!is_plain(&[&[b'a'; 500][..], harmful].concat()), "{harmful:?}");
        }
    }
}
