//! A fabfile's text as a tree of values that know where they stand, whatever the format.

use std::ops::Range;

use fabric_core::Value;
use fabric_core::settings::{type_of, yaml_as_written};
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    /// The bytes of the text in which it is written.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Anything but a list or a table.
    Scalar(Value),
    List(Vec<Node>),
    /// Members by name, each with the line of its name.
    Table(IndexMap<String, (usize, Node)>),
}

/// A text that is not of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Node {
    /// A value that stands nowhere.
    pub(super) fn without_place(value: &Value) -> Self {
        let kind = match value {
            Value::Array(items) => Kind::List(items.iter().map(Self::without_place).collect()),
            Value::Object(members) => {
                Kind::Table(members.iter().map(|(key, value)| (key.clone(), (0, Self::without_place(value)))).collect())
            }
            scalar => Kind::Scalar(scalar.clone()),
        };
        Self { line: 0, span: 0..0, kind }
    }

    /// The value without its places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Node::value).collect(),
            Kind::Table(table) => {
                Value::Object(table.iter().map(|(key, (_, node))| (key.clone(), node.value())).collect())
            }
        }
    }

    /// What it is, for messages: never the value, which may be a secret.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(value) => type_of(value),
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The same with a plain value, for keys that never hold a secret.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Scalar(Value::String(text)) => format!("the text {text:?}"),
            Kind::Scalar(value @ (Value::Bool(_) | Value::Number(_))) => format!("`{value}`"),
            _ => self.what().to_owned(),
        }
    }
}

/// Line numbers of byte offsets.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

pub(super) fn toml(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let lines = Lines::of(text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| SyntaxError {
                line: error.span().map(|span| lines.at(span.start)),
                message: error.message().to_owned(),
            })
            .collect());
    }
    toml_table(table.get_ref(), table.span(), &lines).map_err(|error| vec![error])
}

fn toml_table(table: &toml::de::DeTable<'_>, span: Range<usize>, lines: &Lines) -> Result<Node, SyntaxError> {
    let mut members = IndexMap::new();
    for (key, value) in table {
        let at = lines.at(key.span().start);
        members.insert(key.get_ref().to_string(), (at, toml_value(value.get_ref(), value.span(), lines)?));
    }
    // Members come sorted by name; a fabfile's order is that of its lines.
    members.sort_by(|_, (a, _), _, (b, _)| a.cmp(b));
    Ok(Node { line: lines.at(span.start), span, kind: Kind::Table(members) })
}

fn toml_value(value: &toml::de::DeValue<'_>, span: Range<usize>, lines: &Lines) -> Result<Node, SyntaxError> {
    use toml::de::DeValue;
    let line = lines.at(span.start);
    let error = |message: &str| SyntaxError { line: Some(line), message: message.to_owned() };
    let scalar = match value {
        DeValue::Table(table) => return toml_table(table, span, lines),
        DeValue::Array(items) => {
            let items: Result<_, _> = items.iter().map(|item| toml_value(item.get_ref(), item.span(), lines)).collect();
            return Ok(Node { line, span, kind: Kind::List(items?) });
        }
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| error("the number is too large"))?,
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Value::from)
            .ok_or_else(|| error("the number is not finite"))?,
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(time) => Value::from(time.to_string()),
    };
    Ok(Node { line, span, kind: Kind::Scalar(scalar) })
}

pub(super) fn yaml(text: &str) -> Result<Node, Vec<SyntaxError>> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { line: 1, span: 0..0, kind: Kind::Table(IndexMap::new()) });
    }
    // `no` is Norway as often as false: a switch is `true` or `false`.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    let read = serde_saphyr::from_str_with_options::<Spanned<YamlKind>>(text, options);
    read.map(|spanned| as_written(node(spanned), text)).map_err(|error| {
        let line = error.location().and_then(|at| usize::try_from(at.line()).ok()).filter(|line| *line > 0);
        let message = match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => twice(key),
            serde_saphyr::Error::DuplicateMappingKey { .. } => "a key is given twice".to_owned(),
            _ => first_line(&error.to_string()),
        };
        vec![SyntaxError { line, message }]
    })
}

fn twice(key: &str) -> String {
    format!("the key `{key}` is given twice")
}

/// The same, with the numbers in it as they are written.
fn as_written(node: Node, text: &str) -> Node {
    let kind = match node.kind {
        Kind::List(items) => Kind::List(items.into_iter().map(|item| as_written(item, text)).collect()),
        Kind::Table(members) => {
            Kind::Table(members.into_iter().map(|(key, (line, node))| (key, (line, as_written(node, text)))).collect())
        }
        Kind::Scalar(value) => Kind::Scalar(yaml_as_written(value, text.get(node.span.clone()))),
    };
    Node { kind, ..node }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn node(spanned: Spanned<YamlKind>) -> Node {
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    // An alias is where it is used; its text is where its anchor is.
    let written = spanned.defined.span();
    let start = number(written.byte_offset().unwrap_or(0));
    let span = start..start + number(written.byte_len().unwrap_or(0));
    Node { line: number(spanned.referenced.line()).max(1), span, kind: spanned.value.0 }
}

/// [`Kind`] as YAML has it.
struct YamlKind(Kind);

impl<'de> Deserialize<'de> for YamlKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = YamlKind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlKind, E> {
        // What is not finite is a text, see `as_written`.
        let value = if value.is_finite() { value } else { f64::MAX };
        Ok(YamlKind(Kind::Scalar(value.into())))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(value.into())))
    }

    fn visit_unit<E>(self) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(Value::Null)))
    }

    fn visit_none<E>(self) -> Result<YamlKind, E> {
        Ok(YamlKind(Kind::Scalar(Value::Null)))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlKind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<YamlKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<YamlKind>>()? {
            items.push(node(item));
        }
        Ok(YamlKind(Kind::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<YamlKind, A::Error> {
        let mut members = IndexMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = node(map.next_value::<Spanned<YamlKind>>()?);
            if members.insert(key.clone(), (value.line, value)).is_some() {
                return Err(A::Error::custom(twice(&key)));
            }
        }
        Ok(YamlKind(Kind::Table(members)))
    }
}

/// JSON: checked as JSON, then read as the YAML that it is, which knows the lines.
pub(super) fn json(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    if let Err(error) = checked {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        return Err(vec![SyntaxError { line: Some(error.line()).filter(|line| *line > 0), message }]);
    }
    yaml(&untabbed(text))
}

/// Tabs between JSON's tokens as blanks, which YAML takes everywhere.
fn untabbed(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .map(|c| {
            match c {
                '"' if !escaped => inside = !inside,
                _ => {}
            }
            escaped = inside && c == '\\' && !escaped;
            if c == '\t' && !inside { ' ' } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOML: &str = "[env]\nhosts = [\n  \"a\",\n  \"b\",\n]\n\n[tasks.x]\nrun = 'id'\n";
    const YAML: &str = "env:\n  hosts:\n  - a\n  - b\ntasks:\n  x:\n    run: id\n";
    const JSON: &str = "{\n\t\"env\": {\"hosts\": [\"a\",\n\t\"b\"]},\n\t\"tasks\": {\"x\": {\"run\": \"id\"}}\n}";

    #[test]
    fn the_three_formats_are_one_tree() {
        let want = json!({"env": {"hosts": ["a", "b"]}, "tasks": {"x": {"run": "id"}}});
        for tree in [toml(TOML), yaml(YAML), json(JSON)] {
            assert_eq!(tree.unwrap().value(), want);
        }
    }

    fn second_host_line(node: &Node) -> usize {
        let Kind::Table(top) = &node.kind else { panic!() };
        let Kind::Table(env) = &top["env"].1.kind else { panic!() };
        let Kind::List(hosts) = &env["hosts"].1.kind else { panic!() };
        hosts[1].line
    }

    #[test]
    fn values_know_their_lines() {
        assert_eq!(second_host_line(&toml(TOML).unwrap()), 4);
        assert_eq!(second_host_line(&yaml(YAML).unwrap()), 4);
        assert_eq!(second_host_line(&json(JSON).unwrap()), 3);
    }

    #[test]
    fn syntax_errors_have_a_line() {
        assert_eq!(toml("a = 1\nb = \n").unwrap_err()[0].line, Some(2));
        assert_eq!(json("{\n \"a\": ,\n}").unwrap_err()[0].line, Some(2));
        assert!(yaml("a: [1\nb: 2\n").unwrap_err()[0].line.is_some());
        assert!(yaml("a: 1\na: 2\n").is_err());
        assert!(toml("a = 1\na = 2\n").is_err());
        assert_eq!(yaml("# nothing\n").unwrap().value(), json!({}));
    }

    #[test]
    fn a_key_that_is_given_twice_is_named_with_its_line() {
        for error in [yaml("a: 1\nb:\n  c: 2\n  c: 3\n"), json("{\"a\": 1,\n\"b\": {\"c\": 2,\n\n\"c\": 3}}")] {
            let expected = SyntaxError { line: Some(4), message: "the key `c` is given twice".to_owned() };
            assert_eq!(error.unwrap_err(), [expected]);
        }
    }

    #[test]
    fn what_no_number_gives_back_stays_a_text() {
        let tree = yaml(
            "a: 0644\nb: &version 1.10\nc: [1.5, 012, *version, -1_0]\nd: {e: 0x1F, f: .inf, g: \"5\", h: !!str 7, i: ~}\n\
             j: 1e999 # comment\nk: 12:30:45\nl: [007,1e3]\n",
        );
        let expected = json!({
            "a": "0644", "b": "1.10", "c": [1.5, "012", "1.10", "-1_0"],
            "d": {"e": 31, "f": ".inf", "g": "5", "h": "7", "i": null},
            "j": "1e999", "k": "12:30:45", "l": ["007", "1e3"],
        });
        assert_eq!(tree.unwrap().value(), expected);
        assert_eq!(json("{\"a\":[1.10,\t2]}").unwrap().value(), json!({"a": ["1.10", 2]}));
    }

    #[test]
    fn words_of_yaml_are_words() {
        let tree = yaml("a: no\nb: on\nc: true\nd: [yes, false]\n").unwrap();
        assert_eq!(tree.value(), json!({"a": "no", "b": "on", "c": true, "d": ["yes", false]}));
    }
}
