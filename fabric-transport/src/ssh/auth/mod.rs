//! Logging in.

#[cfg(feature = "gssapi")]
mod gssapi;
mod keys;
mod login;
mod signing;
mod waiting;
mod written;

pub(super) use keys::KeyStore;
pub(super) use login::{Login, login};
