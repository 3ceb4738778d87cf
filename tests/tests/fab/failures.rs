//! What a failing command does to a run and to its exit status.

use tests::{Case, case};

const FAILING: &str = "echo out; echo err >&2; exit 3";

#[test]
fn a_failure_skips_the_hosts_after_it() {
    case!()
        .hosts(2)
        .args(["-H", "{hosts}", "--", FAILING])
        .stdout("[{h1}] Executing task '<remainder>'\n[{h1}] run: echo out; echo err >&2; exit 3\n[{h1}] out: out\n")
        .stderr_has("[{h1}] err: err\n")
        .stderr_has("0 ok, 1 failed, 1 skipped")
        .stderr_has("skipped      {h2}\n  --keep-going would have gone on\n")
        .stderr_lacks("[{h2}]")
        .status(1)
        .run();
}

#[test]
fn with_warn_only_all_hosts_run_and_the_status_is_0() {
    case!()
        .hosts(2)
        .args(["-w", "-H", "{hosts}", "--", FAILING])
        .stdout_has("[{h1}] out: out\n")
        .stdout_has("[{h2}] out: out\n")
        .stderr_has("[{h1}] err: err\n")
        .stderr_has("[{h2}] err: err\n")
        .stderr_has("[{h2}] warning: ")
        .run();
}

/// A failure on the first of three hosts, of which two are never at work at the same time.
fn first_fails() -> Case {
    case!()
        .hosts(3)
        .fabfile(
            "[tasks.t]\nrun = \"set -- $SSH_CONNECTION; echo $3 >> {far}/ran; test $3 != {address1}\"\n\
             [tasks.next]\nrun = \"set -- $SSH_CONNECTION; echo next $3 >> {far}/ran\"\n",
        )
        .args(["-H", "{hosts}", "t", "next"])
        .any_stdout()
        .any_stderr()
        .status(1)
}

#[test]
fn in_parallel_all_hosts_are_begun_though_one_fails() {
    let options: [(&[&str], &str, &str); 5] = [
        (&["-P", "-z", "1"], "{address1}\n{address2}\n{address3}\n", "3 hosts: 2 ok, 1 failed"),
        (&["-P", "-z", "1", "--max-failures", "0"], "{address1}\n", "1 failed, 2 skipped"),
        (&["--batch", "2", "-z", "1"], "{address1}\n{address2}\n", "1 ok, 1 failed, 1 skipped"),
        (&["--batch", "1"], "{address1}\n", "1 failed, 2 skipped"),
        (&[], "{address1}\n", "1 failed, 2 skipped"),
    ];
    for (options, began, counts) in options {
        let ran = first_fails().args(options).stderr_has(counts).stderr_has("  not started  next\n").run();
        assert_eq!(ran.read_far("ran"), ran.case().fill(began), "{options:?}");
        if !options.is_empty() {
            assert!(ran.stderr.contains("--keep-going"), "{options:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn keep_going_leaves_the_failed_host_out_and_goes_on() {
    let all = "{address1}\n{address2}\n{address3}\nnext {address2}\nnext {address3}\n";
    for options in [&["--keep-going"][..], &["--max-failures", "100%"], &["--keep-going", "-P", "-z", "1"]] {
        let ran = first_fails().args(options).stderr_has("3 hosts: 2 ok, 1 failed (").stderr_lacks("would have").run();
        assert_eq!(ran.read_far("ran"), ran.case().fill(all), "{options:?}");
    }
    // What others depend on stops them.
    for (first, calls, not_started) in [
        ("steps = [{ local = \"exit 3\" }]\n", &["first", "t"][..], "t"),
        ("hosts = [\"{h1}\", \"{h2}\"]\nruns_once = true\nrun = \"exit 3\"\n", &["first", "t"], "t"),
        (
            "hosts = [\"{h1}\", \"{h2}\"]\nrun = \"set -- $SSH_CONNECTION; test $3 != {address1}\"\n",
            &["u", "t"],
            "u, t",
        ),
    ] {
        let others = "hosts = [\"{h1}\", \"{h2}\"]\nrun = \"touch {far}/ran\"\n";
        let ran = case!()
            .hosts(2)
            .fabfile(format!("[tasks.first]\n{first}[tasks.t]\n{others}[tasks.u]\npre = [\"first\"]\n{others}"))
            .args(["--keep-going"])
            .args(calls)
            .any_stdout()
            .stderr_has(format!("  not started  {not_started}\n"))
            .stderr_lacks("would have")
            .status(1)
            .run();
        assert!(!ran.case().far().join("ran").exists(), "{calls:?}");
    }
}

#[test]
fn what_a_task_that_runs_once_executes_runs_on_all_hosts() {
    let ran = case!()
        .hosts(3)
        .fabfile(
            "[tasks]\nupdate = \"set -- $SSH_CONNECTION; echo update $3 >> {far}/ran\"\n\
             [tasks.deploy]\nruns_once = true\nsteps = [{ run = \"echo own >> {far}/ran\" }, { execute = \"update\" }]\n",
        )
        .args(["-H", "{hosts}", "deploy"])
        .any_stdout()
        .stderr_has("3 hosts: 3 ok (")
        .run();
    let all = "own\nupdate {address1}\nupdate {address2}\nupdate {address3}\n";
    assert_eq!(ran.read_far("ran"), ran.case().fill(all));
}

#[test]
fn on_one_host_the_status_is_the_commands_own() {
    for (command, status) in [(FAILING, 3), ("true", 0), ("exit 255", 255), ("kill -TERM $$", 128 + 15)] {
        let case = case!().hosts(1).args(["-H", "{h1}", "--", command]).any_stdout().any_stderr();
        case.status(status).run();
    }
}

#[test]
fn a_signal_is_named() {
    case!()
        .hosts(1)
        .args(["-H", "{h1}", "--", "kill -KILL $$"])
        .any_stdout()
        .stderr_has("was killed by SIGKILL\n")
        .status(128 + 9)
        .run();
}

#[test]
fn a_failing_task_is_status_1_on_one_host_too() {
    case!()
        .hosts(1)
        .fabfile("[tasks.broken]\nhosts = [\"{h1}\"]\nrun = \"exit 3\"\n")
        .args(["broken"])
        .any_stdout()
        .stderr_has("[{h1}]")
        .stderr_has("exit status 3")
        .status(1)
        .run();
}

#[test]
fn a_failure_is_told_in_json() {
    let ran = case!()
        .hosts(2)
        .args(["--output", "json", "-H", "{hosts}", "--", FAILING])
        .any_stdout()
        .any_stderr()
        .status(1)
        .run();
    let events: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("every line is an event")).collect();
    let (first, second) = (ran.case().fill("{h1}"), ran.case().fill("{h2}"));
    let lines = |stream: &str| -> Vec<_> {
        let of = |event: &&serde_json::Value| event["stream"] == stream && !event["line"].is_null();
        events.iter().filter(of).map(|event| (event["host"].clone(), event["line"].clone())).collect()
    };
    assert_eq!(lines("stdout"), [(first.clone().into(), "out".into())]);
    assert_eq!(lines("stderr"), [(first.clone().into(), "err".into())]);
    let summary = events.last().expect("a summary");
    assert_eq!(summary["event"], "summary");
    assert_eq!(
        (&summary["hosts_ok"], &summary["hosts_failed"], &summary["hosts_skipped"]),
        (&0.into(), &1.into(), &1.into())
    );
    assert_eq!((&summary["hosts"][&first], &summary["hosts"][&second]), (&"failed".into(), &"skipped".into()));
}

#[test]
fn only_what_failed_is_run_again() {
    // Two runs of one home: the second knows the first by its journal.
    let ran = case!()
        .hosts(3)
        .fabfile("[tasks]\nt = \"set -- $SSH_CONNECTION; echo $3 >> {far}/ran; case $3 in {address2}) test -e {far}/mended;; esac\"\n")
        .within("\"$0\" \"$@\" -w; touch {far}/mended; \"$0\" --retry-failed; exit $?")
        .args(["-H", "{hosts}", "t"])
        .any_stdout()
        .stderr_has("3 hosts: 2 ok, 1 failed")
        .run();
    let expected = ran.case().fill("{address1}\n{address2}\n{address3}\n{address2}\n");
    assert_eq!(ran.read_far("ran"), expected);
}

#[test]
fn a_run_is_not_tried_again_without_the_input_it_was_given() {
    let script = "set -- $SSH_CONNECTION\necho $3 >> {far}/ran\ntest $3 != {address2} || test -e {far}/mended\n";
    let ran = case!()
        .hosts(2)
        .file("script", script)
        .within(
            "\"$0\" \"$@\" < script; touch {far}/mended; \"$0\" --retry-failed < /dev/null; echo \"nothing: $?\"; \
             \"$0\" --retry-failed < script; exit $?",
        )
        .args(["-H", "{hosts}", "--", "sh -s"])
        .stdout_has("nothing: 2\n")
        .stderr_has("was given standard input, which its journal does not have: give it again")
        .run();
    assert_eq!(ran.read_far("ran"), ran.case().fill("{address1}\n{address2}\n{address2}\n"));
}

#[test]
fn a_run_of_another_directory_is_not_tried_again() {
    case!()
        .hosts(1)
        .within("\"$0\" \"$@\"; mkdir other; cd other; \"$0\" --retry-failed; exit $?")
        .args(["-H", "{hosts}", "--", "false"])
        .any_stdout()
        .stderr_has("no run was begun in this directory; the last one, ")
        .status(2)
        .run();
}

#[test]
fn what_is_set_beside_a_secret_is_set_again() {
    let fabfile = "[env]\nrelease = \"1\"\n[tasks]\nt = \"set -- $SSH_CONNECTION; echo {{ env.release }} $3 >> {far}/ran; test -e {far}/mended\"\n";
    let ran = case!()
        .hosts(2)
        .fabfile(fabfile)
        .within("\"$0\" \"$@\"; touch {far}/mended; \"$0\" --retry-failed; exit $?")
        .args(["-H", "{hosts}", "--set", "release=2\\,3,sudo_password=s3cret", "t"])
        .any_stdout()
        .any_stderr()
        .run();
    assert_eq!(ran.read_far("ran"), ran.case().fill("2,3 {address1}\n2,3 {address1}\n2,3 {address2}\n"));
}

#[test]
fn what_never_started_is_run_as_well_and_what_was_ok_is_not() {
    let fabfile = "[tasks.t]\nrun = \"set -- $SSH_CONNECTION; echo t $3 >> {far}/ran; test $3 != {address2} || test -e {far}/mended\"\n\
                   [tasks.next]\nrun = \"set -- $SSH_CONNECTION; echo next $3 >> {far}/ran\"\n\
                   [tasks.once]\nruns_once = true\nrun = \"echo once >> {far}/ran\"\n";
    let again = "\"$0\" \"$@\"; touch {far}/mended; \"$0\" --retry-failed --plan; \"$0\" --retry-failed; exit $?";
    let ran = case!()
        .hosts(3)
        .fabfile(fabfile)
        .within(again)
        .args(["-H", "{hosts}", "once", "t", "next"])
        .stdout_has("1. once: nowhere\n")
        .stdout_has("2. t: 2 hosts, one after another\n   hosts: {h2}, {h3}\n")
        .stderr_has("  skipped      {h3}\n  not started  next\n")
        .stderr_has("3 hosts: 3 ok")
        .run();
    let expected = ran.case().fill(
        "once\nt {address1}\nt {address2}\nt {address2}\nt {address3}\nnext {address1}\nnext {address2}\nnext {address3}\n",
    );
    assert_eq!(ran.read_far("ran"), expected);
}

#[test]
fn output_that_a_later_step_needs_and_that_finds_no_room_is_a_failure() {
    case!()
        .hosts(1)
        .fabfile(
            "[tasks.guard]\nsteps = [\n  { run = \"echo UNSAFE; head -c 9000000 /dev/zero | tr '\\\\0' a\", save = \"found\" },\n  \
             { run = \"echo deploying\", if = \"'UNSAFE' not in found.stdout\" },\n]\n",
        )
        // No file can be created there.
        .env("TMPDIR", "/proc")
        .args(["--hide", "stdout", "-H", "{h1}", "guard"])
        .any_stdout()
        .stderr_has("can't be kept in a file in /proc: ")
        .stderr_has("the command ended with exit status 0. Set TMPDIR to a directory with room")
        .stderr_lacks("deploying")
        .status(1)
        .run();
}

/// Three hosts of an inventory under names of its own, of which `two` and `three` fail until there is `mended`.
const OF_INVENTORY: &str = "[roledefs]\nweb = { inventory = 'hosts.ini' }\n\n[tasks.t]\nroles = ['web']\n\
    run = \"set -- $SSH_CONNECTION; echo {{ env.host_string }} $3 >> {far}/ran; test $3 = {address1} || test -e {far}/mended\"\n";

#[test]
fn a_retry_reaches_an_inventorys_hosts_and_what_is_typed_now_narrows_it() {
    let inventory = "[web]\none ansible_host={address1}\ntwo ansible_host={address2}\nthree ansible_host={address3}\n\
                     [web:vars]\nansible_port={port}\n";
    for (now, ran_again) in [
        ("", "two {address2}\nthree {address3}\n"),
        ("--only three", "three {address3}\n"),
        // A fabfile that is named now is the one that is meant.
        ("-f other.toml", "other two\nother three\n"),
    ] {
        let ran = case!()
            .hosts(3)
            .file("hosts.ini", inventory)
            .fabfile(OF_INVENTORY)
            .file(
                "other.toml",
                "[roledefs]\nweb = { inventory = 'hosts.ini' }\n\n[tasks.t]\nroles = ['web']\n\
                 run = \"echo other {{ env.host_string }} >> {far}/ran\"\n",
            )
            .within(format!("\"$0\" \"$@\" --keep-going; touch {{far}}/mended; \"$0\" --retry-failed {now}; exit $?"))
            .args(["t"])
            .any_stdout()
            .stderr_has("3 hosts: 1 ok, 2 failed")
            .run();
        let first = "one {address1}\ntwo {address2}\nthree {address3}\n";
        assert_eq!(ran.read_far("ran"), ran.case().fill(&format!("{first}{ran_again}")), "{now}");
    }
}
