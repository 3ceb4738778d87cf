//! What a task can read about its run and its host.

use std::process::Command;

use tests::{case, tool};

#[test]
fn a_task_is_told_about_its_run_and_its_host() {
    let user = Command::new(tool("id")).arg("-un").output().expect("id starts").stdout;
    let user = String::from_utf8(user).expect("a name").trim().to_owned();
    case!()
        .hosts(2)
        .value("me", user)
        .fabfile(
            "[env]\nroles = [\"web\"]\n\n[roledefs]\nweb = [\"{h1}\", \"{me}@{h2}\"]\n\n[tasks.tell]\nrun = [\n  \
             \"echo {{ env.host_string }} is {{ env.user }} at {{ env.host }} port {{ env.port }}\",\n  \
             \"echo {{ env.command }} of {{ env.tasks | join('+') }} on {{ env.all_hosts | join('+') }}\",\n  \
             \"echo {{ env.effective_roles | join('+') }} by {{ env.local_user }}\",\n  \
             \"echo {{ env.real_fabfile }} {{ env.version }}\",\n]\n",
        )
        .args(["tell"])
        .stdout_has("[{h1}] out: {h1} is {me} at {address1} port {port}\n")
        .stdout_has("[{me}@{h2}] out: {me}@{h2} is {me} at {address2} port {port}\n")
        .stdout_has("[{h1}] out: tell of tell on {h1}+{me}@{h2}\n")
        .stdout_has("[{h1}] out: web by {me}\n")
        .stdout_has(format!("[{{h1}}] out: {{dir}}/fabfile.toml {}\n", env!("CARGO_PKG_VERSION")))
        .any_stderr()
        .run();
}

#[test]
fn what_is_told_of_a_host_ends_with_it() {
    case!()
        .hosts(2)
        .fabfile(
            "[tasks.one]\nhosts = [\"{h1}\", \"{h2}\"]\nrun = \"echo {{ env.host_string }} $WHERE\"\n\n\
             [tasks.none]\nsteps = [{ local = \"echo {{ env.host_string }} {{ env.host }} {{ env.all_hosts | length }}\" }]\n\n\
             [hosts.\"{address1}\"]\nshell_env = { WHERE = \"first\" }\n",
        )
        .args(["one", "none"])
        .stdout_has("[{h1}] out: {h1} first\n")
        .stdout_has("[{h2}] out: {h2}\n")
        .stdout_has("out: none none 0\n")
        .any_stderr()
        .run();
}

#[test]
fn what_a_role_says_of_a_host_is_shown_as_a_run_has_it() {
    let fabfile = "[roledefs]\n\
        web = { hosts = ['web[1-2]'], user = 'www' }\n\
        all = { roles = ['web'], port = 2222 }\n\
        asked = { command = 'echo web1', user = 'asked' }\n\
        listed = { inventory = 'hosts.ini', group = 'db' }\n";
    let show = |args: &[&str]| {
        tests::case!()
            .fabfile(fabfile)
            .file("hosts.ini", "[db]\nweb1 ansible_user=dba ansible_host=10.0.0.5\n")
            .args(["--show-config", "web1", "--format", "json"])
            .args(args)
            .any_stdout()
    };
    for (role, values) in [
        ("web", &[("user", "\"www\"")][..]),
        ("all", &[("user", "\"www\""), ("port", "2222")]),
        ("asked", &[("user", "\"asked\"")]),
        ("listed", &[("user", "\"dba\""), ("hostname", "\"10.0.0.5\"")]),
        ("all&web", &[("port", "2222")]),
    ] {
        let shown = show(&["-R", role]).run().stdout;
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        for (name, value) in values {
            assert_eq!(shown["settings"][name]["value"].to_string(), *value, "{role}: {name}");
        }
    }
    show(&["-R", "nosuch"]).stderr_has("nosuch").status(2).run();
}
