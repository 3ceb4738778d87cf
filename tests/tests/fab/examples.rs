//! The examples of the repository, in TOML and in Rust, run on real servers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::{Case, case};

/// A run of an example: its directory is the working directory, its hosts are real servers by way of
/// ssh_config, and its application is in a directory of the case.
fn example(name: &str) -> Case {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let case = case!().hosts(3).home_file(".ssh/config", ssh_config());
    for entry in fs::read_dir(&from).expect("the example") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        fs::copy(&path, case.dir().join(&name)).expect("a copy of the example");
        if name == "inventory" {
            fs::set_permissions(case.dir().join(&name), fs::Permissions::from_mode(0o755)).expect("a program");
        }
    }
    case.args(["--set", "root={far}"])
}

/// A run of the examples in Rust.
fn in_rust() -> Case {
    case!(examples).hosts(3).home_file(".ssh/config", ssh_config()).args(["--set", "root={far}"])
}

/// The names of the examples, on the three servers.
fn ssh_config() -> String {
    let names = [("web1 db2", 1), ("web2 db1", 2), ("web3 web4", 3)];
    let entry = |(names, server): (&str, u8)| {
        let names: Vec<String> = names.split(' ').map(|name| format!("{name}.example.com")).collect();
        format!("Host {}\n  HostName {{address{server}}}\n  Port {{port}}\n", names.join(" "))
    };
    names.map(entry).concat()
}

#[test]
fn blue_green_prepares_the_idle_copy_and_switches_back_and_forth() {
    // The servers share one machine, and so one application: one of them is enough.
    let blue_green = || example("blue-green").args(["--limit", "1"]).any_stdout().any_stderr();
    let ran = blue_green().args(["release", "--version", "1", "release", "--version", "2"]).run();
    assert_eq!((ran.read_far("live/VERSION"), ran.read_far("blue/VERSION")), ("2\n".to_owned(), "1\n".to_owned()));
    let ran = blue_green().args(["release", "--version", "1", "release", "--version", "2", "rollback"]).run();
    assert_eq!(ran.read_far("live/VERSION"), "1\n");

    // What was built is not what was asked for: the check of the idle copy stops the run before any switch.
    let ran = blue_green().file("build/VERSION", "2\n").args(["prepare:1", "switch"]).status(1).run();
    assert!(fs::symlink_metadata(ran.case().far().join("live")).is_err());
}

#[test]
fn a_rolling_deploy_goes_through_its_gates() {
    let ran = example("rolling-deploy").args(["deploy", "--version", "2.4"]).any_stdout().any_stderr().run();
    for host in 1..=4 {
        assert_eq!(ran.read_far(&format!("web{host}.example.com/VERSION")), "2.4\n");
    }
}

#[test]
fn a_rolling_deploy_of_a_broken_version_stops_at_the_canary_and_is_undone() {
    let ran = example("rolling-deploy")
        .args(["deploy", "--version", "broken"])
        .any_stdout()
        .stderr_has("`deploy` does not go on: `healthy` failed")
        .status(1)
        .run();
    assert!(!ran.case().far().join("web1.example.com/VERSION").exists(), "the canary is as it was");
    assert!(!ran.case().far().join("web2.example.com").exists(), "nobody else was touched");
}

#[test]
fn a_migration_runs_once_whoever_asks() {
    let ran = example("migrate").args(["release", "migrate", "restart"]).any_stdout().any_stderr().run();
    assert_eq!(ran.read_far("migrations"), "migrated\n");
    let mut restarts: Vec<String> = ran.read_far("restarts").lines().map(str::to_owned).collect();
    restarts.sort();
    assert_eq!(restarts, ["web1", "web1", "web2", "web2"].map(|name| format!("restarted {name}.example.com")));
}

#[test]
fn hosts_come_from_a_command() {
    example("inventory")
        .args(["uptime", "pick:db", "uptime_of"])
        .stdout_has("[web2.example.com] Executing task 'uptime'\n")
        .stdout_has("[db1.example.com] Executing task 'uptime_of'\n")
        .any_stderr()
        .run();
    example("inventory")
        .args(["pick:nothing"])
        .any_stdout()
        .stderr_has("`./inventory nothing` ended with exit status: 1: no hosts of kind nothing")
        .status(1)
        .run();
}

#[test]
fn logs_come_from_all_hosts() {
    let case = example("collect-logs");
    fs::write(case.far().join("app.log"), "fine\nERROR one\n").unwrap();
    let ran = case.args(["collect", "--log", "{far}/app.log"]).any_stdout().any_stderr().run();
    for host in 1..=3 {
        assert_eq!(ran.read(&format!("logs/web{host}.example.com.log")), "fine\nERROR one\n");
    }
}

#[test]
fn blue_green_in_rust() {
    let blue_green = || in_rust().args(["--limit", "1"]).any_stdout().any_stderr();
    let ran = blue_green().args(["release", "--version", "1", "release", "--version", "2"]).run();
    assert_eq!((ran.read_far("live/VERSION"), ran.read_far("blue/VERSION")), ("2\n".to_owned(), "1\n".to_owned()));
    let ran = blue_green().args(["release:1", "release:2", "rollback"]).run();
    assert_eq!(ran.read_far("live/VERSION"), "1\n");
}

#[test]
fn a_rolling_deploy_in_rust_goes_through_its_gates_or_is_undone() {
    let ran = in_rust().args(["deploy", "--version", "2.4"]).any_stdout().any_stderr().run();
    for host in 1..=4 {
        assert_eq!(ran.read_far(&format!("web{host}.example.com/VERSION")), "2.4\n");
    }
    let ran = in_rust()
        .args(["deploy", "--version", "broken"])
        .stdout_has("Batch 1 of 3: web1.example.com\n")
        .stderr_has("`deploy` does not go on: `healthy` failed: not ready after 2 tries")
        .status(1)
        .run();
    assert!(!ran.case().far().join("web1.example.com/VERSION").exists(), "the canary is as it was");
    assert!(!ran.case().far().join("web2.example.com").exists(), "nobody else was touched");
}

#[test]
fn a_migration_in_rust_runs_once() {
    let ran = in_rust().args(["migrate", "restart", "migrate"]).any_stdout().any_stderr().run();
    assert_eq!((ran.read_far("migrations").lines().count(), ran.read_far("restarts").lines().count()), (1, 4));
}

#[test]
fn an_inventory_and_logs_in_rust() {
    in_rust()
        .args(["uptime", "--inventory", "echo web1.example.com; echo db1.example.com"])
        .stdout_has("[db1.example.com] Executing task 'ask'\n")
        .any_stderr()
        .run();
    let case = in_rust();
    fs::write(case.far().join("app.log"), "fine\n").unwrap();
    let ran = case.args(["collect", "--log", "{far}/app.log"]).any_stdout().any_stderr().run();
    for host in 1..=4 {
        assert_eq!(ran.read(&format!("logs/web{host}.example.com.log")), "fine\n");
    }
}
