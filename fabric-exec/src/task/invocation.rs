//! Calls of tasks: `task:pos,key=value`, and the binding of arguments to parameters.

use fabric_core::settings::is_secret_name;
use fabric_core::{HostStringError, Origin, Value};
use indexmap::IndexMap;
use serde::Serialize;
use thiserror::Error;

use super::{Expected, Param, ParamKind};
use crate::hostlist::{Selection, expand_item};

/// A task's arguments by name, defaults filled in.
pub type Args = IndexMap<String, Value>;

/// A call of a task.
///
/// ```
/// use fabric_exec::Invocation;
///
/// let call = Invocation::parse("deploy:prod,version=1\\,5,hosts=web[1\\,2];db1")?;
/// assert_eq!(call.task, "deploy");
/// assert_eq!(call.positional, ["prod"]);
/// assert_eq!(call.named["version"], "1,5");
/// assert_eq!(call.selection.hosts, ["web1", "web2", "db1"]);
/// # Ok::<(), fabric_exec::InvocationError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Invocation {
    /// The task's name, dotted where it is in a namespace.
    pub task: String,
    /// Arguments by position. A text is read as its parameter's type.
    pub positional: Vec<Value>,
    /// Arguments by name. A text is read as its parameter's type.
    pub named: IndexMap<String, Value>,
    /// Hosts, roles and exclusions for this call.
    pub selection: Selection,
    /// Where it is written, if it is in a fabfile.
    #[serde(skip)]
    pub origin: Option<Box<Origin>>,
}

/// A call that cannot be read.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvocationError {
    /// There is no name before the `:`.
    #[error("`{}` names no task", .0.split_once(':').map_or(.0.as_str(), |_| ":.."))]
    NoName(String),
    /// A list of hosts or roles is given and has nothing in it: the next level's hosts are not what was meant.
    #[error("`{key}=` of task `{task}` is empty: name hosts or roles there, or leave it out")]
    Empty {
        /// The task.
        task: String,
        /// Which list.
        key: String,
    },
    /// An item of a host list is no host.
    #[error("the hosts of task `{task}`: {error}")]
    Host {
        /// The task. What else was typed may be a secret.
        task: String,
        /// What is wrong.
        error: HostStringError,
    },
}

/// Arguments that don't fit a task's parameters.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("task `{task}`: {}", .problems.join("; "))]
#[non_exhaustive]
pub struct ArgsError {
    /// The task.
    pub task: String,
    /// Everything that doesn't fit.
    pub problems: Vec<String>,
}

impl Invocation {
    /// A call without arguments.
    pub fn new(task: impl Into<String>) -> Self {
        Self { task: task.into(), ..Self::default() }
    }

    /// Reads the classic form: `task:pos1,pos2,key=value`.
    ///
    /// `\,` and `\=` are the characters themselves. An item with an unescaped `=` is named, and its
    /// value begins after the first one. `host`, `hosts`, `role`, `roles` and `exclude_hosts` are taken
    /// out; their items are separated by `;`, trimmed, and ranges and braces in host strings are
    /// expanded. `host` and `hosts` given both: the later one wins (Fabric 1).
    pub fn parse(token: &str) -> Result<Self, InvocationError> {
        Self::parse_with(token, expand_item)
    }

    /// As [`parse`](Self::parse), the items of lists of hosts written out by `hosts`: whoever reads `@file`s leaves
    /// them as they are.
    pub fn parse_with(
        token: &str,
        hosts: impl Fn(&str) -> Result<Vec<String>, HostStringError>,
    ) -> Result<Self, InvocationError> {
        let (task, arguments) = match token.split_once(':') {
            Some((task, arguments)) => (task.trim(), Some(arguments)),
            None => (token.trim(), None),
        };
        if task.is_empty() {
            return Err(InvocationError::NoName(token.to_owned()));
        }
        let mut call = Self::new(task);
        for item in arguments.map(items).unwrap_or_default() {
            match item.key {
                None => call.positional.push(Value::String(item.value)),
                Some(key) => call.set(&key, item.value, |item| {
                    hosts(item).map_err(|error| InvocationError::Host { task: task.to_owned(), error })
                })?,
            }
        }
        Ok(call)
    }

    fn set(
        &mut self,
        key: &str,
        value: String,
        hosts: impl Fn(&str) -> Result<Vec<String>, InvocationError>,
    ) -> Result<(), InvocationError> {
        let list = || -> Vec<String> {
            value.split(';').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        let hosts = |items: Vec<String>| -> Result<Vec<String>, InvocationError> {
            Ok(items.iter().map(|item| hosts(item)).collect::<Result<Vec<_>, _>>()?.concat())
        };
        if Self::is_reserved(key) && list().is_empty() {
            return Err(InvocationError::Empty { task: self.task.clone(), key: key.to_owned() });
        }
        let one = || Some(value.trim().to_owned()).filter(|item| !item.is_empty()).into_iter().collect();
        match key {
            "host" => self.selection.hosts = hosts(one())?,
            "hosts" => self.selection.hosts = hosts(list())?,
            "role" => self.selection.roles = one(),
            "roles" => self.selection.roles = list(),
            "exclude_hosts" => self.selection.exclude = hosts(list())?,
            _ => drop(self.named.insert(key.to_owned(), Value::String(value))),
        }
        Ok(())
    }

    /// Whether a name can't be a task's own argument, being taken out of every call.
    pub fn is_reserved(name: &str) -> bool {
        matches!(name, "host" | "hosts" | "role" | "roles" | "exclude_hosts")
    }

    /// The call as a person would type it.
    pub fn token(&self) -> String {
        let escape = |text: &str| text.replace(',', "\\,").replace('=', "\\=");
        let text = |value: &Value| match value {
            Value::String(text) => escape(text),
            other => escape(&other.to_string()),
        };
        let mut items: Vec<String> = self.positional.iter().map(text).collect();
        items.extend(self.named.iter().map(|(key, value)| format!("{}={}", escape(key), text(value))));
        let Selection { hosts, roles, exclude } = &self.selection;
        for (key, list) in [("hosts", hosts), ("roles", roles), ("exclude_hosts", exclude)] {
            if !list.is_empty() {
                items.push(format!("{key}={}", list.iter().map(|item| escape(item)).collect::<Vec<_>>().join(";")));
            }
        }
        if items.is_empty() { self.task.clone() } else { format!("{}:{}", self.task, items.join(",")) }
    }

    /// The same for people to read: what may be a secret, by its name, is `***`. `params` are the task's, if it is known.
    pub fn shown(&self, params: &[Param]) -> String {
        let masked = |name: &str, value: &Value| if is_secret_name(name) { "***".into() } else { value.clone() };
        let named = |(name, value): (&String, &Value)| (name.clone(), masked(name, value));
        let by_place = |(place, value): (usize, &Value)| {
            params.get(place).map_or_else(|| Value::clone(value), |p| masked(&p.name, value))
        };
        Self {
            positional: self.positional.iter().enumerate().map(by_place).collect(),
            named: self.named.iter().map(named).collect(),
            ..self.clone()
        }
        .token()
    }

    /// Binds the arguments to parameters: by position and by name, texts read by type, defaults filled
    /// in. All problems are reported at once.
    pub fn bind(&self, params: &[Param]) -> Result<Args, ArgsError> {
        let mut problems = Vec::new();
        let mut given: IndexMap<usize, Vec<&Value>> = IndexMap::new();
        let (mut rest, mut surplus) = (Vec::new(), fabric_core::settings::Map::new());
        let takes = |kind: &ParamKind| params.iter().any(|param| param.kind == *kind);
        let (takes_rest, takes_named) = (takes(&ParamKind::Rest), takes(&ParamKind::Named));
        let places = params.iter().position(Param::is_surplus).unwrap_or(params.len());
        for (index, value) in self.positional.iter().enumerate() {
            if index < places {
                given.entry(index).or_default().push(value);
            } else if takes_rest {
                rest.push(value.clone());
            } else {
                problems.push(format!(
                    "takes {} argument{}, not {}",
                    places,
                    if places == 1 { "" } else { "s" },
                    self.positional.len(),
                ));
                break;
            }
        }
        for (name, value) in &self.named {
            match params.iter().position(|param| !param.is_surplus() && param.is_named(name)) {
                None if takes_named => drop(surplus.insert(name.clone(), value.clone())),
                Some(index) if given.contains_key(&index) => problems.push(format!("`{name}` is given twice")),
                Some(index) => given.entry(index).or_default().push(value),
                None => {
                    let nearest = fabric_core::settings::nearest(name, params.iter().map(|p| p.name.as_str()));
                    problems.push(match nearest {
                        Some(nearest) => format!("has no argument `{name}` (did you mean `{nearest}`?)"),
                        None if params.is_empty() => format!("takes no arguments, but `{name}` is given"),
                        None => {
                            let known: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
                            format!("has no argument `{name}`, only {}", known.join(", "))
                        }
                    });
                }
            }
        }
        let mut args = Args::new();
        for (index, param) in params.iter().enumerate() {
            let value = match given.get(&index).and_then(|values| values.first()) {
                _ if param.kind == ParamKind::Rest => Ok(std::mem::take(&mut rest).into()),
                _ if param.kind == ParamKind::Named => Ok(std::mem::take(&mut surplus).into()),
                Some(value) => typed(param, value)
                    // Without the value, which may be a secret in the wrong place.
                    .map_err(|expected| format!("argument `{}` must be {expected}", param.name)),
                None => param.default.clone().ok_or_else(|| format!("argument `{}` is missing", param.name)),
            };
            match value {
                Ok(value) => drop(args.insert(param.name.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(args) } else { Err(ArgsError { task: self.task.clone(), problems }) }
    }
}

impl std::str::FromStr for Invocation {
    type Err = InvocationError;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        Self::parse(token)
    }
}

fn typed(param: &Param, value: &Value) -> Result<Value, Expected> {
    match (value, &param.kind) {
        (Value::String(text), kind) if *kind != ParamKind::Text => param.parse(text),
        _ => param.check(value).map(|()| value.clone()),
    }
}

struct Item {
    key: Option<String>,
    value: String,
}

/// Splits at unescaped commas, each item at its first unescaped `=`.
fn items(text: &str) -> Vec<Item> {
    let mut items = vec![Item { key: None, value: String::new() }];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let item = items.last_mut().expect("starts with one");
        match c {
            '\\' if matches!(chars.peek(), Some(',' | '=')) => item.value.extend(chars.next()),
            ',' => items.push(Item { key: None, value: String::new() }),
            '=' if item.key.is_none() => item.key = Some(std::mem::take(&mut item.value).trim().to_owned()),
            _ => item.value.push(c),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_spellings() {
        let call = |token: &str| Invocation::parse(token).unwrap();
        assert_eq!(call("t").positional, Vec::<Value>::new());
        assert_eq!(call("t:").positional, [""]);
        assert_eq!(call("t:,").positional, ["", ""]);
        assert_eq!(call("t:a:b").positional, ["a:b"]);
        assert_eq!(call(r"t:a\,b,c\=d").positional, ["a,b", "c=d"]);
        assert_eq!(call("t:k=a=b").named["k"], "a=b");
        assert_eq!(call("t:k=1,k=2").named["k"], "2");
        assert!(Invocation::parse("t:host=a;b").is_err(), "one host has no `;`");
        assert!(Invocation::parse("t:hosts=@file").is_err());
        let as_it_is = |item: &str| Ok(vec![item.to_owned()]);
        assert_eq!(Invocation::parse_with("t:hosts=@file;b", as_it_is).unwrap().selection.hosts, ["@file", "b"]);
        assert_eq!(call("t:hosts= a ; b;").selection.hosts, ["a", "b"]);
        assert_eq!(call("t:hosts=a;b,host=c").selection.hosts, ["c"]);
        assert_eq!(call("t:role=web,exclude_hosts=a").selection.exclude, ["a"]);
        for empty in ["t:hosts=", "t:host=", "t:roles= ", "t:role=", "t:exclude_hosts=;", "t:hosts=a,hosts="] {
            assert!(matches!(Invocation::parse(empty), Err(InvocationError::Empty { .. })), "{empty}");
        }
        assert!(Invocation::parse(":x").is_err());
        assert!(Invocation::parse("t:hosts=a b").is_err());
    }

    #[test]
    fn arguments_are_bound_by_type_and_all_problems_told() {
        let params = [Param::required("version"), Param::optional("force", false), Param::optional("count", 3)];
        let args = Invocation::parse("t:1.0,force=yes").unwrap().bind(&params).unwrap();
        assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"version":"1.0","force":true,"count":3}"#);
        let error = Invocation::parse("t:count=x,forse=1").unwrap().bind(&params).unwrap_err();
        assert_eq!(
            error.to_string(),
            "task `t`: has no argument `forse` (did you mean `force`?); argument `version` is missing; \
             argument `count` must be a whole number"
        );
        assert!(Invocation::parse("t:a,yes,1,2").unwrap().bind(&params).is_err());
        assert!(Invocation::parse("t:a,version=b").unwrap().bind(&params).is_err());
    }

    #[test]
    fn what_no_parameter_has_goes_to_those_that_take_the_rest() {
        let rest = |name: &str, kind| Param::optional(name, Value::Null).kind(kind);
        let params = [Param::required("first"), rest("args", ParamKind::Rest), rest("kw", ParamKind::Named)];
        let args = Invocation::parse("t:a,b,c,k=v,first2=x").unwrap().bind(&params).unwrap();
        assert_eq!(
            serde_json::to_string(&args).unwrap(),
            r#"{"first":"a","args":["b","c"],"kw":{"k":"v","first2":"x"}}"#
        );
        let args = Invocation::parse("t:a").unwrap().bind(&params).unwrap();
        assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"first":"a","args":[],"kw":{}}"#);
        assert!(Invocation::parse("t:a,b").unwrap().bind(&params[..1]).is_err());
    }

    #[test]
    fn a_token_reads_back() {
        for token in ["t", "t:a\\,b,k=v\\=w,hosts=a;b", "ns.t:x,roles=web"] {
            let call = Invocation::parse(token).unwrap();
            assert_eq!(Invocation::parse(&call.token()).unwrap(), call, "{token}");
        }
    }
}
