//! Runs that are tried again, by their journals.

use fabric_exec::journal::{self, Asked, Journal};
use fabric_exec::{Plan, Report};

use super::*;

/// A world whose runs are written down.
pub(super) struct Place {
    journals: tempfile::TempDir,
    text: String,
    runs: AtomicUsize,
}

impl Place {
    pub(super) fn new(text: &str) -> Self {
        Self { journals: tempfile::tempdir().unwrap(), text: text.to_owned(), runs: AtomicUsize::new(0) }
    }

    fn run(&self, world: &World, again: bool) -> fabric_exec::Run {
        let run = format!("r{}", self.runs.fetch_add(1, Ordering::SeqCst));
        let earlier = again.then(|| self.recorded());
        let asked = Asked::new(run, Vec::new(), "/");
        world.run_of(&common::fabfile(&self.text)).journal(Journal::new(self.journals.path(), asked)).retry(earlier)
    }

    /// Runs these calls; what each host was asked to run, and the report.
    pub(super) async fn go(&self, world: &World, tasks: &[&str], again: bool) -> (Vec<String>, Report) {
        let report = self.run(world, again).start(calls(tasks)).await.unwrap();
        let did = world.fleet.known().into_iter();
        (did.flat_map(|host| world.commands(&host).into_iter().map(move |it| format!("{host} {it}"))).collect(), report)
    }

    async fn plan(&self, world: &World, tasks: &[&str]) -> Plan {
        self.run(world, true).plan(&calls(tasks)).await.unwrap()
    }

    pub(super) fn recorded(&self) -> journal::Recorded {
        journal::last(self.journals.path()).unwrap().unwrap()
    }

    pub(super) fn is_done(&self) -> bool {
        self.recorded().is_done()
    }
}

fn hosts(world: World) -> World {
    world.hosts(&["h1", "h2", "h3"])
}

fn failing(world: World, host: &str, command: &str) -> World {
    world.fleet.host(host).on(command, Reply::status(1));
    world
}

fn of(plan: &Plan) -> Vec<(&str, Vec<&str>)> {
    plan.tasks.iter().map(|task| (task.task.as_str(), task.hosts.iter().map(String::as_str).collect())).collect()
}

const TWO: &str = "[tasks]\na = 'a'\nb = 'b'\n";

#[tokio::test]
async fn what_failed_and_what_never_started_is_run_and_nothing_else() {
    // One failed and one never started; the next task never did.
    let place = Place::new(TWO);
    let (did, _) = place.go(&failing(hosts(World::new()), "h2", "a"), &["a", "b"], false).await;
    assert_eq!(did, ["h1 a", "h2 a"]);
    let plan = place.plan(&hosts(World::new()), &["a", "b"]).await;
    assert_eq!(of(&plan), [("a", vec!["h2", "h3"]), ("b", vec!["h1", "h2", "h3"])]);
    let (did, report) = place.go(&hosts(World::new()), &["a", "b"], true).await;
    assert_eq!(did, ["h1 b", "h2 a", "h2 b", "h3 a", "h3 b"]);
    assert_eq!(report.exit_code(), 0);
    assert!(place.is_done());
    // Of those that fail again only what is left of them; what was done before is still known.
    let place = Place::new(TWO);
    for (again, command, expected) in [
        (false, "a", &["h1 a", "h2 a"][..]),
        (true, "b", &["h1 b", "h2 a", "h2 b", "h3 a"]),
        (true, "b", &["h2 b"]),
        (true, "x", &["h2 b", "h3 b"]),
    ] {
        let (did, _) = place.go(&failing(hosts(World::new()), "h2", command), &["a", "b"], again).await;
        assert_eq!(did, expected);
    }
    assert!(place.is_done());
}

#[tokio::test]
async fn hosts_that_could_not_be_reached_and_failures_that_were_allowed_are_tried_again() {
    for setting in ["max_failures", "warn_only", "parallel"] {
        let place = Place::new(TWO);
        let value: fabric_core::Value = if setting == "max_failures" { "9".into() } else { true.into() };
        let world = failing(hosts(World::new()), "h1", "a").set(setting, value.clone());
        world.fleet.host("h3").refuse(9, Phase::Connect, unreachable());
        place.go(&world.set("skip_bad_hosts", setting == "warn_only"), &["a", "b"], false).await;
        assert!(!place.is_done());
        let (did, _) = place.go(&hosts(World::new()), &["a", "b"], true).await;
        let expected = match setting {
            "max_failures" => &["h1 a", "h1 b", "h3 a", "h3 b"][..],
            "warn_only" => &["h1 a", "h3 a", "h3 b"],
            _ => &["h1 a", "h1 b", "h2 b", "h3 a", "h3 b"],
        };
        assert_eq!(did, expected, "{setting}");
    }
}

#[tokio::test]
async fn tasks_of_other_tasks_are_not_run_again_where_they_were_ok() {
    let text = "
        [roledefs]
        db = ['db1', 'db2']
        [tasks]
        update = 'update'
        check = 'check'
        [tasks.migrate]
        roles = ['db']
        runs_once = true
        run = 'migrate'
        [tasks.version]
        hosts = ['build']
        run = 'version'
        [tasks.restart]
        args = ['to']
        pre = ['check']
        run = 'restart {{ to }}'
        [tasks.web]
        steps = [{ execute = 'update' }, { run = 'between' }, { execute = 'restart', args = { to = '{{ env.host }}' } }]
        [tasks.release]
        steps = [
          { execute = 'migrate' },
          { execute = 'version', save = 'version' },
          { execute = 'web', hosts = ['h1', 'h2', 'h3'] },
          { execute = 'switch', hosts = ['lb'], args = { to = '{{ version.build }}' } },
        ]
        [tasks.switch]
        args = ['to']
        run = 'switch {{ to }}'
    ";
    let place = Place::new(text);
    let world = failing(World::new(), "h2", "restart h2");
    world.fleet.host("build").on("version", Reply::stdout("2.4\n"));
    let (did, report) = place.go(&world, &["release"], false).await;
    let first = ["build version", "db1 migrate", "h1 check", "h1 update", "h1 between", "h1 restart h1"];
    assert_eq!(did.len(), first.len() + 4, "{did:?}");
    assert_eq!(report.exit_code(), 1);
    let plan = place.plan(&World::new(), &["release"]).await;
    let web = &plan.tasks[0].steps[2].executes[0];
    assert_eq!(web.hosts, ["h2", "h3"]);
    assert_eq!(plan.tasks[0].steps[0].executes[0].strategy, "nowhere");
    let (did, report) = place.go(&World::new(), &["release"], true).await;
    let expected = ["h2 between", "h2 restart h2", "h3 update", "h3 between", "h3 check", "h3 restart h3"];
    let expected: Vec<&str> = expected.into_iter().chain(["lb switch 2.4"]).collect();
    assert_eq!(did, expected, "what a task returned is still known");
    assert_eq!(report.exit_code(), 0);
}

#[tokio::test]
async fn local_tasks_are_run_again_if_they_failed_or_set_what_others_see() {
    let text = "
        [tasks.prod]
        steps = [{ local = 'echo prod >> {log}' }, { set = { hosts = ['h1', 'h2'], release = '7' } }]
        [tasks.build]
        steps = [{ local = 'echo build >> {log}' }]
        [tasks.test]
        steps = [{ local = 'echo test >> {log}; test -e {log}.mended' }]
        [tasks]
        deploy = 'deploy {{ env.release }}'
    ";
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let place = Place::new(&text.replace("{log}", log.to_str().unwrap()));
    let tasks = ["build", "test", "prod", "deploy"];
    let logged = || std::fs::read_to_string(&log).unwrap().replace('\n', " ");
    let (did, report) = place.go(&World::new(), &tasks, false).await;
    assert_eq!((did.len(), report.exit_code(), logged().as_str()), (0, 1, "build test "));
    std::fs::write(dir.path().join("log.mended"), "").unwrap();
    std::fs::remove_file(&log).unwrap();
    let plan = place.plan(&World::new(), &tasks).await;
    assert_eq!(
        plan.tasks.iter().map(|it| it.strategy.as_str()).collect::<Vec<_>>()[..3],
        ["nowhere", "local", "local"]
    );
    let (did, _) = place.go(&failing(World::new(), "h2", "deploy 7"), &tasks, true).await;
    assert_eq!((did, logged().as_str()), (vec!["h1 deploy 7".to_owned(), "h2 deploy 7".to_owned()], "test prod "));
    std::fs::remove_file(&log).unwrap();
    let (did, report) = place.go(&World::new(), &tasks, true).await;
    assert_eq!((did, logged().as_str()), (vec!["h2 deploy 7".to_owned()], "prod "));
    assert_eq!(report.exit_code(), 0);
}

const ROLLING: &str = "
    [tasks.deploy]
    hosts = ['h[1-5]']
    canary = 1
    batch = 2
    pause = true
    health = 'healthy'
    run = 'install'
    [tasks]
    healthy = 'check'
";

#[tokio::test]
async fn gates_stand_in_the_way_of_another_try_too() {
    let place = Place::new(ROLLING);
    for (again, answer, expected) in [
        (false, "no", &["h1 install", "h1 check"][..]),
        (true, "no", &["h2 install", "h2 check"]),
        (true, "yes", &["h3 install", "h3 check", "h4 install", "h4 check", "h5 install", "h5 check"]),
    ] {
        let world = World::new();
        let run = place.run(&world, again).prompter(Says(answer));
        run.start(calls(&["deploy"])).await.unwrap();
        let did = world.fleet.known().into_iter();
        let did = did.flat_map(|host| world.commands(&host).into_iter().map(move |it| format!("{host} {it}")));
        assert_eq!(did.collect::<Vec<_>>(), expected);
    }
    assert!(place.is_done());
}

#[tokio::test]
async fn what_was_rolled_back_is_done_again() {
    let text = ROLLING.replace("pause = true", "rollback = 'undo'").replace("[tasks]", "[tasks]\n    undo = 'undo'");
    let place = Place::new(&text);
    let (did, _) = place.go(&failing(World::new(), "h2", "check"), &["deploy"], false).await;
    assert!(did.contains(&"h1 undo".to_owned()) && did.contains(&"h3 undo".to_owned()), "{did:?}");
    let (did, report) = place.go(&World::new(), &["deploy"], true).await;
    assert_eq!((did.len(), report.counts()), (10, (5, 0, 0)), "{did:?}");
}

#[tokio::test]
async fn the_same_task_twice_and_its_arguments_are_told_apart() {
    let text = "[tasks.t]\nargs = ['x']\nrun = 't {{ x }}'\n";
    let place = Place::new(text);
    let tasks = ["t:1", "t:1", "t:2"];
    let world = World::new().hosts(&["h1"]);
    let count = Arc::new(AtomicUsize::new(0));
    world.fleet.host("h1").on_match("^t 1$", move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 { Reply::ok() } else { Reply::status(1) }
    });
    let (did, _) = place.go(&world, &tasks, false).await;
    assert_eq!(did, ["h1 t 1", "h1 t 1"]);
    let (did, _) = place.go(&World::new().hosts(&["h1"]), &tasks, true).await;
    assert_eq!(did, ["h1 t 1", "h1 t 2"]);
}

#[tokio::test]
async fn what_a_task_set_holds_again_where_it_is_not_run_again() {
    let text = "
        [env]
        hosts = ['h1', 'h2', 'h3']
        release = '1.0'
        [tasks.pick]
        runs_once = true
        steps = [{ run = 'pick' }, { set = { release = '2.0', hosts = ['h2', 'h4'] } }]
        [tasks.everywhere]
        steps = [{ run = 'every' }, { set = { other = 'x' } }]
        [tasks.outer]
        runs_once = true
        steps = [{ execute = 'pick' }]
        [tasks]
        deploy = 'deploy {{ env.release }}'
        who = 'who {{ env.release }}'
    ";
    for first in [&["pick"][..], &["outer"], &["everywhere", "pick"]] {
        let place = Place::new(text);
        let tasks: Vec<&str> = first.iter().copied().chain(["deploy", "who"]).collect();
        place.go(&failing(World::new(), "h2", "deploy 2.0"), &tasks, false).await;
        let plan = place.plan(&World::new(), &tasks).await;
        assert_eq!(plan.tasks.last().unwrap().hosts, ["h2", "h4"], "{first:?}");
        let (did, report) = place.go(&World::new(), &tasks, true).await;
        assert_eq!(did, ["h2 deploy 2.0", "h2 who 2.0", "h4 deploy 2.0", "h4 who 2.0"], "{first:?}");
        assert_eq!(report.exit_code(), 0);
        assert!(place.is_done());
    }
    // What may not be written down has to be set again.
    let place = Place::new(&text.replace("release = '2.0'", "release = '2.0', api_token = 'x'"));
    place.go(&failing(World::new(), "h2", "deploy 2.0"), &["pick", "deploy"], false).await;
    let (did, _) = place.go(&World::new(), &["pick", "deploy"], true).await;
    assert_eq!(did, ["h1 pick", "h2 deploy 2.0", "h4 deploy 2.0"]);
}

#[tokio::test]
async fn a_run_under_way_is_known_as_one() {
    let place = Place::new(TWO);
    let world = hosts(World::new());
    world.fleet.host("h1").on_match("a", {
        let journals = place.journals.path().to_owned();
        move |_| {
            assert!(journal::last(&journals).unwrap().unwrap().running);
            Reply::ok()
        }
    });
    assert_eq!(place.go(&world, &["a"], false).await.1.exit_code(), 0);
    assert!(!place.recorded().running);
}
