//! Lists of host strings: splitting, ranges, braces, and folding back.

use super::error::{HostStringError, HostStringErrorKind};

/// The most host strings one expression may expand to: a typing error must not fill the memory.
const MOST: usize = 1_000_000;

/// Splits a list at its commas, but not at commas inside `[]` or `{}`; each item is trimmed and empty
/// items are dropped.
///
/// ```
/// use fabric_core::host::split_list;
/// assert_eq!(split_list("web[1,3], db{a,b},,c"), ["web[1,3]", "db{a,b}", "c"]);
/// ```
pub fn split_list(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
    .collect()
}

/// Expands the ranges and braces of one list item.
///
/// `[..]` that holds only digits, `-` and `,` is a range, zero-padded as its first number is written;
/// with a `:` in it, it is an IPv6 address and stays. `{a,b}` is each of its items in turn. Several ranges
/// and braces multiply, the leftmost slowest. `@file` is an error: callers that read files do so before.
///
/// ```
/// use fabric_core::host::expand;
/// assert_eq!(expand("web[08-10,30].x")?, ["web08.x", "web09.x", "web10.x", "web30.x"]);
/// assert_eq!(expand("u@db{a,b}:22")?, ["u@dba:22", "u@dbb:22"]);
/// assert_eq!(expand("[::1]:22")?, ["[::1]:22"]);
/// # Ok::<(), fabric_core::HostStringError>(())
/// ```
pub fn expand(text: &str) -> Result<Vec<String>, HostStringError> {
    let error = |kind| HostStringError { text: text.to_owned(), kind };
    if text.starts_with('@') {
        // Taken for a host without a user, it would exclude nothing and run nowhere.
        return Err(error(HostStringErrorKind::ListFile));
    }
    let mut done = vec![String::new()];
    let mut rest = text;
    while let Some(start) = rest.find(['[', '{']) {
        let (before, from) = rest.split_at(start);
        let close = if from.starts_with('[') { ']' } else { '}' };
        let Some(end) = from.find(close) else {
            return Err(error(HostStringErrorKind::OpenBracket));
        };
        let inside = &from[1..end];
        let choices = if close == '}' {
            if inside.contains("..") {
                return Err(error(HostStringErrorKind::ShellRange(inside.to_owned())));
            }
            inside.split(',').map(|item| item.trim().to_owned()).collect()
        } else if inside.contains(':') {
            vec![from[..=end].to_owned()]
        } else {
            range(inside).map_err(error)?
        };
        if done.len().saturating_mul(choices.len()) > MOST {
            return Err(error(HostStringErrorKind::TooMany(MOST)));
        }
        done =
            done.iter().flat_map(|head| choices.iter().map(move |choice| format!("{head}{before}{choice}"))).collect();
        rest = &from[end + 1..];
    }
    if rest.contains([']', '}']) {
        return Err(error(HostStringErrorKind::OpenBracket));
    }
    for item in &mut done {
        item.push_str(rest);
    }
    Ok(done)
}

/// The numbers of `01-03,7`, written out.
fn range(inside: &str) -> Result<Vec<String>, HostStringErrorKind> {
    let bad = || HostStringErrorKind::BadRange(inside.to_owned());
    let mut numbers = Vec::new();
    for part in inside.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+')).ok_or_else(bad);
        let (from, to) = (number(first)?, number(last)?);
        if to < from {
            return Err(bad());
        }
        if to - from >= MOST as u64 {
            return Err(HostStringErrorKind::TooMany(MOST));
        }
        let width = if first.starts_with('0') { first.len() } else { 0 };
        numbers.extend((from..=to).map(|n| format!("{n:0width$}")));
    }
    Ok(numbers)
}

/// Folds host strings back into ranges, for showing a long list: `web1,web2,web3` is `web[1-3]`.
///
/// Order and repeats do not survive when numbers are folded; the text is for people, and
/// [`expand`] of each item gives the same set of host strings.
///
/// ```
/// use fabric_core::host::fold;
/// assert_eq!(fold(["web01", "web02", "web03", "db", "web07"]), "web[01-03,07],db");
/// assert_eq!(fold(["10.0.0.9:22", "10.0.0.10:22"]), "10.0.0.[9-10]:22");
/// ```
pub fn fold<'a>(hosts: impl IntoIterator<Item = &'a str>) -> String {
    let mut groups: Groups<'_> = Groups::new();
    for host in hosts {
        let (head, digits, tail) = cut(host);
        let (width, number) = match digits.parse::<u64>() {
            Ok(number) if digits == number.to_string() => (0, Some(number)),
            Ok(number) => (digits.len(), Some(number)),
            Err(_) => (0, None),
        };
        match number {
            Some(number) => groups.entry((head, Some(width), tail)).or_default().push(number),
            None => drop(groups.entry((host, None, "")).or_default()),
        }
    }
    merge_widths(&mut groups);
    let mut out: Vec<String> = Vec::new();
    for ((head, width, tail), mut numbers) in groups {
        let width = width.unwrap_or_default();
        numbers.sort_unstable();
        numbers.dedup();
        let runs = runs(&numbers);
        out.push(match runs.as_slice() {
            [] => head.to_owned(),
            [(one, last)] if one == last => format!("{head}{one:0width$}{tail}"),
            _ => {
                let inside: Vec<String> = runs
                    .iter()
                    .map(|(a, b)| if a == b { format!("{a:0width$}") } else { format!("{a:0width$}-{b:0width$}") })
                    .collect();
                format!("{head}[{}]{tail}", inside.join(","))
            }
        });
    }
    out.join(",")
}

/// Numbers by what is before them, to how many digits they are padded (`None` where there is no number), and what is
/// behind them.
type Groups<'a> = indexmap::IndexMap<(&'a str, Option<usize>, &'a str), Vec<u64>>;

/// `web08` has width 2 and `web10` looks as if it had none: join such groups.
fn merge_widths(groups: &mut Groups<'_>) {
    let padded: Vec<_> = groups.keys().filter(|(_, width, _)| width.is_some_and(|width| width > 0)).copied().collect();
    for key @ (head, width, tail) in padded {
        let Some(plain) = groups.get_mut(&(head, Some(0), tail)) else { continue };
        let (fit, other): (Vec<u64>, Vec<u64>) = plain.iter().partition(|n| Some(n.to_string().len()) == width);
        *plain = other;
        if plain.is_empty() {
            groups.shift_remove(&(head, Some(0), tail));
        }
        if let Some(numbers) = groups.get_mut(&key) {
            numbers.extend(fit);
        }
    }
}

/// Cuts a host string at the number in which it differs from its neighbours.
fn cut(host: &str) -> (&str, &str, &str) {
    let whole = (host, "", "");
    let start = host.rfind('@').map_or(0, |at| at + 1);
    let label = &host[start..];
    if label.starts_with('[') || label.matches(':').count() > 1 {
        return whole;
    }
    // Of an address the last number, else the last one of the first label.
    let name = &label[..label.find(':').unwrap_or(label.len())];
    let label = match name.parse::<std::net::Ipv4Addr>() {
        Ok(_) => name,
        Err(_) => &name[..name.find('.').unwrap_or(name.len())],
    };
    let Some(last) = label.rfind(|c: char| c.is_ascii_digit()) else { return whole };
    let first = label[..last]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + label[at..].chars().next().map_or(1, char::len_utf8));
    (&host[..start + first], &host[start + first..=start + last], &host[start + last + 1..])
}

fn runs(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &n in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_multiply_leftmost_slowest() {
        assert_eq!(expand("r[1-2]n{a,b}").unwrap(), ["r1na", "r1nb", "r2na", "r2nb"]);
    }

    #[test]
    fn a_name_without_a_number_is_kept_beside_those_with_one() {
        assert_eq!(fold(["web", "web2", "web3"]), "web,web[2-3]");
        assert_eq!(fold(["u@x", "u@x2", "x"]), "u@x,u@x2,x");
    }

    #[test]
    fn what_is_no_range_is_an_error() {
        for text in ["web[a-b]", "web[3-1]", "web[1-", "web1]", "web[]", "web[1-9999999999]", "x[1-2000][1-2000]"] {
            assert!(expand(text).is_err(), "{text}");
        }
        for (text, why) in [("x{1..3}", "[1-3]"), ("x{a{b,c},d}", "inside brackets"), ("@hosts", "file of hosts")] {
            let error = expand(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_then_expanding_keeps_the_set(numbers in proptest::collection::vec(0_u32..200, 0..40), pad in proptest::bool::ANY) {
            let hosts: Vec<String> = numbers.iter().map(|n| if pad { format!("u@web{n:03}.x:22") } else { format!("web{n}") }).collect();
            let folded = fold(hosts.iter().map(String::as_str));
            let mut back: Vec<String> = split_list(&folded).into_iter().flat_map(|item| expand(item).unwrap()).collect();
            let mut want = hosts.clone();
            want.sort(); want.dedup(); back.sort();
            proptest::prop_assert_eq!(back, want);
        }

        #[test]
        fn folding_loses_no_name_of_any_shape(
            hosts in proptest::collection::vec("(u@)?[ab]?[0-9]{0,3}[ab][0-9]{0,2}(\\.t[0-9]?)?(:2[0-9])?", 0..12)
        ) {
            let folded = fold(hosts.iter().map(String::as_str));
            let mut back: Vec<String> = split_list(&folded).into_iter().flat_map(|item| expand(item).unwrap()).collect();
            let mut want = hosts.clone();
            want.sort(); want.dedup(); back.sort();
            proptest::prop_assert_eq!(back, want, "{}", folded);
        }

        #[test]
        fn expanding_never_panics(text in ".{0,40}") {
            let _ = expand(&text);
            let _ = fold([text.as_str()]);
            let _ = crate::HostString::parse(&text);
        }
    }
}
