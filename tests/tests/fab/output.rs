//! The output of a run.

use tests::case;

/// Prints the same on two of three hosts.
const SAME_ON_TWO: &str = "case $SSH_CONNECTION in *' 127.0.1.3 '*) echo other;; *) echo same; echo odd >&2;; esac";

#[test]
fn identical_output_is_folded_at_the_end() {
    let ran = case!()
        .hosts(3)
        .args(["--output", "grouped", "-P", "-H", "{hosts}", "--", SAME_ON_TWO])
        .stdout_has("--- {h3}\nother\n")
        .stdout_has("--- 127.0.1.[1-2]:{port} (2 hosts)\nsame\n")
        .stderr_has("err: odd\n")
        .run();
    assert_eq!(ran.stdout.matches("same").count(), 1, "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("odd").count(), 1, "{}", ran.stderr);
}

#[test]
fn output_is_folded_whichever_stream_was_faster() {
    for output in ["grouped", "similar"] {
        case!()
            .hosts(8)
            .args(["--output", output, "-P", "-H", "{hosts}", "--", "echo out; echo err >&2; echo out2"])
            .stdout("--- 127.0.1.[1-8]:{port} (8 hosts)\nout\nout2\n")
            .stderr_has("err: err\n")
            .run();
    }
}

#[test]
fn nearly_equal_output_is_folded_with_what_differs_marked() {
    let says = "set -- $SSH_CONNECTION; echo \"I am $3, up ${3##*.}0 days\"";
    case!()
        .hosts(3)
        .args(["--output", "similar", "-P", "-H", "{hosts}", "--", says])
        .stdout("--- 127.0.1.[1-3]:{port} (3 hosts)\nI am {host}, up {10..30} days\n")
        .stderr_has("3 hosts: 3 ok")
        .run();
}

#[test]
fn only_raw_output_reaches_the_terminal_as_it_is() {
    let title = r"printf '\033]0;mine\007\r\302\2332J\n'";
    let with = |output: &str| case!().hosts(1).args(["--output", output, "-H", "{h1}", "--", title]).any_stderr();
    with("raw").stdout("\x1b]0;mine\x07\r\u{9b}2J\n").run();
    for output in ["prefix", "grouped"] {
        with(output).stdout_has("^[]0;mine^G^M\\u{9b}2J\n").stdout_lacks("\x1b").stdout_lacks("\u{9b}").run();
    }
}

#[test]
fn output_of_local_commands_is_folded_as_well() {
    let fabfile = "[tasks.here]\nsteps = [{ local = \"echo what; echo why >&2; exit 3\" }]\n\n\
                   [tasks.both]\nsteps = [{ run = \"echo there\" }, { local = \"echo here\" }]\n";
    for output in ["grouped", "similar"] {
        case!()
            .fabfile(fabfile)
            .args(["--output", output, "here"])
            .stdout("--- localhost: failed\nwhat\n")
            .stderr_has("err: why\n")
            .stderr_has("ended with exit status 3")
            .status(1)
            .run();
        for parallel in [&[][..], &["-P"]] {
            case!()
                .hosts(2)
                .fabfile(fabfile)
                .args(["--output", output, "-H", "{hosts}", "both"])
                .args(parallel)
                .stdout("--- 127.0.1.[1-2]:{port} (2 hosts)\nthere\n--- localhost\nhere\nhere\n")
                .any_stderr()
                .run();
        }
    }
}

#[test]
fn each_report_has_every_hosts_commands_with_what_they_printed() {
    let case = case!()
        .hosts(2)
        .fabfile(
            "[tasks.t]\nsteps = [{ run = \"echo out; echo err >&2\" }, { run = \"echo HID''DEN; exit 3\", hide = \"stdout\" }]\n",
        )
        .args(["--keep-going", "--report", "a.json", "--report", "b.xml", "--report", "c.html", "-H", "{hosts}", "t"])
        .any_stdout()
        .stderr_has("HIDDEN")
        .status(1);
    let ran = case.run();
    let report: serde_json::Value = serde_json::from_str(&ran.read("a.json")).unwrap();
    for (place, host) in ["{h1}", "{h2}"].into_iter().enumerate() {
        let result = &report["tasks"][0]["results"][place];
        assert_eq!(result["host"], ran.case().fill(host));
        let first = &result["commands"][0];
        let seen = ["verb", "command", "stdout", "stderr"].map(|key| first[key].as_str().unwrap());
        assert_eq!(seen, ["run", "echo out; echo err >&2", "out\n", "err\n"]);
        assert!(first["duration_ms"].is_u64() && result["commands"][1]["exit"] == 3, "{result}");
    }
    for file in ["a.json", "b.xml", "c.html"] {
        assert!(!ran.read(file).contains("HIDDEN"), "{file}");
    }
    let (xml, page) = (ran.read("b.xml"), ran.read("c.html"));
    assert!(
        xml.contains("<system-out>run: echo out; echo err &gt;&amp;2") && xml.contains("<system-err>err\n"),
        "{xml}"
    );
    assert!(page.contains("<pre>out\n</pre><pre class=\"failed\">err\n</pre>"), "{page}");
    // Each is checked before anything runs.
    for bad in ["nowhere/b.html", "b.txt"] {
        case!()
            .hosts(1)
            .args(["--report", "a.json", "--report", bad, "-H", "{h1}", "--", "echo never"])
            .stderr_has("--report")
            .stderr_has(bad)
            .status(2)
            .run();
    }
}
