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
/// * an inventory of Ansible in YAML (`group:` with `hosts:` and `children:`) or INI (`[group]`,
///   `[group:children]`), of whose variables `ansible_host`, `ansible_user` and `ansible_port` are taken;
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
            None => lines(text),
        },
    };
    let mut hosts = Vec::new();
    for item in items {
        hosts.extend(fabric_core::host::expand(&item)?);
    }
    Ok(hosts)
}

/// One host string a line; what follows `#` at the start or after white space is a comment.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines().map(uncommented).filter(|line| !line.is_empty()).map(str::to_owned).collect()
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

#[derive(Default)]
struct Groups {
    groups: IndexMap<String, Group>,
    /// Where a host really is, as a host string.
    addresses: IndexMap<String, String>,
}

#[derive(Default)]
struct Group {
    hosts: Vec<String>,
    children: Vec<String>,
}

impl Groups {
    fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// `{"web": {"hosts": [..], "children": [..]}, "db": [..], "_meta": {"hostvars": {..}}}`
    fn of_json(map: &Map<String, Value>) -> Result<Self, InventoryError> {
        let mut groups = Self::default();
        for (name, value) in map {
            if name == "_meta" {
                for (host, vars) in value["hostvars"].as_object().into_iter().flatten() {
                    groups.address(host, |name| vars.get(name).map(plain));
                }
                continue;
            }
            let (hosts, children) = match value {
                Value::Object(inner) => (inner.get("hosts"), inner.get("children")),
                list => (Some(list), None),
            };
            groups.group(name).hosts = hosts.map(texts).transpose()?.unwrap_or_default();
            groups.group(name).children = children.map(texts).transpose()?.unwrap_or_default();
        }
        Ok(groups)
    }

    /// `web: {hosts: {a: {ansible_host: ..}}, children: {..}}`
    fn of_yaml(map: &Map<String, Value>) -> Self {
        let mut groups = Self::default();
        groups.nested(map);
        groups
    }

    fn nested(&mut self, map: &Map<String, Value>) {
        for (name, value) in map {
            self.group(name);
            for (host, vars) in value["hosts"].as_object().into_iter().flatten() {
                self.group(name).hosts.push(ranges(host));
                self.address(host, |name| vars.get(name).map(plain));
            }
            if let Some(children) = value["children"].as_object() {
                self.group(name).children.extend(children.keys().cloned());
                self.nested(children);
            }
        }
    }

    fn of_ini(rows: &[&str]) -> Self {
        let mut groups = Self::default();
        let (mut group, mut kind) = ("ungrouped", "hosts");
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
                    let vars: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
                    let find = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
                    groups.address(first, |name| find(name).map(|value| value.trim_matches(['"', '\'']).to_owned()));
                }
                _ => {}
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

    /// Notes where a host is, by Ansible's variables.
    fn address(&mut self, host: &str, var: impl Fn(&str) -> Option<String>) {
        let any = |names: [&str; 2]| names.into_iter().find_map(&var);
        let address = any(["ansible_host", "ansible_ssh_host"]);
        let user = any(["ansible_user", "ansible_ssh_user"]);
        let port = any(["ansible_port", "ansible_ssh_port"]);
        if address.is_none() && user.is_none() && port.is_none() {
            return;
        }
        let mut text = user.map(|user| user + "@").unwrap_or_default();
        let address = address.unwrap_or_else(|| ranges(host));
        match port {
            Some(port) if address.contains(':') => text.extend(["[", &address, "]:", &port]),
            Some(port) => text.extend([&address, ":", &port]),
            None => text.push_str(&address),
        }
        self.addresses.insert(ranges(host), text);
    }

    /// A group's hosts, then those of the groups in it, each group once.
    fn hosts(&self, group: &str) -> Result<Vec<String>, InventoryError> {
        // Ansible's `all` need not be written down.
        if group == "all" && !self.groups.contains_key("all") {
            let mut hosts = Vec::new();
            let mut seen = HashSet::new();
            self.groups.keys().for_each(|name| self.collect(name, &mut seen, &mut hosts));
            return Ok(hosts);
        }
        if !self.groups.contains_key(group) {
            let known = self.groups.keys().cloned().collect();
            return Err(InventoryError::NoGroup { group: group.to_owned(), known });
        }
        let mut hosts = Vec::new();
        self.collect(group, &mut HashSet::new(), &mut hosts);
        Ok(hosts)
    }

    fn collect<'a>(&'a self, name: &'a str, seen: &mut HashSet<&'a str>, hosts: &mut Vec<String>) {
        let Some(group) = self.groups.get(name).filter(|_| seen.insert(name)) else { return };
        hosts.extend(group.hosts.iter().map(|host| self.addresses.get(host).unwrap_or(host).clone()));
        for child in &group.children {
            self.collect(child, seen, hosts);
        }
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
            alone ansible_host=10.0.0.1 ansible_port=2222 ansible_user='root'
            [db]
            v6 ansible_host=::1 ansible_port=22
            [prod:children]
            web
            db
            [prod:vars]
            ansible_user=nobody
        "
        .replace(" ; comment lines are with #", "");
        let yaml = "
all:
  hosts:
    mail: {}
  children:
    web:
      hosts:
        www[1:2]:
        x: {ansible_host: 10.1.1.1, ansible_port: 2200}
";
        let script = r#"{"web": {"hosts": ["a", "b"], "children": ["sub"]}, "sub": ["c"],
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
            (script, "web", &["a", "10.0.0.2", "c"]),
            (&ini, "db", &["[::1]:22"]),
            (&ini, "prod", &["deploy@www[01-03].example.com", "root@10.0.0.1:2222", "[::1]:22"]),
            (&ini, "ungrouped", &["mail.example.com"]),
            (yaml, "all", &["mail", "www1", "www2", "10.1.1.1:2200"]),
            (yaml, "web", &["www1", "www2", "10.1.1.1:2200"]),
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
