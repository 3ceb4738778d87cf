//! The JSON schema of settings, for files that hold nothing else.

use fabric_core::settings::{Kind, Map, Setting, TABLE, Value};
use serde_json::json;

use super::summary;
use crate::values::without_effect;

/// The schema of `fabric.toml`, `~/.fabric.toml` and `/etc/fabric.toml` (JSON Schema 2020-12).
pub fn settings_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fabric.toml",
        "description": "Settings of Fabric",
        "type": "object",
        "properties": properties(),
        "additionalProperties": false,
    })
}

/// All settings by classic name, and the modern ones in their tables.
pub(super) fn properties() -> Map {
    let mut all = Map::new();
    for setting in TABLE.iter().filter(|setting| !setting.is_information()) {
        for name in setting.spellings() {
            insert(&mut all, name, value(setting));
        }
    }
    for (name, advice) in without_effect() {
        insert(&mut all, name, json!({"description": advice, "deprecated": true}));
    }
    all
}

/// Puts `run.warn` into the table `run`.
fn insert(properties: &mut Map, name: &str, schema: Value) {
    let Some((group, name)) = name.split_once('.') else {
        properties.insert(name.to_owned(), schema);
        return;
    };
    let table = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let inside = properties.entry(group).or_insert(table).get_mut("properties").and_then(Value::as_object_mut);
    if let Some(inside) = inside {
        insert(inside, name, schema);
    }
}

/// The schema of one setting's values.
fn value(setting: &Setting) -> Value {
    let list = |item: &str| json!({"type": "array", "items": {"type": item}});
    let integer = || json!({"type": "integer", "minimum": 0, "maximum": u32::MAX});
    let table = |item: &str| json!({"type": "object", "additionalProperties": {"type": item}});
    let mut schema = match setting.kind {
        Kind::Bool | Kind::Maybe => json!({"type": "boolean"}),
        Kind::Integer => integer(),
        Kind::Size => json!({"type": "integer", "minimum": 0}),
        Kind::Port => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
        Kind::Seconds => json!({"type": "number", "minimum": 0, "maximum": 1_000_000_000}),
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Amount => json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]}),
        Kind::List if crate::values::is_host_list(setting.name) => json!({"anyOf": [
            {"type": "string"},
            list("string"),
            {"type": "object", "properties": {"extend": texts()}, "required": ["extend"], "additionalProperties": false},
            {"type": "object", "properties": {"replace": texts()}, "required": ["replace"], "additionalProperties": false},
        ]}),
        Kind::List => texts(),
        Kind::Integers => json!({"anyOf": [integer(), {"type": "array", "items": integer()}]}),
        Kind::TextMap | Kind::SecretMap => table("string"),
        Kind::BoolMap => table("boolean"),
        Kind::Map => json!({"type": "object"}),
        Kind::Switch => json!({"anyOf": [{"type": "string"}, {"const": false}]}),
        Kind::Choice(words) => json!({"enum": words}),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), summary(setting).into());
        let default = setting.default_value();
        if !default.is_null() {
            schema.insert("default".to_owned(), default);
        }
    }
    schema
}

/// One text or a list of them.
pub(super) fn texts() -> Value {
    json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}
