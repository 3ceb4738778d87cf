//! Login shells other than Bourne shells.

use std::fmt::Write as _;

use tests::{Case, Sshd, TestUser, case, tool};

const OTHERS: [&str; 3] = ["csh", "tcsh", "fish"];

fn each(test: impl Fn(&str, Case)) {
    for shell in OTHERS {
        let sshd = Sshd::builder().login_shell(shell).start();
        test(shell, case!().on(&sshd));
    }
}

/// Steps with something around them, and what they print.
const AROUND: [(&str, &str); 16] = [
    (
        r#"{ run = "printf '%s|\\n' \"$V\"", env = { V = "it's \"a\" \\\\ \\b! !x $HOME `id` %s ~ ä€" } }"#,
        r#"it's "a" \\ \b! !x $HOME `id` %s ~ ä€|"#,
    ),
    (r#"{ run = "printf '%s|\\n' \"$V\"", env = { V = "two\nlines!" } }"#, "two\n[{h1}] out: lines!|"),
    (r#"{ run = 'case $PATH in *:/opt/x:/y) echo last; esac', path = "/opt/x:/y" }"#, "last"),
    (r#"{ run = "pwd; for f in one two; do echo $f; done", cd = "{far}" }"#, "{far}\n[{h1}] out: one\n[{h1}] out: two"),
    (r#"{ run = "pwd", cd = "{far}" }"#, "{far}"),
    (r#"{ run = "echo \"$PWD\"", cd = "{far}" }"#, "{far}"),
    (r#"{ run = "echo $X", prefix = ". ./vars", cd = "{far}" }"#, "of a file!"),
    (r#"{ run = "one=1\nif [ $one = 1 ]; then\n  echo yes\nfi" }"#, "yes"),
    (r#"{ run = "cat <<E\na 'line' !x\nE" }"#, "a 'line' !x"),
    (r#"{ run = "echo one\necho 'two\n  three'" }"#, "one\n[{h1}] out: two\n[{h1}] out:   three"),
    ("{ run = 'echo hello!world' }", "hello!world"),
    ("{ run = \"echo 'hello!'\" }", "hello!"),
    ("{ run = 'echo \"hello!\"' }", "hello!"),
    (r#"{ run = "echo \"$0\"; echo 'a\\b!c'", shell = "/bin/bash -c" }"#, "/bin/bash\n[{h1}] out: a\\b!c"),
    (r#"{ run = "echo one\necho two", shell = "/bin/bash -c", pty = true }"#, "one\n[{h1}] out: two"),
    (r#"{ run = "cat; exit 0", stdin = "given!\n", env = { A = "1" } }"#, "given!"),
];

#[test]
fn what_is_around_a_command_and_several_lines_work_in_every_login_shell() {
    let steps = AROUND.map(|(step, _)| format!("  {step},\n")).concat();
    let want = AROUND.iter().filter(|(_, said)| !said.is_empty()).fold(String::new(), |mut want, (_, said)| {
        let _ = writeln!(want, "[{{h1}}] out: {said}");
        want
    });
    for shell in ["csh", "tcsh", "fish", "bash", "dash", "zsh"] {
        let sshd = Sshd::builder().login_shell(shell).start();
        let case = case!().on(&sshd);
        std::fs::write(case.far().join("vars"), "X='of a file!'\n").unwrap();
        let ran = case
            .fabfile(format!("[tasks.t]\nhosts = ['{{h1}}']\nsteps = [\n{steps}]\n"))
            .args(["--hide", "running", "t"])
            .any_stdout()
            .run();
        let out: String = ran
            .stdout
            .lines()
            .filter(|line| line.contains("] out: "))
            .fold(String::new(), |out, line| out + line + "\n");
        assert_eq!(out, ran.case().fill(&want), "{shell}");
    }
}

#[test]
fn path_and_settings_work_in_every_login_shell() {
    each(|_, case| {
        let case = case.fabfile(
            "[env]\npath = '{far}/my bin'\nshell_env = { GREETING = \"it's me!\" }\ncommand_prefixes = ['true; true']\n\
             cwd = '/'\n\n[tasks.t]\nsteps = [{ run = 'hello' }, { run = 'hello', path = '{far}/my bin' }]\n",
        );
        let bin = case.far().join("my bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("hello"), "#!/bin/sh\necho \"$GREETING $PWD\"\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("hello"), mode).unwrap();
        case.args(["-H", "{h1}", "t"])
            .any_stdout()
            .stdout_has("out: it's me! /\n[{h1}] run: hello\n[{h1}] out: it's me! /\n")
            .run();
    });
}

#[test]
fn a_command_by_itself_is_read_by_the_login_shell() {
    for (shell, command) in [
        ("csh", "setenv A 1; if ($A == 1) echo it is csh"),
        ("tcsh", "set a = (1 2); echo $#a it is tcsh"),
        ("fish", "set a 1; if test $a = 1; echo it is fish; end"),
    ] {
        let sshd = Sshd::builder().login_shell(shell).start();
        case!().on(&sshd).args(["-H", "{h1}", "--", command]).any_stdout().stdout_has(format!("it is {shell}\n")).run();
    }
}

#[test]
fn a_host_is_asked_for_its_shell_once_and_only_where_it_matters() {
    for (shell, steps, channels) in [
        (
            "bash",
            "{ run = 'echo a; echo b' }, { run = 'echo $HOME' }, { run = 'ls', cd = '/' }, { run = 'ls; ls', shell = 'sh -c' }",
            4,
        ),
        ("bash", "{ run = 'ls', env = { A = '1' } }, { run = 'ls', env = { A = '1' } }", 3),
        ("csh", "{ run = \"echo a\\necho b\" }, { run = 'echo a!b' }, { run = 'ls' }", 4),
    ] {
        let sshd = Sshd::builder().login_shell(shell).start();
        case!()
            .on(&sshd)
            .fabfile(format!("[tasks.t]\nsteps = [{steps}]\n"))
            .args(["-H", "{h1}", "t"])
            .any_stdout()
            .run();
        sshd.wait_for_log("Disconnected from", 1);
        assert_eq!(sshd.log().matches("Starting session: forced-command").count(), channels, "{shell}: {steps}");
    }
}

#[test]
fn nothing_runs_after_a_failed_cd_and_statuses_come_back_from_every_login_shell() {
    each(|shell, case| {
        let ran = case
            .fabfile(
                "[env]\nwarn_only = true\n[tasks.t]\nsteps = [\n\
                 { run = 'echo first; touch {far}/ran', cd = '/no/such' },\n\
                 { run = 'touch {far}/ran', cd = '/no/such' },\n\
                 { run = 'touch {far}/ran', prefix = 'false', env = { A = '1' } },\n\
                 { run = \"true\\nexit 7\" },\n\
                 { run = 'kill -TERM $$', env = { A = '1' } },\n]\n",
            )
            .args(["-H", "{h1}", "t"])
            .any_stdout()
            .stdout_lacks("out: first")
            .any_stderr()
            .stderr_has("exit status 7")
            .stderr_has("was killed by SIGTERM")
            .run();
        assert!(!ran.case().far().join("ran").exists(), "{shell}");
    });
}

#[test]
fn commands_are_stopped_in_every_login_shell() {
    each(|shell, case| {
        let ran = case
            .args(["-T", "2", "-H", "{h1}", "--", "echo \"started $$\"\nsleep 900"])
            .any_stdout()
            .stderr_has("did not finish within 2 s; it was ended")
            .status(1)
            .run();
        let id = ran.stdout.lines().find_map(|line| line.split_once("started ")?.1.trim().parse::<u32>().ok()).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{shell}: {state}");
    });
    each(|_, case| {
        // One that the login shell reads by itself.
        case.args(["-T", "2", "-H", "{h1}", "--", "sleep 901"])
            .any_stdout()
            .stderr_has("did not finish within 2 s; it was ended")
            .status(1)
            .run();
    });
}

#[test]
fn files_are_moved_and_verified_in_every_login_shell() {
    each(|_, case| {
        let ran = case
            .file("it's! \\ a", "content\n")
            .fabfile(
                "[env]\nverify = true\n[tasks.t]\nsteps = [\n\
                 { put = \"it's! \\\\ a\", to = \"{far}/it's! \\\\ b\", verify = true },\n\
                 { get = \"{far}/it's! \\\\ b\", to = 'c', verify = true },\n]\n",
            )
            .args(["-H", "{h1}", "t"])
            .any_stdout()
            .any_stderr()
            .run();
        assert_eq!(ran.read("c"), "content\n");
    });
}

#[test]
#[ignore = "needs root"]
fn an_account_with_another_login_shell_is_the_same() {
    for shell in OTHERS {
        let user = TestUser::with_shell(&tool(shell));
        let sshd = Sshd::builder().start();
        case!()
            .on(&sshd)
            .value("user", user.name())
            .env("FABRIC_SUDO_PASSWORD", user.password())
            .fabfile(
                "[env]\nuser = '{user}'\nhosts = ['{h1}']\n[tasks.t]\nsteps = [\n\
                 { run = 'echo $SHELL' },\n\
                 { run = \"for x in a b!c; do\\n  echo \\\"$V $x\\\"\\ndone\", env = { V = 'its \\ !v' }, cd = '/' },\n\
                 { sudo = \"id -un\\necho 'root!x \\\\ y'\", cd = '/root' },\n\
                 { sudo = \"echo $V\", env = { V = \"is!set\" } },\n]\n",
            )
            .args(["t"])
            .any_stdout()
            .stdout_has(format!("out: {}\n", tool(shell).display()))
            .stdout_has("out: its \\ !v a\n[{h1}] out: its \\ !v b!c\n")
            .stdout_has("out: root\n[{h1}] out: root!x \\ y\n")
            .stdout_has("out: is!set\n")
            .run();
    }
}

#[test]
fn nothing_runs_behind_what_failed_where_a_step_names_another_shell() {
    for shell in OTHERS {
        let step =
            |around: &str| format!("{{ run = \"echo BAD; echo BAD\\necho BAD\", shell = \"{shell} -c\", {around} }}");
        for around in [
            "prefix = \"false\"",
            "cd = \"/no/such\"",
            "cd = \"/no/such\", env = { A = \"1\" }, prefix = \"true\"",
            "prefix = [\"true\", \"false\"], pty = true",
        ] {
            case!()
                .hosts(1)
                .fabfile(format!("[tasks.t]\nhosts = ['{{h1}}']\nsteps = [{}]\n", step(around)))
                .args(["--hide", "running", "t"])
                .stdout_lacks("BAD")
                .any_stderr()
                .status(1)
                .run();
        }
        // And where nothing fails, all of it does, in that shell.
        let says = if shell == "fish" { "echo (pwd) $A; echo end" } else { "echo `pwd` $A; echo end" };
        let step = format!(
            "{{ run = \"{says}\", shell = \"{shell} -c\", cd = \"/\", env = {{ A = \"it's\" }}, prefix = \"true\" }}"
        );
        case!()
            .hosts(1)
            .fabfile(format!("[tasks.t]\nhosts = ['{{h1}}']\nsteps = [{step}]\n"))
            .args(["--hide", "running", "t"])
            .stdout_has("out: / it's\n")
            .stdout_has("out: end\n")
            .run();
    }
}

#[test]
fn one_channel_at_a_time_is_enough_to_ask() {
    let sshd = Sshd::builder().login_shell("tcsh").max_sessions(1).start();
    case!().on(&sshd).args(["-H", "{h1}", "--", "echo one\necho two!x"]).any_stdout().stdout_has("out: two!x").run();
}
