//! Fabfiles in Python: which interpreter runs them, and what is in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_config::{Config, ConfigBuilder};
use fabric_core::settings::{Map, Problems};
use fabric_core::{Layer, Origin, Resolve as _, Value};
use fabric_exec::Collection;
use fabric_exec::hostlist::{Directive, FabfileLists, Roles, Selection};
use fabric_python::interpreter::{Interpreter, Search};
use fabric_python::{Listing, LoadError, Loading, Program};

use crate::args::{ASK, Options};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::process;
use crate::render::OutputMode;
use crate::surroundings::Surroundings;

/// A fabfile in an interpreter, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    pub(crate) program: Arc<Program>,
    path: PathBuf,
    /// The directory that it is in.
    dir: PathBuf,
    pub(crate) roles: Roles,
    pub(crate) lists: FabfileLists,
    pub(crate) list_changes: Vec<(String, Value, Origin)>,
    env: Vec<(String, Value, Origin)>,
    /// What counts as the fabfile's only where nothing else says something.
    defaults: Vec<(String, Value, Origin)>,
}

impl Python {
    /// Starts the interpreter, and loads the fabfile.
    pub(crate) fn load(
        path: &Path,
        options: &Options,
        args: &[String],
        config: &Config,
        surroundings: &Surroundings,
    ) -> Result<(Collection, Self), Failure> {
        let settings = config.settings(None, &[])?;
        let mut given = options.selection();
        if !given.gives_hosts() {
            (given.hosts, given.roles) = (settings.hosts.clone(), settings.roles.clone());
        }
        given.exclude = [settings.exclude_hosts.clone(), given.exclude].concat();
        let program = process::program();
        let loading = Loading {
            fabfile: path,
            interpreter: interpreter(config, Some(path), surroundings)?,
            cache: surroundings.environment.xdg("XDG_CACHE_HOME", ".cache"),
            fab: program.as_deref().map(Path::new),
            dir: &surroundings.dir,
            args,
            tasks: options.words.clone(),
            env: known(config, &given)?,
            output: options.levels.to_map(),
            dry_run: options.dry_run,
            python2: settings.python2.as_deref(),
            prints_aside: options.output == Some(OutputMode::Json) || args.first().is_some_and(|first| first == ASK),
        };
        let (program, Listing { collection, roles, env, .. }) = fabric_python::load(&loading).map_err(failure)?;
        let place = || Origin::place(Layer::Fabfile, path.display().to_string());
        let mut python = Self {
            program,
            path: path.to_owned(),
            dir: path.parent().unwrap_or(path).to_owned(),
            roles,
            lists: FabfileLists::default(),
            list_changes: Vec::new(),
            env: Vec::new(),
            defaults: vec![("real_fabfile".to_owned(), path.display().to_string().into(), place())],
        };
        for (name, value) in env {
            let before = match name.as_str() {
                "hosts" => &given.hosts,
                "roles" => &given.roles,
                "use_ssh_config" => {
                    python.defaults.push((name, value, place()));
                    continue;
                }
                _ => {
                    python.env.push((name, value, place()));
                    continue;
                }
            };
            let items: Vec<String> =
                value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            // Code is run after the command line is read: what it assigns counts, and what it adds is added.
            let change = match items.strip_prefix(before.as_slice()) {
                Some(added) if !before.is_empty() => Directive::Extend(added.to_vec()),
                _ => Directive::Replace(items),
            };
            let list = if name == "hosts" { &mut python.lists.hosts } else { &mut python.lists.roles };
            python.list_changes.push((name, change.to_value(), place()));
            *list = Some(change);
        }
        Ok((collection, python))
    }

    /// With what it has set.
    pub(crate) fn with_settings(&self, builder: ConfigBuilder) -> ConfigBuilder {
        let builder = builder.beside(&self.dir).fabfile(self.defaults.iter().cloned());
        builder.values(Layer::Runtime, self.env.iter().cloned())
    }

    /// The fabfile.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How a run of its tasks ends: as the user's code ended it, if it did.
    pub(crate) fn exit(&self, of_report: Exit) -> Exit {
        match self.program.exit_status() {
            Some(code) if code != 0 && of_report == Exit::Failed => Exit::Command(code),
            _ => of_report,
        }
    }
}

/// Which Python runs fabfiles, and why.
pub(crate) fn interpreter(
    config: &Config,
    fabfile: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Interpreter, Failure> {
    let asked = config.explain("python", None, &[])?;
    let origin = asked.origin().to_string();
    let program = process::program();
    let dir = surroundings.dir.to_string_lossy();
    let search = Search {
        asked: asked.value.as_str().map(|name| (name, origin.as_str())),
        program: program.as_deref().map(Path::new),
        virtual_env: surroundings.variable("VIRTUAL_ENV"),
        conda: surroundings.variable("CONDA_PREFIX"),
        fabfile: fabfile.map(|path| path.parent().unwrap_or(path)).or(Some(&surroundings.dir)),
        dir: &dir,
        path: surroundings.variable("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"),
    };
    search.find().map_err(|error| Failure::Refused(error.to_string()))
}

/// Converts files from Python 2 to Python 3, by the package's own program.
pub(crate) fn convert(config: &Config, files: &[PathBuf], surroundings: &Surroundings) -> Result<Exit, Failure> {
    let interpreter = interpreter(config, None, surroundings)?;
    let cache = surroundings.environment.xdg("XDG_CACHE_HOME", ".cache");
    fabric_python::convert(&interpreter, cache.as_deref(), &surroundings.dir, files)
        .map(|status| if status == 0 { Exit::Ok } else { Exit::Failed })
        .map_err(failure)
}

/// What `env` is to begin with: every setting that something says, by its classic name.
fn known(config: &Config, given: &Selection) -> Result<Map, Problems> {
    let settings = config.settings(None, &[])?;
    let mut env = Map::new();
    for setting in config.show(None, &[])?.settings {
        // ssh_config is read where a fabfile of Fabric 1 says so.
        let layer = setting.origin().layer;
        if layer == Layer::Default || layer == Layer::SshConfig {
            continue;
        }
        env.extend(settings.get(&setting.name).map(|value| (setting.name.clone(), value)));
    }
    for (name, list) in [("hosts", &given.hosts), ("roles", &given.roles), ("exclude_hosts", &given.exclude)] {
        env.insert(name.to_owned(), list.clone().into());
    }
    Ok(env)
}

fn failure(error: LoadError) -> Failure {
    match error {
        LoadError::Interrupted => Failure::Interrupted,
        error => Failure::Refused(error.to_string()),
    }
}
