//! Output levels: which parts of a run are shown (`--hide`, `--show`; Fabric 1's `output` groups).

use fabric_core::Stream;

/// The output levels that are shown. Hiding a level changes only what is shown, not what is captured or what fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Levels {
    /// The program's own reports: the summary, recorded host keys.
    pub status: bool,
    /// Errors.
    pub aborts: bool,
    /// Warnings.
    pub warnings: bool,
    /// Tasks, commands and transfers as they begin.
    pub running: bool,
    /// Standard output of commands.
    pub stdout: bool,
    /// Standard error of commands.
    pub stderr: bool,
    /// Messages of tasks themselves.
    pub user: bool,
    /// Details of errors.
    pub exceptions: bool,
    /// Connections, tries and timings.
    pub debug: bool,
}

/// An unknown level or group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownLevel(pub(crate) String);

impl Default for Levels {
    /// All but `exceptions` and `debug`.
    fn default() -> Self {
        Self {
            status: true,
            aborts: true,
            warnings: true,
            running: true,
            stdout: true,
            stderr: true,
            user: true,
            exceptions: false,
            debug: false,
        }
    }
}

impl Levels {
    /// The levels.
    pub(crate) const NAMES: [&'static str; 9] =
        ["status", "aborts", "warnings", "running", "stdout", "stderr", "user", "exceptions", "debug"];
    /// The names of groups of levels.
    pub(crate) const GROUPS: [&'static str; 3] = ["output", "everything", "commands"];

    /// Each level by its name.
    pub(crate) fn to_map(self) -> fabric_core::settings::Map {
        let Self { status, aborts, warnings, running, stdout, stderr, user, exceptions, debug } = self;
        let all = [status, aborts, warnings, running, stdout, stderr, user, exceptions, debug];
        Self::NAMES.into_iter().zip(all).map(|(name, shown)| (name.to_owned(), shown.into())).collect()
    }

    /// Whether output on this stream is shown.
    pub(crate) fn shows(self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// Shows these levels and groups, separated by commas.
    pub(crate) fn show(&mut self, names: &str) -> Result<(), UnknownLevel> {
        self.set(names, true)
    }

    /// Hides these levels and groups, separated by commas.
    pub(crate) fn hide(&mut self, names: &str) -> Result<(), UnknownLevel> {
        self.set(names, false)
    }

    fn set(&mut self, names: &str, on: bool) -> Result<(), UnknownLevel> {
        let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.try_for_each(|name| self.set_one(name, on).ok_or_else(|| UnknownLevel(name.to_owned())))
    }

    fn set_one(&mut self, name: &str, on: bool) -> Option<()> {
        let level = match name {
            "status" => &mut self.status,
            "aborts" => &mut self.aborts,
            "warnings" => &mut self.warnings,
            "running" => &mut self.running,
            "stdout" => &mut self.stdout,
            "stderr" => &mut self.stderr,
            "user" => &mut self.user,
            "exceptions" => &mut self.exceptions,
            "debug" => &mut self.debug,
            group => {
                let members: &[&str] = match group {
                    "output" => &["stdout", "stderr"],
                    "everything" => &["warnings", "running", "user", "stdout", "stderr", "exceptions"],
                    "commands" => &["stdout", "running"],
                    _ => return None,
                };
                return members.iter().try_for_each(|member| self.set_one(member, on));
            }
        };
        *level = on;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_for_levels() {
        let mut levels = Levels::default();
        levels.hide("everything").unwrap();
        let hidden =
            Levels { warnings: false, running: false, user: false, stdout: false, stderr: false, ..Levels::default() };
        assert_eq!(levels, hidden);
        levels.show("commands, stderr").unwrap();
        assert!(levels.stdout && levels.running && levels.stderr && !levels.user);
        assert!(levels.show("all").is_err());
    }
}
