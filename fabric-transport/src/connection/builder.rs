//! Building a connection.

use std::sync::Arc;

use fabric_core::settings::{Layer, Map, Origin, Overlay, Problem};
use fabric_core::{ConnectError, Emitter, Error, HostString, Phase, Prompter, Resolve, Settings, Target};
use tokio_util::sync::CancellationToken;

use super::handle::{Connection, ConnectionState};
use super::options::Manner;
use super::slot::SessionSlot;
use super::terminal::Terminal;
use crate::connector::Connector;

/// Builds a [`Connection`]. Only the host is required.
#[must_use = "a builder does nothing until it is built"]
pub struct ConnectionBuilder {
    host: String,
    user: Option<String>,
    port: Option<u16>,
    target: Option<Arc<Target>>,
    settings: Option<Arc<Settings>>,
    resolver: Option<Box<dyn Resolve>>,
    connector: Option<Connector>,
    prompter: Option<Arc<dyn Prompter>>,
    emitter: Emitter,
    interrupt: CancellationToken,
    terminal: Option<Terminal>,
}

impl Connection {
    /// A connection to a complete target, such as one from a resolver.
    pub fn to(target: impl Into<Arc<Target>>) -> ConnectionBuilder {
        ConnectionBuilder::to(target.into())
    }

    /// A connection to `[user@]host[:port]`. Give it a [`resolver`](ConnectionBuilder::resolver) to find keys, agent,
    /// ssh_config and known_hosts.
    pub fn builder(host: impl Into<String>) -> ConnectionBuilder {
        ConnectionBuilder::new(host.into())
    }
}

impl ConnectionBuilder {
    pub(super) fn to(target: Arc<Target>) -> Self {
        let host = target.host_string.as_str().to_owned();
        Self { target: Some(target), ..Self::new(host) }
    }

    pub(super) fn new(host: String) -> Self {
        Self {
            host,
            user: None,
            port: None,
            target: None,
            settings: None,
            resolver: None,
            connector: None,
            prompter: None,
            emitter: Emitter::none(),
            interrupt: CancellationToken::new(),
            terminal: None,
        }
    }

    /// The login user. An error if the host string has one too, even the same (Fabric 3).
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The port. An error if the host string has one too.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The settings in force. Default: the resolver's for this host.
    pub fn settings(mut self, settings: impl Into<Arc<Settings>>) -> Self {
        self.settings = Some(settings.into());
        self
    }

    /// Resolves the host string to settings and a target. With `fabric_config::Config::load()?` a connection behaves as
    /// `ssh`: it reads ssh_config and finds the user's keys, agent and known_hosts. Default: the settings alone, without
    /// files, keys, agent and known_hosts.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Box::new(resolver));
        self
    }

    /// What opens sessions. Connections with clones of one connector share jump hosts, answers to prompts and the limits of
    /// logins. Default: a new one.
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = Some(connector);
        self
    }

    /// What prompts for a `sudo` password. Default: the connector's.
    pub fn prompter(mut self, prompter: impl Prompter + 'static) -> Self {
        self.prompter = Some(Arc::new(prompter));
        self
    }

    /// Where events go. Default: nowhere.
    pub fn emitter(mut self, emitter: Emitter) -> Self {
        self.emitter = emitter;
        self
    }

    /// Cancelling `token` stops running commands with [`Error::Interrupted`]. Default: none.
    pub fn interrupt(mut self, token: CancellationToken) -> Self {
        self.interrupt = token;
        self
    }

    /// The local terminal: pseudo-terminals have its type and size, and follow its resizing. Default: `xterm`, 80 by 24.
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// Builds the connection, without opening it.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a user or port given twice; [`Error::Connect`] in [`Phase::Resolve`] for an invalid host
    /// string or setting.
    pub fn build(self) -> Result<Connection, Error> {
        let wrong = |reason: String| ConnectError::new(self.host.clone(), Phase::Resolve, Problem::new(reason).into());
        let host = match &self.target {
            Some(target) => target.host_string.clone(),
            None => HostString::parse(&self.host).map_err(|error| wrong(error.to_string()))?,
        };
        for (what, twice) in [
            ("user", self.user.is_some() && host.user().is_some()),
            ("port", self.port.is_some() && host.port().is_some()),
        ] {
            if twice {
                let text = format!("{host}: {what} is given in the host string and as an argument; leave one out");
                return Err(Error::Usage(text));
            }
        }

        let mut values = Map::new();
        values.extend(self.user.as_deref().map(|user| ("user".to_owned(), user.into())));
        values.extend(self.port.map(|port| ("port".to_owned(), port.into())));
        let overlays = [Overlay::new(Origin::place(Layer::Step, "argument"), values)];
        let given = || Box::new(self.settings.clone().unwrap_or_default()) as Box<dyn Resolve>;
        let resolver = self.resolver.unwrap_or_else(given);
        let settings = match &self.settings {
            Some(settings) => settings.clone(),
            None => resolver.settings(Some(&host), &overlays).map_err(|problems| wrong(problems.to_string()))?,
        };
        let target = match self.target {
            Some(mut target) => {
                if self.user.is_some() || self.port.is_some() {
                    let target = Arc::make_mut(&mut target);
                    target.unasked.user &= self.user.is_none();
                    target.unasked.port &= self.port.is_none();
                    target.user = self.user.or(target.user.take());
                    target.port = self.port.unwrap_or(target.port);
                }
                target
            }
            None => Arc::new(resolver.target(&host, &overlays)?),
        };

        let connector = self.connector.unwrap_or_default();
        let prompter = self.prompter.unwrap_or_else(|| connector.asks().clone());
        let emitter = self.emitter.for_host(host.as_str());
        let slot = SessionSlot::default();
        let commands = Arc::default();
        connector.watch_over(&commands);
        let sudo_password = tokio::sync::Mutex::default();
        let shared = ConnectionState { connector, prompter, slot, commands, sudo_password };
        Ok(Connection {
            shared: Arc::new(shared),
            target,
            settings,
            emitter,
            interrupt: self.interrupt,
            terminal: self.terminal,
            manner: Manner::default(),
            destinations: None,
        })
    }
}
