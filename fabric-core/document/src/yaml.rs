//! YAML: a tree of what the parser reports, with anchors, merge keys and tags of the core schema.

use std::collections::HashMap;
use std::ops::Range;

use fabric_core::settings::Value;
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::scalar::{float, resolve};
use crate::{DEEPEST, Fault, Kind, Member, Members, Node, Repeated, Source};

/// How many values anchors and aliases may copy in all: aliases of aliases can expand to more than any memory holds.
const MOST_COPIED: usize = 1_000_000;

pub(crate) fn parse(source: &Source, repeated: Repeated) -> Result<Node, Fault> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let events = Parser::new_from_str_with_options(&source.text, options);
    let mut reader = Reader { source, repeated, events, anchors: HashMap::new(), nodes: 0, copied: 0 };
    reader.document()
}

struct Reader<'s, I> {
    source: &'s Source,
    repeated: Repeated,
    events: I,
    /// What anchors are in front of, and of how many values it consists.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    copied: usize,
}

/// What the parser reports, and where.
type Seen<'s> = (Event<'s>, Range<usize>);

impl<'s, I: Iterator<Item = Result<(Event<'s>, Span), ScanError>>> Reader<'s, I> {
    fn next(&mut self) -> Result<Seen<'s>, Fault> {
        let end = self.source.text.len();
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.byte_range().unwrap_or(end..end))),
            Some(Err(error)) => Err(Fault::new(error.marker().byte_offset().unwrap_or(end), error.info())),
            None => Ok((Event::StreamEnd, end..end)),
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            match self.next()?.0 {
                Event::DocumentStart(..) => break,
                Event::StreamEnd => {
                    return Ok(Node { line: 1, span: 0..0, plain: true, kind: Kind::Scalar(Value::Null) });
                }
                _ => {}
            }
        }
        let first = self.next()?;
        let root = self.node(first, 1)?;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(..), at) => {
                    return Err(Fault::new(at.start, "a second document begins here, and a file is one"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, (event, at): Seen<'s>, depth: usize) -> Result<Node, Fault> {
        let before = self.nodes;
        let mut node =
            Node { line: self.source.line(at.start), span: at, plain: false, kind: Kind::Scalar(Value::Null) };
        let start = node.span.start;
        self.nodes += 1;
        let (anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, start),
            Event::Scalar(text, style, anchor, tag) => {
                node.plain = style == ScalarStyle::Plain && tag.is_none();
                node.kind =
                    Kind::Scalar(if node.plain { resolve(&text) } else { tagged(&text, tag.as_deref(), start)? });
                (anchor, None)
            }
            _ if depth > DEEPEST => return Err(Fault::too_deep(start)),
            Event::SequenceStart(_, anchor, tag) => {
                let mut items = Vec::new();
                node.span.end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, at) => break at.end,
                        item => items.push(self.node(item, depth + 1)?),
                    }
                };
                node.kind = Kind::List(items);
                (anchor, tag.filter(|tag| !tag.is_yaml_core_schema_tag("seq")))
            }
            Event::MappingStart(_, anchor, tag) => {
                let (members, end) = self.table(depth)?;
                (node.span.end, node.kind) = (end, Kind::Table(members));
                (anchor, tag.filter(|tag| !tag.is_yaml_core_schema_tag("map")))
            }
            _ => return Err(Fault::new(start, "expected a value")),
        };
        if let Some(tag) = tag {
            refuse_unknown(&tag, start)?;
        }
        if anchor > 0 {
            let size = self.nodes - before;
            self.copy(size, start)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    /// Counts what is about to be copied.
    fn copy(&mut self, size: usize, start: usize) -> Result<(), Fault> {
        self.copied += size;
        if self.copied > MOST_COPIED {
            return Err(Fault::new(start, format!("anchors and aliases stand for more than {MOST_COPIED} values")));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, start: usize) -> Result<Node, Fault> {
        let size = self.anchors.get(&anchor).map(|(_, size)| *size);
        let size = size.ok_or_else(|| Fault::new(start, "an alias inside of what it stands for"))?;
        self.copy(size, start)?;
        self.nodes += size;
        Ok(Node { line: self.source.line(start), ..self.anchors[&anchor].0.clone() })
    }

    /// The members of a table, and where it ends.
    fn table(&mut self, depth: usize) -> Result<(Members, usize), Fault> {
        let (mut own, mut merged) = (Members::new(), Members::new());
        loop {
            let key = self.next()?;
            if let (Event::MappingEnd, at) = key {
                // What is merged comes first, and what the table itself says counts.
                merged.extend(own);
                return Ok((merged, at.end));
            }
            let start = key.1.start;
            let is_merge = matches!(&key.0, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(key, depth + 1)?;
            let value = self.next()?;
            let at = value.1.start;
            let node = self.node(value, depth + 1)?;
            if is_merge {
                merge(node, at, &mut merged)?;
                continue;
            }
            let (text, plain) = (self.key(&key, start)?, key.plain);
            if own.contains_key(&text) && self.repeated == Repeated::Refused {
                return Err(Fault::twice(start, &text));
            }
            own.insert(text, Member { line: key.line, plain, node });
        }
    }

    /// A key as it is written: `1.10`, `yes` and `0644` are texts here.
    fn key(&self, key: &Node, start: usize) -> Result<String, Fault> {
        match &key.kind {
            Kind::Scalar(Value::String(text)) => Ok(text.clone()),
            Kind::Scalar(Value::Null) | Kind::List(_) | Kind::Table(_) => {
                Err(Fault::new(start, format!("a key must be a text, not {}", key.what())))
            }
            Kind::Scalar(_) if key.plain => Ok(self.source.text[key.span.clone()].to_owned()),
            Kind::Scalar(value) => Ok(value.to_string()),
        }
    }
}

/// Adds the members of a table, or of several, of which the first counts.
fn merge(node: Node, at: usize, merged: &mut Members) -> Result<(), Fault> {
    match node.kind {
        Kind::Table(members) => merged.extend(members),
        Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Table(_))) => {
            items.into_iter().rev().try_for_each(|item| merge(item, at, merged))?;
        }
        _ => return Err(Fault::new(at, "`<<` takes a table, or a list of tables")),
    }
    Ok(())
}

/// The value of a scalar in quotes, or behind a tag. Tags that are the file's own mean nothing here.
fn tagged(text: &str, tag: Option<&Tag>, start: usize) -> Result<Value, Fault> {
    let Some(tag) = tag else { return Ok(text.into()) };
    let value: Option<Value> = match tag.core_suffix() {
        Some("str") => Some(text.into()),
        Some("float") => float(text).map(Value::Number),
        Some("int") => Some(resolve(text)).filter(Value::is_number).filter(|value| !value.is_f64()),
        Some("bool") => Some(resolve(text)).filter(Value::is_boolean),
        Some("null") => Some(resolve(text)).filter(Value::is_null),
        Some(_) => None,
        None => refuse_unknown(tag, start).map(|()| Some(text.into()))?,
    };
    value.ok_or_else(|| Fault::new(start, "the value is not what its tag says"))
}

/// Refuses tags of YAML that are not of its core schema: `!!binary`, `!!set`.
fn refuse_unknown(tag: &Tag, start: usize) -> Result<(), Fault> {
    match tag.suffix_in_namespace("tag:yaml.org,2002:") {
        Some(name) if tag.is_custom() => Err(Fault::new(start, format!("the tag `!!{name}` has no meaning here"))),
        Some(_) => Err(Fault::new(start, "the value is not what its tag says")),
        None => Ok(()),
    }
}
