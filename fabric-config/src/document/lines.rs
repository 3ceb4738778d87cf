//! Texts and their lines.

use fabric_core::settings::{Setting, TABLE};

/// The text of a file, without a byte order mark. The error is a line and what is wrong there.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, (usize, String)> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((1, "the file is UTF-16: save it as UTF-8".to_owned()));
    }
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        (line, "the file is not UTF-8: save it as UTF-8".to_owned())
    })
}

/// Where the lines of a text end, to tell the line of a place in it.
pub(crate) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, on which the byte at `offset` stands.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// `` : `the line` ``, or nothing where the line may hold a secret.
pub(crate) fn shown_line(text: &str, line: usize) -> String {
    const MOST: usize = 80;
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
    let before: Vec<&str> = text.lines().take(line).collect();
    if shown.is_empty() || before.iter().any(|line| may_hold_secret(line)) {
        return String::new();
    }
    match shown.char_indices().nth(MOST) {
        Some((end, _)) => format!(": `{}...`", &shown[..end]),
        None => format!(": `{shown}`"),
    }
}

/// Whether a secret's name stands in this line: a text over several lines may go on after it.
fn may_hold_secret(line: &str) -> bool {
    let mut names = TABLE.iter().filter(|setting| setting.is_secret()).flat_map(Setting::spellings);
    names.any(|name| {
        let last = name.rsplit('.').next().unwrap_or(name);
        line.match_indices(last).any(|(at, _)| {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            !line[..at].ends_with(word) && !line[at + last.len()..].starts_with(word)
        })
    })
}
