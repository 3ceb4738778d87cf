//! Reports of finished runs, written, read and merged.

mod common;

use common::{World, calls};
use fabric_exec::hostlist::Shard;
use fabric_exec::{Report, Run};
use fabric_transport::memory::Reply;

const FABFILE: &str = "[tasks]\na = 'a <b> & \"c\"'\nb = 'b'\n";

fn world() -> World {
    let world = World::new().hosts(&["h1", "h2", "h3", "h4"]).set("max_failures", "9");
    world.fleet.host("h2").on_match("^a", |_| Reply::stderr("no <way>\n").exit(1));
    world
}

async fn shard(index: usize) -> Report {
    let world = world();
    let run: Run = world.run_of(&common::fabfile(FABFILE)).shard(Shard::new(index, 2)).id("r");
    run.start(calls(&["a", "b"])).await.unwrap()
}

#[tokio::test]
async fn shards_come_together_as_one_run() {
    let whole = world().toml(FABFILE, &["a", "b"]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut parts = Vec::new();
    for index in 0..2 {
        let report = shard(index).await;
        assert_eq!(report.hosts.len(), 2);
        let path = dir.path().join(format!("{index}.json"));
        report.write(&path).unwrap();
        parts.push(Report::read(&path).unwrap());
    }
    let merged = Report::merge(parts).unwrap();
    assert_eq!((merged.exit_code(), merged.counts()), (whole.exit_code(), whole.counts()));
    let tasks = |report: &Report| report.tasks.iter().map(|t| (t.task.clone(), t.results.len())).collect::<Vec<_>>();
    assert_eq!(tasks(&merged), tasks(&whole));
    assert!(Report::merge([]).is_none());
}

#[tokio::test]
async fn junit_and_html_escape_what_hosts_said() {
    let report = world().toml(FABFILE, &["a"]).await;
    let xml = report.to_junit();
    assert!(xml.contains("<testsuite name=\"a\" tests=\"4\""), "{xml}");
    assert!(xml.contains("<failure message=") && xml.contains("type=\"failed\""), "{xml}");
    let html = report.to_html();
    assert!(html.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !html.contains("<b>"), "{html}");
    let dir = tempfile::tempdir().unwrap();
    for (name, start) in [("r.xml", "<?xml"), ("r.html", "<!doctype"), ("r.json", "{")] {
        let path = dir.path().join(name);
        report.write(&path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(start));
    }
    assert!(report.write(&dir.path().join("r.txt")).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing half-written is left");
}

#[tokio::test]
async fn an_empty_shard_is_no_failure() {
    let world = World::new().hosts(&["h1"]);
    let run = world.run_of(&common::fabfile(FABFILE)).shard(Shard::new(1, 2));
    let report = run.start(calls(&["b"])).await.unwrap();
    assert_eq!((report.exit_code(), report.tasks.len()), (0, 0));
}
