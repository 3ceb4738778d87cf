//! Ways of logging in.

use russh::MethodKind;

/// A way of logging in (RFC 4252, RFC 4256).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `publickey`.
    PublicKey,
    /// `password`.
    Password,
    /// `keyboard-interactive`.
    KeyboardInteractive,
}

impl Method {
    pub(super) fn kind(self) -> MethodKind {
        match self {
            Self::PublicKey => MethodKind::PublicKey,
            Self::Password => MethodKind::Password,
            Self::KeyboardInteractive => MethodKind::KeyboardInteractive,
        }
    }
}
