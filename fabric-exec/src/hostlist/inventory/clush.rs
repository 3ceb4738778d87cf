//! Groups as clush has them: `web: web[1-3],@other`, a line each.

use fabric_core::host::{expand, split_list};
use indexmap::{IndexMap, IndexSet};

use super::InventoryError;
use super::model::FileLine;

/// What a group names, each with its line.
pub(super) type Clush = IndexMap<String, Vec<(usize, Named)>>;

#[derive(Debug)]
pub(super) enum Named {
    Host(String),
    Group(String),
}

/// Whether all lines are of this format.
pub(super) fn is_like(text: &str) -> bool {
    let mut rows = super::lines(text).peekable();
    rows.peek().is_some() && rows.all(|(_, row)| parts(row).is_some())
}

fn parts(row: &str) -> Option<(&str, &str)> {
    let (name, nodes) = row.split_once(": ")?;
    (!nodes.trim_start().starts_with('{')).then_some((name.trim(), nodes.trim()))
}

pub(super) fn read(text: &str, file: &FileLine) -> Result<Clush, InventoryError> {
    let mut groups = Clush::new();
    for (line, row) in super::lines(text) {
        let place = file.at(line);
        let Some((name, nodes)) = parts(row) else { continue };
        let group = groups.entry(name.to_owned()).or_default();
        for node in nodes.split_whitespace().flat_map(split_list) {
            if node.contains(['!', '&', '^']) || node.contains('/') {
                return Err(place.refused(format!("`{node}`: set operations and steps of clush are not read here")));
            }
            if let Some(other) = node.strip_prefix('@') {
                group.push((line, Named::Group(other.to_owned())));
                continue;
            }
            let hosts = expand(node).map_err(|error| place.refused(error.to_string()))?;
            group.extend(hosts.into_iter().map(|host| (line, Named::Host(host))));
        }
    }
    Ok(groups)
}

/// A group's hosts, then those of the groups in it, each group once.
pub(super) fn hosts(groups: &Clush, group: &str, file: &FileLine) -> Result<Vec<String>, InventoryError> {
    let (mut names, mut hosts, mut next) = (IndexSet::from([group.to_owned()]), IndexSet::new(), 0);
    while let Some(name) = names.get_index(next).cloned() {
        for (line, named) in &groups[&name] {
            match named {
                Named::Host(host) => drop(hosts.insert(host.clone())),
                Named::Group(other) if groups.contains_key(other) => drop(names.insert(other.clone())),
                Named::Group(other) => return Err(file.at(*line).refused(format!("there is no group `{other}`"))),
            }
        }
        next += 1;
    }
    Ok(hosts.into_iter().collect())
}
