//! YAML, with the lines of its keys.

use std::fmt;

use fabric_core::settings::{Map, Value, yaml_as_written};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use serde_saphyr::Spanned;

use super::{Fault, Lines, Parsed, table};

pub(super) fn parse(text: &str) -> Parsed {
    if text.trim().is_empty() {
        return Ok((Map::new(), Lines::new()));
    }
    // `no` is Norway as often as false: only a setting's type can tell.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Option<Spanned<Node>>>(text, options) {
        Ok(None) => Ok((Map::new(), Lines::new())),
        Ok(Some(node)) => {
            let mut lines = Lines::new();
            let value = value_of(node, text, &mut Vec::new(), &mut lines);
            table(value, lines)
        }
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line() as usize);
            // The first line says what is wrong; what follows shows the file's text, which may hold a secret.
            let message = match error.without_snippet() {
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => super::twice(key),
                serde_saphyr::Error::DuplicateMappingKey { .. } => "a key is given twice".to_owned(),
                error => without_place(error.to_string().lines().next().unwrap_or_default()),
            };
            Err(vec![Fault { line: line.max(1), message }])
        }
    }
}

/// The message without the place that the parser adds: file and line are shown in our own way.
fn without_place(message: &str) -> String {
    let message = match message.rfind(" at line ") {
        Some(at) => &message[..at],
        None => message,
    };
    message.trim_start_matches("error: ").to_owned()
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Table(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// The value of a node; numbers are what is written for them.
fn value_of(node: Spanned<Node>, text: &str, path: &mut Vec<String>, lines: &mut Lines) -> Value {
    match node.value {
        Node::Scalar(value) => {
            let number = |of: Option<u64>| usize::try_from(of.unwrap_or_default()).unwrap_or_default();
            let span = node.defined.span();
            let start = number(span.byte_offset());
            yaml_as_written(value, text.get(start..start + number(span.byte_len())))
        }
        Node::List(items) => items.into_iter().map(|item| value_of(item, text, path, lines)).collect(),
        Node::Table(entries) => {
            let mut map = Map::new();
            for (key, node) in entries {
                path.push(key.value.clone());
                lines.insert(path.clone(), key.referenced.line() as usize);
                map.insert(key.value, value_of(node, text, path, lines));
                path.pop();
            }
            Value::Object(map)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(json!(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(json!(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(json!(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        // What is not finite is a text, see `value_of`.
        let value = if value.is_finite() { value } else { f64::MAX };
        Ok(Node::Scalar(json!(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(json!(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Node::Table(table))
    }
}
