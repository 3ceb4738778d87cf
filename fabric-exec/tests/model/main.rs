//! Random fabfiles: all accounts of a run agree with each other and with `docs/execution.md`.
//!
//! A case is made from its number ([`generate`]). It is run in three spellings, dry, as a plan, and again by its journal
//! ([`accounts`]), and by an interpreter of the model that knows nothing of the engine ([`reference`]).
//! `FABRIC_SEED=5000 FABRIC_CASES=10000` runs other cases.

mod accounts;
#[path = "../common/mod.rs"]
mod common;
mod generate;
mod reference;

use std::fmt::Write as _;

use fabric_exec::fabfile::Format;
use generate::Case;
use serde_json::Value;

/// How many cases of each kind a run of all tests has.
const CASES: u64 = 1000;

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, found {text:?}"))
}

/// A fabfile in one of its spellings.
fn spell(fabfile: &Value, format: Format) -> String {
    match format {
        Format::Json => format!("{fabfile:#}"),
        Format::Toml => toml::to_string(fabfile).expect("it has no null"),
        Format::Yaml => {
            let mut text = String::new();
            block(fabfile, 0, &mut text);
            text
        }
    }
}

/// A value as YAML in block style; texts are quoted.
fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mut entry = |key: String, value: &Value| {
        let is_block =
            value.as_object().is_some_and(|it| !it.is_empty()) || value.as_array().is_some_and(|it| !it.is_empty());
        if is_block {
            let _ = writeln!(text, "{indent}{key}");
            block(value, depth + 1, text);
        } else {
            let _ = writeln!(text, "{indent}{key} {value}");
        }
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| entry(format!("{key}:"), value)),
        Value::Array(items) => items.iter().for_each(|item| entry("-".to_owned(), item)),
        other => {
            let _ = writeln!(text, "{indent}{other}");
        }
    }
}

/// Fails with the smallest case of the seed that differs.
async fn compare(tries: bool) {
    let (seed, cases) = (number("FABRIC_SEED", 1), number("FABRIC_CASES", CASES));
    for seed in seed..seed + cases {
        let case = Case::new(seed, tries);
        if let Err(difference) = accounts::check(&case, tries).await {
            let (case, difference) = smaller(case, difference, tries).await;
            let text = spell(&case.fabfile("toml"), Format::Toml);
            let included = spell(&case.included(), Format::Toml);
            panic!(
                "seed {seed}: {difference}\n\nfab {}\n{text}\n# included\n{included}\n{case:?}",
                case.tokens().join(" ")
            );
        }
    }
}

/// A case of which nothing can be left out without that the difference goes.
async fn smaller(mut case: Case, mut difference: String, tries: bool) -> (Case, String) {
    loop {
        let mut found = None;
        for candidate in case.smaller() {
            if let Err(other) = accounts::check(&candidate, tries).await {
                found = Some((candidate, other));
                break;
            }
        }
        match found {
            Some(smaller) => (case, difference) = smaller,
            None => return (case, difference),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn random_fabfiles_run_as_the_reference_says_and_every_account_agrees() {
    compare(false).await;
}

#[tokio::test(start_paused = true)]
async fn every_account_of_random_fabfiles_with_tries_agrees() {
    compare(true).await;
}
