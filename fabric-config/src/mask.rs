//! Values as they may be shown: what is secret is `set` or `unset`.

use fabric_core::Gateway;
use fabric_core::settings::{Kind, Map, Setting, Value};
use serde_json::json;

/// Words in a name that make its value a secret, in shared state and in options of plugins.
const SECRET_WORDS: [&str; 5] = ["password", "passphrase", "passwd", "secret", "token"];

/// A setting's or shared value as it may be shown.
pub fn shown(name: &str, value: &Value) -> Value {
    match Setting::find(name) {
        Some(setting) if setting.is_secret() => hidden(setting.kind, value),
        Some(_) if name == "gateway" => {
            value.as_str().map_or_else(|| value.clone(), |text| Gateway::shown(text).into())
        }
        Some(setting) if setting.kind == Kind::Map => inside(value),
        Some(_) => value.clone(),
        None if is_secret(name) => hidden(Kind::Secret, value),
        None => inside(value),
    }
}

/// `set` or `unset`; of a table, for each of its keys.
fn hidden(kind: Kind, value: &Value) -> Value {
    match value {
        Value::Object(map) if map.is_empty() => json!("unset"),
        Value::Object(map) if kind != Kind::Secret => {
            map.keys().map(|key| (key.clone(), json!("set"))).collect::<Map>().into()
        }
        Value::Null => json!("unset"),
        Value::String(text) if text.is_empty() => json!("unset"),
        _ => json!("set"),
    }
}

fn inside(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = if is_secret(key) { hidden(Kind::Secret, value) } else { inside(value) };
                (key.clone(), value)
            })
            .collect::<Map>()
            .into(),
        Value::Array(items) => items.iter().map(inside).collect(),
        _ => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let values = [
            ("password", json!("pw")),
            ("passwords", json!({"u@h:22": "pw"})),
            ("prompts", json!({"Password:": "pw"})),
            ("gateway", json!("socks5://me:pw@proxy:1080")),
            ("gateway", json!("socks5:/me:pw")),
            ("transport_options", json!({"x": {"password": "pw", "list": [{"token": "pw"}]}})),
            ("database_password", json!("pw")),
            ("database", json!({"passwd": "pw"})),
        ];
        for (name, value) in values {
            let shown = shown(name, &value).to_string();
            assert!(!shown.contains("pw"), "{name}: {shown}");
        }
        assert_eq!(shown("password", &Value::Null), json!("unset"));
        assert_eq!(shown("passwords", &json!({"h": "x"})), json!({"h": "set"}));
        assert_eq!(shown("gateway", &json!("a,b")), json!("a,b"));
    }
}
