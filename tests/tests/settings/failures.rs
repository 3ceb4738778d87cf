//! What counts as a failure, and its consequences.

use tests::case;

/// A port without a listener.
const DEAD: &str = "127.0.9.9:1";

#[test]
fn ok_ret_codes_count_as_success() {
    let fabfile =
        "[env]\nhosts = [\"{h1}\"]\nok_ret_codes = [0, 3]\n\n[tasks]\nthree = \"exit 3\"\nfour = \"exit 4\"\n";
    let case = || case!().hosts(1).fabfile(fabfile).any_stdout().any_stderr();
    case().args(["three"]).run();
    case().args(["four"]).status(1).run();
    case().args(["--", "exit 3"]).run();
    case().args(["--", "exit 4"]).status(4).run();
}

#[test]
fn warn_only_makes_a_failure_a_warning_and_goes_on() {
    let case = || {
        let fabfile = "[tasks.both]\nhosts = [\"{h1}\"]\nrun = [\"exit 3\", \"echo after\"]\n";
        case!().hosts(1).fabfile(fabfile).args(["both"])
    };
    case().stdout_lacks("out: after").stderr_has("error: ").status(1).run();
    case().env("FABRIC_WARN_ONLY", "true").stdout_has("[{h1}] out: after\n").stderr_has("[{h1}] warning: ").run();
}

#[test]
fn skip_bad_hosts_goes_on_without_them() {
    let case = || {
        let list = format!("[env]\nhosts = [\"{DEAD}\", \"{{h1}}\"]\n\n[tasks]\nhello = \"echo hello\"\n");
        case!().hosts(1).fabfile(list).args(["hello"])
    };
    case().stdout_lacks("out: hello").stderr_has("error: ").status(1).run();
    let warning = format!("[{DEAD}] warning: ");
    for options in [&["--skip-bad-hosts"][..], &["--skip-bad-hosts", "-P"]] {
        case().args(options).stdout_has("[{h1}] out: hello\n").stderr_has(&warning).run();
    }
}

#[test]
fn skip_unknown_tasks_runs_the_others() {
    let case = || {
        let fabfile = "[tasks]\nhello = \"echo hello\"\n";
        case!().hosts(1).fabfile(fabfile).args(["-H", "{h1}", "nope", "hello"])
    };
    case().stderr_has("there is no task `nope`").status(2).run();
    let case = case().args(["--skip-unknown-tasks"]);
    case.stdout_has("[{h1}] out: hello\n").stderr_has("there is no task `nope`: it is skipped").run();
}

/// The `fab` that asks is run by another one on a pseudo-terminal, which answers by its `prompts`.
#[test]
fn abort_on_prompts_asks_nobody() {
    let fabfile = "[env]\nprompts = { \"Which? \" = \"that\" }\n\n\
                   [tasks.ask]\nsteps = [{ prompt = \"Which?\", save = \"which\" }, { local = \"echo got {{ which }}\" }]\n\n\
                   [tasks.outer]\nargs = [{ name = \"option\", default = \"\" }]\n\
                   steps = [{ local = \"fab {{ option }} ask\", pty = true }]\n";
    let case = || case!().fabfile(fabfile);
    case().args(["outer"]).stdout_has("out: got that").any_stderr().run();
    case()
        .args(["outer:--abort-on-prompts"])
        .stdout_has("abort_on_prompts is set")
        .stdout_lacks("got")
        .any_stderr()
        .status(1)
        .run();
}
