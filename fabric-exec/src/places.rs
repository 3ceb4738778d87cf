//! Where in a fabfile its texts are.

use std::ops::Range;
use std::sync::Arc;

use fabric_core::{Layer, Origin};
use fabric_core_document::Source;

/// Where in its fabfile the texts of a task or a step are; empty for what is made by code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    source: Arc<Source>,
    /// Each text as it is read, and the bytes of the file that it is written in.
    texts: Vec<(String, Range<usize>)>,
}

impl Places {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, texts: Vec::new() }
    }

    pub(crate) fn add(&mut self, text: &str, span: Range<usize>) {
        self.texts.push((text.to_owned(), span));
    }

    /// What was added so far; what comes is apart.
    pub(crate) fn take(&mut self) -> Self {
        Self { source: self.source.clone(), texts: std::mem::take(&mut self.texts) }
    }

    /// Where this text begins.
    pub(crate) fn of(&self, text: &str) -> Option<Origin> {
        self.of_which(|one| one == text)
    }

    /// Where the first text of this kind begins.
    pub(crate) fn of_which(&self, is: impl Fn(&str) -> bool) -> Option<Origin> {
        let (_, span) = self.texts.iter().find(|(text, _)| is(text))?;
        Some(self.source.origin(Layer::Fabfile, span.start))
    }

    /// Where a part of this text is in the file. Of several parts that are spelled alike, the same one.
    pub(crate) fn within(&self, text: &str, part: &Range<usize>) -> Option<Origin> {
        let (_, span) = self.texts.iter().find(|(one, _)| one == text)?;
        let written = self.source.text.get(span.clone())?;
        let needle = text.get(part.clone()).filter(|needle| !needle.is_empty())?;
        let count = text[..part.start].matches(needle).count();
        // Escapes, and lines that are folded, are written otherwise.
        let at = written.match_indices(needle).nth(count).map_or(0, |(at, _)| at);
        Some(self.source.origin(Layer::Fabfile, span.start + at))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn parts_of_texts_have_a_line_and_a_column() {
        let file = "a = \"x \\t {{ v }}\"\nb = '''\nü {{ v }}\n{{ v }}'''\n";
        let mut places = Places::new(Arc::new(Source::new(Path::new("f.toml"), file)));
        let (first, second) = ("x \t {{ v }}", "ü {{ v }}\n{{ v }}");
        places.add(first, 4..18);
        places.add(second, 23..file.len() - 1);
        let shown = |text: &str, nth: usize| {
            let at = text.match_indices('v').nth(nth).unwrap().0;
            places.within(text, &(at..at + 1)).unwrap().to_string()
        };
        assert_eq!(shown(first, 0), "f.toml:1:14");
        assert_eq!(shown(second, 0), "f.toml:3:6");
        assert_eq!(shown(second, 1), "f.toml:4:4");
        assert_eq!(places.of(second).unwrap().to_string(), "f.toml:2:5");
        assert_eq!(places.of("else"), None);
    }
}
