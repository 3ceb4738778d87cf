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
fn a_command_on_one_host_reads_what_fab_is_given() {
    case!()
        .hosts(1)
        .args(["-H", "{h1}", "--", "cat; echo done"])
        .stdin("one\ntwo\n")
        .stdout_has("[{h1}] out: one\n[{h1}] out: two\n[{h1}] out: done\n")
        .any_stderr()
        .run();
}

#[test]
fn hosts_do_not_share_what_fab_is_given() {
    case!()
        .hosts(2)
        .args(["-H", "{hosts}", "--", "cat; echo done"])
        .stdin("given\n")
        .stdout_has("[{h1}] out: done\n")
        .stdout_has("[{h2}] out: done\n")
        .stdout_lacks("given")
        .any_stderr()
        .run();
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
