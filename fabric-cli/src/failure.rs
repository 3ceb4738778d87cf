//! Errors of the program, and how they are reported to the user.

use std::fmt;
use std::io;
use std::path::PathBuf;

use fabric_core::PromptError;
use fabric_core::settings::{Problem, Problems};
use fabric_exec::{Collection, RunError};
use thiserror::Error;

use crate::args::UsageError;
use crate::exit::Exit;
use crate::render::visible;

/// Why nothing was run, or why a run could not be shown or recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Files, variables and settings.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// Tasks, their arguments, roles and host lists.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A question before the run was not answered.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A fabfile is needed and none was found.
    #[error(
        "there is no fabfile: neither {name}.toml, .yaml, .yml, .json or .py in {} or above it; \
         `fab --init` writes one, `fab -H HOST -- COMMAND` needs none",
        .from.display()
    )]
    NoFabfile {
        /// The name that was looked for.
        name: String,
        /// Where the search began.
        from: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{what} {}: {source}", .path.display())]
    File {
        /// What was being done.
        what: FileOperation,
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Anything else that is wrong with what was asked for.
    #[error("{0}")]
    Refused(String),
    /// Something that failed.
    #[error("{0}")]
    Failed(String),
    /// Interrupted, by a signal or by the program's interrupt.
    #[error("interrupted")]
    Interrupted,
}

/// What was being done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileOperation {
    Reading,
    ReadingJournals,
    Starting,
    Writing,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::ReadingJournals => "reading the journals in",
            Self::Starting => "starting",
            Self::Writing => "writing",
        })
    }
}

impl Failure {
    /// There is no task of this name.
    pub(crate) fn unknown_task(collection: &Collection, name: &str) -> Self {
        Self::Run(RunError::UnknownTasks(vec![collection.unknown(name)]))
    }

    /// Its exit status.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            // Nothing ran because every host list was emptied.
            Self::Usage(UsageError::NoHosts { .. })
            | Self::Failed(_)
            | Self::System { .. }
            | Self::File { what: FileOperation::Writing, .. } => Exit::Failed,
            Self::Prompt(PromptError::Cancelled { .. }) | Self::Interrupted => Exit::Interrupted,
            _ => Exit::Usage,
        }
    }

    /// The text for standard error: one line per problem, with its place.
    pub(crate) fn report(&self, program: &str) -> String {
        match self {
            Self::Problems(Problems(problems))
            | Self::Run(RunError::Settings(Problems(problems)) | RunError::Fabfile(Problems(problems))) => {
                problems.iter().map(|one| problem("error", one)).collect()
            }
            Self::Run(RunError::UnknownTasks(_)) => {
                format!("{program}: {}\nSee `{program} --list` for all tasks.\n", lines(self))
            }
            Self::Usage(_) => format!("{program}: {}\nSee `{program} --help`.\n", lines(self)),
            _ => format!("{program}: {}\n", lines(self)),
        }
    }
}

fn lines(error: &Failure) -> String {
    error.to_string().split('\n').map(visible::text).collect::<Vec<_>>().join("\n")
}

/// A problem with its place; its hint follows on a second line.
pub(crate) fn problem(severity: &str, problem: &Problem) -> String {
    let place = problem.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let mut text = format!("{}{severity}: {}\n", visible::text(&place), visible::text(&problem.message));
    if let Some(hint) = &problem.hint {
        text.extend(["  = ", &visible::text(hint), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::{Layer, Origin};

    #[test]
    fn problems_say_where_they_are() {
        let origin = Origin::file(Layer::Fabfile, "fabfile.toml", Some(3));
        let one = Problem::new("unknown key `runn`").at(origin).hint("did you mean `run`?");
        let failure = Failure::from(Problems(vec![one, Problem::new("and more")]));
        assert_eq!(
            failure.report("fab"),
            "fabfile.toml:3: error: unknown key `runn`\n  = did you mean `run`?\nerror: and more\n"
        );
        assert_eq!(failure.exit(), Exit::Usage);
    }
}
