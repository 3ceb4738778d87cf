//! Ansible's YAML format, and YAML and JSON with the lines of keys.

use std::path::Path;

use fabric_core::Layer;
use fabric_core::settings::Problem;
use fabric_core_document::{Document, Format, Kind, Member, Members, Node, Repeated};
use serde_json::{Map, Value};

use super::model::{FileLine, Model, Var, Vars};
use super::{InventoryError, pattern, scalar, words};

/// A file as Ansible reads it: JSON if it is JSON, else YAML 1.1, and of a key that is given twice the last value.
struct File {
    document: Document,
    place: FileLine,
}

impl File {
    fn parse(text: &str, place: &FileLine) -> Result<Self, InventoryError> {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let format = if is_json { Format::Json } else { Format::Yaml };
        let path = Path::new(&*place.file);
        let document = Document::parse_with(Layer::Role, path, format, text.as_bytes(), Repeated::TakesLast);
        let document = document.map_err(|problems| {
            let Problem { origin, message, .. } = problems.0.into_iter().next().expect("what is wrong");
            let place = origin.map_or_else(|| place.to_string(), |origin| origin.to_string());
            InventoryError::Refused { place, reason: message }
        })?;
        Ok(Self { document, place: place.clone() })
    }

    /// The value that Ansible's parser makes of a single value as it is written.
    fn scalar(&self, node: &Node) -> Option<Value> {
        match &node.kind {
            Kind::Scalar(Value::String(text)) if node.plain => Some(scalar::resolve(text)),
            Kind::Scalar(_) if node.plain => Some(scalar::resolve(&self.document.source.text[node.span.clone()])),
            Kind::Scalar(value) => Some(value.clone()),
            Kind::List(_) | Kind::Table(_) => None,
        }
    }

    fn value(&self, node: &Node) -> Value {
        match &node.kind {
            Kind::Scalar(_) => self.scalar(node).unwrap_or_default(),
            Kind::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Kind::Table(members) => {
                let member = |(key, member): (&String, &Member)| (name_of(key, member), self.value(&member.node));
                members.iter().map(member).collect::<Map<_, _>>().into()
            }
        }
    }

    /// What is false in Python.
    fn is_empty(&self, node: &Node) -> bool {
        match (&node.kind, self.scalar(node)) {
            (Kind::List(items), _) => items.is_empty(),
            (Kind::Table(members), _) => members.is_empty(),
            (_, Some(Value::String(text))) => text.is_empty(),
            (_, Some(Value::Number(number))) => number.as_f64() == Some(0.0),
            (_, value) => value != Some(Value::Bool(true)),
        }
    }

    /// The members of a table as variables.
    fn vars(&self, node: &Node, place: &FileLine) -> Result<Vars, InventoryError> {
        match &node.kind {
            Kind::Table(members) => {
                let var = |(key, member): (&String, &Member)| {
                    (name_of(key, member), Var { value: self.value(&member.node), place: place.at(member.line) })
                };
                Ok(members.iter().map(var).collect())
            }
            _ if self.is_empty(node) => Ok(Vars::new()),
            _ => Err(place.refused("variables are a table of names and values")),
        }
    }
}

/// What Ansible's parser makes of a key.
fn key_of(key: &str, member: &Member) -> Value {
    if member.plain { scalar::resolve(key) } else { key.into() }
}

/// The same as the name of a variable.
fn name_of(key: &str, member: &Member) -> String {
    words::plain(&key_of(key, member))
}

/// Variables in a file of `group_vars` or `host_vars`.
pub(super) fn read_vars(text: &str, file: &FileLine) -> Result<Vars, InventoryError> {
    let file = File::parse(text, file)?;
    file.vars(&file.document.root, &file.place)
}

/// `web: {hosts: {a: {ansible_host: ..}}, children: {..}, vars: {..}}`
pub(super) fn read(text: &str, place: &FileLine, model: &mut Model) -> Result<(), InventoryError> {
    let file = File::parse(text, place)?;
    let Kind::Table(groups) = &file.document.root.kind else {
        return Err(place.refused("an inventory in YAML is a table of groups"));
    };
    if let Some(member) = groups.get("plugin").filter(|member| !file.is_empty(&member.node)) {
        return Err(place.at(member.line).refused(
            "the configuration of an inventory plugin: let `ansible-inventory --list` read it, as `command`",
        ));
    }
    groups.iter().try_for_each(|(key, member)| file.group(key, member, model).map(drop))
}

impl File {
    fn group(&self, key: &str, member: &Member, model: &mut Model) -> Result<usize, InventoryError> {
        let place = self.place.at(member.line);
        let name = match key_of(key, member) {
            Value::String(name) if !name.is_empty() => name,
            name => return Err(place.refused(format!("the name of a group is a text, not `{name}`: quote it"))),
        };
        let group_index = model.group(&name);
        let members = match &member.node.kind {
            Kind::Table(members) => members,
            _ if self.scalar(&member.node) == Some(Value::Null) => return Ok(group_index),
            _ => return Err(place.refused(format!("group `{name}` is a table of `hosts`, `children` and `vars`"))),
        };
        for (key, member) in members {
            let place = self.place.at(member.line);
            let scalar = self.scalar(&member.node);
            let one: Members;
            let entries = match (key.as_str(), &member.node.kind) {
                _ if scalar == Some(Value::Null) => continue,
                ("hosts" | "children" | "vars", Kind::Table(entries)) => entries,
                ("hosts" | "children" | "vars", _) => {
                    // The name of a single one.
                    let Some(Value::String(one_name)) = scalar else {
                        let reason = format!("`{key}` of group `{name}` is a table: `name:` a line, without `-`");
                        return Err(place.refused(reason));
                    };
                    let node = Node::without_place(&Value::Null);
                    one = [(one_name, Member { line: member.line, plain: false, node })].into();
                    &one
                }
                _ => {
                    let key = name_of(key, member);
                    model.warnings.insert(format!(
                        "{place}: `{key}` of group `{name}` is not read: a group has `hosts`, `children` and `vars`",
                    ));
                    continue;
                }
            };
            for (entry, inner) in entries {
                let place = self.place.at(inner.line);
                match key.as_str() {
                    "vars" => {
                        let var = Var { value: self.value(&inner.node), place };
                        model.set_group_var(group_index, &name_of(entry, inner), var)?;
                    }
                    "children" => {
                        let child = self.group(entry, inner, model)?;
                        model.add_child(group_index, child, &place)?;
                    }
                    _ => self.hosts(entry, inner, group_index, model)?,
                }
            }
        }
        Ok(group_index)
    }

    fn hosts(&self, key: &str, member: &Member, group: usize, model: &mut Model) -> Result<(), InventoryError> {
        let place = self.place.at(member.line);
        let Value::String(name) = key_of(key, member) else {
            let name = key_of(key, member);
            return Err(place.refused(format!("the name of a host is a text, not `{name}`: quote it")));
        };
        let pattern = pattern::read(&name).map_err(|why| place.refused(why.to_string()))?;
        let vars = self.vars(&member.node, &place)?;
        for written in pattern.hosts {
            let host = model.host(written, pattern.port, group, &place)?;
            model.hosts[host].vars.extend(vars.iter().map(|(key, var)| (key.clone(), var.clone())));
        }
        Ok(())
    }
}
