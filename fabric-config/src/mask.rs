//! Values as they may be shown: secrets are `set` or `unset`.

use fabric_core::Gateway;
use fabric_core::settings::{Kind, Map, Setting, Value, is_secret_name};
use serde_json::json;

use crate::values::is_group;

/// A setting's or shared value as it may be shown.
pub fn shown(name: &str, value: &Value) -> Value {
    match Setting::find(name) {
        Some(setting) if setting.is_secret() => hidden(setting.kind, value),
        Some(_) if name == "gateway" => {
            value.as_str().map_or_else(|| value.clone(), |text| Gateway::shown(text).into())
        }
        Some(_) if name == "ssh_options" => match value {
            Value::Array(items) => items.iter().map(|item| item.as_str().map_or(json!("set"), ssh_option)).collect(),
            Value::String(line) => ssh_option(line),
            _ => value.clone(),
        },
        None if is_secret_name(name) => {
            hidden(Setting::any_spelling(name).map_or(Kind::Secret, |setting| setting.kind), value)
        }
        _ => inside(name, value),
    }
}

/// A line of ssh_config: the values of environment variables in it (`SetEnv`) are not shown.
fn ssh_option(line: &str) -> Value {
    let trimmed = line.trim_start();
    let end = trimmed.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(trimmed.len());
    if !trimmed[..end].eq_ignore_ascii_case("SetEnv") {
        return line.into();
    }
    // A value may have blanks in quotes; what follows those could be taken for a name.
    let name = trimmed[end..].trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\''));
    let name = name.split_once('=').map_or("", |(name, _)| name);
    format!("SetEnv {name}=set").into()
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

/// The same of what is in a value; `connect_kwargs = { pkey = .. }` is `connect_kwargs.pkey`.
fn inside(name: &str, value: &Value) -> Value {
    let full = |key: &str| if is_group(name) { format!("{name}.{key}") } else { key.to_owned() };
    match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), shown(&full(key), value))).collect::<Map>().into()
        }
        Value::Array(items) => items.iter().map(|item| inside(name, item)).collect(),
        _ => value.clone(),
    }
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
            ("shell_env", json!({"DB_PASSWORD": "pw"})),
            ("roledefs", json!({"db": {"prompts": {"Login:": "pw"}, "gateway": "socks5://me:pw@proxy"}})),
            ("connect_kwargs", json!({"pkey": "pw"})),
            (
                "ssh_options",
                json!(["SetEnv A=pw", "setenv=A=pw B=pw", "  SetEnv \"A=x pw\"", "SetEnv 'A=pw'", "SetEnv pw"]),
            ),
            ("ssh_options", json!("SetEnv A=pw")),
        ];
        for (name, value) in values {
            let shown = shown(name, &value).to_string();
            assert!(!shown.contains("pw"), "{name}: {shown}");
        }
        assert_eq!(shown("password", &Value::Null), json!("unset"));
        assert_eq!(shown("passwords", &json!({"h": "x"})), json!({"h": "set"}));
        let options = json!(["SetEnv TOKEN=x", "Ciphers a,b"]);
        assert_eq!(shown("ssh_options", &options), json!(["SetEnv TOKEN=set", "Ciphers a,b"]));
        assert_eq!(shown("gateway", &json!("a,b")), json!("a,b"));
    }
}
