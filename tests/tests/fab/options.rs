//! Options before and after tasks, and repeated: on which hosts tasks run, and whether they run at all.

use tests::{Case, Ran, case};

const FABFILE: &str = "[roledefs]\nweb = [\"{h1}\", \"{h2}\"]\ndb = [\"{h3}\"]\n\n[tasks]\nhello = \"echo hello\"\nagain = \"echo again\"\n\n\
                       [tasks.plain]\nsteps = [{ local = \"touch ran\" }]\n\n\
                       [tasks.deploy]\nargs = [\"version\", { name = \"list\", default = false, short = \"l\" }]\n\
                       steps = [{ local = \"echo deployed {{ version }} {{ list }}\" }]\n\n\
                       [tasks.own]\nhosts = [\"{h1}\", \"{h2}\"]\nrun = \"echo hello\"\n\n\
                       [tasks.of_role]\nroles = [\"db\"]\nrun = \"echo hello\"\n\n\
                       [tasks.pick]\nsteps = [{ set = { hosts = [\"{h2}\"] } }]\n";

fn fab(args: &[&str]) -> Case {
    case!().hosts(3).fabfile(FABFILE).args(args)
}

/// The same tasks, of which none is to run.
fn without_hosts() -> Case {
    (1..=3).fold(case!(), |case, number| case.value(&format!("h{number}"), format!("web{number}"))).fabfile(FABFILE)
}

/// The hosts that said hello, in order, in a run without warnings.
fn greeted(case: Case) -> Vec<String> {
    greeters(&case.any_stdout().stderr_lacks("warning").run())
}

fn greeters(ran: &Ran) -> Vec<String> {
    let names = (1..=3).map(|number| (ran.case().fill(&format!("[{{h{number}}}] out: hello")), format!("h{number}")));
    let names: Vec<_> = names.collect();
    let known = |line: &str| names.iter().find(|(prefix, _)| line == prefix).map(|(_, name)| name.clone());
    ran.stdout.lines().filter_map(known).collect()
}

/// The options that print something instead of running tasks.
const INSTEAD: &[&[&str]] = &[
    &["-V"],
    &["--version"],
    &["--version", "2.4"],
    &["--vers"],
    &["-wV"],
    &["-l"],
    &["--list"],
    &["-Pl"],
    &["--shortlist"],
    &["-F", "json"],
    &["-d", "plain"],
    &["--plugins"],
    &["--init"],
    &["--init", "toml"],
    &["--demo"],
    &["--completion", "bash"],
    &["--show-config"],
    &["--explain", "user"],
    &["--merge-reports", "x.json"],
    &["--check"],
];

#[test]
fn an_option_is_no_host() {
    for (args, option, found) in [
        (&["-H", "--list"][..], "--hosts", "--list"),
        (&["hello", "--hosts", "-w"], "--hosts", "-w"),
        (&["-x", "--dry-run", "hello"], "--exclude-hosts", "--dry-run"),
        (&["--only=--hosts", "hello"], "--only", "--hosts"),
        (&["-H", "--", "id"], "--hosts", "--"),
    ] {
        let case = without_hosts().args(args).status(2).stdout("");
        case.stderr_has(format!("fab: {option} needs a value, HOSTS: `{found}` begins with `-`, which no host does"))
            .run();
    }
}

#[test]
fn nothing_is_shown_instead_of_a_task_that_was_named() {
    for option in INSTEAD {
        let refused = |case: Case, task: &str, said: &str| {
            let ran = case.args([task]).args(*option).status(2).stderr_has(said).run();
            assert!(!ran.case().dir().join("ran").exists() && !ran.case().dir().join("fabfile.toml.new").exists());
        };
        refused(without_hosts(), "plain", "task `plain` has no option -");
        refused(without_hosts(), "nosuch", "there is no task `nosuch`");
        refused(case!(), "deploy", "there is no fabfile");
        refused(case!(tasks), "nosuch", "there is no task `nosuch`");
    }
}

#[test]
fn nothing_is_shown_instead_of_what_follows() {
    for (option, what) in [
        (&["--explain", "user"][..], &["plain"][..]),
        (&["--plugins"], &["plain"]),
        (&["--plugins"], &["--", "true"]),
        (&["--show-config", "web1"], &["plain"]),
        (&["--show-config", "web1"], &["--", "true"]),
        (&["-d", "plain"], &["plain"]),
        (&["--demo"], &["plain"]),
        (&["--completion", "bash"], &["plain"]),
        (&["--merge-reports", "a.json", "--report", "b.json"], &["plain"]),
    ] {
        let word = what[0];
        fab(option).args(what).status(2).stderr_has(format!("runs no tasks: `{word}` can't be given with it")).run();
    }
}

#[test]
fn a_task_has_the_options_that_it_declares() {
    for args in
        [&["deploy", "--version", "2.4", "--list"][..], &["deploy", "--version=2.4", "-l"], &["deploy:2.4", "-l"]]
    {
        fab(args).stdout_has("[localhost] out: deployed 2.4 true\n").run();
    }
    // The fabfile is not known before `-f` has been read.
    let other = "[tasks.ship]\nargs = [\"version\"]\nsteps = [{ local = \"echo shipped {{ version }}\" }]\n";
    for args in [&["ship", "-f", "other.toml", "--version", "3"][..], &["ship", "--fabfile=other.toml", "--version=3"]]
    {
        fab(args).file("other.toml", other).stdout_has("[localhost] out: shipped 3\n").run();
    }
    fab(&["deploy", "-V"]).status(2).stderr_has("task `deploy` has no option --version").run();
    fab(&["deploy:2.4", "--", "--version"]).any_stdout().any_stderr().status(2).run();
}

#[test]
fn help_of_a_task_is_where_one_looks_for_it() {
    let shown = fab(&["--help", "deploy"]).stdout_has("--version").run().stdout;
    for args in [&["deploy", "--help"][..], &["deploy", "-h"], &["deploy:1", "--help"]] {
        fab(args).stdout(&shown).run();
    }
    for args in [["nosuch", "--help"], ["--help", "nosuch"], ["nosuch", "-h"]] {
        fab(&args).status(2).stderr_has("there is no task `nosuch`").run();
        case!().args(args).status(2).stderr_has("there is no fabfile").run();
    }
    assert!(!fab(&["plain", "--help"]).any_stdout().run().case().dir().join("ran").exists());
}

#[test]
fn repeated_host_options_add_up() {
    for (args, expected) in [
        (&["-H", "{h1}", "-H", "{h3}"][..], &["h1", "h3"][..]),
        (&["-H", "{hosts}", "-x", "{h1}", "-x", "{h2}"], &["h3"]),
        (&["-H", "{hosts}", "--exclude-hosts={h3}", "-x{h2}"], &["h1"]),
        (&["-H", "{hosts}", "-H", "!{h2}"], &["h1", "h3"]),
        (&["-R", "web", "-R", "db"], &["h1", "h2", "h3"]),
        (&["-R", "db", "-H", "{h1}"], &["h1", "h3"]),
        (&["-H", "{hosts}", "--only", "{h3}", "--only", "{h1}"], &["h1", "h3"]),
    ] {
        // Before the task, after it, and on both sides.
        assert_eq!(greeted(fab(args).args(["hello"])), expected, "{args:?}");
        assert_eq!(greeted(fab(&["hello"]).args(args)), expected, "hello {args:?}");
        assert_eq!(greeted(fab(&args[..2]).args(["hello"]).args(&args[2..])), expected, "both {args:?}");
    }
    // `--retry-failed` has them all.
    let case = fab(&["-H", "{h1}", "-H", "{h2}", "-x", "{h2}", "-P", "--", "test -e ok"]).any_stdout().any_stderr();
    let first = case.status(1).run();
    let journals = std::fs::read_dir(first.case().home().join(".local/state/fabric/runs")).unwrap();
    let journal = std::fs::read_to_string(journals.last().unwrap().unwrap().path()).unwrap();
    assert_eq!(journal.matches("--hosts=").count(), 1, "{journal}");
    assert!(journal.contains(&first.case().fill("--hosts={h1},{h2}")), "{journal}");
}

#[test]
fn an_option_that_is_overridden_is_told() {
    let said = "warning: -f is given more than once: `fabfile.toml` is used, `other.toml` is not\n";
    let other = |args: &[&str]| fab(args).file("other.toml", "[tasks]\nhello = 'echo other'\n");
    other(&["-f", "other.toml", "-f", "fabfile.toml", "-H", "{h1}", "hello"])
        .stderr_has(said)
        .stdout_has("[{h1}] out: hello\n")
        .run();
    other(&["-f", "other.toml", "-f", "fabfile.toml", "--list"]).stderr_has(said).stdout_has("of_role").run();
    other(&["-f", "fabfile.toml", "-f", "fabfile.toml", "--list"]).any_stdout().run();
    fab(&["-c", "a.rc", "-c", "b.rc", "--explain", "user"])
        .file("a.rc", "user = one\n")
        .file("b.rc", "user = two\n")
        .stderr_has("warning: -c is given more than once: `b.rc` is used, `a.rc` is not\n")
        .stdout_has("two")
        .run();
    fab(&["-g", "socks5://joe:pw@a", "-g", "none", "-H", "{h1}", "hello"])
        .stderr_has("warning: -g is given more than once: `false` is used, `socks5://joe:***@a` is not\n")
        .any_stdout()
        .run();
}

#[test]
fn a_host_that_is_excluded_and_in_no_list_is_told_before_anything_runs() {
    let said = "warning: -x excludes none of the hosts of task `hello`: typo";
    let ran = fab(&["-H", "{h1},{h2}", "-x", "{h1},typo", "-x", "typo", "hello", "again", "hello"])
        .any_stdout()
        .stderr_has(said)
        .run();
    assert_eq!(ran.stderr.matches("typo").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains(&ran.case().fill("{h1}")), "{}", ran.stderr);
    fab(&["-H", "{h1}", "-x", "typo", "--plan", "hello"])
        .stdout_has("-x excludes none of the hosts of task `hello`: typo")
        .run();
    // A host may be in a later list: that is known only at the end.
    fab(&["-H", "{h1}", "-x", "{h2}", "hello", "pick", "again"])
        .any_stdout()
        .stderr_lacks("-x excludes none")
        .stderr_has("all of its hosts are excluded")
        .run();
    fab(&["-H", "{h1}", "-x", "typo,{h2}", "hello", "pick", "again"])
        .any_stdout()
        .stderr_has("-x excludes none of the hosts of this run: typo\n")
        .run();
}

#[test]
fn a_tasks_own_hosts_are_named_where_they_beat_the_command_line() {
    let ran = fab(&["-H", "{h3}", "of_role"]).any_stdout().any_stderr().run();
    assert_eq!(greeters(&ran), ["h3"]);
    for (args, runs_on, narrows) in [
        (&["-H", "{h1}", "of_role"][..], "it runs on {h3} ", "--only {h1}` leaves all other hosts out"),
        (&["of_role", "-R", "web"], "it runs on {h3} ", "--only HOSTS`"),
        (&["-H", "{h1}", "-R", "web", "of_role"], "it runs on {h3} ", "-H and -R are not used for it"),
        (&["-H", "{h3}", "--only", "{h2}", "own"], "it runs on {h2} ", "--only {h3}`"),
    ] {
        fab(args).any_stdout().stderr_has(runs_on).stderr_has(narrows).run();
    }
    // The advice is right.
    assert_eq!(greeted(fab(&["--only", "{h2}", "own"])), ["h2"]);
    assert_eq!(greeted(fab(&["own:hosts={h3}"])), ["h3"]);
    // So does a fabfile that replaces the global list.
    case!()
        .hosts(2)
        .fabfile("[env]\nhosts = { replace = [\"{h1}\"] }\n\n[tasks]\nhello = \"echo hello\"\n")
        .args(["-H", "{h2}", "hello"])
        .stdout_has("[{h1}] out: hello\n")
        .stderr_has("warning: the fabfile assigns lists of its own, {h1}: -H has no effect\n")
        .run();
}

#[test]
fn an_option_is_no_value_of_a_tasks_option() {
    let fabfile = "[tasks.deploy]\nargs = ['version', { name = 'quiet', default = false }]\n\
                   steps = [{ local = 'echo version {{ version | sh }}' }]\n";
    for word in ["--list", "-l", "--version", "-V", "--hosts=a", "-Ha", "--lis", "--quiet", "--no-quiet", "-q", "--"] {
        for option in ["--version", "-v"] {
            let needs = format!("option `{option}` of task `deploy` needs a value, and `{word}` is an option");
            case!().fabfile(fabfile).args(["deploy", option, word]).stderr_has(needs).status(2).run();
        }
    }
    let written = "write `--version=--list` if that is it";
    case!().fabfile(fabfile).args(["deploy", "--version", "--list"]).stderr_has(written).status(2).run();
    for (words, version) in [
        (&["--version=--list"][..], "--list"),
        (&["-v--list"], "--list"),
        (&["--version", "-1"], "-1"),
        (&["--version", "-2.5"], "-2.5"),
        (&["--version", "-"], "-"),
        (&["--version", "--beta"], "--beta"),
    ] {
        let said = format!("out: version {version}\n");
        case!().fabfile(fabfile).args(["deploy"]).args(words).stdout_has(said).any_stderr().run();
    }
}
