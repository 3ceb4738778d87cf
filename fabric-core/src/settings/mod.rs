//! The typed values that steer behaviour: every env var of the classic `env`, under its classic name.
//!
//! One table ([`TABLE`]) defines each setting in one block: name, type, default, documentation, and
//! where else it can be set. The struct [`Settings`], the parsers of text and of untyped values, the
//! did-you-mean, the reference page and the completions are all made from it.

use std::path::Path;

mod kind;
mod layer;
mod table;

pub use kind::{Amount, FromValue, Gate, Kind, Seconds, Switch};
pub use layer::{Layer, Origin, Overlay, Problem, Problems};
pub use table::{Settings, TABLE};

/// An untyped value, as files and templates have it.
pub type Value = serde_json::Value;

/// A map of untyped values by key.
pub type Map = serde_json::Map<String, Value>;

/// One setting of the table.
#[derive(Debug, Clone, Copy)]
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
    pub(crate) default: fn() -> Value,
}

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The setting of this classic name.
    pub fn find(name: &str) -> Option<&'static Setting> {
        TABLE.iter().find(|setting| setting.name == name)
    }

    /// The setting of this classic name or modern alias. A name that means the opposite is not one of them.
    pub fn find_any(name: &str) -> Option<&'static Setting> {
        Self::find(name).or_else(|| TABLE.iter().find(|setting| setting.aliases.contains(&name)))
    }

    /// The setting that has this name among all its spellings.
    pub fn any_spelling(name: &str) -> Option<&'static Setting> {
        TABLE.iter().find(|setting| setting.spellings().any(|spelling| spelling == name))
    }

    /// Every name under which it can be set: its own, then the modern ones.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().chain(self.inverse).copied())
    }

    /// Its value as it is meant in a file of this directory: relative paths of the settings that name files of this
    /// machine start there.
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

    /// The name nearest to `name`, if one is near enough to be what was meant: at most two edits away.
    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, TABLE.iter().filter(|setting| !setting.is_information()).flat_map(Setting::spellings))
    }

    /// The name that `name`, which may just as well be shared state, was probably meant to be: one edit away, or two if
    /// it has more than six letters. `root` is not a mistyped `port`, nor `branch` a mistyped `batch`.
    ///
    /// ```
    /// use fabric_core::settings::Setting;
    /// assert_eq!(Setting::mistyped("comand_timout"), Some("command_timeout"));
    /// assert_eq!(Setting::mistyped("root"), None);
    /// ```
    pub fn mistyped(name: &str) -> Option<&'static str> {
        let most = if name.chars().count() > 6 { 2 } else { 1 };
        Self::nearest(name).filter(|near| strsim::damerau_levenshtein(name, near) <= most)
    }
}

/// Words in a name that make its value a secret, in shared state, arguments of tasks and options of plugins.
const SECRET_WORDS: [&str; 5] = ["password", "passphrase", "passwd", "secret", "token"];

/// Whether what has this name is taken for a secret: a setting that is one, or anything named like one.
///
/// ```
/// use fabric_core::settings::is_secret_name;
/// assert!(is_secret_name("db_password") && is_secret_name("prompts") && !is_secret_name("user"));
/// ```
pub fn is_secret_name(name: &str) -> bool {
    if let Some(setting) = Setting::any_spelling(name) {
        return setting.is_secret();
    }
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// What a value is, for messages that don't show it.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// The candidate nearest to `name`, if it is at most two edits away (and fewer than `name` is long).
///
/// ```
/// use fabric_core::settings::nearest;
/// assert_eq!(nearest("hots", ["hosts", "roles"]), Some("hosts"));
/// assert_eq!(nearest("zebra", ["hosts", "roles"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= 2 && *edits < name.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_of_its_own_type() {
        for setting in TABLE {
            let value = setting.default_value();
            if !value.is_null() {
                setting.kind.check(&value).unwrap_or_else(|why| panic!("{}: {why}", setting.name));
            }
            assert!(!setting.doc.trim().is_empty(), "{}", setting.name);
        }
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<&str> = TABLE.iter().flat_map(Setting::spellings).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn settings_survive_the_way_through_values() {
        let mut settings = Settings::default();
        settings.set("command_timeout", &serde_json::json!(1.5)).unwrap();
        settings.set("passwords", &serde_json::json!({"a@b:22": "x"})).unwrap();
        settings.set("gateway", &serde_json::json!(false)).unwrap();
        settings.set("batch", &serde_json::json!(2)).unwrap();
        settings.set("limit", &serde_json::json!("25%")).unwrap();
        assert_eq!((settings.batch.as_deref(), settings.limit.as_deref()), (Some("2"), Some("25%")));
        assert!(settings.set("max_failures", &serde_json::json!(-1)).is_err());
        settings.set("release", &serde_json::json!("2.4")).unwrap();
        assert_eq!(settings.get("release"), Some(serde_json::json!("2.4")));
        assert_eq!(settings.get("command_timeout"), Some(serde_json::json!(1.5)));
        assert!(settings.set("warn_only", &serde_json::json!("perhaps")).is_err());
    }
}
