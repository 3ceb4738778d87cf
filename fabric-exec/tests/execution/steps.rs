//! What declared steps do.

use super::*;

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
async fn a_dry_run_tells_and_does_nothing() {
    let world = World::new().hosts(&["h1"]);
    let text = "[tasks.t]\nsteps = [{ local = 'touch never' }, { run = 'id', save = 'who' }, { sudo = 'reboot' }]\n";
    let report = world.run_of(&common::fabfile(text)).dry_run(true).start(calls(&["t"])).await.unwrap();
    assert_eq!(report.exit_code(), 0);
    let plans: Vec<_> = world.events.story().into_iter().filter(|w| w.starts_with("plan")).collect();
    assert_eq!(plans, ["plan local: touch never", "plan run: id", "plan sudo: reboot"]);
    assert_eq!(world.fleet.host("h1").connects(), 0);
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

#[tokio::test]
async fn a_dry_run_tells_what_depends_on_outcomes_with_its_condition() {
    let world = World::new().hosts(&["h1"]);
    let text = r#"
        [env]
        release = "2.4"
        [tasks.t]
        args = ["kind"]
        steps = [
          { run = "no", if = "kind == 'other'" },
          { run = "id", save = "s" },
          { run = "got", if = "s.stdout == 'saved' and kind == 'this'" },
          { run = "echo {{ s.stdout.split()[1] }}" },
          { set = { seen = "{{ s.stdout }}" } },
          { set = { hosts = "{{ s.stdout }}", timeout = "{{ s.stdout }}" } },
          { local = "next {{ env.seen }}", if = "env.seen" },
          { prompt = "Go on?", save = "go" },
          { put = "/a", to = "/b", if = "go == 'yes'" },
          { get = "/c", to = "{{ s.stdout }}/c" },
          { execute = "inner:1", if = "s.ok" },
          { execute = "inner:{{ s.exit }}" },
          { execute = "t:again", if = "s.ok" },
          { run = "end" },
        ]
        [tasks.inner]
        args = ["n"]
        steps = [{ run = "in {{ n }}", if = "n == '1'", save = "i" }, { run = "deep", if = "i.ok or i.exit" }]
    "#;
    let report = world.run_of(&common::fabfile(text)).dry_run(true).start(calls(&["t:this"])).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{report:?}");
    let plans: Vec<_> =
        world.events.story().into_iter().filter_map(|w| Some(w.strip_prefix("plan ")?.to_owned())).collect();
    assert_eq!(
        plans,
        [
            "run: id",
            "run: got if s.stdout == 'saved' and kind == 'this'",
            "run: echo {{ s.stdout.split()[1] }}",
            "set: hosts",
            "set: timeout",
            "local: next {{ env.seen }} if env.seen",
            "prompt: Go on?",
            "put: /a -> /b if go == 'yes'",
            "get: {{ s.stdout }}/c <- /c",
            "execute: inner:1 if s.ok",
            "run: in 1 if s.ok",
            "run: deep if (s.ok) and (i.ok or i.exit)",
            "execute: inner:{{ s.exit }}",
            "execute: t:again if s.ok",
            "run: end",
        ]
    );
    assert_eq!(world.fleet.host("h1").connects(), 0);
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

#[tokio::test]
async fn output_that_nobody_looks_at_is_not_kept() {
    let world = World::new().hosts(&["h1"]);
    let flood = |_: &_| Reply::ok().flood(fabric_core::Stream::Stdout, "0123456789abcde\n", 1 << 20);
    world.fleet.host("h1").on_match("^flood$", flood);
    let text = "[tasks]\nt = 'flood'\n[tasks.saved]\nsteps = [{ run = 'flood', save = 'all' }, { run = 'echo {{ all.stdout | length }}' }]\n";
    let report = world.toml(text, &["t"]).await;
    assert_eq!(report.tasks[0].results[0].value.as_str().unwrap().len(), 16383, "the end of it, trimmed");
    world.toml(text, &["saved"]).await;
    assert_eq!(world.commands("h1")[2], format!("echo {}", (1 << 20) - 1));
}

const WAITING: &str = "
    [tasks.wait]
    steps = [
        { run = 'health', until = \"outcome.stdout == 'ready'\", retries = 3, delay = 2, save = 'seen' },
        { run = 'echo {{ seen.stdout }} {{ seen.exit }}' },
    ]
";

/// A host whose health is `ready`, with status 7, from the given try on.
fn ready_at(world: &World, ready: usize) {
    let tries = Arc::new(AtomicUsize::new(0));
    world.fleet.host("h1").on_match("^health$", move |_| {
        if tries.fetch_add(1, Ordering::SeqCst) + 1 < ready {
            Reply::stdout("starting\n")
        } else {
            Reply::stdout("ready\n").exit(7)
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_again_until_its_condition_holds() {
    let world = World::new().hosts(&["h1"]);
    ready_at(&world, 3);
    let began = tokio::time::Instant::now();
    let report = world.toml(WAITING, &["wait"]).await;
    assert_eq!(report.exit_code(), 0, "how it ends does not count when the condition holds: {report:?}");
    assert_eq!(world.commands("h1"), ["health", "health", "health", "echo ready 7"]);
    assert_eq!(began.elapsed().as_secs(), 2 + 4, "the pauses grow");
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_never_holds_fails_the_step_or_warns() {
    for (warn_only, code, after) in [(false, 1, 0), (true, 0, 1)] {
        let world = World::new().hosts(&["h1"]).set("warn_only", warn_only);
        let report = world.toml(WAITING, &["wait"]).await;
        let error = report.hosts["h1"].error.clone().unwrap();
        let told = "h1: `health` ended with exit status 0 (try 4, until `outcome.stdout == 'ready'`)";
        assert!(error.ends_with(told), "{error}");
        assert_eq!((report.exit_code(), world.commands("h1").len()), (code, 4 + after));
    }
}

#[tokio::test(start_paused = true)]
async fn retries_alone_are_until_it_succeeds_and_an_interrupt_ends_the_waiting() {
    let text = "[tasks.t]\nsteps = [{ local = 'exit 3', retries = 2 }]\n";
    let world = World::new();
    let report = world.toml(text, &["t"]).await;
    assert_eq!((report.exit_code(), report.tasks[0].results[0].attempts), (1, 1));
    let error = report.tasks[0].results[0].error.clone().unwrap();
    assert!(error.contains("exit status 3 (try 3, until `outcome.ok`)"), "{error}");

    let world = World::new().hosts(&["h1"]);
    let interrupt = Interrupt::new();
    let run = world.run_of(&common::fabfile(WAITING)).interrupt(interrupt.clone());
    let stopper = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        interrupt.stop();
    };
    let (report, ()) = tokio::join!(run.start(calls(&["wait"])), stopper);
    assert_eq!((report.unwrap().exit_code(), world.commands("h1").len()), (130, 1));
}

#[tokio::test(start_paused = true)]
async fn code_waits_as_steps_do() {
    let world = World::new().hosts(&["h1"]);
    ready_at(&world, 2);
    let task = Task::from_fn("wait", |context: Context| async move {
        let connection = context.connection().await?;
        let backoff = fabric_exec::run::Backoff::new(1);
        let attempt = || async {
            let outcome = connection.run("health").warn(true).await?;
            Ok((outcome.stdout() == "ready\n").then_some(outcome.exit.code()))
        };
        let first = context.until(backoff, attempt).await?;
        let never = context.until(backoff, || async { Ok(None::<()>) }).await.unwrap_err();
        Ok((first, never.to_string()))
    });
    let report = world.go(collection([task]), &["wait"]).await;
    assert_eq!(report.tasks[0].results[0].value.to_string(), r#"[7,"not ready after 2 tries"]"#);
}

#[tokio::test]
async fn a_dry_run_of_code_tells_and_does_nothing() {
    let world = World::new().hosts(&["h1"]);
    let task = Task::from_fn("t", |context: Context| async move {
        let connection = context.connection().await?;
        connection.run("rm -rf /srv").await?;
        connection.put(fabric_transport::transfer::Source::bytes("x"), "/etc/motd").await?;
        context.local("touch never")?.await?;
        Ok(())
    });
    let report = world.run(collection([task])).dry_run(true).start(calls(&["t"])).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{report:?}");
    let plans: Vec<_> = world.events.story().into_iter().filter(|w| w.starts_with("plan")).collect();
    assert_eq!((plans.len(), plans[0].as_str()), (3, "plan run: rm -rf /srv"), "{plans:?}");
    assert_eq!(world.fleet.host("h1").connects(), 0);
}

#[tokio::test]
async fn a_secret_answer_is_told_nowhere() {
    let world = World::new().hosts(&["h1"]);
    world.fleet.host("h1").on("mysql -phunter2", Reply::status(3));
    let text = "[tasks.t]\nsteps = [{ prompt = 'pw?', secret = true, save = 'p' }, { run = 'mysql -p{{ p }}' }]\n";
    let run = world.run_of(&common::fabfile(text)).prompter(Says("hunter2"));
    let report = run.start(calls(&["t"])).await.unwrap();
    assert_eq!(world.commands("h1"), ["mysql -phunter2"]);
    let told = format!("{:?} {}", world.events.events(), serde_json::to_string(&report).unwrap());
    assert!(!told.contains("hunter2") && told.contains("mysql -p***"), "{told}");
}
