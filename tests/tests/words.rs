//! Phrases that CONTRIBUTING.md rules out are nowhere in the repository.

use tests::{files_below, repository};

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
    let root = repository();
    let (files, mut found) = (files_below(root, &["rs", "md"]), Vec::new());
    for path in &files {
        let file = path.strip_prefix(root).expect("it is below").display().to_string();
        if QUOTED.contains(&&*file) {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (index, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for phrase in PHRASES.iter().filter(|phrase| line.contains(**phrase)) {
                found.push(format!("{file}:{}: {phrase:?}", index + 1));
            }
        }
    }
    assert!(files.len() > 300, "{} files", files.len());
    assert!(found.is_empty(), "CONTRIBUTING.md says how we write instead:\n{}", found.join("\n"));
}
