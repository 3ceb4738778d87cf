//! The classic program and ours, side by side: random fabfiles, written for both, run by both, and what ran where in
//! which order compared line by line, with each other and with a plain model of the rules.
//!
//! `scripts/fab-classic` installs the classic program (PyPI `fab-classic`). Where it says that it cannot, only the model
//! is compared with, and that is said.

mod case;
mod deviations;
mod model;
mod programs;

use case::Case;
use programs::{Classic, Ours};

/// How many random fabfiles; the variable `FABRIC_CLASSIC_CASES` says otherwise.
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
        std::fs::write(place.path().join("fabfile.toml"), case.toml()).expect("a fabfile");
        std::fs::write(place.path().join("fabfile.py"), case.python()).expect("a fabfile");
        let told = |who: &str, ran: &programs::Ran| {
            let (toml, python, args) = (case.toml(), case.python(), case.args().join(" "));
            format!(
                "seed {seed}, {who}: fab {args}\n--- fabfile.toml\n{toml}\n--- fabfile.py\n{python}\n--- it said\n{}\n\
                 --- expected\n{}\nstatus {}",
                ran.text,
                model.lines().join("\n"),
                model.status
            )
        };
        let ran = ours.run(place.path(), &case.args());
        assert!(model.is_like(&ran), "{}", told("ours", &ran));
        if let (Some(classic), None) = (&mut classic, model.deviation) {
            let ran = classic.run(place.path(), &case.args());
            assert!(model.is_like(&ran), "{}", told("classic", &ran));
            compared += 1;
        }
    }
    println!("{compared} of {cases} fabfiles compared with the classic program");
    assert!(classic.is_none() || compared > cases / 2, "only {compared} fabfiles have no known deviation");
}
