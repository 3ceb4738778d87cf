//! ssh_config as a layer: which files are read, their values as settings, and what else a target needs from
//! them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_core::settings::{Layer, Origin, Problem, Problems, Value};
use fabric_core::{HostString, Settings};
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde_json::json;

use crate::environment::Environment;
use crate::ladder::Merged;
use crate::ssh_config::{
    self, Directive, Fault, ForwardAgent, Hop, Local, Lookup, Resolved, SshConfig, SshConfigError,
    StrictHostKeyChecking, SystemResolver,
};
use crate::values::{Entry, LayerValues};

/// What ssh_config says about one host.
#[derive(Debug)]
pub(crate) struct SshHost {
    pub(crate) resolved: Resolved,
    /// Only what a line sets; OpenSSH's defaults are not ours.
    pub(crate) layer: LayerValues,
    /// The key files that lines name.
    pub(crate) identity_files: Vec<String>,
    /// Warnings for users of this host.
    pub(crate) warnings: Vec<String>,
}

/// The ssh_config files, read when they are first needed, and the answers they gave.
#[derive(Debug)]
pub(crate) struct SshFiles {
    local: Arc<Local>,
    given: SshSource,
    read: Mutex<HashMap<Option<PathBuf>, Result<SshConfig, Problems>>>,
    answers: Mutex<HashMap<Question, Arc<SshHost>>>,
    /// The lines without effect that were logged.
    logged: Mutex<HashSet<(Directive, String)>>,
}

/// Where ssh_config comes from, unless a setting names a file.
#[derive(Debug, Clone, Default)]
pub(crate) enum SshSource {
    /// None.
    #[default]
    None,
    /// The user's and the system's file.
    Usual,
    /// It was passed in.
    Given(SshConfig),
}

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    source: Asked,
    host: String,
    user: Option<String>,
    port: Option<u16>,
    /// The setting `hostname`.
    hostname: Option<String>,
    /// The setting `ssh_options`.
    options: Vec<String>,
}

/// Which files are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Asked {
    /// None: there are options alone.
    Nothing,
    Usual,
    File(PathBuf),
}

/// A list of algorithms as ssh_config has it.
type NameList = fn(&Resolved) -> Vec<&str>;

/// What `Match command` sees: a connection is for any commands, which aren't known yet. Only patterns such as `*` match.
const COMMAND: &str = "fab";

/// How many answers are kept.
const MOST_ANSWERS: usize = 1 << 16;

impl Question {
    /// What to ask about a host: as this user and on this port, where they are decided, and of this file, where one is named.
    pub(crate) fn new(
        host: &HostString,
        settings: &Settings,
        user: Option<&str>,
        port: Option<u16>,
        file: Option<PathBuf>,
    ) -> Self {
        let source = match file {
            _ if !settings.use_ssh_config => Asked::Nothing,
            Some(file) => Asked::File(file),
            None => Asked::Usual,
        };
        Self {
            source,
            host: host.host().to_owned(),
            user: user.map(str::to_owned),
            port,
            hostname: settings.hostname.clone(),
            options: settings.ssh_options.clone(),
        }
    }
}

impl SshFiles {
    pub(crate) fn new(environment: &Environment, given: SshSource) -> Self {
        let local = Local {
            user: environment.user.clone().unwrap_or_default(),
            home: environment.home.as_ref().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default(),
            uid: environment.uid,
            hostname: environment.hostname.clone(),
            env: environment.variables.clone().into_iter().collect(),
        };
        let local = Arc::new(local);
        Self { local, given, read: Mutex::default(), answers: Mutex::default(), logged: Mutex::default() }
    }

    /// The configuration to ask: the file that a setting names, else where it comes from here.
    fn config(&self, file: Option<&Path>) -> Result<SshConfig, Problems> {
        let mut read = self.read.lock();
        if let Some(known) = read.get(&file.map(Path::to_owned)) {
            return known.clone();
        }
        let sources = match (file, &self.given) {
            (Some(file), _) => ssh_config::SshConfigFiles::explicit(file),
            (None, SshSource::Given(config)) => return Ok(config.clone()),
            (None, SshSource::Usual) => ssh_config::SshConfigFiles::usual(&self.local),
            (None, SshSource::None) => ssh_config::SshConfigFiles::default(),
        };
        let config = SshConfig::load(&sources, &self.local).map_err(problems);
        read.insert(file.map(Path::to_owned), config.clone());
        config
    }

    /// What they say about a host, in the words of settings.
    pub(crate) fn ask(&self, question: Question) -> Result<Arc<SshHost>, Problems> {
        let answers = || self.answers.lock();
        if let Some(known) = answers().get(&question) {
            return Ok(Arc::clone(known));
        }
        let answer = Arc::new(SshHost::new(self.resolve(&question)?, &question.options)?);
        self.log_unused(&answer.resolved);
        let mut answers = answers();
        if answers.len() >= MOST_ANSWERS {
            answers.clear();
        }
        answers.insert(question, Arc::clone(&answer));
        Ok(answer)
    }

    /// Logs once for each line that it has no effect.
    fn log_unused(&self, resolved: &Resolved) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let mut logged = self.logged.lock();
        for (directive, origin) in resolved.unused() {
            let what = match directive {
                Directive::LocalForward | Directive::RemoteForward | Directive::DynamicForward => {
                    "is not opened, as with scp and sftp"
                }
                _ => "has no effect here",
            };
            if logged.insert((directive, origin.to_string())) {
                tracing::info!("ssh_config: {} {what} ({origin})", directive.name());
            }
        }
    }

    /// What they say about a host, as `ssh` has it.
    pub(crate) fn resolve(&self, question: &Question) -> Result<Resolved, Problems> {
        let config = match &question.source {
            Asked::Nothing => SshConfig::default(),
            Asked::Usual => self.config(None)?,
            Asked::File(file) => self.config(Some(file))?,
        };
        self.lookup(&config, question)
    }

    fn lookup(&self, config: &SshConfig, question: &Question) -> Result<Resolved, Problems> {
        let mut lookup = Lookup::new(&question.host, &self.local).resolver(&SystemResolver).command(COMMAND);
        if let Some(user) = &question.user {
            lookup = lookup.user(user);
        }
        if let Some(port) = question.port {
            lookup = lookup.port(port);
        }
        // An address is not a template.
        let hostname = question.hostname.as_ref().map(|name| format!("HostName={}", name.replace('%', "%%")));
        for line in hostname.iter().chain(&question.options) {
            lookup = lookup.option(line);
        }
        match config.resolve(&lookup) {
            // `ssh` gives up here; a gateway that needs itself is dialled directly (Fabric 3).
            Err(SshConfigError::Unusable { fault: Fault::JumpLoop { .. }, .. }) => {
                config.resolve(&lookup.option("ProxyJump=none"))
            }
            answer => answer,
        }
        .map_err(problems)
    }
}

impl SshHost {
    fn new(resolved: Resolved, options: &[String]) -> Result<Self, Problems> {
        let identity_files = if resolved.names_identity_files() {
            resolved.identity_files().map_err(|fault| Problem::new(format!("IdentityFile: {fault}")))?
        } else {
            Vec::new()
        };
        let identity_files = identity_files.into_iter().map(|file| file.value).collect::<Vec<_>>();
        let mut values = IndexMap::new();
        let mut say = |directive: Directive, name: &str, value: Value| {
            // A user, port or host name that was decided before does not come from ssh_config.
            let by_option = || is_among(options, directive).then(of_options);
            if let Some(origin) = origin(&resolved.origin(directive)).or_else(by_option) {
                values.insert(name.to_owned(), Entry { value, origin });
            }
        };
        let seconds = |duration: Option<std::time::Duration>| json!(duration.map_or(0, |duration| duration.as_secs()));
        say(Directive::HostName, "host", json!(resolved.hostname()));
        say(Directive::User, "user", json!(resolved.user()));
        say(Directive::Port, "port", json!(resolved.port()));
        say(Directive::IdentityFile, "key_filename", json!(identity_files));
        say(Directive::ForwardAgent, "forward_agent", json!(resolved.forward_agent() != ForwardAgent::No));
        say(Directive::ConnectTimeout, "timeout", seconds(resolved.connect_timeout()));
        say(Directive::ConnectionAttempts, "connection_attempts", json!(resolved.connection_attempts()));
        say(Directive::ServerAliveInterval, "keepalive", seconds(resolved.server_alive_interval()));
        say(Directive::Compression, "compression", json!(resolved.compression()));
        say(Directive::GssapiAuthentication, "gss_auth", json!(resolved.gssapi_authentication()));
        say(Directive::GssapiDelegateCredentials, "gss_deleg", json!(resolved.gssapi_delegate_credentials()));
        say(Directive::GssapiKeyExchange, "gss_kex", json!(resolved.gssapi_key_exchange()));
        let check = resolved.strict_host_key_checking();
        say(Directive::StrictHostKeyChecking, "reject_unknown_hosts", json!(check == StrictHostKeyChecking::Yes));
        for (directive, name, list) in [
            (Directive::KexAlgorithms, "kex_algorithms", Resolved::kex_algorithms as NameList),
            (Directive::Ciphers, "ciphers", Resolved::ciphers),
            (Directive::Macs, "macs", Resolved::macs),
            (Directive::HostKeyAlgorithms, "host_key_algorithms", Resolved::host_key_algorithms),
        ] {
            if resolved.names(directive) {
                if resolved.left_no_algorithm(directive) {
                    let problem = Problem::new(format!("{}: no algorithm is left", directive.name()));
                    return Err(problem.at(origin(&resolved.origin(directive)).unwrap_or_else(of_options)).into());
                }
                say(directive, name, json!(list(&resolved)));
            }
        }
        let hops: Vec<String> = resolved.proxy_jump().iter().map(hop_text).collect();
        if !hops.is_empty() {
            say(Directive::ProxyJump, "gateway", json!(hops.join(",")));
        } else if let Some(command) = resolved.proxy_command() {
            say(Directive::ProxyCommand, "gateway", json!(command));
        }
        let layer = LayerValues { layer: Layer::SshConfig, values };
        let unknown = resolved.unknown_algorithms().map(|(directive, names)| {
            let (keyword, names) = (directive.name(), names.join(", "));
            format!("ssh_config: {keyword}: not known here, and left out: {names} ({})", resolved.origin(directive))
        });
        let warnings = unknown.collect();
        Ok(Self { resolved, layer, identity_files, warnings })
    }

    /// Adds the values of ssh_config, below those of other layers.
    pub(crate) fn apply(&self, settings: &mut Settings, merged: &Merged) {
        for (name, entry) in &self.layer.values {
            let said = merged.says(name);
            match name.as_str() {
                "key_filename" => settings.key_filename.extend(self.identity_files.iter().cloned()),
                "forward_agent" => settings.forward_agent |= entry.value == json!(true),
                "reject_unknown_hosts" if host_keys_are_settled(merged) => {}
                "host" if settings.hostname.is_some() => {}
                _ if said => {}
                // A value of its own type: it fits.
                _ => drop(settings.set(name, &entry.value)),
            }
        }
    }
}

/// Whether a layer above ssh_config decides about unknown host keys.
pub(crate) fn host_keys_are_settled(merged: &Merged) -> bool {
    merged.says("reject_unknown_hosts") || merged.says("disable_known_hosts")
}

/// A hop as a host string.
pub(crate) fn hop_text(hop: &Hop) -> String {
    let user = hop.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let host = if hop.host.contains(':') { format!("[{}]", hop.host) } else { hop.host.clone() };
    let port = hop.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{host}{port}")
}

fn origin(origin: &ssh_config::LineOrigin) -> Option<Origin> {
    match origin {
        ssh_config::LineOrigin::File { path, line } => {
            Some(Origin::file(Layer::SshConfig, path.to_path_buf(), Some(*line as usize)))
        }
        ssh_config::LineOrigin::Default | ssh_config::LineOrigin::CommandLine => None,
    }
}

/// The origin of the lines of the setting `ssh_options`.
fn of_options() -> Origin {
    Origin::place(Layer::SshConfig, "ssh_options")
}

/// Whether one of the lines has this directive.
fn is_among(options: &[String], directive: Directive) -> bool {
    options.iter().any(|line| {
        let name = line.trim_start().split(|c: char| c == '=' || c.is_whitespace()).next().unwrap_or_default();
        Directive::named(name) == Some(directive)
    })
}

fn problems(error: SshConfigError) -> Problems {
    match error {
        SshConfigError::Bad(list) => Problems(
            list.into_iter()
                .map(|bad| {
                    let problem = Problem::new(format!("{}: `{}`", bad.fault, bad.text))
                        .at(origin(&bad.origin).unwrap_or_else(of_options));
                    match &bad.fault {
                        Fault::UnknownDirective { keyword, .. } => {
                            problem.hint(format!("a line `IgnoreUnknown {keyword}` before it lets it pass"))
                        }
                        _ => problem,
                    }
                })
                .collect(),
        ),
        other => Problem::new(other.to_string()).into(),
    }
}
