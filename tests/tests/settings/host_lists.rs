//! On which hosts, how often and how many at once.

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

/// Each host notes that it is there, waits until as many are as should be at once, and notes its end.
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

/// A prompt is shown before its answer, hence apart from it, unless lines are to stay whole.
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
