//! Host lists: on which hosts tasks run, how often, and how many at a time.

use tests::{Case, Ran, Sshd, case};

fn hello(env: &str) -> Case {
    let fabfile = format!(
        "[env]\n{env}\n[roledefs]\nweb = [\"{{h1}}\", \"{{h2}}\"]\ndb = [\"{{h3}}\"]\n\n[tasks]\nhello = \"echo hello\"\n"
    );
    case!().hosts(3).fabfile(fabfile).args(["hello"]).any_stderr()
}

/// The hosts that said hello, in order.
fn greeted(ran: &Ran) -> Vec<String> {
    let hosts = (1..=3).map(|number| (ran.case().fill(&format!("[{{h{number}}}] out: hello")), format!("h{number}")));
    let hosts: Vec<_> = hosts.collect();
    let known = |line: &str| hosts.iter().find(|(prefix, _)| line == prefix).map(|(_, name)| name.clone());
    ran.stdout.lines().filter_map(known).collect()
}

#[test]
fn hosts_roles_and_exclusion_make_the_list() {
    for (env, expected) in [
        ("hosts = [\"{h2}\", \"{h1}\"]", ["h2", "h1"].as_slice()),
        ("roles = [\"web\"]", &["h1", "h2"]),
        ("hosts = [\"{h3}\"]\nroles = [\"web\"]", &["h3", "h1", "h2"]),
        ("roles = [\"web\", \"db\"]\nexclude_hosts = [\"{h2}\"]", &["h1", "h3"]),
        ("hosts = [\"{h1}\", \"{h2}\", \"{h1}\"]", &["h1", "h2"]),
        ("hosts = [\"{h1}\", \"{h2}\", \"{h1}\"]\ndedupe_hosts = false", &["h1", "h2", "h1"]),
    ] {
        let ran = hello(env).any_stdout().run();
        assert_eq!(greeted(&ran), expected, "{env}");
    }
}

/// Each host logs its begin, waits until the expected number runs in parallel, and logs its end.
fn at_once(settings: &str, expected: usize) {
    let fabfile = format!(
        "[env]\n{settings}\nhosts = [\"{{h1}}\", \"{{h2}}\", \"{{h3}}\"]\n\n[tasks]\nmeet = '''\n\
         echo begin >> {{far}}/log; until [ $(grep -c begin {{far}}/log) -ge {expected} ]; do sleep 0.05; done; \
         echo end >> {{far}}/log'''\n"
    );
    let case = case!().hosts(3).fabfile(fabfile).args(["meet"]).any_stdout().any_stderr();
    let log = case.run().read_far("log");
    let (mut now, mut most) = (0, 0);
    for line in log.lines() {
        if line == "begin" {
            now += 1;
        } else {
            now -= 1;
        }
        most = most.max(now);
    }
    assert_eq!((now, most, log.lines().count()), (0, expected, 6), "{log}");
}

#[test]
fn parallel_runs_on_all_hosts_at_once() {
    at_once("", 1);
    at_once("parallel = true", 3);
}

#[test]
fn pool_size_bounds_how_many() {
    at_once("parallel = true\npool_size = 2", 2);
    at_once("parallel = true\npool_size = 1", 1);
}

/// A prompt is shown before its answer, hence separately, unless `linewise` is set.
#[test]
fn linewise_shows_no_part_of_a_line() {
    for (linewise, parts) in [(false, ["Go? ", "got yes"].as_slice()), (true, &["Go? got yes"])] {
        let fabfile = format!(
            "[env]\nhosts = [\"{{h1}}\"]\nlinewise = {linewise}\nprompts = {{ \"Go? \" = \"yes\" }}\n\n\
             [tasks]\nask = \"printf 'Go? '; read x; echo got $x\"\n"
        );
        let case = case!().hosts(1).fabfile(fabfile).args(["--output", "json", "ask"]);
        let ran = case.any_stdout().any_stderr().run();
        let events = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
        let lines = events.filter(|event| event["event"] == "output").map(|event| event["line"].clone());
        assert_eq!(lines.collect::<Vec<_>>(), parts, "linewise = {linewise}");
    }
}

#[test]
fn eagerly_disconnect_leaves_no_connection_for_the_next_task() {
    let sshd = Sshd::builder().start();
    let case = || {
        let fabfile = "[env]\nhosts = [\"{h1}\"]\n\n[tasks]\none = \"echo 1\"\ntwo = \"echo 2\"\n";
        case!().on(&sshd).fabfile(fabfile).args(["one", "two"]).any_stdout().any_stderr()
    };
    case().run();
    case().args(["-e"]).run();
    case().run();
    sshd.wait_for_log("Accepted publickey", 4);
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1 + 2 + 1);
}

#[test]
fn excluded_hosts_are_extended_or_replaced() {
    let run = |project: &str, env: &str, more: &[&str]| {
        let fabfile = format!(
            "[env]\nhosts = [\"{{h1}}\", \"{{h2}}\", \"{{h3}}\"]\n{env}\n\n[tasks]\nhello = \"echo hello\"\n\n\
             [tasks.more]\nsteps = [{{ set = {{ exclude_hosts = {{ extend = [\"{{h2}}\"] }} }} }}]\n\n\
             [tasks.other]\nsteps = [{{ set = {{ exclude_hosts = [\"{{h2}}\"] }} }}]\n\n\
             [tasks.instead]\nsteps = [{{ set = {{ exclude_hosts = {{ replace = [\"{{h2}}\"] }} }} }}]\n"
        );
        let case = case!().hosts(3).fabfile(fabfile).file("fabric.toml", project).args(more);
        // Nothing runs where all are excluded.
        greeted(&case.any_stdout().any_stderr().any_status().run())
    };
    let (one, two) = ("exclude_hosts = [\"{h1}\"]", "exclude_hosts = { extend = [\"{h2}\"] }");
    let instead = "exclude_hosts = { replace = [\"{h2}\"] }";
    for (project, env, more, expected) in [
        (one, two, &["hello"][..], &["h3"][..]),
        (one, instead, &["hello"], &["h1", "h3"]),
        ("", two, &["hello"], &["h1", "h3"]),
        (two, "", &["hello"], &["h1", "h3"]),
        (two, one, &["hello"], &["h2", "h3"]),
        // Neither changes `-x`.
        (one, two, &["hello", "-x", "{h3}"], &[]),
        (one, instead, &["hello", "-x", "{h3}"], &["h1"]),
        ("", one, &["other", "hello", "-x", "{h3}"], &["h1"]),
        ("", one, &["instead", "hello", "-x", "{h3}"], &["h1"]),
        ("", one, &["more", "hello"], &["h3"]),
        ("", one, &["more", "hello", "-x", "{h3}"], &[]),
        // By `--set`, which is of the command line, as JSON.
        ("", one, &["hello", "--set", "exclude_hosts={\"extend\":[\"{h3}\"]}"], &["h2"]),
        ("", one, &["hello", "--set", "exclude_hosts={\"replace\":[\"{h3}\"]}", "-x", "{h2}"], &["h1"]),
    ] {
        assert_eq!(run(project, env, more), expected, "{project} / {env} / {more:?}");
    }
    let extended =
        case!().hosts(3).fabfile("[env]\nhosts = [\"{h1}\", \"{h2}\", \"{h3}\"]\n\n[tasks]\nhello = \"echo hello\"\n");
    let ran = extended.env("FABRIC_EXCLUDE_HOSTS__EXTEND", "{h2}").args(["hello"]).any_stdout().any_stderr().run();
    assert_eq!(greeted(&ran), ["h1", "h3"]);
}

#[test]
fn sections_of_hosts_in_a_settings_file_are_said_to_belong_into_the_fabfile() {
    for (name, text) in [
        ("fabric.toml", "[hosts.\"web*\"]\npassword = \"sesame\"\n"),
        ("fabric.yaml", "hosts:\n  'web*':\n    password: sesame\n"),
        ("fabric.json", "{\"hosts\": {\"web*\": {\"password\": \"sesame\"}}}"),
    ] {
        case!()
            .file(name, text)
            .args(["-H", "web1", "--", "true"])
            .stderr_has("setting `hosts`: expected a list of texts, found a table\n  = settings for some hosts, [hosts.\"web*\"], belong into the fabfile\n")
            .stderr_lacks("sesame")
            .status(2)
            .run();
    }
}
