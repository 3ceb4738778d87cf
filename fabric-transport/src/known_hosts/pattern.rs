//! Patterns of names (ssh_config(5), "PATTERNS").

/// Whether a pattern with `*` and `?` matches all of a name. Both must be in lower case.
///
/// Takes time in proportion to pattern times name at worst, whatever the pattern.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and what it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, swallowed)) = &mut star else { return false };
                *swallowed += 1;
                (p, n) = (*at + 1, *swallowed);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

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
