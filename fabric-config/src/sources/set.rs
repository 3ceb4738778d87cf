//! The text of `--set`: `KEY=VALUE,KEY,...` (Fabric 1).

use fabric_core::settings::{Layer, Origin, Problem};

/// One item of `--set`.
pub type Assignment = (String, Option<String>);

/// Cuts `--set`'s text into keys and values. `\,` and `\=` are literal; a key alone has no value and means
/// true; a value goes to the next comma, further `=` included.
///
/// ```
/// use fabric_config::parse_set;
///
/// let items = parse_set(r"user=me,parallel,hosts=a\,b,note=x\=1=2").unwrap();
/// let items: Vec<_> = items.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
/// assert_eq!(items, [("user", Some("me")), ("parallel", None), ("hosts", Some("a,b")), ("note", Some("x=1=2"))]);
/// ```
///
/// # Errors
///
/// A value without a key.
pub fn parse(text: &str) -> Result<Vec<Assignment>, Problem> {
    let mut items = Vec::new();
    let mut key = String::new();
    let mut value: Option<String> = None;
    let mut rest = text.chars().peekable();
    loop {
        let c = rest.next();
        match (c, &mut value) {
            (None | Some(','), _) => {
                let name = std::mem::take(&mut key).trim().to_owned();
                let value = value.take();
                if name.is_empty() && value.is_some() {
                    return Err(Problem::new("--set: the key before `=` is missing")
                        .at(Origin::place(Layer::CommandLine, "--set")));
                }
                if !name.is_empty() {
                    items.push((name, value));
                }
                if c.is_none() {
                    return Ok(items);
                }
            }
            (Some('\\'), _) if rest.peek().is_some_and(|next| matches!(next, ',' | '=')) => {
                value.as_mut().unwrap_or(&mut key).extend(rest.next());
            }
            (Some('='), None) => value = Some(String::new()),
            (Some(c), Some(value)) => value.push(c),
            (Some(c), None) => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_items_are_passed_over_and_a_lone_value_is_refused() {
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse(",a=,").unwrap(), [("a".to_owned(), Some(String::new()))]);
        assert!(parse("=x").is_err());
        assert_eq!(parse(r"a\b=\").unwrap(), [(r"a\b".to_owned(), Some(r"\".to_owned()))]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn escaped_values_come_back(values in proptest::collection::vec("[a-z,= ]{0,8}", 1..5)) {
            let escape = |text: &str| text.replace(',', "\\,").replace('=', "\\=");
            let text: Vec<String> = values.iter().enumerate().map(|(n, v)| format!("k{n}={}", escape(v))).collect();
            let back: Vec<String> = parse(&text.join(",")).unwrap().into_iter().filter_map(|(_, value)| value).collect();
            proptest::prop_assert_eq!(back, values);
        }
    }
}
