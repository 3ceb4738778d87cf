//! Gateways and transports that are loaded at run time (feature `plugins`).
//!
//! [`Plugin::load`] takes a shared library that speaks the ABI of `fabric-plugin-sdk`; [`find`] looks for
//! them where the user keeps them. A loaded plugin joins a run as a gateway or as a transport:
//!
//! ```no_run
//! use fabric_transport::connector::Connector;
//! use fabric_transport::plugin::Plugin;
//!
//! let socks5 = Plugin::load("/usr/lib/fabric/plugins/libsocks5.so".as_ref())?;
//! println!("{} {}: {}", socks5.name(), socks5.version(), socks5.description().summary);
//! let connector = socks5.register(Connector::new());
//! # Ok::<(), fabric_transport::plugin::PluginLoadError>(())
//! ```
//!
//! # What a broken plugin can do
//!
//! A panic, an error, nonsense in an answer, a bad descriptor: an error of the host that was being
//! reached. A call that hangs: the same, once its time is up; the thread it hangs on is left behind, and the
//! end of the program does not wait for it. A library is never unloaded, as its threads may still be in it.
//! A segmentation fault ends the program, unless the plugin was loaded by [`Plugin::load_isolated`]: then it
//! ends a child process, and is an error of the hosts that the child was serving.

mod call;
mod child;
#[cfg(not(target_vendor = "apple"))]
mod elf;
mod gateway;
mod library;
mod search;
mod session;
mod stream;
mod wire;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_core::settings::nearest;
use fabric_plugin_sdk::{Description, OptionSpec, Options, PluginKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::connector::Connector;

pub use search::{Found, OnDemand, find, find_by};

/// A loaded plugin. Cloning is cheap; the library stays loaded to the end of the program.
#[derive(Clone, Debug)]
pub struct Plugin(Arc<Loaded>);

#[derive(Debug)]
struct Loaded {
    file: PathBuf,
    introduction: Introduction,
    backend: Backend,
}

/// What a plugin says it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Introduction {
    name: String,
    version: String,
    abi: u32,
    description: Description,
}

impl Introduction {
    /// The same for people to read. What it serves and takes is found by the same texts.
    fn harmless(mut self) -> Self {
        self.version = harmless(&self.version);
        let about = &mut self.description;
        about.summary = harmless(&about.summary);
        let options = std::mem::take(&mut about.options).into_iter();
        about.options = options
            .map(|(name, option)| (harmless(&name), OptionSpec { doc: harmless(&option.doc), ..option }))
            .collect();
        self
    }
}

/// A text from a plugin, or from its peer, in which nothing speaks to a terminal: control characters
/// and changes of direction are U+FFFD, and white space is a blank.
fn harmless(text: &str) -> String {
    let direction = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() || direction(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.trim().chars().map(replaced).collect()
}

/// Where a plugin's code runs.
#[derive(Debug)]
enum Backend {
    Library(Arc<library::Library>),
    Child(Arc<child::Child>),
}

/// Why a file is not taken as a plugin.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("plugin {file}: {reason}")]
pub struct PluginLoadError {
    /// The file.
    pub file: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl PluginLoadError {
    fn new(file: &Path, reason: &str) -> Self {
        Self { file: file.display().to_string(), reason: harmless(reason) }
    }
}

impl Plugin {
    /// Loads a plugin, after checking that no other user can have put it there.
    ///
    /// The same file is loaded once: a second call gives the first's plugin.
    ///
    /// # Errors
    ///
    /// A file that others may write (or whose directory, or that of a link to it, they may write, unless it is
    /// sticky), one that is no library, of another architecture or cut off, one that lacks the entry symbol, another
    /// ABI version, a table too small, a description that makes no sense, or none within five seconds.
    pub fn load(file: &Path) -> Result<Self, PluginLoadError> {
        let library = library::load(file)?;
        Ok(Self::new(library.file.clone(), library.introduction.clone(), Backend::Library(library)))
    }

    /// Loads a plugin in a child process: `program` with the file as its last argument, which must call
    /// [`host`]. A crash there is an error of the hosts it served; the next call starts a new child.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::load`], and a child that cannot be started.
    pub fn load_isolated(file: &Path, program: &[String]) -> Result<Self, PluginLoadError> {
        let (child, introduction) = child::Child::start(program, file)?;
        Ok(Self::new(file.to_owned(), introduction, Backend::Child(Arc::new(child))))
    }

    fn new(file: PathBuf, introduction: Introduction, backend: Backend) -> Self {
        Self(Arc::new(Loaded { file, introduction: introduction.harmless(), backend }))
    }

    /// The scheme or transport name that it serves.
    pub fn name(&self) -> &str {
        &self.0.introduction.name
    }

    /// Its own version.
    pub fn version(&self) -> &str {
        &self.0.introduction.version
    }

    /// The ABI version it was built for: `1.0`.
    pub fn abi(&self) -> String {
        let abi = self.0.introduction.abi;
        format!("{}.{}", abi >> 16, abi & 0xffff)
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// What it is, and which options it takes.
    pub fn description(&self) -> &Description {
        &self.0.introduction.description
    }

    /// Makes it known to a connector, as what it is.
    #[must_use]
    pub fn register(&self, connector: Connector) -> Connector {
        match self.description().kind {
            PluginKind::Gateway => connector.with_gateway(self.name(), gateway::PluginGateway::new(self.clone())),
            PluginKind::Transport => connector.with_transport(session::PluginTransport::new(self.clone())),
        }
    }

    /// Checks the user's options against the description, before the plugin sees them.
    fn check_options(&self, options: &Options) -> Result<(), String> {
        let known = &self.description().options;
        for (name, value) in options {
            let Some(spec) = known.get(name) else {
                let hint = match nearest(name, known.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "it takes none".to_owned(),
                    None => format!("it takes {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
                };
                return Err(format!("unknown option `{name}`: {hint}"));
            };
            if !spec.kind.fits(value) {
                // Not the value itself, which may be a secret.
                return Err(format!("option `{name}` is {}, expected {}: {}", type_of(value), spec.kind, spec.doc));
            }
        }
        match known.iter().find(|(name, spec)| spec.required && !options.contains_key(*name)) {
            Some((name, spec)) => Err(format!("option `{name}` is missing: {}", spec.doc)),
            None => Ok(()),
        }
    }

    /// The user's options for this plugin: those under its name.
    fn options(&self, target: &fabric_core::Target) -> Result<Options, String> {
        let options = match target.options.get(self.name()) {
            None => Options::new(),
            Some(serde_json::Value::Object(options)) => options.clone(),
            Some(other) => return Err(format!("its options are {}, expected a table", type_of(other))),
        };
        self.check_options(&options)?;
        Ok(options)
    }
}

fn type_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a text",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a table",
    }
}

/// How long a call may take where no setting limits it.
const NO_LIMIT: std::time::Duration = std::time::Duration::from_hours(1);

/// How long opening a session may take: as long as connecting and greeting would.
fn limit(target: &fabric_core::Target) -> std::time::Duration {
    let timeouts = &target.timeouts;
    timeouts.connect.map_or(NO_LIMIT, |connect| connect.saturating_add(timeouts.key_exchange()).min(NO_LIMIT))
}

/// The whole life of a child that hosts a plugin for [`Plugin::load_isolated`]: `socket` is its standard
/// input. Returns when the program at the other end has gone.
pub fn host(file: &Path, socket: UnixStream) {
    child::host(file, socket);
}
