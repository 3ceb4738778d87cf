//! `[roledefs]`.

use std::path::Path;
use std::sync::Arc;

use fabric_core::Layer;

use super::node::{Kind, Node};
use super::reader::Reader;
use crate::hostlist::{Role, RoleSource, Roles};

impl Reader {
    pub(super) fn roles(&mut self, node: &Node, dir: &Path, roles: &mut Roles) {
        let Some(members) = self.table(node, "`roledefs`") else { return };
        for (name, (line, node)) in members {
            let place = format!("role `{name}`");
            let Some(role) = self.role(node, &place, dir) else { continue };
            let origin = self.origin(Layer::Role, *line);
            if roles.insert(name.clone(), Role { origin: Some(origin), ..role }).is_some() {
                self.problem(*line, format!("{place} is defined twice"));
            }
        }
    }

    fn role(&mut self, node: &Node, place: &str, dir: &Path) -> Option<Role> {
        let Kind::Table(members) = &node.kind else {
            return Some(Role::hosts(self.hosts(node, place)?));
        };
        let sources = ["hosts", "roles", "command", "inventory"];
        let given: Vec<&str> = sources.into_iter().filter(|key| members.contains_key(*key)).collect();
        let [key] = given.as_slice() else {
            let message = if given.is_empty() {
                "needs `hosts`, `roles`, `command` or `inventory`".to_owned()
            } else {
                format!("has `{}`: leave one out", given.join("` and `"))
            };
            self.problem(node.line, format!("{place} {message}"));
            return None;
        };
        let what = format!("`{key}` of {place}");
        let (_, value) = &members[*key];
        let group = members.get("group").and_then(|(_, node)| self.text(node, &format!("`group` of {place}")));
        let source = match *key {
            "hosts" => RoleSource::Hosts(self.hosts(value, &what)?),
            "roles" => RoleSource::Roles(self.texts(value, &what)?),
            "command" => RoleSource::Command { line: self.text(value, &what)?, dir: dir.to_owned() },
            _ => RoleSource::File { path: dir.join(self.text(value, &what)?), group },
        };
        let mut known = sources.to_vec();
        if *key == "inventory" {
            known.push("group");
        }
        let settings = self.settings(members, place, &known);
        Some(Role { settings: Arc::new(settings), ..Role::new(source) })
    }
}
