//! What plain scalars of YAML 1.1 are to Ansible's parser (PyYAML's resolver).

use serde_json::{Number, Value};

/// The value of a plain scalar.
pub(super) fn resolve(written: &str) -> Value {
    match written {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return false.into(),
        _ => {}
    }
    whole(written).or_else(|| fraction(written)).map_or_else(|| written.into(), Value::Number)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The digits of a number to this base, with `_` anywhere but in front.
fn to_base(digits: &str, base: u32) -> Option<i128> {
    let all = |c: char| c == '_' || c.is_digit(base);
    let digits = Some(digits).filter(|digits| !digits.is_empty() && digits.chars().all(all))?;
    i128::from_str_radix(&digits.replace('_', ""), base).ok()
}

/// `12:30:45` to the base of 60, but for the last part.
fn sixties(parts: &str, last: f64) -> Option<f64> {
    let mut value = 0.0;
    for (index, part) in parts.split(':').enumerate() {
        let number = to_base(part, 10).filter(|_| part.starts_with(is_digit))?;
        if index > 0 && (number > 59 || part.len() > 2 || part.contains('_')) {
            return None;
        }
        value = value * 60.0 + number as f64;
    }
    Some(value * 60.0 + last)
}

fn whole(written: &str) -> Option<Number> {
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let value = if let Some(digits) = digits.strip_prefix("0b") {
        to_base(digits, 2)?
    } else if let Some(digits) = digits.strip_prefix("0x") {
        to_base(digits, 16)?
    } else if digits == "0" {
        0
    } else if let Some(digits) = digits.strip_prefix('0') {
        to_base(digits, 8)?
    } else if let Some((parts, last)) = digits.rsplit_once(':') {
        let last = to_base(last, 10).filter(|number| *number < 60 && last.len() < 3 && !last.contains('_'))?;
        sixties(parts, last as f64)? as i128
    } else {
        Some(digits).filter(|digits| digits.starts_with(is_digit)).and_then(|digits| to_base(digits, 10))?
    };
    Number::from_i128(sign * value)
}

fn fraction(written: &str) -> Option<Number> {
    let (sign, digits) = match written.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, written.strip_prefix('+').unwrap_or(written)),
    };
    let (before, after) = digits.split_once('.')?;
    let (after, exponent) = match after.split_once(['e', 'E']) {
        Some((after, exponent)) => (after, Some(exponent)),
        None => (after, None),
    };
    let are_digits = |text: &str| text.chars().all(|c| c == '_' || is_digit(c));
    let exponent_fits =
        |text: &str| text.strip_prefix(['+', '-']).is_some_and(|text| !text.is_empty() && text.chars().all(is_digit));
    if !are_digits(after) || !exponent.is_none_or(exponent_fits) {
        return None;
    }
    let after = after.replace('_', "");
    if let Some((parts, last)) = before.rsplit_once(':').filter(|_| exponent.is_none()) {
        let last = Some(last).filter(|last| last.len() < 3 && !last.is_empty() && last.chars().all(is_digit))?;
        let last: f64 = format!("{last}.{after}0").parse().ok().filter(|last| *last < 60.0)?;
        return Number::from_f64(sign * sixties(parts, last)?);
    }
    // Without digits before the point, one comes after it and there is no sign.
    let fits = match before.chars().next() {
        None => digits.len() == written.len() && after.starts_with(is_digit),
        Some(first) => is_digit(first) && are_digits(before),
    };
    let text = format!("{}.{after}0e{}", before.replace('_', ""), exponent.unwrap_or("0"));
    let text = if before.is_empty() { format!("0{text}") } else { text };
    Number::from_f64(sign * text.parse::<f64>().ok().filter(|_| fits)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_what_pyyaml_makes_of_them() {
        // `yaml.safe_load` of each, PyYAML 6.0.3.
        for (written, value) in [
            ("0644", json!(420)),
            ("1_000", json!(1000)),
            (".5", json!(0.5)),
            ("0b11", json!(3)),
            ("12:30:45", json!(45045)),
            ("190:20:30", json!(685_230)),
            ("1:30.5", json!(90.5)),
            ("1.10", json!(1.1)),
            ("+1", json!(1)),
            ("0x1F", json!(31)),
            ("-0x1f", json!(-31)),
            ("1.5e+3", json!(1500.0)),
            ("0.", json!(0.0)),
            ("0_1", json!(1)),
            ("1__0", json!(10)),
            ("~", json!(null)),
            ("yes", json!(true)),
            ("Off", json!(false)),
        ] {
            assert_eq!(resolve(written), value, "{written}");
        }
        for text in [
            "1e3",
            "0o17",
            "2024-01-01",
            "08",
            "_1",
            "09:30",
            "y",
            "n",
            "1.2.3",
            "10.0.0.5",
            "1:60",
            "a",
            "-",
            "+.5",
            ".",
        ] {
            assert_eq!(resolve(text), text);
        }
    }
}
