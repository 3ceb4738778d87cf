//! Logging in, in OpenSSH's order.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::settings::Problem;
use fabric_core::transport::OpenContext;
use fabric_core::{ConnectErrorKind, Phase, PromptError, PromptKind, PromptRequest, Secret, Target};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Prompt, RemoteDisconnectInfo};
use russh::keys::agent::AgentIdentity;
use russh::{Disconnect, MethodKind};

use super::keys::{self, KeyStore};
use super::waiting::{answered, too_late, unless_slow};
use crate::ssh::Failure;
use crate::ssh::agent;
use crate::ssh::clock::{Clock, Expired};
use crate::ssh::handler::Handler;
use crate::ssh::handshake::VerifiedConnection;
use crate::ssh::host_keys::Verified;
use crate::ssh::state::SessionState;

/// How long to wait for a message that has been read, also on a busy machine.
const BY_NOW: Duration = Duration::from_millis(100);

/// How often a server may prompt in one login.
const MOST_QUESTIONS: u32 = 100;

/// How many times `auth_timeout` the whole login may take.
const WHOLE_LOGIN: u32 = 10;

/// How many characters of a server's banner an error message contains.
const BANNER: usize = 200;

/// A connection after login.
pub(in crate::ssh) struct Login {
    pub(in crate::ssh) handle: Handle<Handler>,
    pub(in crate::ssh) shared: Arc<SessionState>,
}

/// Logs in with the target's keys, agent and password.
pub(in crate::ssh) async fn login(
    connection: VerifiedConnection,
    target: &Target,
    context: &OpenContext,
    keys: &KeyStore,
) -> Result<Login, Failure> {
    let VerifiedConnection { handle, shared, clock, proof: verified } = connection;
    let user = match &target.user {
        Some(user) => user.clone(),
        None => local_user()?,
    };
    let mut attempt = Attempt {
        handle,
        shared,
        clock: clock.clone(),
        target,
        context,
        user,
        given: target.auth.password.clone(),
        tried: Vec::new(),
        offered: None,
        questions: 0,
        announced: None,
        verified,
    };
    let whole = target.timeouts.auth.map(|limit| limit * WHOLE_LOGIN);
    let done =
        clock.limit_whole(whole, Box::pin(attempt.run(keys))).await.unwrap_or_else(|Expired| Err(too_late(whole)));
    done.map_err(|kind| (Phase::Auth, kind))?;
    Ok(Login { handle: attempt.handle, shared: attempt.shared })
}

fn local_user() -> Result<String, Failure> {
    let reason = "no login user is given, and the user of this process has no name".to_owned();
    let uid = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.ok_or_else(|| (Phase::Auth, Problem::new(reason).into()))
}

/// The result of a method.
pub(super) enum Tried {
    /// Logged in.
    Done,
    /// The server wants another factor too (partial success).
    More,
    /// Refused, or nothing to try.
    Refused,
}

/// Which credentials are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Named keys, and a given password.
    Given,
    /// All others, and prompts.
    Rest,
}

/// One login in progress.
pub(super) struct Attempt<'a> {
    pub(super) handle: Handle<Handler>,
    pub(super) shared: Arc<SessionState>,
    pub(super) clock: Clock,
    pub(super) target: &'a Target,
    pub(super) context: &'a OpenContext,
    pub(super) user: String,
    /// The given password, until it was tried.
    pub(super) given: Option<Secret>,
    /// What was tried, with the results.
    pub(super) tried: Vec<String>,
    /// The methods that the server offers; `None` until it has listed them.
    pub(super) offered: Option<Vec<MethodKind>>,
    /// How often it has prompted.
    pub(super) questions: u32,
    /// The server's announcement about RSA keys; `None` until it was read.
    pub(super) announced: Option<keys::Announced>,
    pub(super) verified: Verified,
}

impl Attempt<'_> {
    async fn run(&mut self, keys: &KeyStore) -> Result<(), ConnectErrorKind> {
        let agent = self.agent().await;
        let mut candidates = keys::Candidates::collect(self.target, keys, agent).await?;
        self.tried.append(&mut candidates.passed_over);
        if candidates.is_empty() {
            // There is nothing to offer without a prompt: ask the server for its methods first.
            if let Tried::Done = self.none().await? {
                return Ok(());
            }
        }
        // Each partial success restarts the list; a server asks for a few factors at most.
        for _ in 0..8 {
            let mut more = false;
            // A given password is tried before unnamed keys, each of which costs one of the allowed attempts.
            let passes: &[Pass] = if self.given.is_some() { &[Pass::Given, Pass::Rest] } else { &[Pass::Rest] };
            'passes: for &pass in passes {
                for method in &self.target.auth.methods {
                    let Ok(kind) = method.parse::<MethodKind>() else { continue };
                    if self.offered.as_ref().is_some_and(|offered| !offered.contains(&kind)) {
                        continue;
                    }
                    let step = match kind {
                        MethodKind::KeyboardInteractive | MethodKind::Password if !self.verified.is_full() => {
                            self.tried.push(format!("{} (not with a host whose key has changed)", <&str>::from(&kind)));
                            Tried::Refused
                        }
                        #[cfg(feature = "gssapi")]
                        MethodKind::GssapiWithMic if self.target.auth.gssapi && pass == passes[0] => {
                            self.gssapi().await?
                        }
                        MethodKind::PublicKey => self.public_keys(&mut candidates, pass).await?,
                        MethodKind::KeyboardInteractive | MethodKind::Password
                            if pass == Pass::Given && self.given.is_none() =>
                        {
                            Tried::Refused
                        }
                        MethodKind::KeyboardInteractive => self.keyboard_interactive(pass).await?,
                        MethodKind::Password => self.password(pass).await?,
                        _ => Tried::Refused,
                    };
                    match step {
                        Tried::Done => return Ok(()),
                        Tried::More => {
                            more = true;
                            break 'passes;
                        }
                        Tried::Refused => {}
                    }
                }
            }
            if !more {
                break;
            }
        }
        Err(self.failed())
    }

    fn failed(&self) -> ConnectErrorKind {
        let mut tried = self.tried.clone();
        if self.shared.goodbye.get().is_some_and(is_out_of_tries) {
            tried.push(
                "the server takes no more tries, and each key costs one: name the right one with `-i` and set \
                 IdentitiesOnly in ssh_config, or leave the agent out with `-a`"
                    .to_owned(),
            );
        }
        // Some servers explain a refusal there.
        let banner = self.shared.banner.lock();
        if let Some(line) = banner.lines().map(str::trim).find(|line| !line.is_empty()) {
            let line: String = line.chars().filter(|c| !c.is_control()).take(BANNER).collect();
            tried.push(format!("the server says \"{line}\""));
        }
        let offered = self.offered.iter().flatten().map(|kind| <&str>::from(kind).to_owned()).collect();
        ConnectErrorKind::AuthFailed { user: self.user.clone(), tried, offered }
    }

    /// Notes the server's answer to `what`.
    pub(super) fn note(&mut self, what: &str, answer: AuthResult) -> Result<Tried, ConnectErrorKind> {
        tracing::debug!(host = self.target.host_string.as_str(), user = self.user, what, ?answer, "login");
        match answer {
            AuthResult::Success => Ok(Tried::Done),
            // russh reports this when the connection has ended.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                self.tried.push(format!("{what} ({})", self.shared.reason()));
                if self.handle.is_closed() && self.offered.is_none() {
                    let reason = self.shared.reason().to_string();
                    return Err(ConnectErrorKind::Dropped { phase: Phase::Auth, reason, penalised: false });
                }
                Err(self.failed())
            }
            AuthResult::Failure { remaining_methods, partial_success } => {
                self.offered = Some(remaining_methods.to_vec());
                let came_of_it = if partial_success { "accepted, more is required" } else { "refused" };
                self.tried.push(format!("{what} ({came_of_it})"));
                Ok(if partial_success { Tried::More } else { Tried::Refused })
            }
        }
    }

    async fn agent(&mut self) -> Option<(Arc<agent::Agent>, Vec<AgentIdentity>)> {
        let socket = self.target.auth.agent.as_ref()?;
        let opening = agent::Agent::open(socket, self.handle.agent_session_binding());
        let slow = || format!("the agent {} has not answered for 2 s; waiting", socket.display());
        let opening = unless_slow(self.context, slow, opening);
        let opened = self.clock.limit(self.target.timeouts.auth, opening).await;
        match opened.unwrap_or_else(|Expired| Err("it did not answer within `auth_timeout`".to_owned())) {
            Ok(agent) => Some(agent),
            Err(reason) => {
                self.tried.push(format!("agent {} ({reason})", socket.display()));
                None
            }
        }
    }

    async fn public_keys(&mut self, candidates: &mut keys::Candidates, pass: Pass) -> Result<Tried, ConnectErrorKind> {
        while let Some(candidate) = candidates.next(pass == Pass::Rest) {
            let what = candidate.to_string();
            let offer = match candidate.public(self.target, self.context, &self.clock).await {
                Ok(offer) if candidates.first_offer(&offer) => offer,
                Ok(_) => continue,
                Err(error) => {
                    self.sign_failed(&what, error)?;
                    continue;
                }
            };
            if offer.is_rsa() && self.announced.is_none() {
                if let Tried::Done = self.learn_announced().await? {
                    return Ok(Tried::Done);
                }
                if !self.takes(MethodKind::PublicKey) {
                    candidates.give_back(candidate, &offer);
                    return Ok(Tried::Refused);
                }
            }
            let hash = match offer.hash(self.announced.flatten(), &self.target.auth.key_algorithms) {
                Ok(hash) => hash,
                Err(reason) => {
                    self.tried.push(format!("{what} ({reason})"));
                    continue;
                }
            };
            let clock = self.clock.clone();
            let mut signer =
                keys::Signer { candidate: &candidate, target: self.target, context: self.context, clock: &clock };
            let signing = offer.authenticate(&mut self.handle, self.user.clone(), hash, &mut signer);
            match answered(&clock, self.target, signing).await? {
                Ok(answer) => {
                    let step = self.note(&what, answer)?;
                    if !matches!(step, Tried::Refused) {
                        return Ok(step);
                    }
                    if !self.takes(MethodKind::PublicKey) {
                        // Not because of the key: another factor may have to come first.
                        candidates.give_back(candidate, &offer);
                        return Ok(step);
                    }
                }
                Err(error) => self.sign_failed(&what, error)?,
            }
        }
        Ok(Tried::Refused)
    }

    /// Asks for the server's methods, as ssh's first request (RFC 4252, section 5.2).
    async fn none(&mut self) -> Result<Tried, ConnectErrorKind> {
        let result = self.handle.authenticate_none(self.user.clone());
        let answer = answered(&self.clock, self.target, result).await?.map_err(|_| self.lost())?;
        let tried = self.tried.len();
        let step = self.note("none", answer)?;
        if matches!(step, Tried::Refused) {
            self.tried.truncate(tried);
        }
        Ok(step)
    }

    /// Reads the server's announcement about RSA keys, once in a login.
    ///
    /// It comes with the server's keys, or at the latest before its first answer to a login (RFC 8308, section 2.4). So
    /// without one yet, a request is sent, which is faster than the second that russh waits.
    async fn learn_announced(&mut self) -> Result<Tried, ConnectErrorKind> {
        let mut announced = self.announced_by_now().await?;
        if announced.is_none() && self.offered.is_none() {
            if let Tried::Done = self.none().await? {
                return Ok(Tried::Done);
            }
            announced = self.announced_by_now().await?;
        }
        self.announced = Some(announced);
        Ok(Tried::Refused)
    }

    async fn announced_by_now(&self) -> Result<keys::Announced, ConnectErrorKind> {
        match tokio::time::timeout(BY_NOW, self.handle.best_supported_rsa_hash()).await {
            Ok(announced) => announced.map_err(|_| self.lost()),
            Err(_) => Ok(None),
        }
    }

    /// Skips a key that can't sign, unless the user cancelled or the connection has ended.
    fn sign_failed(&mut self, what: &str, error: keys::SignError) -> Result<(), ConnectErrorKind> {
        match error {
            keys::SignError::Gone(_) => Err(self.lost()),
            keys::SignError::Prompt(error @ PromptError::Cancelled { .. }) => Err(error.into()),
            error => {
                self.tried.push(format!("{what} ({error})"));
                Ok(())
            }
        }
    }

    fn takes(&self, kind: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|offered| offered.contains(&kind))
    }

    async fn password(&mut self, pass: Pass) -> Result<Tried, ConnectErrorKind> {
        for _ in 0..self.tries(pass) {
            let password = match self.given.take() {
                Some(password) => password,
                None => match self.ask_password().await? {
                    Some(password) => password,
                    None => return Ok(Tried::Refused),
                },
            };
            let sending = self.handle.authenticate_password(self.user.clone(), password.expose());
            // russh doesn't report a request for a new password.
            let limit = self.target.timeouts.auth;
            let unanswered = |Expired| ConnectErrorKind::PasswordUnanswered { after: limit.unwrap_or_default() };
            let answer = self.clock.limit(limit, sending).await.map_err(unanswered)?.map_err(|_| self.lost())?;
            match self.note("password", answer)? {
                Tried::Refused if self.takes(MethodKind::Password) => {}
                step => return Ok(step),
            }
        }
        Ok(Tried::Refused)
    }

    async fn ask_password(&mut self) -> Result<Option<Secret>, ConnectErrorKind> {
        let message = format!("Login password for {}@{}", self.user, self.target.host_string.host());
        self.ask("password", PromptKind::Password { user: self.user.clone() }, message).await
    }

    /// Prompts the user; `None`, with a note, if prompts are refused.
    async fn ask(
        &mut self,
        method: &str,
        kind: PromptKind,
        message: String,
    ) -> Result<Option<Secret>, ConnectErrorKind> {
        let host = Some(self.target.host_string.as_str().to_owned());
        let question = self.context.prompter.ask(PromptRequest::new(kind, message).host(host));
        match self.clock.while_asking(question).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ PromptError::Cancelled { .. }) => Err(error.into()),
            Err(error) => {
                self.tried.push(format!("{method} ({error})"));
                Ok(None)
            }
        }
    }

    async fn keyboard_interactive(&mut self, pass: Pass) -> Result<Tried, ConnectErrorKind> {
        for _ in 0..self.tries(pass).max(1) {
            let starting = self.handle.authenticate_keyboard_interactive_start(self.user.clone(), None);
            let mut answer = answered(&self.clock, self.target, starting).await?.map_err(|_| self.lost())?;
            let mut given_up = false;
            let mut asked = false;
            let step = loop {
                match answer {
                    KeyboardInteractiveAuthResponse::Success => return Ok(Tried::Done),
                    KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                        let answer = AuthResult::Failure { remaining_methods, partial_success };
                        break self.note("keyboard-interactive", answer)?;
                    }
                    KeyboardInteractiveAuthResponse::InfoRequest { name, instructions, prompts } => {
                        self.questions += 1;
                        if self.questions > MOST_QUESTIONS {
                            let what = format!("keyboard-interactive (it asked more than {MOST_QUESTIONS} times)");
                            self.tried.push(what);
                            return Err(self.failed());
                        }
                        asked |= !prompts.is_empty();
                        let answers =
                            if given_up { None } else { self.respond(&name, &instructions, &prompts).await? };
                        // Without an answer the server would wait, and no other method could be tried.
                        given_up = answers.is_none();
                        let answers = answers.unwrap_or_else(|| vec![String::new(); prompts.len()]);
                        let sending = self.handle.authenticate_keyboard_interactive_respond(answers);
                        answer = answered(&self.clock, self.target, sending).await?.map_err(|_| self.lost())?;
                    }
                }
            };
            match step {
                // Without a prompt another attempt can't differ.
                Tried::Refused if self.takes(MethodKind::KeyboardInteractive) && !given_up && asked => {}
                step => return Ok(step),
            }
        }
        Ok(Tried::Refused)
    }

    /// Answers the server's prompts: the known password answers a single hidden one, the user the others.
    async fn respond(
        &mut self,
        name: &str,
        instructions: &str,
        prompts: &[Prompt],
    ) -> Result<Option<Vec<String>>, ConnectErrorKind> {
        let is_password = |prompt: &Prompt| !prompt.echo && prompt.prompt.to_lowercase().contains("password");
        let expired = asks_for_another_password(instructions, prompts);
        if let [prompt] = prompts
            && is_password(prompt)
            && !expired
        {
            let answer = match self.given.take() {
                Some(password) => Some(password),
                None => self.ask_password().await?,
            };
            return Ok(answer.map(|answer| vec![answer.expose().to_owned()]));
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let what_is_wrong = if expired {
                format!("The password of {}@{} has expired:", self.user, self.target.host_string.host())
            } else {
                String::new()
            };
            let parts = [what_is_wrong.as_str(), name, instructions, prompt.prompt.as_str()];
            let parts: Vec<&str> = parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
            let kind = PromptKind::Challenge { echo: prompt.echo };
            let method = if expired {
                "keyboard-interactive: the password has expired, and the server asks for a new one"
            } else {
                "keyboard-interactive"
            };
            let Some(answer) = self.ask(method, kind, parts.join("\n")).await? else {
                return Ok(None);
            };
            answers.push(answer.expose().to_owned());
        }
        Ok(Some(answers))
    }

    /// How often a method of this pass is tried: a given password doesn't count as one of the user's attempts.
    fn tries(&self, pass: Pass) -> u32 {
        match pass {
            Pass::Given => 1,
            Pass::Rest => self.target.auth.password_prompts,
        }
    }

    pub(super) fn lost(&self) -> ConnectErrorKind {
        let reason = self.shared.reason().to_string();
        ConnectErrorKind::Dropped { phase: Phase::Auth, reason, penalised: false }
    }
}

/// Whether a server has disconnected because of too many attempts: some have a code for that, OpenSSH reports an error in
/// the protocol with this message.
fn is_out_of_tries(goodbye: &RemoteDisconnectInfo) -> bool {
    matches!(goodbye.reason_code, Disconnect::NoMoreAuthMethodsAvailable)
        || goodbye.message.starts_with("Too many authentication failures")
}

/// Whether a server asks to change an expired password (PAM's words).
fn asks_for_another_password(instructions: &str, prompts: &[Prompt]) -> bool {
    let asked = prompts.iter().map(|prompt| prompt.prompt.as_str());
    let text = std::iter::once(instructions).chain(asked).collect::<Vec<_>>().join("\n").to_lowercase();
    let words = ["new password", "new unix password", "current password", "(current) unix password", "old password"];
    words.iter().any(|words| text.contains(words)) || text.contains("password") && text.contains("expired")
}
