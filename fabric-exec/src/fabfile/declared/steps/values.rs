//! Values as templates see them.

use fabric_core::{CommandOutcome, TransferOutcome, Value};
use serde_json::json;

/// What a template sees of a command's outcome. Texts are trimmed, as in Fabric 1.
pub(super) fn outcome_value(outcome: &CommandOutcome) -> Value {
    json!({
        "stdout": outcome.stdout().trim(),
        "stderr": outcome.stderr().trim(),
        "exit": outcome.exit.code(),
        "ok": outcome.ok(),
        "failed": outcome.failed(),
        "command": outcome.command,
        "duration": outcome.duration.as_secs_f64(),
    })
}

/// What a template sees of a transfer's outcome.
pub(super) fn transfer_value(outcome: &TransferOutcome) -> Value {
    json!({
        "ok": outcome.ok(),
        "failed": outcome.failed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "local": outcome.local,
        "remote": outcome.remote,
        "links": outcome.links,
        "left_out": outcome.left_out,
        "in_place": outcome.in_place,
        "bytes": outcome.bytes,
        "duration": outcome.duration.as_secs_f64(),
    })
}

/// The texts in a value.
pub(super) fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts_of).collect(),
        Value::Object(members) => members.values().flat_map(texts_of).collect(),
        _ => Vec::new(),
    }
}

/// The attributes of a value.
pub(super) fn attributes(value: &Value) -> Option<Vec<String>> {
    value.as_object().map(|members| members.keys().cloned().collect())
}
