//! Tasks that draw others along: execute, pre, post, runs_once, set.

use super::*;

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
async fn who_gives_a_runs_once_task_up_leaves_nobody_waiting() {
    let world = World::new().hosts(&["h1", "h2", "h3"]).set("parallel", true);
    let (begun, begins) = tokio::sync::watch::channel(false);
    let once = Task::from_fn("once", move |_: Context| {
        begun.send_replace(true);
        std::future::pending::<Result<(), TaskError>>()
    });
    // The first host begins it and loses patience; the others come when it is under way.
    let outer = Task::from_fn("outer", move |context: Context| {
        let mut begins = begins.clone();
        async move {
            let begun = begins.wait_for(|begun| *begun);
            if context.host().is_some_and(|host| host.as_str() == "h1") {
                tokio::select! {
                    ended = context.execute(Execute::task("once")) => return ended.map(drop),
                    _ = begun => return Ok(()),
                }
            }
            begun.await.map_err(|error| TaskError::abort(error.to_string()))?;
            context.execute(Execute::task("once")).await.map(drop)
        }
    });
    let report = world.go(collection([once.runs_once(), outer]), &["outer"]).await;
    assert_eq!(report.counts(), (1, 2, 0), "{report:?}");
    let error = report.hosts["h3"].error.as_ref().unwrap();
    assert!(error.contains("given up before it ended"), "{error}");
}

#[tokio::test]
async fn pre_and_post_run_once_a_run() {
    let world = World::new();
    let task = |name: &str| {
        let name = name.to_owned();
        Task::from_fn(name, |_: Context| async { Ok(()) })
    };
    let tasks = [
        task("build").alias("make"),
        task("note").param(fabric_exec::Param::required("text")),
        task("a").pre(Invocation::new("build")).post(Invocation::parse("note:done").unwrap()),
        // The same call by another name, and in another spelling.
        task("b").pre(Invocation::new("make")).post(Invocation::parse("note:text=done").unwrap()),
        task("c").post(Invocation::parse("note:other").unwrap()),
    ];
    world.go(collection(tasks), &["a", "b", "c"]).await;
    let story = world.events.story();
    let begun: Vec<&str> = story.iter().filter_map(|word| word.strip_suffix("@-")).collect();
    assert_eq!(begun, ["build", "a", "note", "b", "c", "note"]);
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
async fn what_a_task_that_runs_once_executes_goes_to_the_global_list() {
    let text = "
        [roledefs]
        db = ['db1', 'db2']
        [tasks]
        update = 'update'
        [tasks.restart]
        steps = [{ run = 'restart' }, { execute = 'update' }]
        [tasks.deploy]
        runs_once = true
        steps = [{ run = 'announce' }, { execute = 'restart' }]
        [tasks.migrate]
        runs_once = true
        roles = ['db']
        steps = [{ run = 'migrate' }, { execute = 'update' }]
        [tasks.outer]
        steps = [{ run = 'outer' }, { execute = 'deploy' }]
    ";
    let all = ["h1", "h2", "h3"];
    for parallel in [false, true] {
        let world = World::new().hosts(&all).set("parallel", parallel);
        let plan = world.run_of(&common::fabfile(text)).plan(&calls(&["deploy"])).await.unwrap();
        assert_eq!(plan.tasks[0].steps[1].executes[0].hosts, all);
        assert_eq!(world.toml(text, &["deploy"]).await.exit_code(), 0);
        assert_eq!(world.commands("h1"), ["announce", "restart", "update"]);
        assert_eq!(world.commands("h3"), ["restart", "update"], "there the host is kept again");
        assert_eq!(world.events.warnings(), Vec::<String>::new());
    }
    // Inside a host's run too; and once.
    let world = World::new().hosts(&all);
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("h1"), ["outer", "announce", "restart", "update"]);
    assert_eq!(world.commands("h3"), ["restart", "update", "outer"]);
    // Own hosts: what it executes still goes to the global ones, or stays where there are none.
    let world = World::new().hosts(&["h1", "h2"]);
    world.toml(text, &["migrate"]).await;
    assert_eq!((world.commands("db1"), world.commands("h2")), (vec!["migrate".to_owned()], vec!["update".to_owned()]));
    let world = World::new();
    let plan = world.run_of(&common::fabfile(text)).plan(&calls(&["migrate"])).await.unwrap();
    assert_eq!(plan.tasks[0].steps[1].executes[0].hosts, ["db1"]);
    world.toml(text, &["migrate"]).await;
    assert_eq!(
        (world.commands("db1"), world.fleet.known()),
        (vec!["migrate".into(), "update".into()], vec!["db1".to_owned()])
    );
    // Code as well.
    let deploy = Task::from_fn("deploy", |context: Context| async move { context.execute(Execute::task("u")).await });
    let world = World::new().hosts(&all);
    world.go(collection([running("u"), deploy.runs_once()]), &["deploy"]).await;
    assert_eq!(world.commands("h3"), ["u"]);
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
async fn a_task_that_executes_itself_without_end_is_stopped() {
    for text in
        ["[tasks.t]\nsteps = [{ execute = 't' }]\n", "[tasks.t]\nruns_once = true\nsteps = [{ execute = 't' }]\n"]
    {
        let world = World::new().hosts(&["h1"]);
        let error = world.try_toml(text, &["t"]).await.unwrap_err();
        assert_eq!(error.to_string(), "task `t` executes itself without end");
        assert!(world.events.story().is_empty(), "that is known before anything runs");
    }
    // What only the run can know is found out by it.
    let text = "[tasks.t]\nruns_once = true\nsteps = [{ execute = 't', if = 'true' }]\n[tasks.u]\nsteps = [{ execute = 'u', if = 'true' }]\n";
    for task in ["t", "u"] {
        for hosts in [&[][..], &["h1"]] {
            let report = World::new().hosts(hosts).toml(text, &[task]).await;
            assert_eq!(report.exit_code(), 2);
            assert!(report.error.unwrap().contains("executes itself without end"));
        }
    }
}

#[tokio::test]
async fn a_nested_host_starts_from_the_global_user_and_port() {
    let world = World::new().hosts(&["bob@h1:2222"]).set("user", "ann");
    let text = "
        [tasks.inner]
        run = 'echo {{ env.user }} {{ env.port }} {{ env.command }}'
        [tasks.outer]
        steps = [{ execute = 'inner', hosts = ['p'] }, { run = 'echo {{ env.user }} {{ env.port }} {{ env.command }}' }]
    ";
    world.toml(text, &["outer"]).await;
    assert_eq!(world.commands("p"), ["echo ann 22 inner"]);
    assert_eq!(world.commands("h1"), ["echo bob 2222 outer"], "the outer host's are as they were");
}

#[tokio::test]
async fn execute_yields_what_each_host_returned_in_host_order() {
    let world = World::new().set("parallel", true);
    world.fleet.host("a").on("who", Reply::stdout("1\n").delay(Duration::from_millis(30)));
    world.fleet.host("b").on("who", Reply::stdout("2\n"));
    let outer = Task::from_fn("outer", |context: Context| async move {
        let hosts = context.execute(Execute::task("who").hosts(["a", "b"])).await?;
        let local = Task::from_fn("local", |_: Context| async { Ok(7) });
        let alone = context.execute(Execute::this(local)).await?;
        Ok((hosts, alone))
    });
    let report = world.go(collection([outer, running("who")]), &["outer"]).await;
    let value = serde_json::to_string(&report.tasks[0].results[0].value).unwrap();
    assert_eq!(value, r#"[{"a":"1","b":"2"},{"<local-only>":7}]"#);
}

#[tokio::test]
async fn shared_state_and_settings_for_a_block_of_code() {
    let world = World::new().hosts(&["h1"]).set("stage", "test");
    let first = Task::from_fn("first", |context: Context| async move {
        let inner = context.with([("cwd".to_owned(), "/srv".into())].into_iter().collect());
        inner.connection().await?.run("inside").await?;
        context.connection().await?.run("outside").await?;
        context.env().set("stage", "live");
        Ok(())
    });
    let second = Task::from_fn("second", |context: Context| async move { context.env_value("stage") });
    let report = world.go(collection([first, second]), &["first", "second"]).await;
    assert_eq!(world.commands("h1"), ["cd /srv && inside", "outside"]);
    assert_eq!(report.tasks[1].results[0].value, "live");
}

#[tokio::test]
async fn what_is_in_force_around_an_execute_stays_so_inside() {
    let world = World::new().hosts(&["me@h1:23"]);
    world.fleet.host("h1").on("false", Reply::status(1));
    let text = "
        [tasks.outer]
        with = { warn_only = true, shell_env = { A = 'a' }, command_timeout = 5, user = 'other', pool_size = 7 }
        steps = [{ execute = 'inner' }, { run = 'after' }]
        [tasks.inner]
        with = { command_timeout = 6 }
        run = ['false', 'echo {{ env.command_timeout }} {{ env.warn_only }} {{ env.user }} {{ env.pool_size }} {{ env.shell_env.A }}']
    ";
    let report = world.toml(text, &["outer"]).await;
    assert_eq!(
        world.commands("h1"),
        ["export A=a && false", "export A=a && echo 6 true me 0 a", "export A=a && after"]
    );
    assert_eq!(report.exit_code(), 0);
    // And no longer than that.
    let alone = World::new().hosts(&["h1"]);
    alone.fleet.host("h1").on("false", Reply::status(1));
    assert_eq!(alone.toml(text, &["inner"]).await.exit_code(), 1);
}

#[tokio::test]
async fn an_execute_step_may_fail_and_hide_as_any_other() {
    let world = World::new().hosts(&["h1"]);
    world.fleet.host("h1").on("false", Reply::status(1));
    world.fleet.host("down").refuse(9, Phase::Connect, unreachable());
    let text = "
        [tasks]
        fails = 'false'
        [tasks.down]
        hosts = ['down']
        run = 'id'
        [tasks.t]
        steps = [{ execute = 'fails', warn_only = true, hide = 'everything' }, { execute = 'down', warn_only = true }, { run = 'after' }]
    ";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(world.commands("h1"), ["false", "after"]);
    assert_eq!(report.exit_code(), 0);
    let told = |event: &fabric_core::Event| match &event.kind {
        fabric_core::EventKind::CommandStarted { command, .. } => Some(command.clone()),
        _ => None,
    };
    assert_eq!(world.events.events().iter().filter_map(told).collect::<Vec<_>>(), ["after"]);
}

#[tokio::test]
async fn mistakes_below_an_execute_are_found_before_anything_runs() {
    let text = "
        [tasks.outer]
        steps = [{ run = 'first' }, { execute = 'inner' }]
        [tasks.inner]
        pre = ['nothing']
        run = 'id'
        [tasks.again]
        steps = [{ execute = 'again', if = 'false' }, { execute = 'misspelt', if = 'false' }]
    ";
    let world = World::new().hosts(&["h1"]);
    for (task, wrong) in [
        ("outer", "fabfile.toml:5:16: there is no task `nothing`"),
        ("again", "fabfile.toml:8:67: there is no task `misspelt`"),
    ] {
        let error = world.try_toml(text, &[task]).await.unwrap_err();
        assert!(matches!(error, RunError::Fabfile(_)), "{task}");
        assert_eq!(error.to_string(), wrong, "{task}");
    }
    assert!(world.fleet.known().is_empty());
}

#[tokio::test]
async fn an_inventory_that_names_no_hosts_is_not_a_list_that_nobody_gave() {
    let text = "
        [tasks.pick]
        steps = [{ set = { hosts = { command = 'true' } } }]
        [tasks.t]
        steps = [{ local = 'exit 3' }]
    ";
    let report = World::new().hosts(&["h1"]).toml(text, &["pick", "t"]).await;
    assert_eq!(report.exit_code(), 1);
    assert!(report.tasks.iter().all(|task| task.task == "pick"));
    let error = report.tasks[0].results[0].error.as_ref().unwrap();
    assert!(error.contains("names no hosts"), "{error}");
}

#[tokio::test]
async fn env_has_the_global_lists_as_they_are() {
    let text = "
        [env]
        hosts = ['h9']
        exclude_hosts = ['h8']
        [roledefs]
        r = ['h2']
        [tasks]
        t = \"echo {{ env.hosts | sh }} {{ env.roles | sh }} {{ env.exclude_hosts | sh }}\"
    ";
    let mut world = World::new().hosts(&["h1"]);
    world.command_line.roles.push("r".to_owned());
    world.command_line.exclude.push("h7".to_owned());
    world.toml(text, &["t"]).await;
    assert_eq!(world.commands("h1"), ["echo h1 r h8 h7"]);
}

#[tokio::test]
async fn what_is_set_can_be_saved() {
    let world = World::new().hosts(&["h1"]);
    world.toml("[tasks.t]\nsteps = [{ set = { a = 1 }, save = 'x' }, { run = 'echo {{ x.a }}' }]\n", &["t"]).await;
    assert_eq!(world.commands("h1"), ["echo 1"]);
}

#[tokio::test]
async fn a_host_keeps_the_settings_it_came_with() {
    let text = "
        [roledefs]
        web = { hosts = ['h1', 'h2'], user = 'web' }
        prod = { roles = ['web'], user = 'other', shell_env = { STAGE = 'prod' } }
        [tasks.who]
        run = 'who {{ env.user }}'
        [tasks.own]
        hosts = ['h2', 'x']
        run = 'own {{ env.user }}'
        [tasks.current]
        steps = [{ execute = 'who' }]
        [tasks.twice]
        steps = [{ execute = 'current' }]
        [tasks.named]
        steps = [{ execute = 'who', hosts = ['{{ env.host_string }}'] }]
        [tasks.listed]
        runs_once = true
        steps = [{ execute = 'who', hosts = ['h1', 'h2', 'x'] }, { execute = 'own' }]
    ";
    let ran = async |task: &str| {
        let world = World::new().set("user", "me");
        assert_eq!(world.toml(text, &[task]).await.exit_code(), 0);
        ["h1", "h2", "x"].map(|host| world.commands(host).join(", "))
    };
    for task in ["who:role=web", "current:role=web", "twice:role=web", "named:role=web"] {
        assert_eq!(ran(task).await, ["who web", "who web", ""], "{task}");
    }
    // Hosts that the task around has are the same hosts in the lists of what it executes; others are not.
    assert_eq!(ran("listed:role=web").await, ["who web", "who web, own web", "who me, own me"]);
    // A role that is made of others leaves them what they say.
    let both = "export STAGE=prod && who web";
    assert_eq!(ran("current:role=prod").await, [both, both, ""]);
}
