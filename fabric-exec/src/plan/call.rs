//! What a run is asked to do.

use crate::task::Invocation;

/// One thing to do in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// A task of the collection.
    Task(Invocation),
    /// A command for every host of the global host list (`-- COMMAND`). It is never a template.
    Command(String),
}

impl Call {
    /// The same as one would type it.
    pub(crate) fn token(&self) -> String {
        match self {
            Self::Task(call) => call.token(),
            Self::Command(line) => format!("-- {line}"),
        }
    }
}
