//! A loaded plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fabric_core::settings::nearest;
use fabric_core::{ConnectError, ConnectErrorKind, Phase, Target};
use fabric_plugin_sdk::{Description, Options};

use super::child::Child;
use super::introduction::{Introduction, PluginLoadError};
use super::library::{self, Library};

/// A loaded plugin. Cloning is cheap; the library stays loaded until the program ends.
#[derive(Clone, Debug)]
pub struct Plugin(pub(super) Arc<Loaded>);

#[derive(Debug)]
pub(super) struct Loaded {
    file: PathBuf,
    introduction: Introduction,
    pub(super) backend: Backend,
}

/// Where a plugin's code runs.
#[derive(Debug)]
pub(super) enum Backend {
    Library(Arc<Library>),
    Child(Arc<Child>),
}

impl Plugin {
    /// Loads a plugin, after checking that no other user can have written it.
    ///
    /// A file is loaded once: a second call returns the same plugin.
    ///
    /// # Errors
    ///
    /// A file that other users may write (or whose directory, or that of a link to it, they may write, unless it is
    /// sticky); a file that is no library, of another architecture, or truncated; a library without the entry symbol,
    /// with another ABI version, a table that is too small, an invalid description, or none within five seconds.
    pub fn load(file: &Path) -> Result<Self, PluginLoadError> {
        let library = library::load(file)?;
        Ok(Self::new(library.file.clone(), library.introduction.clone(), Backend::Library(library)))
    }

    /// Loads a plugin in a child process: `program` with the file as its last argument, which must call
    /// [`host`](super::host). A crash of the child is an error of the hosts that used it; the next call starts a new
    /// child.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::load`], and a child that can't be started.
    pub fn load_isolated(file: &Path, program: &[String]) -> Result<Self, PluginLoadError> {
        let (child, introduction) = Child::start(program, file)?;
        Ok(Self::new(file.to_owned(), introduction, Backend::Child(Arc::new(child))))
    }

    fn new(file: PathBuf, introduction: Introduction, backend: Backend) -> Self {
        Self(Arc::new(Loaded { file, introduction: introduction.harmless(), backend }))
    }

    /// The scheme or transport name that it implements.
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

    /// Its description, with its options.
    pub fn description(&self) -> &Description {
        &self.0.introduction.description
    }

    /// An error of a host, with the plugin's file before the reason.
    pub(super) fn error(&self, target: &Target, phase: Phase, reason: String) -> ConnectError {
        let plugin = self.file().display().to_string();
        ConnectError::new(target.host_string.as_str(), phase, ConnectErrorKind::Plugin { plugin, reason })
    }

    /// Checks the user's options against the description, before the plugin gets them.
    fn check_options(&self, options: &Options) -> Result<(), String> {
        let known = &self.description().options;
        for (name, value) in options {
            let Some(spec) = known.get(name) else {
                let hint = match nearest(name, known.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "it has no options".to_owned(),
                    None => format!("it takes {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
                };
                return Err(format!("unknown option `{name}`: {hint}"));
            };
            if !spec.kind.fits(value) {
                // Without the value, which may be a secret.
                return Err(format!("option `{name}` is {}, expected {}: {}", type_of(value), spec.kind, spec.doc));
            }
        }
        match known.iter().find(|(name, spec)| spec.required && !options.contains_key(*name)) {
            Some((name, spec)) => Err(format!("option `{name}` is missing: {}", spec.doc)),
            None => Ok(()),
        }
    }

    /// The user's options for this plugin: those under its name.
    pub(super) fn options(&self, target: &Target) -> Result<Options, String> {
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

/// The time limit of a call without a setting for it.
pub(super) const NO_LIMIT: Duration = Duration::from_hours(1);

/// The time limit for opening a session: the time for connecting and the banner together.
pub(super) fn limit(target: &Target) -> Duration {
    let timeouts = &target.timeouts;
    timeouts.connect.map_or(NO_LIMIT, |connect| connect.saturating_add(timeouts.key_exchange()).min(NO_LIMIT))
}
