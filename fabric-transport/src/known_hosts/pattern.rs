//! Lists of patterns of names (ssh_config(5), "PATTERNS").

use fabric_core::wildcard::matches;

/// Whether a list of patterns matches a name: at least one does, and none with a `!` before it.
pub(super) fn list_matches(list: &[u8], name: &[u8]) -> bool {
    let mut matched = false;
    for pattern in list.split(|&c| c == b',') {
        match pattern.strip_prefix(b"!") {
            Some(negated) if matches(negated, name) => return false,
            Some(_) => {}
            None => matched = matched || matches(pattern, name),
        }
    }
    matched
}
