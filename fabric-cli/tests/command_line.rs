//! What people type, and what `fab` says to it: everything that needs no host.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const FABFILE: &str = r#"
[env]
user = "deploy"
release = "2.4"

[roledefs]
db = ["db[1-2]"]
web = ["www1", "www2", "www3"]

[tasks]
uptime = "uptime"

[tasks.here]
help = "Say something here"
args = ["what", { name = "loud", default = false, help = "shout" }]
steps = [ { local = "echo {{ what | sh }} {{ loud }}; echo oops >&2" } ]

[tasks.deploy]
help = """Roll a version out.

In batches."""
aliases = ["d"]
roles = ["db"]
args = ["version"]
steps = [ { put = "fabfile.toml", to = "/tmp/x" }, { sudo = "restart {{ version }}" } ]
"#;

/// A directory with the fabfile, which is the home as well.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self::with(FABFILE)
    }

    fn with(fabfile: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("fabfile.toml"), fabfile).unwrap();
        Self(dir)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fab"));
        command.args(args).current_dir(self.0.path()).env_clear().env("HOME", self.0.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    fn fab(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap(), self.0.path())
    }
}

/// What came of a command line; the directory is shown as `DIR`.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

impl Said {
    fn of(output: &Output, dir: &Path) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(dir.to_str().unwrap(), "DIR");
        Self { stdout: text(&output.stdout), stderr: text(&output.stderr), status: output.status.code() }
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!((self.stderr.as_str(), self.status), ("", Some(0)));
        serde_json::from_str(&self.stdout).unwrap()
    }
}

fn said(stdout: &str, stderr: &str, status: i32) -> Said {
    Said { stdout: stdout.to_owned(), stderr: stderr.to_owned(), status: Some(status) }
}

#[test]
fn version_and_help_read_nothing() {
    let broken = Place::with("this is no fabfile");
    let version = format!("fab {}\n", env!("CARGO_PKG_VERSION"));
    for option in ["-V", "--version", "--vers"] {
        assert_eq!(broken.fab(&[option]), said(&version, "", 0), "{option}");
    }
    let help = broken.fab(&["-h"]);
    assert!(help.stdout.contains("Usage: fab [OPTIONS] [TASK[:ARGS]") && help.status == Some(0));
}

#[test]
fn tasks_are_listed_in_every_format() {
    let place = Place::new();
    let normal = "Available commands:\n\n    deploy  Roll a version out.\n    here    Say something here\n    uptime  run: uptime\n";
    assert_eq!(place.fab(&["-l"]), said(normal, "", 0));
    for args in [&["--shortlist"][..], &["-l", "-F", "short"], &["-F", "short", "--list"]] {
        assert_eq!(place.fab(args), said("deploy\nhere\nuptime\n", "", 0), "{args:?}");
    }
    let listing = place.fab(&["-l", "-F", "json"]).json();
    assert_eq!(listing["tasks"][0]["name"], "deploy");
    assert_eq!(listing["tasks"][0]["aliases"][0], "d");
    assert_eq!(place.fab(&["-l", "-F", "wide"]).status, Some(2));
}

#[test]
fn a_task_is_shown_by_any_of_its_names() {
    let place = Place::new();
    let shown = place.fab(&["-d", "deploy"]);
    assert!(shown.stdout.contains("    In batches.\n") && shown.stdout.contains("--version"), "{shown:?}");
    for args in [&["-d", "d"][..], &["--help", "deploy"], &["deploy", "--help"], &["d", "-h"]] {
        assert_eq!(place.fab(args), shown, "{args:?}");
    }
    assert_eq!(
        place.fab(&["-d", "deploi"]),
        said("", "fab: there is no task `deploi` (did you mean `deploy`?)\nSee `fab --list` for all tasks.\n", 2)
    );
}

#[test]
fn task_arguments_go_the_classic_and_the_modern_way() {
    let place = Place::new();
    for args in [
        &["--hide=running", r"here:a\, b,loud=yes"][..],
        &["here", "--what", "a, b", "--loud", "--hide", "running"],
        &["here", "--what=a, b", "--loud", "--hide", "running"],
        &["here:a\\, b", "--loud", "--hide=running"],
    ] {
        let got = place.fab(args);
        assert_eq!((got.stdout.as_str(), got.status), ("[localhost] out: a, b true\n", Some(0)), "{args:?} {got:?}");
    }
    assert_eq!(place.fab(&["here"]), said("", "fab: task `here`: argument `what` is missing\n", 2));
    assert_eq!(place.fab(&["here", "--what"]).status, Some(2));
}

#[test]
fn levels_hide_and_show() {
    let place = Place::new();
    let all = said(
        "[localhost] local: echo x false; echo oops >&2\n[localhost] out: x false\n",
        "[localhost] err: oops\n",
        0,
    );
    assert_eq!(place.fab(&["here:x"]), all);
    assert_eq!(place.fab(&["here:x", "--hide", "everything"]), said("", "", 0));
    assert_eq!(place.fab(&["here:x", "--hide", "output,running", "--show", "stderr"]), said("", "", 0));
    let stderr = said("", "[localhost] err: oops\n", 0);
    assert_eq!(place.fab(&["here:x", "--hide", "stdout,running"]), stderr);
    let bare = said("x false\n", "oops\n", 0);
    assert_eq!(place.fab(&["here:x", "--output", "raw"]), bare);
    assert_eq!(place.fab(&["here:x", "--hide", "running", "--set", "output_prefix=no"]), bare);
    assert_eq!(place.fab(&["here:x", "--hide", "stdot"]).status, Some(2));
}

#[test]
fn json_is_one_event_a_line_and_ends_with_the_summary() {
    let got = Place::new().fab(&["here:x", "--output", "json"]);
    let events: Vec<serde_json::Value> = got.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        events.iter().all(|event| event["event"].is_string() && event["at"].is_string() && event["run"].is_string())
    );
    let line = |event: &&serde_json::Value| event["event"] == "output" && event["line"] == "oops";
    assert_eq!(events.iter().find(line).unwrap()["stream"], "stderr");
    assert_eq!((events.last().unwrap()["event"].as_str(), got.stderr.as_str()), (Some("summary"), ""));
}

#[test]
fn a_dry_run_tells_everything_and_does_nothing() {
    let place = Place::new();
    let got = place.fab(&["deploy:3", "here:x", "--dry-run"]);
    let expected = "[db1] Executing task 'deploy'\n[db1] put: DIR/fabfile.toml -> /tmp/x\n[db1] sudo: restart 3\n\
                    [db2] Executing task 'deploy'\n[db2] put: DIR/fabfile.toml -> /tmp/x\n[db2] sudo: restart 3\n\
                    [localhost] local: echo x false; echo oops >&2\n";
    assert_eq!((got.stdout.as_str(), got.status), (expected, Some(0)), "{got:?}");
    assert!(got.stderr.starts_with("Dry run: "), "{got:?}");
    for output in ["grouped", "similar", "raw"] {
        let commands: String = expected.split_inclusive('\n').filter(|line| !line.contains("Executing")).collect();
        let got = place.fab(&["deploy:3", "here:x", "--dry-run", "--output", output]);
        assert_eq!((got.stdout, got.status), (commands, Some(0)), "{output}");
    }
}

#[test]
fn a_plan_says_what_would_run_where() {
    let place = Place::new();
    let plan = place.fab(&["--plan=json", "deploy:3", "uptime", "-R", "web", "-x", "www2", "--limit", "1"]).json();
    let hosts = |index: usize| plan["tasks"][index]["hosts"].clone();
    assert_eq!((hosts(0), hosts(1)), (serde_json::json!(["db1"]), serde_json::json!(["www1"])));
    for json in [["--plan", "--output=json"], ["--plan=json", "--output=raw"], ["--plan", "--format=json"]] {
        assert_eq!(place.fab(&[&json[..], &["uptime", "-R", "web"]].concat()).json()["tasks"][0]["task"], "uptime");
    }
    let text = place.fab(&["--plan=text", "--output=json", "uptime", "-R", "web"]);
    assert_eq!(place.fab(&["--plan", "uptime", "-R", "web"]), text);
    assert!(text.stdout.contains("www[1-3]") || text.stdout.contains("www1, www2, www3"), "{text:?}");
    assert_eq!(place.fab(&["--plan", "nosuch"]).status, Some(2));
}

#[test]
fn settings_are_shown_with_where_they_come_from() {
    let place = Place::new();
    fs::write(place.0.path().join(".fabricrc"), "timeout = 7\nuser = nobody\n").unwrap();
    let shown =
        place.fab(&["--show-config", "web1", "--format", "json", "-H", "a,b", "-w", "--set", "port=2222"]).json();
    let of = |name: &str| (shown["settings"][name]["value"].clone(), shown["settings"][name]["origin"].clone());
    assert_eq!(shown["host"], "web1");
    assert_eq!(of("user"), ("deploy".into(), "DIR/fabfile.toml:3".into()));
    assert_eq!(of("timeout"), (7.into(), "DIR/.fabricrc:1".into()));
    assert_eq!(of("warn_only"), (true.into(), "-w, --warn-only".into()));
    assert_eq!(of("hosts"), (serde_json::json!(["a", "b"]), "-H, --hosts".into()));
    assert_eq!(of("port"), (2222.into(), "--set".into()));
    assert_eq!(shown["ssh_config"]["port"], "22");
    let explained = place.fab(&["--explain", "user"]);
    assert!(explained.stdout.contains("DIR/.fabricrc:2: nobody"), "{explained:?}");
    assert_eq!(place.fab(&["--explain", "usr"]).status, Some(2));
}

#[test]
fn the_global_lists_are_shown_as_a_run_has_them() {
    for (env, args) in [
        ("hosts = ['h9']\nexclude_hosts = ['h8']", &["-H", "h1,h8", "-x", "h4"][..]),
        ("hosts = ['h9']", &["-H", "h1", "-R", "st"]),
        ("hosts = ['h9']\nroles = ['st']", &["-x", "h9"]),
        ("hosts = ['h9']\nroles = ['st']", &["--set", "hosts=h1"]),
        ("hosts = { extend = ['h9'] }", &["-H", "h1", "--set", "hosts=h2"]),
        ("hosts = { extend = ['h9'] }\nroles = ['st']", &[]),
        ("hosts = { replace = ['h9'] }", &["-H", "h1", "-R", "st"]),
        ("hosts = ['h1', 'h5', 'h6', 'h7']\nexclude_hosts = ['h1']", &["--set", "exclude_hosts=h6", "-x", "h5"]),
    ] {
        let place = Place::with(&format!("[env]\n{env}\n\n[roledefs]\nst = ['s1']\n\n[tasks]\nt = 'true'\n"));
        fs::write(place.0.path().join("fabric.toml"), "exclude_hosts = ['h7']\n").unwrap();
        let shown = place.fab(&[args, &["--show-config", "--format", "json"]].concat()).json();
        let list =
            |name: &str| -> Vec<String> { serde_json::from_value(shown["settings"][name]["value"].clone()).unwrap() };
        let mut expected = list("hosts");
        expected.extend(list("roles").iter().map(|_| "s1".to_owned()));
        expected.retain(|host| !list("exclude_hosts").contains(host));
        let plan = place.fab(&[args, &["--plan=json", "t"]].concat()).json();
        assert_eq!(plan["tasks"][0]["hosts"], serde_json::json!(expected), "{env} {args:?}");
    }
    let place = Place::with("[env]\nhosts = { extend = ['h9'] }\n");
    let explained = place.fab(&["-H", "h1", "--explain", "hosts"]).stdout;
    assert!(explained.contains("fabfile, DIR/fabfile.toml:2: {\"extend\":[\"h9\"]}  <- part of it"), "{explained}");
    assert!(explained.contains("command line, -H, --hosts: [\"h1\"]  <- part of it"), "{explained}");
}

#[test]
fn amounts_of_hosts_may_be_numbers() {
    for (env, with) in [("batch = 2\nlimit = 3\nmax_failures = 1", ""), ("", "batch = 2, limit = 3, max_failures = 1")]
    {
        let text = format!("[env]\nhosts = ['h[1-4]']\n{env}\n\n[tasks.t]\nrun = 'true'\nwith = {{ {with} }}\n");
        let plan = Place::with(&text).fab(&["--plan=json", "t"]).json();
        assert_eq!(plan["tasks"][0]["batches"], serde_json::json!([["h1", "h2"], ["h3"]]), "{text}");
    }
}

#[test]
fn roles_that_settings_give_are_roles_of_the_run_below_the_fabfiles_own() {
    let place = Place::new();
    let hosts = |role: &str, set: &[&str]| {
        let plan = place.fab(&[set, &["--plan=json", "-R", role, "uptime"]].concat()).json();
        plan["tasks"][0]["hosts"].clone()
    };
    fs::write(place.0.path().join(".fabricrc"), "roledefs = rc=r1\n").unwrap();
    let text = "[roledefs]\nfr = ['f[1-2]']\nall = { roles = ['fr', 'rc'] }\ndb = ['other']\n";
    fs::write(place.0.path().join("fabric.toml"), text).unwrap();
    let set = ["--set", "roledefs={\"st\":[\"s[1-2]\"]\\,\"db\":[\"other\"]}"];
    for (role, expected) in [
        ("rc", &["r1"][..]),
        ("fr", &["f1", "f2"]),
        ("all", &["f1", "f2", "r1"]),
        ("st", &["s1", "s2"]),
        ("db", &["db1", "db2"]),
    ] {
        assert_eq!(hosts(role, &set), serde_json::json!(expected), "{role}");
    }
    let shown = place.fab(&[&set[..], &["--show-config", "--format", "json"]].concat()).json();
    let shown = &shown["settings"]["roledefs"];
    assert_eq!(
        (&shown["value"]["db"], &shown["value"]["st"], &shown["origin"]),
        (&serde_json::json!(["db1", "db2"]), &serde_json::json!(["s[1-2]"]), &"DIR/fabfile.toml".into())
    );
    let wrong = place.fab(&["--set", "roledefs={\"st\":5}", "-R", "st", "uptime"]);
    assert!(wrong.status == Some(2) && wrong.stderr.contains("--set: error: role `st`: expected"), "{wrong:?}");
}

#[test]
fn a_password_given_on_the_command_line_shows_nowhere() {
    let place = Place::new();
    let secrets = ["-p", "hunter2", "--sudo-password", "hunter2", "--set", "passwords=a\\=hunter2"];
    // A gateway that is mistyped too, and in either spelling.
    let args = [&secrets[..], &["-g", "socks5:/joe:hunter2@h", "--set", "gateway=x://joe:hunter2"]].concat();
    for what in [&["--show-config"][..], &["--explain", "password"], &["--plan", "uptime", "-H", "a"], &["here:x"]] {
        let got = place.fab(&[&args[..], what].concat());
        assert!(!format!("{got:?}").contains("hunter2"), "{what:?} {got:?}");
    }
    // Nothing is run with one that is mistyped, so that there is no journal yet.
    let run = place
        .fab(&[&secrets[..], &["-g", "socks5://joe:hunter2@h", "--set", "gateway=x://joe:hunter2", "here:x"]].concat());
    assert!(run.status == Some(0) && !format!("{run:?}").contains("hunter2"), "{run:?}");
    for entry in fs::read_dir(place.0.path().join(".local/state/fabric/runs")).unwrap() {
        let journal = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(journal.contains("here:x") && !journal.contains("hunter2"), "{journal}");
    }
}

#[test]
fn only_the_failed_hosts_are_tried_again() {
    let place = Place::new();
    let none = place.fab(&["--retry-failed"]);
    assert_eq!(none, said("", "fab: --retry-failed: there is no earlier run\n", 2));
    // Nothing listens on port 1 of loopback addresses; `here` needs no host.
    let report = "report.json";
    let first = place.fab(&["-H", "127.0.0.1:1,127.0.0.2:1", "-D", "--report", report, "--", "true"]);
    assert_eq!(first.status, Some(1), "{first:?}");
    let again = place.fab(&["--retry-failed"]);
    assert!(again.stdout.starts_with("[127.0.0.1:1] Executing task"), "{again:?}");
    assert_eq!(again.status, Some(1));
    // What never started is tried again as well, and that can be planned.
    let plan = place.fab(&["--retry-failed", "--plan"]);
    assert!(plan.stdout.contains("hosts: 127.0.0.1:1, 127.0.0.2:1\n") && plan.status == Some(0), "{plan:?}");
    assert!(place.fab(&["--retry-failed", "--list"]).stderr.contains("--retry-failed"));
    // A mistyped task is no run.
    assert_eq!(place.fab(&["here:x", "nosuch"]).status, Some(2));
    assert!(place.fab(&["--retry-failed", "--plan"]).stdout.contains("127.0.0.2:1"));
    assert_eq!(place.fab(&["here:x"]).status, Some(0));
    let nothing = place.fab(&["--retry-failed"]);
    assert!(nothing.stderr.contains("failed on no host") && nothing.status == Some(0), "{nothing:?}");
}

#[test]
fn a_gateways_password_is_given_again_to_try_again() {
    let place = Place::new();
    let gateway = |password: &str| format!("nobody-serves-this://joe:{password}@proxy");
    let run = |args: &[&str]| place.fab(args);
    assert_eq!(run(&["-g", &gateway("one"), "-H", "web1", "--", "echo", "--gateway=x"]).status, Some(1));
    let again = run(&["--retry-failed"]);
    assert!(again.stderr.contains("joe:***@proxy without its password"), "{again:?}");
    let again = run(&["--retry-failed", "-g", &gateway("two")]);
    assert!(again.stdout.starts_with("[web1] Executing task") && again.status == Some(1), "{again:?}");
}

#[test]
fn reports_are_written_by_their_ending_and_merged() {
    let place = Place::new();
    for (file, has) in [("r.json", "\"tasks\""), ("r.xml", "<testsuite"), ("r.html", "<html")] {
        assert_eq!(place.fab(&["here:x", "--report", file]).status, Some(0), "{file}");
        let text = fs::read_to_string(place.0.path().join(file)).unwrap();
        assert!(text.contains(has), "{file}: {text}");
    }
    let wrong = place.fab(&["here:x", "--report", "r.txt"]);
    assert!(wrong.stdout.is_empty() && wrong.status == Some(2), "{wrong:?}");
    assert_eq!(place.fab(&["here:y", "--report", "r2.json"]).status, Some(0));
    let twice = place.fab(&["--merge-reports", "r.json", "r.json"]);
    assert_eq!(twice, said("", "fab: --merge-reports: r.json and r.json are of the same run\n", 2));
    let merged = place.fab(&["--merge-reports", "r.json", "r2.json", "--report", "all.json"]);
    assert_eq!(merged, said("", "", 0));
    assert!(place.0.path().join("all.json").exists());
}

#[test]
fn a_report_goes_through_links_and_into_pipes_and_devices() {
    let place = Place::new();
    let path = |name: &str| place.0.path().join(name);
    let names = || fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let is_report = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["tasks"][0]["task"] == "here";
    fs::create_dir(path("kept")).unwrap();
    std::os::unix::fs::symlink("kept/r.json", path("link.json")).unwrap();
    std::os::unix::fs::symlink("link.json", path("links.json")).unwrap();
    // There is no file behind the links at first.
    for _ in 0..2 {
        assert_eq!(place.fab(&["here:x", "--report", "links.json"]).status, Some(0));
        assert!(is_report(&fs::read_to_string(path("kept/r.json")).unwrap()));
        assert!(path("links.json").is_symlink() && path("link.json").is_symlink());
    }
    std::os::unix::fs::symlink("loop.json", path("loop.json")).unwrap();
    let loops = place.fab(&["here:x", "--report", "loop.json"]);
    assert!(loops.stderr.contains("--report: loop.json cannot be written") && loops.status == Some(2), "{loops:?}");

    let quiet = |report: &str| place.fab(&["here:x", "--hide", "everything", "--report", report]);
    let stdout = quiet("/dev/stdout");
    assert!(is_report(&stdout.stdout) && (stdout.stderr.as_str(), stdout.status) == ("", Some(0)), "{stdout:?}");
    assert!(is_report(&quiet("/dev/fd/2").stderr));
    assert_eq!(quiet("/dev/null"), said("", "", 0));

    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_fab")]).current_dir(place.0.path()).stdin(Stdio::null());
        Said::of(&command.env("HOME", place.0.path()).output().unwrap(), place.0.path())
    };
    // A file that standard output goes to is not replaced, nor is what it has overwritten.
    let file = shell("echo before >out; \"$1\" here:x --hide running,stderr --report /dev/stdout >>out; cat out");
    let (output, report) = file.stdout.split_once('{').unwrap();
    assert!(output == "before\n[localhost] out: x false\n" && is_report(&format!("{{{report}")), "{file:?}");
    let pipe = shell("mkfifo pipe.json; cat pipe.json & \"$1\" here:x --hide everything --report pipe.json; wait");
    assert!(is_report(&pipe.stdout) && pipe.status == Some(0), "{pipe:?}");
    let full = shell("ln -s /dev/full full.json; \"$1\" here:x --hide everything --report full.json");
    assert!(full.stderr.contains("fab: writing full.json: No space left") && full.status == Some(1), "{full:?}");

    let before = names().len();
    let large = shell("trap '' XFSZ; ulimit -f 0; \"$1\" here:x --hide everything --report large.json");
    assert!(large.stderr.contains("fab: writing large.json: File too large") && large.status == Some(1), "{large:?}");
    assert_eq!(names().len(), before, "{:?}", names());
}

#[test]
fn a_report_that_nobody_reads_can_be_given_up() {
    let place = Place::new();
    let pipe = place.0.path().join("pipe.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // More than a pipe holds.
    let long = "x".repeat(100_000);
    let mut command = place.command(&[&format!("here:{long}"), "--report", "pipe.json"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Opened once the report is written.
    let _unread = fs::File::open(pipe).unwrap();
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert!(String::from_utf8(ended.stderr).unwrap().ends_with("fab: interrupted\n"));
}

#[test]
fn a_starter_is_written_once() {
    let place = Place::new();
    assert_eq!(place.fab(&["--init"]), said("", "fab: DIR/fabfile.toml already exists; nothing was written\n", 2));
    fs::remove_file(place.0.path().join("fabfile.toml")).unwrap();
    assert_eq!(place.fab(&["--init", "toml"]).status, Some(0));
    assert!(place.fab(&["--shortlist"]).stdout.contains("deploy\n"));
}

#[test]
fn without_a_fabfile_only_tasks_are_missing() {
    let place = Place::new();
    fs::remove_file(place.0.path().join("fabfile.toml")).unwrap();
    let missing = place.fab(&["deploy"]);
    assert!(missing.stderr.starts_with("fab: there is no fabfile: neither fabfile.toml") && missing.status == Some(2));
    assert_eq!(place.fab(&["-f", "other.toml", "-l"]).status, Some(2));
    assert_eq!(place.fab(&["-H", "a", "--plan", "--", "true"]).status, Some(0));
    assert_eq!(place.fab(&[]).status, Some(0));
    assert_eq!(place.fab(&["-H", "a"]).status, Some(2));
}

#[test]
fn a_fabfile_may_be_named_after_a_task_that_does_not_take_the_letter() {
    let place = Place::new();
    fs::write(place.0.path().join("other.toml"), "[tasks]\nother = 'x'\n").unwrap();
    for args in [&["-f", "other.toml", "--shortlist"][..], &["--shortlist", "uptime", "-f", "other.toml"]] {
        assert_eq!(place.fab(args), said("other\n", "", 0), "{args:?}");
    }
}

#[test]
fn completion_knows_the_fabfile() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.fab(&["--completion", shell]).stdout.contains("__complete"), "{shell}");
    }
    assert_eq!(place.fab(&["__complete", "de"]), said("deploy\n", "", 0));
    assert_eq!(place.fab(&["__complete", "-R", ""]), said("db\nweb\n", "", 0));
    assert_eq!(place.fab(&["__complete", "deploy", "--vers"]).stdout, "--version\n--version\n");
}

#[test]
fn bash_completes_by_the_script() {
    let place = Place::new();
    let path = Path::new(env!("CARGO_BIN_EXE_fab")).parent().unwrap().to_owned();
    let script = r#"eval "$(fab --completion bash)"
        COMP_LINE="fab -H ww"; COMP_POINT=9; COMP_WORDS=(fab -H ww); COMP_CWORD=2; _fab; echo "${COMPREPLY[@]}"
        COMP_LINE="fab --output=j"; COMP_POINT=14; COMP_WORDS=(fab --output = j); COMP_CWORD=3; _fab; echo "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(place.0.path())
        .env("HOME", place.0.path())
        .env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let got = Said::of(&output, place.0.path());
    assert_eq!(got.stdout, "www1 www2 www3\njson\n", "{got:?}");
}

#[test]
fn host_lists_come_from_files_and_standard_input() {
    let place = Place::new();
    fs::write(place.0.path().join("hosts"), "a # one\nb[1-2]\n").unwrap();
    let mut child = place
        .command(&["--plan=json", "uptime", "-H", "@hosts,@-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"c\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["tasks"][0]["hosts"], serde_json::json!(["a", "b1", "b2", "c"]));
}

#[test]
fn nobody_reading_is_no_crash() {
    let mut child = Place::new().command(&["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_low_limit_on_open_files_is_told() {
    let place = Place::new();
    for (limit, args) in [(6, &["here:x"][..]), (8, &["here:x"]), (8, &["--plan", "uptime"]), (8, &["--demo"])] {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_fab")]).args(args).stdin(Stdio::null());
        command.current_dir(place.0.path()).env("HOME", place.0.path());
        let got = Said::of(&command.output().unwrap(), place.0.path());
        let error = format!("fab: the limit on open files ({limit}) leaves no room for one host: at least ");
        assert!(got.stderr.starts_with(&error) && got.stderr.contains("ulimit -Hn"), "{args:?} {got:?}");
        assert_eq!((got.stdout.as_str(), got.status), ("", Some(1)), "{args:?} {got:?}");
    }
}

#[test]
fn without_a_terminal_an_initial_password_cannot_be_asked_for() {
    let place = Place::new();
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(env!("CARGO_BIN_EXE_fab")).args(["-I", "here:x"]);
    let output = command.current_dir(place.0.path()).env("HOME", place.0.path()).stdin(Stdio::null()).output().unwrap();
    let got = Said::of(&output, place.0.path());
    assert!(got.stderr.contains("needed to ask for `Initial value for env.password`"), "{got:?}");
    assert_eq!((got.stdout.as_str(), got.status), ("", Some(2)));
    let refused = place.fab(&["-I", "--abort-on-prompts", "here:x"]);
    assert!(refused.stderr.contains("abort_on_prompts is set") && refused.status == Some(2), "{refused:?}");
}

#[test]
fn what_nothing_can_come_of_is_refused_before_anything_runs() {
    let place = Place::new();
    for (args, why) in [
        (&["--init", "yaml"][..], "`yaml` is none of toml"),
        (&["--show-config", "web1", "web2"], "--show-config runs no tasks: `web2` can't be given with it"),
        (&["--retry-failed", "here:x"], "runs the last command line"),
        (&["--retry-failed", "-H", "web1"], "runs the last command line"),
        (&["-g", "hop1,,hop2", "here:x"], "gateway `hop1,,hop2`: "),
        (&["-H", "@hosts.txt", "here:x"], "cannot read the host list `hosts.txt`"),
        (&["-x", "web*", "here:x"], "it contains '*'"),
        (&["here:x,hosts=@hosts.txt"], "cannot read the host list `hosts.txt`"),
        (&["--set", "exclude_hosts=@hosts.txt", "-H", "a", "--", "true"], "on the command line only"),
    ] {
        let got = place.fab(args);
        assert!(got.status == Some(2) && got.stderr.contains(why) && got.stdout.is_empty(), "{args:?}: {got:?}");
    }
}

#[test]
fn a_role_that_is_given_shows_its_settings_for_its_hosts() {
    let place = Place::new();
    let fabfile = "[roledefs]\ndb = { hosts = ['db[1-2]'], user = 'postgres' }\n";
    fs::write(place.0.path().join("roles.toml"), fabfile).unwrap();
    let user = |args: &[&str]| {
        let shown = place.fab(&[&["-f", "roles.toml", "--format", "json"], args].concat());
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        (shown["settings"]["user"]["value"].clone(), shown["settings"]["user"]["layer"].clone())
    };
    assert_eq!(user(&["-R", "db", "--show-config", "db2"]), ("postgres".into(), "role".into()));
    assert_ne!(user(&["-R", "db", "--show-config", "web1"]).0, "postgres");
    assert_ne!(user(&["--show-config", "db2"]).0, "postgres");
}

#[test]
fn files_that_settings_name_are_beside_the_fabfile() {
    let place = Place::new();
    let below = place.0.path().join("below");
    fs::create_dir(&below).unwrap();
    fs::write(place.0.path().join("conf"), "Host web1\n  HostName h\n").unwrap();
    fs::write(place.0.path().join("keys.toml"), "[env]\nssh_config_path = 'conf'\nkey_filename = 'key'\n").unwrap();
    let shown = |args: &[&str]| {
        let shown = place.fab(&[args, &["--show-config", "web1", "--format", "json"]].concat());
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect(&shown.stderr);
        (shown["ssh_config"]["hostname"].clone(), shown["settings"]["key_filename"]["value"].clone())
    };
    let found = ("h".into(), serde_json::json!(["DIR/key"]));
    assert_eq!(shown(&["-f", &place.0.path().join("keys.toml").to_string_lossy()]), found);
    // What is typed is meant from where it is typed.
    assert_eq!(shown(&["-i", "typed"]).1, serde_json::json!(["typed"]));
}
