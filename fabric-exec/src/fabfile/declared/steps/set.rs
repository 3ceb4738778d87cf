//! `set`.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core::settings::{self, Map, Problem, Setting};
use fabric_core_document::{Kind, Member, Node};
use indexmap::IndexMap;
use serde_json::json;

use super::lists::{expand, names_something};
use super::step::{Form, Step, Verb};
use super::values::texts_of;
use super::work::Work;
use crate::fabfile::declared::reader::{Reader, setting_value};
use crate::fabfile::declared::rename::{Rename, rename_in};
use crate::hostlist::Selection;
use crate::task::{Effect, KnownStep, TaskError, Text};
use crate::template;

pub(super) const FORM: Form =
    Form { name: "set", keys: &[&["if", "save"]], read: |reader, subject, _, what| reader.set(subject, what) };

/// Shared state and settings for what follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SetStep(pub(crate) IndexMap<String, SetValue>);

/// A value to set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SetValue {
    /// This; texts in it are templates.
    Plain(Value),
    /// The hosts that a local command prints. The command is a template.
    Command(String),
}

#[async_trait]
impl Verb for SetStep {
    fn name(&self) -> &'static str {
        FORM.name
    }

    fn what(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        let texts = |value: &'a SetValue| match value {
            SetValue::Plain(value) => texts_of(value).into_iter().map(Text::Plain).collect(),
            SetValue::Command(line) => vec![Text::Shell(line)],
        };
        known.texts = self.0.values().flat_map(texts).collect();
        let list = |name: &str| match self.0.get(name) {
            Some(SetValue::Plain(value)) => texts_of(value).into_iter().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        known.effect = Effect::Sets {
            names: self.0.keys().map(String::as_str).collect(),
            lists: Selection { hosts: list("hosts"), roles: list("roles"), exclude: list("exclude_hosts") },
            by_command: self.0.values().any(|value| matches!(value, SetValue::Command(_))),
        };
    }

    fn needs_host(&self) -> Option<bool> {
        None
    }

    fn yields_a_value(&self) -> bool {
        false
    }

    fn with_roles(&self, rename: &Rename<'_>) -> Option<Arc<dyn Verb>> {
        let mut set = self.clone();
        if let Some(SetValue::Plain(roles)) = set.0.get_mut("roles") {
            rename_in(roles, rename);
        }
        Some(Arc::new(set))
    }

    async fn carry_out(&self, work: &mut Work, _: &Step) -> Result<Value, TaskError> {
        let mut set = Map::new();
        for (name, value) in &self.0 {
            set.insert(name.clone(), work.set(name, value).await?);
        }
        Ok(Value::Object(set))
    }
}

impl Reader {
    fn set(&mut self, subject: &Node, what: &str) -> Option<Arc<dyn Verb>> {
        let members = self.table(subject, what)?;
        let mut values = IndexMap::new();
        for (name, Member { line, node, .. }) in members {
            let what = format!("{what}, `{name}`");
            let keys: &[&str] = match name.as_str() {
                "hosts" | "exclude_hosts" => &["command", "extend", "replace"],
                "roles" => &["extend", "replace"],
                _ => &[],
            };
            let value = match &node.kind {
                Kind::Table(inner) if !keys.is_empty() => {
                    inner.iter().filter(|(key, _)| !keys.contains(&key.as_str())).for_each(
                        |(key, Member { line, .. })| {
                            self.unknown_key(*line, key, &what, keys);
                        },
                    );
                    let given: Vec<_> = inner.iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
                    let [(key, Member { line, node: list, .. })] = given.as_slice() else {
                        let table = if name == "roles" { "extend = [..]" } else { "command = \"..\"" };
                        let items = if name == "roles" { "roles" } else { "hosts" };
                        self.problem(*line, format!("{what}: expected a list of {items} or {{ {table} }}"));
                        continue;
                    };
                    if *key == "command" {
                        SetValue::Command(self.templated(list, &what)?)
                    } else {
                        self.set_kind(name, *line, list, &what);
                        self.value_templates(list, &what);
                        SetValue::Plain(node.value())
                    }
                }
                _ => {
                    self.set_kind(name, *line, node, &what);
                    self.value_templates(node, &what);
                    match setting_value(name, node) {
                        Ok(value) => SetValue::Plain(value),
                        Err(why) => {
                            self.problem(*line, format!("{what}: {why}"));
                            continue;
                        }
                    }
                }
            };
            values.insert(name.clone(), value);
        }
        Some(Arc::new(SetStep(values)))
    }

    /// Whether a setting takes what it is given, `timeouts = { connect = 5 }` included. What a template comes out as is
    /// known when it runs.
    fn set_kind(&mut self, name: &str, line: usize, node: &Node, what: &str) {
        match (Setting::any_spelling(name), &node.kind) {
            (Some(setting), _) if setting.is_information() => {
                self.problem(line, format!("{what} can only be read, not set"));
            }
            (Some(_), Kind::Scalar(Value::String(text))) if template::is_template(text) => {}
            (Some(setting), _) => {
                // A word of YAML that isn't a switch here has a message of its own.
                let Ok(value) = node.typed(setting.kind) else { return };
                let fits = match &value {
                    Value::String(text) => setting.kind.parse(text).map(drop),
                    value => setting.kind.check(value),
                };
                if let Err(expected) = fits {
                    self.problem(line, format!("{what}: {expected}{}", setting.found(&value)));
                }
            }
            (None, Kind::Table(members)) => {
                for (key, Member { line, node, .. }) in members {
                    let inner = format!("{name}.{key}");
                    if Setting::any_spelling(&inner).is_some() {
                        self.set_kind(&inner, *line, node, &format!("{what}, `{key}`"));
                    }
                }
            }
            (None, _) => {
                if let Some(near) = Setting::mistyped(name) {
                    let origin = self.origin(fabric_core::Layer::Task, line);
                    let problem = Problem::new(format!("{what} is no setting: it is shared state"));
                    self.warnings.push(problem.at(origin).hint(format!("did you mean `{near}`?")));
                }
            }
        }
    }
}

/// What templates yield is text; a setting has its type.
fn of_type(name: &str, value: Value) -> Result<Value, TaskError> {
    match (Setting::any_spelling(name), value) {
        (Some(setting), Value::String(text)) if setting.kind != settings::Kind::Text => {
            setting.kind.parse(&text).map_err(|expected| TaskError::Abort(format!("`{name}`: {expected}")))
        }
        (None, Value::Object(members)) => {
            let member = |(key, value)| Ok((String::clone(&key), of_type(&format!("{name}.{key}"), value)?));
            members.into_iter().map(member).collect::<Result<Map, TaskError>>().map(Value::Object)
        }
        (_, value) => Ok(value),
    }
}

impl Work {
    /// Sets one value, and yields it; nothing where a dry run can't know it.
    async fn set(&self, name: &str, value: &SetValue) -> Result<Value, TaskError> {
        let (rendered, command) = match value {
            SetValue::Plain(value) => (template::render_value(value, &|text| self.render(text))?, None),
            SetValue::Command(line) => (Value::Null, Some(self.render(line)?)),
        };
        // A setting or a list that is a template still is of no use.
        let text = command.clone().unwrap_or_else(|| rendered.to_string());
        let steers = command.is_some() || Setting::find(name).is_some();
        let is_open = self.context.is_dry_run() && steers && template::is_template(&text);
        if is_open || self.context.emitter().condition().is_some() {
            self.plan("set", name.to_owned());
        }
        if is_open {
            return Ok(Value::Null);
        }
        if name == "hosts" {
            self.context.set_hosts(&[]);
        }
        if let SetValue::Plain(written) = value
            && ["hosts", "roles", "exclude_hosts", "only_hosts"].contains(&name)
        {
            let texts = texts_of(&rendered).into_iter().zip(texts_of(written));
            texts.into_iter().try_for_each(|(text, written)| names_something(name, text, written))?;
        }
        let value = match command {
            Some(line) => {
                let hosts = self.context.inventory(&line).await?;
                if name == "hosts" && hosts.is_empty() {
                    // Taken for a missing list, what follows would run here.
                    return Err(TaskError::abort(
                        "`hosts`: the command names no hosts, so that nothing can run on them",
                    ));
                }
                if name == "hosts" {
                    self.context.set_hosts(&hosts);
                }
                hosts.iter().map(|listed| listed.host.as_str()).collect()
            }
            None => self.changed_list(name, rendered)?,
        };
        let value = match (name, &value) {
            ("hosts" | "exclude_hosts", Value::String(text)) => json!(expand(text)?),
            ("hosts" | "exclude_hosts", Value::Array(items)) => {
                let mut hosts = Vec::new();
                for item in items {
                    hosts.extend(expand(item.as_str().unwrap_or_default())?);
                }
                json!(hosts)
            }
            _ => of_type(name, value)?,
        };
        self.context.env().set(name, value.clone());
        Ok(value)
    }

    /// The global list that `{ extend = [..] }` or `{ replace = [..] }` leads to; any other value is itself.
    fn changed_list(&self, name: &str, value: Value) -> Result<Value, TaskError> {
        let (change, items) = match &value {
            Value::Object(map) if matches!(name, "hosts" | "roles" | "exclude_hosts") => match map.iter().next() {
                Some((change, items)) => (change.as_str(), items),
                None => return Ok(value),
            },
            _ => return Ok(value),
        };
        let mut list = match change {
            "extend" => self.context.env_value(name)?.unwrap_or_default(),
            _ => json!([]),
        };
        let items = match items {
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        list.as_array_mut().into_iter().for_each(|list| list.extend(items.iter().cloned()));
        Ok(list)
    }
}
