//! Faults in the middle of a run: it ends in bounded time, reports correctly, and has the right status.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};

use tests::case;

#[test]
fn a_host_that_hangs_is_timed_out_and_the_others_go_on() {
    case!()
        .hosts(2)
        .args([
            "-P",
            "-T",
            "1",
            "-H",
            "{hosts}",
            "--",
            "case $SSH_CONNECTION in *' {address1} '*) sleep 1000;; *) echo well;; esac",
        ])
        .stdout_has("[{h2}] out: well\n")
        .stderr_has("did not finish within 1 s")
        .stderr_has("2 hosts: 1 ok, 1 failed")
        .stderr_has("timed out    {h1}")
        .status(1)
        .run();
}

#[test]
fn a_host_that_dies_fails_and_the_others_go_on() {
    case!()
        .hosts(2)
        .args([
            "-P",
            "-H",
            "{hosts}",
            "--",
            "case $SSH_CONNECTION in *' {address1} '*) kill -9 $PPID;; *) sleep 1; echo well;; esac",
        ])
        .stdout_has("[{h2}] out: well\n")
        .stderr_has("2 hosts: 1 ok, 1 failed")
        .stderr_has("[{h1}] error: ")
        .status(1)
        .run();
}

#[test]
fn a_host_that_floods_is_ended_by_its_time_limit_and_keeps_nobody_waiting() {
    let ran = case!()
        .hosts(2)
        .fabfile("[tasks]\nflood = \"case $SSH_CONNECTION in *' {address1} '*) yes;; *) echo well;; esac\"\n")
        .args(["-P", "-T", "2", "--hide", "stdout", "--report", "{dir}/report.json", "-H", "{hosts}", "flood"])
        .any_stdout()
        .stderr_has("timed out    {h1}")
        .status(1)
        .run();
    let report: serde_json::Value = serde_json::from_str(&ran.read("report.json")).unwrap();
    let (flooded, well) = (ran.case().fill("{h1}"), ran.case().fill("{h2}"));
    assert_eq!(report["hosts"][&flooded]["status"], "timed_out");
    assert_eq!(report["hosts"][&well]["status"], "ok");
    assert_eq!(report["tasks"][0]["results"][1]["value"], "well");
}

#[test]
fn a_task_that_panics_fails_its_host_alone() {
    case!(tasks)
        .hosts(3)
        .args(["-H", "{hosts}", "panics", "--on", "{h2}"])
        .stdout_has("[{h1}] out: done\n")
        .stdout_has("[{h3}] out: done\n")
        .stderr_has("[{h2}] error: the task panicked: assertion `left != right` failed: this host is none of mine")
        .stderr_has("fab: a task panicked in tests/src/bin/tasks.rs:")
        .stderr_has("3 hosts: 2 ok, 1 failed")
        .status(1)
        .run();
}

#[test]
fn ctrl_c_while_connecting_ends_the_run() {
    // It accepts connections, and sends nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    case!()
        .value("mute", listener.local_addr().unwrap().to_string())
        .args(["--banner-timeout", "50", "-H", "{mute},never", "--", "true"])
        .interrupt_at("Executing task")
        .any_stdout()
        .stderr_has("[{mute}] error: `connect` was interrupted")
        .stderr_has("2 hosts: 0 ok, 1 failed, 1 skipped")
        .status(130)
        .run();
}

#[test]
fn ctrl_c_while_a_role_is_asked_for_its_hosts_ends_the_run() {
    // The command's own parent is `fab`.
    case!()
        .fabfile("[roledefs]\nslow = { command = \"kill -INT $PPID; sleep 1000\" }\n\n[tasks]\nt = \"true\"\n")
        .args(["-R", "slow", "t"])
        .stderr_has("Stopping")
        .stderr_has("`kill -INT $PPID; sleep 1000` was interrupted")
        .status(130)
        .run();
}

#[test]
fn ctrl_c_ends_a_plan_and_what_it_asks() {
    case!()
        .fabfile("[roledefs]\nslow = { command = \"kill -INT $PPID; exec sleep 1000\" }\n\n[tasks]\nt = \"true\"\n")
        .args(["--plan", "-R", "slow", "t"])
        .stderr("fab: interrupted\n")
        .status(130)
        .run();
}

#[test]
fn ctrl_c_while_logging_in_ends_the_run() {
    // An agent that doesn't answer, but interrupts the process that asks for its keys.
    let case = case!().hosts(2).no_key();
    let listener = UnixListener::bind(case.home().join("agent")).unwrap();
    std::thread::spawn(move || {
        let asking: Vec<_> = listener.incoming().flatten().inspect(interrupt).collect();
        drop(asking);
    });
    case.env("SSH_AUTH_SOCK", "{home}/agent")
        .args(["-H", "{hosts}", "--", "true"])
        .any_stdout()
        .stderr_has("2 hosts: 0 ok, 1 failed, 1 skipped")
        .stderr_has("skipped      {h2}")
        .status(130)
        .run();
}

/// Ctrl-C for the process at the other end.
fn interrupt(stream: &UnixStream) {
    let other = rustix::net::sockopt::socket_peercred(stream).unwrap();
    rustix::process::kill_process(other.pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn ctrl_c_during_a_transfer_leaves_no_half_of_a_file() {
    for (task, said) in
        [("get = \"{far}/huge\", to = \"back\"", "download: "), ("put = \"huge\", to = \"{far}/back\"", "put: ")]
    {
        let case = case!().hosts(1).fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{{ {task} }}]\n"));
        for dir in [case.dir(), case.far()] {
            fs::File::create(dir.join("huge")).unwrap().set_len(1 << 40).unwrap();
        }
        let ran = case
            .args(["t"])
            .interrupt_at(said)
            .any_stdout()
            .stderr_has("[{h1}] error: ")
            .stderr_has("1 host: 0 ok, 1 failed")
            .status(130)
            .run();
        for dir in [ran.case().dir(), ran.case().far()] {
            let left = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
            let left: Vec<_> = left.filter(|name| name != "huge" && name != "fabfile.toml").collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[test]
fn ctrl_c_between_batches_goes_no_further() {
    case!()
        .hosts(3)
        .fabfile(
            "[tasks]\ncheck = { steps = [{ local = \"echo checking; sleep 1000\" }] }\nundo = \"echo undone\"\n\n\
             [tasks.deploy]\nrun = \"echo new\"\nbatch = 1\nhealth = \"check\"\nrollback = \"undo\"\n",
        )
        .args(["-H", "{hosts}", "deploy"])
        .interrupt_at("out: checking")
        .stdout_lacks("undone")
        .stderr_has("`deploy` was interrupted and is not rolled back: `undo` was not run on {h1}")
        .stderr_has("3 hosts: 0 ok, 1 failed, 2 skipped")
        .status(130)
        .run();
}

#[test]
fn ctrl_c_ends_the_command_and_starts_nothing_new() {
    let ran = case!()
        .hosts(2)
        .args(["-H", "{hosts}", "--", "echo begun $$; exec sleep 1000"])
        .interrupt_at("out: begun")
        .any_stdout()
        .stderr_has("[{h1}] error: `echo begun $$; exec sleep 1000` was interrupted; it was ended")
        .stderr_has("skipped      {h2}")
        .status(130)
        .run();
    let sleeper = ran.stdout.lines().find_map(|line| line.split_once("out: begun ")?.1.parse().ok());
    let sleeper = sleeper.and_then(rustix::process::Pid::from_raw).expect("its process id");
    assert!(rustix::process::test_kill_process(sleeper).is_err(), "it runs on");
}

#[test]
fn ctrl_c_ends_all_hosts_of_a_parallel_run() {
    case!()
        .hosts(3)
        .args(["-P", "-H", "{hosts}", "--", "echo begun; sleep 1000"])
        .interrupt_at("[{h3}] out: begun")
        .any_stdout()
        .stderr_has("3 hosts: 0 ok, 3 failed")
        .status(130)
        .run();
}

#[test]
fn ctrl_c_ends_local_commands_waiting_and_trying_again() {
    for (task, said) in [
        ("steps = [{ local = \"echo begun; sleep 1000\" }]", "out: begun"),
        ("steps = [{ run = \"exit 3\", retries = 5, delay = 1000 }]", "trying again in"),
        ("with = { retries = 9 }\nrun = \"exit 3\"", "trying again in 4"),
    ] {
        case!()
            .hosts(1)
            .fabfile(format!("[env]\nhosts = [\"{{h1}}\"]\n\n[tasks.t]\n{task}\n"))
            .args(["t", "t"])
            .interrupt_at(said)
            .any_stdout()
            .stderr_has("1 host: 0 ok, 1 failed")
            .status(130)
            .run();
    }
}

#[test]
fn a_second_ctrl_c_waits_for_nobody() {
    case!()
        .hosts(1)
        .args(["-H", "{h1}", "--", "trap '' INT TERM HUP; echo begun; while :; do sleep 1; done"])
        .interrupt_at("out: begun")
        .interrupt_at("Ctrl-C again")
        .any_stdout()
        .stderr_has("1 host: 0 ok, 1 failed")
        .status(130)
        .run();
}

#[test]
fn a_disk_that_is_full_for_the_journal_is_a_warning() {
    let command = "echo well; : {far}";
    let ran = case!()
        .hosts(4)
        // Files may have 512 bytes, which the first line of a journal is within.
        .within("trap '' XFSZ; ulimit -f 1")
        .args(["-H", "{hosts}", "--", command])
        .stdout_has("[{h4}] out: well\n")
        .stderr_has("warning: the journal cannot be written")
        .stderr_has("4 hosts: 4 ok")
        .run();
    assert_eq!(ran.stderr.matches("journal").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_a_warning_too() {
    case!()
        .hosts(1)
        .within("trap '' XFSZ; ulimit -f 0")
        .args(["-H", "{h1}", "--", "echo well"])
        .stdout_has("[{h1}] out: well\n")
        .stderr_has("warning: no journal in {home}/.local/state/fabric/runs")
        .run();
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run() {
    for path in ["{dir}/missing/report.json", "{dir}/a.json"] {
        let case = case!().hosts(1).args(["--report", path, "-H", "{h1}", "--", "echo never"]);
        fs::create_dir(case.dir().join("a.json")).unwrap();
        case.stderr_has("--report").stderr_has("cannot be written").status(2).run();
    }
}

#[test]
fn what_was_hidden_is_shown_when_it_fails() {
    case!()
        .hosts(1)
        .args(["--hide", "output", "-H", "{h1}", "--", "echo one; echo two >&2; exit 3"])
        .stdout("[{h1}] Executing task '<remainder>'\n[{h1}] run: echo one; echo two >&2; exit 3\n")
        .stderr_has("[{h1}] error: stdout:\n[{h1}] error: one\n[{h1}] error: stderr:\n[{h1}] error: two\n")
        .status(3)
        .run();
}

#[test]
fn a_reader_that_goes_away_ends_the_run_as_sigpipe_does() {
    // `head` reads one line and exits; the rest of the output is not read any more.
    let case = case!()
        .hosts(1)
        .within("f() { \"$@\" 2>\"$HOME/err\"; echo \"$?\" >\"$HOME/status\"; }; f \"$0\" \"$@\" | head -n1; exit 0");
    let case = case.args(["-H", "{h1}", "--", "while :; do echo x; sleep 0.1; done"]);
    let ran = case.stdout("[{h1}] Executing task '<remainder>'\n").run();
    let status = fs::read_to_string(ran.case().home().join("status")).unwrap();
    assert_eq!(status, "141\n");
}

#[test]
fn a_disk_that_is_full_for_the_output_ends_the_run_and_is_told() {
    case!()
        .hosts(1)
        .within("exec >/dev/full")
        .args(["-H", "{h1}", "--", "while :; do echo x; sleep 0.1; done"])
        .stderr_has("fab: writing to standard output: No space left on device")
        .status(1)
        .run();
}

#[test]
fn a_list_of_tasks_tells_what_is_wrong_with_the_settings() {
    let tasks = "\n[tasks]\nx = \"true\"\n";
    case!()
        .fabfile(tasks)
        .file("fabric.toml", "paralel = true\npool_size = \"many\"\n")
        .args(["--list"])
        .any_stdout()
        .stderr_has("{dir}/fabric.toml:2")
        .status(2)
        .run();
    case!()
        .fabfile(format!("[env]\ntimeout = \"soon\"\n{tasks}"))
        .args(["--list"])
        .stderr_has("{dir}/fabfile.toml:2")
        .status(2)
        .run();
}

#[test]
fn tasks_made_inside_functions_are_tasks() {
    case!(tasks).hosts(1).args(["-H", "{h1}", "within"]).stdout_has("out: 3 times\n").any_stderr().run();
    case!(tasks).args(["--list"]).stdout_has("blocks").stdout_has("panics").stdout_has("within").run();
}

#[test]
fn a_dry_run_of_tasks_in_rust_does_nothing() {
    let ran = case!(examples)
        .hosts(1)
        .args(["--dry-run", "--set", "root={far}", "migrate:hosts={h1}"])
        .stdout_has("[{h1}] run: echo migrated >> migrations\n")
        .any_stderr()
        .run();
    assert!(!ran.case().far().join("migrations").exists());
}

#[test]
fn a_dry_run_does_nothing_by_any_way() {
    let ran = case!(tasks)
        .hosts(1)
        .args(["--dry-run", "-H", "{h1}", "every_way:{far}"])
        .any_stdout()
        .stdout_has("[{h1}] run: touch {far}/started\n")
        .stdout_has("[{h1}] run: touch {far}/disowned\n")
        .stdout_has("[{h1}] sftp: write {far}/written\n")
        .stdout_has("[{h1}] forward_local: localhost port 0 to localhost port 9\n")
        .any_stderr()
        .run();
    assert_eq!(fs::read_dir(ran.case().far()).unwrap().count(), 0);
}
