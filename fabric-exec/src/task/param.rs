//! A task's parameters.

use fabric_core::Value;
use serde::Serialize;
use serde_json::json;

use super::Expected;

/// One parameter of a task.
///
/// ```
/// use fabric_exec::{Param, ParamKind};
///
/// let force = Param::optional("force", false).help("skip the checks");
/// assert_eq!(force.kind, ParamKind::Bool);
/// assert_eq!(force.parse("yes"), Ok(true.into()));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Param {
    /// Its name, as templates and `key=value` have it; `--its-name` on the command line.
    pub name: String,
    /// What values it takes.
    pub kind: ParamKind,
    /// The value where none is given; `None`: it must be given.
    pub default: Option<Value>,
    /// What it means.
    pub help: Option<String>,
    /// The letter of its short option; `None`: the first free letter of its name.
    pub short: Option<char>,
}

/// What values a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParamKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false: `--force`, `--no-force`.
    Bool,
    /// Texts; given several times, or separated by `;` in the classic form.
    List,
    /// One of these words.
    Choice(Vec<String>),
    /// All arguments by position that no other parameter takes (`*args` of Python). It is no option.
    Rest,
    /// All arguments by name that no other parameter has (`**kwargs` of Python). It is no option.
    Named,
}

impl Param {
    /// A text that must be given.
    pub fn required(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: ParamKind::Text, default: None, help: None, short: None }
    }

    /// One with a default, whose type is the parameter's.
    pub fn optional(name: impl Into<String>, default: impl Into<Value>) -> Self {
        let default = default.into();
        let kind = match &default {
            Value::Bool(_) => ParamKind::Bool,
            Value::Number(n) if n.is_f64() => ParamKind::Number,
            Value::Number(_) => ParamKind::Integer,
            Value::Array(_) => ParamKind::List,
            _ => ParamKind::Text,
        };
        Self { kind, default: Some(default), ..Self::required(name) }
    }

    /// With a default; the type stays.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// With another type.
    #[must_use]
    pub fn kind(mut self, kind: ParamKind) -> Self {
        self.kind = kind;
        self
    }

    /// What it means.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The letter of its short option.
    #[must_use]
    pub fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// The long option, without its dashes: `_` becomes `-`.
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether it takes what no other parameter does.
    pub fn is_surplus(&self) -> bool {
        matches!(self.kind, ParamKind::Rest | ParamKind::Named)
    }

    /// Whether `name` means it, `-` and `_` being the same.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.name.replace('_', "-") == name.replace('_', "-")
    }

    /// Reads a value from text.
    ///
    /// # Errors
    ///
    /// What was expected.
    pub fn parse(&self, text: &str) -> Result<Value, Expected> {
        let trimmed = text.trim();
        match &self.kind {
            ParamKind::Text => Ok(json!(text)),
            ParamKind::Integer => trimmed.parse::<i64>().map(|n| json!(n)).map_err(|_| Expected::new("a whole number")),
            ParamKind::Number => match trimmed.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(json!(number)),
                _ => Err(Expected::new("a number")),
            },
            ParamKind::Bool => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(json!(true)),
                "false" | "no" | "off" | "0" | "" => Ok(json!(false)),
                _ => Err(Expected::new("true or false")),
            },
            ParamKind::List => {
                Ok(json!(trimmed.split(';').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>()))
            }
            ParamKind::Rest => Ok(json!([text])),
            ParamKind::Named => Err(Expected::new("given by names")),
            ParamKind::Choice(words) if words.iter().any(|word| word == trimmed) => Ok(json!(trimmed)),
            ParamKind::Choice(words) => Err(Expected::new(format!("one of {}", words.join(", ")))),
        }
    }

    /// Whether an untyped value fits.
    ///
    /// # Errors
    ///
    /// What was expected.
    pub fn check(&self, value: &Value) -> Result<(), Expected> {
        let (fits, expected) = match &self.kind {
            ParamKind::Text => (!value.is_object() && !value.is_array(), "a text".to_owned()),
            ParamKind::Integer => (value.is_i64() || value.is_u64(), "a whole number".to_owned()),
            ParamKind::Number => (value.is_number(), "a number".to_owned()),
            ParamKind::Bool => (value.is_boolean(), "true or false".to_owned()),
            ParamKind::List | ParamKind::Rest => (value.is_array(), "a list".to_owned()),
            ParamKind::Named => (value.is_object(), "given by names".to_owned()),
            ParamKind::Choice(words) => (
                value.as_str().is_some_and(|word| words.iter().any(|known| known == word)),
                format!("one of {}", words.join(", ")),
            ),
        };
        if fits { Ok(()) } else { Err(Expected::new(expected)) }
    }
}
