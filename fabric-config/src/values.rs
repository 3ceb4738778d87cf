//! Values on their way into a layer: names brought to their classic spelling, types checked, what is wrong
//! collected.

use std::path::Path;

use fabric_core::Settings;
use fabric_core::settings::{Layer, Map, Origin, Problem, Setting, TABLE, Value, nearest, type_of};
use fabric_core_document::{Document, Kind as Node, Member};
use indexmap::IndexMap;

/// One value and its origin.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// The values of one source, by classic name; other names are shared state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerValues {
    pub(crate) layer: Layer,
    pub(crate) values: IndexMap<String, Entry>,
}

/// What a key means that is not a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// An error.
    Refuse,
    /// An error if it looks like a setting's name, else shared state.
    RefuseTypos,
    /// Shared state, with a warning if it looks like a setting's name.
    Share,
}

/// Takes keys and values as they were written.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    layer: LayerValues,
    spelled: IndexMap<&'static str, String>,
    unknown: Unknown,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl Intake {
    pub(crate) fn new(layer: Layer, unknown: Unknown) -> Self {
        Self {
            layer: LayerValues { layer, values: IndexMap::new() },
            spelled: IndexMap::new(),
            unknown,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> (LayerValues, Vec<Problem>, Vec<Problem>) {
        (self.layer, self.problems, self.warnings)
    }

    /// Takes what a file says.
    pub(crate) fn document(&mut self, document: &Document) {
        match document.table() {
            Ok(members) => members.iter().for_each(|(key, member)| self.member(key, member, document)),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn member(&mut self, name: &str, member: &Member, document: &Document) {
        if let (Node::Table(inside), true) = (&member.node.kind, is_group(name)) {
            return inside.iter().for_each(|(key, inner)| self.member(&format!("{name}.{key}"), inner, document));
        }
        let origin = document.origin(member.line);
        let value = match Meaning::of(name) {
            Meaning::Setting(setting, _) => member.node.typed(setting.kind),
            Meaning::Without(_) | Meaning::Unknown => Ok(member.node.value()),
        };
        match value {
            Ok(value) => self.value(name, value, origin),
            Err(why) => self.problems.push(Problem::new(format!("setting `{name}`: {why}")).at(origin)),
        }
    }

    /// Takes a value, or a table of settings, that was read elsewhere.
    pub(crate) fn given(&mut self, name: &str, value: &Value, origin: &Origin) {
        match value {
            Value::Object(inside) if is_group(name) => {
                inside.iter().for_each(|(key, value)| self.given(&format!("{name}.{key}"), value, origin));
            }
            value => self.value(name, value.clone(), origin.clone()),
        }
    }

    /// Adds keys to a setting that is a table.
    pub(crate) fn extend(&mut self, name: &str, table: Map, origin: Origin) {
        match self.layer.values.get_mut(name).and_then(|entry| entry.value.as_object_mut()) {
            Some(there) => there.extend(table),
            None => self.value(name, Value::Object(table), origin),
        }
    }

    /// Takes a text under a name, and reads it by the setting's type.
    pub(crate) fn text(&mut self, name: &str, text: &str, origin: Origin) {
        let table = || serde_json::from_str::<Map>(text).ok();
        if let Some(table) = table().filter(|_| is_group(name)) {
            return self.given(name, &Value::Object(table), &origin);
        }
        let value = match Meaning::of(name) {
            Meaning::Setting(setting, _) => {
                match list_change_of(setting, text).map_or_else(|| setting.kind.parse(text), Ok) {
                    Ok(value) => value,
                    Err(why) => {
                        let found = setting.found(&Value::from(text));
                        self.problems.push(Problem::new(format!("setting `{name}`: {why}{found}")).at(origin));
                        return;
                    }
                }
            }
            _ => Value::from(text),
        };
        self.value(name, value, origin);
    }

    /// Takes a value under a name: a classic one, a modern one, or shared state.
    pub(crate) fn value(&mut self, name: &str, value: Value, origin: Origin) {
        match Meaning::of(name) {
            Meaning::Setting(setting, conversion) => self.setting(name, setting, conversion, value, origin),
            Meaning::Without(advice) => {
                let warning = Problem::new(format!("`{name}` has no effect here")).at(origin);
                self.warnings.push(if advice.is_empty() { warning } else { warning.hint(advice) });
            }
            Meaning::Unknown => self.unknown(name, value, origin),
        }
    }

    fn setting(&mut self, name: &str, setting: &'static Setting, conversion: Conversion, value: Value, origin: Origin) {
        // A fabfile may: "modification is not recommended, but probably won't break anything" (Fabric 1).
        if setting.is_information() && self.unknown != Unknown::Share {
            let problem = Problem::new(format!("`{name}` is set by the run, for tasks to read, and can't be set here"));
            self.problems.push(problem.at(origin));
            return;
        }
        if let Some(earlier) = self.spelled.get(setting.name).filter(|earlier| *earlier != name) {
            let problem = Problem::new(format!("`{name}` and `{earlier}` are the same setting, and both are given"));
            self.problems.push(problem.at(origin).hint(format!("keep `{}`", setting.name)));
            return;
        }
        let Some(value) = conversion.apply(value) else { return };
        if let Err(mut problem) = check(setting, &value) {
            problem.message = problem.message.replacen(&format!("`{}`", setting.name), &format!("`{name}`"), 1);
            let problem = problem.at(origin);
            self.problems.push(match value {
                Value::Object(_) if setting.name == "hosts" => problem.hint(SECTIONS),
                _ => problem,
            });
            return;
        }
        let value = match origin.file.as_deref().and_then(Path::parent) {
            Some(dir) if matches!(self.layer.layer, Layer::Project | Layer::Fabfile | Layer::Host) => {
                setting.below(dir, value)
            }
            _ => value,
        };
        self.spelled.insert(setting.name, name.to_owned());
        let value = match self.layer.values.get(setting.name) {
            Some(earlier) if is_host_list(setting.name) => extended(&earlier.value, value),
            _ => value,
        };
        self.layer.values.insert(setting.name.to_owned(), Entry { value, origin });
    }

    fn unknown(&mut self, name: &str, value: Value, origin: Origin) {
        if is_group(name) {
            let problem = Problem::new(format!("setting `{name}`: expected a table, found {}", type_of(&value)));
            return self.problems.push(problem.at(origin));
        }
        // In a table of settings no name is shared state.
        let in_group = name.split_once('.').is_some_and(|(group, _)| is_group(group));
        let near = match self.unknown {
            _ if in_group => nearest_name(name),
            Unknown::Share => mistyped(name),
            Unknown::Refuse | Unknown::RefuseTypos => nearest_name(name),
        };
        let problem = |what: &str| {
            let problem = Problem::new(format!("{what} `{name}`")).at(origin.clone());
            match near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        };
        match self.unknown {
            _ if in_group => return self.problems.push(problem("unknown setting")),
            Unknown::Refuse => return self.problems.push(problem("unknown setting")),
            Unknown::RefuseTypos if near.is_some() => return self.problems.push(problem("unknown setting")),
            Unknown::Share if near.is_some() => self.warnings.push(problem("not a setting, but shared state:")),
            Unknown::RefuseTypos | Unknown::Share => {}
        }
        self.layer.values.insert(name.to_owned(), Entry { value, origin });
    }
}

/// Whether a value fits a setting: its type, and its range.
fn check(setting: &Setting, value: &Value) -> Result<(), Problem> {
    if let (true, Some((_, items))) = (is_host_list(setting.name), list_change(value)) {
        return Settings::default().set(setting.name, items);
    }
    Settings::default().set(setting.name, value)
}

/// Whether a setting's lists may be changed by `extend` and `replace`.
pub(crate) fn is_host_list(name: &str) -> bool {
    matches!(name, "hosts" | "roles" | "exclude_hosts")
}

/// How `{ extend = [..] }` and `{ replace = [..] }` change a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListChange {
    Extend,
    Replace,
}

/// The change that a value describes, and its items.
pub(crate) fn list_change(value: &Value) -> Option<(ListChange, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get("extend")
        .map(|items| (ListChange::Extend, items))
        .or_else(|| map.get("replace").map(|items| (ListChange::Replace, items)))
}

/// The table that changes a list, as JSON in an environment variable or `--set`.
fn list_change_of(setting: &Setting, text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(|value: &Value| is_host_list(setting.name) && value.is_object())
}

/// The value of a list that a source gives a second time: `extend` adds to what was given before.
fn extended(earlier: &Value, value: Value) -> Value {
    let Some((ListChange::Extend, more)) = list_change(&value) else { return value };
    let (change, items) = list_change(earlier).unzip();
    let texts = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let items = Value::Array([texts(items.unwrap_or(earlier)), texts(more)].concat());
    match change {
        Some(ListChange::Extend) => serde_json::json!({ "extend": items }),
        Some(ListChange::Replace) => serde_json::json!({ "replace": items }),
        None => items,
    }
}

/// The nearest name under which something can be set.
pub(crate) fn nearest_name(name: &str) -> Option<&'static str> {
    Setting::nearest(name).or_else(|| nearest(name, WITHOUT.iter().map(|(known, _)| *known)))
}

/// Where tables that are written as a setting `hosts` belong.
const SECTIONS: &str = "settings for some hosts, [hosts.\"web*\"], belong into the fabfile";

/// The setting's name for which the name of shared state was probably mistyped.
fn mistyped(name: &str) -> Option<&'static str> {
    Setting::mistyped(name).or_else(|| nearest(name, WITHOUT.iter().map(|(known, _)| *known)))
}

/// What a name means.
enum Meaning {
    Setting(&'static Setting, Conversion),
    /// A modern setting that has no effect here, and what to use instead.
    Without(&'static str),
    Unknown,
}

impl Meaning {
    fn of(name: &str) -> Self {
        if let Some(setting) = Setting::find_any(name) {
            let conversion = match name {
                "run.pty" => Conversion::Wanted,
                "run.shell" => Conversion::ShellPath,
                _ => Conversion::None,
            };
            return Self::Setting(setting, conversion);
        }
        if let Some(setting) = TABLE.iter().find(|setting| setting.inverse.contains(&name)) {
            return Self::Setting(setting, Conversion::Opposite);
        }
        match WITHOUT.iter().find(|(known, _)| *known == name) {
            Some((_, advice)) => Self::Without(advice),
            None => Self::Unknown,
        }
    }
}

/// How a modern value becomes a classic one.
#[derive(Debug, Clone, Copy)]
enum Conversion {
    None,
    /// `true` is `false` and the reverse.
    Opposite,
    /// `true` asks; `false`, the modern default, doesn't forbid.
    Wanted,
    /// The path of a shell, which is called with `-c`.
    ShellPath,
}

impl Conversion {
    /// `None` if the value has no effect here. A value of the wrong type stays as it is; the check refuses it.
    fn apply(self, value: Value) -> Option<Value> {
        match (self, value) {
            (Self::Opposite, Value::Bool(on)) => Some(Value::Bool(!on)),
            (Self::Wanted, Value::Bool(on)) => on.then_some(Value::Bool(true)),
            (Self::ShellPath, Value::String(shell)) if !shell.contains(' ') => Some(Value::from(format!("{shell} -c"))),
            (_, value) => Some(value),
        }
    }
}

/// Whether modern names begin with this one: `run`, `connect_kwargs`.
pub(crate) fn is_group(name: &str) -> bool {
    let inside = |spelling: &str| spelling.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    TABLE.iter().flat_map(Setting::spellings).any(inside) || WITHOUT.iter().any(|(spelling, _)| inside(spelling))
}

/// The modern names that are accepted but have no effect, each with advice.
pub(crate) fn without_effect() -> impl Iterator<Item = (&'static str, &'static str)> {
    WITHOUT.iter().copied()
}

/// Modern settings (Fabric 3, Invoke 2) that have no effect here, and what does the same.
const WITHOUT: &[(&str, &str)] = &[
    ("authentication.strategy_class", "keys, agent and passwords are tried in OpenSSH's order"),
    (
        "connect_kwargs.disabled_algorithms",
        "use the settings `ciphers`, `kex_algorithms`, `macs` and `host_key_algorithms`",
    ),
    ("connect_kwargs.gss_host", ""),
    ("connect_kwargs.gss_trust_dns", ""),
    ("run.asynchronous", ""),
    ("run.disown", ""),
    ("run.dry", "use the option --dry-run"),
    ("run.echo", "commands are shown; use --hide running"),
    ("run.echo_format", ""),
    ("run.encoding", "output is UTF-8; the captured bytes are kept as they came"),
    ("run.err_stream", ""),
    ("run.fallback", ""),
    ("run.hide", "use the option --hide"),
    ("run.in_stream", ""),
    ("run.out_stream", ""),
    ("run.replace_env", ""),
    ("run.watchers", "use the setting `prompts`"),
    ("tasks.auto_dash_names", ""),
    ("tasks.dedupe", ""),
    ("tasks.executor_class", ""),
    ("tasks.ignore_unknown_help", ""),
    ("tasks.search_root", "use the setting `fabfile`"),
];
