//! JSON as the inventory scripts of Ansible print it (`--list`).

use serde_json::{Map, Value};

use super::model::{FileLine, Model, Var};
use super::pattern::Written;
use super::{InventoryError, words};

/// Whether it is of this shape, not that of Ansible's YAML, in which hosts and children are tables.
pub(super) fn is_like(map: &Map<String, Value>, of_file: bool) -> bool {
    let inside = || {
        map.iter()
            .filter(|(name, _)| *name != "_meta")
            .flat_map(|(_, group)| ["hosts", "children"].map(|key| group.get(key)))
    };
    if of_file {
        map.contains_key("_meta") || map.values().any(Value::is_array) || inside().flatten().any(Value::is_array)
    } else {
        inside().flatten().all(Value::is_array)
    }
}

/// `{"web": {"hosts": [..], "children": [..], "vars": {..}}, "db": [..], "_meta": {"hostvars": {..}}}`
pub(super) fn read(map: &Map<String, Value>, file: &FileLine, model: &mut Model) -> Result<(), InventoryError> {
    let none = Map::new();
    let hostvars = match map.get("_meta") {
        None => &none,
        Some(meta) => meta["hostvars"].as_object().ok_or_else(|| file.refused("`_meta.hostvars` is no object"))?,
    };
    for (name, value) in map.iter().filter(|(name, _)| *name != "_meta") {
        let refused =
            |what: &str| file.refused(format!("`{what}` of group `{name}` is of another type than Ansible takes"));
        let group = model.group(name);
        let list = |value: &Value, what: &str| -> Result<Vec<String>, InventoryError> {
            let items = value.as_array().ok_or_else(|| refused(what))?;
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| refused(what))).collect()
        };
        let (hosts, children, vars) = match value {
            Value::Object(inner) if ["hosts", "children", "vars"].iter().any(|key| inner.contains_key(*key)) => (
                inner.get("hosts").map(|hosts| list(hosts, "hosts")).transpose()?.unwrap_or_default(),
                inner.get("children").map(|children| list(children, "children")).transpose()?.unwrap_or_default(),
                inner.get("vars").map(|vars| vars.as_object().ok_or_else(|| refused("vars"))).transpose()?,
            ),
            // A host that is a group, and its variables.
            Value::Object(inner) => (vec![name.clone()], Vec::new(), Some(inner)),
            hosts => (list(hosts, "hosts")?, Vec::new(), None),
        };
        for text in hosts {
            for name in fabric_core::host::expand(&text).map_err(|error| file.refused(error.to_string()))? {
                let written = Written { host: name.clone(), name };
                let host = model.host(written, None, group, file)?;
                if let Some(vars) = hostvars.get(&text) {
                    let vars = vars
                        .as_object()
                        .ok_or_else(|| file.refused(format!("the variables of `{text}` are no object")))?;
                    let var = |(key, value): (&String, &Value)| {
                        (key.clone(), Var { value: value.clone(), place: file.clone() })
                    };
                    model.hosts[host].vars.extend(vars.iter().map(var));
                }
            }
        }
        for (key, value) in vars.into_iter().flatten() {
            model.set_group_var(group, key, Var { value: value.clone(), place: file.clone() })?;
        }
        for child in children {
            let child = model.group(&child);
            model.add_child(group, child, file)?;
        }
    }
    Ok(())
}

/// A list of host strings, or the keys of an object.
pub(super) fn hosts(value: &Value) -> Result<Vec<String>, InventoryError> {
    match value {
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(InventoryError::Shape)).collect()
        }
        Value::Object(map) => Ok(map.keys().cloned().collect()),
        other => Err(InventoryError::Refused {
            place: "hosts".to_owned(),
            reason: format!("`{}` is no list", words::plain(other)),
        }),
    }
}
