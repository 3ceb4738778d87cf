//! Starting the process of a command request.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fabric_core::event::{EventKind, Verb};
use fabric_core::{CommandOutcome, Error, Process, Session};
use tokio_util::sync::CancellationToken;

use super::drive::Drive;
use super::dry;
use super::options::Hide;
use super::prepare::prepare;
use super::request::CommandRequest;
use super::running::{self, Running};
use super::stdin::Stdin;
use super::watch::Responder;
use crate::local::LocalSession;

/// How long a stopped command has to end after TERM, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

impl CommandRequest {
    /// Starts the command in the background and returns a handle on it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let connection = fabric_transport::Connection::builder("local://localhost").build()?;
    /// use fabric_transport::connection::Stdin;
    /// use tokio::io::AsyncWriteExt as _;
    ///
    /// let mut running = connection.run("cat").stdin(Stdin::Handle).start().await?;
    /// let mut stdin = running.take_stdin().expect("asked for");
    /// stdin.write_all(b"to be\n").await?;
    /// drop(stdin);
    /// assert_eq!(running.wait().await?.stdout(), "to be\n");
    /// # Ok(()) }
    /// ```
    pub async fn start(mut self) -> Result<Running, Error> {
        let stdin = matches!(self.options.stdin, Stdin::Handle).then(|| {
            let (ours, theirs) = tokio::io::duplex(running::PIPE);
            self.options.stdin = Stdin::reader(theirs);
            ours
        });
        let stop = CancellationToken::new();
        let (process, drive) = self.open(stop.clone()).await?;
        Ok(Running::new(process, drive, stop, stdin))
    }

    /// Starts the command and detaches from it: its output is neither shown nor captured, and errors are not reported.
    ///
    /// It is not stopped by an interrupt, by [`Connection::close`](super::Connection::close), or by the end of this
    /// program, as in Fabric 3. Its input and output still go over the connection. Once that has gone, a write ends most
    /// programs (SIGPIPE): use `>/dev/null 2>&1 </dev/null`. Closing a terminal ends its processes (SIGHUP), and the
    /// transport of a plugin may end all that it has started.
    pub async fn disown(mut self) -> Result<(), Error> {
        self.options.hide = Hide::Both;
        self.options.capture_limit = Some(Some(0));
        self.options.warn = Some(true);
        self.options.timeout = Some(None);
        let (process, drive) = self.open(CancellationToken::new()).await?;
        tokio::spawn(drive.disown().run(process));
        Ok(())
    }

    async fn execute(self) -> Result<CommandOutcome, Error> {
        let (process, drive) = self.open(CancellationToken::new()).await?;
        drive.run(process).await
    }

    /// Starts the process, or in a dry run one that does nothing. Every command comes through here.
    async fn open(mut self, stop: CancellationToken) -> Result<(Process, Drive), Error> {
        let mut prepared = prepare(&self)?;
        let outcome = &prepared.outcome;
        let emitter = self.connection.emitter.for_host(outcome.host.as_str());
        let began = Instant::now();
        if self.options.dry {
            let what = if self.options.login_shell { "a login shell" } else { &outcome.command };
            emitter.plan(self.verb.to_string(), what);
            let process = dry::process(outcome.ok_codes.first().copied().unwrap_or(0));
            prepared.sudo = None;
            (self.options.silent, self.options.stdin) = (true, Stdin::None);
            return Ok((process, Drive::new(self, prepared, None, emitter, stop, began)));
        }
        for (prompt, answer) in &self.connection.settings.prompts {
            self.options.watchers.push(Arc::new(Responder::literal(prompt, Bytes::from(format!("{answer}\n")))?));
        }
        let session = match self.verb {
            Verb::Local => Arc::new(LocalSession::here().clear_env(self.options.replace_env)) as Arc<dyn Session>,
            Verb::Run | Verb::Sudo => self.connection.with_dry(false).session().await?,
        };
        if !self.options.silent {
            emitter.emit(EventKind::command_started(self.verb, outcome.command.clone()));
        }
        let began = Instant::now();
        let spawn = std::mem::take(&mut prepared.spawn);
        let grace = self.options.grace.unwrap_or(GRACE);
        let shared = &self.connection.shared;
        let started = shared.commands.start(shared.clone(), session, spawn, grace).await;
        let (process, started) =
            started.map_err(|error| Error::Session { host: prepared.outcome.host.clone(), error })?;
        Ok((process, Drive::new(self, prepared, Some(started), emitter, stop, began)))
    }
}

impl IntoFuture for CommandRequest {
    type Output = Result<CommandOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.execute())
    }
}
