//! TOML, with spans.

use fabric_core::settings::{Map, Value};
use serde_json::json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Fault, LineIndex, Lines, Parsed};

pub(super) fn parse(text: &str) -> Parsed {
    let index = LineIndex::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or_default();
            // Where something is missing the parser points behind the line's end.
            let behind = span.is_empty() && span.start > 0 && text.as_bytes()[..span.start].ends_with(b"\n");
            Fault { line: index.line(span.start - usize::from(behind)), message: error.message().to_owned() }
        })
        .collect();
    let mut reader = Reader { index, lines: Lines::new(), faults: Vec::new(), path: Vec::new() };
    let values = reader.table(table.get_ref());
    faults.append(&mut reader.faults);
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() { Ok((values, reader.lines)) } else { Err(faults) }
}

struct Reader {
    index: LineIndex,
    lines: Lines,
    faults: Vec<Fault>,
    path: Vec<String>,
}

impl Reader {
    fn table(&mut self, table: &DeTable<'_>) -> Map {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name where it has no other order; a person reads by line.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = Map::new();
        for (key, value) in entries {
            self.path.push(key.get_ref().to_string());
            self.lines.insert(self.path.clone(), self.index.line(key.span().start));
            let value = self.value(value);
            self.path.pop();
            map.insert(key.get_ref().to_string(), value);
        }
        map
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => {
                let digits = number.as_str();
                match i64::from_str_radix(digits, number.radix()) {
                    Ok(number) => json!(number),
                    Err(_) => self.fault(value, format!("{digits} is too large a number")),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => json!(number),
                _ => self.fault(value, "a number must be finite".to_owned()),
            },
            DeValue::Boolean(switch) => json!(switch),
            DeValue::Datetime(time) => json!(time.to_string()),
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            DeValue::Table(table) => Value::Object(self.table(table)),
        }
    }

    fn fault(&mut self, at: &Spanned<DeValue<'_>>, message: String) -> Value {
        self.faults.push(Fault { line: self.index.line(at.span().start), message });
        Value::Null
    }
}
