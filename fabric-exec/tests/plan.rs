//! Plans, over hosts that must not be connected to.

mod common;

use common::{World, calls, fabfile};
use fabric_exec::RunError;

const FABFILE: &str = "
[roledefs]
web = ['web[1-4]']
dyn = { command = 'printf \"d1\\nd2\\n\"' }

[tasks.build]
steps = [{ local = 'make' }]

[tasks.deploy]
roles = ['web']
args = ['version']
pre = ['build']
batch = '50%'
steps = [{ run = 'install {{ version }}', if = 'version' }]

[tasks.release]
steps = [{ execute = 'deploy', args = { version = '2' }, exclude_hosts = ['web[3-4]'] }, { execute = '{{ env.what }}' }]

[tasks.pick]
steps = [{ set = { hosts = { command = 'false' } } }]

[tasks.dyn]
roles = ['dyn']
parallel = true
run = 'id'

[tasks]
id = 'id'
";

async fn plan(world: &World, tokens: &[&str]) -> String {
    let plan = world.run_of(&fabfile(FABFILE)).plan(&calls(tokens)).await.unwrap();
    assert!(world.fleet.known().is_empty(), "nothing is connected to");
    assert!(world.events.story().is_empty(), "nothing runs");
    plan.to_string()
}

#[tokio::test]
async fn a_plan_says_what_runs_where_in_which_order_and_why() {
    let text = plan(&World::new(), &["deploy:1", "dyn"]).await;
    assert_eq!(
        text,
        "\
1. build (before the next): locally, once
   no hosts are given for `build`: it runs once, locally
   local: make
2. deploy:1: 4 hosts in 2 batches
   hosts: web1, web2, web3, web4
   batch 1: web1, web2
   batch 2: web3, web4
   from the task's own hosts and roles: roles web
   role `web`: 4 hosts
   run: install {{ version }}  (if version)
3. dyn: 2 hosts in parallel
   hosts: d1, d2
   from the task's own hosts and roles: roles dyn
   role `dyn`: 2 hosts
   run: id
"
    );
}

#[tokio::test]
async fn nested_executions_are_planned_and_what_cannot_be_known_is_said() {
    let text =
        plan(&World::new().hosts(&["h1", "h2"]).set("what", "id"), &["release:hosts=x", "pick:hosts=y", "id"]).await;
    assert!(text.contains("execute build (before the next): 1 host\n"), "{text}");
    assert!(text.contains("execute deploy:version=2,exclude_hosts=web3;web4: 2 hosts in 2 batches"), "{text}");
    assert!(text.contains("execute: {{ env.what }}\n"), "{text}");
    assert!(text.contains("3. id: 2 hosts, one after another, as far as is known\n"), "{text}");
    assert!(text.contains("not known ahead: fabfile.toml:20 sets the global host list"), "{text}");
}

#[tokio::test]
async fn the_json_has_the_same() {
    let world = World::new().hosts(&["h1"]);
    let plan = world.run_of(&fabfile(FABFILE)).plan(&calls(&["id:hosts=a;b", "-- uptime"])).await.unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["tasks"][0]["hosts"], serde_json::json!(["a", "b"]));
    assert_eq!(json["tasks"][0]["level"], "arguments");
    assert_eq!(json["tasks"][1]["task"], "-- uptime");
    assert_eq!(json["tasks"][1]["strategy"], "serial");
}

#[tokio::test]
async fn what_is_wrong_is_known_ahead() {
    let world = World::new();
    let bad = fabfile("[tasks.t]\nsteps = [{ execute = 'nope' }]\n");
    let error = world.run_of(&bad).plan(&calls(&["t"])).await.unwrap_err();
    assert_eq!(error.to_string(), "fabfile.toml:2:22: there is no task `nope`");
    let circle = fabfile("[tasks.a]\npre = ['b']\n[tasks.b]\npost = ['a']\n");
    let error = world.run_of(&circle).plan(&calls(&["a"])).await.unwrap_err();
    assert!(matches!(error, RunError::Cycle(_)));
}

#[tokio::test]
async fn a_plan_explains_set_operations_and_what_is_waited_for() {
    let text = "
        [roledefs]
        web = ['web[1-4]']
        dc1 = ['web[3-9]']
        [tasks.wait]
        run = 'id'
        [tasks.health]
        roles = ['web&dc1']
        steps = [{ run = 'curl localhost', until = 'outcome.ok' }]
    ";
    let world = World::new().set("only_hosts", serde_json::json!(["web[1-3]"]));
    let plan = world.run_of(&fabfile(text)).plan(&calls(&["health"])).await.unwrap().to_string();
    assert_eq!(
        plan,
        "1. health: 1 host\n   hosts: web3\n   from the task's own hosts and roles: roles web&dc1\n   \
         role `web`: 4 hosts\n   also in role `dc1` (7 hosts): 2 hosts left\n   not among --only: web4\n   \
         run: curl localhost  (until outcome.ok, 5 times more)\n"
    );
}

#[tokio::test]
async fn a_plan_says_what_the_run_would_not_do() {
    let text = "[tasks.once]\nruns_once = true\nrun = 'id'\n[tasks.after]\npre = ['once']\nrun = 'id'";
    let plan = async |world: &World, tokens: &[&str]| {
        let plan = world.run_of(&fabfile(text)).plan(&calls(tokens)).await.unwrap();
        plan.tasks.into_iter().map(|task| format!("{} {}", task.task, task.strategy)).collect::<Vec<_>>()
    };
    let world = World::new().hosts(&["h1"]);
    assert_eq!(plan(&world, &["once", "after", "once"]).await, ["once serial", "after serial"]);
    assert_eq!(plan(&World::new(), &["after"]).await, ["once asked", "after asked"]);
}

#[tokio::test]
async fn a_plan_has_what_guards_a_task_and_how_often_things_are_tried() {
    let text = "
        [tasks.deploy]
        hosts = ['h1', 'h2']
        canary = 1
        health = 'healthy'
        pause = true
        rollback = 'undo'
        with = { retries = 2 }
        steps = [{ run = 'up', until = 'outcome.ok', retries = 3 }]
        [tasks.healthy]
        pre = ['ping']
        run = 'check'
        [tasks]
        ping = 'ping'
        undo = 'undo'
        [tasks.nowhere]
        hosts = ['h1']
        steps = [{ execute = 'undo' }]
    ";
    let plan = World::new().run_of(&fabfile(text)).plan(&calls(&["deploy", "nowhere:exclude_hosts=h1"])).await.unwrap();
    let deploy = &plan.tasks[0];
    let names = |tasks: &[fabric_exec::plan::PlannedTask]| tasks.iter().map(|it| it.task.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&deploy.health), names(&deploy.rollback)),
        (vec!["ping".into(), "healthy".into()], vec!["undo".into()])
    );
    assert_eq!(
        (deploy.health[1].hosts.as_slice(), deploy.pause, deploy.retries),
        (&["h1".into(), "h2".into()][..], true, 2)
    );
    assert_eq!(deploy.steps[0].retries, Some(3));
    assert!(plan.tasks[1].steps.is_empty(), "what runs nowhere executes nothing");
    let shown = plan.to_string();
    for line in [
        "   health: ping (before the next): 2 hosts",
        "   health: healthy (after each batch): 2 hosts",
        "   pause: a person is asked after the first batch",
        "   rollback: undo (if it does not come to its end): 2 hosts",
        "   where it fails, it is tried 2 times more",
        "(until outcome.ok, 3 times more)",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[tokio::test]
async fn a_dry_run_asks_nothing_and_says_where_it_would() {
    let text = "
        [tasks.deploy]
        canary = 1
        pause = true
        run = 'up'
        [tasks]
        undo = 'undo'
    ";
    // Whoever is asked fails the run.
    let world = World::new().hosts(&["h1", "h2"]);
    let report = world.run_of(&fabfile(text)).dry_run(true).start(calls(&["deploy"])).await.unwrap();
    assert_eq!(report.exit_code(), 0);
    assert!(world.events.story().contains(&"plan pause: deploy: 1 done, 1 to go. Go on?".to_owned()));
    let none = World::new();
    let report = none.run_of(&fabfile(text)).dry_run(true).start(calls(&["undo"])).await.unwrap();
    assert_eq!(
        (report.exit_code(), none.events.story()),
        (0, vec!["plan prompt: a host to run on: none is given".into()])
    );
}
