//! Words of a line as Python's `shlex.split(line, comments=True)` cuts it, and values as its `ast.literal_eval`
//! reads them: the two by which Ansible reads its INI format.

use serde_json::{Map, Number, Value};

/// Cuts a line into words: blanks part them, quotes and backslashes keep them together, `#` outside quotes ends
/// the line where there are comments.
pub(super) fn split(line: &str, comments: bool) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if comments => break,
            '\\' => {
                let next = chars.next().ok_or("nothing follows the last backslash")?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// What is between quotes. In double ones a backslash quotes a double quote and itself.
fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("a quotation mark is not closed")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let next = chars.next().ok_or("a quotation mark is not closed")?;
                if !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            c => word.push(c),
        }
    }
}

/// A value: what Python takes for a literal, else the text itself.
pub(super) fn value(text: &str) -> Value {
    let mut parser = Literal { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    match parser.tuple() {
        Some(value) if parser.is_at_end() => value,
        _ => Value::from(text),
    }
}

struct Literal<'a> {
    rest: &'a str,
    /// How many brackets are open.
    depth: usize,
}

/// Deeper ones are texts.
const DEEPEST: usize = 64;

impl Literal<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\x0c']);
    }

    fn is_at_end(&mut self) -> bool {
        self.blanks();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `1` or `1, 2`, with or without a comma at the end.
    fn tuple(&mut self) -> Option<Value> {
        let first = self.item()?;
        if !self.eat(",") {
            return Some(first);
        }
        let mut items = vec![first];
        while !self.is_at_end() && !self.rest.starts_with(')') {
            items.push(self.item()?);
            if !self.eat(",") {
                break;
            }
        }
        Some(Value::Array(items))
    }

    fn item(&mut self) -> Option<Value> {
        self.blanks();
        let first = self.rest.chars().next()?;
        match first {
            '[' | '(' | '{' => {
                self.depth += 1;
                let value = if self.depth > DEEPEST { None } else { self.bracketed() };
                self.depth -= 1;
                value
            }
            '+' | '-' => {
                self.rest = &self.rest[1..];
                let value = self.item()?;
                let number = value.as_number()?;
                if first == '+' {
                    return Some(value);
                }
                let negative = number.as_i64().and_then(i64::checked_neg).map(Number::from);
                negative.or_else(|| number.as_f64().and_then(|number| Number::from_f64(-number))).map(Value::Number)
            }
            '0'..='9' | '.' => self.number(),
            '\'' | '"' => self.strings(),
            _ => self.word(),
        }
    }

    fn bracketed(&mut self) -> Option<Value> {
        if self.eat("(") {
            if self.eat(")") {
                return Some(Value::Array(Vec::new()));
            }
            let value = self.tuple()?;
            return self.eat(")").then_some(value);
        }
        if self.eat("[") {
            return self.items("]").map(Value::Array);
        }
        self.eat("{");
        if self.eat("}") {
            return Some(Value::Object(Map::new()));
        }
        let first = self.item()?;
        if !self.eat(":") {
            // A set.
            let mut items = vec![first];
            if self.eat(",") {
                items.append(&mut self.items("}")?);
                return Some(Value::Array(items));
            }
            return self.eat("}").then_some(Value::Array(items));
        }
        let mut map = Map::new();
        map.insert(plain(&first), self.item()?);
        while self.eat(",") {
            if self.eat("}") {
                return Some(Value::Object(map));
            }
            let key = self.item()?;
            if !self.eat(":") {
                return None;
            }
            map.insert(plain(&key), self.item()?);
        }
        self.eat("}").then_some(Value::Object(map))
    }

    fn items(&mut self, end: &str) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            if self.eat(end) {
                return Some(items);
            }
            items.push(self.item()?);
            if !self.eat(",") {
                return self.eat(end).then_some(items);
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let is_exponent = |before: Option<char>| matches!(before, Some('e' | 'E'));
        let is_radix = self.rest.len() > 1
            && self.rest.starts_with('0')
            && self.rest[1..].starts_with(|c: char| c.is_alphabetic());
        let mut before = None;
        let length = self.rest.find(|c: char| {
            let inside = c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_')
                || (!is_radix && matches!(c, '+' | '-') && is_exponent(before));
            before = Some(c);
            !inside
        });
        let (text, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
            return None;
        }
        let digits = text.replace('_', "");
        let radix = |radix| u64::from_str_radix(&digits[2..], radix).ok().map(Value::from);
        match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => radix(16),
            Some("0o") => radix(8),
            Some("0b") => radix(2),
            _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let is_zero = digits.bytes().all(|byte| byte == b'0');
                if digits.starts_with('0') && !is_zero {
                    return None;
                }
                // Beyond 64 bits its digits are all that is ever needed of it.
                Some(digits.parse::<u64>().map_or_else(|_| Value::from(digits.clone()), Value::from))
            }
            _ if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) =>
            {
                digits.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
            }
            _ => None,
        }
    }

    /// Strings beside each other are one.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            self.blanks();
            let length = self.rest.find(['\'', '"']).filter(|at| is_prefix(&self.rest[..*at]));
            let Some(length) = length else { return Some(Value::from(text)) };
            let raw = self.rest[..length].contains(['r', 'R']);
            self.rest = &self.rest[length..];
            self.string(raw, &mut text)?;
        }
    }

    fn string(&mut self, raw: bool, text: &mut String) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        loop {
            if let Some(rest) = self.rest.strip_prefix(&end) {
                self.rest = rest;
                return Some(());
            }
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            if c != '\\' {
                text.push(c);
                continue;
            }
            let next = self.rest.chars().next()?;
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                next if raw => text.extend(['\\', next]),
                '\\' | '\'' | '"' => text.push(next),
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'a' => text.push('\x07'),
                'b' => text.push('\x08'),
                'f' => text.push('\x0c'),
                'v' => text.push('\x0b'),
                'x' => text.push(self.code(2, 16)?),
                'u' => text.push(self.code(4, 16)?),
                'U' => text.push(self.code(8, 16)?),
                'N' => return None,
                '0'..='7' => {
                    let more = self.rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                    let code = u32::from_str_radix(&format!("{next}{}", &self.rest[..more]), 8).ok()?;
                    self.rest = &self.rest[more..];
                    text.push(char::from_u32(code)?);
                }
                other => text.extend(['\\', other]),
            }
        }
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let code = char::from_u32(u32::from_str_radix(self.rest.get(..digits)?, radix).ok()?)?;
        self.rest = &self.rest[digits..];
        Some(code)
    }

    fn word(&mut self) -> Option<Value> {
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        if rest.starts_with(['\'', '"']) && is_prefix(word) {
            return self.strings();
        }
        self.rest = rest;
        match word {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            _ => None,
        }
    }
}

/// Letters that a string may be prefixed with.
fn is_prefix(letters: &str) -> bool {
    matches!(letters.to_ascii_lowercase().as_str(), "" | "r" | "u" | "b" | "rb" | "br")
}

/// A value as a text, as Python writes it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_cut_as_shlex_does() {
        for (line, words) in [
            ("w1 a=b", &["w1", "a=b"][..]),
            ("w1 a='b c' # d", &["w1", "a=b c"]),
            ("w1 a=\"#b\" c=d#e", &["w1", "a=#b", "c=d"]),
            (r#"w1 a="b\"c\d" e=\#f"#, &["w1", r#"a=b"c\d"#, "e=#f"]),
            (r"w1 a='b\c'", &["w1", r"a=b\c"]),
            ("w1 ''", &["w1", ""]),
            ("w1#c", &["w1"]),
        ] {
            assert_eq!(split(line, true).unwrap(), words, "{line}");
        }
        for line in ["w1 a='b", "w1 a=\"b", "w1 \\"] {
            assert!(split(line, true).is_err(), "{line}");
        }
    }

    #[test]
    fn values_are_read_as_literals_or_texts() {
        for (text, want) in [
            ("22", json!(22)),
            ("0x16", json!(22)),
            ("1_0", json!(10)),
            ("-3", json!(-3)),
            ("1.5", json!(1.5)),
            ("1e2", json!(100.0)),
            ("22 # ssh", json!(22)),
            ("'a b'", json!("a b")),
            (r"'a\tb' 'c'", json!("a\tbc")),
            ("\"it's\" # so", json!("it's")),
            ("r'a\\tb'", json!("a\\tb")),
            ("True", json!(true)),
            ("None", json!(null)),
            ("[1, 'a', (2,), {'k': None}]", json!([1, "a", [2], {"k": null}])),
            ("1, 2", json!([1, 2])),
            ("{}", json!({})),
            ("", json!("")),
            ("007", json!("007")),
            ("10.0.0.5", json!("10.0.0.5")),
            ("true", json!("true")),
            ("www # c", json!("www # c")),
            ("'a' b", json!("'a' b")),
            ("'a", json!("'a")),
            ("[1", json!("[1")),
            ("-o ProxyJump=x", json!("-o ProxyJump=x")),
            ("{{ x }}", json!("{{ x }}")),
            ("1__0", json!("1__0")),
            ("0x", json!("0x")),
        ] {
            assert_eq!(value(text), want, "{text}");
        }
    }
}
