//! Names of hosts as Ansible writes them: `web[01:10:2].example.com:2222`.

use std::net::Ipv6Addr;

use thiserror::Error;

/// The hosts of a name: its ranges expanded, without the port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The names, and each as it is written with the port.
    pub(super) hosts: Vec<Written>,
    /// The port behind the name.
    pub(super) port: Option<u16>,
}

/// A host's name, and its host string.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) host: String,
}

/// An invalid name.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("`{text}`: {why}")]
pub(super) struct PatternError {
    text: String,
    why: &'static str,
}

impl PatternError {
    fn new(text: &str, why: &'static str) -> Self {
        Self { text: text.to_owned(), why }
    }
}

/// Reads a name. What isn't a network name with an optional port is a name as it is written, but for ranges.
pub(super) fn read(text: &str) -> Result<Pattern, PatternError> {
    if range_at(text.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(':')) == Some("")
        && text.contains("]:")
    {
        return Err(PatternError::new(text, "a range alone in front of a port, which could be an address"));
    }
    let (address, port) = Some(with_port(text)).filter(|(address, _)| is_host(address)).unwrap_or((text, None));
    let port = match port {
        None if text.trim_end().ends_with(':') => {
            return Err(PatternError::new(text, "it ends in a colon without a port"));
        }
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(PatternError::new(text, "its port is 0 or beyond 65535")),
        },
    };
    let mut names = Vec::new();
    expand(address, &mut names)?;
    let hosts = names.into_iter().map(|name| Written { host: host_string(&name, port), name });
    Ok(Pattern { hosts: hosts.collect(), port })
}

/// A name and a port as a host string.
pub(super) fn host_string(name: &str, port: Option<u16>) -> String {
    match port {
        None => name.to_owned(),
        Some(port) if name.contains(':') => format!("[{name}]:{port}"),
        Some(port) => format!("{name}:{port}"),
    }
}

/// The name and the digits of its port.
fn with_port(text: &str) -> (&str, Option<&str>) {
    let Some((address, digits)) = text.rsplit_once(':').filter(|(_, digits)| is_number(digits)) else {
        return (text, None);
    };
    // `[::1]:22`
    if let Some(inside) = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|a| !a.is_empty())
        && (!inside.contains(['[', ']']) || is_host(inside))
    {
        return (inside, Some(digits));
    }
    // Colons of an address or a range are none of a port.
    let mut depth = 0_u8;
    let plain = address.chars().all(|c| {
        match c {
            '[' if depth == 0 => depth = 1,
            ']' if depth == 1 => depth = 0,
            '[' | ']' => return false,
            ':' => return depth == 1,
            _ => {}
        }
        true
    });
    if plain && depth == 0 { (address, Some(digits)) } else { (text, None) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is a name of the network: labels that begin with a letter, digit or range and don't end in `-` or `_`.
fn is_host(text: &str) -> bool {
    is_ipv6(text) || split_labels(text).is_some_and(|labels| labels.iter().all(|label| is_label(label)))
}

/// The parts between dots, those in brackets apart.
fn split_labels(text: &str) -> Option<Vec<&str>> {
    let (mut labels, mut from, mut open) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '[' => open = true,
            ']' => open = false,
            '.' if !open => {
                labels.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    labels.push(&text[from..]);
    (!open).then_some(labels)
}

fn is_label(label: &str) -> bool {
    let (mut rest, mut first) = (label, true);
    while let Some(c) = rest.chars().next() {
        let alike = c.is_alphanumeric() || c == '_' || (c == '-' && !first);
        rest = match range_at(rest) {
            Some(after) => after,
            None if alike => &rest[c.len_utf8()..],
            None => return false,
        };
        first = false;
    }
    !first && !label.ends_with(['-', '_'])
}

/// What follows a range of numbers or letters at the start of the text.
fn range_at(text: &str) -> Option<&str> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    let parts: Vec<&str> = inside.split(':').collect();
    let letter = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_alphabetic();
    let (begin, end) = (parts.first()?, parts.get(1)?);
    let bounds = (is_number(begin) && is_number(end)) || (letter(begin) && letter(end));
    (bounds && parts.len() <= 3 && parts.get(2).is_none_or(|step| is_number(step))).then_some(after)
}

/// Whether the text has a range in Ansible's notation.
pub(super) fn has_range(text: &str) -> bool {
    text.match_indices('[').any(|(at, _)| range_at(&text[at..]).is_some_and(|after| at > 0 || !after.is_empty()))
}

/// An IPv6 address, in which ranges may be parts.
fn is_ipv6(text: &str) -> bool {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let Some((inside, after)) = rest[at + 1..].split_once(']') else { return false };
        if !inside.split(':').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return false;
        }
        plain.push_str(&rest[..at]);
        plain.push('1');
        rest = after;
    }
    plain.push_str(rest);
    plain.parse::<Ipv6Addr>().is_ok()
}

/// Writes ranges out, the first one outermost.
fn expand(text: &str, names: &mut Vec<String>) -> Result<(), PatternError> {
    let Some(open) = text.find('[') else {
        names.push(text.to_owned());
        return Ok(());
    };
    let refused = |why| Err(PatternError::new(text, why));
    let Some((range, tail)) = text[open + 1..].split_once(']') else {
        return refused("a `[` without `]`");
    };
    let head = &text[..open];
    if head.contains(']') {
        return refused("a `]` without `[`");
    }
    let parts: Vec<&str> = range.split(':').collect();
    let (&[begin, end] | &[begin, end, _]) = parts.as_slice() else {
        return refused("a range is [begin:end] or [begin:end:step]");
    };
    let Ok(step @ 1..) = parts.get(2).unwrap_or(&"1").parse::<usize>() else {
        return refused("the step of a range is a number from 1");
    };
    for item in
        items(if begin.is_empty() { "0" } else { begin }, end, step).map_err(|why| PatternError::new(text, why))?
    {
        expand(&format!("{head}{item}{tail}"), names)?;
    }
    Ok(())
}

/// The items of a range: numbers, with as many digits as the first one has if it begins with 0, or letters.
fn items(begin: &str, end: &str, step: usize) -> Result<Vec<String>, &'static str> {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const EMPTY: &str = "a range begins with its smaller end";
    if is_number(begin) && is_number(end) {
        let width = if begin.starts_with('0') { begin.len() } else { 1 };
        if width > 1 && end.len() != width {
            return Err("both ends of a range with leading zeros have the same length");
        }
        let (Ok(first), Ok(last)) = (begin.parse::<u64>(), end.parse::<u64>()) else {
            return Err("a range of numbers that are too large");
        };
        if first > last {
            return Err(EMPTY);
        }
        return Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect());
    }
    let place = |text: &str| if text.len() == 1 { LETTERS.find(text) } else { None };
    match (place(begin), place(end)) {
        (Some(first), Some(last)) if first <= last => {
            Ok(LETTERS[first..=last].chars().step_by(step).map(String::from).collect())
        }
        (Some(_), Some(_)) => Err(EMPTY),
        _ => Err("a range goes from a number to a number, or from a letter to a letter"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(pattern) => {
                let names: Vec<&str> = pattern.hosts.iter().map(|written| written.name.as_str()).collect();
                format!("{}{}", names.join(" "), pattern.port.map(|port| format!(" {port}")).unwrap_or_default())
            }
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn names_are_expanded_and_ports_taken_off() {
        for (text, want) in [
            ("w1", "w1"),
            ("w1:22", "w1 22"),
            ("w[1:3]", "w1 w2 w3"),
            ("w[01:05:2]:2222", "w01 w03 w05 2222"),
            ("w[a:c].x", "wa.x wb.x wc.x"),
            ("w[y:B]", "wy wz wA wB"),
            ("w[1:2][a:b]", "w1a w1b w2a w2b"),
            ("w[:2]", "w0 w1 w2"),
            ("[1:2].x", "1.x 2.x"),
            ("[1:2]:22", "refused"),
            ("[::1]:22", "::1 22"),
            ("::1", "::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::[1:2]", "fe80::1 fe80::2"),
            ("[10.0.0.1]:22", "10.0.0.1 22"),
            ("10.0.0.[1:2]:22", "10.0.0.1 10.0.0.2 22"),
            ("root@w1", "root@w1"),
            ("w1:", "refused"),
            ("w1:0", "refused"),
            ("w1:99999", "refused"),
            ("w[1-3]", "refused"),
            ("w[3:1]", "refused"),
            ("w[1:3:0]", "refused"),
            ("w[08:10:1", "refused"),
            ("w[01:100]", "refused"),
            ("w[1:b]", "refused"),
            ("w[1:2:3:4]", "refused"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        assert_eq!(read("[::1]:22").unwrap().hosts[0].host, "[::1]:22");
        assert!(has_range("w[1:3]") && !has_range("[::1]:22") && !has_range("w[1-3]"));
    }
}
