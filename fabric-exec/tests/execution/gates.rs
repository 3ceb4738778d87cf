//! What opens a gate, and what does not.

use fabric_exec::fabfile::{Format, parse};
use fabric_exec::hostlist::Role;

use super::*;

const GUARDED: &str = "
    [roledefs]
    web = { hosts = ['h[1-4]'], ROLE }
    [tasks.deploy]
    roles = ['web']
    batch = 2
    health = 'healthy'
    run = 'install'
    [tasks.healthy]
    steps = [STEPS]
    [tasks.inner]
    INNER
    run = 'check'
    [tasks.other]
    hosts = ['o']
    run = 'check'
";

fn guarded(role: &str, steps: &str, inner: &str) -> String {
    let role = if role.is_empty() { "user = 'u'" } else { role };
    GUARDED.replace("ROLE", role).replace("STEPS", steps).replace("INNER", inner)
}

#[tokio::test]
async fn only_a_step_of_its_own_softens_a_health_check() {
    let inner = "{ execute = 'inner' }";
    for (role, steps, of_inner) in [
        ("warn_only = true", "{ run = 'check' }", ""),
        ("warn_only = true", inner, ""),
        ("", "{ set = { warn_only = true } }, { run = 'check' }", ""),
        ("", "{ set = { warn_only = true } }, { execute = 'inner' }", ""),
        ("", inner, "with = { warn_only = true }"),
        ("", "{ set = { warn_only = true } }, { execute = 'other' }", ""),
    ] {
        let world = World::new();
        for host in ["h1", "h2", "o"] {
            world.fleet.host(host).on("check", Reply::status(1));
        }
        let report = world.toml(&guarded(role, steps, of_inner), &["deploy"]).await;
        assert_eq!((report.exit_code(), world.commands("h3")), (1, vec![]), "{role} {steps} {of_inner}");
    }
    for steps in ["{ run = 'check', warn_only = true }", "{ execute = 'inner', warn_only = true }"] {
        let world = World::new();
        world.fleet.host("h1").on("check", Reply::status(1));
        assert_eq!(world.toml(&guarded("", steps, ""), &["deploy"]).await.exit_code(), 0, "{steps}");
        assert!(!world.commands("h3").is_empty());
    }
}

#[tokio::test]
async fn a_host_that_a_check_cannot_reach_closes_the_gate_whatever_skips_bad_hosts() {
    for (role, steps) in [
        ("skip_bad_hosts = true", "{ execute = 'other' }"),
        ("", "{ set = { skip_bad_hosts = true } }, { execute = 'other' }"),
    ] {
        let world = World::new();
        world.fleet.host("o").refuse(9, Phase::Connect, unreachable());
        let report = world.toml(&guarded(role, steps, ""), &["deploy"]).await;
        assert_eq!((report.exit_code(), world.commands("h3")), (1, vec![]), "{role} {steps}");
    }
}

#[tokio::test]
async fn a_pre_of_a_check_that_failed_as_a_warning_before_fails_the_check() {
    let text = "
        [tasks.ping]
        hosts = ['p']
        run = 'ping'
        [tasks.first]
        pre = ['ping']
        run = 'first'
        [tasks.deploy]
        hosts = ['h[1-4]']
        batch = 2
        health = 'healthy'
        run = 'install'
        [tasks.healthy]
        steps = [{ execute = 'checked' }]
        [tasks.checked]
        pre = ['ping']
        run = 'check'
    ";
    let world = World::new().hosts(&["h1"]).set("warn_only", true);
    world.fleet.host("p").on("ping", Reply::status(1));
    let report = world.toml(text, &["first", "deploy"]).await;
    assert_eq!((report.exit_code(), world.commands("h3")), (1, vec![]));
    assert_eq!(world.commands("p"), ["ping"]);
}

#[tokio::test]
async fn what_a_step_says_of_its_failure_beats_what_the_run_says() {
    let world = World::new().hosts(&["h1"]).set("warn_only", true);
    world.fleet.host("h1").on("x", Reply::status(1));
    let text = "[tasks.t]\nsteps = [{ run = 'x', warn_only = false }, { run = 'y' }]\n";
    assert_eq!(world.toml(text, &["t"]).await.exit_code(), 1);
    assert_eq!(world.commands("h1"), ["x"]);
    let world = World::new().hosts(&["h1"]).set("warn_only", true);
    world.fleet.host("h1").on("x", Reply::status(1));
    assert_eq!(world.toml("[tasks]\nt = 'x'\n", &["t"]).await.exit_code(), 0);
}

#[tokio::test]
async fn what_a_task_sets_holds_for_its_own_end() {
    let world = World::new().hosts(&["h1", "h2"]);
    world.fleet.host("h1").refuse(9, Phase::Connect, unreachable());
    let text = "[tasks.t]\nsteps = [{ set = { skip_bad_hosts = true } }, { run = 'x' }]\n";
    assert_eq!(world.toml(text, &["t"]).await.exit_code(), 0);
    assert_eq!(world.commands("h2"), ["x"]);
}

#[tokio::test]
async fn a_hosts_role_goes_with_it_however_deep_it_is_named() {
    let text = "
        [tasks.deploy]
        roles = ['web']
        runs_once = true
        steps = [{ execute = 'two', hosts = ['h2'] }]
        [tasks.two]
        steps = [{ execute = 'one', hosts = ['h1'] }]
        [tasks.one]
        run = 'one'
    ";
    let world = World::new();
    let mut role = Role::hosts(["h1", "h2"]);
    role.settings = Arc::new([("cwd".to_owned(), "/srv".into())].into_iter().collect());
    let fabfile = common::fabfile(text);
    let run = world.run_of(&fabfile).roles([("web".to_owned(), role)].into_iter().collect());
    assert_eq!(run.start(calls(&["deploy"])).await.unwrap().exit_code(), 0);
    assert_eq!(world.commands("h1"), ["cd /srv && one"]);
}

#[test]
fn what_no_setting_takes_is_refused_with_its_line() {
    for (key, line, why) in [
        ("gateway = yes", 4, "`yes` is a text in YAML"),
        ("timeout = abc", 4, "expected a number of seconds"),
        ("port = \"x\"", 4, "expected a port"),
        ("warn_only = 3", 4, "expected true or false"),
        ("batch = abc", 4, "expected a number of hosts (5) or a share of them (25%)"),
        ("limit = \"5 %x\"", 4, "expected a number of hosts (5) or a share of them (25%)"),
    ] {
        let (name, value) = key.split_once(" = ").unwrap();
        let text = format!("tasks:\n  t:\n    steps:\n      - set: {{ {name}: {value} }}\n");
        let error = parse("f.yaml", &text, Format::Yaml).unwrap_err().to_string();
        assert!(error.contains(&format!("f.yaml:{line}")) && error.contains(why), "{key}: {error}");
    }
    for (key, why) in [("batch = 'abc'", "share"), ("limit = 'x'", "share"), ("max_failures = '%'", "share")] {
        let error = parse("f.toml", &format!("[tasks.t]\nrun = 'x'\nwith = {{ {key} }}\n"), Format::Toml);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("f.toml:3") && error.contains(why), "{key}: {error}");
    }
}
