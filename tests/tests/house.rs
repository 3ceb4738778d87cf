//! docs/architecture.md and the code agree: what imports what, and where things are.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use tests::{files_below, repository};

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

/// The part of a file that is no comment and no test.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules at the top of the crate that a text names after `crate::`.
fn imported(code: &str) -> HashSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = HashSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut at_start = true;
        for (place, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                _ if at_start && !c.is_whitespace() => {
                    names.insert(word(&list[place..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    names
}

#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for row in table("Who imports whom") {
        let [name, levels] = row.as_slice() else { panic!("two columns: {row:?}") };
        let name = quoted(name).next().expect("a crate");
        let mut level_of: HashMap<&str, usize> = HashMap::new();
        for (level, knot) in levels.split('<').enumerate() {
            for module in quoted(knot) {
                assert!(level_of.insert(module, level).is_none(), "{name}: `{module}` is there twice");
            }
        }
        let src = repository().join(name).join("src");
        let mut seen = HashSet::new();
        for file in &files_below(&src, &["rs"]) {
            let below = file.strip_prefix(&src).expect("it was found there");
            let first = below.iter().next().expect("a name").to_str().expect("UTF-8");
            let module = first.trim_end_matches(".rs");
            if ["lib", "main"].contains(&module) || below.iter().any(|part| part == "tests" || part == "tests.rs") {
                continue;
            }
            let Some(level) = level_of.get(module) else {
                wrong.push(format!("{name}: `{module}` is missing in the table"));
                continue;
            };
            seen.insert(module.to_owned());
            let text = std::fs::read_to_string(file).expect("a source file");
            for other in imported(&code(&text)) {
                if level_of.get(&*other).is_some_and(|other| other > level) {
                    wrong.push(format!("{}: imports `{other}`, which is above `{module}`", file.display()));
                }
            }
        }
        let gone = level_of.keys().filter(|module| !seen.contains(**module));
        wrong.extend(gone.map(|module| format!("{name}: there is no `{module}`")));
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
