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

/// What the end of the run says of tasks that were not begun, and of an option that would have gone on.
fn left(world: &World) -> (Vec<String>, Option<String>) {
    let summary = world.events.events().into_iter().find_map(|event| match event.kind {
        EventKind::Summary { not_started, advice, .. } => Some((not_started, advice)),
        _ => None,
    });
    summary.unwrap()
}

#[tokio::test]
async fn in_parallel_a_failing_host_keeps_no_other_from_starting() {
    for pool in [1, 2, 0] {
        let world = World::new().hosts(&["h1", "h2", "h3", "h4"]).set("pool_size", pool);
        world.fleet.host("h1").on("a", Reply::status(1));
        world.fleet.host("h2").refuse(9, Phase::Connect, unreachable());
        let report = world.go(collection([running("a").parallel(), running("b")]), &["a", "b"]).await;
        assert_eq!((report.exit_code(), report.counts()), (1, (2, 2, 0)), "{pool}");
        assert_eq!(world.commands("h4"), ["a"], "the next task is not started");
        assert_eq!(report.not_started, ["b"]);
        assert_eq!(left(&world).1.unwrap(), "--keep-going or --max-failures would have gone on");
    }
}

#[tokio::test]
async fn a_limit_of_failures_stops_what_has_not_started_in_parallel_too() {
    let world = World::new().hosts(&["h1", "h2", "h3", "h4"]).set("pool_size", 2).set("max_failures", "0");
    world.fleet.host("h1").on("a", Reply::status(1));
    world.fleet.host("h2").on("a", Reply::ok().delay(Duration::from_millis(50)));
    let report = world.go(collection([running("a").parallel()]), &["a"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h2", "a@h1 failed", "a@h2 ok", "a@h3 skipped", "a@h4 skipped"]);
    assert_eq!(report.exit_code(), 1);
    assert_eq!(left(&world).1.unwrap(), "a higher --max-failures, or --keep-going, would have gone on");
}

#[tokio::test]
async fn a_mistake_in_the_fabfile_stops_parallel_runs_too() {
    let world = World::new().hosts(&["h1", "h2", "h3"]).set("pool_size", 1).set("parallel", true);
    let report = world.toml("[tasks.t]\nsteps = [{ execute = '{{ env.x }}' }]\n[env]\nx = 'nosuch'\n", &["t"]).await;
    assert_eq!((report.exit_code(), report.counts()), (2, (0, 1, 2)));
    assert_eq!(left(&world).1.unwrap(), "--retry-failed goes on with them");
}

#[tokio::test]
async fn a_serial_run_says_what_would_have_gone_on() {
    let world = World::new().hosts(&["h1", "h2"]);
    world.fleet.host("h1").on("a", Reply::status(1));
    world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(left(&world), (vec!["b".to_owned()], Some("--keep-going would have gone on".to_owned())));
    // No option would have: it was the only host.
    let world = World::new().hosts(&["h1"]);
    world.fleet.host("h1").on("a", Reply::status(1));
    world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(left(&world), (vec!["b".to_owned()], None));
}

#[tokio::test]
async fn where_all_may_fail_only_hosts_go_on_without_the_failed_ones() {
    let text = "
        [tasks]
        a = 'a'
        b = 'b'
        [tasks.local]
        steps = [{ local = 'exit 3' }]
        [tasks.once]
        runs_once = true
        run = 'once'
        [tasks.needing]
        pre = ['a']
        run = 'needing'
        [tasks.all]
        steps = [{ execute = 'a', hosts = ['h1', 'h2'] }, { execute = 'b', hosts = ['h1', 'h2'] }]
    ";
    // What is called, and what runs on the host that is well.
    for (tasks, on_h2) in
        [(&["a", "b"][..], &["a", "b"][..]), (&["local", "b"], &[]), (&["once", "b"], &[]), (&["needing", "b"], &["a"])]
    {
        for parallel in [false, true] {
            let world = World::new().hosts(&["h1", "h2"]).set("max_failures", "100%").set("parallel", parallel);
            for command in ["a", "once"] {
                world.fleet.host("h1").on(command, Reply::status(1));
            }
            let report = world.toml(text, tasks).await;
            assert_eq!(world.commands("h2"), on_h2, "{tasks:?}");
            assert_eq!(report.exit_code(), 1, "{tasks:?}");
        }
    }
    let world = World::new().set("max_failures", "100%");
    let report = world.toml(text, &["local", "all"]).await;
    assert_eq!((world.fleet.known(), report.not_started), (Vec::<String>::new(), vec!["all".to_owned()]));
    // A task without hosts that puts others on theirs goes on likewise.
    let world = World::new().set("max_failures", "100%");
    world.fleet.host("h1").on("a", Reply::status(1));
    let report = world.toml(text, &["all"]).await;
    assert_eq!((world.commands("h1"), world.commands("h2")), (vec!["a".to_owned()], vec!["a".into(), "b".into()]));
    assert_eq!((report.exit_code(), report.counts()), (1, (1, 1, 0)));
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
