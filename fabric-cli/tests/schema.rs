//! `docs/schema/fabfile.json` against what reads fabfiles.

use std::collections::BTreeSet;

use fabric_config::reference::fabfile_schema;
use fabric_core::Value;

/// The properties of an object in a schema.
fn properties(schema: &Value) -> BTreeSet<&str> {
    schema["properties"].as_object().expect("properties").keys().map(String::as_str).collect()
}

#[test]
fn the_schema_has_exactly_the_keys_that_are_read() {
    let schema = fabfile_schema();
    let parts = &schema["$defs"];
    let task = &parts["task"];
    for (place, keys) in fabric_exec::fabfile::keys() {
        let keys: BTreeSet<&str> = keys.into_iter().collect();
        let known = match place {
            "fabfile" => properties(&schema),
            "role" => properties(&parts["role"]["anyOf"][1]),
            "task" => properties(task),
            "argument" => properties(&task["properties"]["args"]["items"]["anyOf"][1]),
            "hide" => {
                let hide = &parts["step"]["oneOf"][0]["properties"]["hide"]["anyOf"][1]["enum"];
                hide.as_array().expect("words").iter().filter_map(Value::as_str).collect()
            }
            verb => {
                let steps = parts["step"]["oneOf"].as_array().expect("steps");
                properties(steps.iter().find(|step| step["required"][0] == verb).expect(verb))
            }
        };
        assert_eq!(known, keys, "{place}");
    }
    assert_eq!(parts["step"]["oneOf"].as_array().map(Vec::len), Some(fabric_exec::fabfile::keys().len() - 5));
    // Sections of hosts, `env` and `with` take settings.
    let settings = properties(&parts["known"]);
    for setting in fabric_core::settings::TABLE.iter().filter(|setting| !setting.is_information()) {
        assert!(settings.contains(setting.name), "{}", setting.name);
    }
}
