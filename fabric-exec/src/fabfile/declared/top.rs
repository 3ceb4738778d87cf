//! A fabfile's top level: `env`, `roledefs`, `hosts`, `tasks`, `include`.

use std::path::{Path, PathBuf};

use fabric_core::settings::{Problem, Problems, Setting};
use fabric_core::{Layer, Origin, Value};
use fabric_core_document::{Document, Kind, Member, Members, Node};

use super::reader::{Reader, setting_value};
use super::{Fabfile, Format, HostSection, Included, own_roles};
use crate::collection::Collection;
use crate::hostlist::{Directive, FabfileLists, RoleSource, Roles, role_names, unknown_names, unknown_roles};
use crate::template;

pub(super) const KEYS: &[&str] = &["env", "roledefs", "hosts", "tasks", "include", "help"];

pub(super) fn load(path: &Path) -> Result<Fabfile, Problems> {
    let bytes = std::fs::read(path).map_err(|error| {
        Problem::new(format!("cannot be read: {error}")).at(Origin::file(Layer::Fabfile, path, None))
    })?;
    let format = Format::of(path).ok_or_else(|| {
        let ending = Problem::new("a declared fabfile ends in .toml, .yaml, .yml or .json");
        Problems::from(ending.at(Origin::file(Layer::Fabfile, path, None)))
    })?;
    parse(path, &bytes, format)
}

pub(super) fn parse(path: &Path, bytes: &[u8], format: Format) -> Result<Fabfile, Problems> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let mut files = Files {
        dir: dir.clone(),
        says: Says::default(),
        problems: Vec::new(),
        warnings: Vec::new(),
        open: vec![path.to_owned()],
        namespaces: Vec::new(),
        included: Vec::new(),
    };
    let mut collection = files.file(path, bytes, format);
    let mut roles = std::mem::take(&mut files.says.roles);
    let own = files.included.iter_mut().map(|(namespace, says)| (namespace.clone(), std::mem::take(&mut says.roles)));
    own_roles::merge(&mut roles, own.collect(), &mut collection);
    files.check_roles(&roles);
    if !files.problems.is_empty() {
        return Err(Problems(files.problems));
    }
    // What a file says adds to what those say that include it, outermost first.
    let mut included: Vec<Included> = Vec::new();
    for (namespace, says) in std::mem::take(&mut files.included).into_iter().rev() {
        let outer = namespace.rsplit_once('.').and_then(|(outer, _)| included.iter().find(|it| it.namespace == outer));
        let (mut env, mut sections, lists) = match outer {
            Some(outer) => (outer.env.clone(), outer.sections.clone(), outer.lists.clone()),
            None => (Vec::new(), Vec::new(), files.says.lists.clone()),
        };
        env.extend(says.env);
        sections.extend(says.sections);
        let lists = FabfileLists { hosts: says.lists.hosts.or(lists.hosts), roles: says.lists.roles.or(lists.roles) };
        included.push(Included { namespace, env, lists, sections });
    }
    Ok(Fabfile {
        path: path.to_owned(),
        dir,
        collection,
        env: files.says.env,
        lists: files.says.lists,
        list_changes: files.says.list_changes,
        sections: files.says.sections,
        roles,
        included,
        warnings: files.warnings,
    })
}

/// What the fabfile and the files it includes come to together.
struct Files {
    dir: PathBuf,
    /// What the file being read says.
    says: Says,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    /// The names of those that are included.
    namespaces: Vec<String>,
    /// Their namespaces, inner ones before outer ones, and what they say.
    included: Vec<(String, Says)>,
}

/// What a file says beside its tasks.
#[derive(Default)]
struct Says {
    env: Vec<(String, Value, Origin)>,
    lists: FabfileLists,
    list_changes: Vec<(String, Value, Origin)>,
    sections: Vec<HostSection>,
    roles: Roles,
}

impl Files {
    fn file(&mut self, path: &Path, bytes: &[u8], format: Format) -> Collection {
        let document = match Document::parse(Layer::Fabfile, path, format, bytes) {
            Ok(document) => document,
            Err(Problems(problems)) => {
                self.problems.extend(problems);
                return Collection::new();
            }
        };
        let mut reader = Reader::new(document.source.clone());
        let collection = match document.table() {
            Ok(members) => self.members(&mut reader, members),
            Err(problem) => {
                self.problems.push(problem);
                Collection::new()
            }
        };
        self.problems.append(&mut reader.problems);
        self.warnings.append(&mut reader.warnings);
        collection
    }

    fn members(&mut self, reader: &mut Reader, members: &Members) -> Collection {
        let mut collection = Collection::new();
        if let Some(include) = members.get("include") {
            self.include(reader, &include.node, &mut collection);
        }
        for (key, Member { line, node, .. }) in members {
            match key.as_str() {
                "env" => self.env(reader, node),
                "roledefs" => reader.roles(node, &self.dir, &mut self.says.roles),
                "hosts" => self.sections(reader, node),
                "tasks" => reader.tasks(node, &mut collection),
                "help" => collection = collection.doc(reader.text(node, "`help`").unwrap_or_default()),
                "include" => {}
                _ => reader.unknown_key(*line, key, "the fabfile", KEYS),
            }
        }
        collection
    }

    /// Roles that are made of others, once all are known.
    fn check_roles(&mut self, roles: &Roles) {
        for (name, role) in roles {
            let RoleSource::Roles(items) = &role.source else { continue };
            let names = role_names(items, |name| roles.contains_key(name));
            let unknown = unknown_names(&names, roles);
            if !unknown.is_empty() {
                let problem = Problem::new(format!("role `{name}`: {}", unknown_roles(&unknown)));
                self.problems.push(problem.at(role.origin.clone()));
            }
        }
    }

    fn env(&mut self, reader: &mut Reader, node: &Node) {
        let Some(members) = reader.table(node, "`env`") else { return };
        for (key, Member { line, node, .. }) in members {
            let value = match key.as_str() {
                "hosts" | "exclude_hosts" | "only_hosts" if !matches!(node.kind, Kind::Table(_)) => {
                    reader.hosts(node, &format!("`{key}` of `env`")).map(Value::from)
                }
                "roles" if !matches!(node.kind, Kind::Table(_)) => {
                    reader.role_names(node, "`roles` of `env`").map(Value::from)
                }
                // Unlike those of the other lists it has nothing to do with what the command line gives.
                "exclude_hosts" => directive(reader, key, node).map(|directive| directive.to_value()),
                "hosts" | "roles" if matches!(node.kind, Kind::Table(_)) => {
                    if let Some(directive) = directive(reader, key, node) {
                        let origin = reader.origin(Layer::Fabfile, *line);
                        self.says.list_changes.push((key.clone(), directive.to_value(), origin));
                        let list = if key == "hosts" { &mut self.says.lists.hosts } else { &mut self.says.lists.roles };
                        *list = Some(directive);
                    }
                    None
                }
                "roledefs" => {
                    reader.roles(node, &self.dir, &mut self.says.roles);
                    None
                }
                _ if Setting::find(key).is_some_and(Setting::is_information) => {
                    reader.problem(*line, format!("`{key}` of `env` can only be read, not set"));
                    None
                }
                _ => {
                    let what = format!("`{key}` of `env`");
                    match setting_value(key, node) {
                        Ok(value) => Some(value).filter(|_| reader.no_templates_for(key, node, &what)),
                        Err(why) => {
                            reader.problem(*line, format!("{what}: {why}"));
                            None
                        }
                    }
                }
            };
            if let Some(value) = value {
                self.says.env.push((key.clone(), value, reader.origin(Layer::Fabfile, *line)));
            }
        }
    }

    fn sections(&mut self, reader: &mut Reader, node: &Node) {
        let Some(members) = reader.table(node, "`hosts`") else { return };
        for (pattern, Member { line, node, .. }) in members {
            let Some(values) = reader.table(node, &format!("`hosts.{pattern:?}`")) else { continue };
            if template::is_template(pattern) {
                reader.problem(*line, "a pattern of `hosts` takes no templates, but there is `{{` in it");
            }
            // Checked here as well, so that all problems of the file are reported at once.
            reader.settings_of_hosts(values, &format!("hosts.{pattern:?}"), &[]);
            self.says.sections.push(HostSection {
                pattern: pattern.clone(),
                origin: reader.origin(Layer::Host, *line),
                values: values
                    .iter()
                    .filter_map(|(key, Member { line, node, .. })| {
                        Some((key.clone(), setting_value(key, node).ok()?, reader.origin(Layer::Host, *line)))
                    })
                    .collect(),
            });
        }
    }

    /// `include = { db = "db.toml" }`, or a list, each file's namespace being its name without ending.
    fn include(&mut self, reader: &mut Reader, node: &Node, collection: &mut Collection) {
        let files: Vec<(usize, String, Option<String>)> = if let Kind::Table(members) = &node.kind {
            let named = |(name, Member { line, node, .. }): (&String, &Member)| {
                Some((*line, reader.text(node, &format!("`include.{name}`"))?, Some(name.clone())))
            };
            members.iter().filter_map(named).collect()
        } else {
            let files = reader.texts(node, "`include`").unwrap_or_default();
            files.into_iter().map(|file| (node.line, file, None)).collect()
        };
        for (line, file, name) in files {
            let path = reader.source.path.parent().unwrap_or(Path::new("")).join(&file);
            // However it is spelled.
            let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            if self.open.iter().any(|open| real(open) == real(&path)) {
                reader.problem(line, format!("`{file}` includes itself"));
                continue;
            }
            let Some(format) = Format::of(&path) else {
                reader.problem(line, format!("`{file}` can't be included: expected .toml, .yaml, .yml or .json"));
                continue;
            };
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    reader.problem(line, format!("`{file}` can't be included: {error}"));
                    continue;
                }
            };
            let name = name.or_else(|| Some(path.file_stem()?.to_str()?.to_owned())).unwrap_or_default();
            self.open.push(path.clone());
            self.namespaces.push(name.clone());
            let namespace = self.namespaces.join(".");
            let outer = std::mem::take(&mut self.says);
            let mut inner = self.file(&path, &bytes, format);
            inner.within(&namespace);
            self.included.push((namespace, std::mem::replace(&mut self.says, outer)));
            self.namespaces.pop();
            self.open.pop();
            if let Err(error) = collection.add_namespace(name, inner) {
                reader.problem(line, error.to_string());
            }
        }
    }
}

fn directive(reader: &mut Reader, key: &str, node: &Node) -> Option<Directive> {
    let members = reader.table(node, &format!("`{key}` of `env`"))?;
    let mut directive = None;
    for (name, Member { line, node, .. }) in members {
        let what = format!("`{key}.{name}` of `env`");
        let make = match name.as_str() {
            "extend" => Directive::Extend,
            "replace" => Directive::Replace,
            _ => {
                reader.unknown_key(*line, name, &format!("`{key}` of `env`"), &["extend", "replace"]);
                continue;
            }
        };
        let list = if key == "roles" { reader.role_names(node, &what) } else { reader.hosts(node, &what) }?;
        if directive.replace(make(list)).is_some() {
            reader.problem(*line, format!("`{key}` of `env` has `extend` and `replace`: leave one out"));
        }
    }
    directive
}
