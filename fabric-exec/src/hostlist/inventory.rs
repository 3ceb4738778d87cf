//! Inventories: what commands and files say about which hosts there are.

use std::collections::HashSet;

use fabric_core::HostStringError;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use thiserror::Error;

/// A text that names no hosts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryError {
    /// JSON or YAML of another shape.
    #[error("it is neither a list of host strings, nor an object with `hosts`, nor one with a member per group")]
    Shape,
    /// There are groups, but not this one.
    #[error("it has no group `{group}`, only {}", .known.join(", "))]
    NoGroup {
        /// The group.
        group: String,
        /// The groups that there are.
        known: Vec<String>,
    },
    /// A line or item is no host.
    #[error(transparent)]
    Host(#[from] HostStringError),
}

/// Reads the hosts of a group out of what an inventory command printed, or an inventory file has. The
/// format is told by the text:
///
/// * JSON: a list of host strings; an object with `hosts`; or one with a member per group, as the scripts
///   of Ansible print it;
/// * an inventory of Ansible in YAML (`group:` with `hosts:`, `children:`, `vars:`) or INI (`[group]`,
///   `[group:children]`, `[group:vars]`), of whose variables `ansible_host`, `ansible_user` and `ansible_port`
///   are taken: a host's own, else those of the deepest group that it is in; `all` are the hosts of all groups;
/// * groups as clush has them: `group: web[1-3],@other`, a line each;
/// * else one host string a line, `#` comments and blank lines left out.
///
/// Ranges and braces are expanded. Where there are no groups, `group` doesn't matter.
///
/// ```
/// use fabric_exec::hostlist::read_inventory;
/// assert_eq!(read_inventory("web[1-2]\n# off\ndb1\n", "any")?, ["web1", "web2", "db1"]);
/// assert_eq!(read_inventory(r#"{"web": {"hosts": ["a"]}, "db": ["b"]}"#, "db")?, ["b"]);
/// assert_eq!(read_inventory("[web]\nw1 ansible_user=u\n[all:children]\nweb\n", "all")?, ["u@w1"]);
/// assert_eq!(read_inventory("web: w[1-2]\nall: x,@web\n", "all")?, ["x", "w1", "w2"]);
/// # Ok::<(), fabric_exec::hostlist::InventoryError>(())
/// ```
pub fn read_inventory(text: &str, group: &str) -> Result<Vec<String>, InventoryError> {
    let items = match serde_json::from_str::<Value>(text.trim()) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => json(&value, group)?,
        _ => match groups_of(text)? {
            Some(groups) => groups.hosts(group)?,
            None => lines(text).map(|(_, line)| line.to_owned()).collect(),
        },
    };
    let mut hosts = Vec::new();
    for item in items {
        hosts.extend(fabric_core::host::expand(&item)?);
    }
    Ok(hosts)
}

/// One host string a line; what follows `#` at the start or after white space is a comment. With the lines' numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // What some editors begin a file with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines().map(uncommented)).filter(|(_, line)| !line.is_empty())
}

fn uncommented(line: &str) -> &str {
    match line.find('#') {
        Some(at) if at == 0 || line[..at].ends_with(char::is_whitespace) => line[..at].trim(),
        _ => line.trim(),
    }
}

fn json(value: &Value, group: &str) -> Result<Vec<String>, InventoryError> {
    let Value::Object(map) = value else { return texts(value) };
    match map.get("hosts") {
        Some(hosts) if !map.contains_key(group) => texts(hosts),
        _ => Groups::of_json(map)?.hosts(group),
    }
}

/// A list of texts, or the keys of an object.
fn texts(value: &Value) -> Result<Vec<String>, InventoryError> {
    match value {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(InventoryError::Shape)).collect()
        }
        Value::Object(map) => Ok(map.keys().cloned().collect()),
        _ => Err(InventoryError::Shape),
    }
}

/// Groups, if the text has them.
fn groups_of(text: &str) -> Result<Option<Groups>, InventoryError> {
    let rows: Vec<&str> = text.lines().map(uncommented).filter(|line| !line.is_empty() && *line != "---").collect();
    if rows.iter().any(|row| section(row).is_some()) {
        return Ok(Some(Groups::of_ini(&rows)));
    }
    match rows.first() {
        Some(first) if first.ends_with(':') && !first[..first.len() - 1].contains(':') => {
            let value: Value = serde_saphyr::from_str(text).map_err(|_| InventoryError::Shape)?;
            let map = value.as_object().ok_or(InventoryError::Shape)?;
            Ok(Some(Groups::of_yaml(map)))
        }
        Some(_) if rows.iter().all(|row| row.contains(": ")) => Ok(Some(Groups::of_lines(&rows))),
        _ => Ok(None),
    }
}

/// `[name]` or `[name:kind]`; `[::1]:22` and `[1-3]` are none.
fn section(row: &str) -> Option<(&str, &str)> {
    let inside = row.strip_prefix('[')?.strip_suffix(']')?;
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "hosts"));
    let plain = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    (plain && matches!(kind, "hosts" | "children" | "vars")).then_some((name, kind))
}

/// Variables of a host or group that say where a host is.
type Vars = IndexMap<&'static str, String>;

/// Variables of Ansible, newer and older spelling.
const VARS: [[&str; 2]; 3] =
    [["ansible_host", "ansible_ssh_host"], ["ansible_user", "ansible_ssh_user"], ["ansible_port", "ansible_ssh_port"]];

/// Those of the variables that say where a host is.
fn vars(find: impl Fn(&str) -> Option<String>) -> Vars {
    VARS.into_iter().filter_map(|names| Some((names[0], names.into_iter().find_map(&find)?))).collect()
}

#[derive(Default)]
struct Groups {
    by_name: IndexMap<String, Group>,
    /// Hosts' own variables.
    vars: IndexMap<String, Vars>,
    /// Whether `all` are the hosts of all groups, as with Ansible.
    all_is_all: bool,
}

#[derive(Default)]
struct Group {
    hosts: Vec<String>,
    children: Vec<String>,
    vars: Vars,
}

impl Groups {
    fn of_ansible() -> Self {
        Self { all_is_all: true, ..Self::default() }
    }

    fn group(&mut self, name: &str) -> &mut Group {
        self.by_name.entry(name.to_owned()).or_default()
    }

    /// `{"web": {"hosts": [..], "children": [..]}, "db": [..], "_meta": {"hostvars": {..}}}`
    fn of_json(map: &Map<String, Value>) -> Result<Self, InventoryError> {
        let mut groups = Self::of_ansible();
        for (name, value) in map {
            if name == "_meta" {
                for (host, of_host) in value["hostvars"].as_object().into_iter().flatten() {
                    groups.vars.insert(ranges(host), vars(|name| of_host.get(name).map(plain)));
                }
                continue;
            }
            let (hosts, children) = match value {
                Value::Object(inner) => (inner.get("hosts"), inner.get("children")),
                list => (Some(list), None),
            };
            let group = groups.group(name);
            group.hosts = hosts.map(texts).transpose()?.unwrap_or_default();
            group.children = children.map(texts).transpose()?.unwrap_or_default();
            group.vars = vars(|name| value.get("vars")?.get(name).map(plain));
        }
        Ok(groups)
    }

    /// `web: {hosts: {a: {ansible_host: ..}}, children: {..}}`
    fn of_yaml(map: &Map<String, Value>) -> Self {
        let mut groups = Self::of_ansible();
        groups.nested(map);
        groups
    }

    fn nested(&mut self, map: &Map<String, Value>) {
        for (name, value) in map {
            let of_group = vars(|name| value.get("vars")?.get(name).map(plain));
            self.group(name).vars.extend(of_group);
            for (host, of_host) in value["hosts"].as_object().into_iter().flatten() {
                self.group(name).hosts.push(ranges(host));
                let of_host = vars(|name| of_host.get(name).map(plain));
                self.vars.entry(ranges(host)).or_default().extend(of_host);
            }
            if let Some(children) = value["children"].as_object() {
                self.group(name).children.extend(children.keys().cloned());
                self.nested(children);
            }
        }
    }

    fn of_ini(rows: &[&str]) -> Self {
        let mut groups = Self::of_ansible();
        let (mut group, mut kind) = ("ungrouped", "hosts");
        let unquoted = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
        for row in rows {
            if let Some((name, what)) = section(row) {
                (group, kind) = (name, what);
                groups.group(group);
                continue;
            }
            let mut words = row.split_whitespace();
            let Some(first) = words.next() else { continue };
            match kind {
                "children" => groups.group(group).children.push(first.to_owned()),
                "hosts" => {
                    groups.group(group).hosts.push(ranges(first));
                    let given: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
                    let find = |name: &str| given.iter().find(|(key, _)| *key == name);
                    let of_host = vars(|name| find(name).map(|(_, value)| unquoted(value)));
                    groups.vars.entry(ranges(first)).or_default().extend(of_host);
                }
                _ => {
                    let Some((key, value)) = row.split_once('=') else { continue };
                    let of_group = vars(|name| (key.trim() == name).then(|| unquoted(value)));
                    groups.group(group).vars.extend(of_group);
                }
            }
        }
        groups
    }

    /// `web: web[1-3],@other`
    fn of_lines(rows: &[&str]) -> Self {
        let mut groups = Self::default();
        for (name, nodes) in rows.iter().filter_map(|row| row.split_once(": ")) {
            for node in nodes.split_whitespace().flat_map(fabric_core::host::split_list) {
                let group = groups.group(name.trim());
                match node.strip_prefix('@') {
                    Some(other) => group.children.push(other.to_owned()),
                    None => group.hosts.push(node.to_owned()),
                }
            }
        }
        groups
    }

    /// A group's hosts, then those of the groups in it, each group once.
    fn hosts(&self, group: &str) -> Result<Vec<String>, InventoryError> {
        let is_known = self.by_name.contains_key(group) || (self.all_is_all && group == "all");
        if !is_known {
            let known = self.by_name.keys().cloned().collect();
            return Err(InventoryError::NoGroup { group: group.to_owned(), known });
        }
        let inherited = self.inherited();
        let address = |host: &String| {
            let groups = inherited.get(host.as_str()).into_iter().flatten();
            let mut vars: Vars = groups.flat_map(|group| group.vars.clone()).collect();
            vars.extend(self.vars.get(host).cloned().unwrap_or_default());
            address(host, &vars)
        };
        Ok(self.members(group).into_iter().map(address).collect())
    }

    /// The hosts of a group, as they are written.
    fn members<'a>(&'a self, group: &'a str) -> Vec<&'a String> {
        let (mut seen, mut hosts) = (HashSet::new(), Vec::new());
        self.collect(group, &mut seen, &mut hosts);
        if self.all_is_all && group == "all" {
            self.by_name.keys().for_each(|name| self.collect(name, &mut seen, &mut hosts));
        }
        hosts
    }

    fn collect<'a>(&'a self, name: &'a str, seen: &mut HashSet<&'a str>, hosts: &mut Vec<&'a String>) {
        let Some(group) = self.by_name.get(name).filter(|_| seen.insert(name)) else { return };
        hosts.extend(&group.hosts);
        for child in &group.children {
            self.collect(child, seen, hosts);
        }
    }

    /// The groups with variables that each host is in, the deepest one last, those of one depth by name (Ansible).
    fn inherited(&self) -> IndexMap<&str, Vec<&Group>> {
        let mut named: Vec<(usize, &String, &Group)> = self
            .by_name
            .iter()
            .filter(|(_, group)| !group.vars.is_empty())
            .map(|(name, group)| (self.depth(name, &mut Vec::new()), name, group))
            .collect();
        named.sort_by_key(|(depth, name, _)| (*depth, *name));
        let mut inherited: IndexMap<&str, Vec<&Group>> = IndexMap::new();
        for (_, name, group) in named {
            for host in self.members(name) {
                inherited.entry(host).or_default().push(group);
            }
        }
        inherited
    }

    /// How far below `all` a group is, at most.
    fn depth<'a>(&'a self, name: &'a str, open: &mut Vec<&'a str>) -> usize {
        if name == "all" || open.contains(&name) {
            return 0;
        }
        open.push(name);
        let parents = self.by_name.iter().filter(|(_, group)| group.children.iter().any(|child| child == name));
        let depth = parents.map(|(parent, _)| self.depth(parent, open)).max().unwrap_or(0);
        open.pop();
        depth + 1
    }
}

/// Where a host is, as a host string. What it says itself stands.
fn address(host: &str, vars: &Vars) -> String {
    let [address, user, port] = VARS.map(|[name, _]| vars.get(name));
    let address = address.map_or(host, String::as_str);
    let user = user.filter(|_| !address.contains('@')).map(|user| format!("{user}@")).unwrap_or_default();
    match port {
        Some(port) if address.parse::<std::net::Ipv6Addr>().is_ok() => format!("{user}[{address}]:{port}"),
        Some(port) if !address.contains(':') => format!("{user}{address}:{port}"),
        _ => user + address,
    }
}

/// Ansible's `www[01:50]` as `www[01-50]`.
fn ranges(host: &str) -> String {
    match (host.find('['), host.find(']')) {
        (Some(from), Some(to))
            if from < to
                && host[from + 1..to].split(':').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) =>
        {
            format!("{}{}{}", &host[..from], host[from..=to].replace(':', "-"), &host[to + 1..])
        }
        _ => host.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventories_come_in_several_shapes() {
        let ini = "
            mail.example.com
            [web] ; comment lines are with #
            www[01:03].example.com   ansible_user=deploy
            # off
            here:2222
            alone ansible_host=10.0.0.1 ansible_port=2222 ansible_user='root'
            plain
            [db]
            v6 ansible_host=::1 ansible_port=22
            [prod:children]
            web
            db
            [prod:vars]
            ansible_user = nobody
            [web:vars]
            ansible_user='www'
            [all:vars]
            ansible_port=2200
            ansible_user=any
        "
        .replace(" ; comment lines are with #", "");
        let yaml = "
all:
  hosts:
    mail: {}
  children:
    web:
      vars: {ansible_user: deploy}
      hosts:
        www[1:2]:
        x: {ansible_host: 10.1.1.1, ansible_port: 2200}
";
        let script = r#"{"web": {"hosts": ["a", "b"], "children": ["sub"]}, "sub": {"hosts": ["c"], "vars": {"ansible_user": "u"}},
            "_meta": {"hostvars": {"b": {"ansible_host": "10.0.0.2"}}}}"#;
        let ok: &[(&str, &str, &[&str])] = &[
            ("a\nb\n", "web", &["a", "b"]),
            ("# none\n\n", "web", &[]),
            ("a # the first\nu@b:22", "web", &["a", "u@b:22"]),
            (r#"["a", "w[1-2]"]"#, "web", &["a", "w1", "w2"]),
            ("[::1]:22\n", "web", &["[::1]:22"]),
            (r#"{"hosts": ["a"]}"#, "web", &["a"]),
            (r#"{"hosts": {"a": {}, "b": null}}"#, "web", &["a", "b"]),
            (r#"{"web": ["a"], "_meta": {}}"#, "web", &["a"]),
            (r#"{"web": {"hosts": ["a"]}, "hosts": ["b"]}"#, "web", &["a"]),
            ("", "web", &[]),
            (script, "web", &["a", "10.0.0.2", "u@c"]),
            ("web: a\nall: b\n", "all", &["b"]),
            (&ini, "db", &["nobody@[::1]:22"]),
            (
                &ini,
                "web",
                &["deploy@www[01-03].example.com:2200", "www@here:2222", "root@10.0.0.1:2222", "www@plain:2200"],
            ),
            (&ini, "ungrouped", &["any@mail.example.com:2200"]),
            (
                &ini,
                "all",
                &[
                    "any@mail.example.com:2200",
                    "deploy@www[01-03].example.com:2200",
                    "www@here:2222",
                    "root@10.0.0.1:2222",
                    "www@plain:2200",
                    "nobody@[::1]:22",
                ],
            ),
            (yaml, "all", &["mail", "deploy@www1", "deploy@www2", "deploy@10.1.1.1:2200"]),
            (yaml, "web", &["deploy@www1", "deploy@www2", "deploy@10.1.1.1:2200"]),
            ("web: w[1-2] x\nall: @web,@all,y\n", "all", &["y", "w1", "w2", "x"]),
        ];
        for (text, group, hosts) in ok {
            let want: Vec<String> = hosts.iter().flat_map(|host| fabric_core::host::expand(host).unwrap()).collect();
            assert_eq!(read_inventory(text, group).unwrap(), want, "{group} of {text}");
        }
        for text in [r#"{"db": []}"#, "[1]", r#"{"hosts": 1}"#, "w[1-", "[db]\na\n", "db:\n  hosts: {}\n"] {
            assert!(read_inventory(text, "web").is_err(), "{text}");
        }
    }
}
