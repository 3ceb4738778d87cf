//! What failures do to a run.

use super::*;

#[tokio::test]
async fn the_first_failure_stops_the_run() {
    let world = World::new().hosts(&["h1", "h2", "h3"]);
    world.fleet.host("h2").on("a", Reply::status(4));
    let report = world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h1 ok", "a@h2", "a@h2 failed", "a@h3 skipped"]);
    assert_eq!((report.exit_code(), report.counts()), (1, (1, 1, 1)));
    assert!(report.hosts["h2"].error.as_ref().unwrap().contains("h2: `a` ended with exit status 4"));
}

#[tokio::test]
async fn warn_only_goes_on_and_still_tells() {
    let world = World::new().hosts(&["h1", "h2"]).set("warn_only", true);
    world.fleet.host("h1").on("false", Reply::status(1));
    let report = world.toml("[tasks]\nt = [\"false\", \"true\"]\n", &["t"]).await;
    assert_eq!(world.commands("h1"), ["false", "true"]);
    assert_eq!((report.exit_code(), report.counts()), (0, (1, 1, 0)));
    assert!(report.tasks[0].results[0].tolerated);
    assert!(world.events.warnings()[0].contains("false"), "{:?}", world.events.warnings());
}

#[tokio::test]
async fn started_hosts_finish_and_nothing_new_starts() {
    let world = World::new().hosts(&["h1", "h2", "h3", "h4"]).set("pool_size", 2);
    world.fleet.host("h1").on("a", Reply::status(1));
    world.fleet.host("h2").on("a", Reply::ok().delay(Duration::from_millis(50)));
    let report = world.go(collection([running("a").parallel()]), &["a"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h2", "a@h1 failed", "a@h2 ok", "a@h3 skipped", "a@h4 skipped"]);
    assert_eq!(report.exit_code(), 1);
}

#[tokio::test]
async fn some_may_fail_but_later_tasks_leave_them_alone() {
    let world = World::new().hosts(&["h1", "h2", "h3"]).set("max_failures", "1");
    world.fleet.host("h1").on("a", Reply::status(1));
    let report = world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(world.commands("h1"), ["a"]);
    assert_eq!(world.commands("h3"), ["a", "b"]);
    assert_eq!((report.exit_code(), report.counts()), (1, (2, 1, 0)));
}

#[tokio::test]
async fn unreachable_hosts_are_told_apart_and_may_be_skipped() {
    for (skip, code, skipped) in [(false, 1, 1), (true, 0, 0)] {
        let world = World::new().hosts(&["h1", "h2"]).set("skip_bad_hosts", skip);
        world.fleet.host("h1").refuse(9, Phase::Connect, unreachable());
        let report = world.go(collection([running("a")]), &["a"]).await;
        assert_eq!(report.hosts["h1"].status, HostStatus::Unreachable);
        assert_eq!((report.exit_code(), report.counts().2), (code, skipped));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_host_is_tried_again_with_growing_pauses() {
    let world = World::new().hosts(&["h1"]).set("retries", 2);
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    world.fleet.host("h1").on_match("^a$", move |_| {
        if counter.fetch_add(1, Ordering::SeqCst) < 2 { Reply::status(1) } else { Reply::stdout("done\n") }
    });
    let report = world.go(collection([running("a")]), &["a"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h1 try 2", "a@h1 try 3", "a@h1 ok"]);
    assert_eq!((report.tasks[0].results[0].attempts, report.exit_code()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_is_timed_out() {
    let world = World::new().hosts(&["h1", "h2"]).set("command_timeout", 5).set("warn_only", true);
    world.fleet.host("h1").on("a", Reply::ok().hang());
    let report = world.go(collection([running("a")]), &["a"]).await;
    assert_eq!(report.hosts["h1"].status, HostStatus::TimedOut);
    assert_eq!(report.exit_code(), 1, "a time limit is not softened by warn_only");
}

#[tokio::test]
async fn a_panic_is_one_hosts_failure() {
    let world = World::new().hosts(&["h1", "h2"]).set("parallel", true);
    let task = Task::from_fn("t", |context: Context| async move {
        assert_ne!(context.host().unwrap().as_str(), "h1", "not on this one");
        Ok(())
    });
    let report = world.go(collection([task]), &["t"]).await;
    assert_eq!(report.counts(), (1, 1, 0));
    assert!(report.hosts["h1"].error.as_ref().unwrap().contains("panicked"));
}

#[tokio::test]
async fn what_is_unknown_is_known_before_anything_runs() {
    let world = World::new().hosts(&["h1"]);
    let error = world.run(collection([running("deploy")])).start(calls(&["deploy", "deploi", "x"])).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no task `deploi` (did you mean `deploy`?); there is no task `x`");
    assert!(world.events.story().is_empty());
    let error = world.run(collection([running("deploy")])).start(calls(&["deploy:1"])).await.unwrap_err();
    assert!(matches!(error, RunError::Args(_)));
    let report = world.set("skip_unknown_tasks", true).go(collection([running("deploy")]), &["x", "deploy"]).await;
    assert_eq!(report.exit_code(), 0);
}

#[tokio::test]
async fn a_sole_command_gives_its_own_status() {
    let one = World::new().hosts(&["h1"]);
    one.fleet.every_host().on("exit 3", Reply::status(3));
    assert_eq!(one.go(Collection::new(), &["-- exit 3"]).await.exit_code(), 3);
    let two = World::new().hosts(&["h1", "h2"]);
    two.fleet.every_host().on("exit 3", Reply::status(3));
    let report = two.go(Collection::new(), &["-- exit 3"]).await;
    assert_eq!((report.exit_code(), report.counts()), (1, (0, 1, 1)));
    let calm = World::new().hosts(&["h1", "h2"]).set("warn_only", true);
    calm.fleet.every_host().on("exit 3", Reply::status(3));
    let report = calm.go(Collection::new(), &["-- exit 3"]).await;
    assert_eq!((report.exit_code(), report.counts().2), (0, 0));
    let braces = World::new().hosts(&["h1"]);
    braces.go(Collection::new(), &["-- echo {{ nothing }}"]).await;
    assert_eq!(braces.commands("h1"), ["echo {{ nothing }}"]);
}

#[tokio::test]
async fn the_summary_is_last_and_says_what_the_report_says() {
    let world = World::new().hosts(&["h1", "h2", "h3"]);
    world.fleet.host("h2").on("a", Reply::status(1));
    world.go(collection([running("a")]), &["a"]).await;
    let events = world.events.events();
    let json = serde_json::to_value(events.last().unwrap()).unwrap();
    assert_eq!(json["event"], "summary");
    assert_eq!((&json["hosts_ok"], &json["hosts_failed"], &json["hosts_skipped"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(json["hosts"], serde_json::json!({"h1": "ok", "h2": "failed", "h3": "skipped"}));
}
