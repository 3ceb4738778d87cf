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
    assert_eq!(report.tasks[0].results[0].value.as_str().unwrap().len(), 65535, "the end of it, trimmed");
    world.toml(text, &["saved"]).await;
    assert_eq!(world.commands("h1")[2], format!("echo {}", (1 << 20) - 1));
}
