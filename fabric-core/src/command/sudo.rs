//! `sudo`.

use super::error::CommandError;
use super::quote::quote;

/// How a command becomes another user's: the arguments of `sudo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sudo {
    prefix: String,
    prompt: String,
    user: Option<String>,
    group: Option<String>,
    pub(super) announcement: Option<String>,
}

impl Sudo {
    /// The default of the `sudo_prefix` setting (Fabric 1).
    pub const PREFIX: &'static str = "sudo -S -p '%(sudo_prompt)s' ";

    /// `prompt` is the text with which `sudo` asks for the password. It should differ from anything else that a
    /// command prints.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prefix: Self::PREFIX.to_owned(), prompt: prompt.into(), user: None, group: None, announcement: None }
    }

    /// The user to become (`-u`); all digits are a user id. Default: root.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The group to become (`-g`); all digits are a group id. Default: the user's.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Another text before the flags (`sudo_prefix`); `%(sudo_prompt)s` in it is replaced by the prompt.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A text that is printed to standard error as soon as `sudo` has started the command. It separates what `sudo`
    /// itself reads and prints from what the command does.
    #[must_use]
    pub fn announce(mut self, text: impl Into<String>) -> Self {
        self.announcement = Some(text.into());
        self
    }

    /// The prompt text.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    pub(super) fn render(&self) -> Result<Vec<u8>, CommandError> {
        const KEY: &str = "%(sudo_prompt)s";
        let quoted = String::from_utf8_lossy(&quote(self.prompt.as_bytes())?).into_owned();
        let prefix = self.prefix.trim_end();
        let prefix = prefix.replace(&format!("'{KEY}'"), &quoted).replace(&format!("\"{KEY}\""), &quoted);
        let mut out = prefix.replace(KEY, &quoted).into_bytes();
        for (flag, name) in [(" -u ", &self.user), (" -g ", &self.group)] {
            if let Some(name) = name {
                let id = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
                let name = if id { format!("#{name}") } else { name.clone() };
                out.extend_from_slice(flag.as_bytes());
                out.extend_from_slice(&quote(name.as_bytes())?);
            }
        }
        Ok(out)
    }
}
