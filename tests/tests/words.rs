//! Phrases that CONTRIBUTING.md rules out are nowhere in the repository.

use std::path::Path;
use std::process::Command;

/// In lower case.
const PHRASES: &[&str] = &[
    "is told",
    "are told",
    "was told",
    "is told of",
    "tells of",
    "that is none",
    "that are none",
    "name that is no",
    "stands in for",
    "stand in for",
    "let go of",
    "is had from",
    "can't be had",
    "cannot be had",
    "to be had",
    "is no help",
    "that nobody",
    "to nobody",
    "by nobody",
    "means nothing to anybody",
];

/// Where the phrases are quoted.
const QUOTED: &[&str] = &["CONTRIBUTING.md", "CHANGELOG.md", "tests/tests/words.rs"];

#[test]
fn ruled_out_phrases_are_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests are in a folder of the repository");
    let listed = Command::new("git").current_dir(root).args(["ls-files", "-z", "*.rs", "*.md"]).output();
    let listed = listed.expect("git is installed");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let files = String::from_utf8(listed.stdout).expect("names of files are UTF-8");
    let mut found = Vec::new();
    for file in files.split_terminator('\0').filter(|file| !QUOTED.contains(file)) {
        // A file may be deleted and not yet committed.
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        for (index, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for phrase in PHRASES.iter().filter(|phrase| line.contains(**phrase)) {
                found.push(format!("{file}:{}: {phrase:?}", index + 1));
            }
        }
    }
    assert!(files.len() > 1000, "{files}");
    assert!(found.is_empty(), "CONTRIBUTING.md says how we write instead:\n{}", found.join("\n"));
}
