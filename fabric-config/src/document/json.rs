//! JSON, with the lines of its keys: a scan that leaves texts and numbers to serde_json.

use fabric_core::settings::{Map, Value};

use super::{Fault, LineIndex, Lines, Parsed, table};

/// Deeper than this is no settings file, and would exhaust the stack.
const DEEPEST: usize = 100;

pub(super) fn parse(text: &str) -> Parsed {
    let mut scan = Scan { text, index: LineIndex::new(text), at: 0, path: Vec::new(), lines: Lines::new(), depth: 0 };
    let result = scan.value().and_then(|value| match scan.peek() {
        None => Ok(value),
        Some(_) => Err(scan.fault("expected the end of the file")),
    });
    match result {
        Ok(value) => table(value, scan.lines),
        Err(fault) => Err(vec![fault]),
    }
}

struct Scan<'t> {
    text: &'t str,
    index: LineIndex,
    at: usize,
    path: Vec<String>,
    lines: Lines,
    depth: usize,
}

impl Scan<'_> {
    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { line: self.index.line(self.at), message: message.into() }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, Fault> {
        if self.depth == DEEPEST {
            return Err(self.fault(format!("more than {DEEPEST} levels deep")));
        }
        self.depth += 1;
        let value = match self.peek() {
            Some(b'{') => self.table(),
            Some(b'[') => self.list(),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(_) => self.word(),
            None => Err(self.fault("expected a value, found the end of the file")),
        };
        self.depth -= 1;
        value
    }

    fn table(&mut self) -> Result<Value, Fault> {
        self.at += 1;
        let mut map = Map::new();
        if self.take(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a key in double quotes"));
            }
            let line = self.index.line(self.at);
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.fault("expected `:` after a key"));
            }
            if map.contains_key(&key) {
                return Err(Fault { line, message: super::twice(&key) });
            }
            self.path.push(key.clone());
            self.lines.insert(self.path.clone(), line);
            let value = self.value();
            self.path.pop();
            map.insert(key, value?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(map));
                }
                _ => return Err(self.fault("expected `,` or `}`")),
            }
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.fault("expected `,` or `]`")),
            }
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => return Err(self.fault("a text is not closed")),
                Some(_) => end += 1,
            }
        }
        let text = serde_json::from_str(&self.text[self.at..=end]).map_err(|_| self.fault("a text is not valid"))?;
        self.at = end + 1;
        Ok(text)
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| matches!(c, ',' | '}' | ']' | ':' | '"') || c.is_whitespace());
        let word = &rest[..end.unwrap_or(rest.len())];
        let value = serde_json::from_str(word).map_err(|_| self.fault("expected a value"))?;
        self.at += word.len();
        Ok(value)
    }
}
