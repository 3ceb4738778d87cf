//! Ansible's YAML format, and YAML with the lines of its keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::model::{Model, Place, Var, Vars};
use super::{InventoryError, pattern, scalar};

/// A value, its tables with their lines.
#[derive(Debug)]
pub(super) enum Node {
    Scalar(Value),
    List(Vec<Node>),
    Table(Vec<(usize, Value, Node)>),
}

impl Node {
    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(Value::Null | Value::Bool(false)) => true,
            Self::Scalar(Value::String(text)) => text.is_empty(),
            Self::Scalar(Value::Number(number)) => number.as_f64() == Some(0.0),
            Self::Scalar(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Table(members) => members.is_empty(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Table(members) => members
                .iter()
                .map(|(_, key, node)| (super::words::plain(key), node.value()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The members of a table as variables.
    fn vars(&self, place: &Place) -> Result<Vars, InventoryError> {
        match self {
            node if node.is_empty() => Ok(Vars::new()),
            Self::Table(members) => Ok(members
                .iter()
                .map(|(line, key, node)| {
                    (super::words::plain(key), Var { value: node.value(), place: place.at(*line) })
                })
                .collect()),
            _ => Err(place.refused("variables are a table of names and values")),
        }
    }
}

/// Reads YAML, or JSON, which is YAML.
pub(super) fn parse(text: &str, file: &Place) -> Result<Node, InventoryError> {
    if text.lines().all(|line| matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#')) {
        return Ok(Node::Scalar(Value::Null));
    }
    // Of a key that is given twice Ansible takes the last value.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
    };
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let read = serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options);
    read.map(|raw| raw.value.into_node(&raw.defined, text, is_json)).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line() as usize);
        // What follows the first line shows the text, which may hold a secret.
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
        file.at(line).refused(message.trim_start_matches("error: "))
    })
}

/// Variables in a file of `group_vars` or `host_vars`.
pub(super) fn read_vars(text: &str, file: &Place) -> Result<Vars, InventoryError> {
    parse(text, file)?.vars(file)
}

/// `web: {hosts: {a: {ansible_host: ..}}, children: {..}, vars: {..}}`
pub(super) fn read(text: &str, file: &Place, model: &mut Model) -> Result<(), InventoryError> {
    let Node::Table(groups) = parse(text, file)? else {
        return Err(file.refused("an inventory in YAML is a table of groups"));
    };
    if let Some((line, ..)) = groups.iter().find(|(_, key, node)| key == "plugin" && !node.is_empty()) {
        return Err(file.at(*line).refused(
            "the configuration of an inventory plugin: let `ansible-inventory --list` read it, as `command`",
        ));
    }
    for (line, name, node) in &groups {
        group(name, node, &file.at(*line), model)?;
    }
    Ok(())
}

fn group(name: &Value, node: &Node, place: &Place, model: &mut Model) -> Result<usize, InventoryError> {
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        return Err(place.refused(format!("the name of a group is a text, not `{name}`: quote it")));
    };
    let members = match node {
        Node::Table(members) => members.as_slice(),
        Node::Scalar(Value::Null) => &[],
        _ => return Err(place.refused(format!("group `{name}` is a table of `hosts`, `children` and `vars`"))),
    };
    let group_index = model.group(name);
    for (line, key, node) in members {
        let place = place.at(*line);
        let text;
        let entries = match (key.as_str(), node) {
            (_, Node::Scalar(Value::Null)) => continue,
            (Some("hosts" | "children" | "vars"), Node::Table(entries)) => entries.as_slice(),
            (Some("hosts" | "children" | "vars"), Node::Scalar(name @ Value::String(_))) => {
                text = [(*line, name.clone(), Node::Scalar(Value::Null))];
                &text
            }
            (Some(key @ ("hosts" | "children" | "vars")), _) => {
                return Err(place.refused(format!("`{key}` of group `{name}` is a table: `name:` a line, without `-`")));
            }
            _ => {
                model.warnings.insert(format!(
                    "{place}: `{}` of group `{name}` is not read: a group has `hosts`, `children` and `vars`",
                    super::words::plain(key)
                ));
                continue;
            }
        };
        for (line, key_of_entry, node) in entries {
            let place = place.at(*line);
            match key.as_str() {
                Some("vars") => {
                    let var = Var { value: node.value(), place };
                    model.set_group_var(group_index, &super::words::plain(key_of_entry), var)?;
                }
                Some("children") => {
                    let child = group(key_of_entry, node, &place, model)?;
                    model.add_child(group_index, child, &place)?;
                }
                _ => hosts(key_of_entry, node, group_index, &place, model)?,
            }
        }
    }
    Ok(group_index)
}

fn hosts(name: &Value, node: &Node, group: usize, place: &Place, model: &mut Model) -> Result<(), InventoryError> {
    let Some(name) = name.as_str() else {
        return Err(place.refused(format!("the name of a host is a text, not `{name}`: quote it")));
    };
    let pattern = pattern::read(name).map_err(|why| place.refused(why))?;
    let vars = node.vars(place)?;
    for written in pattern.hosts {
        let host = model.host(written, pattern.port, group, place)?;
        model.hosts[host].vars.extend(vars.iter().map(|(key, var)| (key.clone(), var.clone())));
    }
    Ok(())
}

/// What a YAML parser says, with the places.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Table(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl Raw {
    /// The same, with plain scalars as Ansible's parser takes them.
    fn into_node(self, at: &Location, text: &str, is_json: bool) -> Node {
        let node = |raw: Spanned<Self>| raw.value.into_node(&raw.defined, text, is_json);
        match self {
            Self::Scalar(value) => Node::Scalar(match plain_scalar(&value, at, text) {
                Some(written) if !is_json => scalar::resolve(written),
                _ => value,
            }),
            Self::List(items) => Node::List(items.into_iter().map(node).collect()),
            Self::Table(entries) => Node::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let line = usize::try_from(key.referenced.line()).unwrap_or(0);
                        (line, node(key).value(), node(value))
                    })
                    .collect(),
            ),
        }
    }
}

/// What is written for a plain scalar without a tag.
fn plain_scalar<'t>(value: &Value, at: &Location, text: &'t str) -> Option<&'t str> {
    let number = |of: Option<u64>| usize::try_from(of?).ok();
    let start = number(at.span().byte_offset())?;
    let written = text.get(start..start + number(at.span().byte_len())?)?;
    let before = text.get(..start)?.trim_end().rsplit(char::is_whitespace).next();
    let is_plain = match value {
        Value::String(text) => text == written,
        Value::Null => !written.is_empty(),
        _ => !written.starts_with(['"', '\'']),
    };
    (is_plain && !before.is_some_and(|word| word.starts_with('!'))).then_some(written)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Raw::Table(table))
    }
}
