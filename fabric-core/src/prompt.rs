//! Questions to a person.
//!
//! Only the command line reads a terminal. Everything else asks through a [`Prompter`], which a program
//! implements for its users; [`RefusePrompts`] refuses all questions (`abort_on_prompts`, or no terminal).

use async_trait::async_trait;
use thiserror::Error;

use crate::secret::Secret;
use crate::setters::setters;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptRequest {
    /// What is asked for.
    pub kind: PromptKind,
    /// The host string the answer is for, as written; `None` where it is for all.
    pub host: Option<String>,
    /// The text to show, without a trailing blank.
    pub message: String,
}

impl PromptRequest {
    /// A question that is for all hosts.
    pub fn new(kind: PromptKind, message: impl Into<String>) -> Self {
        Self { kind, host: None, message: message.into() }
    }
}

setters!(PromptRequest { #[into] host: Option<String> });

/// What a question is about. Requests of the same kind for several hosts may be answered by one question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromptKind {
    /// The login password of a user.
    Password {
        /// The login user.
        user: String,
    },
    /// The passphrase of a private key.
    Passphrase {
        /// The key file, or another name of the key.
        key: String,
    },
    /// The password that `sudo` asks for.
    Sudo {
        /// The login user, whose password it is.
        user: String,
    },
    /// A server's own question (keyboard-interactive, RFC 4256): a one-time code, for example.
    Challenge {
        /// Whether the answer may be shown as it is typed.
        echo: bool,
    },
    /// Whether to trust an unknown host key; the answer is `yes` or `no`.
    HostKey {
        /// The key's fingerprint, `SHA256:..`.
        fingerprint: String,
    },
    /// The host to run on, where none is known.
    Host,
    /// A question of a task.
    Text {
        /// The answer to which an empty line is equivalent.
        default: Option<String>,
        /// Whether the answer must not be shown.
        secret: bool,
    },
    /// A yes-or-no question of a task or of the run; the answer is `yes` or `no`.
    Confirm {
        /// The answer to which an empty line is equivalent.
        default: bool,
    },
}

impl PromptKind {
    /// Whether what is typed must not be shown.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Password { .. } | Self::Passphrase { .. } | Self::Sudo { .. } => true,
            Self::Challenge { echo } => !echo,
            Self::Text { secret, .. } => *secret,
            Self::HostKey { .. } | Self::Host | Self::Confirm { .. } => false,
        }
    }
}

/// Why a question got no answer.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromptError {
    /// Prompts are refused: `abort_on_prompts` is set.
    #[error("needed to ask for `{message}`{}, but abort_on_prompts is set", for_host(.host.as_ref()))]
    Refused {
        /// What would have been asked.
        message: String,
        /// For which host.
        host: Option<String>,
    },
    /// There is no terminal to ask on.
    #[error("needed to ask for `{message}`{}, but there is no terminal to ask on", for_host(.host.as_ref()))]
    NoTerminal {
        /// What would have been asked.
        message: String,
        /// For which host.
        host: Option<String>,
    },
    /// The person ended the input or interrupted.
    #[error("no answer to `{message}`{}", for_host(.host.as_ref()))]
    Cancelled {
        /// What was asked.
        message: String,
        /// For which host.
        host: Option<String>,
    },
}

fn for_host(host: Option<&String>) -> String {
    host.map(|host| format!(" for {host}")).unwrap_or_default()
}

/// Who answers questions.
#[async_trait]
pub trait Prompter: Send + Sync {
    /// Asks, and waits for the answer. Concurrent requests are the implementation's to queue; it may
    /// answer several of the same [`PromptKind`] with one question.
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError>;
}

#[async_trait]
impl<P: Prompter + ?Sized> Prompter for std::sync::Arc<P> {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        (**self).ask(request).await
    }
}

/// Answers nothing: the [`Prompter`] of a run that must never wait for a person.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RefusePrompts {
    /// Whether the reason is a missing terminal rather than `abort_on_prompts`.
    pub no_terminal: bool,
}

setters!(RefusePrompts { no_terminal: bool });

#[async_trait]
impl Prompter for RefusePrompts {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let PromptRequest { message, host, .. } = request;
        Err(if self.no_terminal {
            PromptError::NoTerminal { message, host }
        } else {
            PromptError::Refused { message, host }
        })
    }
}
