//! Commands, and what has to succeed before them.

use tests::{Sshd, TestUser, case};

/// Lines that create the file `ran` if any part of them runs.
const LINES: [&str; 12] = [
    "echo first; touch {far}/ran",
    "true || x; touch {far}/ran",
    "echo first\ntouch {far}/ran",
    "echo first & touch {far}/ran; wait",
    "# a comment\ntouch {far}/ran",
    "false || touch {far}/ran # at the end",
    "cat <<E\nx\nE\ntouch {far}/ran",
    "f() { touch {far}/ran; }; f",
    "! touch {far}/ran; true",
    "(touch {far}/ran)",
    "if true; then touch {far}/ran; fi",
    "}; touch {far}/ran; {",
];

/// What precedes a command and can't succeed.
const AROUND: [&str; 7] = [
    "cd = '/no/such'",
    "prefix = 'false'",
    "prefix = ['true; false', 'true']",
    "prefix = 'false # it is'",
    "prefix = \"echo 'open\"",
    "cd = '/no/such', pty = true",
    "cd = '/no/such', shell = '/bin/bash -c'",
];

fn toml(line: &str) -> String {
    serde_json::to_string(line).unwrap()
}

/// A fabfile with a task `tN` for each step.
fn fabfile(env: &str, steps: &[String]) -> String {
    let tasks = steps.iter().enumerate().map(|(n, step)| format!("[tasks.t{n}]\nsteps = [{step}]\n"));
    format!("[env]\n{env}\n{}", tasks.collect::<String>())
}

/// Runs each step by itself: none of it may run, and it fails.
fn none_runs(env: &str, steps: &[String]) {
    let text = fabfile(env, steps);
    for (n, step) in steps.iter().enumerate() {
        let ran = case!()
            .hosts(1)
            .fabfile(&text)
            .args(["-H", "{h1}", &format!("t{n}")])
            .any_stdout()
            .stdout_lacks("out: first")
            .stderr_has("[{h1}] error: ")
            .status(1)
            .run();
        assert!(!ran.case().far().join("ran").exists(), "{step}");
    }
}

#[test]
fn nothing_of_a_command_runs_where_what_is_around_it_fails() {
    let steps: Vec<String> = LINES
        .iter()
        .enumerate()
        .map(|(n, line)| format!("{{ run = {}, {} }}", toml(line), AROUND[n % AROUND.len()]))
        .collect();
    none_runs("", &steps);
    let all = AROUND.map(|around| format!("{{ run = {}, {around} }}", toml(LINES[0])));
    none_runs("", &all);
}

#[test]
fn settings_guard_the_whole_command_too() {
    let run = [format!("{{ run = {} }}", toml(LINES[0])), format!("{{ run = {} }}", toml(LINES[2]))];
    for env in ["cwd = '/no/such'", "command_prefixes = ['false']", "command_prefixes = [\"echo 'open\"]"] {
        none_runs(env, &run);
    }
    none_runs("lcwd = '/no/such'", &[format!("{{ local = {} }}", toml(LINES[0]))]);
    let local = ["cd = '/no/such'", "prefix = 'false'"];
    none_runs("", &local.map(|around| format!("{{ local = {}, {around} }}", toml(LINES[0]))));
}

#[test]
#[ignore = "needs root"]
fn nothing_runs_as_root_after_a_failed_cd() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    let line = toml("echo first; touch {far}/ran");
    let ran = case!()
        .on(&sshd)
        .value("user", user.name())
        .env("FABRIC_SUDO_PASSWORD", user.password())
        .fabfile(fabfile(
            "user = \"{user}\"\nhosts = [\"{h1}\"]\nwarn_only = true",
            &[
                format!("{{ sudo = {line}, cd = '/no/such' }}, {{ sudo = {line}, prefix = 'true; false' }}"),
                "{ sudo = 'echo one; id -un', cd = '/root' }, { sudo = \"echo 'open\" }".to_owned(),
            ],
        ))
        .args(["t0", "t1"])
        .any_stdout()
        .stdout_lacks("out: first")
        .stdout_has("out: one\n[{h1}] out: root\n")
        .any_stderr()
        .stderr_has("no/such")
        // A failing command is not a wrong password.
        .stderr_lacks("refused")
        .run();
    assert!(!ran.case().far().join("ran").exists());
}

#[test]
fn a_guarded_command_is_shown_as_written_and_runs_whole() {
    let ran = case!()
        .hosts(1)
        .fabfile(
            "[tasks.t]\nsteps = [{ run = \"\"\"\ncat <<E\n$PWD\nE\nf() { echo \"f $A\"; }\nf # all of it\nexit 3\"\"\", \
             cd = '{far}', prefix = 'A=1; B=2', warn_only = true, shell = 'sh -c', save = 'it' }]\n",
        )
        .args(["-H", "{h1}", "--report", "{dir}/report.json", "t"])
        .stdout_has("[{h1}] out: {far}\n[{h1}] out: f 1\n")
        .stdout_lacks("exit\n")
        .stdout_lacks("eval")
        .any_stderr()
        .stderr_has("exit status 3")
        .stderr_lacks("|| exit")
        .run();
    assert!(!ran.read("report.json").contains("|| exit"));
}

#[test]
fn open_quotes_are_a_clear_error() {
    for around in ["cd = '/'", "prefix = 'true'", "env = { A = '1' }"] {
        case!()
            .hosts(1)
            .fabfile(format!("[tasks.t]\nsteps = [{{ run = \"echo first; echo 'open\", {around} }}]\n"))
            .args(["-H", "{h1}", "t"])
            .any_stdout()
            .stdout_lacks("out: first")
            .stderr_has("`echo first; echo 'open` ended with exit status ")
            .status(1)
            .run();
    }
}

/// Ends its connection after the exit status and before all of its output: the server's process is killed by what
/// holds the output open.
const CUT: &str =
    "c=$PPID; (while kill -0 $$; do sleep 0.05; done; sleep 0.5; echo more; kill -9 $c) 2>/dev/null & echo begun";

#[test]
fn a_part_of_the_output_is_never_saved_for_the_whole() {
    let ran = case!()
        .hosts(1)
        .fabfile(format!(
            "[env]\nwarn_only = true\n\n[tasks.t]\nsteps = [\n  {{ run = {}, save = \"it\" }},\n  {{ run = \"echo {{{{ it.stdout }}}} > {{far}}/saved\" }},\n]\n",
            toml(CUT)
        ))
        .args(["-H", "{h1}", "t"])
        .stdout_has("out: begun")
        .stdout_lacks("saved")
        .stderr_has("ended with exit status 0, but not all of its output came: ")
        .stderr_has("1 host: 0 ok, 1 failed")
        .status(1)
        .run();
    assert!(!ran.case().far().join("saved").exists());
}

/// The process id that was printed after a word.
fn process(stdout: &str, word: &str) -> rustix::process::Pid {
    let id = stdout.lines().find_map(|line| line.split_once(word)?.1.trim().parse().ok());
    id.and_then(rustix::process::Pid::from_raw).expect("its process id")
}

fn runs(process: rustix::process::Pid) -> bool {
    // One that was not waited for yet doesn't count.
    let state = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    state.is_ok_and(|state| !state.rsplit(')').next().unwrap_or_default().trim().starts_with('Z'))
}

#[test]
fn what_a_command_left_in_the_background_is_ended_with_it() {
    for command in
        ["sleep 900 & echo started $!", "(sleep 901 | cat) & echo started $!", "sleep 902 & echo started $!; exit 3"]
    {
        let ran = case!()
            .hosts(1)
            .args(["-T", "2", "-H", "{h1}", "--", command])
            .any_stdout()
            .stderr_has("did not finish within 2 s; it was ended")
            .stderr_has("warning: `{command}` had ended, and what it left in the background held its output open")
            .value("command", command)
            .status(1)
            .run();
        assert!(!runs(process(&ran.stdout, "out: started ")), "{command}");
    }
    let ran = case!()
        .hosts(1)
        .args(["-H", "{h1}", "--", "sleep 903 & echo started $!"])
        .interrupt_at("out: started")
        .any_stdout()
        .stderr_has("was interrupted; it was ended")
        .stderr_has("held its output open")
        .status(130)
        .run();
    assert!(!runs(process(&ran.stdout, "out: started ")));
}

#[test]
fn what_is_left_and_cannot_be_found_is_said() {
    let ran = case!()
        .hosts(1)
        .args(["-T", "2", "-H", "{h1}", "--", "setsid sleep 904 & echo started $!"])
        .any_stdout()
        .stderr_has("did not finish within 2 s; it may still be running there: a process that it left in the background runs on")
        .stderr_has("COMMAND >/dev/null 2>&1 &")
        .stderr_lacks("was ended")
        .status(1)
        .run();
    let left = process(&ran.stdout, "out: started ");
    assert!(runs(left));
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
    // On a terminal, of which the server says no more once it is closed.
    for line in
        ["setsid sleep 931 & echo started $!; sleep 932", "sh -c 'setsid sleep 933 & echo started $!; sleep 934'; :"]
    {
        let ran = case!()
            .hosts(1)
            .fabfile("[tasks.t]\nargs = ['line']\nsteps = [{ run = \"{{ line }}\", pty = true, timeout = 2 }]\n")
            .args(["-H", "{h1}", "t", "--line", line])
            .any_stdout()
            .stderr_has("did not finish within 2 s; it may still be running there: process")
            .stderr_has("in sessions of their own, were left alone")
            .stderr_lacks("was ended")
            .status(1)
            .run();
        let left = process(&ran.stdout, "out: started ");
        assert!(runs(left));
        assert!(ran.stderr.contains(&left.as_raw_nonzero().to_string()), "{}", ran.stderr);
        rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
    }
}

#[test]
fn what_a_local_command_left_is_ended_or_said() {
    let ran = case!()
        .fabfile("[tasks.ended]\nsteps = [{ local = \"sleep 907 & echo started $!\", timeout = 2 }]\n")
        .args(["ended"])
        .any_stdout()
        .stderr_has("did not finish within 2 s; it was ended")
        .stderr_has("what it left in the background held its output open")
        .status(1)
        .run();
    assert!(!runs(process(&ran.stdout, "out: started ")));
    let ran = case!()
        .fabfile("[tasks.left]\nsteps = [{ local = \"setsid sleep 908 & echo apart $!\", timeout = 2 }]\n")
        .args(["left"])
        .any_stdout()
        .stderr_has("it may still be running there: a process that it left in the background runs on")
        .status(1)
        .run();
    let left = process(&ran.stdout, "out: apart ");
    assert!(runs(left));
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn what_was_started_to_stay_is_left_alone() {
    let ran = case!()
        .hosts(1)
        .fabfile(
            "[tasks.t]\nsteps = [\n  { run = \"(sleep 905 | cat) >/dev/null 2>&1 & echo kept $!\" },\n  \
             { run = \"sleep 906 & echo started $!\", timeout = 2 },\n]\n",
        )
        .args(["-H", "{h1}", "t"])
        .any_stdout()
        .stderr_has("it was ended")
        .status(1)
        .run();
    let kept = process(&ran.stdout, "out: kept ");
    assert!(!runs(process(&ran.stdout, "out: started ")) && runs(kept));
    rustix::process::kill_process_group(rustix::process::getpgid(Some(kept)).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
}

#[test]
fn what_was_left_is_ended_at_a_term_signal_too() {
    let ran = case!()
        .hosts(1)
        // To be terminated as soon as the command has left something behind.
        .within(
            "\"$0\" \"$@\" & fab=$!; until test -e {far}/begun; do sleep 0.05; done; kill -TERM $fab; wait $fab; exit $?",
        )
        .args(["-H", "{h1}", "--", "sleep 909 & echo started $!; touch {far}/begun"])
        .any_stdout()
        .stderr_has("was interrupted; it was ended")
        .stderr_has("held its output open")
        .status(130)
        .run();
    assert!(!runs(process(&ran.stdout, "out: started ")));
}
