//! Numbers, times, sizes and ports, as OpenSSH reads them.

use super::system;

/// The white space that C's number readers skip in front of a number.
fn is_c_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A decimal number with optional leading white space and sign, and what follows it. Saturates.
/// `None` if there is no digit.
fn leading_number(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(is_c_space);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let value = digits[..end].bytes().fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    Some((if negative { -value } else { value }, &digits[end..]))
}

/// A text that is a decimal number from 0 to `max`.
pub(super) fn number(text: &str, max: i64) -> Option<i64> {
    match leading_number(text) {
        Some((value, "")) if (0..=max).contains(&value) => Some(value),
        _ => None,
    }
}

/// A port: a number up to 65535, or a TCP service's name.
pub(super) fn port(text: &str) -> Option<u16> {
    match number(text, i64::from(u16::MAX)) {
        Some(port) => u16::try_from(port).ok(),
        None => system::port_of_service(text),
    }
}

/// Seconds from `90`, `1h30m`, `2W`. `None` for any other text, and above 2^31-1.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (count, after) = leading_number(rest)?;
        let (unit, after) = match after.as_bytes().first() {
            None => (1, after),
            Some(b's' | b'S') => (1, &after[1..]),
            Some(b'm' | b'M') => (60, &after[1..]),
            Some(b'h' | b'H') => (3600, &after[1..]),
            Some(b'd' | b'D') => (86_400, &after[1..]),
            Some(b'w' | b'W') => (604_800, &after[1..]),
            Some(_) => return None,
        };
        let max = i64::from(i32::MAX);
        if count < 0 || count > max / unit || total > max - count * unit {
            return None;
        }
        total += count * unit;
        rest = after;
    }
    Some(total)
}

/// Bytes from `512`, `16K`, `1.5G` (powers of 1024, `B` to `E`). After the unit anything but a letter or
/// digit may follow, and is not looked at.
pub(super) fn bytes(text: &str) -> Option<i64> {
    const MAX_DIGITS: usize = 21;
    let mut rest = text.trim_start_matches(is_c_space);
    let negative = rest.starts_with('-');
    if rest.starts_with(['-', '+']) {
        rest = &rest[1..];
    }
    // A second sign is an error, like everything but digits, a point and a unit.
    let (mut whole, mut fraction) = (0i64, 0i64);
    let (mut whole_digits, mut fraction_digits) = (0usize, None::<usize>);
    let mut at = 0;
    for byte in rest.bytes() {
        match (byte, fraction_digits) {
            (b'.', Some(_)) => return None,
            (b'.', None) => fraction_digits = Some(0),
            (b'0'..=b'9', Some(digits)) => {
                if digits < MAX_DIGITS - 2 {
                    fraction = fraction.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    fraction_digits = Some(digits + 1);
                }
            }
            (b'0'..=b'9', None) => {
                whole_digits += 1;
                if whole_digits >= MAX_DIGITS {
                    return None;
                }
                whole = whole.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
            }
            _ => break,
        }
        at += 1;
    }
    if negative {
        whole = -whole;
    }
    let mut tail = rest[at..].chars();
    let Some(unit) = tail.next() else { return Some(whole) };
    let power = "BKMGTPE".chars().position(|c| c == unit.to_ascii_uppercase())?;
    if tail.next().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let scale = 1024i64.pow(u32::try_from(power).ok()?);
    whole = whole.checked_mul(scale)?;
    let mut digits = fraction_digits.unwrap_or(0);
    while fraction >= i64::MAX / scale {
        fraction /= 10;
        digits = digits.saturating_sub(1);
    }
    fraction *= scale;
    for _ in 0..digits {
        fraction /= 10;
    }
    Some(if negative { whole.wrapping_sub(fraction) } else { whole.wrapping_add(fraction) })
}

/// A C integer literal: decimal, `0x` hexadecimal or `0` octal, with a sign; the whole text.
pub(super) fn c_integer(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(is_c_space);
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => unsigned(hex, 16)?,
        None if digits.starts_with('0') => unsigned(digits, 8)?,
        None => unsigned(digits, 10)?,
    };
    Some(if negative { -value } else { value })
}

/// Digits only: no sign, which Rust's own parser accepts.
fn unsigned(digits: &str, radix: u32) -> Option<i64> {
    digits.chars().all(|c| c.is_digit(radix)).then(|| i64::from_str_radix(digits, radix).ok())?
}

/// A file mode in octal up to 0777; what follows the digits is not looked at.
pub(super) fn octal_mode(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(is_c_space);
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.bytes().position(|b| !(b'0'..=b'7').contains(&b)).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let value = digits[..end].bytes().fold(0i64, |n, b| n.saturating_mul(8).saturating_add(i64::from(b - b'0')));
    // The C function's `long` ends up in an `int`.
    let value = i64::from((if negative { value.saturating_neg() } else { value }) as i32);
    (0..=0o777).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases = [
            ("0", Some(0)),
            ("90", Some(90)),
            ("1h30m", Some(5400)),
            ("2W", Some(1_209_600)),
            ("+5", Some(5)),
            ("1h 5m", Some(3900)),
            (" 5", Some(5)),
            ("-0", Some(0)),
            ("", None),
            ("-5", None),
            ("5x", None),
            ("m", None),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("4000w", None),
            ("5 ", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("512", Some(512)),
            ("16K", Some(16_384)),
            ("1g", Some(1 << 30)),
            ("1.5K", Some(1536)),
            ("1.9", Some(1)),
            ("-1", Some(-1)),
            ("16Kx", None),
            ("16K!", Some(16_384)),
            ("x", None),
            ("", Some(0)),
            ("1..5K", None),
            ("--1", None),
            ("9E", None),
            ("7E", Some(7 << 60)),
            ("K", Some(0)),
            ("1.05M", Some(1_048_576 + 52_428)),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn other_numbers() {
        assert_eq!(number(" +22", 65535), Some(22));
        assert_eq!(number("022", 65535), Some(22));
        assert_eq!(number("22 ", 65535), None);
        assert_eq!(number("0x16", 65535), None);
        assert_eq!(number("-1", 65535), None);
        assert_eq!(port("65536"), None);
        assert_eq!(c_integer("0x10"), Some(16));
        assert_eq!(c_integer("010"), Some(8));
        assert_eq!(c_integer("08"), None);
        assert_eq!(c_integer("0x"), None);
        assert_eq!(c_integer("-1"), Some(-1));
        assert_eq!(c_integer("1-"), None);
        assert_eq!(octal_mode("0177"), Some(0o177));
        assert_eq!(octal_mode("0778"), Some(0o77));
        assert_eq!(octal_mode("1000"), None);
        assert_eq!(octal_mode("8"), None);
    }
}
