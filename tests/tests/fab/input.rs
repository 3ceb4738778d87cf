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
fn without_a_terminal_a_question_is_an_error() {
    case!()
        .fabfile("[tasks]\nhello = \"echo hello\"\n")
        .args(["hello"])
        .stderr_has("no host to run on")
        .stderr_has("-H")
        .status(2)
        .run();
}
