//! Patterns with `*` and `?`, as ssh_config(5) has them under PATTERNS.

/// Whether a pattern matches all of a text. `*` is any number of bytes, `?` is one.
///
/// ```
/// use fabric_core::wildcard;
/// assert!(wildcard::matches(b"web*.example.???", b"web1.example.org"));
/// assert!(!wildcard::matches(b"web?", b"web12"));
/// ```
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_parts(pattern, text, |part| *part == b'*', |part, byte| *part == b'?' || *part == byte)
}

/// Whether the parts of a pattern match all of a text: each part but stars fits one byte of it.
///
/// Takes time in proportion to pattern times text at worst, whatever the pattern: the last star is the only place that ever
/// needs to be gone back to.
pub fn matches_parts<P>(
    pattern: &[P],
    text: &[u8],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, u8) -> bool,
) -> bool {
    let (mut at, mut next) = (0, 0);
    // Behind the last star, and the first byte that it hasn't swallowed.
    let mut retry = None;
    while let Some(&byte) = text.get(next) {
        match pattern.get(at) {
            Some(part) if is_star(part) => {
                at += 1;
                retry = Some((at, next));
            }
            Some(part) if fits(part, byte) => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((behind, from)) = retry else { return false };
                retry = Some((behind, from + 1));
                (at, next) = (behind, from + 1);
            }
        }
    }
    pattern[at..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by recursion.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                slow(rest, text) || text.split_first().is_some_and(|(_, text)| slow(pattern, text))
            }
            ([part, rest @ ..], [byte, text @ ..]) => (*part == b'?' || part == byte) && slow(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_the_definition_says(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        assert!(!matches(format!("{}c", "a*".repeat(200)).as_bytes(), "a".repeat(5_000).as_bytes()));
    }
}
