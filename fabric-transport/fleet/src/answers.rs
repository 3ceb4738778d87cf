//! Commands that a host answers without starting a process.

use std::sync::Arc;

/// A host's answer to a command that isn't run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status.
    pub exit: u32,
}

impl Answer {
    /// Prints this to standard output, and ends with status 0.
    pub fn stdout(stdout: impl Into<Vec<u8>>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    /// Prints nothing, and ends with this status.
    pub fn status(exit: u32) -> Self {
        Self { exit, ..Self::default() }
    }
}

/// Decides, by host name and command, whether a command is answered (`Some`) or run (`None`).
pub type Answers = Arc<dyn Fn(&str, &[u8]) -> Option<Answer> + Send + Sync>;

/// The answers of a cheap host, for benchmarks that must not measure the server:
///
/// * `true`, `:` and `false`;
/// * `exit N`;
/// * `echo WORDS`, if no word has a character that is special in a shell;
/// * `lines COUNT WIDTH`, which isn't a command of the shell: that many lines of that many bytes, line end included.
///
/// Everything else is run.
pub fn cheap() -> Answers {
    Arc::new(|_, command| {
        let command = std::str::from_utf8(command).ok()?.trim();
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match (name, rest) {
            ("true" | ":", "") => Some(Answer::default()),
            ("false", "") => Some(Answer::status(1)),
            ("exit", status) => Some(Answer::status(status.parse::<u8>().ok()?.into())),
            ("echo", words) if words.chars().all(|c| c.is_ascii_alphanumeric() || " .,:/_@%+=-".contains(c)) => {
                if words.starts_with('-') || words.contains("  ") {
                    return None;
                }
                Some(Answer::stdout(format!("{words}\n")))
            }
            ("lines", size) => {
                let (count, width) = size.split_once(' ')?;
                let (count, width): (usize, usize) = (count.parse().ok()?, width.parse().ok()?);
                let mut line = vec![b'x'; width.checked_sub(1)?];
                line.push(b'\n');
                Some(Answer::stdout(line.repeat(count)))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_commands_are_answered_and_others_run() {
        let answers = cheap();
        let answer = |command: &str| answers("h", command.as_bytes());
        assert_eq!(answer("true"), Some(Answer::default()));
        assert_eq!(answer("exit 3").map(|a| a.exit), Some(3));
        assert_eq!(answer("echo a b").map(|a| a.stdout), Some(b"a b\n".to_vec()));
        assert_eq!(answer("lines 2 3").map(|a| a.stdout), Some(b"xx\nxx\n".to_vec()));
        for command in ["echo $HOME", "echo a  b", "echo -n a", "true; false", "exit 300", "uname", "lines 2 0"] {
            assert_eq!(answer(command), None, "{command}");
        }
    }
}
