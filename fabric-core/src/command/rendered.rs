//! Commands as the text that goes over the wire.

use std::fmt;

use super::error::CommandError;

/// The longest rendered command, in bytes: what Linux takes as one argument of a program
/// (`MAX_ARG_STRLEN`, 128 KiB with its terminating zero). sshd hands the whole command to the login
/// shell as one argument, so that a longer one could only fail later and less clearly.
pub const LONGEST: usize = 128 * 1024 - 1;

/// A rendered command: the bytes that the remote shell reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    text: Vec<u8>,
    for_bourne: bool,
}

impl Rendered {
    pub(super) fn checked(text: Vec<u8>, for_bourne: bool) -> Result<Self, CommandError> {
        if text.contains(&0) {
            return Err(CommandError::Nul);
        }
        if text.len() > LONGEST {
            return Err(CommandError::TooLong { bytes: text.len(), limit: LONGEST });
        }
        Ok(Self { text, for_bourne })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    /// Whether this must be read by a Bourne shell: with something around it that csh or fish read in another way, or
    /// with several lines or `!word`. A login shell of another kind gets it by [`LoginShell::hand_over`](super::LoginShell::hand_over).
    ///
    /// ```
    /// use fabric_core::Command;
    ///
    /// assert!(!Command::new("ls -l").render()?.is_for_bourne());
    /// assert!(!Command::new("ls -l").cd("/srv").render()?.is_for_bourne());
    /// assert!(Command::new("ls -l").env("LC_ALL", "C").render()?.is_for_bourne());
    /// # Ok::<(), fabric_core::CommandError>(())
    /// ```
    pub fn is_for_bourne(&self) -> bool {
        self.for_bourne
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}
