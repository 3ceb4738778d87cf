//! Where two features of a run meet: the rules of docs/execution.md.

use fabric_exec::fabfile::{Format, parse};

use super::again::Place;
use super::*;

fn two() -> World {
    World::new().hosts(&["h1", "h2"])
}

#[tokio::test]
async fn what_a_host_needs_first_is_done_there_for_each_host() {
    let text = "
        [tasks]
        check = 'check'
        note = 'note'
        [tasks.restart]
        pre = ['check']
        post = ['note']
        run = 'restart'
        [tasks.web]
        steps = [{ execute = 'restart' }]
        [tasks.again]
        steps = [{ execute = 'restart' }]
    ";
    for parallel in [false, true] {
        let world = two().set("parallel", parallel);
        assert_eq!(world.toml(text, &["web"]).await.exit_code(), 0);
        for host in ["h1", "h2"] {
            assert_eq!(world.commands(host), ["check", "restart", "note"], "parallel: {parallel}");
        }
    }
    // The same call on the same host is once a run, whichever task needs it.
    let world = two();
    world.toml(text, &["web", "again"]).await;
    assert_eq!(world.commands("h1"), ["check", "restart", "note", "restart"]);
}

#[tokio::test]
async fn what_several_hosts_need_is_waited_for_and_fails_for_all_of_them_in_every_try() {
    let text = "
        [tasks.build]
        hosts = ['b']
        run = 'build'
        [tasks.unpack]
        pre = ['build']
        run = 'unpack'
        [tasks.web]
        with = { retries = 2 }
        steps = [{ execute = 'unpack' }]
    ";
    let world = two().set("parallel", true);
    let report = world.toml(text, &["web"]).await;
    assert_eq!((report.exit_code(), world.commands("b")), (0, vec!["build".to_owned()]));
    let story = world.events.story();
    let place = |word: &str| story.iter().position(|one| one == word).unwrap();
    for host in ["h1", "h2"] {
        assert!(place("build@b ok") < place(&format!("unpack@{host}")), "{story:?}");
    }
    tokio::time::pause();
    let failing = two().set("parallel", true);
    failing.fleet.host("b").on("build", Reply::status(1));
    let report = failing.toml(text, &["web"]).await;
    assert_eq!((report.exit_code(), report.counts()), (1, (0, 3, 0)));
    assert_eq!(failing.commands("b"), ["build"; 3], "its own tries, and not one for each who needs it");
    assert_eq!([failing.commands("h1"), failing.commands("h2")], [const { Vec::<String>::new() }; 2]);
}

#[tokio::test]
async fn nothing_runs_around_a_task_whose_list_was_emptied() {
    let text = "
        [tasks]
        before = { hosts = ['b'], run = 'before' }
        after = { hosts = ['b'], run = 'after' }
        [tasks.t]
        hosts = ['h1']
        pre = ['before']
        post = ['after']
        run = 't'
    ";
    let world = World::new();
    let report = world.toml(text, &["t:exclude_hosts=h1"]).await;
    assert_eq!((report.exit_code(), world.events.story()), (1, Vec::new()));
    let plan = World::new().run_of(&common::fabfile(text)).plan(&calls(&["t:exclude_hosts=h1"])).await.unwrap();
    assert_eq!(plan.tasks.iter().map(|task| task.strategy.as_str()).collect::<Vec<_>>(), ["nowhere"]);
    // What runs before may name the hosts.
    let text = "
        [tasks]
        pick = { hosts = ['p'], steps = [{ set = { hosts = ['h7'] } }] }
        [tasks.t]
        pre = ['pick']
        run = 't'
    ";
    let mut world = World::new().hosts(&["h1"]);
    world.command_line.exclude = vec!["h1".to_owned()];
    world.toml(text, &["t"]).await;
    assert_eq!(world.commands("h7"), ["t"]);
}

#[tokio::test]
async fn what_is_set_in_parallel_holds_for_that_host_while_its_task_runs() {
    let text = "
        [env]
        dir = '/none'
        [tasks.t]
        steps = [
          { set = { dir = '/{{ env.host_string }}', hosts = ['x'], shell_env = { B = '{{ env.host_string }}' } } },
          { execute = 'u' },
        ]
        [tasks]
        u = 'u {{ env.dir }} {{ env.shell_env.A }}{{ env.shell_env.B }}'
        after = 'after {{ env.dir }}'
    ";
    let world = two().set("parallel", true).set("shell_env", serde_json::json!({"A": "1"}));
    world.toml(text, &["t", "after"]).await;
    for host in ["h1", "h2"] {
        let expected = [format!("u /{host} 1{host}"), "after /none".to_owned()];
        let ran: Vec<String> = world.commands(host).iter().map(|it| it.rsplit(" && ").next().unwrap().into()).collect();
        assert_eq!(ran, expected);
    }
    let serial = two().set("shell_env", serde_json::json!({"A": "1"}));
    serial.toml(text, &["t", "after"]).await;
    assert!(serial.commands("x").iter().any(|it| it.ends_with("after /h2")), "{:?}", serial.commands("x"));
}

#[tokio::test]
async fn an_empty_text_names_nothing_and_is_an_error() {
    let text = "
        [tasks.wipe]
        run = 'wipe'
        [tasks.t]
        args = [{ name = 'on', default = '' }]
        steps = [{ execute = 'wipe', STEP }]
        [tasks.s]
        args = [{ name = 'on', default = '' }]
        steps = [{ set = { SET } }, { execute = 'wipe' }]
    ";
    let list = |key: &str| format!("{key} = '{{{{ on }}}}'");
    for key in ["hosts", "roles", "exclude_hosts"] {
        let text = text.replace("STEP", &list(key)).replace("SET", &list(key));
        for call in ["t", "s"] {
            let world = two();
            let report = world.toml(&text, &[call]).await;
            assert_eq!((report.exit_code(), world.commands("h1")), (1, Vec::new()), "{key} {call}");
            let error = report.hosts["h1"].error.as_ref().unwrap();
            assert!(error.contains(&format!("`{key}` is an empty text")), "{error}");
        }
    }
    let only = text.replace("STEP", "hosts = ['a']").replace("SET", "only_hosts = '{{ on }}'");
    assert_eq!(two().toml(&only, &["s"]).await.exit_code(), 1);
    for wrong in [
        "[env]\nhosts = ''\n[tasks]\nt = 't'",
        "[env]\nroles = ' '\n[tasks]\nt = 't'",
        "[roledefs]\nweb = ''\n[tasks]\nt = 't'",
        "[tasks.t]\nhosts = ['']\nrun = 't'",
        "[tasks.t]\nroles = ''\nrun = 't'",
        "[tasks]\nt = 't'\n[tasks.u]\nsteps = [{ execute = 't', hosts = '' }]",
    ] {
        let error = parse("fabfile.toml", wrong, Format::Toml).unwrap_err().to_string();
        assert!(error.contains("an empty text names nothing"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn an_execute_can_leave_out_the_host_it_is_on() {
    let text = "
        [tasks]
        u = 'u'
        [tasks.t]
        steps = [{ execute = 'u', exclude_hosts = ['h1'] }]
    ";
    let world = two();
    world.toml(text, &["t"]).await;
    assert_eq!([world.commands("h1"), world.commands("h2")], [vec![], vec!["u".to_owned()]]);
}

const GUARDED: &str = "
    [tasks.deploy]
    hosts = ['h[1-4]']
    batch = 2
    health = 'healthy'
    rollback = 'undo'
    run = 'install'
    [tasks]
    ping = 'ping'
    undo = 'undo'
    [tasks.healthy]
    pre = ['ping']
    steps = [{ execute = 'inner' }]
    [tasks.inner]
    run = 'check'
";

#[tokio::test]
async fn gates_hold_whatever_failures_are_allowed() {
    for (setting, of_task) in
        [("warn_only", ""), ("x", "with = { warn_only = true }"), ("warn_only", "runs_once = true")]
    {
        let text = GUARDED.replace("pre = ['ping']", &format!("pre = ['ping']\n    {of_task}"));
        let world = World::new();
        let world = if setting == "x" { world } else { world.set(setting, true) };
        world.fleet.host("h1").on("check", Reply::status(1));
        let report = world.toml(&text, &["deploy"]).await;
        assert_eq!((report.exit_code(), world.commands("h3")), (1, Vec::new()), "{setting} {of_task}");
        assert_eq!(world.commands("h2").last().unwrap(), "undo");
    }
    let world = World::new().set("skip_bad_hosts", true);
    world.fleet.host("h2").refuse(9, Phase::Connect, unreachable());
    assert_eq!(world.toml(&GUARDED.replace("run = 'install'", "steps = []"), &["deploy"]).await.exit_code(), 1);
    assert!(world.commands("h3").is_empty());
}

#[tokio::test]
async fn a_health_check_is_asked_for_each_batch_with_what_it_needs() {
    let world = World::new();
    assert_eq!(world.toml(GUARDED, &["deploy"]).await.exit_code(), 0);
    for host in ["h1", "h2", "h3", "h4"] {
        assert_eq!(world.commands(host), ["install", "ping", "check"]);
    }
    let once = World::new();
    let text = GUARDED.replace("[tasks.healthy]", "[tasks.healthy]\n    runs_once = true");
    assert_eq!(once.toml(&text, &["deploy"]).await.exit_code(), 0);
    for (host, checked) in [("h1", true), ("h2", false), ("h3", true), ("h4", false)] {
        assert_eq!(once.commands(host).contains(&"check".to_owned()), checked, "{host}");
    }
}

#[tokio::test]
async fn a_rollback_goes_to_every_host_and_is_known_everywhere() {
    let world = World::new();
    world.fleet.host("h3").on("check", Reply::status(1));
    world.fleet.host("h1").on("undo", Reply::status(1));
    let place = Place::new(GUARDED);
    let (_, report) = place.go(&world, &["deploy"], false).await;
    for host in ["h1", "h2", "h3", "h4"] {
        assert_eq!(world.commands(host).last().unwrap(), "undo", "{host}");
    }
    let status = |host: &str| report.hosts[host].status;
    assert_eq!(
        ["h1", "h2", "h3", "h4"].map(status),
        [HostStatus::Failed, HostStatus::RolledBack, HostStatus::Failed, HostStatus::RolledBack,]
    );
    let of_deploy = report.tasks.iter().find(|task| task.task == "deploy").unwrap();
    let statuses: Vec<HostStatus> = of_deploy.results.iter().map(|result| result.status).collect();
    assert_eq!(statuses, [HostStatus::Ok, HostStatus::RolledBack, HostStatus::RolledBack, HostStatus::RolledBack]);
    assert_eq!(report.counts(), (0, 4, 0));
    assert_eq!(place.recorded().hosts["h2"], HostStatus::RolledBack);
    let again = World::new();
    assert_eq!(place.go(&again, &["deploy"], true).await.1.exit_code(), 0);
    assert!((1..=4).all(|n| again.commands(&format!("h{n}")).contains(&"install".to_owned())));
}

#[tokio::test]
async fn guards_of_an_execute_keep_the_block_they_came_from() {
    let text = "
        [tasks.outer]
        with = { sudo_user = 'app' }
        steps = [{ execute = 'deploy' }]
        [tasks.deploy]
        hosts = ['h1']
        health = 'healthy'
        run = 'install'
        [tasks]
        healthy = 'check {{ env.sudo_user }}'
    ";
    let world = World::new();
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("h1"), ["install", "check app"]);
}

#[tokio::test]
async fn gates_where_there_can_be_none_are_errors() {
    for (wrong, expected) in [
        ("runs_once = true\nhealth = 'h'", "`health` of task `t`: it runs once"),
        ("runs_once = true\nbatch = 2", "`batch` of task `t`: it runs once"),
        ("health = 'h:hosts=a'", "hosts and roles do nothing"),
        ("rollback = ['h', 'h']", "expected one task, found 2"),
    ] {
        let text = format!("[tasks]\nh = 'h'\n[tasks.t]\nrun = 't'\n{wrong}");
        let error = parse("fabfile.toml", &text, Format::Toml).unwrap_err().to_string();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
    for section in ["[roledefs]\nweb = { hosts = ['a'], KEY }", "[hosts.a]\nKEY"] {
        for key in [
            "parallel = true",
            "batch = '2'",
            "limit = '1'",
            "max_failures = '1'",
            "pool_size = 1",
            "dedupe_hosts = true",
        ] {
            let text = format!("{}\n[tasks]\nt = 't'", section.replace("KEY", key));
            let error = parse("fabfile.toml", &text, Format::Toml).unwrap_err().to_string();
            assert!(error.contains("it is about a whole list of hosts"), "{text}: {error}");
        }
    }
    let pause = "[tasks.t]\npause = true\nhosts = ['a']\nrun = 't'";
    let error = World::new().try_toml(pause, &["t"]).await.unwrap_err().to_string();
    assert!(error.contains("there is no first batch"), "{error}");
    assert!(World::new().set("batch", "1").try_toml(pause, &["t"]).await.is_ok());
    let local = "[tasks]\nh = 'h'\n[tasks.t]\nhealth = 'h'\nsteps = [{ local = 'true' }]";
    let report = World::new().try_toml(local, &["t"]).await;
    let error = report.map_or_else(|error| error.to_string(), |report| report.error.unwrap());
    assert!(error.contains("it runs without a host"), "{error}");
}

#[tokio::test]
async fn failed_hosts_are_counted_over_the_whole_run_and_named_where_they_are_left_out() {
    let world = World::new().hosts(&["h1", "h2", "h3"]).set("max_failures", "1");
    world.fleet.host("h1").on("a", Reply::status(1));
    world.fleet.host("h2").on("b", Reply::status(1));
    let report = world.toml("[tasks]\na = 'a'\nb = 'b'\nc = 'c'", &["a", "b", "c"]).await;
    assert_eq!((report.exit_code(), report.not_started.clone()), (1, vec!["c".to_owned()]));
    assert_eq!(world.commands("h3"), ["a"], "two hosts of the run have failed");
    let warnings = world.events.warnings();
    assert!(warnings.contains(&"`b` leaves out h1: it has failed in this run".to_owned()), "{warnings:?}");
}

#[tokio::test]
async fn hosts_whose_failure_a_task_allowed_are_left_out_by_those_that_do_not() {
    let text = "
        [tasks.m]
        batch = 1
        with = { max_failures = '1' }
        run = 'm'
        [tasks]
        who = 'who'
    ";
    let world = two();
    world.fleet.host("h1").on("m", Reply::status(1));
    assert_eq!(world.toml(text, &["m", "who"]).await.exit_code(), 1);
    assert_eq!([world.commands("h1"), world.commands("h2")], [vec!["m"], vec!["m", "who"]]);
}

#[tokio::test(start_paused = true)]
async fn what_a_retry_healed_is_healed_everywhere() {
    let text = "
        [tasks.db]
        hosts = ['db1']
        run = 'migrate'
        [tasks.t]
        with = { retries = 1 }
        steps = [{ execute = 'db' }]
        [tasks.last]
        run = 'last'
    ";
    let world = World::new().hosts(&["h1", "db1"]);
    let tries = AtomicUsize::new(0);
    world.fleet.host("db1").on_match("migrate", move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(1),
        _ => Reply::ok(),
    });
    // The task's own tries, not those of what it executes.
    let text = text.replace("run = 'migrate'", "with = { retries = 0 }\n        run = 'migrate'");
    let place = Place::new(&text);
    let (_, report) = place.go(&world, &["t", "last"], false).await;
    assert_eq!((report.exit_code(), report.counts()), (0, (2, 0, 0)), "{:?}", report.hosts);
    let superseded: Vec<(&str, bool)> = report.tasks.iter().map(|it| (it.task.as_str(), it.superseded)).collect();
    assert!(superseded.contains(&("db", true)) && superseded.contains(&("db", false)), "{superseded:?}");
    assert!(place.is_done());
    assert!(!report.to_junit().contains("<failure"));
}

#[tokio::test(start_paused = true)]
async fn tries_do_not_multiply() {
    let text = "
        [tasks.inner]
        hosts = ['x']
        run = 'inner'
        [tasks.outer]
        hosts = ['h1']
        with = { retries = 2 }
        steps = [{ execute = 'inner' }]
        [tasks.waits]
        hosts = ['h1']
        with = { retries = 2 }
        steps = [{ run = 'wait', until = 'outcome.ok', retries = 3 }]
    ";
    let world = World::new();
    world.fleet.host("x").on("inner", Reply::status(1));
    world.fleet.host("h1").on("wait", Reply::status(1));
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("x").len(), 3);
    world.toml(text, &["waits"]).await;
    assert_eq!(world.commands("h1").len(), 4);
}

#[tokio::test]
async fn once_a_run_is_once_for_each_set_of_arguments() {
    let text = "
        [tasks.once]
        args = ['what']
        runs_once = true
        run = 'once {{ what }}'
    ";
    let world = two();
    world.toml(text, &["once:a", "once:b", "once:a"]).await;
    assert_eq!(world.commands("h1"), ["once a", "once b"]);
}

#[tokio::test]
async fn eager_disconnects_leave_hosts_alone_that_are_at_work() {
    let text = "
        [tasks.x]
        hosts = ['x']
        run = 'x'
        [tasks.t]
        steps = [{ run = 'one' }, { execute = 'x' }, { run = 'two' }]
    ";
    let world = two().set("parallel", true).set("eagerly_disconnect", true);
    assert_eq!(world.toml(text, &["t"]).await.exit_code(), 0);
    let events = world.events.events();
    let opened = |host: &str| {
        let of_host = events.iter().filter(|event| event.host.as_deref() == Some(host));
        of_host.filter(|event| matches!(event.kind, EventKind::Connected { .. })).count()
    };
    assert_eq!([opened("h1"), opened("h2")], [1, 1]);
}

#[tokio::test]
async fn what_is_in_force_around_an_execute_says_how_it_goes_over_its_hosts() {
    let text = "
        [tasks.u]
        hosts = ['a', 'b']
        run = 'u'
        [tasks.t]
        with = { parallel = true }
        steps = [{ execute = 'u' }]
    ";
    let report = World::new().toml(text, &["t"]).await;
    let strategy = |name: &str| report.tasks.iter().find(|task| task.task == name).unwrap().strategy.clone();
    assert_eq!(strategy("u"), "parallel");
    let plan = World::new().run_of(&common::fabfile(text)).plan(&calls(&["t"])).await.unwrap();
    assert_eq!(plan.tasks[0].steps[0].executes[0].strategy, "parallel");
}

#[tokio::test]
async fn an_included_file_speaks_for_its_own_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "db.toml",
        "include = { more = 'more.toml' }\n[env]\nrelease = 'of db'\nwarn_only = true\nhosts = ['d1']\n[tasks]\nt = 'db {{ env.release }} {{ env.app }}'\nbad = 'bad'",
    );
    write("more.toml", "[env]\nextra = 'x'\n[tasks]\nt = 'more {{ env.release }} {{ env.extra }}'");
    let text = "
        include = { db = 'db.toml' }
        [env]
        release = 'own'
        app = 'shop'
        hosts = ['h1']
        [tasks]
        t = 'own {{ env.release }}'
        bad = 'bad'
    ";
    let fabfile = parse(dir.path().join("fabfile.toml"), text, Format::Toml).unwrap();
    let world = World::new();
    world.fleet.every_host().on("bad", Reply::status(1));
    let run = |calls: &[&str]| world.run_of(&fabfile).start(common::calls(calls));
    assert_eq!(run(&["t", "db.t", "db.more.t"]).await.unwrap().exit_code(), 0);
    assert_eq!(world.commands("h1"), ["own own"]);
    assert_eq!(world.commands("d1"), ["db of db shop", "more of db x"]);
    assert_eq!(run(&["bad"]).await.unwrap().exit_code(), 1, "`warn_only` of the included file is not the fabfile's");
    assert_eq!(run(&["db.bad"]).await.unwrap().exit_code(), 0);
    let text = text.replace("t = 'own {{ env.release }}'", "t = 'own {{ env.extra }}'");
    let fabfile = parse(dir.path().join("fabfile.toml"), &text, Format::Toml).unwrap();
    let error = world.run_of(&fabfile).start(common::calls(&["t"])).await.unwrap_err().to_string();
    assert!(error.contains("extra"), "{error}");
}

#[tokio::test]
async fn roles_made_of_others_keep_what_those_say_of_their_hosts() {
    let text = "
        [roledefs]
        old = { hosts = ['o1', 'both'], sudo_prefix = 'jump1', sudo_user = 'old' }
        new = { hosts = ['n1', 'both'], sudo_prefix = 'jump2', sudo_user = 'new' }
        all = { roles = ['old', 'new'], retries = 3 }
        some = { roles = ['all!old'] }
        [tasks]
        t = 't {{ env.sudo_prefix }} {{ env.sudo_user }} {{ env.retries }}'
    ";
    for (role, host, expected) in [
        ("all", "o1", "t jump1 old 3"),
        ("all", "n1", "t jump2 new 3"),
        ("all", "both", "t jump1 old 3"),
        ("some", "n1", "t jump2 new 3"),
        ("old&new", "both", "t jump1 old 0"),
    ] {
        let mut world = World::new();
        world.command_line.roles = vec![role.to_owned()];
        world.toml(text, &["t"]).await;
        assert_eq!(world.commands(host), [expected], "{role}");
    }
}

#[tokio::test]
async fn a_task_whose_pre_failed_is_named_as_not_begun() {
    let world = two();
    world.fleet.host("h1").on("first", Reply::status(1));
    let text = "[tasks]\nfirst = 'first'\nw = 'w'\n[tasks.t]\npre = ['first']\nrun = 't'";
    assert_eq!(world.toml(text, &["t", "w"]).await.not_started, ["t", "w"]);
}

#[tokio::test]
async fn types_are_asked_for_and_comparisons_mean_something() {
    let text = "
        [tasks.t]
        args = [{ name = 'version', default = 1.10 }, { name = 'build', default = 7 }, { name = 'count', default = 1, type = 'integer' }]
        steps = [
          { run = 'v {{ version }} {{ build }}' },
          { run = 'many', if = 'count > 1' },
          { prompt = 'How many?', save = 'count' },
          { run = 'more', if = 'count > 4' },
        ]
        [tasks.text]
        steps = [{ run = 'disk', save = 's' }, { run = 'full', if = 's.stdout > 90' }]
        [tasks.bare]
        steps = [{ run = 'disk', save = 's' }, { run = 'said', if = 's.stdout' }]
        [tasks.until]
        steps = [{ run = 'disk', until = 'outcome.stdout < 90', retries = 5, delay = 9 }]
        [tasks.right]
        steps = [{ run = 'disk', save = 's' }, { run = 'full', if = 's.stdout | int > 90' }]
    ";
    let world = World::new().hosts(&["h1"]);
    world.fleet.every_host().on("disk", Reply::stdout("100\n"));
    let run = |calls: &[&str]| world.run_of(&common::fabfile(text)).prompter(Says("5")).start(common::calls(calls));
    assert_eq!(run(&["t:version=1.20,build=007"]).await.unwrap().exit_code(), 0);
    assert_eq!(world.commands("h1"), ["v 1.20 007", "more"]);
    assert_eq!(run(&["t"]).await.unwrap().exit_code(), 0);
    assert!(world.commands("h1").contains(&"v 1.10 7".to_owned()));
    for (task, expected) in [
        ("text", "write `s.stdout | int`"),
        ("bare", "`s.stdout` is a text and no condition"),
        ("until", "a text is compared with a number"),
    ] {
        let report = run(&[task]).await.unwrap();
        let error = report.hosts["h1"].error.clone().unwrap_or_default();
        assert!(error.contains(expected), "{task}: {error}");
    }
    assert_eq!(run(&["right"]).await.unwrap().exit_code(), 0);
    assert_eq!(world.commands("h1").last().unwrap(), "full");
}

#[test]
fn keys_that_would_do_nothing_in_a_step_are_errors() {
    for (step, key) in [
        ("put = 'a', to = '/a', template = true, skip_same = true", "`skip_same`"),
        ("put = 'a', to = '/a', template = true, resume = true", "`resume`"),
        ("put = 'a', to = '/a', template = true, verify = true", "`verify`"),
        ("put = 'a', to = '/a', template = true, links = 'keep'", "`links`"),
        ("get = '/a', template = true", "`template`"),
        ("get = '/a', temp_dir = '/tmp'", "`temp_dir`"),
        ("set = { a = 1 }, warn_only = true", "`warn_only`"),
        ("set = { a = 1 }, hide = true", "`hide`"),
        ("prompt = 'a', warn_only = true", "`warn_only`"),
        ("open_shell = true, warn_only = true", "`warn_only`"),
        ("run = 'a', user = 'b'", "`user`"),
        ("execute = 'u', cd = '/'", "`cd`"),
    ] {
        let text = format!("[tasks]\nu = 'u'\n[tasks.t]\nsteps = [{{ {step} }}]\n");
        let problems = parse("f.toml", &text, Format::Toml).unwrap_err().to_string();
        assert!(problems.contains("f.toml:4") && problems.contains(key), "{step}: {problems}");
    }
}

#[tokio::test]
async fn what_several_commands_came_to_is_the_first_failure_else_the_last() {
    let text = "
        [tasks.t]
        steps = [
          { run = ['a', 'b', 'c'], warn_only = true, save = 's' },
          { run = 'echo {{ s.ok }} {{ s.exit }} {{ s.command }}' },
        ]
    ";
    for (failing, expected) in [(None, "echo true 0 c"), (Some("b"), "echo false 3 b"), (Some("c"), "echo false 3 c")] {
        let world = World::new().hosts(&["h1"]);
        if let Some(command) = failing {
            world.fleet.host("h1").on(command, Reply::status(3));
        }
        assert_eq!(world.toml(text, &["t"]).await.exit_code(), 0);
        assert_eq!(world.commands("h1"), ["a", "b", "c", expected]);
    }
}

#[tokio::test]
async fn hosts_whose_rollback_never_began_are_rolled_back_in_no_account() {
    let place = Place::new(
        "
        [tasks]
        check = 'check'
        [tasks.undo]
        pre = ['check']
        run = 'undo'
        [tasks.deploy]
        health = 'check'
        rollback = 'undo'
        run = 'deploy'
    ",
    );
    let failing = two();
    failing.fleet.host("h2").on("check", Reply::status(1));
    let (did, report) = place.go(&failing, &["deploy"], false).await;
    assert!(!did.iter().any(|command| command.ends_with("undo")), "{did:?}");
    let statuses = [HostStatus::Ok, HostStatus::Failed];
    assert_eq!(report.hosts.values().map(|host| host.status).collect::<Vec<_>>(), statuses);
    assert_eq!(place.recorded().hosts.values().copied().collect::<Vec<_>>(), statuses);
    // What is left of it is not known: all of it is done again.
    let (did, _) = place.go(&two(), &["deploy"], true).await;
    assert_eq!(did.iter().filter(|command| command.ends_with("deploy")).count(), 2);
}

#[tokio::test]
async fn what_a_health_check_executes_is_as_strict_whatever_its_own_settings_say() {
    for lenient in ["with = { warn_only = true }", "with = { warn_only = true, skip_bad_hosts = true }"] {
        let text = format!(
            "
            [tasks.ask]
            {lenient}
            run = 'ask'
            [tasks.check]
            steps = [{{ execute = 'ask', hosts = ['monitor'] }}]
            [tasks.deploy]
            batch = 1
            health = 'check'
            run = 'deploy'
        "
        );
        let world = two();
        world.fleet.host("monitor").on("ask", Reply::status(1));
        let report = world.toml(&text, &["deploy"]).await;
        assert_eq!((report.exit_code(), world.commands("h2")), (1, Vec::<String>::new()), "{lenient}");
    }
}
