//! A task source is one folder: neither plans, checks, runs nor reports know which source a task came from.

#[path = "../common/mod.rs"]
mod common;
mod lines;

use common::{World, calls};

const TASKS: &str = "uptime a b: uptime\nall: > uptime\nlost: > nothing\n";

#[tokio::test]
async fn tasks_of_any_source_run_and_execute_each_other() {
    let world = World::new();
    let report = world.go(lines::collection(TASKS).unwrap(), &["uptime:hosts=c", "all"]).await;
    assert_eq!(report.exit_code(), 0);
    assert_eq!(
        world.events.story().join(" "),
        "uptime@c uptime@c ok all@- uptime@a uptime@a ok uptime@b uptime@b ok all@- ok"
    );
    assert_eq!([world.commands("a"), world.commands("b"), world.commands("c")], [["uptime"], ["uptime"], ["uptime"]]);
}

#[tokio::test]
async fn tasks_of_any_source_are_planned() {
    let world = World::new();
    let plan = world.run(lines::collection(TASKS).unwrap()).plan(&calls(&["all"])).await.unwrap();
    let all = &plan.tasks[0];
    assert!(!all.code);
    assert_eq!((all.steps[0].verb, all.steps[0].executes[0].hosts.join(" ")), ("execute", "a b".to_owned()));
    assert_eq!(all.steps[0].executes[0].steps[0].what, "uptime");
    assert!(world.commands("a").is_empty());
}

#[tokio::test]
async fn tasks_of_any_source_are_checked_before_anything_runs() {
    let world = World::new();
    let error = world.run(lines::collection(TASKS).unwrap()).start(calls(&["uptime", "lost"])).await.unwrap_err();
    assert!(error.to_string().contains("there is no task `nothing`"), "{error}");
    assert!(world.commands("a").is_empty());
}
