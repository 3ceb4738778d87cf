//! Groups and hosts as Ansible has them in memory: who is in what, in which order, and whose variable counts.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::InventoryError;
use super::pattern::Written;

/// A file and a line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileLine {
    pub(super) file: Arc<str>,
    /// From 1; 0 is not known.
    pub(super) line: usize,
}

impl FileLine {
    pub(super) fn file(file: &str) -> Self {
        Self { file: file.into(), line: 0 }
    }

    pub(super) fn at(&self, line: usize) -> Self {
        Self { line, ..self.clone() }
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> InventoryError {
        InventoryError::Refused { place: self.to_string(), reason: reason.into() }
    }
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// A variable's value, and where it is defined.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) value: Value,
    pub(super) place: FileLine,
}

/// Variables by name; of one that is given twice the last counts.
pub(super) type Vars = IndexMap<String, Var>;

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) hosts: IndexMap<String, Host>,
    pub(super) groups: IndexMap<String, Group>,
    /// What is odd but no error.
    pub(super) warnings: IndexSet<String>,
}

/// Hosts and groups are named by their positions in [`Model`].
#[derive(Debug)]
pub(super) struct Host {
    /// The host string: the name, with the port where it is written with one.
    pub(super) written: String,
    pub(super) vars: Vars,
    /// Those of `host_vars`, which count for more.
    pub(super) file_vars: Vars,
    groups: IndexSet<usize>,
    place: FileLine,
}

#[derive(Debug)]
pub(super) struct Group {
    hosts: IndexSet<usize>,
    children: IndexSet<usize>,
    parents: IndexSet<usize>,
    vars: Vars,
    /// Those of `group_vars`.
    pub(super) file_vars: Vars,
    priority: i64,
    /// How far below `all` it is, at most.
    depth: usize,
}

/// The groups that always are.
const ALL: usize = 0;
const UNGROUPED: usize = 1;

impl Model {
    pub(super) fn new() -> Self {
        let mut model = Self::default();
        let (all, ungrouped) = (model.group("all"), model.group("ungrouped"));
        model.link(all, ungrouped);
        model
    }

    /// The group of this name, a new one if there is none.
    pub(super) fn group(&mut self, name: &str) -> usize {
        match self.groups.get_index_of(name) {
            Some(known) => known,
            None => self.groups.insert_full(name.to_owned(), Group::new()).0,
        }
    }

    pub(super) fn name(&self, group: usize) -> &str {
        self.groups.get_index(group).expect("a group of this model").0
    }

    /// Puts a host into a group. The port counts where the host is new.
    pub(super) fn host(
        &mut self,
        written: Written,
        port: Option<u16>,
        group: usize,
        place: &FileLine,
    ) -> Result<usize, InventoryError> {
        let Written { name, host } = written;
        if name.trim().is_empty() {
            return Err(place.refused("a host without a name"));
        }
        let index = if let Some(known) = self.hosts.get_index_of(&name) {
            if let Some(port) = port.filter(|port| !self.hosts[known].says_port(*port)) {
                self.warnings.insert(format!(
                    "{place}: port {port} of `{name}` is not used, as {} names it before without that port (Ansible, too)",
                    self.hosts[known].place
                ));
            }
            known
        } else {
            let mut vars = Vars::new();
            if let Some(port) = port {
                vars.insert("ansible_port".to_owned(), Var { value: port.into(), place: place.clone() });
            }
            let groups = IndexSet::new();
            let host = Host { written: host, vars, file_vars: Vars::new(), groups, place: place.clone() };
            self.hosts.insert_full(name, host).0
        };
        self.hosts[index].groups.insert(group);
        self.groups[group].hosts.insert(index);
        Ok(index)
    }

    /// Makes one group a part of another.
    pub(super) fn add_child(&mut self, parent: usize, child: usize, place: &FileLine) -> Result<(), InventoryError> {
        if parent == child {
            return Err(place.refused(format!("group `{}` is a child of itself", self.name(parent))));
        }
        if !self.groups[parent].children.contains(&child) {
            if self.ancestors(parent).contains(&child) {
                let (parent, child) = (self.name(parent), self.name(child));
                return Err(
                    place.refused(format!("`{child}` as a child of `{parent}`: the groups would be in each other"))
                );
            }
            self.link(parent, child);
        }
        Ok(())
    }

    fn link(&mut self, parent: usize, child: usize) {
        self.groups[parent].children.insert(child);
        self.groups[child].parents.insert(parent);
    }

    pub(super) fn set_group_var(&mut self, group: usize, name: &str, var: Var) -> Result<(), InventoryError> {
        if name != "ansible_group_priority" {
            self.groups[group].vars.insert(name.to_owned(), var);
            return Ok(());
        }
        let number = match &var.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(truth) => Some((*truth).into()),
            _ => None,
        };
        self.groups[group].priority =
            number.ok_or_else(|| var.place.refused("ansible_group_priority is a whole number"))?;
        Ok(())
    }

    /// The groups that a group is in, however deep.
    fn ancestors(&self, group: usize) -> IndexSet<usize> {
        let mut found = self.groups[group].parents.clone();
        let mut next = 0;
        while let Some(&group) = found.get_index(next) {
            found.extend(&self.groups[group].parents);
            next += 1;
        }
        found
    }

    /// What Ansible does once all is read: groups without parents are in `all`, hosts without groups in `ungrouped`.
    pub(super) fn finish(&mut self, place: &FileLine) -> Result<(), InventoryError> {
        for group in 0..self.groups.len() {
            if group != ALL && self.groups[group].parents.is_empty() {
                self.add_child(ALL, group, place)?;
            }
        }
        for host in 0..self.hosts.len() {
            let groups = self.groups_of(host);
            let elsewhere = groups.iter().any(|group| !matches!(*group, ALL | UNGROUPED));
            if elsewhere && self.hosts[host].groups.shift_remove(&UNGROUPED) {
                // Ansible forgets groups of such a host that are around `ungrouped` or in it.
                let ungrouped = &self.groups[UNGROUPED];
                if ungrouped.parents.len() > 1 || !ungrouped.children.is_empty() {
                    let host = self.hosts.get_index(host).expect("a host of this model").0;
                    let reason = format!(
                        "`{host}` is in `ungrouped`, which is in another group or has one in it: give that another name"
                    );
                    return Err(place.refused(reason));
                }
                self.groups[UNGROUPED].hosts.shift_remove(&host);
            } else if !elsewhere {
                self.hosts[host].groups.insert(UNGROUPED);
                self.groups[UNGROUPED].hosts.insert(host);
            }
        }
        let mut depths = vec![None; self.groups.len()];
        for group in 0..self.groups.len() {
            self.groups[group].depth = self.depth(group, &mut depths);
        }
        let both = self.groups.keys().filter(|name| self.hosts.contains_key(*name));
        let both = both.map(|name| format!("{place}: `{name}` is the name of a group and of a host"));
        self.warnings.extend(both);
        Ok(())
    }

    fn depth(&self, group: usize, known: &mut [Option<usize>]) -> usize {
        if let Some(depth) = known[group] {
            return depth;
        }
        let parents = self.groups[group].parents.iter();
        let depth = parents.map(|parent| self.depth(*parent, known) + 1).max().unwrap_or(0);
        known[group] = Some(depth);
        depth
    }

    /// All groups that a host is in.
    fn groups_of(&self, host: usize) -> IndexSet<usize> {
        let direct = &self.hosts[host].groups;
        let mut groups = direct.clone();
        groups.extend(direct.iter().flat_map(|group| self.ancestors(*group)));
        groups
    }

    /// The names of the groups that a host is in, `all` apart, sorted.
    pub(super) fn group_names(&self, host: usize) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.groups_of(host).into_iter().filter(|group| *group != ALL).map(|group| self.name(group)).collect();
        names.sort_unstable();
        names
    }

    /// A group's hosts: its own, then those of its children, a level at a time, each host once.
    pub(super) fn members(&self, group: usize) -> Vec<usize> {
        let (mut groups, mut next) = (IndexSet::from([group]), 0);
        let mut hosts = IndexSet::new();
        while let Some(&group) = groups.get_index(next) {
            hosts.extend(self.groups[group].hosts.iter().copied());
            groups.extend(self.groups[group].children.iter().copied());
            next += 1;
        }
        hosts.into_iter().collect()
    }

    /// The variables that a host has, those that count for more first: `host_vars`, its own, `group_vars` of its
    /// groups, deepest first, and of `all`, its groups' own, and `all`'s.
    pub(super) fn ladder(&self, host: usize) -> Vec<&Vars> {
        let of_host = &self.hosts[host];
        let mut groups: Vec<usize> = self.groups_of(host).into_iter().filter(|group| *group != ALL).collect();
        groups.sort_by(|one, other| {
            let key = |group: usize| (self.groups[group].depth, self.groups[group].priority, self.name(group));
            key(*other).cmp(&key(*one))
        });
        let groups = groups.iter().chain([&ALL]).map(|group| &self.groups[*group]);
        let files = groups.clone().map(|group| &group.file_vars);
        let own = groups.map(|group| &group.vars);
        [&of_host.file_vars, &of_host.vars]
            .into_iter()
            .chain(files)
            .chain(own)
            .filter(|vars| !vars.is_empty())
            .collect()
    }

    /// All variables that some of these hosts have.
    pub(super) fn relevant(&self, hosts: &[usize]) -> impl Iterator<Item = &Vars> {
        let direct: HashSet<usize> = hosts.iter().flat_map(|host| self.hosts[*host].groups.iter().copied()).collect();
        let mut groups: IndexSet<usize> = direct.iter().copied().collect();
        groups.extend(direct.iter().flat_map(|group| self.ancestors(*group)));
        groups.sort_unstable();
        let of_groups = groups.into_iter().flat_map(|group| [&self.groups[group].vars, &self.groups[group].file_vars]);
        of_groups.chain(hosts.iter().flat_map(|host| [&self.hosts[*host].vars, &self.hosts[*host].file_vars]))
    }
}

impl Group {
    fn new() -> Self {
        Self {
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            parents: IndexSet::new(),
            vars: Vars::new(),
            file_vars: Vars::new(),
            priority: 1,
            depth: 0,
        }
    }
}

impl Host {
    fn says_port(&self, port: u16) -> bool {
        self.vars.get("ansible_port").is_some_and(|var| var.value == port)
    }
}
