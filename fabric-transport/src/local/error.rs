//! Errors of this machine's system.

use fabric_core::SessionError;

/// What the system of this machine said no to.
pub(super) fn system(what: impl Into<String>, error: impl std::fmt::Display) -> SessionError {
    SessionError::System { what: what.into(), reason: error.to_string() }
}
