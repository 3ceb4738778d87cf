//! What plain scalars of YAML are.

use serde_json::Number;

use super::Value;

/// The value of a plain scalar of YAML that may be a number, by the core schema of YAML 1.2. It stays the text that it is
/// where a number would not give it back: with zeros in front (`0644` is a mode, `007` an agent), and as a fraction that is
/// written another way (the version `1.10`, `1e3`, `.5`).
///
/// ```
/// use fabric_core::settings::yaml_number;
/// assert_eq!(yaml_number("8080"), 8080);
/// assert_eq!(yaml_number("0o644"), 0o644);
/// assert_eq!(yaml_number("1.5"), 1.5);
/// assert_eq!(yaml_number("1.10"), "1.10");
/// assert_eq!(yaml_number("0644"), "0644");
/// ```
pub fn yaml_number(written: &str) -> Value {
    let number = whole(written).or_else(|| yaml_float(written).filter(|number| number.to_string() == written));
    number.map_or_else(|| Value::from(written), Value::Number)
}

/// A scalar that a YAML reader has taken for `value`, given what is written for it: numbers are [`yaml_number`]'s, and anything
/// else, quoted texts and tagged values too, stays as it is.
pub fn yaml_as_written(value: Value, written: Option<&str>) -> Value {
    let is_number = |written: &&str| written.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    match written.filter(|_| value.is_number()).filter(is_number) {
        Some(written) => yaml_number(written),
        None => value,
    }
}

/// A plain scalar of YAML as a number with a fraction or an exponent, however it is written.
pub fn yaml_float(written: &str) -> Option<Number> {
    let has_digits = written.contains(|c: char| c.is_ascii_digit());
    let is_float =
        has_digits && written.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    Number::from_f64(written.parse().ok().filter(|_| is_float)?)
}

/// Whether a text is one of the words that are switches in YAML 1.1 and texts in YAML 1.2.
pub fn is_yaml_word(text: &str) -> bool {
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
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("1.0", json!(1.0)),
            ("-2.25", json!(-2.25)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(yaml_number(written), value, "{written}");
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
            assert_eq!(yaml_number(text), text);
        }
        assert_eq!(yaml_float("1.50").unwrap().as_f64(), Some(1.5));
        for text in ["nan", "inf", ".", "e", "1e999", "x"] {
            assert_eq!(yaml_float(text), None, "{text}");
        }
    }
}
