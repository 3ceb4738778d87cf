//! The examples of the repository, in TOML and in Rust, run on real servers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::{Case, Sshd, case};

/// A key that no server has.
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHfDnnW2MZWeR9RBKK1Z7GGnPHxkDRRcCCqSfuADkMUs";

/// A run of an example without warnings.
fn example(name: &str) -> Case {
    with_warnings(name).stderr_lacks("warning")
}

/// A run of an example: its directory is the working directory, its hosts are real servers by way of
/// ssh_config, and its application is in a directory of the case.
fn with_warnings(name: &str) -> Case {
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

    // The wrong version was built: the check of the idle copy stops the run before any switch.
    let case = with_warnings("blue-green").args(["--limit", "1"]).any_stdout().any_stderr();
    let ran = case.file("build/VERSION", "2\n").args(["prepare:1", "switch"]).status(1).run();
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
    let ran = with_warnings("rolling-deploy")
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

/// The blocks of a Markdown file that are of this language.
fn blocks(file: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).expect("a document");
    let fence = format!("```{language}\n");
    let from = text.split(&fence).skip(1);
    from.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn no_example_and_no_fabfile_of_the_documents_warns() {
    let examples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")).expect("the examples");
    let files = examples.map(|entry| entry.expect("an entry").path().join("fabfile.toml"));
    let mut fabfiles: Vec<String> = files.filter_map(|path| fs::read_to_string(path).ok()).collect();
    assert!(fabfiles.len() >= 5);
    for document in ["README.md", "docs/interface.md"] {
        let found = blocks(document, "toml").into_iter().filter(|block| block.contains("[tasks"));
        fabfiles.extend(found);
    }
    assert!(fabfiles.len() >= 7);
    for fabfile in &fabfiles {
        // What a user runs first; the other keys are checked with `--show-config`.
        for args in [&["--list"][..], &["--show-config"], &["-H", "web1", "--plan", "--", "true"]] {
            case!().fabfile(fabfile).args(args).any_stdout().run();
        }
    }
}

#[test]
fn the_rust_program_of_the_readme_logs_in_as_ssh_does() {
    let program =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/readme.rs")).expect("the program");
    let written = blocks("README.md", "rust").remove(0);
    assert_eq!(
        program.split_once("\n\n").map(|(_, code)| code),
        Some(written.as_str()),
        "README.md has another program"
    );

    let sshd = Sshd::shared();
    // The only key is where `ssh` looks for one, and no known_hosts file is there.
    let first = || {
        let case = case!(readme).reach(sshd.hosts().to_vec(), &sshd.key()).no_key();
        // With its mode: others must not be able to read it.
        fs::copy(sshd.key(), case.home().join(".ssh/id_ed25519")).expect("a copy of the key");
        case.home_file(".ssh/config", ssh_config())
    };
    let ran = first().stdout("web1.example.com runs Linux\n").run();
    assert_eq!(ran.read("systems/web1.example.com"), fs::read_to_string("/etc/os-release").expect("the system's file"));
    let known = fs::read_to_string(ran.case().home().join(".ssh/known_hosts")).expect("it was made");
    assert!(known.contains(&sshd.host_key()), "{known}");

    // Another key than the known one is refused.
    let other = sshd.known_hosts().replace(&sshd.host_key(), OTHER_KEY);
    first().known_hosts(other).stderr_has("HostKeyChanged").status(1).run();
}

#[test]
fn no_line_of_the_readme_warns() {
    let fabfile = blocks("README.md", "toml").remove(0);
    let lines = blocks("README.md", "sh").concat();
    let lines: Vec<&str> = lines.lines().filter(|line| line.starts_with("fab ")).collect();
    assert!(lines.len() >= 7, "{lines:?}");
    for line in lines {
        // Nothing is connected to: what it would do is shown.
        let runs_nothing = ["--list", "--check"].iter().any(|option| line.contains(option));
        let planned = if runs_nothing { line.to_owned() } else { line.replacen("fab ", "fab --plan ", 1) };
        let command = planned.split("  #").next().unwrap_or_default();
        case!()
            .fabfile(&fabfile)
            .file("hosts.txt", "web6\nweb7\n")
            .within(format!("{command}; exit $?"))
            .any_stdout()
            .stdout_lacks("warning")
            .run();
    }
}

#[test]
fn the_starter_warns_of_nothing() {
    let commands = "fab --init && fab --list && fab --show-config && fab --plan -H web1 uptime && fab -H web1 --dry-run logs:hosts=web1";
    case!().within(format!("{commands}; exit $?")).any_stdout().stdout_lacks("warning").stderr_lacks("warning").run();
    let checked = "fab --init >/dev/null && fab --check && fab --plan deploy --version 1; exit $?";
    case!().within(checked).stdout_has("web1.example.com").stdout_lacks("warning").stderr_lacks("warning").run();
}

#[test]
fn only_starters_that_there_are_are_offered() {
    case!().args(["--help"]).stdout_has("toml|python|rust|plugin").stdout_lacks("ruby").run();
    let refused = "--init: `ruby` is none of toml, python, rust, plugin";
    case!().args(["--init", "ruby"]).stderr_has(refused).status(2).run();
}
