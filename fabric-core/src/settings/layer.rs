//! Where a value comes from, layer and origin, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::value::Map;

/// A source of settings. The order here is the order of the ladder: later wins, key by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// What is built in.
    Default,
    /// The user's and the system's ssh_config.
    SshConfig,
    /// `/etc/fabric.*`.
    System,
    /// `~/.fabricrc`, `~/.fabric.*`, `$XDG_CONFIG_HOME/fabric/`.
    User,
    /// `fabric.*` beside the fabfile.
    Project,
    /// `FABRIC_*`.
    Environment,
    /// The fabfile's `[env]`.
    Fabfile,
    /// The settings of the role that named the host.
    Role,
    /// The `[hosts."pattern"]` sections that match.
    Host,
    /// The task's own keys and its `with`.
    Task,
    /// The command line.
    CommandLine,
    /// What a task that ran before has set.
    Runtime,
    /// A step's own keys, or the arguments of a call.
    Step,
    /// User and port of the host string.
    HostString,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::SshConfig => "ssh_config",
            Self::System => "system file",
            Self::User => "user file",
            Self::Project => "project file",
            Self::Environment => "environment",
            Self::Fabfile => "fabfile",
            Self::Role => "role",
            Self::Host => "host section",
            Self::Task => "task",
            Self::CommandLine => "command line",
            Self::Runtime => "set by a task",
            Self::Step => "step",
            Self::HostString => "host string",
        })
    }
}

/// Where exactly a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// Its layer.
    pub layer: Layer,
    /// The file, if it is in one.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<usize>,
    /// The column in that line, in characters, from 1.
    pub column: Option<usize>,
    /// Another name of the place: an option, a variable, a section.
    pub place: Option<String>,
}

impl Origin {
    /// An origin of which only the layer is known.
    pub fn new(layer: Layer) -> Self {
        Self { layer, file: None, line: None, column: None, place: None }
    }

    /// A line of a file.
    pub fn file(layer: Layer, file: impl Into<PathBuf>, line: Option<usize>) -> Self {
        Self { layer, file: Some(file.into()), line, column: None, place: None }
    }

    /// The same in another layer.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layer = layer;
        self
    }

    /// At this column of the line, counted in characters from 1.
    #[must_use]
    pub fn column(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }

    /// An argument of the call that asks for a connection: what may not contradict the host string.
    pub fn argument() -> Self {
        Self::place(Layer::Step, "argument")
    }

    /// An option, a variable, a section.
    pub fn place(layer: Layer, place: impl Into<String>) -> Self {
        Self { layer, file: None, line: None, column: None, place: Some(place.into()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line, &self.place) {
            (Some(file), Some(line), _) => {
                write!(f, "{}:{line}", file.display())?;
                self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
            }
            (Some(file), None, _) => write!(f, "{}", file.display()),
            (None, _, Some(place)) => f.write_str(place),
            (None, _, None) => write!(f, "{}", self.layer),
        }
    }
}

/// Values that belong into one place of the ladder and come from above fabric-config: a role's, a task's,
/// a step's. Keys are classic names; unknown ones are shared state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Overlay {
    /// Which place.
    pub origin: Origin,
    /// The values.
    pub values: Arc<Map>,
}

impl Overlay {
    /// Values of a layer.
    pub fn new(origin: Origin, values: impl Into<Arc<Map>>) -> Self {
        Self { origin, values: values.into() }
    }
}

/// One thing that is wrong in a file, a variable or an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where, if it is known.
    pub origin: Option<Origin>,
    /// What is wrong, naming the offending text (never a secret) and what was expected.
    pub message: String,
    /// What to do about it: the nearest right name, for example.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without an origin.
    pub fn new(message: impl Into<String>) -> Self {
        Self { origin: None, message: message.into(), hint: None }
    }

    /// At this origin, if it is known.
    #[must_use]
    pub fn at(mut self, origin: impl Into<Option<Origin>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, found at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
