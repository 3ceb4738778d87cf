//! docs/architecture.md and the code agree: what imports what, and where things are.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use tests::{Modules, files_below, repository};

/// The rows of the table below a heading of docs/architecture.md, without its two first lines.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("docs/architecture.md")).expect("docs/architecture.md");
    let (_, section) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading:?}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let rows: Vec<Vec<String>> =
        rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect();
    assert!(!rows.is_empty(), "{heading:?} has a table");
    rows
}

/// What is between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The folders with a `src` that are crates of ours.
fn crates() -> Vec<String> {
    let manifests = files_below(repository(), &["toml"]).into_iter().filter(|file| file.ends_with("Cargo.toml"));
    let folders = manifests.filter_map(|file| Some(file.parent()?.strip_prefix(repository()).ok()?.to_owned()));
    let mut names: Vec<String> = folders.filter_map(|folder| Some(folder.to_str()?.to_owned())).collect();
    names.retain(|name| !name.is_empty() && repository().join(name).join("src").is_dir());
    names.sort();
    names
}

#[test]
fn no_imports_go_in_circles() {
    let mut wrong = Vec::new();
    for name in crates() {
        let modules = Modules::of(&repository().join(&name).join("src"));
        let files = modules.circles().into_iter().map(|circle| ("files", circle));
        let folders = modules.circles_of_folders().into_iter().map(|circle| ("folders", circle));
        wrong.extend(files.chain(folders).map(|(what, circle)| format!("{name}, {what}: {}", circle.join(", "))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for row in table("Who imports whom") {
        let [name, levels] = row.as_slice() else { panic!("two columns: {row:?}") };
        let name = quoted(name).next().expect("a crate");
        let mut level_of: HashMap<&str, usize> = HashMap::new();
        for (level, together) in levels.split('<').enumerate() {
            for module in quoted(together) {
                assert!(level_of.insert(module, level).is_none(), "{name}: `{module}` is there twice");
            }
        }
        let modules = Modules::of(&repository().join(name).join("src"));
        let top = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
        let mut gone: HashSet<&str> = level_of.keys().copied().filter(|module| *module != "prelude").collect();
        for (module, others) in &modules.uses {
            let own = top(module);
            gone.remove(&*own);
            let Some(level) = level_of.get(&*own) else {
                wrong.push(format!("{name}: `{own}` is missing in the table"));
                continue;
            };
            for other in others.iter().filter(|other| level_of.get(&*top(other)).is_some_and(|other| other > level)) {
                wrong.push(format!("{name}: `{module}` imports `{other}`, which is above `{own}`"));
            }
        }
        wrong.extend(gone.into_iter().map(|module| format!("{name}: there is no `{module}`")));
    }
    assert!(wrong.is_empty(), "docs/architecture.md, \"Who imports whom\":\n{}", wrong.join("\n"));
}

#[test]
fn every_place_to_look_in_exists() {
    let mut missing = Vec::new();
    for row in table("Where do I change ...") {
        let mut dir = PathBuf::new();
        for path in quoted(&row[1]) {
            let is_first = dir.as_os_str().is_empty();
            if is_first && !path.contains('/') {
                continue;
            }
            // A later name of a row is beside the first one, or in the same crate.
            let mut places = vec![repository().join(path)];
            places.extend(dir.ancestors().map(|dir| dir.join(path)));
            match places.into_iter().find(|place| place.exists()) {
                Some(found) => dir = if found.is_dir() { found } else { found.parent().expect("a folder").to_owned() },
                None => missing.push(format!("{path} ({})", row[0])),
            }
        }
    }
    assert!(missing.is_empty(), "docs/architecture.md names what is not there:\n{}", missing.join("\n"));
}
