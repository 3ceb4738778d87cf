//! Inventories are read as Ansible reads them: `inventories.json` has inputs with the answers of `ansible-inventory`,
//! which `scripts/compare-inventory --record` has written down.

use std::collections::BTreeMap;
use std::path::Path;

use fabric_core::HostString;
use fabric_exec::hostlist::{Inventory, InventoryError, Members};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    name: String,
    /// The first one in the order of the file is the inventory.
    files: serde_json::Map<String, Value>,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    hosts: BTreeMap<String, BTreeMap<String, String>>,
}

fn opened(case: &Case, dir: &Path) -> Result<Inventory, InventoryError> {
    let mut paths = case.files.iter().map(|(name, text)| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text.as_str().unwrap()).unwrap();
        path
    });
    let first = paths.next().unwrap();
    paths.for_each(drop);
    Inventory::open(&first)
}

/// A host's name, and its settings, those in its host string included.
fn shown(members: &Members) -> Vec<(String, BTreeMap<String, String>)> {
    let shown = members.hosts.iter().map(|listed| {
        let host = &listed.host;
        let mut settings = BTreeMap::new();
        for (name, value) in listed.settings.iter().flat_map(|settings| settings.values.iter()) {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(items) => items[0].as_str().unwrap().to_owned(),
                other => other.to_string(),
            };
            settings.insert(name.clone(), text);
        }
        settings.extend(host.port().map(|port| ("port".to_owned(), port.to_string())));
        let user = host.user().map(|user| format!("{user}@")).unwrap_or_default();
        (format!("{user}{}", host.host()), settings)
    });
    shown.collect()
}

#[test]
fn inventories_are_read_as_ansible_reads_them_or_refused() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("inventories.json")).unwrap();
    assert!(cases.len() > 70 && cases.iter().filter(|case| case.refused).count() > 20);
    for case in &cases {
        let dir = tempfile::tempdir().unwrap();
        let inventory = match opened(case, dir.path()) {
            Ok(_) if case.refused => panic!("{}: Ansible refuses it", case.name),
            Err(_) if case.refused => continue,
            inventory => inventory.unwrap_or_else(|error| panic!("{}: {error}", case.name)),
        };
        for (group, hosts) in &case.groups {
            // A list without groups is whole, whichever group is asked for.
            if group != "all" && inventory.groups().is_empty() {
                continue;
            }
            let members = inventory.group(group).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let names: Vec<String> = shown(&members).into_iter().map(|(name, _)| name).collect();
            assert_eq!(&names, hosts, "{}: group {group}", case.name);
        }
        let hosts: BTreeMap<_, _> = shown(&inventory.group("all").unwrap()).into_iter().collect();
        assert_eq!(hosts, case.hosts, "{}", case.name);
    }
}

fn refusal(text: &str, group: &str) -> String {
    match Inventory::read(text, "hosts").and_then(|inventory| inventory.group(group)) {
        Err(error) => error.to_string(),
        Ok(members) => panic!("{text}: {members:?}"),
    }
}

#[test]
fn a_refusal_names_file_line_and_what_was_expected() {
    for (text, error) in [
        ("[web]\nw1 w2\n", "hosts:2: `w2` behind a host is no `name=value`, without blanks; a line has one host"),
        (
            "[web]\nw1 ansible_password=hunter 2\n",
            "hosts:2: what follows `ansible_password=` is no `name=value`: quote a value that has blanks",
        ),
        ("[web]\nw1\n[web:vars]\nhunter2\n", "hosts:4: variables are `name = value`, a line each"),
        ("[a:children]\nb\n", "hosts:2: `a` has the child `b`, but there is no group `b`"),
        ("[a:children]\nb\n[b:children]\na\n", "hosts:4: `a` as a child of `b`: the groups would be in each other"),
        ("[web]\nw1 ansible_port=ssh\n", "hosts:2: `ansible_port` of host `w1`: a number from 1 to 65535 is expected"),
        (
            "[web]\nw1 ansible_host=a:22\n",
            "hosts:2: `ansible_host` of host `w1`: the name or address of a host is expected, without a port",
        ),
        ("[web]\nw[3:1]\n", "hosts:2: `w[3:1]`: a range begins with its smaller end"),
        ("web:\n  hosts:\n  - w1\n", "hosts:2: `hosts` of group `web` is a table: `name:` a line, without `-`"),
        (
            "[web]\nw1 ansible_host='{{ nope }}.x'\n",
            "hosts:2: `ansible_host` of host `w1`: a template that can't be rendered here: `nope` is undefined",
        ),
        ("a: x!y\n", "hosts:1: `x!y`: set operations and steps of clush are not read here"),
        ("a: @b\n", "hosts:1: there is no group `b`"),
    ] {
        assert_eq!(refusal(text, if text.starts_with('a') { "a" } else { "web" }), error, "{text}");
    }
    let error = Inventory::read("[web]\nw1\n", "hosts").unwrap().group("db").unwrap_err();
    assert_eq!(error, InventoryError::NoGroup { group: "db".into(), known: vec!["web".into()] });
    let dir = tempfile::tempdir().unwrap();
    for (name, text, error) in [
        ("inventory.py", "#!/usr/bin/env python3\nprint('{}')\n", "it is a program"),
        ("hosts.toml", "[web.hosts]\nw1 = {}\n", "TOML"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
        let refused = Inventory::open(&dir.path().join(name)).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains(error), "{refused}");
    }
}

#[test]
fn variables_are_settings_of_the_host() {
    let text = "[web]\nw1 ansible_host=10.0.0.5 ansible_port=2222 ansible_user=bob\nw2:23 ansible_host=w2\n\
                w3 base=x ansible_host='{{ base }}.{{ inventory_hostname }}.example.com'\n\
                w4 ansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p b\" -J h1,h2 -C -4q -L 1:x:2' \
                ansible_ssh_extra_args='-F none -oCompression=no -i key' ansible_ssh_pipelining=1\n\
                w5 ansible_password='{{ vault_password }}' ansible_persistent_connection_x=1\n";
    let members = Inventory::read(text, "hosts").unwrap().group("web").unwrap();
    let settings = |host: &str| {
        let host: HostString = host.parse().unwrap();
        let listed = members.hosts.iter().find(|listed| listed.host == host).unwrap();
        listed.settings.iter().map(|of| serde_json::to_string(&*of.values).unwrap()).collect::<String>()
    };
    assert_eq!(settings("w1"), r#"{"hostname":"10.0.0.5","port":2222,"user":"bob"}"#);
    assert_eq!(settings("w2:23"), "", "the host string says it all");
    assert_eq!(settings("w3"), r#"{"hostname":"x.w3.example.com"}"#);
    assert_eq!(
        settings("w4"),
        r#"{"gateway":"h1,h2","use_ssh_config":false,"ssh_options":["ProxyCommand=ssh -W %h:%p b","Compression=yes","AddressFamily=inet","Compression=no","IdentityFile=key"]}"#
    );
    assert_eq!(settings("w5"), "");
    assert_eq!(
        members.warnings,
        [
            "inventory hosts: not taken over: ansible_ssh_pipelining, ansible_persistent_connection_x",
            "hosts:5: `ansible_ssh_common_args` of host `w4`: the option -L is not taken over",
            "hosts:6: `ansible_password` of host `w5`: a template that can't be rendered here: `vault_password` is undefined",
        ]
    );
}

#[test]
fn scalars_of_yaml_are_what_they_are_to_ansible() {
    // Each as `ansible-inventory --list` has it, as a text.
    for (written, user) in [
        ("0644", "420"),
        ("1e3", "1e3"),
        ("0o17", "0o17"),
        ("1.10", "1.1"),
        ("12:30:45", "45045"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1000"),
        ("y", "y"),
        ("\"0644\"", "0644"),
        ("'12:30:45'", "12:30:45"),
        ("!!str 0644", "0644"),
    ] {
        let text = format!("web:\n  hosts:\n    w1:\n      ansible_user: {written}\n");
        let members = Inventory::read(&text, "hosts").unwrap().group("web").unwrap();
        assert_eq!(members.hosts[0].settings[0].values["user"], user, "{written}");
    }
}

#[test]
fn scripts_and_directories_of_inventories_are_read() {
    let script = r#"{"web": {"hosts": ["a", "b"], "children": ["sub"]}, "sub": {"hosts": ["c"], "vars": {"ansible_user": "u"}},
        "_meta": {"hostvars": {"b": {"ansible_host": "10.0.0.2"}}}}"#;
    let members = Inventory::read(script, "`./inv`").unwrap().group("web").unwrap();
    let own = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    assert_eq!(
        shown(&members),
        [("a".into(), BTreeMap::new()), ("b".into(), own("hostname", "10.0.0.2")), ("c".into(), own("user", "u"))]
    );
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("1-web", "[web]\nw1\n"),
        ("2-db.yml", "db:\n  hosts:\n    d1:\n  children:\n    web:\n"),
        ("notes.txt", "w9\n"),
        (".hidden", "w9\n"),
        ("more/hosts", "[web]\nw2\n"),
        ("group_vars/db.yml", "ansible_user: u\n"),
    ] {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let members = Inventory::open(dir.path()).unwrap().group("db").unwrap();
    let names: Vec<String> = shown(&members).into_iter().map(|(name, of)| format!("{name} {}", of["user"])).collect();
    assert_eq!(names, ["d1 u", "w1 u", "w2 u"]);
    std::fs::write(dir.path().join("group_vars/web.yml"), "$ANSIBLE_VAULT;1.1;AES256\n3539\n").unwrap();
    let warnings = Inventory::open(dir.path()).unwrap().group("db").unwrap().warnings;
    assert!(warnings[0].contains("web.yml is encrypted"), "{warnings:?}");
}

#[test]
fn lists_and_groups_of_clush_are_read_as_before() {
    for (text, group, hosts) in [
        ("a\nb\n", "web", "a b"),
        ("# none\n\n", "web", ""),
        ("; off\na # the first\nu@b:22", "web", "a u@b:22"),
        (r#"["a", "w[1-2]"]"#, "web", "a w1 w2"),
        ("[::1]:22\n", "web", "[::1]:22"),
        (r#"{"hosts": ["a"]}"#, "web", "a"),
        (r#"{"hosts": {"a": {}, "b": null}}"#, "web", "a b"),
        (r#"{"web": ["a"], "_meta": {"hostvars": {}}}"#, "web", "a"),
        (r#"{"web": {"hosts": ["a"]}, "hosts": ["b"]}"#, "web", "a"),
        ("", "web", ""),
        ("web: a\nall: b\n", "all", "b"),
        ("web: w[1-2] x\nall: @web,@all,y\n", "all", "y w1 w2 x"),
        ("w1 ansible_user=u\nw[2:3]\n", "web", "w1 w2 w3"),
    ] {
        assert_eq!(fabric_exec::hostlist::read_inventory(text, group).unwrap().join(" "), hosts, "{text}");
    }
    for text in [r#"{"db": []}"#, "[1]", r#"{"hosts": 1}"#, "w[1-", "[db]\na\n", "db:\n  hosts: {}\n"] {
        assert!(fabric_exec::hostlist::read_inventory(text, "web").is_err(), "{text}");
    }
}
