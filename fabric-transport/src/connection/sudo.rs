//! The dialogue with `sudo`: recognising its prompt, answering it, and noticing its end.
//!
//! `sudo` prompts with a random text, and the command prints another one as soon as it runs. Both are removed from the
//! output. Only `sudo` reads and writes between them. So a second prompt means that the password was wrong, and an end
//! without the command's text that `sudo` refused. The caller's input is sent after that text, since `sudo` would read it
//! before.

use bytes::{Bytes, BytesMut};
use fabric_core::{Emitter, Error, PromptKind, PromptRequest, Prompter as _, RefusePrompts, Secret, Settings};
use memchr::memmem;

use super::handle::Connection;

/// A piece of the output of a command with `sudo`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// Output.
    Bytes(Bytes),
    /// `sudo` asks for the password.
    Prompt,
    /// The command runs.
    Announcement,
}

/// The texts to search for.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub(super) prompt: String,
    pub(super) announcement: String,
}

impl Texts {
    /// Random ones, except where `sudo_prompt` is set.
    pub(super) fn new(settings: &Settings) -> Self {
        let prompt = settings.sudo_prompt.clone().unwrap_or_else(|| format!("[sudo {:032x}] ", rand::random::<u128>()));
        Self { prompt, announcement: format!("[sudo {:032x} ok]", rand::random::<u128>()) }
    }
}

/// Searches for the texts in one stream, also across pieces.
pub(super) struct Scanner {
    texts: Texts,
    /// The end of the output, if it may be the beginning of a text.
    held: BytesMut,
    /// With a terminal, `sudo` ends the line of its prompt once it has the answer.
    ends_line: bool,
    skip_line_end: bool,
}

impl Scanner {
    pub(super) fn new(texts: Texts, pty: bool) -> Self {
        Self { texts, held: BytesMut::new(), ends_line: pty, skip_line_end: false }
    }

    pub(super) fn push(&mut self, bytes: &Bytes) -> Vec<Scanned> {
        let mut rest = if self.held.is_empty() {
            bytes.clone()
        } else {
            self.held.extend_from_slice(bytes);
            self.held.split().freeze()
        };
        let mut found = Vec::new();
        loop {
            let prompt = memmem::find(&rest, self.texts.prompt.as_bytes());
            let announcement = memmem::find(&rest, self.texts.announcement.as_bytes());
            let announced = announcement.is_some_and(|at| prompt.is_none_or(|prompt| at < prompt));
            let Some(at) = (if announced { announcement } else { prompt }) else { break };
            self.output(rest.split_to(at), &mut found);
            let _ = rest.split_to(if announced { &self.texts.announcement } else { &self.texts.prompt }.len());
            if announced {
                found.push(Scanned::Announcement);
                self.output(rest, &mut found);
                return found;
            }
            found.push(Scanned::Prompt);
            self.skip_line_end = self.ends_line;
        }
        let begins = |text: &str| (1..text.len()).rev().find(|n| rest.ends_with(&text.as_bytes()[..*n])).unwrap_or(0);
        let held = begins(&self.texts.prompt).max(begins(&self.texts.announcement));
        self.held.extend_from_slice(&rest.split_off(rest.len() - held));
        self.output(rest, &mut found);
        found
    }

    /// What was held back, at the end of the search.
    pub(super) fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    fn output(&mut self, mut bytes: Bytes, found: &mut Vec<Scanned>) {
        if self.skip_line_end {
            while let Some(byte) = bytes.first().copied() {
                if byte == b'\r' || byte == b'\n' {
                    let _ = bytes.split_to(1);
                }
                if byte != b'\r' {
                    self.skip_line_end = false;
                    break;
                }
            }
        }
        if !bytes.is_empty() {
            found.push(Scanned::Bytes(bytes));
        }
    }
}

/// Answers `sudo`.
pub(super) struct Dialogue {
    connection: Connection,
    /// A password of the request, which takes precedence.
    given: Option<Secret>,
    answers: u32,
}

impl Dialogue {
    pub(super) fn new(connection: Connection, given: Option<Secret>) -> Self {
        Self { connection, given, answers: 0 }
    }

    /// Whether a password was sent to `sudo`.
    pub(super) fn has_answered(&self) -> bool {
        self.answers > 0
    }

    /// The error for a refused password; one that the user entered is forgotten.
    pub(super) async fn refused(&self) -> Error {
        *self.connection.shared.sudo_password.lock().await = None;
        Error::SudoRefused { host: self.connection.host_string().to_owned(), user: self.user() }
    }

    /// The password for a prompt. A second prompt means that the first password was wrong: one from the settings is not
    /// tried again, but the user is asked again, as often as `sudo` asks.
    pub(super) async fn answer(&mut self) -> Result<Secret, Error> {
        let again = self.answers > 0;
        self.answers += 1;
        let Connection { shared, target, settings, emitter, .. } = &self.connection;
        let set = || settings.sudo_password_for(&target.host_string, target.user.as_deref(), target.port);
        if let Some(password) = self.given.clone().or_else(set) {
            return if again { Err(self.refused().await) } else { Ok(password) };
        }
        // Locked while asking, so that concurrent commands of this host share the answer.
        let mut known = shared.sudo_password.lock().await;
        if let Some(password) = known.clone().filter(|_| !again) {
            return Ok(password);
        }
        *known = None;
        let password = self.ask(emitter, again).await?;
        *known = Some(password.clone());
        Ok(password)
    }

    async fn ask(&self, emitter: &Emitter, again: bool) -> Result<Secret, Error> {
        let (host, user) = (self.connection.host_string().to_owned(), self.user());
        if again {
            emitter.warn(format!("sudo refused the password of {user}"));
        }
        let message = format!("[{host}] sudo password for {user}:");
        let request = PromptRequest::new(PromptKind::Sudo { user }, message).host(host);
        if self.connection.settings.abort_on_prompts {
            return Ok(RefusePrompts::default().ask(request).await?);
        }
        Ok(self.connection.shared.prompter.ask(request).await?)
    }

    fn user(&self) -> String {
        self.connection.user().map_or_else(|| "the login user".to_owned(), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, piece: usize, pty: bool) -> (String, String) {
        let texts = Texts { prompt: "[sudo ab] ".to_owned(), announcement: "[sudo ab ok]".to_owned() };
        let mut scanner = Scanner::new(texts, pty);
        let (mut output, mut marks) = (Vec::new(), String::new());
        for chunk in text.as_bytes().chunks(piece) {
            for found in scanner.push(&Bytes::copy_from_slice(chunk)) {
                match found {
                    Scanned::Bytes(bytes) => output.extend_from_slice(&bytes),
                    Scanned::Prompt => marks.push('?'),
                    Scanned::Announcement => marks.push('!'),
                }
            }
        }
        output.extend_from_slice(&scanner.finish());
        (String::from_utf8(output).unwrap(), marks)
    }

    #[test]
    fn texts_are_found_and_removed_wherever_they_are_cut() {
        for piece in 1..60 {
            let text = "lecture [sudo a\n[sudo ab] Sorry\n[sudo ab] [sudo ab ok]out [sud";
            assert_eq!(scan(text, piece, false), ("lecture [sudo a\nSorry\nout [sud".to_owned(), "??!".to_owned()));
            let text = "[sudo ab] \r\nSorry\r\n[sudo ab] \r\n[sudo ab ok]\r\nout";
            assert_eq!(scan(text, piece, true), ("Sorry\r\n\r\nout".to_owned(), "??!".to_owned()));
        }
    }
}
