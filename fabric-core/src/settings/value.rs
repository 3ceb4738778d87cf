//! Untyped values.

/// An untyped value, as files and templates have it.
pub type Value = serde_json::Value;

/// A map of untyped values by key.
pub type Map = serde_json::Map<String, Value>;

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
