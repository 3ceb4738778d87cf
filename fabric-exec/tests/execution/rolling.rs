//! Batches, canaries, gates and rollbacks.

use serde_json::json;

use super::*;

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
async fn all_hosts_of_a_batch_are_started_and_none_behind_a_failure() {
    for (allowed, begun) in [(None, 3), (Some("1"), 6), (Some("0"), 1)] {
        let mut world = World::new().hosts(&["h1", "h2", "h3", "h4", "h5", "h6"]).set("batch", "3").set("pool_size", 1);
        if let Some(allowed) = allowed {
            world = world.set("max_failures", allowed);
        }
        world.fleet.host("h1").on("a", Reply::status(1));
        let report = world.go(collection([running("a")]), &["a"]).await;
        let (ok, failed, skipped) = report.counts();
        assert_eq!((ok + failed, failed, skipped, report.exit_code()), (begun, 1, 6 - begun, 1));
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

#[tokio::test]
async fn hosts_whose_failure_was_allowed_are_rolled_back_too() {
    let world = World::new().set("max_failures", "1");
    for host in ["h1", "h3"] {
        world.fleet.host(host).on("install", Reply::status(1));
    }
    let report = world.toml(ROLLING, &["deploy"]).await;
    assert_eq!(report.exit_code(), 1);
    for host in ["h1", "h2", "h3"] {
        assert!(world.commands(host).contains(&"undo".to_owned()), "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_between_batches_goes_no_further_and_says_that_nothing_was_undone() {
    let world = World::new();
    world.fleet.host("h1").on("check", Reply::ok().hang());
    let interrupt = Interrupt::new();
    let run = world.run_of(&common::fabfile(ROLLING)).interrupt(interrupt.clone());
    let stopper = async {
        while !world.commands("h1").contains(&"check".to_owned()) {
            tokio::task::yield_now().await;
        }
        interrupt.stop();
    };
    let (report, ()) = tokio::join!(run.start(calls(&["deploy"])), stopper);
    let report = report.unwrap();
    assert_eq!((report.exit_code(), report.counts()), (130, (0, 1, 4)));
    assert_eq!(world.commands("h1"), ["install", "check"]);
    let undone = "`deploy` was interrupted and is not rolled back: `undo` was not run on h1";
    assert!(world.events.warnings().contains(&undone.to_owned()), "{:?}", world.events.warnings());
}

#[tokio::test]
async fn a_person_decides_after_the_canary() {
    let text = ROLLING.replace("canary = 1", "canary = 1\n    pause = true");
    for (answer, installed, code) in [("yes", 5, 0), ("no", 1, 1)] {
        let world = World::new();
        let run = world.run_of(&common::fabfile(&text)).prompter(Says(answer));
        let report = run.start(calls(&["deploy"])).await.unwrap();
        let hosts = (1..=5).filter(|n| world.commands(&format!("h{n}")).contains(&"install".to_owned()));
        assert_eq!((hosts.count(), report.exit_code()), (installed, code));
    }
    let nobody = World::new();
    assert_eq!(nobody.toml(&text, &["deploy"]).await.exit_code(), 1);
}

#[tokio::test]
async fn gates_and_rollbacks_go_to_the_hosts_that_were_begun_as_they_came() {
    let fabfile = "
        [roledefs]
        web = { hosts = ['h[1-6]'], user = 'web' }
        [tasks.deploy]
        roles = ['web']
        batch = 2
        health = 'check:exclude_hosts=h1'
        rollback = 'undo'
        run = 'install as {{ env.user }}'
        [tasks.check]
        hosts = ['elsewhere']
        run = 'check as {{ env.user }}'
        [tasks.undo]
        steps = [{ run = 'undo as {{ env.user }}' }, { execute = 'clean' }]
        [tasks.clean]
        run = 'clean as {{ env.user }}'
    ";
    let hosts = ["h1", "h2", "h3", "h4"];
    // Each leaves these hosts of the list of `deploy`, and would leave fewer of a batch, or others.
    for (setting, value) in [("limit", json!("4")), ("limit", json!("75%")), ("only_hosts", json!(hosts))] {
        let mut world = World::new().set(setting, value);
        world.command_line.exclude = vec!["elsewhere".to_owned()];
        world.fleet.host("h4").on("check as web", Reply::status(1));
        world.toml(fabfile, &["deploy"]).await;
        for host in hosts {
            let mut expected = vec!["install as web", "check as web", "undo as web", "clean as web"];
            expected.retain(|command| host != "h1" || !command.starts_with("check"));
            assert_eq!(world.commands(host), expected, "{host}");
        }
        let about_x: Vec<_> = world.events.warnings().into_iter().filter(|text| text.starts_with("-x")).collect();
        assert_eq!(about_x.len(), 1, "of `deploy` alone: {about_x:?}");
    }
    let world = World::new();
    world.fleet.host("h4").on("check as web", Reply::status(1));
    let shard = fabric_exec::hostlist::Shard::new(2, 2);
    world.run_of(&common::fabfile(fabfile)).shard(shard).start(common::calls(&["deploy"])).await.unwrap();
    let all = ["install as web", "check as web", "undo as web", "clean as web"];
    assert_eq!([world.commands("h2"), world.commands("h4")], [all, all]);
    assert_eq!(world.commands("h6"), Vec::<String>::new());
}
