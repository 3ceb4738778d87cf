//! Host lists: on which hosts a task runs, and why, as pure functions of plain data.
//!
//! ```text
//! task:hosts=..  ─┐
//! task's own     ─┼─ the highest level that gives anything ─► hosts, then roles' hosts (`web&dc1!old`)
//! current host   ─┤                                      ─► dedupe ─► exclude ─► only ─► limit ─► shard
//! env (-H, -R, fabfile, tasks before) ─┘
//! ```
//!
//! The rules are those of Fabric 1's "Execution model": levels override and never merge; within the
//! level that wins, hosts come before the hosts of its roles; host strings are compared as written.
//! Two things that were dangerous there are not here: a list that is *emptied*, by exclusion or by an
//! empty role, runs nothing (it does not turn into a local run), and exclusion works with
//! `dedupe_hosts = false` too.

mod command_line;
mod compose;
mod env;
mod inventory;
mod role;
mod share;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use fabric_core::settings::Overlay;
use fabric_core::{HostString, HostStringError};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use thiserror::Error;

pub use command_line::{ListError, expand_item, read_host_option};
pub use compose::{SetOperator, operands};
pub(crate) use compose::{compose, with_operands};
pub use env::{Directive, EnvLists, FabfileLists, RuntimeLists};
pub use inventory::{Inventory, InventoryError, Members, read_inventory};
pub use role::{LookupError, Role, RoleLookup, RoleSource, Roles};
pub use share::{Shard, Share, ShareError};

/// Hosts, roles and exclusions as one level gives them. An empty list is the same as none.
///
/// ```
/// use fabric_exec::hostlist::Selection;
///
/// let selection = Selection::default().hosts(["web1", "web2"]).roles(["db"]).exclude_hosts(["db3"]);
/// assert!(selection.gives_hosts());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Selection {
    /// Host strings.
    pub hosts: Vec<String>,
    /// Names of roles, or set operations on them (see [`operands`]).
    pub roles: Vec<String>,
    /// Host strings to leave out.
    pub exclude: Vec<String>,
}

impl Selection {
    /// With these host strings instead of those it has.
    #[must_use]
    pub fn hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// With these roles, or set operations on them, instead of those it has.
    #[must_use]
    pub fn roles<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// With these host strings left out instead of those it leaves out.
    #[must_use]
    pub fn exclude_hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.exclude = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Whether it names hosts or roles. Exclusions alone give no list.
    pub fn gives_hosts(&self) -> bool {
        !self.hosts.is_empty() || !self.roles.is_empty()
    }
}

/// Everything that decides on a task's host list, roles' hosts apart.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ListSources<'a> {
    /// The task's name, for texts.
    pub task: &'a str,
    /// `task:hosts=..`, or the arguments of `execute`.
    pub arguments: &'a Selection,
    /// The task's own hosts and roles (its decorators, Fabric 1).
    pub own: &'a Selection,
    /// The host in whose run the task is executed, if it is.
    pub current: Option<&'a Listed>,
    /// The hosts around that run that came with settings: where this list names one of them, it keeps them.
    pub around: &'a Around,
    /// The global lists, as [`EnvLists::merge`] has them now.
    pub env: &'a Selection,
    /// What `-H`, `-R` and `-x` gave, for warnings of what has no effect.
    pub command_line: &'a Selection,
    /// The only hosts that any list may have (`--only`); empty: all.
    pub only: &'a [String],
    /// What is done to the list.
    pub rules: Rules,
}

/// The default of what [`ListSources`] refers to.
static NO_SELECTION: Selection = Selection { hosts: Vec::new(), roles: Vec::new(), exclude: Vec::new() };
static NO_HOSTS: LazyLock<Around> = LazyLock::new(Around::new);

impl<'a> ListSources<'a> {
    /// Of the task with this name, where nothing gives hosts.
    pub fn new(task: &'a str) -> Self {
        Self {
            task,
            arguments: &NO_SELECTION,
            own: &NO_SELECTION,
            current: None,
            around: &NO_HOSTS,
            env: &NO_SELECTION,
            command_line: &NO_SELECTION,
            only: &[],
            rules: Rules::default(),
        }
    }
}

/// What is done to a list once its level is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether a host string that comes twice is used once (`dedupe_hosts`). Default: yes.
    pub dedupe: bool,
    /// Only the first so many (`--limit`).
    pub limit: Option<Share>,
    /// Only this process's part (`--shard`).
    pub shard: Option<Shard>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { dedupe: true, limit: None, shard: None }
    }
}

/// Which level a host list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// The arguments of this call of the task.
    Arguments,
    /// The task's own hosts and roles.
    Task,
    /// The host in whose run the task is executed.
    Current,
    /// The global lists.
    Env,
    /// No level gives hosts: the task runs once, locally.
    Local,
    /// No level gives hosts, and a person named the one that the task needs.
    Asked,
}

/// A host list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HostList {
    /// The level it comes from.
    pub level: Level,
    /// The hosts, in order.
    pub hosts: Vec<Listed>,
    /// The roles of that level (`effective_roles`).
    pub roles: Vec<String>,
    /// Why there is no host left of a list that was given.
    pub emptied: Option<Emptied>,
    /// How it came to be, a sentence a step.
    pub steps: Vec<String>,
    /// What a person should know about it.
    pub warnings: Vec<String>,
    /// Hosts of `-x` that the list, which it applies to, doesn't have.
    pub unmatched: Vec<String>,
}

/// Why a list that was given has no host left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Emptied {
    /// Its roles name no hosts.
    Roles,
    /// All were excluded.
    Exclusion,
    /// None of them is among those of `--only`.
    Only,
    /// No host of it is in this shard: that is as it should be.
    Share,
    /// The run that is tried again has done it.
    Done,
}

/// A host of a list, with what it came with: that goes with it wherever the run takes it (health checks,
/// rollbacks, tasks executed inside its run).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listed {
    /// Its host string.
    pub host: HostString,
    /// The first of the list's roles that names it.
    pub role: Option<Arc<str>>,
    /// What its roles and their inventories say about it, later ones above earlier ones. All of it is in
    /// [`Layer::Role`](fabric_core::Layer::Role). Default: nothing.
    pub settings: Arc<[Overlay]>,
    /// The inventory that says some of it. Default: none.
    pub inventory: Option<Arc<str>>,
}

impl Listed {
    /// A host without settings of its own.
    pub fn new(host: HostString) -> Self {
        Self { host, role: None, settings: Arc::default(), inventory: None }
    }
}

/// What the roles of a list say about the hosts that they name: the first one that names a host, which is not another
/// machine to a later one.
#[derive(Debug, Default)]
pub(crate) struct FirstNamed<'a>(HashMap<&'a HostString, (&'a str, &'a Listed)>);

impl<'a> FirstNamed<'a> {
    /// Takes note of a role of the list, and fails where it names a host that one role has from an inventory, with what
    /// that says about it, and another one has not.
    pub(crate) fn note(
        &mut self,
        operator: SetOperator,
        role: &'a str,
        hosts: &'a [Listed],
    ) -> Result<(), HostListError> {
        if operator == SetOperator::Difference {
            return Ok(());
        }
        for listed in hosts {
            let (first, named) = *self.0.entry(&listed.host).or_insert((role, listed));
            let (of, inventory, bare) = match (&named.inventory, &listed.inventory) {
                (Some(inventory), None) => (first, inventory, role),
                (None, Some(inventory)) => (role, inventory, first),
                _ => continue,
            };
            if operator == SetOperator::Union {
                return Err(HostListError::TwoMachines {
                    host: listed.host.to_string(),
                    role: of.to_owned(),
                    inventory: inventory.to_string(),
                    bare: bare.to_owned(),
                });
            }
            // It only chooses among the hosts of the others.
            if named.inventory.is_none() {
                self.0.insert(&listed.host, (role, listed));
            }
        }
        Ok(())
    }

    /// The host with what the first role says about it.
    pub(crate) fn as_first(&self, listed: Listed) -> Listed {
        self.0.get(&listed.host).map_or(listed, |(_, first)| (*first).clone())
    }
}

/// Hosts that came with settings, by their host strings.
pub type Around = HashMap<HostString, Listed>;

/// The hosts of a list that came with settings.
pub(crate) fn with_settings(hosts: &[Listed]) -> Around {
    let some = hosts.iter().filter(|listed| !listed.settings.is_empty());
    some.map(|listed| (listed.host.clone(), listed.clone())).collect()
}

impl HostList {
    /// Whether the task runs once, without a host.
    pub fn is_local(&self) -> bool {
        self.level == Level::Local
    }

    /// The list of a task that no level gives hosts to, once a person has named one.
    pub(crate) fn asked(&mut self, host: HostString) {
        self.level = Level::Asked;
        self.steps = vec!["a person was asked".to_owned()];
        self.hosts.push(Listed::new(host));
    }

    /// A list of exactly these hosts, on which another task has begun. What narrows lists (`--only`, `--limit`,
    /// `--shard`, `-x`) has narrowed them already.
    pub(crate) fn exactly(hosts: &[Listed], exclude: &[String]) -> Self {
        let mut list = Self {
            level: Level::Arguments,
            hosts: hosts.to_vec(),
            roles: Vec::new(),
            emptied: None,
            steps: vec![format!("those of the task around it: {}", counted(hosts.len()))],
            warnings: Vec::new(),
            unmatched: Vec::new(),
        };
        exclude_hosts(&mut list, exclude);
        list
    }

    /// Leaves all but some hosts out.
    pub(crate) fn leave(&mut self, why: &str, emptied: Emptied, keep: impl Fn(&str) -> bool) {
        let given = !self.hosts.is_empty();
        step(self, why, |hosts| hosts.retain(|listed| keep(listed.host.as_str())));
        if given && self.hosts.is_empty() {
            self.emptied.get_or_insert(emptied);
        }
    }

    /// Leaves out all there is, a local run too: it was done before.
    pub(crate) fn leave_all(&mut self, why: &str) {
        self.hosts.clear();
        self.steps.push(why.to_owned());
        self.emptied = Some(Emptied::Done);
    }

    /// The host strings, as written.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.hosts.iter().map(|listed| listed.host.as_str())
    }
}

/// Why there is no host list.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostListError {
    /// Roles that are not defined: all of them, each with the nearest name that is.
    #[error("task `{task}`: {}", unknown_roles(.roles))]
    UnknownRoles {
        /// The task whose list it is.
        task: String,
        /// Each unknown name, and the nearest known one.
        roles: Vec<(String, Option<String>)>,
    },
    /// A host that one role has from an inventory, with settings, and another one names without them.
    #[error(
        "host `{host}` of role `{role}` is what inventory {inventory} says, and role `{bare}` names it without that: use \
         one of the two roles, or give one of the hosts another name"
    )]
    TwoMachines {
        /// The host.
        host: String,
        /// The role that has it from an inventory.
        role: String,
        /// That inventory.
        inventory: String,
        /// The role that names it alone.
        bare: String,
    },
    /// A text of the list is no host string.
    #[error("task `{task}`: {error}")]
    Host {
        /// The task whose list it is.
        task: String,
        /// The role that named it, if one did.
        role: Option<String>,
        /// What is wrong.
        error: HostStringError,
    },
}

/// The operands of an item of a list of roles. A role whose own name has an operator in it is one operand.
pub(crate) fn role_operands(item: &str, is_known: impl Fn(&str) -> bool) -> Vec<(SetOperator, &str)> {
    if is_known(item) { vec![(SetOperator::Union, item)] } else { operands(item) }
}

/// The names of all roles that a list of roles names, each once.
pub(crate) fn role_names(items: &[String], is_known: impl Fn(&str) -> bool) -> Vec<String> {
    let names = items.iter().flat_map(|item| role_operands(item, &is_known)).map(|(_, name)| name.to_owned());
    names.collect::<IndexSet<_>>().into_iter().collect()
}

/// Those of the names that no role has, each with the nearest one that a role has.
pub(crate) fn unknown_names(names: &[String], known: &Roles) -> Vec<(String, Option<String>)> {
    let nearest = |name: &String| {
        let nearest = fabric_core::settings::nearest(name, known.keys().map(String::as_str));
        (name.clone(), nearest.map(str::to_owned))
    };
    names.iter().filter(|name| !known.contains_key(*name)).map(nearest).collect()
}

/// What is wrong with these names.
pub(crate) fn unknown_roles(roles: &[(String, Option<String>)]) -> String {
    let names: Vec<String> = roles
        .iter()
        .map(|(name, nearest)| match nearest {
            Some(nearest) => format!("`{name}` (did you mean `{nearest}`?)"),
            None => format!("`{name}`"),
        })
        .collect();
    let (noun, verb) = if names.len() == 1 { ("role", "does") } else { ("roles", "do") };
    format!("the {noun} {} {verb} not exist", names.join(", "))
}

impl ListSources<'_> {
    /// The level that decides, with its hosts and roles and the exclusions that apply to it.
    fn decide(&self) -> (Level, Selection) {
        let with_exclude = |selection: &Selection, exclude: &[String]| Selection {
            hosts: selection.hosts.clone(),
            roles: selection.roles.clone(),
            exclude: exclude.to_vec(),
        };
        if self.arguments.gives_hosts() {
            (Level::Arguments, self.arguments.clone())
        } else if self.own.gives_hosts() {
            // The one exception to "exclusions stay on their level" (Fabric 1).
            (Level::Task, with_exclude(self.own, &self.arguments.exclude))
        } else if let Some(current) = self.current {
            let hosts = vec![current.host.as_str().to_owned()];
            (Level::Current, with_exclude(&Selection { hosts, ..Selection::default() }, &self.arguments.exclude))
        } else if self.env.gives_hosts() {
            (Level::Env, self.env.clone())
        } else {
            (Level::Local, Selection::default())
        }
    }

    /// The level that decides.
    pub(crate) fn level(&self) -> Level {
        self.decide().0
    }

    /// The roles whose hosts [`build`] needs: those of the level that decides, each once.
    ///
    /// # Errors
    ///
    /// All of them that are not among `known`.
    pub fn roles(&self, known: &Roles) -> Result<Vec<String>, HostListError> {
        let (_, selection) = self.decide();
        let names = role_names(&selection.roles, |name| known.contains_key(name));
        let unknown = unknown_names(&names, known);
        if unknown.is_empty() {
            Ok(names)
        } else {
            Err(HostListError::UnknownRoles { task: self.task.to_owned(), roles: unknown })
        }
    }

    /// Options that have no effect on this list, and where the task runs instead.
    fn warn_unused(&self, list: &mut HostList) {
        let (task, level) = (self.task, list.level);
        let given = |options: &[(&'static str, bool)]| -> String {
            let given: Vec<&str> = options.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
            given.join(" and ")
        };
        let cli = self.command_line;
        if level == Level::Task {
            let lists = given(&[("-H", !cli.hosts.is_empty()), ("-R", !cli.roles.is_empty())]);
            if !lists.is_empty() {
                let verb = if lists.contains(' ') { "are" } else { "is" };
                let instead = if list.hosts.is_empty() {
                    String::new()
                } else {
                    format!("; it runs on {}", enumerated(list.names()))
                };
                let wanted = match cli.hosts.as_slice() {
                    [] => "HOSTS".to_owned(),
                    hosts => enumerated(hosts.iter().map(String::as_str)),
                };
                list.warnings.push(format!(
                    "task `{task}` has hosts or roles of its own: {lists} {verb} not used for it{instead} \
                     (`--only {wanted}` leaves all other hosts out, `{task}:hosts=..` replaces the list)"
                ));
            }
        }
        let warnings = &mut list.warnings;
        if matches!(level, Level::Task | Level::Arguments) && !cli.exclude.is_empty() {
            warnings.push(format!(
                "-x is not used for task `{task}`, whose hosts are not the global ones (`{task}:exclude_hosts=..` would be)"
            ));
        }
        if level == Level::Env && !self.arguments.exclude.is_empty() {
            warnings.push(format!("`{task}:exclude_hosts=..` is not used for the global host list (-x would be)"));
        }
    }
}

/// Builds a task's host list. `looked_up` has the hosts of each role that [`ListSources::roles`] asked for.
///
/// ```
/// use fabric_exec::hostlist::{ListSources, Listed, Selection, build};
///
/// let own = Selection::default().roles(["web"]);
/// let arguments = Selection::default().exclude_hosts(["web2"]);
/// let mut sources = ListSources::new("deploy");
/// (sources.own, sources.arguments) = (&own, &arguments);
/// let web = vec![Listed::new("web1".parse()?), Listed::new("web2".parse()?)];
/// let list = build(&sources, &[("web".to_owned(), web)].into())?;
/// assert_eq!(list.names().collect::<Vec<_>>(), ["web1"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn build(sources: &ListSources<'_>, looked_up: &IndexMap<String, Vec<Listed>>) -> Result<HostList, HostListError> {
    let (level, selection) = sources.decide();
    let mut list = HostList {
        level,
        hosts: Vec::new(),
        roles: selection.roles.clone(),
        emptied: None,
        steps: vec![describe(level, sources, &selection)],
        warnings: Vec::new(),
        unmatched: Vec::new(),
    };
    if level == Level::Local {
        return Ok(list);
    }
    match sources.current.filter(|_| level == Level::Current) {
        Some(current) => list.hosts.push(current.clone()),
        None => collect(sources, &selection, looked_up, &mut list)?,
    }
    if list.hosts.is_empty() {
        list.emptied = Some(Emptied::Roles);
    }
    if sources.rules.dedupe {
        step(&mut list, "repeated", |hosts| {
            let mut seen = IndexSet::new();
            hosts.retain(|listed| seen.insert(listed.host.as_str().to_owned()));
        });
    }
    if !selection.exclude.is_empty() {
        if level == Level::Env && !list.hosts.is_empty() {
            let names: HashSet<&str> = list.names().collect();
            let typed = sources.command_line.exclude.iter().filter(|text| !names.contains(text.trim()));
            list.unmatched = typed.cloned().collect();
        }
        exclude_hosts(&mut list, &selection.exclude);
    }
    if level != Level::Current {
        only(sources, &mut list);
        share(sources, &mut list);
    }
    sources.warn_unused(&mut list);
    match list.emptied {
        Some(Emptied::Roles) => list.warnings.push(format!(
            "task `{}` runs nowhere: {} no hosts",
            sources.task,
            if selection.roles.len() == 1 {
                format!("its role `{}` names", selection.roles[0])
            } else {
                format!("its roles `{}` name", selection.roles.join("`, `"))
            }
        )),
        Some(Emptied::Exclusion) => {
            list.warnings.push(format!("task `{}` runs nowhere: all of its hosts are excluded", sources.task));
        }
        Some(Emptied::Only) => {
            list.warnings.push(format!("task `{}` runs nowhere: --only leaves none of its hosts", sources.task));
        }
        Some(Emptied::Share | Emptied::Done) | None => {}
    }
    Ok(list)
}

/// Hosts first, then each role's, and the first role that names each.
fn collect(
    sources: &ListSources<'_>,
    selection: &Selection,
    looked_up: &IndexMap<String, Vec<Listed>>,
    list: &mut HostList,
) -> Result<(), HostListError> {
    for text in &selection.hosts {
        let host = HostString::parse(text).map_err(|error| HostListError::Host {
            task: sources.task.to_owned(),
            role: None,
            error,
        })?;
        list.hosts.push(Listed::new(host));
    }
    let mut first = FirstNamed::default();
    let items = selection.roles.iter().map(|item| role_operands(item, |name| looked_up.contains_key(name)));
    let hosts_of = |operator, role: &str| {
        let Some((role, hosts)) = looked_up.get_key_value(role) else { return Ok(Vec::new()) };
        first.note(operator, role, hosts)?;
        Ok(hosts.clone())
    };
    let steps = &mut list.steps;
    let mut of_roles = compose(
        items,
        |listed| listed.host.as_str(),
        hosts_of,
        |operator, role, left| {
            let named = counted(looked_up.get(role).map_or(0, Vec::len));
            steps.push(match operator {
                SetOperator::Union => format!("role `{role}`: {named}"),
                _ => format!("{operator} role `{role}` ({named}): {} left", counted(left)),
            });
        },
    )?;
    list.hosts.append(&mut of_roles);
    let mut names: HashMap<&str, Arc<str>> = HashMap::new();
    for listed in &mut list.hosts {
        if let Some((role, named)) = first.0.get(&listed.host) {
            listed.role = Some(names.entry(role).or_insert_with(|| Arc::from(*role)).clone());
            (listed.settings, listed.inventory) = (named.settings.clone(), named.inventory.clone());
        } else if let Some(known) = sources.around.get(&listed.host) {
            (listed.settings, listed.inventory) = (known.settings.clone(), known.inventory.clone());
        }
    }
    Ok(())
}

fn exclude_hosts(list: &mut HostList, excluded: &[String]) {
    if excluded.is_empty() {
        return;
    }
    let excluded: HashSet<&str> = excluded.iter().map(|text| text.trim()).collect();
    step(list, "excluded", |hosts| hosts.retain(|listed| !excluded.contains(listed.host.as_str())));
    if list.hosts.is_empty() {
        list.emptied.get_or_insert(Emptied::Exclusion);
    }
}

fn only(sources: &ListSources<'_>, list: &mut HostList) {
    if sources.only.is_empty() {
        return;
    }
    let (given, only) = (!list.hosts.is_empty(), sources.only.iter().map(String::as_str).collect::<HashSet<_>>());
    step(list, "not among --only", |hosts| hosts.retain(|listed| only.contains(listed.host.as_str())));
    if given && list.hosts.is_empty() {
        list.emptied.get_or_insert(Emptied::Only);
    }
}

fn share(sources: &ListSources<'_>, list: &mut HostList) {
    let before = list.hosts.len();
    if let Some(limit) = sources.rules.limit {
        step(list, &format!("beyond --limit {limit}"), |hosts| hosts.truncate(limit.of(hosts.len())));
    }
    // A run inside a host's run is part of that host's work, whichever shard the inner host would be in.
    if let (Some(shard), None) = (sources.rules.shard, sources.current) {
        step(list, &format!("not in shard {shard}"), |hosts| {
            let mut position = 0;
            hosts.retain(|_| {
                position += 1;
                shard.has(position - 1)
            });
        });
    }
    if before > 0 && list.hosts.is_empty() {
        list.emptied.get_or_insert(Emptied::Share);
    }
}

/// Changes the list and says which hosts went, if any.
fn step(list: &mut HostList, why: &str, change: impl FnOnce(&mut Vec<Listed>)) {
    let before: Vec<String> = list.names().map(str::to_owned).collect();
    change(&mut list.hosts);
    let mut kept: IndexMap<&str, usize> = IndexMap::new();
    for name in list.hosts.iter().map(|listed| listed.host.as_str()) {
        *kept.entry(name).or_default() += 1;
    }
    let gone: Vec<&str> = before
        .iter()
        .map(String::as_str)
        .filter(|name| match kept.get_mut(name) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        })
        .collect();
    if !gone.is_empty() {
        let text = format!("{why}: {}", fabric_core::host::fold(gone.iter().copied()));
        list.steps.push(text);
    }
}

fn describe(level: Level, sources: &ListSources<'_>, selection: &Selection) -> String {
    let mut given = Vec::new();
    if !selection.hosts.is_empty() {
        given.push(counted(selection.hosts.len()));
    }
    if !selection.roles.is_empty() {
        given.push(format!("roles {}", selection.roles.join(", ")));
    }
    let given = given.join(" and ");
    match level {
        Level::Arguments => format!("from the call's own arguments: {given}"),
        Level::Task => format!("from the task's own hosts and roles: {given}"),
        Level::Current => format!("the current host: {}", selection.hosts.join(", ")),
        Level::Env => format!("from the global host list: {given}"),
        Level::Local => format!("no hosts are given for `{}`: it runs once, locally", sources.task),
        Level::Asked => "a person was asked".to_owned(),
    }
}

/// Hosts in a message: folded, and of very many the first ones.
fn enumerated<'a>(hosts: impl Iterator<Item = &'a str> + Clone) -> String {
    const LONGEST: usize = 200;
    const SOME: usize = 5;
    let folded = fabric_core::host::fold(hosts.clone());
    if folded.len() <= LONGEST {
        return folded;
    }
    let others = hosts.clone().count().saturating_sub(SOME);
    format!("{} and {others} others", hosts.take(SOME).collect::<Vec<_>>().join(","))
}

fn counted(count: usize) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}
