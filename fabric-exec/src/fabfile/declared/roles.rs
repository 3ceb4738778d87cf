//! `[roledefs]`.

use std::path::Path;
use std::sync::Arc;

use fabric_core::settings::{Map, Problem, Problems};
use fabric_core::{Layer, Origin, Value};
use fabric_core_document::{Kind, Member, Node, Source};

use super::reader::Reader;
use crate::hostlist::{Role, RoleSource, Roles};
use crate::places::Places;

/// Reads roles in settings, in the forms that `[roledefs]` takes. `dir` is where their files are and their
/// commands start; `origin` is where they are defined.
///
/// # Errors
///
/// Everything that is wrong in them.
///
/// ```
/// use fabric_core::{Layer, Origin};
/// use fabric_exec::fabfile::roles_of;
///
/// let given = serde_json::json!({"web": ["web[1-3]"], "db": {"hosts": "db1", "user": "postgres"}});
/// let origin = Origin::place(Layer::CommandLine, "--set");
/// let roles = roles_of(given.as_object().unwrap(), "/srv/app", &origin)?;
/// assert_eq!(roles["web"].to_value(), serde_json::json!(["web1", "web2", "web3"]));
/// assert_eq!(roles["db"].settings["user"], "postgres");
/// # Ok::<(), fabric_core::settings::Problems>(())
/// ```
pub fn roles_of(roledefs: &Map, dir: impl AsRef<Path>, origin: &Origin) -> Result<Roles, Problems> {
    let dir = dir.as_ref();
    let mut reader = Reader::new(Arc::new(Source::new(&dir.join("roledefs"), "")));
    let mut roles = Roles::new();
    reader.roles(&Node::without_place(&Value::from(roledefs.clone())), dir, &mut roles);
    if !reader.problems.is_empty() {
        let here = |problem: Problem| problem.at(origin.clone());
        return Err(Problems(reader.problems.into_iter().map(here).collect()));
    }
    for role in roles.values_mut() {
        role.origin = Some(origin.clone().layer(Layer::Role));
        role.places = Places::default();
    }
    Ok(roles)
}

/// Where a role's hosts come from: one of these.
const SOURCES: &[&str] = &["hosts", "roles", "command", "inventory"];

/// What goes with `inventory`.
const OF_INVENTORY: &[&str] = &["group"];

/// The keys of a role, besides settings.
pub(super) fn keys() -> Vec<&'static str> {
    [SOURCES, OF_INVENTORY].concat()
}

impl Reader {
    pub(super) fn roles(&mut self, node: &Node, dir: &Path, roles: &mut Roles) {
        let Some(members) = self.table(node, "`roledefs`") else { return };
        for (name, Member { line, node, .. }) in members {
            let place = format!("role `{name}`");
            self.places.take();
            let role = self.role(node, &place, dir);
            let places = self.places.take();
            let Some(role) = role else { continue };
            let origin = self.origin(Layer::Role, *line);
            if roles.insert(name.clone(), Role { origin: Some(origin), places, ..role }).is_some() {
                self.problem(*line, format!("{place} is defined twice"));
            }
        }
    }

    fn role(&mut self, node: &Node, place: &str, dir: &Path) -> Option<Role> {
        let Kind::Table(members) = &node.kind else {
            return Some(Role::hosts(self.hosts(node, place)?));
        };
        let given: Vec<&str> = SOURCES.iter().copied().filter(|key| members.contains_key(*key)).collect();
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
        let value = &members[*key].node;
        let group = members.get("group").and_then(|member| self.text(&member.node, &format!("`group` of {place}")));
        let source = match *key {
            "hosts" => RoleSource::Hosts(self.hosts(value, &what)?),
            "roles" => RoleSource::Roles(self.role_names(value, &what)?),
            "command" => RoleSource::Command { line: self.templated(value, &what)?, dir: dir.to_owned() },
            _ => RoleSource::File { path: dir.join(self.text(value, &what)?), group },
        };
        let known = if *key == "inventory" { keys() } else { SOURCES.to_vec() };
        let settings = self.settings_of_hosts(members, place, &known);
        Some(Role { settings: Arc::new(settings), ..Role::new(source) })
    }
}
