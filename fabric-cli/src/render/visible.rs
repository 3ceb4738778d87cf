//! Makes output harmless for the terminal.
//!
//! Control characters could move the cursor, change the title, or make one host's lines look like another's. They are shown in
//! caret notation (`^[`); those of the C1 range and overrides of text direction as `\u{9b}`. Tabs and other text are kept. Bytes
//! that are not UTF-8 become U+FFFD.

/// Whether these bytes are only printable ASCII, tabs and line feeds, so that no line needs [`push`].
pub(crate) fn is_plain(data: &[u8]) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let (words, rest) = data.as_chunks();
    // All output is checked: eight bytes at once, and one by one only where some byte is no printable ASCII.
    let plain_words = words.iter().all(|bytes| {
        let word = u64::from_ne_bytes(*bytes);
        let below_blank = word.wrapping_sub(EACH * 0x20) & !word;
        let above_tilde = word | word.wrapping_add(EACH);
        (below_blank | above_tilde) & (EACH * 0x80) == 0 || bytes.iter().all(plain)
    });
    plain_words && rest.iter().all(plain)
}

/// Appends a line, made harmless.
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

/// Control characters except the tab, and overrides of text direction, which can make a line read as another.
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
        // Wherever it is in a word, and whatever is beside it.
        for byte in 0..=255 {
            let plain = matches!(byte, b' '..=b'~' | b'\n' | b'\t');
            for (at, beside) in (0..20).flat_map(|at| b" a~\n".iter().map(move |beside| (at, *beside))) {
                let mut data = [beside; 20];
                data[at] = byte;
                assert_eq!(is_plain(&data), plain, "{byte:#x} at {at} beside {beside:#x}");
            }
        }
    }
}
