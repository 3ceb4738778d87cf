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
        let hosts = members.get("hosts");
        let command = members.get("command");
        let source = match (hosts, command) {
            (Some((_, hosts)), None) => RoleSource::Hosts(self.hosts(hosts, &format!("`hosts` of {place}"))?),
            (None, Some((_, command))) => {
                RoleSource::Command { line: self.text(command, &format!("`command` of {place}"))?, dir: dir.to_owned() }
            }
            (None, None) => {
                self.problem(node.line, format!("{place} needs `hosts` or `command`"));
                return None;
            }
            (Some((line, _)), Some(_)) => {
                self.problem(*line, format!("{place} has `hosts` and `command`: leave one out"));
                return None;
            }
        };
        // The command's name is also a piece of information of the settings; here it is the role's.
        let settings = self.settings(members, place, &["hosts", "command"]);
        Some(Role { settings: Arc::new(settings), ..Role::new(source) })
    }
}
