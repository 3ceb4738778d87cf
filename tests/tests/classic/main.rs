//! The classic program and ours, side by side: random fabfiles, written for both, run by both, and what ran where in
//! which order compared line by line, with each other and with a plain model of the rules.
//!
//! `scripts/fab-classic` installs the classic program (PyPI `fab-classic`). If it cannot, only the model is compared with, and a
//! message says so.

mod case;
mod deviations;
mod model;
mod programs;
mod written;

use case::Case;
use programs::{Classic, Ours};

/// How many random fabfiles, unless `FABRIC_CLASSIC_CASES` is set.
const CASES: u64 = 150;

#[test]
fn random_fabfiles_run_alike() {
    let mut classic = Classic::start();
    let ours = Ours::new();
    let mut compared = 0;
    let cases = std::env::var("FABRIC_CLASSIC_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    for seed in 0..cases {
        let case = Case::random(seed);
        let model = model::run(&case);
        let place = tempfile::tempdir().expect("a directory");
        let files = || case.toml().into_iter().chain(case.python());
        for (name, text) in files() {
            std::fs::write(place.path().join(name), text).expect("a fabfile");
        }
        let told = |ran: &programs::Ran| {
            let files: Vec<String> = files().map(|(name, text)| format!("--- {name}\n{text}\n")).collect();
            let files = files.concat();
            let lines = model.lines().join("\n");
            format!("seed {seed}: fab {:?}\n{files}--- it said\n{}\n--- expected\n{lines}", case.args(), ran.text)
        };
        let check = |who: &str, ran: &programs::Ran| {
            let difference = model.difference(ran);
            assert!(difference.is_none(), "{}\n--- {who}: {}", told(ran), difference.unwrap_or_default());
        };
        let ran = ours.run(place.path(), &case.args());
        check("ours", &ran);
        if let (Some(classic), None) = (&mut classic, model.deviation) {
            let ran = classic.run(place.path(), &case.args());
            check("the classic program", &ran);
            compared += 1;
        }
    }
    println!("{compared} of {cases} fabfiles compared with the classic program");
    assert!(classic.is_none() || compared > cases / 2, "only {compared} fabfiles have no known deviation");
}
