//! How commands are run, and with what around them.

use tests::{Case, case};

fn one(env: &str, run: &str) -> Case {
    let fabfile = format!("[env]\nhosts = [\"{{h1}}\"]\n{env}\n\n[tasks]\none = '''{run}'''\n");
    case!().hosts(1).fabfile(fabfile).args(["one"]).any_stderr()
}

#[test]
fn directory_path_prefixes_and_environment_come_before_the_command() {
    let all = "cwd = \"/usr\"\npath = \"/opt/a b\"\ncommand_prefixes = [\"export ONE=1\", \"export TWO=$ONE$ONE\"]\n\
               shell_env = { ITS = \"it's $HOME\" }\n";
    let run = "pwd; echo \"$ITS\" $TWO; case $PATH in *:\"/opt/a b\") echo appended;; \"/opt/a b\":*) echo prepended;; \
               \"/opt/a b\") echo replaced;; esac";
    one(all, run).stdout_has("[{h1}] out: /usr\n[{h1}] out: it's $HOME 11\n[{h1}] out: appended\n").run();
    for (behavior, effect) in [("append", "appended"), ("prepend", "prepended"), ("replace", "replaced")] {
        let env = format!("{all}path_behavior = \"{behavior}\"");
        one(&env, run).stdout_has(format!("[{{h1}}] out: {effect}\n")).run();
    }
}

#[test]
fn a_prefix_that_fails_keeps_the_command_from_running() {
    one("command_prefixes = [\"false\"]", "echo ran").stdout_lacks("out: ran").status(1).run();
}

#[test]
fn lcwd_is_where_local_commands_and_files_are() {
    case!()
        .hosts(1)
        .file("below/note", "kept\n")
        .fabfile(
            "[env]\nhosts = [\"{h1}\"]\nlcwd = \"below\"\n\n[tasks.one]\nsteps = [\n  { local = \"pwd\" },\n  \
             { put = \"note\", to = \"{far}/note\" },\n]\n",
        )
        .args(["one"])
        .stdout_has("[localhost] out: {dir}/below\n")
        .any_stderr()
        .run()
        .read_far("note");
}

const TERMINAL: &str = "if [ -t 1 ]; then echo a terminal; else echo none; fi";

#[test]
fn always_use_pty_asks_for_a_terminal_or_refuses_one() {
    one("", TERMINAL).stdout_has("out: none\n").run();
    one("always_use_pty = true", TERMINAL).stdout_has("out: a terminal\n").run();
    one("always_use_pty = true", TERMINAL).args(["--no-pty"]).stdout_has("out: none\n").run();
    let step = |option: &[&str]| {
        let fabfile = format!("[tasks.one]\nhosts = [\"{{h1}}\"]\nsteps = [{{ run = '{TERMINAL}', pty = true }}]\n");
        case!().hosts(1).fabfile(fabfile).args(["one"]).args(option).any_stderr()
    };
    step(&[]).stdout_has("out: a terminal\n").run();
    step(&["--no-pty"]).stdout_has("out: none\n").run();
}

#[test]
fn combine_stderr_makes_one_stream_of_two() {
    let run = "echo to-err >&2";
    one("", run).stdout_lacks("out: to-err").stderr_has("[{h1}] err: to-err\n").run();
    one("combine_stderr = true", run).stdout_has("[{h1}] out: to-err\n").stderr_lacks("err: to-err").run();
    one("combine_stderr = false", run).stdout_lacks("out: to-err").stderr_has("[{h1}] err: to-err\n").run();
}

/// Sets a variable, which shows what it wraps.
const SHELL: &str = "shell = \"env WRAPPED=yes /bin/sh -c\"\n";

#[test]
fn shell_wraps_where_it_is_named_and_use_shell_allows_it() {
    let run = "echo wrapped:$WRAPPED";
    one("", run).stdout_has("out: wrapped:\n").run();
    one(SHELL, run).stdout_has("out: wrapped:yes\n").run();
    one(&format!("{SHELL}use_shell = true"), run).stdout_has("out: wrapped:yes\n").run();
    one("", run).args(["--set", "shell=env WRAPPED=set /bin/sh -c"]).stdout_has("out: wrapped:set\n").run();
    one("", run).env("FABRIC_SHELL", "env WRAPPED=var /bin/sh -c").stdout_has("out: wrapped:var\n").run();
    let with = "[tasks.one]\nhosts = [\"{h1}\"]\nrun = \"echo wrapped:$WRAPPED\"\n\
                with = { shell = \"env WRAPPED=with /bin/sh -c\" }\n";
    case!().hosts(1).fabfile(with).args(["one"]).stdout_has("out: wrapped:with\n").any_stderr().run();
    one("", run).args(["-s", "env WRAPPED=opt /bin/sh -c"]).stdout_has("out: wrapped:opt\n").run();
    one(&format!("{SHELL}use_shell = false"), run).stdout_has("out: wrapped:\n").run();
    let shut = "[env]\nuse_shell = false\n\n[tasks.one]\nhosts = [\"{h1}\"]\n\
                steps = [{ run = \"echo wrapped:$WRAPPED\", shell = \"env WRAPPED=step /bin/sh -c\" }]\n";
    case!().hosts(1).fabfile(shut).args(["one"]).stdout_has("out: wrapped:\n").any_stderr().run();
}

#[test]
fn shell_escape_quotes_the_command_for_its_shell() {
    let wrapped = format!("{SHELL}use_shell = true\n");
    let run = "echo wrapped:$WRAPPED";
    one(&format!("{wrapped}shell_escape = true"), run).stdout_has("out: wrapped:yes\n").run();
    // The login shell has read it first, and knows no such variable.
    one(&format!("{wrapped}shell_escape = false"), run).stdout_has("out: wrapped:\n").run();
}

#[test]
fn command_timeout_ends_the_command() {
    let case = one("command_timeout = 0.5", "echo $$ > {far}/pid; exec sleep 1000").any_stdout();
    let pid = case.stderr_has("did not finish within 0.5 s").status(1).run().read_far("pid");
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "{pid} still runs");
    one("command_timeout = 0.5", "sleep 0.7; echo done").args(["-T", "60"]).stdout_has("out: done\n").run();
}

#[test]
fn prompts_are_answered() {
    let run = "printf 'Name? '; read name; printf 'Sure [y/N] '; read sure; echo $name $sure";
    one("prompts = { \"Name? \" = \"it's me\", \"Sure [y/N] \" = \"y\" }", run).stdout_has("it's me y\n").run();
    // Without a known answer the prompt isn't answered.
    one("", run).stdout_lacks("it's me").run();
}

#[test]
fn prompts_are_answered_as_often_as_they_come() {
    let script = "for n in 1 2 3; do printf 'Name? '; read name || name=none; echo $n:$name; \
                  printf 'Sure? '; read sure || sure=none; echo $n:$sure; done";
    let prompts = "prompts = { \"Name? \" = \"ann\", \"Sure? \" = \"y\" }";
    for (verb, pty) in [("run", false), ("run", true), ("local", false), ("local", true)] {
        let fabfile = format!(
            "[env]\n{prompts}\n\n[tasks.one]\nhosts = ['{{h1}}']\nsteps = [{{ {verb} = \"\"\"{script}\"\"\", pty = {pty} }}]\n"
        );
        let mut case = case!().hosts(1).fabfile(fabfile).args(["one"]).any_stderr();
        for line in ["1:ann", "1:y", "2:ann", "2:y", "3:ann", "3:y"] {
            case = case.stdout_has(format!("{line}\n"));
        }
        case.stdout_lacks(":none\n").run();
    }
    // A command that reads to the end of its input waits forever.
    one(&format!("{prompts}\ncommand_timeout = 0.5"), "cat").any_stdout().stderr_has("did not finish").status(1).run();
}

/// The command interrupts `fab`, which stops it; its last output shows how.
#[test]
fn remote_interrupt_types_ctrl_c_for_the_command() {
    let case = |setting: &str| {
        case!()
            .hosts(1)
            .fabfile(format!(
                "[tasks.inner]\nhosts = [\"{{h1}}\"]\nwith = {{ {setting} }}\nsteps = [{{ pty = true, run = '''\n\
                 trap 'echo; echo cleaned up; exit 5' INT; kill -INT $(cat {{far}}/fab); while :; do sleep 0.05; done''' }}]\n\n\
                 [tasks.outer]\nsteps = [{{ local = 'echo $$ > {{far}}/fab; exec fab -i {{key}} inner' }}]\n"
            ))
            .args(["outer"])
            .any_stderr()
            .status(1)
    };
    case("remote_interrupt = true").stdout_has("[{h1}] out: cleaned up\n").run();
    case("remote_interrupt = false").stdout_lacks("out: cleaned up").run();
    case("").stdout_lacks("out: cleaned up").run();
}
