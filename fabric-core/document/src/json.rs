//! JSON: a scan that leaves texts and numbers to serde_json.

use fabric_core::settings::Value;

use crate::{DEEPEST, Fault, Kind, Member, Members, Node, Repeated, Source};

pub(crate) fn parse(source: &Source, repeated: Repeated) -> Result<Node, Fault> {
    let mut scan = Scan { source, repeated, at: 0, depth: 0 };
    let root = scan.value()?;
    match scan.peek() {
        None => Ok(root),
        Some(_) => Err(scan.fault("expected the end of the file")),
    }
}

struct Scan<'s> {
    source: &'s Source,
    repeated: Repeated,
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    fn fault(&self, message: &str) -> Fault {
        Fault::new(self.at, message)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.source.text.as_bytes();
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

    fn value(&mut self) -> Result<Node, Fault> {
        let first = self.peek();
        let start = self.at;
        self.depth += 1;
        let kind = match first {
            Some(b'{' | b'[') if self.depth > DEEPEST => return Err(Fault::too_deep(start)),
            Some(b'{') => Kind::Table(self.table()?),
            Some(b'[') => Kind::List(self.list()?),
            Some(b'"') => Kind::Scalar(Value::String(self.string()?)),
            Some(_) => Kind::Scalar(self.word()?),
            None => return Err(self.fault("expected a value, found the end of the file")),
        };
        self.depth -= 1;
        Ok(Node { line: self.source.line(start), span: start..self.at, plain: false, kind })
    }

    fn table(&mut self) -> Result<Members, Fault> {
        self.at += 1;
        let mut members = Members::new();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a key in double quotes"));
            }
            let start = self.at;
            let key = self.string()?;
            if members.contains_key(&key) && self.repeated == Repeated::Refused {
                return Err(Fault::twice(start, &key));
            }
            if !self.take(b':') {
                return Err(self.fault("expected `:` after a key"));
            }
            members.insert(key, Member { line: self.source.line(start), plain: false, node: self.value()? });
            if self.ends(b'}', "expected `,` or `}`")? {
                return Ok(members);
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Node>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']', "expected `,` or `]`")? {
                return Ok(items);
            }
        }
    }

    /// Whether a list or table ends here, behind one of its items.
    fn ends(&mut self, close: u8, otherwise: &str) -> Result<bool, Fault> {
        if self.take(close) {
            return Ok(true);
        }
        if self.take(b',') { Ok(false) } else { Err(self.fault(otherwise)) }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let text = &self.source.text;
        let mut end = self.at + 1;
        loop {
            match text.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => return Err(self.fault("a text is not closed")),
                Some(_) => end += 1,
            }
        }
        let string = serde_json::from_str(&text[self.at..=end]).map_err(|_| self.fault("a text is not valid"))?;
        self.at = end + 1;
        Ok(string)
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let rest = &self.source.text[self.at..];
        let end = rest.find(|c: char| matches!(c, ',' | '}' | ']' | ':' | '"') || c.is_whitespace());
        let word = &rest[..end.unwrap_or(rest.len())];
        let digits = word.strip_prefix('-').unwrap_or(word);
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
        let value = serde_json::from_str(word).map_err(|_| match word.parse() {
            Ok(number) if is_number && f64::is_infinite(number) => self.fault("the number is too large"),
            _ => self.fault("expected a value"),
        })?;
        self.at += word.len();
        Ok(value)
    }
}
