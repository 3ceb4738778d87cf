//! On which hosts tasks run, in which order.

use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::thread::{self, ThreadId};

use fabric_core::{Event, EventSink};
use tokio::sync::Barrier;

use super::*;

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
async fn connections_that_nobody_needs_are_not_kept() {
    let names: Vec<String> = (0..200).map(|n| format!("h{n}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new().hosts(&hosts);
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (fleet, counts) = (world.fleet.clone(), seen.clone());
    let last = Task::from_fn("last", move |context: Context| {
        let (fleet, counts) = (fleet.clone(), counts.clone());
        async move {
            context.connection().await?.run("last").await?;
            let open = fleet.known().iter().map(|name| fleet.host(name).open_sessions()).sum();
            counts.lock().unwrap().push(open);
            Ok(())
        }
    });
    world.go(collection([running("first"), last]), &["first", "last"]).await;
    let counts = seen.lock().unwrap();
    assert_eq!(counts.first(), Some(&200), "all were kept for the task that followed");
    assert!(counts.last().is_some_and(|open| *open <= 66), "{counts:?}");
    assert!(hosts.iter().all(|host| world.fleet.host(host).connects() == 1));
    assert!(hosts.iter().all(|host| world.fleet.host(host).open_sessions() == 0));
}

#[tokio::test]
async fn no_more_hosts_at_once_than_files_may_be_open() {
    let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new().hosts(&hosts).set("parallel", true);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (n, m) = (now.clone(), most.clone());
    let task = Task::from_fn("t", move |context: Context| {
        let (n, m) = (n.clone(), m.clone());
        async move {
            m.fetch_max(n.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            context.connection().await?.run("true").await?;
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            n.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let report = world.run(collection([task])).open_at_most(NonZero::new(8)).start(calls(&["t"])).await.unwrap();
    assert_eq!(report.counts(), (20, 0, 0));
    assert_eq!(most.load(Ordering::SeqCst), 6, "two are left for connections that are kept");
    let told = "6 hosts at the same time, not 20: the limit on open files allows no more (`ulimit -n`)";
    assert_eq!(world.events.warnings(), [told]);
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
async fn unknown_roles_are_all_named_before_anything_runs() {
    let text = "[roledefs]\nweb = ['w']\n[tasks]\nfirst = 'x'\nafter = { pre = ['t'] }\n\
                [tasks.t]\nroles = ['wbe', 'nope']\nrun = 'x'\n";
    let own = "fabfile.toml:7:10: task `t`: the role `wbe` does not exist (did you mean `web`?)\n\
               fabfile.toml:7:17: task `t`: the role `nope` does not exist";
    let given = "task `first`: the role `nope` does not exist";
    for (typed, tasks, wrong) in [
        ("web", &["first", "t"][..], own),
        ("web", &["first", "after"], own),
        ("web", &["first", "first:roles=nope"], given),
        ("nope", &["t:hosts=h", "first"], given),
        ("nope", &["t:hosts=h", "-- x"], "task `<remainder>`: the role `nope` does not exist"),
    ] {
        let mut world = World::new();
        world.command_line.roles = vec![typed.to_owned()];
        let error = world.try_toml(text, tasks).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), world.events.story().len()), (wrong, 0), "-R {typed} {tasks:?}");
    }
    // Nobody needs it: that is no reason to stop.
    let mut world = World::new();
    world.command_line.roles = vec!["nope".to_owned()];
    assert_eq!(world.toml(text, &["first:hosts=h"]).await.exit_code(), 0);
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
    assert_eq!(report.hosts.keys().collect::<Vec<_>>(), ["w1", "w2", "d1"]);
    let error = go("id:role=none").await.unwrap().error.unwrap();
    assert!(error.ends_with("hosts.ini: it has no group `none`, only web, db"), "{error}");
}

#[tokio::test]
async fn a_person_names_the_host_once() {
    let world = World::new();
    let text = "[tasks]\na = 'a {{ env.host }}'\nb = 'b'\n[tasks.c]\nsteps = [{ local = 'test {{ env.host }} = h9' }, { run = 'c' }]";
    let run = world.run_of(&common::fabfile(text)).prompter(Says("u@h9:2200"));
    let report = run.start(calls(&["a", "b", "c"])).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{:?}", report.error);
    assert_eq!(world.commands("h9"), ["a h9", "b", "c"]);
    // It is a host as any other, in the report too.
    assert_eq!(report.counts(), (1, 0, 0));
    assert!(report.tasks.iter().all(|task| task.results[0].host.as_deref() == Some("u@h9:2200")));
    let sole = world.run_of(&common::fabfile(text)).prompter(Says("h9"));
    let report = sole.start(vec![fabric_exec::Call::Command("id".to_owned())]).await.unwrap();
    assert!(report.sole_command.is_some());
}

#[tokio::test]
async fn nothing_of_a_task_runs_that_lacks_its_host() {
    let text = "[tasks.t]\npre = ['build']\nsteps = [{ local = 'false' }, { run = 'id' }]\n[tasks.build]\nrun = 'make'\n\
                [tasks.maybe]\nsteps = [{ run = 'id', if = 'false' }]\n[tasks.sets]\nsteps = [{ set = { hosts = ['h1'] } }]";
    let report = World::new().toml(text, &["t"]).await;
    assert_eq!(report.exit_code(), 2);
    let error = report.error.unwrap();
    assert!(error.starts_with("task `build` has no host to run on"), "{error}");
    assert!(report.tasks.is_empty());
    assert_eq!(World::new().toml(text, &["maybe", "sets"]).await.exit_code(), 0);
}

#[tokio::test]
async fn parallel_is_sensible_for_one_host_and_for_none() {
    let one = World::new().hosts(&["h1"]).set("pool_size", 9);
    assert_eq!(one.go(collection([running("a").parallel()]), &["a"]).await.counts(), (1, 0, 0));
    let local = Task::from_fn("t", |_: Context| async { Ok(()) }).parallel();
    let report = World::new().set("parallel", true).go(collection([local]), &["t"]).await;
    assert_eq!((report.tasks[0].strategy.as_str(), report.exit_code()), ("local", 0));
}

#[tokio::test]
async fn env_tells_where_a_task_is_and_keeps_secrets() {
    let world = World::new().hosts(&["u@h1:23", "h2"]).set("password", "hunter2");
    let text = "[tasks]\nt = \"echo {{ env.host_string }} {{ env.host }} {{ env.user }} {{ env.port }} {{ env.all_hosts | sh }} {{ env.tasks | sh }}\"\n\
                l = 'x'\n[tasks.local]\nsteps = [{ local = 'test {{ env.host | sh }} = none' }]\n[tasks.leak]\nsteps = [{ run = 'echo {{ env.password }}' }]\n";
    world.toml(text, &["t"]).await;
    assert_eq!(world.commands("h1"), ["echo u@h1:23 h1 u 23 u@h1:23 h2 t"]);
    let leak = world.try_toml(text, &["leak"]).await.unwrap_err();
    assert!(leak.to_string().contains("`env.password` is not defined"), "{leak}");
    assert_eq!(World::new().toml(text, &["local"]).await.exit_code(), 0, "env.host is none outside a host");
}

#[tokio::test]
async fn roles_are_composed_and_only_holds_for_every_list() {
    let text = "
        [roledefs]
        web = ['w1', 'w2', 'w3']
        dc1 = { command = 'echo w2; echo w3; echo db1' }
        edge = { roles = ['web&dc1'] }
        all = { roles = ['edge', 'dc1!web'] }
        loop = { roles = ['loop'] }
        [tasks.t]
        roles = ['all']
        run = 'a'
        [tasks.u]
        roles = ['loop']
        run = 'a'
    ";
    let world = World::new();
    let report = world.toml(text, &["t"]).await;
    assert_eq!(report.hosts.keys().collect::<Vec<_>>(), ["w2", "w3", "db1"]);
    let world = World::new().set("only_hosts", serde_json::json!(["w[1-2]"]));
    assert_eq!(world.toml(text, &["t"]).await.hosts.keys().collect::<Vec<_>>(), ["w2"]);
    let world = World::new().set("only_hosts", serde_json::json!(["none"]));
    let report = world.toml(text, &["t"]).await;
    assert_eq!((report.exit_code(), report.ending), (1, Ending::NothingRan));
    assert_eq!(world.events.warnings(), ["task `t` runs nowhere: --only leaves none of its hosts"]);
    let report = world.toml(text, &["u"]).await;
    assert_eq!((report.exit_code(), report.error.as_deref()), (2, Some("role `loop`: it is made of itself")));
}

#[tokio::test]
async fn what_is_odd_about_a_host_list_is_said_once() {
    let world = World::new().hosts(&["x"]);
    let text =
        "[tasks.own]\nhosts = ['h1']\nrun = 'a'\n[tasks.all]\nhosts = ['h1', 'h2']\nsteps = [{ execute = 'own' }]\n";
    world.toml(text, &["own", "own", "all"]).await;
    let said = world.events.warnings();
    let about = |task: &str| said.iter().filter(|text| text.starts_with(&format!("task `{task}` has hosts"))).count();
    assert_eq!((about("own"), about("all")), (1, 1), "{said:?}");
}

#[tokio::test]
async fn an_unknown_task_before_another_is_named_with_its_place() {
    for key in ["pre", "post", "health", "rollback"] {
        let text = format!("[tasks.a]\nrun = 'x'\n\n[tasks.t]\n{key} = ['b']\nrun = 'x'\n");
        let text = if matches!(key, "pre" | "post") { text } else { text.replace("['b']", "'b'") };
        let error = World::new().try_toml(&text, &["t"]).await.unwrap_err();
        let column = key.len() + if matches!(key, "pre" | "post") { 5 } else { 4 };
        assert_eq!(error.to_string(), format!("fabfile.toml:5:{column}: there is no task `b`"), "{key}");
    }
}

/// What each host's body saw, of which so many run at the same time: the threads it was on before and after it waited
/// for them.
async fn threads_of(hosts: &[&str], together: usize, task: impl Fn(Task) -> Task) -> Vec<[ThreadId; 2]> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all_there = Arc::new(Barrier::new(together));
    let body = {
        let seen = seen.clone();
        move |context: Context| {
            let (seen, all_there) = (seen.clone(), all_there.clone());
            async move {
                let before = thread::current().id();
                all_there.wait().await;
                context.connection().await?.run("true").await?;
                seen.lock().unwrap().push([before, thread::current().id()]);
                Ok(())
            }
        }
    };
    let run = World::new().hosts(hosts).run(collection([task(Task::from_fn("t", body))])).threads(NonZero::new(3));
    assert_eq!(run.start(calls(&["t"])).await.unwrap().exit_code(), 0);
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn hosts_are_spread_evenly_over_threads_and_stay_where_they_began() {
    let many: Vec<String> = (1..=48).map(|n| format!("h{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let seen = threads_of(&many, 48, Task::parallel).await;
    assert!(seen.iter().all(|[before, after]| before == after), "{seen:?}");
    let mut hosts_on = HashMap::new();
    for [thread, _] in &seen {
        *hosts_on.entry(*thread).or_insert(0) += 1;
    }
    assert_eq!(hosts_on.values().copied().collect::<Vec<_>>(), [16, 16, 16], "{seen:?}");
    assert!(hosts_on.contains_key(&thread::current().id()), "the run's own thread serves hosts too");
    let here = [thread::current().id(); 2];
    assert_eq!(threads_of(&many[..16], 16, Task::parallel).await, [here; 16], "a few need no further thread");
    assert_eq!(threads_of(&many, 1, Task::serial).await, [here; 48], "nor do many, one after another");
}

/// On which threads something happened.
#[derive(Default)]
struct Threads(Mutex<HashSet<ThreadId>>);

impl EventSink for Threads {
    fn emit(&self, _: Event) {
        self.0.lock().unwrap().insert(thread::current().id());
    }
}

#[tokio::test]
async fn hosts_that_get_files_have_threads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app"), "app").unwrap();
    let text = format!(
        "[tasks.t]\nparallel = true\nsteps = [{{ put = '{}/app', to = '/tmp/app' }}, {{ run = 'meet' }}]",
        dir.path().display()
    );
    let threads = Arc::new(Threads::default());
    let world = World::new().hosts(&["h1", "h2", "h3"]);
    // None is done before all have begun, and none shares its thread with another that waits.
    let all = std::sync::Barrier::new(3);
    world.fleet.every_host().on_match("^meet$", move |_| {
        all.wait();
        Reply::ok()
    });
    let run = world.run_of(&common::fabfile(&text)).threads(NonZero::new(3)).events(threads.clone());
    assert_eq!(run.start(calls(&["t"])).await.unwrap().exit_code(), 0);
    assert_eq!(threads.0.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn threads_of_a_run_end_with_it() {
    let (alive, gone) = tokio::sync::oneshot::channel::<()>();
    let alive = Arc::new(Mutex::new(Some(alive)));
    let hosts: Vec<String> = (1..=17).map(|n| format!("h{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let all = Arc::new(Barrier::new(hosts.len()));
    let here = thread::current().id();
    let task = Task::from_fn("t", move |_: Context| {
        let (all, alive) = (all.clone(), alive.clone());
        async move {
            all.wait().await;
            if thread::current().id() != here {
                let alive = alive.lock().unwrap().take();
                tokio::spawn(async move {
                    let _alive = alive;
                    std::future::pending::<()>().await;
                });
            }
            Ok(())
        }
    });
    let run = World::new().hosts(&hosts).run(collection([task.parallel()])).threads(NonZero::new(2));
    assert_eq!(run.start(calls(&["t"])).await.unwrap().exit_code(), 0);
    assert!(gone.await.is_err(), "what was left running there is dropped");
}
