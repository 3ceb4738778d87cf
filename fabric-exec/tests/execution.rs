//! The execution model over hosts in memory.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{World, calls};
use fabric_core::{ConnectErrorKind, HostStatus, Phase};
use fabric_exec::report::Ending;
use fabric_exec::{Collection, Context, Execute, Interrupt, Invocation, RunError, Task, TaskError};
use fabric_transport::memory::Reply;

fn collection(tasks: impl IntoIterator<Item = Task>) -> Collection {
    tasks.into_iter().fold(Collection::new(), |collection, task| collection.task(task).unwrap())
}

/// A task that runs its own name on the host.
fn running(name: &'static str) -> Task {
    Task::from_fn(name, move |context: Context| async move {
        let outcome = context.connection().await?.run(name).await?;
        Ok(outcome.stdout().trim().to_owned())
    })
}

fn unreachable() -> ConnectErrorKind {
    ConnectErrorKind::Setting { reason: "nobody is there".to_owned() }
}

#[tokio::test]
async fn tasks_go_in_order_each_over_its_hosts() {
    let world = World::new().hosts(&["h1", "h2"]);
    let report = world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h1 ok", "a@h2", "a@h2 ok", "b@h1", "b@h1 ok", "b@h2", "b@h2 ok"]);
    assert_eq!((report.exit_code(), report.counts()), (0, (2, 0, 0)));
    assert_eq!(world.commands("h1"), ["a", "b"]);
    assert_eq!(world.fleet.host("h1").connects(), 1, "one connection for both tasks");
    assert_eq!(world.fleet.host("h1").open_sessions(), 0, "closed at the end");
}

#[tokio::test]
async fn one_connection_for_each_user_host_and_port() {
    let world = World::new().hosts(&["root@h1", "h1:22", "h1:23"]).set("user", "root");
    world.go(collection([running("a")]), &["a"]).await;
    assert_eq!(world.fleet.host("h1").connects(), 2);
    assert_eq!(world.commands("h1").len(), 3);
}

#[tokio::test]
async fn eager_disconnection_is_after_each_task() {
    let world = World::new().hosts(&["h1"]).set("eagerly_disconnect", true);
    world.go(collection([running("a"), running("b")]), &["a", "b"]).await;
    assert_eq!(world.fleet.host("h1").connects(), 2);
}

#[tokio::test]
async fn a_task_without_hosts_runs_once_locally() {
    let world = World::new();
    let report =
        world.go(collection([Task::from_fn("t", |c: Context| async move { Ok(c.host().is_none()) })]), &["t"]).await;
    assert_eq!(report.tasks[0].strategy, "local");
    assert_eq!(report.tasks[0].results[0].value, true);
    assert_eq!((report.exit_code(), report.hosts.len()), (0, 0));
}

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
async fn a_step_may_fail_if_it_says_so() {
    let world = World::new().hosts(&["h1"]);
    world.fleet.host("h1").on("false", Reply::status(1));
    let text = "[tasks.t]\nsteps = [{ run = 'false', warn_only = true, save = 'seen' }, { run = 'repair {{ seen.exit }}', if = 'seen.failed' }]\n";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(world.commands("h1"), ["false", "repair 1"]);
    assert_eq!((report.exit_code(), report.counts()), (0, (1, 0, 0)));
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
async fn a_window_slides_over_the_hosts_in_order() {
    let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new().hosts(&hosts).set("parallel", true).set("pool_size", 3);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (n, m) = (now.clone(), most.clone());
    let task = Task::from_fn("t", move |_: Context| {
        let (n, m) = (n.clone(), m.clone());
        async move {
            m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            n.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let report = world.go(collection([task]), &["t"]).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let results: Vec<_> = report.tasks[0].results.iter().map(|r| r.host.clone().unwrap()).collect();
    assert_eq!(results, names);
    let started: Vec<String> = world.events.story().into_iter().filter(|w| !w.ends_with(" ok")).collect();
    assert_eq!(started, names.iter().map(|h| format!("t@{h}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_serial_task_stays_serial() {
    let world = World::new().hosts(&["h1", "h2"]).set("parallel", true);
    world.go(collection([running("a").serial()]), &["a"]).await;
    assert_eq!(world.events.story(), ["a@h1", "a@h1 ok", "a@h2", "a@h2 ok"]);
}

#[tokio::test]
async fn batches_wait_for_each_other_and_stop_at_a_failure() {
    let world = World::new().hosts(&["h1", "h2", "h3", "h4", "h5"]);
    world.fleet.host("h3").on("a", Reply::status(1));
    let report = world.go(collection([running("a").batch("40%".parse().unwrap())]), &["a"]).await;
    let story = world.events.story();
    assert_eq!(story[0], "batch 1/3");
    assert_eq!(story.iter().position(|w| w == "batch 2/3"), Some(5));
    assert_eq!(story.last().unwrap(), "a@h5 skipped");
    assert_eq!((report.tasks[0].strategy.as_str(), report.counts()), ("batches", (3, 1, 1)));
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
async fn runs_once_is_once_a_run_also_in_parallel() {
    let world = World::new().hosts(&["h1", "h2", "h3"]).set("parallel", true);
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let once = Task::from_fn("once", move |_: Context| {
        let counter = counter.clone();
        async move { Ok(counter.fetch_add(1, Ordering::SeqCst)) }
    })
    .runs_once()
    .alias("o");
    let outer = Task::from_fn("outer", |context: Context| async move {
        let values = context.execute(Execute::task("o")).await?;
        Ok(values.into_values().next())
    });
    let report = world.go(collection([once, outer]), &["outer", "once"]).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let outer = report.tasks.iter().find(|task| task.task == "outer").unwrap();
    assert!(outer.results.iter().all(|result| result.value == 0), "{outer:?}");
}

#[tokio::test]
async fn a_failed_runs_once_task_fails_whoever_asks() {
    let world = World::new().hosts(&["h1", "h2"]).set("warn_only", true).set("max_failures", "9");
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let once = Task::from_fn("once", move |_: Context| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { Err::<(), _>(TaskError::abort("no")) }
    })
    .runs_once();
    let outer = Task::from_fn("outer", |context: Context| async move { context.execute(Execute::task("once")).await });
    let report = world.go(collection([once, outer]), &["outer"]).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!((report.exit_code(), report.counts().1), (1, 2));
}

#[tokio::test]
async fn pre_and_post_run_once_a_run() {
    let world = World::new();
    let task = |name: &str| {
        let name = name.to_owned();
        Task::from_fn(name, |_: Context| async { Ok(()) })
    };
    let tasks = [
        task("build"),
        task("note").param(fabric_exec::Param::required("text")),
        task("a").pre(Invocation::new("build")).post(Invocation::parse("note:done").unwrap()),
        task("b").pre(Invocation::new("build")),
    ];
    world.go(collection(tasks), &["a", "b"]).await;
    assert_eq!(
        world.events.story(),
        ["build@-", "build@- ok", "a@-", "a@- ok", "note@-", "note@- ok", "b@-", "b@- ok"]
    );
}

#[tokio::test]
async fn a_failed_pre_task_stops_what_it_is_for() {
    let world = World::new();
    let build = Task::from_fn("build", |_: Context| async { Err::<(), _>(TaskError::abort("no compiler")) });
    let deploy = Task::from_fn("deploy", |_: Context| async { Ok(()) }).pre(Invocation::new("build"));
    let report = world.go(collection([build, deploy]), &["deploy"]).await;
    assert_eq!(world.events.story(), ["build@-", "build@- failed"]);
    assert_eq!(report.exit_code(), 1);
}

#[tokio::test]
async fn execute_follows_the_rules_of_host_lists() {
    let world = World::new();
    let text = "
        [roledefs]
        db = ['db[1-2]']
        [tasks.migrate]
        roles = ['db']
        run = 'migrate'
        [tasks.restart]
        args = ['what']
        hosts = ['web1', 'web2']
        run = 'restart {{ what }}'
        [tasks.release]
        steps = [
          { execute = 'migrate' },
          { execute = 'restart', args = { what = 'app' }, exclude_hosts = ['web1'] },
          { execute = 'restart:cache', hosts = ['c{1,2}'] },
        ]
    ";
    let report = world.toml(text, &["release"]).await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!(world.commands("db2"), ["migrate"]);
    assert_eq!(world.commands("web2"), ["restart app"]);
    assert_eq!(world.commands("c1"), ["restart cache"]);
    assert_eq!(world.fleet.known(), ["c1", "c2", "db1", "db2", "web2"]);
}

#[tokio::test]
async fn a_task_without_hosts_inside_a_hosts_run_keeps_that_host() {
    let world = World::new().hosts(&["h1", "h2"]);
    let text = "[tasks]\ninner = 'inner'\n[tasks.outer]\nsteps = [{ execute = 'inner' }]\n";
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("h1"), ["inner"]);
    assert_eq!(world.commands("h2"), ["inner"]);
}

#[tokio::test]
async fn nested_lists_multiply_and_it_is_said_once() {
    let world = World::new().hosts(&["h1", "h2", "h3"]);
    let text = "[tasks.inner]\nhosts = ['x']\nrun = 'inner'\n[tasks.outer]\nsteps = [{ execute = 'inner' }]\n";
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("x").len(), 3);
    let said: Vec<_> = world.events.warnings().into_iter().filter(|w| w.contains("runs_once")).collect();
    assert_eq!(said.len(), 1);
}

#[tokio::test]
async fn a_task_sets_hosts_for_those_that_follow() {
    let world = World::new();
    let text = "
        [tasks.pick]
        args = ['kind']
        steps = [{ set = { hosts = { command = 'printf \"%s1\\n%s2\\n\" {{ kind | sh }} {{ kind | sh }}' }, color = 'blue' } }]
        [tasks]
        show = 'echo {{ env.color }} {{ env.host_string }}'
    ";
    let report = world.toml(text, &["pick:web", "show"]).await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!(world.commands("web2"), ["echo blue web2"]);
}

#[tokio::test]
async fn a_remote_step_without_a_host_never_runs_locally() {
    let world = World::new();
    let report = world.toml("[tasks]\nt = 'touch /tmp/never-here'\n", &["t"]).await;
    assert_eq!((report.exit_code(), report.ending), (2, Ending::Usage));
    assert!(report.error.unwrap().contains("no host to run on"));
    assert!(world.fleet.known().is_empty());
}

#[tokio::test]
async fn an_emptied_list_runs_nothing() {
    let mut world = World::new().hosts(&["h1"]);
    world.command_line.exclude = vec!["h1".to_owned()];
    let report = world.go(collection([running("a")]), &["a"]).await;
    assert_eq!((report.exit_code(), report.ending), (1, Ending::NothingRan));
    assert!(world.events.warnings()[0].contains("all of its hosts are excluded"));
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
async fn unknown_roles_are_all_named() {
    let world = World::new();
    let text = "[roledefs]\nweb = ['w']\n[tasks.t]\nroles = ['wbe', 'nope']\nrun = 'x'\n";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(report.exit_code(), 2);
    assert_eq!(report.error.unwrap(), "task `t`: the roles `wbe` (did you mean `web`?), `nope` do not exist");
}

#[tokio::test]
async fn roles_are_asked_and_bring_their_settings() {
    let world = World::new();
    let text = "
        [roledefs]
        dyn = { command = \"echo 'h[1-2]'\" }
        db = { hosts = ['h2', 'h3'], cwd = '/db' }
        [tasks.t]
        roles = ['dyn', 'db']
        run = 'id'
    ";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!(world.commands("h2"), ["id"], "the first role that named it has no settings");
    assert_eq!(world.commands("h3"), ["cd /db && id"]);
}

#[tokio::test]
async fn a_task_that_executes_itself_without_end_is_stopped() {
    for text in
        ["[tasks.t]\nsteps = [{ execute = 't' }]\n", "[tasks.t]\nruns_once = true\nsteps = [{ execute = 't' }]\n"]
    {
        for hosts in [&[][..], &["h1"]] {
            let report = World::new().hosts(hosts).toml(text, &["t"]).await;
            assert_eq!(report.exit_code(), 2);
            assert!(report.error.unwrap().contains("task `t` executes itself without end"));
        }
    }
}

#[tokio::test]
async fn roles_are_groups_of_an_inventory_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hosts.ini"), "[web]\nw[1:2]\n[db]\nd1 ansible_user=u\n").unwrap();
    let text = "[roledefs]\nweb = { inventory = 'hosts.ini' }\ndata = { inventory = 'hosts.ini', group = 'db' }\n\
                none = { inventory = 'hosts.ini' }\n[tasks]\nid = 'id'\n";
    std::fs::write(dir.path().join("fabfile.toml"), text).unwrap();
    let fabfile = fabric_exec::fabfile::load(dir.path().join("fabfile.toml")).unwrap();
    let world = World::new();
    let go = |token: &'static str| world.run_of(&fabfile).start(calls(&[token]));
    let report = go("id:roles=web;data").await.unwrap();
    assert_eq!(report.hosts.keys().collect::<Vec<_>>(), ["w1", "w2", "u@d1"]);
    let error = go("id:role=none").await.unwrap().error.unwrap();
    assert!(error.ends_with("hosts.ini: it has no group `none`, only web, db"), "{error}");
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
async fn a_dry_run_tells_and_does_nothing() {
    let world = World::new().hosts(&["h1"]);
    let text = "[tasks.t]\nsteps = [{ local = 'touch never' }, { run = 'id', save = 'who' }, { sudo = 'reboot' }]\n";
    let report = world.run_of(&common::fabfile(text)).dry_run(true).start(calls(&["t"])).await.unwrap();
    assert_eq!(report.exit_code(), 0);
    let plans: Vec<_> = world.events.story().into_iter().filter(|w| w.starts_with("plan")).collect();
    assert_eq!(plans, ["plan local: touch never", "plan run: id", "plan sudo: reboot"]);
    assert_eq!(world.fleet.host("h1").connects(), 0);
}

/// A run of one task over two hosts that is stopped while the first is at work.
async fn interrupted(task: Task, stops: usize) -> (World, fabric_exec::Report) {
    let world = World::new().hosts(&["h1", "h2"]);
    world.fleet.host("h1").on("hang", Reply::ok().hang());
    let interrupt = Interrupt::new();
    let run = world.run(collection([task, running("after")])).interrupt(interrupt.clone());
    let events = world.events.clone();
    let stopper = async move {
        while events.story().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..stops {
            interrupt.stop();
        }
    };
    let (report, ()) = tokio::join!(run.start(calls(&["hang", "after"])), stopper);
    (world, report.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_command_and_starts_nothing_new() {
    let (world, report) = interrupted(running("hang"), 1).await;
    assert_eq!((report.exit_code(), report.ending), (130, Ending::Interrupted));
    assert_eq!(world.events.story(), ["hang@h1", "hang@h1 failed", "hang@h2 skipped"]);
    assert!(report.hosts["h1"].error.as_ref().unwrap().contains("interrupted"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_listen_is_given_up() {
    for stops in [1, 2] {
        let deaf = Task::from_fn("hang", |_: Context| std::future::pending::<Result<(), TaskError>>());
        let began = tokio::time::Instant::now();
        let (_, report) = interrupted(deaf, stops).await;
        assert_eq!(report.exit_code(), 130);
        let took = began.elapsed().as_secs();
        assert_eq!(took, if stops == 1 { 11 } else { 1 }, "politely after a while, at once at the second");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_between_tries_ends_the_trying() {
    let mut world = World::new().hosts(&["h1"]).set("retries", 9);
    world.fleet.host("h1").on("hang", Reply::status(1));
    world.settings.retries = 9;
    let interrupt = Interrupt::new();
    let run = world.run(collection([running("hang")])).interrupt(interrupt.clone());
    let stopper = async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        interrupt.stop();
    };
    let (report, ()) = tokio::join!(run.start(calls(&["hang"])), stopper);
    let report = report.unwrap();
    assert_eq!((report.exit_code(), report.tasks[0].results[0].attempts), (130, 2));
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

#[tokio::test]
async fn files_and_local_commands_start_in_the_fabfiles_directory() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("app.conf", "release {{ version }} on {{ env.host }}\n");
    write("plain", "{{ stays }}\n");
    write(
        "fabfile.toml",
        "
        [tasks.t]
        args = ['version']
        steps = [
          { local = 'pwd', save = 'here' },
          { put = 'app.conf', to = '/etc/', template = true },
          { put = 'plain', to = '/tmp/{{ version }}', save = 'sent' },
          { get = '/tmp/{{ version }}', to = 'back/{{ env.host }}' },
          { get = '/etc/app.conf' },
          { run = 'echo {{ here.stdout }} {{ sent.remote[0] }}' },
        ]
        ",
    );
    let world = World::new().hosts(&["h1"]);
    world.fleet.host("h1").files().insert("/etc/passwd", "");
    world.fleet.host("h1").files().insert("/tmp/x", "");
    let fabfile = fabric_exec::fabfile::load(dir.path().join("fabfile.toml")).unwrap();
    let report = world.run_of(&fabfile).start(calls(&["t:2.4"])).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{:?}", report.hosts);
    let files = world.fleet.host("h1").files();
    assert_eq!(files.content("/etc/app.conf").unwrap(), b"release 2.4 on h1\n");
    assert_eq!(files.content("/tmp/2.4").unwrap(), b"{{ stays }}\n");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("back/h1"), "{{ stays }}\n");
    assert_eq!(read("h1/app.conf"), "release 2.4 on h1\n");
    let here = dir.path().canonicalize().unwrap();
    assert_eq!(world.commands("h1"), [format!("echo {} /tmp/2.4", here.display())]);
}

/// A terminal on which every shell ends with status 3.
struct Fake(std::sync::Mutex<Vec<String>>);

#[async_trait::async_trait]
impl fabric_exec::run::Interactive for Fake {
    async fn open_shell(
        &self,
        connection: fabric_transport::Connection,
        line: Option<String>,
    ) -> Result<fabric_core::ExitStatus, fabric_core::Error> {
        self.0.lock().unwrap().push(format!("{} {line:?}", connection.host_string()));
        Ok(fabric_core::ExitStatus::Code(3))
    }
}

#[tokio::test]
async fn a_shell_is_opened_on_the_runs_terminal() {
    let text = "[tasks.t]\nsteps = [{ open_shell = 'cd {{ env.host }}', save = 'shell' }, { run = 'echo {{ shell.exit }}' }]\n";
    let world = World::new().hosts(&["h1", "h2"]).set("parallel", true);
    let fake = Arc::new(Fake(std::sync::Mutex::default()));
    let run = world.run_of(&common::fabfile(text)).interactive(fake.clone());
    assert_eq!(run.start(calls(&["t"])).await.unwrap().exit_code(), 0);
    assert_eq!(*fake.0.lock().unwrap(), ["h1 Some(\"cd h1\")", "h2 Some(\"cd h2\")"]);
    assert_eq!(world.commands("h1"), ["echo 3"]);
    let without = World::new().hosts(&["h1"]).toml(text, &["t"]).await;
    assert!(without.hosts["h1"].error.as_ref().unwrap().contains("needs a terminal"));
}

#[tokio::test]
async fn a_file_that_is_not_there_fails_the_task_or_warns() {
    for (warn, code, ran) in [("", 1, 0), (", warn_only = true", 0, 1)] {
        let world = World::new().hosts(&["h1"]);
        let text = format!("[tasks.t]\nsteps = [{{ get = '/none', to = '/tmp/never'{warn} }}, {{ run = 'id' }}]\n");
        let report = world.toml(&text, &["t"]).await;
        assert_eq!((report.exit_code(), world.commands("h1").len()), (code, ran), "{report:?}");
    }
}

const ROLLING: &str = "
    [roledefs]
    web = ['h[1-5]']
    [tasks.deploy]
    roles = ['web']
    canary = 1
    batch = 2
    health = 'healthy'
    rollback = 'undo'
    run = 'install'
    [tasks]
    healthy = 'check'
    undo = 'undo'
";

#[tokio::test]
async fn rolling_goes_from_canary_to_batches_through_the_gate() {
    let world = World::new();
    let report = world.toml(ROLLING, &["deploy"]).await;
    assert_eq!((report.exit_code(), report.counts()), (0, (5, 0, 0)));
    let story = world.events.story();
    let batches: Vec<_> = story.iter().filter(|word| word.starts_with("batch")).collect();
    assert_eq!(batches, ["batch 1/3", "batch 2/3", "batch 3/3"]);
    assert_eq!(story[..5], ["batch 1/3", "deploy@h1", "deploy@h1 ok", "healthy@h1", "healthy@h1 ok"]);
    assert_eq!(world.commands("h5"), ["install", "check"]);
}

#[tokio::test]
async fn a_closed_gate_stops_and_rolls_back_what_was_begun() {
    let world = World::new();
    world.fleet.host("h3").on("check", Reply::status(1));
    let report = world.toml(ROLLING, &["deploy"]).await;
    assert_eq!(report.exit_code(), 1);
    assert_eq!(world.commands("h1"), ["install", "check", "undo"]);
    assert_eq!(world.commands("h3"), ["install", "check", "undo"]);
    assert_eq!(world.commands("h4"), Vec::<String>::new());
    assert_eq!(report.hosts["h4"].status, HostStatus::Skipped);
    let failed = World::new();
    failed.fleet.host("h1").on("install", Reply::status(1));
    failed.toml(ROLLING, &["deploy"]).await;
    assert_eq!(failed.commands("h1"), ["install", "undo"]);
}

/// Answers every question with one word.
struct Says(&'static str);

#[async_trait::async_trait]
impl fabric_core::Prompter for Says {
    async fn ask(&self, _: fabric_core::PromptRequest) -> Result<fabric_core::Secret, fabric_core::PromptError> {
        Ok(self.0.into())
    }
}

#[tokio::test]
async fn a_person_decides_after_the_canary() {
    let text = ROLLING.replace("canary = 1", "canary = 1\n    pause = true");
    for (answer, installed, code) in [("yes", 5, 0), ("no", 1, 1)] {
        let world = World::new();
        let run = world.run_of(&common::fabfile(&text)).prompter(Arc::new(Says(answer)));
        let report = run.start(calls(&["deploy"])).await.unwrap();
        let hosts = (1..=5).filter(|n| world.commands(&format!("h{n}")).contains(&"install".to_owned()));
        assert_eq!((hosts.count(), report.exit_code()), (installed, code));
    }
    let nobody = World::new();
    assert_eq!(nobody.toml(&text, &["deploy"]).await.exit_code(), 1);
}

#[tokio::test]
async fn a_person_names_the_host_once() {
    let world = World::new();
    let text = "[tasks]\na = 'a'\nb = 'b'\n";
    let run = world.run_of(&common::fabfile(text)).prompter(Arc::new(Says("u@h9:2200")));
    let report = run.start(calls(&["a", "b"])).await.unwrap();
    assert_eq!(report.exit_code(), 0);
    assert_eq!(world.commands("h9"), ["a", "b"]);
}

#[tokio::test]
async fn output_that_nobody_looks_at_is_not_kept() {
    let world = World::new().hosts(&["h1"]);
    let flood = |_: &_| Reply::ok().flood(fabric_core::Stream::Stdout, "0123456789abcde\n", 1 << 20);
    world.fleet.host("h1").on_match("^flood$", flood);
    let text = "[tasks]\nt = 'flood'\n[tasks.saved]\nsteps = [{ run = 'flood', save = 'all' }, { run = 'echo {{ all.stdout | length }}' }]\n";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(report.tasks[0].results[0].value.as_str().unwrap().len(), 65535, "the end of it, trimmed");
    world.toml(text, &["saved"]).await;
    assert_eq!(world.commands("h1")[2], format!("echo {}", (1 << 20) - 1));
}
