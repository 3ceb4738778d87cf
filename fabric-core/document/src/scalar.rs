//! What plain scalars of YAML are.

use fabric_core::settings::Value;
use serde_json::Number;

/// The value of a plain scalar, by the core schema of YAML 1.2 but for numbers: see [`number`].
pub(crate) fn resolve(written: &str) -> Value {
    let is = |word: &str| written.eq_ignore_ascii_case(word);
    match written {
        "" | "~" => Value::Null,
        _ if is("null") => Value::Null,
        _ if is("true") => true.into(),
        _ if is("false") => false.into(),
        _ => number(written),
    }
}

/// The value of a plain scalar that may be a number. It stays the text that it is where a number would not give it back: with
/// zeros in front (`0644` is a mode, `007` an agent), and as a fraction that is written another way (the version `1.10`, `1e3`,
/// `.5`).
fn number(written: &str) -> Value {
    let number = whole(written).or_else(|| float(written).filter(|number| number.to_string() == written));
    number.map_or_else(|| Value::from(written), Value::Number)
}

/// A plain scalar as a number with a fraction or an exponent, however it is written.
pub(crate) fn float(written: &str) -> Option<Number> {
    let has_digits = written.contains(|c: char| c.is_ascii_digit());
    let is_float =
        has_digits && written.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    Number::from_f64(written.parse().ok().filter(|_| is_float)?)
}

/// Whether a text is one of the words that are switches in YAML 1.1 and texts in YAML 1.2.
pub(crate) fn is_word(text: &str) -> bool {
    ["yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn whole(written: &str) -> Option<Number> {
    let based = |prefix, base| {
        let digits: &str =
            Option::filter(written.strip_prefix(prefix), |digits: &&str| !digits.starts_with(['+', '-']))?;
        u64::from_str_radix(digits, base).ok()
    };
    if let Some(number) = based("0o", 8).or_else(|| based("0x", 16)) {
        return Some(number.into());
    }
    let digits = written.strip_prefix(['+', '-']).unwrap_or(written);
    if digits.starts_with('0') && digits != "0" {
        return None;
    }
    written.parse::<u64>().map(Number::from).or_else(|_| written.parse::<i64>().map(Number::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_those_that_can_be_written_back() {
        for (written, value) in [
            ("0", json!(0)),
            ("8080", json!(8080)),
            ("1.5", json!(1.5)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("1.0", json!(1.0)),
            ("-2.25", json!(-2.25)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(number(written), value, "{written}");
        }
        for text in [
            "0644",
            "012",
            "00",
            "-01",
            "1_000",
            "1e3",
            ".5",
            "1.",
            "1.10",
            "1e999",
            ".inf",
            ".nan",
            "0b11",
            "0o8",
            "0x",
            "0x-1",
            "12:30:45",
            "18446744073709551616",
            "1.0000000000000001",
            "2024-01-01",
            "",
        ] {
            assert_eq!(number(text), text);
        }
        assert_eq!(float("1.50").unwrap().as_f64(), Some(1.5));
        for text in ["nan", "inf", ".", "e", "1e999", "x"] {
            assert_eq!(float(text), None, "{text}");
        }
    }
}
