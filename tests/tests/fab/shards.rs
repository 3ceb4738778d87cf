//! One run in several processes, under the engines of docs/sharding.md.

use std::fs;

use tests::{case, tool};

/// Each host writes its name; how often each did, after all shards.
fn done(text: &str) -> Vec<String> {
    let mut hosts: Vec<String> = text.lines().map(str::to_owned).collect();
    hosts.sort();
    hosts
}

const COMMAND: &str = "set -- $SSH_CONNECTION; echo $3 >> {far}/done";

#[test]
fn gnu_parallel_runs_the_shards_and_their_reports_are_merged() {
    tool("parallel");
    let script = "seq 3 | PARALLEL_HOME=$HOME parallel --plus -j2 \
        PARALLEL_TOTAL={##} fab -i {key} -H {hosts} --shard auto --report 'part-{}.json' deploy >/dev/null 2>&1 \
        && fab --merge-reports part-1.json part-2.json part-3.json --report whole.json; exit $?";
    let case = case!().hosts(5).fabfile(format!("[tasks]\ndeploy = \"{COMMAND}\"\n"));
    let ran = case.within(script).any_stdout().any_stderr().run();
    let expected: Vec<String> = (1..=5).map(|n| ran.case().fill(&format!("{{address{n}}}"))).collect();
    assert_eq!(done(&ran.read_far("done")), expected);
    let report: serde_json::Value = serde_json::from_str(&ran.read("whole.json")).unwrap();
    assert_eq!(report["hosts"].as_object().unwrap().len(), 5);
    assert_eq!(report["ending"], "ok");
}

#[test]
fn every_engine_tells_the_shard_by_its_own_variables() {
    let engines: [(&[(&str, usize)], &str); 5] = [
        (&[("JOB_COMPLETIONS", 2)], "JOB_COMPLETION_INDEX"),
        (&[("SLURM_ARRAY_TASK_COUNT", 2), ("SLURM_ARRAY_TASK_MIN", 0)], "SLURM_ARRAY_TASK_ID"),
        (&[("CI_NODE_TOTAL", 2)], "CI_NODE_INDEX"),
        (&[("CIRCLE_NODE_TOTAL", 2)], "CIRCLE_NODE_INDEX"),
        (&[("BUILDKITE_PARALLEL_JOB_COUNT", 2)], "BUILDKITE_PARALLEL_JOB"),
    ];
    for (fixed, index) in engines {
        let first = usize::from(index == "CI_NODE_INDEX");
        let mut all = String::new();
        for part in 0..2 {
            let mut case = case!().hosts(3).env(index, (part + first).to_string());
            for (name, value) in fixed {
                case = case.env(name, value.to_string());
            }
            let ran = case.args(["--shard", "auto", "-H", "{hosts}", "--", COMMAND]).any_stdout().any_stderr().run();
            let text = ran.read_far("done");
            assert_eq!(text.lines().count(), 2 - part, "{index}");
            all.push_str(&text);
            if part == 1 {
                let expected: Vec<String> = (1..=3).map(|n| ran.case().fill(&format!("{{address{n}}}"))).collect();
                assert_eq!(done(&all), expected, "{index}");
            }
        }
    }
    case!()
        .args(["--shard", "auto", "-H", "a", "--", "true"])
        .stderr_has("no engine has set its variables")
        .status(2)
        .run();
}

#[test]
fn a_failed_shard_fails_the_merged_run() {
    let case = case!().hosts(2);
    let parts = ["0/2", "1/2"].map(|shard| {
        let status = i32::from(shard == "1/2");
        let ran = case!()
            .hosts(2)
            .args([
                "--shard",
                shard,
                "--report",
                "part.json",
                "-H",
                "{hosts}",
                "--",
                "case $SSH_CONNECTION in *' {address2} '*) exit 1;; esac",
            ])
            .any_stdout()
            .any_stderr()
            .status(status)
            .run();
        ran.read("part.json")
    });
    for (number, part) in parts.iter().enumerate() {
        fs::write(case.dir().join(format!("{number}.json")), part).unwrap();
    }
    case.no_key().args(["--merge-reports", "0.json", "1.json"]).stdout_has("\"ending\": \"failed\"").status(1).run();
}
