//! Reports of finished runs, written, read and merged.

mod common;

use common::{World, calls};
use fabric_exec::hostlist::Shard;
use fabric_exec::report::ReportFormat;
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

#[tokio::test]
async fn reports_have_what_ran_and_what_it_printed_but_not_what_is_hidden() {
    let text = "
        [tasks.t]
        steps = [
          { run = 'seen' },
          { run = 'both' },
          { run = 'quiet', hide = 'stdout' },
          { run = 'mute', hide = 'everything' },
          { execute = 'inner', warn_only = true },
          { execute = 'last' },
        ]
        [tasks.inner]
        steps = [{ run = 'fails', hide = 'stdout' }]
        [tasks.last]
        steps = [{ run = 'returned', hide = 'stdout' }]
    ";
    let world = World::new().hosts(&["h1", "h2"]);
    let host = world.fleet.every_host();
    host.on("seen", Reply::stdout("shown <1>\nno end"));
    host.on("both", Reply::stdout("o\n").err("\u{1b}[1mshown-e\n"));
    for hidden in ["quiet", "mute", "returned"] {
        host.on(hidden, Reply::stdout("HIDDEN\n"));
    }
    world.fleet.host("h1").on("fails", Reply::stdout("HIDDEN too\n").exit(3));
    let run = world.run_of(&common::fabfile(text)).keep_output(true);
    let report = run.start(calls(&["t", "inner"])).await.unwrap();
    let commands = &report.tasks[0].results[0].commands;
    let short: Vec<_> = commands.iter().map(|it| (it.command.as_str(), it.stdout.as_str(), it.ok)).collect();
    assert_eq!(
        short,
        [("seen", "shown <1>\nno end", Some(true)), ("both", "o\n", Some(true)), ("quiet", "", Some(true))],
        "and that `mute` ran is hidden"
    );
    assert!(commands[1].stderr.contains("shown-e") && commands[1].duration_ms.is_some());
    let inner = report.tasks.iter().find(|task| task.task == "inner").unwrap();
    assert_eq!(inner.results[0].commands[0].exit, Some(3));
    // A program has all of it.
    let alone = report.tasks.last().unwrap();
    assert!(alone.results[0].error.as_ref().unwrap().contains("HIDDEN too"));
    for format in [ReportFormat::Json, ReportFormat::Junit, ReportFormat::Html] {
        let text = report.render(format);
        assert!(!text.contains("HIDDEN"), "{format:?}: {text}");
        for shown in ["run", "seen", "no end", "shown-e", "fails"] {
            assert!(text.contains(shown), "{format:?} {shown}: {text}");
        }
    }
    let read: Report = serde_json::from_str(&report.render(ReportFormat::Json)).unwrap();
    assert_eq!(read.tasks[0].results[1].commands.len(), 3);
    // Nothing is gathered unless it was asked for.
    let plain = world.toml(text, &["t"]).await;
    assert!(plain.tasks.iter().flat_map(|task| &task.results).all(|result| result.commands.is_empty()));
}

#[tokio::test]
async fn of_much_output_a_report_has_the_end() {
    let world = World::new().hosts(&["h1"]);
    let long = "0123456789abcde\n".repeat(20_000);
    world.fleet.host("h1").on("long", Reply::stdout(long.clone() + "the end\n"));
    let run = world.run_of(&common::fabfile("[tasks]\nt = 'long'\n")).keep_output(true);
    let report = run.start(calls(&["t"])).await.unwrap();
    let command = &report.tasks[0].results[0].commands[0];
    assert!(command.stdout.ends_with("e\nthe end\n") && command.stdout.len() <= 64 * 1024, "{}", command.stdout.len());
    assert_eq!(command.cut_bytes as usize + command.stdout.len(), long.len() + 8);
    for format in [ReportFormat::Junit, ReportFormat::Html] {
        assert!(report.render(format).contains(&format!("[{} bytes cut]", command.cut_bytes)), "{format:?}");
    }
}

#[tokio::test]
async fn a_hosts_record_has_the_local_commands_of_its_run() {
    let world = World::new().hosts(&["h1", "h2"]).set("parallel", true);
    let text = "[tasks.t]\nsteps = [{ run = 'far' }, { local = 'echo {{ env.host_string }}; test {{ env.host_string }} != h2' }]";
    let run = world.run_of(&common::fabfile(text)).keep_output(true);
    let report = run.start(calls(&["t"])).await.unwrap();
    for (result, host) in report.tasks[0].results.iter().zip(["h1", "h2"]) {
        let did: Vec<(&str, &str, Option<bool>)> =
            result.commands.iter().map(|it| (it.verb.as_str(), it.stdout.as_str(), it.ok)).collect();
        let printed = format!("{host}\n");
        assert_eq!(did, [("run", "", Some(true)), ("local", printed.as_str(), Some(host == "h1"))]);
    }
}
