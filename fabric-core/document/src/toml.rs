//! TOML.

use fabric_core::settings::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{DEEPEST, Fault, Kind, Member, Members, Node, Source};

pub(crate) fn parse(source: &Source) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut reader =
        Reader { source, faults: errors.iter().map(|error| fault(error, &source.text)).collect(), depth: 0 };
    let members = reader.table(table.get_ref());
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| fault.at);
    if faults.is_empty() { Ok(node_at(source, table.span(), Kind::Table(members))) } else { Err(faults) }
}

fn fault(error: &toml::de::Error, text: &str) -> Fault {
    let span = error.span().unwrap_or_default();
    // Where something is missing the parser points behind the line's end.
    let behind = span.is_empty() && text.as_bytes()[..span.start].ends_with(b"\n");
    Fault::new(span.start - usize::from(behind), error.message())
}

fn node_at(source: &Source, span: std::ops::Range<usize>, kind: Kind) -> Node {
    Node { line: source.line(span.start), span, plain: false, kind }
}

struct Reader<'s> {
    source: &'s Source,
    faults: Vec<Fault>,
    depth: usize,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Members {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name where it has no other order; a person reads by line.
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries.into_iter().map(|(key, value)| {
            let line = self.source.line(key.span().start);
            (key.get_ref().to_string(), Member { line, plain: false, node: self.node(value) })
        });
        entries.collect()
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        self.depth += 1;
        let kind = match value.get_ref() {
            DeValue::Array(_) | DeValue::Table(_) if self.depth >= DEEPEST => {
                self.faults.push(Fault::too_deep(value.span().start));
                Kind::Scalar(Value::Null)
            }
            DeValue::Array(items) => Kind::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Kind::Table(self.table(table)),
            DeValue::String(text) => Kind::Scalar(Value::from(text.as_ref())),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from);
                self.number(value, number, "the number is too large")
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                self.number(value, number.map(Value::Number), "a number must be finite")
            }
            DeValue::Boolean(truth) => Kind::Scalar(Value::from(*truth)),
            DeValue::Datetime(time) => Kind::Scalar(Value::from(time.to_string())),
        };
        self.depth -= 1;
        node_at(self.source, value.span(), kind)
    }

    fn number(&mut self, at: &Spanned<DeValue<'_>>, number: Option<Value>, otherwise: &str) -> Kind {
        if number.is_none() {
            self.faults.push(Fault::new(at.span().start, otherwise));
        }
        Kind::Scalar(number.unwrap_or_default())
    }
}
