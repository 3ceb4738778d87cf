//! The fabfile and the settings around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_config::{Config, ConfigBuilder, Environment, Sources};
use fabric_core::settings::{Map, Problem, Problems};
use fabric_core::{Layer, Origin, Resolve};
use fabric_exec::fabfile::{self, Fabfile, Found, HostSection, Included};
use fabric_exec::hostlist::{Directive, FabfileLists, Roles};
use fabric_exec::{Collection, Param, Value};

use crate::args::Options;
use crate::failure::{Failure, problem};

/// Everything that is known before a run: tasks, roles, and where settings come from.
#[derive(Debug, Default)]
pub(crate) struct Project {
    /// The fabfile, if there is one.
    pub fabfile: Option<Fabfile>,
    /// The tasks.
    pub collection: Arc<Collection>,
    /// The manifest of the program that the fabfile is instead.
    pub program: Option<PathBuf>,
    /// What a program with tasks of its own has instead of a fabfile's `[roledefs]` and `[env]`.
    code: Code,
}

/// Roles and `env` of a program with tasks of its own.
#[derive(Debug, Default)]
struct Code {
    roles: Roles,
    lists: FabfileLists,
    list_changes: Vec<(String, Value, Origin)>,
    env: Vec<(String, Value, Origin)>,
}

/// Where fabfiles and settings are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The environment of the process.
    pub environment: Environment,
    /// Where the search begins.
    pub dir: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn capture() -> Result<Self, Failure> {
        let dir = std::env::current_dir()
            .map_err(|source| Failure::System { what: "finding the current directory", source })?;
        Ok(Self { environment: Environment::capture(), dir })
    }

    /// The sources that don't depend on the fabfile: environment, files and the command line.
    pub(crate) fn builder(&self, options: &Options) -> ConfigBuilder {
        let mut builder =
            Config::builder().environment(self.environment.clone()).sources(Sources::standard(&self.environment));
        for text in &options.set {
            builder = builder.set(text);
        }
        for (name, value, option) in &options.settings {
            match *name {
                // Read at once: everything else may stand in it.
                "rcfile" => {
                    builder = builder.rcfile(self.environment.expand(value.as_str().unwrap_or_default()));
                }
                // These are the run's to merge, by rules of their own.
                "hosts" | "roles" | "exclude_hosts" => {}
                _ => builder = builder.option(name, value.clone(), option),
            }
        }
        builder
    }

    /// Finds and reads the fabfile that these options mean.
    pub(crate) fn load(&self, options: &Options) -> Result<Project, Failure> {
        let name = match options.setting("fabfile").and_then(|name| name.as_str()) {
            Some(name) => name.to_owned(),
            // What a command line with no such option is rests on files and variables.
            None => self.builder(options).build()?.settings(None, &[])?.fabfile.clone(),
        };
        let path = self.environment.expand(&name);
        let found =
            fabfile::find(&path.to_string_lossy(), &self.dir).map_err(|error| Failure::Refused(error.to_string()))?;
        match found {
            Some(Found::Declared(path)) => Project::declared(&path),
            Some(Found::Python(path)) => Err(Failure::Refused(format!(
                "{}: Python fabfiles can't be loaded by this version of fab yet",
                path.display()
            ))),
            Some(Found::Rust(path)) => Ok(Project { program: Some(path), ..Project::default() }),
            None if options.setting("fabfile").is_some() => {
                Err(Failure::Refused(format!("there is no fabfile {name} (given by -f)")))
            }
            None => Ok(Project::default()),
        }
    }
}

fn with_sections(builder: ConfigBuilder, sections: &[HostSection]) -> ConfigBuilder {
    let with = |builder: ConfigBuilder, section: &HostSection| {
        builder.hosts(&section.pattern, section.origin.clone(), section.values.iter().cloned())
    };
    sections.iter().fold(builder, with)
}

impl Project {
    /// The project of a declared fabfile.
    pub(crate) fn declared(path: &Path) -> Result<Self, Failure> {
        let mut fabfile = fabfile::load(path)?;
        let collection = Arc::new(std::mem::take(&mut fabfile.collection));
        Ok(Self { fabfile: Some(fabfile), collection, ..Self::default() })
    }

    /// The project of a program's own tasks, roles and `env`.
    pub(crate) fn code(collection: Collection, roles: Roles, env: &[(String, Value)]) -> Self {
        let mut code = Code { roles, ..Code::default() };
        let origin = || Origin::place(Layer::Fabfile, "the program");
        for (name, value) in env {
            // Code is run after the command line is read, and what it assigns stands (Fabric 1).
            let list = match name.as_str() {
                "hosts" => &mut code.lists.hosts,
                "roles" => &mut code.lists.roles,
                _ => {
                    code.env.push((name.clone(), value.clone(), origin()));
                    continue;
                }
            };
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let items = value
                .as_array()
                .map_or_else(|| text(value).into_iter().collect(), |items| items.iter().filter_map(text).collect());
            let change = Directive::Replace(items);
            code.list_changes.push((name.clone(), change.to_value(), origin()));
            *list = Some(change);
        }
        Self { collection: Arc::new(collection), code, ..Self::default() }
    }

    /// Whether its tasks are functions of a program.
    pub(crate) fn is_code(&self) -> bool {
        self.fabfile.is_none() && !self.collection.is_empty()
    }

    /// The parameters of a task.
    pub(crate) fn params(&self, task: &str) -> Vec<Param> {
        self.collection.find(task).map(|task| task.params.clone()).unwrap_or_default()
    }

    /// The fabfile's roles.
    pub(crate) fn own_roles(&self) -> &Roles {
        self.fabfile.as_ref().map_or(&self.code.roles, |fabfile| &fabfile.roles)
    }

    /// The roles: those that settings give, and above them the fabfile's.
    pub(crate) fn roles(&self, config: &Config, surroundings: &Surroundings) -> Result<Roles, Problems> {
        let settings = config.settings(None, &[])?;
        if settings.roledefs.is_empty() {
            return Ok(self.own_roles().clone());
        }
        let origin = config.explain("roledefs", None, &[])?.origin().clone();
        let mut roles = fabfile::roles_of(&settings.roledefs, self.dir().unwrap_or(&surroundings.dir), &origin)?;
        roles.extend(self.own_roles().clone());
        Ok(roles)
    }

    /// The fabfile's changes to the global lists.
    pub(crate) fn lists(&self) -> FabfileLists {
        self.fabfile.as_ref().map_or(&self.code.lists, |fabfile| &fabfile.lists).clone()
    }

    /// With the fabfile's changes to the global lists and its roles as settings, to be shown: a run has them apart.
    pub(crate) fn with_lists(&self, builder: ConfigBuilder) -> ConfigBuilder {
        let changes = self.fabfile.as_ref().map_or(&self.code.list_changes, |fabfile| &fabfile.list_changes);
        let builder = builder.fabfile(changes.iter().cloned());
        if self.own_roles().is_empty() {
            return builder;
        }
        let file = self.fabfile.as_ref().map(|fabfile| fabfile.path.to_string_lossy().into_owned());
        let origin = Origin::place(Layer::Fabfile, file.unwrap_or_else(|| "the program".to_owned()));
        let roles: Map = self.own_roles().iter().map(|(name, role)| (name.clone(), role.to_value())).collect();
        // Above all layers: of one name, the fabfile's role is the one that the run has.
        builder.values(Layer::Step, [("roledefs".to_owned(), roles.into(), origin)])
    }

    /// The fabfile's directory.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.fabfile.as_ref().map(|fabfile| fabfile.dir.as_path())
    }

    /// All sources of settings.
    pub(crate) fn builder(&self, surroundings: &Surroundings, options: &Options) -> ConfigBuilder {
        let mut builder = surroundings.builder(options);
        let Some(fabfile) = &self.fabfile else {
            return builder.beside(&surroundings.dir).fabfile(self.code.env.iter().cloned());
        };
        builder = builder.beside(&fabfile.dir).fabfile(fabfile.env.iter().cloned());
        let path = fabfile.path.to_string_lossy().into_owned();
        let origin = Origin::place(Layer::Fabfile, &path);
        builder = builder.fabfile([("real_fabfile".to_owned(), path.into(), origin)]);
        with_sections(builder, &fabfile.sections)
    }

    /// The sources of settings for the tasks of each file that is included, by namespace: `builder` has those of the others.
    pub(crate) fn included(&self, builder: &ConfigBuilder) -> impl Iterator<Item = (&Included, ConfigBuilder)> {
        let included = self.fabfile.iter().flat_map(|fabfile| &fabfile.included);
        included.map(|file| (file, with_sections(builder.clone().fabfile(file.env.iter().cloned()), &file.sections)))
    }

    /// What is odd about the fabfile and the settings, for standard error.
    pub(crate) fn warnings(&self, config: &Config, options: &Options) -> String {
        let fabfile = self.fabfile.iter().flat_map(|fabfile| &fabfile.warnings);
        let gssapi = without_gssapi(config);
        let unused = self.unused_lists(options).filter(|_| self.fabfile.is_none());
        let empty = empty_lists(options);
        fabfile
            .chain(config.warnings())
            .chain(&gssapi)
            .chain(&unused)
            .chain(&empty)
            .map(|one| problem("warning", one))
            .collect()
    }

    /// What a run warns of besides: a fabfile says by `replace` that its lists stand, which its reader may not know.
    pub(crate) fn warnings_of_run(&self, config: &Config, options: &Options) -> String {
        let unused = self.unused_lists(options).filter(|_| self.fabfile.is_some());
        self.warnings(config, options) + &unused.map(|one| problem("warning", &one)).unwrap_or_default()
    }

    /// Lists of the command line that a fabfile's `replace`, or the assignments of code, discard.
    fn unused_lists(&self, options: &Options) -> Option<Problem> {
        let (typed, FabfileLists { hosts, roles }) = (options.selection(), self.lists());
        let replaces = |list: Option<Directive>| match list {
            Some(Directive::Replace(items)) => Some(items.join(",")),
            _ => None,
        };
        let discarded = [("-H", typed.hosts.is_empty(), hosts), ("-R", typed.roles.is_empty(), roles)].into_iter();
        let discarded = discarded.filter(|(_, empty, _)| !empty);
        let (names, instead): (Vec<&str>, Vec<String>) =
            discarded.filter_map(|(name, _, list)| Some((name, replaces(list)?))).unzip();
        let who = if self.fabfile.is_some() { "fabfile" } else { "program" };
        let text = || {
            let (names, instead) = (names.join(" and "), instead.join(","));
            format!("the {who} assigns lists of its own, {instead}: {names} has no effect")
        };
        (!names.is_empty()).then(|| Problem::new(text()).hint("--only HOSTS leaves all other hosts out"))
    }
}

/// Lists that were given and are empty, as `-H "$HOSTS"` is without the variable: the fabfile's stay in force.
fn empty_lists(options: &Options) -> Vec<Problem> {
    let lists = [("hosts", "-H", "hosts"), ("roles", "-R", "roles")].into_iter();
    let empty = lists.filter(|(name, ..)| options.setting(name).and_then(Value::as_array).is_some_and(Vec::is_empty));
    empty.map(|(_, option, what)| Problem::new(format!("{option} names no {what}: it counts as never given"))).collect()
}

/// What was asked of GSSAPI and the `ssh` transport doesn't have: to pass it over in silence would look as if it had been
/// tried.
fn without_gssapi(config: &Config) -> Vec<Problem> {
    // Settings that are wrong are told elsewhere.
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
