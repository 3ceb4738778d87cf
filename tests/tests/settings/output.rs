//! Settings of output.

use tests::case;

#[test]
fn without_output_prefix_lines_are_bare() {
    let case = || case!().hosts(1).args(["-H", "{h1}", "--", "echo one; echo two"]).any_stderr();
    case().stdout_has("\n[{h1}] out: one\n[{h1}] out: two\n").run();
    case().env("FABRIC_OUTPUT_PREFIX", "false").stdout_has("\none\ntwo\n").stdout_lacks("out: ").run();
}

/// The `fab` that shows colours is run by another one, on a pseudo-terminal.
#[test]
fn colorize_errors_shows_errors_in_red_and_warnings_in_magenta() {
    let case = |options: &str| {
        case!()
            .hosts(1)
            .fabfile(
                "[tasks.broken]\nhosts = [\"{h1}\"]\nrun = \"exit 3\"\n\n[tasks.outer]\nargs = [\"options\"]\n\
                 steps = [{ local = \"fab -i {key} {{ options }} broken\", pty = true, warn_only = true }]\n",
            )
            .args(["--output", "raw", &format!("outer:{options}")])
            .any_stderr()
    };
    case("--colorize-errors").stdout_has("[{h1}] \x1b[31merror: ").run();
    case("--colorize-errors -w").stdout_has("[{h1}] \x1b[35mwarning: ").run();
    case("-w").stdout_has("[{h1}] warning: ").stdout_lacks("\x1b[").run();
}
