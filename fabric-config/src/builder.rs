//! Every source of a configuration, named one by one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_core::settings::{Kind, Layer, Origin, Problem, Problems, Setting, Value};
use fabric_core_document::Format;
use parking_lot::Mutex;

use crate::config::Config;
use crate::environment::Environment;
use crate::hosts::{Section, Sections};
use crate::sources::{self, SettingsFiles, SourceFile, parse_set};
use crate::ssh_config::SshConfig;
use crate::ssh_layer::SshSource;
use crate::values::{Intake, LayerValues, Unknown};

/// Collects the sources of a [`Config`]. Only sources that are named here are read, and files only by
/// [`ConfigBuilder::build`]. A clone may be built first, for settings that decide about further sources
/// (`fabfile`, `rcfile`): clones share what they have read, so that each file is read once, and may be a pipe.
///
/// ```
/// use fabric_config::{Config, Environment, Format};
/// use fabric_core::settings::Layer;
///
/// let config = Config::builder()
///     .environment(Environment::new("alice", "/home/alice"))
///     .text(Layer::Project, "fabric.toml", Format::Toml, "[timeouts]\ncommand = 60\n")
///     .set("parallel,pool_size=5")
///     .build()?;
/// let settings = config.for_host("web1")?.into_settings();
/// assert_eq!((settings.parallel, settings.pool_size), (true, 5));
/// assert_eq!(settings.command_timeout.unwrap().0, 60.0);
/// # Ok::<(), fabric_core::settings::Problems>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "call `build`"]
pub struct ConfigBuilder {
    environment: Environment,
    sources: SettingsFiles,
    texts: Vec<(SourceFile, Vec<u8>)>,
    given: Vec<Given>,
    sections: Vec<GivenSection>,
    set: Vec<String>,
    ssh: Option<SshConfig>,
    read: FilesRead,
}

/// What has been read of files.
#[derive(Debug, Clone, Default)]
struct FilesRead(Arc<Mutex<HashMap<SourceFile, Intake>>>);

impl FilesRead {
    fn read(&self, file: &SourceFile) -> Intake {
        let mut read = self.0.lock();
        read.entry(file.clone()).or_insert_with(|| sources::read(file)).clone()
    }
}

/// Values that the caller gives, with their origins.
#[derive(Debug, Clone)]
struct Given {
    layer: Layer,
    values: Vec<(String, Value, Origin)>,
}

#[derive(Debug, Clone)]
struct GivenSection {
    pattern: String,
    origin: Origin,
    values: Vec<(String, Value, Origin)>,
}

impl Config {
    /// Starts a configuration whose every source is named.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Reads what the program reads outside a project: the environment of this process, the system's and the
    /// user's files, and ssh_config.
    ///
    /// ```no_run
    /// use fabric_config::Config;
    ///
    /// let config = Config::load()?;
    /// let web1 = config.for_host("deploy@web1")?;
    /// println!("{:?}", web1.settings().user);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All problems of files and variables, at once.
    pub fn load() -> Result<Self, Problems> {
        let environment = Environment::capture();
        let sources = SettingsFiles::standard(&environment);
        Self::builder().sources(sources).environment(environment).build()
    }
}

impl ConfigBuilder {
    /// The process's environment: the user, the home directory, and the `FABRIC_*` variables. Without it
    /// there is no home, no default user and no variable.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The files to read; [`SettingsFiles::standard`] has the user's and the system's ssh_config among them.
    pub fn sources(mut self, sources: SettingsFiles) -> Self {
        self.sources = sources;
        self
    }

    /// `fabric.*` in this directory, the fabfile's, besides the other files.
    pub fn beside(mut self, directory: impl AsRef<Path>) -> Self {
        self.sources = self.sources.beside(directory);
        self
    }

    /// This rc file instead of the user's (`-c`); it must exist.
    pub fn rcfile(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources = self.sources.rcfile(path);
        self
    }

    /// The text of a file that was read already.
    pub fn text(mut self, layer: Layer, name: impl Into<PathBuf>, format: Format, text: impl Into<Vec<u8>>) -> Self {
        self.texts.push((SourceFile { layer, path: name.into(), format: Some(format) }, text.into()));
        self
    }

    /// The text of a classic rc file that was read already.
    pub fn rc_text(mut self, name: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.texts.push((SourceFile { layer: Layer::User, path: name.into(), format: None }, text.into()));
        self
    }

    /// The fabfile's `[env]`: names as they were written, values, and origins.
    pub fn fabfile(self, values: impl IntoIterator<Item = (String, Value, Origin)>) -> Self {
        self.values(Layer::Fabfile, values)
    }

    /// Values of any layer, with their origins. Names that no setting has are shared state.
    pub fn values(mut self, layer: Layer, values: impl IntoIterator<Item = (String, Value, Origin)>) -> Self {
        self.given.push(Given { layer, values: values.into_iter().collect() });
        self
    }

    /// A `[hosts."pattern"]` section and its origin. Later sections win over earlier ones.
    pub fn hosts(
        mut self,
        pattern: impl Into<String>,
        origin: Origin,
        values: impl IntoIterator<Item = (String, Value, Origin)>,
    ) -> Self {
        self.sections.push(GivenSection { pattern: pattern.into(), origin, values: values.into_iter().collect() });
        self
    }

    /// The text of a `--set` option.
    pub fn set(mut self, text: impl Into<String>) -> Self {
        self.set.push(text.into());
        self
    }

    /// A value that an option of the command line gives; it wins over `--set`.
    pub fn option(self, name: &str, value: impl Into<Value>, option: &str) -> Self {
        let origin = Origin::place(Layer::CommandLine, option);
        self.values(Layer::CommandLine, [(name.to_owned(), value.into(), origin)])
    }

    /// This ssh_config instead of the user's and the system's files, unless the setting `ssh_config_path`
    /// names another.
    pub fn ssh_config(mut self, config: SshConfig) -> Self {
        self.ssh = Some(config);
        self
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// All problems, at once.
    pub fn build(self) -> Result<Config, Problems> {
        tracing::trace!(route = "settings: layers of files, variables and options");
        let (files, passed_over) = self.sources.look();
        let mut reading = Reading { warnings: passed_over, ..Reading::default() };
        for file in files {
            reading.take(self.read.read(&file));
        }
        for (file, bytes) in &self.texts {
            reading.take(sources::parse(file, bytes));
        }
        reading.take(sources::read_variables(&self.environment));
        reading.take(assignments(&self.set));
        for given in self.given {
            reading.take(values(given.layer, Unknown::Share, given.values));
        }
        reading.type_as_below();
        let sections = self.sections.into_iter().map(|section| {
            let values = reading.checked(values(Layer::Host, Unknown::Refuse, section.values));
            Section { pattern: section.pattern, origin: section.origin, values }
        });
        let sections = Sections::new(sections.collect()).unwrap_or_else(|problems| {
            reading.problems.extend(problems);
            Sections::default()
        });
        if !reading.problems.is_empty() {
            return Err(Problems(reading.problems));
        }
        let ssh = match self.ssh {
            Some(config) => SshSource::Given(config),
            None if self.sources.reads_ssh_config() => SshSource::Usual,
            None => SshSource::None,
        };
        Ok(Config::new(self.environment, reading.layers, sections, reading.warnings, ssh))
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    layers: Vec<LayerValues>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reading {
    fn take(&mut self, intake: Intake) {
        let layer = self.checked(intake);
        // Of several sources of a layer the later one wins: layers are sorted stably.
        if !layer.values.is_empty() {
            self.layers.push(layer);
        }
    }

    /// Gives shared state of `--set`, which is text, the type that it has in a lower layer.
    fn type_as_below(&mut self) {
        let (above, below): (Vec<&mut LayerValues>, Vec<&mut LayerValues>) =
            self.layers.iter_mut().partition(|layer| layer.layer == Layer::CommandLine);
        let mut below: Vec<&LayerValues> = below.into_iter().map(|layer| &*layer).collect();
        below.retain(|layer| layer.layer < Layer::CommandLine);
        below.sort_by_key(|layer| layer.layer);
        for (name, entry) in above.into_iter().flat_map(|layer| &mut layer.values) {
            let Value::String(text) = &entry.value else { continue };
            if Setting::find(name).is_some() {
                continue;
            }
            let Some(known) = below.iter().rev().find_map(|layer| layer.values.get(name)) else { continue };
            let (typed, expected) = match &known.value {
                Value::Number(_) => (serde_json::from_str(text).ok().filter(Value::is_number), "a number"),
                Value::Bool(_) => (Kind::Bool.parse(text).ok(), "true or false"),
                _ => continue,
            };
            if let Some(typed) = typed {
                entry.value = typed;
            } else {
                let problem = Problem::new(format!("`{name}`: expected {expected}, as {} has", known.origin));
                self.problems.push(problem.at(entry.origin.clone()));
            }
        }
    }

    fn checked(&mut self, intake: Intake) -> LayerValues {
        let (layer, problems, warnings) = intake.finish();
        self.problems.extend(problems);
        self.warnings.extend(warnings);
        layer
    }
}

fn values(layer: Layer, unknown: Unknown, values: Vec<(String, Value, Origin)>) -> Intake {
    let mut intake = Intake::new(layer, unknown);
    for (name, value, origin) in values {
        intake.given(&name, &value, &origin);
    }
    intake
}

fn assignments(texts: &[String]) -> Intake {
    let mut intake = Intake::new(Layer::CommandLine, Unknown::Share);
    for text in texts {
        match parse_set(text) {
            Ok(items) => {
                for (name, value) in items {
                    let origin = Origin::place(Layer::CommandLine, "--set");
                    match value {
                        Some(text) => intake.text(&name, &text, origin),
                        None => intake.value(&name, Value::Bool(true), origin),
                    }
                }
            }
            Err(problem) => intake.problems.push(problem),
        }
    }
    intake
}
