//! Errors of the local system.

use fabric_core::SessionError;

/// The kind of a local system error.
pub(super) fn system(what: impl Into<String>, error: impl std::fmt::Display) -> SessionError {
    SessionError::System { what: what.into(), reason: error.to_string() }
}
