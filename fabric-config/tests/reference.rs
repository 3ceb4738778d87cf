//! The pages that are made from the table of settings are those in `docs/`.

use std::path::Path;

use fabric_config::reference::{completions, fabfile_schema, settings_page, settings_schema};
use fabric_core::settings::TABLE;

/// Compares a page with its file, or writes it where `UPDATE` is set.
fn compare(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let line = there.lines().zip(made.lines()).position(|(a, b)| a != b).map_or(0, |line| line + 1);
    assert!(there == made, "docs/{file} is out of date (line {line}): run this test with UPDATE=1");
}

#[test]
fn reference_pages_are_up_to_date() {
    let json = |value| format!("{value:#}\n");
    compare("settings.md", &settings_page());
    compare("schema/fabric.json", &json(settings_schema()));
    compare("schema/fabfile.json", &json(fabfile_schema()));
}

#[test]
fn the_page_has_every_setting_with_every_way_to_set_it() {
    let page = settings_page();
    for setting in TABLE {
        let start = page.find(&format!("\n### `{}`\n", setting.name)).unwrap_or_else(|| panic!("{}", setting.name));
        let entry = &page[start + 4..];
        let entry = &entry[..entry.find("\n##").unwrap_or(entry.len())];
        assert!(entry.contains("* type: ") && entry.contains("* default: "), "{entry}");
        assert!(setting.is_information() || entry.contains(&setting.variable()), "{entry}");
        for spelling in setting.spellings() {
            assert!(entry.contains(&format!("`{spelling}`")), "{spelling}: {entry}");
        }
    }
}

#[test]
fn schemas_take_the_contracts_example_keys() {
    let schema = fabfile_schema();
    let task = &schema["$defs"]["task"]["properties"];
    for key in ["help", "aliases", "roles", "parallel", "pool_size", "batch", "args", "pre", "with", "steps", "run"] {
        assert!(task[key].is_object(), "{key}");
    }
    assert_eq!(schema["$defs"]["step"]["oneOf"].as_array().unwrap().len(), 9);
    let settings = settings_schema();
    assert_eq!(settings["properties"]["run"]["properties"]["warn"]["type"], "boolean");
    assert_eq!(settings["properties"]["pool_size"]["type"], "integer");
    assert!(settings["properties"]["all_hosts"].is_null(), "nobody can set it");
}

#[test]
fn completions_know_names_and_words() {
    let all = completions();
    let words = |name: &str| all.iter().find(|item| item.name == name).map(|item| item.values.to_vec());
    assert_eq!(words("path_behavior").unwrap(), ["append", "prepend", "replace"]);
    assert_eq!(words("run.warn").unwrap(), ["true", "false"]);
    assert_eq!(words("all_hosts"), None);
}
