//! Hosts and roles that steps name.

use crate::task::TaskError;
use crate::template;

/// Fails where hosts or roles are named by an empty text: taken for a list that was not given, it would mean others.
pub(super) fn names_something(key: &str, text: &str, written: &str) -> Result<(), TaskError> {
    if !text.trim().is_empty() {
        return Ok(());
    }
    let came_out = if template::is_template(written) { format!(": `{written}` came out empty") } else { String::new() };
    Err(TaskError::Abort(format!("`{key}` is an empty text, which names nothing{came_out} (`[]` is an empty list)")))
}

pub(super) fn expand(text: &str) -> Result<Vec<String>, TaskError> {
    let mut hosts = Vec::new();
    for item in fabric_core::host::split_list(text) {
        hosts.extend(fabric_core::host::expand(item).map_err(|error| TaskError::Abort(error.to_string()))?);
    }
    Ok(hosts)
}
