//! Watchers, which answer prompts in the output of a command.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fabric_core::Error;
use regex::bytes::Regex;

/// How many bytes of unanswered output are searched for a pattern. A prompt is shorter.
const WINDOW: usize = 4096;

/// Watches the output of commands and answers on their standard input.
///
/// A watcher makes a new [`Watching`] for each stream of each command, so that it can serve many commands.
pub trait Watcher: Send + Sync {
    /// Starts to watch one stream.
    fn start(&self) -> Box<dyn Watching>;
}

/// A watched stream.
pub trait Watching: Send {
    /// Takes the next bytes of the stream; returns what to write to the command, or [`Refused`] to stop it.
    fn see(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, Refused>;
}

/// A watcher's answer was refused; the command is stopped and ends with [`Error::AnswerRefused`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The watcher's pattern, for the message.
    pub pattern: String,
}

impl Refused {
    /// The answer to this pattern was refused.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into() }
    }
}

/// Answers each match of a pattern with one response, pieces of output joined.
///
/// ```
/// use fabric_transport::connection::{Responder, Watcher as _};
///
/// let mut watching = Responder::new(r"Continue\? ", "yes\n")?.start();
/// assert!(watching.see(b"Conti")?.is_empty());
/// assert_eq!(watching.see(b"nue? ")?, ["yes\n"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Responder {
    pattern: Regex,
    response: Bytes,
}

impl Responder {
    /// Answers `pattern` with `response`, which must hold its own line end.
    ///
    /// The pattern matches bytes; `.` matches a line end too (Fabric 3). Unicode classes (`\p{..}`) are not supported, as in
    /// Python. Matched output is not searched again, and at most the last 4 KiB of other output are.
    pub fn new(pattern: &str, response: impl Into<Bytes>) -> Result<Self, Error> {
        Ok(Self { pattern: compile(pattern)?, response: response.into() })
    }

    /// Answers exactly this text (the `prompts` setting).
    pub fn literal(text: &str, response: impl Into<Bytes>) -> Result<Self, Error> {
        Self::new(&regex::escape(text), response)
    }
}

/// A [`Responder`] whose answer may be refused: once it has answered, a match of its sentinel ends the command.
#[derive(Debug, Clone)]
pub struct FailingResponder {
    responder: Responder,
    sentinel: Regex,
}

impl FailingResponder {
    /// Answers `pattern` with `response`; `sentinel` is what the command prints when it refuses the answer.
    pub fn new(pattern: &str, response: impl Into<Bytes>, sentinel: &str) -> Result<Self, Error> {
        Ok(Self { responder: Responder::new(pattern, response)?, sentinel: compile(sentinel)? })
    }
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    regex::bytes::RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .build()
        .map_err(|error| Error::Usage(format!("watcher: {error}")))
}

impl Watcher for Responder {
    fn start(&self) -> Box<dyn Watching> {
        Box::new(Answering { responder: self.clone(), sentinel: None, unseen: BytesMut::new(), answered: false })
    }
}

impl Watcher for FailingResponder {
    fn start(&self) -> Box<dyn Watching> {
        let sentinel = Some(self.sentinel.clone());
        Box::new(Answering { responder: self.responder.clone(), sentinel, unseen: BytesMut::new(), answered: false })
    }
}

struct Answering {
    responder: Responder,
    sentinel: Option<Regex>,
    /// The output since the last match.
    unseen: BytesMut,
    answered: bool,
}

impl Watching for Answering {
    fn see(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, Refused> {
        self.unseen.extend_from_slice(bytes);
        let mut answers = Vec::new();
        loop {
            let prompt = self.responder.pattern.find(&self.unseen).filter(|found| !found.is_empty());
            let refusal = self.sentinel.as_ref().filter(|_| self.answered).and_then(|s| s.find(&self.unseen));
            match (prompt, refusal) {
                (prompt, Some(refusal)) if prompt.is_none_or(|prompt| refusal.start() < prompt.start()) => {
                    return Err(Refused { pattern: self.responder.pattern.as_str().to_owned() });
                }
                (Some(prompt), _) => {
                    let end = prompt.end();
                    let _ = self.unseen.split_to(end);
                    answers.push(self.responder.response.clone());
                    self.answered = true;
                }
                (None, _) => break,
            }
        }
        let surplus = self.unseen.len().saturating_sub(WINDOW);
        let _ = self.unseen.split_to(surplus);
        Ok(answers)
    }
}

/// For the warning about a silent command: the last line that it printed.
pub(super) struct Silence {
    /// For how long.
    pub(super) after: Duration,
    command: String,
    end: BytesMut,
}

impl Silence {
    /// How much of the last line is shown.
    const SHOWN: usize = 200;

    pub(super) fn new(command: &str, after: Duration) -> Self {
        Self { after, command: command.to_owned(), end: BytesMut::new() }
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.end.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::SHOWN)..]);
        let surplus = self.end.len().saturating_sub(Self::SHOWN);
        let _ = self.end.split_to(surplus);
    }

    /// It may be asking what no pattern answers, and would wait for ever: its input stays open.
    pub(super) fn warning(&self) -> String {
        let end = String::from_utf8_lossy(&self.end);
        let last = match end.trim_end().lines().next_back() {
            Some(line) => format!("; its last line is {line:?}"),
            None => String::new(),
        };
        format!(
            "`{}` has printed nothing for {} s{last}. It may be asking what no pattern of `prompts` answers, and its \
             input stays open: `command_timeout` would end it",
            self.command,
            self.after.as_secs_f64(),
        )
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer to `{}` was refused", self.pattern)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(watcher: &dyn Watcher, text: &str, piece: usize) -> Result<usize, Refused> {
        let mut watching = watcher.start();
        text.as_bytes().chunks(piece).try_fold(0, |sum, chunk| Ok(sum + watching.see(chunk)?.len()))
    }

    #[test]
    fn each_prompt_is_answered_once_wherever_it_is_cut() {
        let responder = Responder::literal("[y/N] ", "y\n").unwrap();
        for piece in 1..=40 {
            assert_eq!(feed(&responder, "first [y/N] \nsecond [y/N] \n[y/N", piece), Ok(2), "{piece}");
        }
    }

    #[test]
    fn a_sentinel_counts_only_after_an_answer() {
        let responder = FailingResponder::new("pass: ", "x\n", "wrong").unwrap();
        for piece in 1..=40 {
            assert_eq!(feed(&responder, "wrong before\npass: \nfine", piece), Ok(1), "{piece}");
            assert!(feed(&responder, "pass: \nwrong\n", piece).is_err(), "{piece}");
        }
    }
}
