//! The tasks, roles and settings of a fabfile, or of a program's own code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_config::{Config, ConfigBuilder};
use fabric_core::settings::{Map, Problem, Problems};
use fabric_core::{Layer, Origin, Resolve};
use fabric_exec::fabfile::{self, Fabfile, Found, HostSection, Included};
use fabric_exec::hostlist::{Directive, FabfileLists, Roles};
use fabric_exec::{Collection, Param, Value};

use crate::args::Options;
use crate::failure::{Failure, problem};
use crate::python::Python;
use crate::surroundings::Surroundings;

/// Tasks, and the roles and settings that belong to them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Project {
    pub collection: Arc<Collection>,
    source: Source,
}

/// Where the tasks come from.
#[derive(Debug, Clone, Default)]
enum Source {
    /// There is no fabfile.
    #[default]
    Nowhere,
    Fabfile(Box<Fabfile>),
    Code(Code),
    Python(Box<Python>),
}

/// Roles and `env` of a program with tasks of its own.
#[derive(Debug, Clone, Default)]
struct Code {
    roles: Roles,
    lists: FabfileLists,
    list_changes: Vec<(String, Value, Origin)>,
    env: Vec<(String, Value, Origin)>,
}

/// A fabfile, read.
pub(crate) enum LoadedFabfile {
    Project(Project),
    /// The tasks are in a Rust program with this manifest.
    Program(PathBuf),
}

impl Project {
    /// Reads the fabfile that the options name, or else the one that settings do; `all` returns the options as far as they
    /// are understood without it, and `config` the settings with these, and those of a directory. `args` is what was typed.
    pub(crate) fn load(
        options: &Options,
        surroundings: &Surroundings,
        args: &[String],
        all: impl FnOnce() -> Options,
        config: impl Fn(&Options, Option<&Path>) -> Result<Config, Problems>,
    ) -> Result<LoadedFabfile, Failure> {
        tracing::trace!(route = "the project: tasks, roles and their settings");
        let given = options.setting("fabfile").and_then(Value::as_str);
        let name = || Ok(config(options, None)?.settings(None, &[])?.fabfile.clone());
        let name = given.map_or_else(name, |name| Ok::<_, Problems>(name.to_owned()))?;
        let path = surroundings.environment.expand(&name);
        let found = fabfile::find(&path.to_string_lossy(), &surroundings.dir)
            .map_err(|error| Failure::Refused(error.to_string()))?;
        match found {
            Some(Found::Declared(path)) => Ok(LoadedFabfile::Project(Self::declared(&path)?)),
            Some(Found::Python(path)) => {
                let (all, dir) = (all(), path.parent());
                let (collection, python) = Python::load(&path, &all, args, &config(&all, dir)?, surroundings)?;
                let source = Source::Python(Box::new(python));
                Ok(LoadedFabfile::Project(Self { collection: Arc::new(collection), source }))
            }
            Some(Found::Rust(path)) => Ok(LoadedFabfile::Program(path)),
            None if given.is_some() => Err(Failure::Refused(format!("there is no fabfile {name} (given by -f)"))),
            None => Ok(LoadedFabfile::Project(Self::default())),
        }
    }

    /// The project of a declared fabfile.
    pub(crate) fn declared(path: &Path) -> Result<Self, Failure> {
        let mut fabfile = fabfile::load(path)?;
        let collection = Arc::new(std::mem::take(&mut fabfile.collection));
        Ok(Self { collection, source: Source::Fabfile(Box::new(fabfile)) })
    }

    /// The project of a program's own tasks, roles and `env`.
    pub(crate) fn code(collection: Collection, roles: Roles, env: Vec<(String, Value)>) -> Self {
        let mut code = Code { roles, ..Code::default() };
        let origin = || Origin::place(Layer::Fabfile, "the program");
        for (name, value) in env {
            // In Fabric 1 code runs after the command line was read, and its assignments win.
            let list = match name.as_str() {
                "hosts" => &mut code.lists.hosts,
                "roles" => &mut code.lists.roles,
                _ => {
                    code.env.push((name, value, origin()));
                    continue;
                }
            };
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let items = value
                .as_array()
                .map_or_else(|| text(&value).into_iter().collect(), |items| items.iter().filter_map(text).collect());
            let change = Directive::Replace(items);
            code.list_changes.push((name, change.to_value(), origin()));
            *list = Some(change);
        }
        Self { collection: Arc::new(collection), source: Source::Code(code) }
    }

    /// Whether there are neither a fabfile nor tasks of a program.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.source, Source::Nowhere)
    }

    /// Whether the tasks are functions of a program.
    pub(crate) fn is_code(&self) -> bool {
        matches!(self.source, Source::Code(_))
    }

    fn fabfile(&self) -> Option<&Fabfile> {
        match &self.source {
            Source::Fabfile(fabfile) => Some(fabfile),
            Source::Code(_) | Source::Python(_) | Source::Nowhere => None,
        }
    }

    /// The interpreter that has its tasks.
    pub(crate) fn python(&self) -> Option<&Python> {
        match &self.source {
            Source::Python(python) => Some(python),
            _ => None,
        }
    }

    /// The parameters of a task.
    pub(crate) fn params(&self, task: &str) -> Vec<Param> {
        self.collection.find(task).map(|task| task.params.clone()).unwrap_or_default()
    }

    /// The project's own roles.
    pub(crate) fn own_roles(&self) -> Roles {
        match &self.source {
            Source::Fabfile(fabfile) => fabfile.roles.clone(),
            Source::Code(code) => code.roles.clone(),
            Source::Python(python) => python.roles.clone(),
            Source::Nowhere => Roles::new(),
        }
    }

    /// The roles that settings define, and the project's own, which win.
    pub(crate) fn roles(&self, config: &Config, surroundings: &Surroundings) -> Result<Roles, Problems> {
        let settings = config.settings(None, &[])?;
        if settings.roledefs.is_empty() {
            return Ok(self.own_roles());
        }
        let origin = config.explain("roledefs", None, &[])?.origin().clone();
        let mut roles = fabfile::roles_of(&settings.roledefs, self.dir().unwrap_or(&surroundings.dir), &origin)?;
        roles.extend(self.own_roles());
        Ok(roles)
    }

    /// The project's changes to the global host and role lists.
    pub(crate) fn lists(&self) -> FabfileLists {
        match &self.source {
            Source::Fabfile(fabfile) => fabfile.lists.clone(),
            Source::Code(code) => code.lists.clone(),
            Source::Python(python) => python.lists.clone(),
            Source::Nowhere => FabfileLists::default(),
        }
    }

    /// Adds the project's lists and roles as settings, for `--show-config` and the like; a run takes them separately.
    pub(crate) fn with_lists(&self, builder: ConfigBuilder) -> ConfigBuilder {
        let (changes, roles, place) = match &self.source {
            Source::Fabfile(fabfile) => (&fabfile.list_changes, &fabfile.roles, fabfile.path.to_string_lossy()),
            Source::Code(code) => (&code.list_changes, &code.roles, "the program".into()),
            Source::Python(python) => (&python.list_changes, &python.roles, "the fabfile".into()),
            Source::Nowhere => return builder,
        };
        let builder = builder.fabfile(changes.iter().cloned());
        if roles.is_empty() {
            return builder;
        }
        let origin = Origin::place(Layer::Fabfile, place.into_owned());
        let roles: Map = roles.iter().map(|(name, role)| (name.clone(), role.to_value())).collect();
        // The highest layer, because the fabfile's role wins over one of the same name in settings.
        builder.values(Layer::Step, [("roledefs".to_owned(), roles.into(), origin)])
    }

    /// The fabfile's directory.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.fabfile().map(|fabfile| fabfile.dir.as_path())
    }

    /// Adds the project's own settings, and `fabric.*` beside the fabfile.
    pub(crate) fn with_settings(&self, builder: ConfigBuilder, surroundings: &Surroundings) -> ConfigBuilder {
        match &self.source {
            Source::Fabfile(fabfile) => {
                let path = fabfile.path.to_string_lossy().into_owned();
                let origin = Origin::place(Layer::Fabfile, &path);
                let builder = builder.beside(&fabfile.dir).fabfile(fabfile.env.iter().cloned());
                let builder = builder.fabfile([("real_fabfile".to_owned(), path.into(), origin)]);
                with_sections(builder, &fabfile.sections)
            }
            Source::Code(code) => builder.beside(&surroundings.dir).fabfile(code.env.iter().cloned()),
            Source::Python(python) => python.with_settings(builder),
            Source::Nowhere => builder.beside(&surroundings.dir),
        }
    }

    /// For each included file, the sources of settings for its tasks; `builder` has those of all others.
    pub(crate) fn included(&self, builder: &ConfigBuilder) -> impl Iterator<Item = (&Included, ConfigBuilder)> {
        let included = self.fabfile().into_iter().flat_map(|fabfile| &fabfile.included);
        included.map(|file| (file, with_sections(builder.clone().fabfile(file.env.iter().cloned()), &file.sections)))
    }

    /// Warnings about the fabfile and the settings, for standard error. With `runs` also of `-H` and `-R` that a fabfile's
    /// `replace` discards.
    pub(crate) fn warnings(&self, config: &Config, options: &Options, runs: bool) -> String {
        let fabfile = self.fabfile().into_iter().flat_map(|fabfile| &fabfile.warnings);
        let gssapi = without_gssapi(config);
        let empty = empty_lists(options);
        let unused = self.unused_lists(options);
        let (unused, of_run) = if self.fabfile().is_none() { (unused, None) } else { (None, unused.filter(|_| runs)) };
        let all = fabfile.chain(config.warnings()).chain(&gssapi).chain(&unused).chain(&empty).chain(&of_run);
        all.map(|one| problem("warning", one)).collect()
    }

    /// Warns of `-H` and `-R` that a fabfile's `replace`, or an assignment in code, discards.
    fn unused_lists(&self, options: &Options) -> Option<Problem> {
        let (typed, FabfileLists { hosts, roles, .. }) = (options.selection(), self.lists());
        let replaces = |list: Option<Directive>| match list {
            Some(Directive::Replace(items)) => Some(items.join(",")),
            _ => None,
        };
        let discarded = [("-H", typed.hosts.is_empty(), hosts), ("-R", typed.roles.is_empty(), roles)].into_iter();
        let discarded = discarded.filter(|(_, empty, _)| !empty);
        let (names, instead): (Vec<&str>, Vec<String>) =
            discarded.filter_map(|(name, _, list)| Some((name, replaces(list)?))).unzip();
        let who = if self.fabfile().is_some() || self.python().is_some() { "fabfile" } else { "program" };
        let text = || {
            let (names, instead) = (names.join(" and "), instead.join(","));
            format!("the {who} assigns lists of its own, {instead}: {names} has no effect")
        };
        (!names.is_empty()).then(|| Problem::new(text()).hint("--only HOSTS leaves all other hosts out"))
    }
}

fn with_sections(builder: ConfigBuilder, sections: &[HostSection]) -> ConfigBuilder {
    let with = |builder: ConfigBuilder, section: &HostSection| {
        builder.hosts(&section.pattern, section.origin.clone(), section.values.iter().cloned())
    };
    sections.iter().fold(builder, with)
}

/// Warns of lists that were given but are empty, as `-H "$HOSTS"` is without the variable: they count as not given.
fn empty_lists(options: &Options) -> Vec<Problem> {
    let lists = [("hosts", "-H", "hosts"), ("roles", "-R", "roles")].into_iter();
    let empty = lists.filter(|(name, ..)| options.setting(name).and_then(Value::as_array).is_some_and(Vec::is_empty));
    empty.map(|(_, option, what)| Problem::new(format!("{option} names no {what}: it counts as never given"))).collect()
}

/// Warns of GSSAPI settings that the `ssh` transport doesn't support.
fn without_gssapi(config: &Config) -> Vec<Problem> {
    // Invalid settings are reported elsewhere.
    let Ok(settings) = config.settings(None, &[]) else { return Vec::new() };
    let login = !fabric_transport::ssh::GSSAPI;
    let asked = [
        ("gss_auth", settings.gss_auth && login, "no GSSAPI"),
        ("gss_deleg", settings.gss_deleg && login, "no GSSAPI"),
        ("gss_kex", settings.gss_kex, "no key exchange by GSSAPI"),
    ];
    let asked = asked.into_iter().filter(|(_, asked, _)| *asked && settings.transport == "ssh");
    asked
        .map(|(name, _, what)| {
            Problem::new(format!("`{name}` has no effect: the transport `ssh` has {what}"))
                .hint("transport = \"openssh\" (a plugin) logs in as the system's ssh does, by its ssh_config")
        })
        .collect()
}
