//! Standard input.

use tests::case;

#[test]
fn without_input_a_command_that_reads_ends() {
    case!()
        .hosts(2)
        .args(["-H", "{hosts}", "--", "cat; echo done"])
        .stdout_has("[{h1}] out: done\n")
        .stdout_has("[{h2}] out: done\n")
        .any_stderr()
        .run();
}

#[test]
fn every_host_reads_all_that_fab_is_given() {
    for (hosts, options) in [("{h1}", ""), ("{hosts}", ""), ("{hosts}", "-P"), ("{hosts}", "--batch=1")] {
        let mut case = case!()
            .hosts(2)
            .args(options.split_whitespace())
            .args(["-H", hosts, "--", "cat; echo done"])
            .stdin("one\ntwo\n")
            .any_stderr();
        for host in ["{h1}", "{h2}"].into_iter().filter(|host| hosts == "{hosts}" || hosts == *host) {
            for line in ["one", "two", "done"] {
                case = case.stdout_has(format!("[{host}] out: {line}\n"));
            }
        }
        case.run();
    }
    // A script, as people send one, and a command that reads a part of it only.
    let script = "echo $((6 * 7))\necho first\n";
    let case = |command: &str| case!().hosts(2).args(["-P", "-H", "{hosts}", "--", command]).stdin(script).any_stderr();
    case("sh -s").stdout_has("[{h1}] out: 42\n").stdout_has("[{h2}] out: first\n").run();
    case("head -n 1").stdout_has("[{h1}] out: echo $((6 * 7))\n").stdout_lacks("out: echo first").run();
}

#[test]
fn input_that_does_not_fit_into_memory_is_the_same_everywhere() {
    let input: Vec<u8> = (0..9 << 20_u32).map(|n: u32| b'a' + (n / 1021 % 26) as u8).collect();
    for options in ["", "-P"] {
        case!()
            .hosts(2)
            .args(options.split_whitespace())
            .args(["-H", "{hosts}", "--", "wc -c; echo done"])
            .stdin(input.clone())
            .stdout_has(format!("[{{h1}}] out: {}\n", input.len()))
            .stdout_has(format!("[{{h2}}] out: {}\n", input.len()))
            .any_stderr()
            .run();
    }
}

#[test]
fn steps_that_ask_for_input_have_all_of_it_each() {
    let fabfile = r#"
[tasks.one]
hosts = ["{h1}", "{h2}"]
args = [{ name = "word", default = "templates" }]
steps = [
  { run = ["echo first:$(cat)", "echo second:$(cat)"], stdin = true },
  { run = "echo without:$(cat)" },
  { local = "echo local:$(cat)", stdin = true },
  { run = "echo text:$(cat)", stdin = "of {{ word }}" },
  { run = "echo file:$(cat)", stdin = { file = "{{ word }}.txt" } },
  { run = "echo try:$(cat); mkdir {far}/$(echo tried $SSH_CONNECTION | tr -d ' ') 2>/dev/null && exit 1; true", stdin = true, retries = 1, delay = 0 },
]
"#;
    for task in ["one", "--parallel one"] {
        let mut case =
            case!().hosts(2).fabfile(fabfile).file("templates.txt", "in it").args(task.split(' ')).stdin("given");
        for host in ["{h1}", "{h2}"] {
            for line in ["first:given", "second:given", "without:", "text:of templates", "file:in it", "try:given"] {
                case = case.stdout_has(format!("[{host}] out: {line}\n"));
            }
        }
        let ran = case.stdout_has("[localhost] out: local:given\n").any_stderr().run();
        assert_eq!(ran.stdout.matches("out: try:given").count(), 4, "{}", ran.stdout);
    }
    let missing = "[tasks.one]\nhosts = ['{h1}']\nsteps = [{ run = 'cat', stdin = { file = \"{{ 'none' }}.txt\" } }]\n";
    case!().hosts(1).fabfile(missing).args(["one"]).any_stdout().stderr_has("{dir}/none.txt: ").status(1).run();
    let wrong = "[tasks.one]\nsteps = [{ run = 'cat', stdin = ['a'] }]\n";
    let expected = "fabfile.toml:2: error: `stdin`: expected true, a text or { file = \"..\" }, found a list";
    case!().fabfile(wrong).args(["one"]).stderr_has(expected).status(2).run();
}

#[test]
fn a_pipe_that_a_step_names_is_read_whole_by_all() {
    let fabfile = r#"
[tasks.one]
hosts = ["{h1}", "{h2}"]
steps = [
  { run = ["wc -c", "tail -n 1"], stdin = { file = "PLACE" } },
  { run = "head -n 1; mkdir {far}/$(echo $SSH_CONNECTION | tr -d ' ') 2>/dev/null && exit 1; true", stdin = { file = "PLACE" }, retries = 1, delay = 0 },
  { local = "wc -l", stdin = { file = "PLACE" } },
]
"#;
    for (place, within) in [
        ("/dev/stdin", "seq 200000 | \"$0\" \"$@\"; exit $?"),
        ("/dev/fd/3", "exec 3< <(seq 200000)"),
        ("named", "mkfifo named; (seq 200000 > named) &"),
    ] {
        for options in [&["one"][..], &["--parallel", "one"]] {
            let within = format!("exec bash -c '{within}\nexec \"$0\" \"$@\"' \"$0\" \"$@\"");
            let case = case!().hosts(2).fabfile(fabfile.replace("PLACE", place)).args(options).within(within);
            let ran = case.any_stdout().any_stderr().stderr_lacks("standard input was not read").run();
            for (line, count) in [("1288895", 2), ("200000", 2 + 2), ("1", 4)] {
                let line = format!("out: {line}\n");
                assert_eq!(ran.stdout.matches(&line).count(), count, "{place} {options:?} {line}: {}", ran.stdout);
            }
        }
    }
    // A device, and what a command leaves.
    let null = "[tasks.one]\nhosts = [\"{h1}\", \"{h2}\"]\nsteps = [{ run = 'wc -c', stdin = { file = '/dev/null' } }, \
                { run = 'head -c 100000 | wc -c', stdin = { file = '/dev/zero' } }]\n";
    let ran = case!().hosts(2).fabfile(null).args(["one"]).any_stdout().any_stderr().run();
    assert_eq!(ran.stdout.matches("out: 0\n").count(), 2, "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("out: 100000\n").count(), 2, "{}", ran.stdout);
}

#[test]
fn a_host_that_is_tried_again_reads_all_of_it_again() {
    let command =
        "cat; mkdir {far}/$(echo tried $SSH_CONNECTION | cut -d' ' -f1,4,5 | tr -d ' ') 2>/dev/null && exit 1; true";
    for hosts in ["{h1}", "{hosts}"] {
        let case = case!()
            .hosts(2)
            .args(["-P", "--retries=1", "-H", hosts, "--", command])
            .stdin("given\n")
            .any_stdout()
            .any_stderr();
        let ran = case.run();
        let tries = if hosts == "{h1}" { 2 } else { 4 };
        assert_eq!(ran.stdout.matches("out: given\n").count(), tries, "{}", ran.stdout);
    }
}

#[test]
fn a_task_that_does_not_ask_for_input_leaves_it_alone() {
    let fabfile = "[tasks.inner]\nsteps = [ { run = 'echo task; cat' }, { local = 'cat' } ]\n\n\
                   [tasks.outer]\nsteps = [{ local = '''echo {h1} > list; echo {h2} >> list; \
                   while read -r host; do fab -i {key} -H $host inner 2>&1; done < list''' }]\n";
    case!()
        .hosts(2)
        .fabfile(fabfile)
        .args(["outer"])
        .stdout_has("[{h1}] out: task\n")
        .stdout_has("[{h2}] out: task\n")
        .stdout_lacks("standard input was not read")
        .any_stderr()
        .run();
}

#[test]
fn what_waits_in_a_pipe_in_the_end_is_warned_of_once() {
    let warning = "standard input was not read, 6 bytes wait there";
    let fabfile = "[tasks.one]\nhosts = ['{h1}', '{h2}']\nrun = ['cat', 'cat']\n\n\
                   [tasks.taken]\nhosts = ['{h1}']\nsteps = [{ run = 'true', stdin = true }]\n";
    let case = || case!().hosts(2).fabfile(fabfile).stdin("given\n").any_stdout();
    let ran = case().args(["one"]).stderr_has(warning).run();
    assert_eq!(ran.stderr.matches(warning).count(), 1, "{}", ran.stderr);
    case().args(["--no-stdin", "one"]).any_stderr().stderr_lacks(warning).run();
    // A command need not read what it was given.
    case().args(["one", "taken"]).any_stderr().stderr_lacks(warning).run();
    case().args(["-H", "{h1}", "--", "true"]).any_stderr().stderr_lacks(warning).run();
    case().args(["--dry-run", "one"]).any_stderr().stderr_lacks(warning).run();
    // Nor is it, if it must not.
    let told =
        case!().hosts(1).args(["--no-stdin", "-H", "{h1}", "--", "cat; echo done"]).stdin("given\n").any_stderr();
    told.stdout_has("out: done\n").stdout_lacks("given").stderr_lacks(warning).run();
}

#[test]
fn without_a_terminal_a_question_is_an_error() {
    case!()
        .fabfile("[tasks]\nhello = \"echo hello\"\n")
        .args(["hello"])
        .stderr_has("no host to run on")
        .stderr_has("-H")
        .status(2)
        .run();
}
