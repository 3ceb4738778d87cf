//! One setting of the table.

use std::path::Path;

use super::kind::Kind;
use super::value::{Value, type_of};

/// One setting of the table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// Its classic name.
    pub name: &'static str,
    /// The part of the reference page that it belongs to.
    pub group: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What it does, in the words of the documentation; the first line is a summary.
    pub doc: &'static str,
    /// Its classic command-line option, where it had one: `-w, --warn-only`.
    pub option: &'static str,
    /// Modern names that mean the same: `run.warn`.
    pub aliases: &'static [&'static str],
    /// Modern names that mean the opposite: `connect_kwargs.allow_agent` of `no_agent`.
    pub inverse: &'static [&'static str],
    /// The unit of its value, where it has one.
    pub unit: &'static str,
    /// What it is about.
    pub about: About,
    /// The default of Fabric 1 and why it isn't ours, where they differ.
    pub classic: &'static str,
    pub(super) default: fn() -> Value,
}

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// How hosts are reached and what happens on them: it may be another for each host.
    Hosts,
    /// The same, by files of this machine: in a file, a relative path starts in that file's directory.
    Files,
    /// Whole lists of hosts, or the run: for some of the hosts it does nothing.
    Lists,
    /// Nothing that can be set: the program sets it for tasks to read.
    Information,
}

impl Setting {
    /// Whether the program sets it for tasks to read, and a person can't.
    pub fn is_information(&self) -> bool {
        self.about == About::Information
    }

    /// Every name under which it can be set: its own, then the modern ones.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().chain(self.inverse).copied())
    }

    /// Its value in a file of this directory: for settings that name files of this machine, relative paths start in that
    /// directory.
    ///
    /// ```
    /// use fabric_core::Value;
    /// use fabric_core::settings::Setting;
    /// let keys = Setting::find("key_filename").unwrap();
    /// let found = keys.below("/srv/app".as_ref(), Value::from(vec!["deploy_key", "~/.ssh/id", "/etc/key"]));
    /// assert_eq!(found, Value::from(vec!["/srv/app/deploy_key", "~/.ssh/id", "/etc/key"]));
    /// ```
    pub fn below(&self, dir: &Path, value: Value) -> Value {
        if self.about != About::Files {
            return value;
        }
        let path = |value: Value| match value {
            Value::String(path) if !path.is_empty() && !path.starts_with(['~', '%']) => {
                dir.join(path).to_string_lossy().into_owned().into()
            }
            other => other,
        };
        match value {
            Value::Array(items) => items.into_iter().map(path).collect(),
            value => path(value),
        }
    }

    /// Whether its value must never be shown. Answers to prompts are passwords as often as not.
    pub fn is_secret(&self) -> bool {
        self.kind.is_secret() || self.name == "prompts"
    }

    /// `, found VALUE`, for a message that says what was expected. Only a plain value of a setting that never holds a
    /// secret is shown, of any other its type; of a secret nothing.
    ///
    /// ```
    /// use fabric_core::settings::Setting;
    /// use serde_json::json;
    /// let found = |name, value| Setting::find(name).unwrap().found(&value);
    /// assert_eq!(found("timeout", json!("soon")), r#", found "soon""#);
    /// assert_eq!(found("hosts", json!({"web*": {"password": "x"}})), ", found a table");
    /// assert_eq!(found("shell_env", json!("TOKEN=x")), ", found a text");
    /// assert_eq!(found("password", json!(["x"])), "");
    /// ```
    pub fn found(&self, value: &Value) -> String {
        if self.is_secret() {
            String::new()
        } else if self.may_show(value) {
            format!(", found {value}")
        } else {
            format!(", found {}", type_of(value))
        }
    }

    /// Whether a value, of the right type or not, is plain and the setting one that never holds a secret.
    pub fn may_show(&self, value: &Value) -> bool {
        let free = matches!(self.kind, Kind::TextMap | Kind::Map) || self.is_secret() || self.name == "gateway";
        !free && matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
    }

    /// Its default, as an untyped value.
    pub fn default_value(&self) -> Value {
        (self.default)()
    }

    /// Its environment variable: `FABRIC_WARN_ONLY`.
    pub fn variable(&self) -> String {
        format!("FABRIC_{}", self.name.to_uppercase())
    }
}
