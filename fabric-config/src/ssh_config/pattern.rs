//! Patterns with `*` and `?`, compiled once; and comma-separated lists of them with `!`.
//!
//! Both match bytes, as OpenSSH does: `?` is one byte.

use fabric_core::wildcard;

/// One pattern, reduced to the cheapest test that decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// No wildcard.
    Exact(Box<str>),
    /// `*` alone.
    Any,
    /// `literal*`
    Prefix(Box<str>),
    /// `*literal`
    Suffix(Box<str>),
    /// Anything else.
    Glob(Box<str>),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let wild = |s: &str| s.contains(['*', '?']);
        if !wild(text) {
            return Self::Exact(text.into());
        }
        if text.bytes().all(|b| b == b'*') {
            return Self::Any;
        }
        match (text.strip_suffix('*'), text.strip_prefix('*')) {
            (Some(prefix), _) if !wild(prefix) => Self::Prefix(prefix.into()),
            (_, Some(suffix)) if !wild(suffix) => Self::Suffix(suffix.into()),
            _ => Self::Glob(text.into()),
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => text == &**exact,
            Self::Any => true,
            Self::Prefix(prefix) => text.as_bytes().starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => text.as_bytes().ends_with(suffix.as_bytes()),
            Self::Glob(glob) => wildcard::matches(glob.as_bytes(), text.as_bytes()),
        }
    }
}

/// The result of matching a text against a pattern list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A pattern matched, and no negated one did.
    Match,
    /// A negated pattern matched.
    Negated,
    /// No pattern matched.
    NoMatch,
}

/// A comma-separated list of patterns, each perhaps negated by `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternList {
    patterns: Vec<(bool, Pattern)>,
    /// OpenSSH gives up on a list at a pattern of this many bytes; what came before it still counts if negated.
    overlong: bool,
}

/// The longest pattern in a list that OpenSSH reads, plus one.
const PATTERN_LIMIT: usize = 1023;

impl PatternList {
    pub(super) fn new(text: &str, lowercase: bool) -> Self {
        let mut patterns = Vec::new();
        // Nothing follows a comma at the very end, but there is an empty pattern between two commas.
        let pieces = (!text.is_empty()).then(|| text.strip_suffix(',').unwrap_or(text).split(','));
        for piece in pieces.into_iter().flatten() {
            let (negated, piece) = piece.strip_prefix('!').map_or((false, piece), |rest| (true, rest));
            if piece.len() >= PATTERN_LIMIT {
                return Self { patterns, overlong: true };
            }
            let pattern = if lowercase { Pattern::new(&piece.to_ascii_lowercase()) } else { Pattern::new(piece) };
            patterns.push((negated, pattern));
        }
        Self { patterns, overlong: false }
    }

    pub(super) fn check(&self, text: &str) -> Verdict {
        let mut verdict = Verdict::NoMatch;
        for (negated, pattern) in &self.patterns {
            if pattern.matches(text) {
                if *negated {
                    return Verdict::Negated;
                }
                verdict = Verdict::Match;
            }
        }
        if self.overlong { Verdict::NoMatch } else { verdict }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.check(text) == Verdict::Match
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_openssh_says() {
        let yes = [
            ("web1", "web1"),
            ("*", ""),
            ("***", "x"),
            ("web*", "web"),
            ("web*", "web12"),
            ("*.org", ".org"),
            ("w?b", "web"),
            ("*a*b*", "xaxbx"),
            ("?", "x"),
            ("a**b", "ab"),
            ("", ""),
            ("*??", "ab"),
            ("??", "é"),
        ];
        for (pattern, text) in yes {
            assert!(Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [("web1", "Web1"), ("?", ""), ("w?b", "wb"), ("*a", "ab"), ("a*c", "acb"), ("", "x")] {
            assert!(!Pattern::new(pattern).matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn lists_negate() {
        let list = PatternList::new("web*,!web2,DB1", true);
        assert_eq!(list.check("web1"), Verdict::Match);
        assert_eq!(list.check("web2"), Verdict::Negated);
        assert_eq!(list.check("db1"), Verdict::Match);
        assert_eq!(list.check("x"), Verdict::NoMatch);
        assert_eq!(PatternList::new("!x", false).check("y"), Verdict::NoMatch);
        assert_eq!(PatternList::new("", false).check(""), Verdict::NoMatch);
        assert_eq!(PatternList::new(",", false).check(""), Verdict::Match);
        assert_eq!(PatternList::new("a,,", false).check(""), Verdict::Match);
        assert_eq!(PatternList::new("a,", false).check(""), Verdict::NoMatch);
        let long = format!("a,{}", "x".repeat(1100));
        assert_eq!(PatternList::new(&long, false).check("a"), Verdict::NoMatch);
    }

    proptest! {
        #[test]
        fn compiled_patterns_agree_with_the_matcher(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let matches = wildcard::matches(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), matches);
        }
    }
}
