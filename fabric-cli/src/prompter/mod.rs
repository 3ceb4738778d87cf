//! Asks the user questions on the terminal.
//!
//! Questions wait in a queue. The answer goes to all hosts that ask the same: the login or sudo password of a user, or the
//! passphrase of a key. It is remembered for hosts that ask later; a host that asks again causes a new question. Output is held
//! back while a question is open.

mod tty;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use fabric_core::host::fold;
use fabric_core::{HostString, PromptError, PromptKind, PromptRequest, Prompter, Secret};
use fabric_exec::Interrupt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::keyboard::Keys;
use crate::render::{Printer, visible};

use tty::Tty;

/// Asks on the terminal.
pub(crate) struct TerminalPrompter {
    shared: Arc<Asker>,
}

struct Asker {
    tty: OnceLock<Option<Tty>>,
    printer: Option<Arc<Printer>>,
    refuse: bool,
    state: Mutex<Queue>,
    interrupt: Interrupt,
    keys: OnceLock<Keys>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether a thread is asking the questions of the queue.
    asking: bool,
    /// The last answer of each shareable kind, and the hosts that got it.
    answers: HashMap<String, (Secret, Vec<Option<String>>)>,
}

struct Waiting {
    request: PromptRequest,
    reply: oneshot::Sender<Result<Secret, PromptError>>,
}

impl TerminalPrompter {
    /// Asks on the terminal of this process, which is opened at the first question. With `refuse` (`abort_on_prompts`) every
    /// question is an error instead. `printer` is held back while a question is open. Ctrl-C at a hidden question stops
    /// `interrupt`; once that is stopped, open and later questions end without an answer.
    pub(crate) fn new(refuse: bool, printer: Option<Arc<Printer>>, interrupt: Interrupt) -> Self {
        let shared =
            Asker { tty: OnceLock::new(), printer, refuse, state: Mutex::default(), interrupt, keys: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Asks no questions, as if the process had no terminal.
    pub(crate) fn without_terminal(&self) {
        let _ = self.shared.tty.set(None);
    }

    /// Keeps commands from reading the keyboard while a question is open. Only the first call has an effect.
    pub(crate) fn beside(&self, keys: Keys) {
        let _ = self.shared.keys.set(keys);
    }

    /// Asks on this terminal.
    #[cfg(test)]
    fn on(tty: Tty) -> Self {
        let prompter = Self::new(false, None, Interrupt::new());
        // It was just made, so that this is the first call.
        let _ = prompter.shared.tty.set(Some(tty));
        prompter
    }

    /// Ends all questions without an answer, and restores the terminal.
    pub(crate) fn cancel(&self) {
        if let Some(Some(tty)) = self.shared.tty.get() {
            tty.cancel();
        }
    }
}

#[async_trait]
impl Prompter for TerminalPrompter {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(secret) = state.remembered(&request) {
                return Ok(secret);
            }
            state.waiting.push(Waiting { request: request.clone(), reply });
            if !std::mem::replace(&mut state.asking, true) {
                let shared = self.shared.clone();
                tokio::task::spawn_blocking(move || shared.work());
            }
        }
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(cancelled(&request))),
            () = self.shared.interrupt.stopping() => {
                self.cancel();
                Err(cancelled(&request))
            }
        }
    }
}

impl Queue {
    /// The answer that another host got, unless this host got it too and asks again.
    fn remembered(&mut self, request: &PromptRequest) -> Option<Secret> {
        let (secret, hosts) = self.answers.get_mut(&shared_key(&request.kind)?)?;
        if hosts.contains(&request.host) {
            return None;
        }
        hosts.push(request.host.clone());
        Some(secret.clone())
    }

    fn remember(&mut self, kind: &PromptKind, secret: &Secret, hosts: Vec<Option<String>>) {
        if let Some(key) = shared_key(kind) {
            self.answers.insert(key, (secret.clone(), hosts));
        }
    }
}

impl Asker {
    fn state(&self) -> MutexGuard<'_, Queue> {
        self.state.lock()
    }

    fn tty(&self) -> Option<&Tty> {
        self.tty.get_or_init(|| Tty::open().ok()).as_ref()
    }

    /// Asks the questions of the queue.
    fn work(&self) {
        loop {
            let (first, hosts) = {
                let mut state = self.state();
                state.waiting.retain(|waiting| !waiting.reply.is_closed());
                let Some(first) = state.waiting.first().map(|waiting| waiting.request.clone()) else {
                    state.asking = false;
                    return;
                };
                let same = |waiting: &&Waiting| is_same(&waiting.request, &first);
                let hosts: Vec<_> =
                    state.waiting.iter().filter(same).filter_map(|waiting| waiting.request.host.clone()).collect();
                (first, hosts)
            };
            let answer = self.answer(&first, &hosts);
            let mut state = self.state();
            let (served, waiting): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.waiting).into_iter().partition(|w| is_same(&w.request, &first));
            state.waiting = waiting;
            if let Ok(secret) = &answer {
                state.remember(&first.kind, secret, served.iter().map(|w| w.request.host.clone()).collect());
            }
            drop(state);
            for Waiting { request, reply } in served {
                let answer = answer.clone().map_err(|error| for_request(&error, &request));
                // The receiver may be gone.
                let _ = reply.send(answer);
            }
        }
    }

    fn answer(&self, request: &PromptRequest, hosts: &[String]) -> Result<Secret, PromptError> {
        let PromptRequest { message, host, .. } = request.clone();
        if self.refuse {
            return Err(PromptError::Refused { message, host });
        }
        if self.interrupt.is_stopping() {
            return Err(cancelled(request));
        }
        let Some(tty) = self.tty() else {
            return Err(PromptError::NoTerminal { message, host });
        };
        let _held = self.printer.as_ref().map(|printer| printer.hold());
        let _question = self.keys.get().map(Keys::question);
        match converse(tty, request, hosts) {
            Ok(Some(answer)) => return Ok(answer),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                tty.cancel();
                self.interrupt.stop();
            }
            Ok(None) | Err(_) => {}
        }
        // The cursor is still behind the question.
        let _ = tty.show("\n");
        Err(cancelled(request))
    }
}

/// Asks until there is a valid answer; `None` if the user gives up.
fn converse(tty: &Tty, request: &PromptRequest, hosts: &[String]) -> io::Result<Option<Secret>> {
    let question = question(request, hosts);
    loop {
        let Some(line) = tty.ask(&question, request.kind.is_secret())?.map(Secret::new) else { return Ok(None) };
        match check(&request.kind, line.expose()) {
            Ok(None) => return Ok(Some(line)),
            Ok(Some(meant)) => return Ok(Some(Secret::new(meant))),
            Err(why) => tty.show(&format!("{why}\n"))?,
        }
    }
}

/// `[web1] Login password for deploy: `
fn question(request: &PromptRequest, hosts: &[String]) -> String {
    let hosts = match hosts {
        [] => String::new(),
        [one] => format!("[{}] ", visible::text(one)),
        many => format!("[{}] ", visible::text(&fold(many.iter().map(String::as_str)))),
    };
    let message = match &request.kind {
        // Asked for several hosts, whose messages differ.
        PromptKind::Password { user } => format!("Login password for {user}"),
        PromptKind::Sudo { user } => format!("sudo password for {user}"),
        _ => request.message.trim_end().to_owned(),
    };
    // The text may come from a server, which must not be able to imitate another one.
    let message = message.split('\n').map(visible::text).collect::<Vec<_>>().join("\n");
    let (choices, end) = match &request.kind {
        PromptKind::Confirm { default: true } => (" [Y/n]".to_owned(), " "),
        PromptKind::Confirm { default: false } => (" [y/N]".to_owned(), " "),
        PromptKind::HostKey { .. } if !message.contains("(yes/no)") => (" [yes/no]".to_owned(), " "),
        PromptKind::Text { default: Some(default), secret: false } => (format!(" [{}]", visible::text(default)), " "),
        _ if message.ends_with([':', '?', '>']) => (String::new(), " "),
        _ => (String::new(), ": "),
    };
    format!("{hosts}{message}{choices}{end}")
}

/// Checks an answer; `Some` is what it means, if that isn't the line itself. The error says what is wrong.
fn check(kind: &PromptKind, line: &str) -> Result<Option<String>, String> {
    let yes_or_no = |default: Option<bool>| match (line.trim().to_ascii_lowercase().as_str(), default) {
        ("y" | "yes", _) | ("", Some(true)) => Ok(Some("yes".to_owned())),
        ("n" | "no", _) | ("", Some(false)) => Ok(Some("no".to_owned())),
        _ => Err("Please answer yes or no.".to_owned()),
    };
    match kind {
        PromptKind::Password { .. } | PromptKind::Sudo { .. } if line.is_empty() => {
            Err("It must not be empty; Ctrl-D gives up.".to_owned())
        }
        PromptKind::Confirm { default } => yes_or_no(Some(*default)),
        PromptKind::HostKey { .. } => yes_or_no(None),
        PromptKind::Host => match HostString::parse(line.trim()) {
            Ok(host) => Ok(Some(host.as_str().to_owned())),
            Err(error) => Err(error.to_string()),
        },
        PromptKind::Text { default: Some(default), .. } if line.is_empty() => Ok(Some(default.clone())),
        _ => Ok(None),
    }
}

/// Requests with the same key share an answer; `None` if the answer is for one host only, such as a one-time code.
fn shared_key(kind: &PromptKind) -> Option<String> {
    match kind {
        PromptKind::Password { user } => Some(format!("password of {user}")),
        PromptKind::Passphrase { key } => Some(format!("passphrase of {key}")),
        PromptKind::Sudo { user } => Some(format!("sudo password of {user}")),
        _ => None,
    }
}

fn is_same(one: &PromptRequest, other: &PromptRequest) -> bool {
    match shared_key(&one.kind) {
        Some(key) => shared_key(&other.kind).is_some_and(|other| other == key),
        None => one == other,
    }
}

fn cancelled(request: &PromptRequest) -> PromptError {
    PromptError::Cancelled { message: request.message.clone(), host: request.host.clone() }
}

/// The error of a shared question, for one of its requests.
fn for_request(error: &PromptError, request: &PromptRequest) -> PromptError {
    let PromptRequest { message, host, .. } = request.clone();
    match error {
        PromptError::Refused { .. } => PromptError::Refused { message, host },
        PromptError::NoTerminal { .. } => PromptError::NoTerminal { message, host },
        _ => PromptError::Cancelled { message, host },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    use std::fs::File;
    use std::io::{Read, Write};

    /// A terminal, with its other end for typing and reading.
    fn terminal() -> (Tty, File, File) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || {
            use std::os::unix::fs::OpenOptionsExt as _;
            let flags = rustix::fs::OFlags::NOCTTY.bits() as i32;
            File::options().read(true).write(true).custom_flags(flags).open(name.to_str().unwrap()).unwrap()
        };
        (Tty::new(open()).unwrap(), File::from(master), open())
    }

    fn seen(master: &mut File, until: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(until) {
            let mut byte = [0];
            master.read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
        text
    }

    fn request(kind: PromptKind, host: &str) -> PromptRequest {
        PromptRequest::new(kind, "Password for deploy").host(host.to_owned())
    }

    fn password() -> PromptKind {
        PromptKind::Password { user: "deploy".to_owned() }
    }

    fn answer(result: Result<Secret, PromptError>) -> String {
        result.map_or_else(|error| error.to_string(), |secret| secret.expose().to_owned())
    }

    #[tokio::test]
    async fn one_answer_serves_all_that_ask_the_same() {
        let (tty, mut master, slave) = terminal();
        let prompter = TerminalPrompter::on(tty);
        let mut first = Box::pin(prompter.ask(request(password(), "web1")));
        assert!(futures_pending(first.as_mut()).await);
        let (mut master, text) = tokio::task::spawn_blocking(move || {
            let text = seen(&mut master, ": ");
            (master, text)
        })
        .await
        .unwrap();
        assert_eq!(text, "[web1] Login password for deploy: ");
        // While the question is open, nothing typed is shown.
        assert!(!tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ECHO));
        let mut second = Box::pin(prompter.ask(request(password(), "web2")));
        assert!(futures_pending(second.as_mut()).await);
        master.write_all(b"hunter2\n").unwrap();
        assert_eq!((answer(first.await), answer(second.await)), ("hunter2".to_owned(), "hunter2".to_owned()));
        assert!(tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ECHO));
        // A host that asks later gets it; one that asks again had a wrong one.
        assert_eq!(answer(prompter.ask(request(password(), "web3")).await), "hunter2");
        let mut again = Box::pin(prompter.ask(request(password(), "web1")));
        assert!(futures_pending(again.as_mut()).await);
        let mut master = tokio::task::spawn_blocking(move || {
            seen(&mut master, "[web1] Login password for deploy: ");
            master.write_all(b"\n").unwrap();
            seen(&mut master, "gives up.\r\n[web1] Login password for deploy: ");
            master
        })
        .await
        .unwrap();
        master.write_all(b"right\n").unwrap();
        assert_eq!(answer(again.await), "right");
        let mut rest = Box::pin(prompter.ask(request(password(), "web2")));
        assert!(!futures_pending(rest.as_mut()).await);
    }

    /// Polls once; whether it is not ready.
    async fn futures_pending<F: Future + Unpin>(mut future: F) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn an_interrupt_ends_questions_and_leaves_the_terminal_as_it_was() {
        let (tty, mut master, slave) = terminal();
        let prompter = TerminalPrompter::on(tty);
        let mut asked = Box::pin(prompter.ask(request(password(), "web1")));
        assert!(futures_pending(asked.as_mut()).await);
        let _master = tokio::task::spawn_blocking(move || {
            seen(&mut master, ": ");
            master
        })
        .await
        .unwrap();
        prompter.shared.interrupt.stop();
        assert_eq!(answer(asked.await), "no answer to `Password for deploy` for web1");
        assert!(tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ECHO));
        let later = prompter.ask(request(password(), "web2")).await;
        assert_eq!(answer(later), "no answer to `Password for deploy` for web2");
    }

    #[tokio::test]
    async fn no_question_is_asked_with_abort_on_prompts() {
        let prompter = TerminalPrompter::new(true, None, Interrupt::new());
        assert_eq!(
            answer(prompter.ask(request(password(), "web1")).await),
            "needed to ask for `Password for deploy` for web1, but abort_on_prompts is set"
        );
    }

    #[test]
    fn questions_and_what_answers_them() {
        let (confirm, host) = (PromptKind::Confirm { default: false }, PromptKind::Host);
        let text = PromptKind::Text { default: Some("blue".to_owned()), secret: false };
        let ask = |kind: &PromptKind, message: &str, hosts: &[&str]| {
            let request = PromptRequest::new(kind.clone(), message.to_owned());
            question(&request, &hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(ask(&confirm, "Go on?", &[]), "Go on? [y/N] ");
        assert_eq!(ask(&text, "Colour", &["a"]), "[a] Colour [blue] ");
        assert_eq!(ask(&password(), "x", &["web1", "web2"]), "[web[1-2]] Login password for deploy: ");
        assert_eq!(ask(&PromptKind::Challenge { echo: true }, "Code\x1b[2J:", &["a"]), "[a] Code^[[2J: ");
        assert_eq!(check(&confirm, ""), Ok(Some("no".to_owned())));
        assert_eq!(check(&confirm, "Y"), Ok(Some("yes".to_owned())));
        assert!(check(&confirm, "perhaps").is_err() && check(&host, "a b").is_err());
        assert_eq!(check(&host, " web1 "), Ok(Some("web1".to_owned())));
        assert_eq!(check(&text, ""), Ok(Some("blue".to_owned())));
        assert!(check(&password(), "").is_err());
        assert_eq!(check(&PromptKind::Passphrase { key: "k".to_owned() }, ""), Ok(None));
    }
}
