//! The typed values that steer behaviour: every env var of the classic `env`, under its classic name.
//!
//! One table ([`TABLE`]) defines each setting in one block: name, type, default, documentation, and
//! where else it can be set. The struct [`Settings`], the parsers of text and of untyped values, the
//! did-you-mean, the reference page and the completions are all made from it.

mod kind;
mod layer;
mod names;
mod passwords;
mod setting;
mod table;
mod value;

pub use kind::{Amount, FromValue, Gate, Kind, NotOfKind, Seconds, Switch};
pub use layer::{Layer, Origin, Overlay, Problem, Problems};
pub use names::{is_secret_name, nearest};
pub use setting::{About, Setting};
pub use table::{Settings, TABLE};
pub use value::{Map, Value, type_of};

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
        assert_eq!((settings.batch.clone(), settings.limit.clone()), (Some("2".into()), Some("25%".into())));
        assert!(settings.set("max_failures", &serde_json::json!(-1)).is_err());
        settings.set("release", &serde_json::json!("2.4")).unwrap();
        assert_eq!(settings.get("release"), Some(serde_json::json!("2.4")));
        assert_eq!(settings.get("command_timeout"), Some(serde_json::json!(1.5)));
        assert!(settings.set("warn_only", &serde_json::json!("perhaps")).is_err());
    }
}
