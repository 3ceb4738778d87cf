//! The tree that all formats become.

use std::ops::Range;

use fabric_core::settings::{self, Value, type_of};
use indexmap::IndexMap;

use crate::scalar::{float, is_word};

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// The line, from 1; of an alias of YAML the alias's. 0 for a value that is in no file.
    pub line: usize,
    /// The bytes of the text in which it is written; of an alias of YAML the bytes of the value that it refers to.
    pub span: Range<usize>,
    /// Whether it is a scalar of YAML without quotes and tag.
    pub plain: bool,
    /// The value itself.
    pub kind: Kind,
}

/// A value, with the places of what is in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Anything but a list or a table.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Members),
}

/// What is in a table, by key.
pub type Members = IndexMap<String, Member>;

/// One value of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The line of its key.
    pub line: usize,
    /// Whether the key is a scalar of YAML without quotes and tag.
    pub plain: bool,
    /// The value.
    pub node: Node,
}

/// A word of YAML without quotes that is a switch in YAML 1.1 and a text in YAML 1.2, where either may be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is a text in YAML: write false, or \"{0}\"")]
pub struct SwitchWord(pub String);

impl Node {
    /// A value that is in no file.
    pub fn without_place(value: &Value) -> Self {
        let kind = match value {
            Value::Array(items) => Kind::List(items.iter().map(Self::without_place).collect()),
            Value::Object(members) => {
                let member = |value| Member { line: 0, plain: false, node: Self::without_place(value) };
                Kind::Table(members.iter().map(|(key, value)| (key.clone(), member(value))).collect())
            }
            scalar => Kind::Scalar(scalar.clone()),
        };
        Self { line: 0, span: 0..0, plain: false, kind }
    }

    /// The value without its places.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Table(members) => members.iter().map(|(key, member)| (key.clone(), member.node.value())).collect(),
        }
    }

    /// The value where this type is expected, which decides what YAML leaves open: without quotes, `yes` and `off` are switches
    /// where a switch is expected, and `1.50` is a number where one is. Whether the value is of that type is not checked.
    ///
    /// # Errors
    ///
    /// Such a word where a text is as good as a switch.
    pub fn typed(&self, kind: settings::Kind) -> Result<Value, SwitchWord> {
        use settings::Kind;
        let value = match (kind, self.plain_text()) {
            (Kind::Bool | Kind::Maybe, Some(word)) if is_word(word) => Kind::Bool.parse(word).ok(),
            (Kind::Switch, Some(word)) if is_word(word) => {
                return Err(SwitchWord(word.to_owned()));
            }
            (Kind::Seconds, _) => Some(self.number()),
            _ => None,
        };
        Ok(value.unwrap_or_else(|| self.value()))
    }

    /// The value where a number is expected: a fraction of YAML that is a text elsewhere, `1.50`, is one here.
    pub fn number(&self) -> Value {
        self.plain_text().and_then(float).map_or_else(|| self.value(), Value::Number)
    }

    /// The word that YAML 1.1 has for true or false and YAML 1.2 for a text: `yes`, `no`, `on`, `off`, without quotes.
    pub fn word(&self) -> Option<&str> {
        self.plain_text().filter(|word| is_word(word))
    }

    fn plain_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(Value::String(text)) if self.plain => Some(text),
            _ => None,
        }
    }

    /// The keys and values of a table; nothing is an empty one.
    pub fn members(&self) -> Option<&Members> {
        static NONE: std::sync::LazyLock<Members> = std::sync::LazyLock::new(Members::new);
        match &self.kind {
            Kind::Table(members) => Some(members),
            Kind::Scalar(Value::Null) => Some(&NONE),
            _ => None,
        }
    }

    /// Its type, for messages: never the value, which may be a secret.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(value) => type_of(value),
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// The same with a plain value, for keys that never hold a secret.
    pub fn shown(&self) -> String {
        match &self.kind {
            Kind::Scalar(Value::String(text)) => format!("the text {text:?}"),
            Kind::Scalar(value @ (Value::Bool(_) | Value::Number(_))) => format!("`{value}`"),
            _ => self.what().to_owned(),
        }
    }
}
