//! How a run is shown.

use tests::case;

/// Says the same on two of three hosts.
const SAME_ON_TWO: &str = "case $SSH_CONNECTION in *' 127.0.1.3 '*) echo other;; *) echo same; echo odd >&2;; esac";

#[test]
fn identical_output_is_folded_at_the_end() {
    let ran = case!()
        .hosts(3)
        .args(["--output", "grouped", "-P", "-H", "{hosts}", "--", SAME_ON_TWO])
        .stdout_has("--- {h3}\nother\n")
        .stdout_has("--- {h1},{h2} (2 hosts)\nsame\nerr: odd\n")
        .any_stderr()
        .run();
    assert_eq!(ran.stdout.matches("same").count(), 1, "{}", ran.stdout);
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
