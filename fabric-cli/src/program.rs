//! [`Program`]: a program with the command line of `fab`.

use std::process::ExitCode;

use fabric_exec::hostlist::Role;
use fabric_exec::{Collection, CollectionError, Interrupt, Value};

use crate::actions;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::process::{self, Process};
use crate::request::ProgramParts;
use crate::surroundings::Surroundings;

/// What [`Program::tasks`] takes: a collection, or the result of building one.
pub trait IntoTasks {
    /// The collection.
    fn into_tasks(self) -> Result<Collection, CollectionError>;
}

impl IntoTasks for Collection {
    fn into_tasks(self) -> Result<Collection, CollectionError> {
        Ok(self)
    }
}

impl IntoTasks for Result<Collection, CollectionError> {
    fn into_tasks(self) -> Result<Collection, CollectionError> {
        self
    }
}

/// A program with the command line of `fab`.
///
/// ```no_run
/// use fabric_cli::prelude::*;
///
/// fn main() -> std::process::ExitCode {
///     let web = Role::hosts((1..=3).map(|n| format!("web{n}.example.com")));
///     Program::new().name("deploy").version("2.1").tasks(Collection::new()).role("web", web).main()
/// }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "call `main` or `run`"]
pub struct Program {
    own: ProgramParts,
    surroundings: Option<Surroundings>,
}

impl Program {
    /// `fab` itself: its tasks come from fabfiles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name in messages, help, version and completion scripts. Default: `fab`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.own.name = name.into();
        self
    }

    /// Its version, as printed by `--version`. Default: Fabric's.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.own.version = version.into();
        self
    }

    /// Its tasks; no fabfile is read then. An error in building them is reported when the program runs.
    pub fn tasks(mut self, tasks: impl IntoTasks) -> Self {
        self.own.tasks = Some(tasks.into_tasks());
        self
    }

    /// Adds a role.
    pub fn role(mut self, name: impl Into<String>, role: Role) -> Self {
        self.own.roles.insert(name.into(), role);
        self
    }

    /// Sets a setting by its classic name, or a key of shared state, as `[env]` of a fabfile does. `hosts` and `roles` beat `-H`
    /// and `-R`, as assignments in Fabric 1's fabfiles did; the run warns of it.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.own.env.push((name.into(), value.into()));
        self
    }

    /// Environment, working directory and standard streams. Default: those of the process.
    pub fn surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = Some(surroundings);
        self
    }

    /// Ends what the program does when this is stopped: a run and its open question, a plan, and a program that runs in place of
    /// this one. A clone of it can stop a program on another thread. [`Program::main`] stops it at Ctrl-C.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.own.interrupt = interrupt;
        self
    }

    /// Runs as the main program of this process: takes its arguments, ends at Ctrl-C, raises the limit on open files, starts the
    /// log that `--log` asks for, and reports a panic as a bug.
    pub fn main(self) -> ExitCode {
        let name = self.own.name.clone();
        let run = |process| match process::arguments() {
            Ok(args) => self.answer(Some(process), args),
            Err(error) => {
                let failure = Failure::from(error);
                eprint!("{}", failure.report(&name));
                failure.exit()
            }
        };
        Process::run(&name, run).into()
    }

    /// Runs with these arguments (without the program's name), and returns how it ended.
    ///
    /// Leaves the process as it is: no signal handler or panic hook is installed, and no limit is raised. `--log` is an error.
    ///
    /// # Panics
    ///
    /// If called in an async context, as it has a runtime of its own. Use `tokio::task::spawn_blocking` there.
    pub fn run<T: Into<String>>(self, args: impl IntoIterator<Item = T>) -> Exit {
        self.answer(None, args.into_iter().map(Into::into).collect())
    }

    fn answer(self, process: Option<Process>, args: Vec<String>) -> Exit {
        tracing::trace!(route = "the program: arguments, surroundings, its own tasks");
        actions::answer(self.own, &self.surroundings.unwrap_or_else(Surroundings::capture), process, args)
    }
}
