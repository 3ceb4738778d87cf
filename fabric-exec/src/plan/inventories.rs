//! Inventories in a run: reading them, and what they say of hosts that are named elsewhere, too.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fabric_core::HostString;
use fabric_core::settings::Overlay;
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::role_error::RoleError;
use crate::hostlist::{HostList, Inventory, InventoryError, Level, Members, RoleSource, Roles};

/// What inventories have said in a run.
#[derive(Debug, Default)]
pub(crate) struct Inventories {
    /// Which inventory named a host, and what it says about it.
    named: Mutex<HashMap<HostString, Said>>,
    /// What a person should know about them that has not been passed on yet, and all that ever was.
    warnings: Mutex<(Vec<String>, HashSet<String>)>,
    /// The hosts of the inventory files that roles name, read when they are needed.
    known: OnceLock<Vec<Known>>,
}

/// An inventory, and what it says about a host.
type Said = (Arc<str>, Arc<[Overlay]>);

impl Inventories {
    /// Takes note of what an inventory says. Two machines of one name would be one in lists, output and reports.
    fn note(&self, inventory: &str, members: &Members) -> Result<(), RoleError> {
        if !members.has_settings {
            return Ok(());
        }
        let inventory: Arc<str> = inventory.into();
        let mut named = self.named.lock();
        for listed in &members.hosts {
            let known =
                named.entry(listed.host.clone()).or_insert_with(|| (inventory.clone(), listed.settings.clone()));
            let same = known.1.iter().map(|of| &of.values).eq(listed.settings.iter().map(|of| &of.values));
            if known.0 == inventory {
                known.1 = listed.settings.clone();
            } else if !same {
                let inventories = [known.0.to_string(), inventory.to_string()];
                return Err(RoleError::TwoInventories { host: listed.host.to_string(), inventories });
            }
        }
        Ok(())
    }

    /// What a person should know about inventories that have been read, each text once.
    pub(crate) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().0)
    }

    /// The hosts of a group of an inventory file.
    pub(super) async fn file(&self, path: &Path, group: &str) -> Result<Members, RoleError> {
        let (path, group, shown) = (path.to_path_buf(), group.to_owned(), path.display().to_string());
        let read = tokio::task::spawn_blocking(move || Inventory::open(&path)?.group(&group));
        let members = read.await.map_err(|error| RoleError::Panicked(error.to_string()))?;
        self.noted(&shown, members)
    }

    /// The hosts of a group of what an inventory command has printed.
    pub(super) fn printed(&self, line: &str, output: &str, group: &str) -> Result<Members, RoleError> {
        let name = format!("`{line}`");
        let members = Inventory::read(output, &name).and_then(|inventory| inventory.group(group));
        self.noted(&name, members)
    }

    fn noted(&self, inventory: &str, members: Result<Members, InventoryError>) -> Result<Members, RoleError> {
        let members = members.map_err(|error| RoleError::Inventory { inventory: inventory.to_owned(), error })?;
        let mut warnings = self.warnings.lock();
        for warning in &members.warnings {
            if warnings.1.insert(warning.clone()) {
                warnings.0.push(warning.clone());
            }
        }
        drop(warnings);
        self.note(inventory, &members)?;
        Ok(members)
    }

    /// Warns of hosts that a list names by themselves, or by a role that doesn't know them from an inventory, where the
    /// inventory of another role has settings for them.
    pub(super) fn warn_of_bare_hosts(&self, roles: &Roles, list: &mut HostList) {
        if matches!(list.level, Level::Current | Level::Local) {
            return;
        }
        let bare = list.hosts.iter().filter(|listed| listed.inventory.is_none());
        let mut found: IndexMap<&Known, Vec<&str>> = IndexMap::new();
        for listed in bare {
            let known = self.known.get_or_init(|| known_hosts(roles));
            let known = known.iter().find(|known| known.hosts.contains(&listed.host));
            if let Some(known) = known {
                found.entry(known).or_default().push(listed.host.as_str());
            }
        }
        let warning = |(known, hosts): (&Known, Vec<&str>)| {
            let hosts = fabric_core::host::fold(hosts);
            let advice = match &known.role {
                Some(role) => format!("`-R {role} --only {hosts}` uses them"),
                None => "a role with that inventory and a group of theirs uses them".to_owned(),
            };
            format!(
                "what inventory {} says about {hosts} is not used, as hosts are named without a role of it: {advice}",
                known.inventory.display()
            )
        };
        let warnings: Vec<String> = found.into_iter().map(warning).collect();
        list.warnings.extend(warnings);
    }
}

/// The hosts of the inventory files that roles name, as far as they can be read: first by role, then the others.
fn known_hosts(roles: &Roles) -> Vec<Known> {
    let (mut of_roles, mut others) = (Vec::new(), Vec::new());
    for (name, role) in roles {
        let RoleSource::File { path, group } = &role.source else { continue };
        let Ok(inventory) = Inventory::open(path) else { continue };
        let add = |list: &mut Vec<Known>, role, group: &str| {
            let Ok(members) = inventory.group(group) else { return };
            let hosts = members.hosts.into_iter().filter(|listed| !listed.settings.is_empty());
            let hosts = hosts.map(|listed| listed.host).collect();
            list.push(Known { role, inventory: path.clone(), hosts });
        };
        add(&mut of_roles, Some(name.clone()), group.as_deref().unwrap_or(name));
        add(&mut others, None, "all");
    }
    of_roles.append(&mut others);
    of_roles
}

/// The hosts of an inventory that it has settings for.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    /// The role whose they are, if they are one's.
    role: Option<String>,
    inventory: PathBuf,
    hosts: HashSet<HostString>,
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.role, &self.inventory).hash(state);
    }
}
