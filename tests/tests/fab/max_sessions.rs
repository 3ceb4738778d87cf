//! Servers that take few sessions on one connection.

use std::fmt::Write as _;

use tests::{Ran, Sshd, case};

/// Whether the server has ever said that there are too many.
fn was_full(sshd: &Sshd) -> bool {
    sshd.log().contains("no more sessions")
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

#[test]
fn steps_of_every_kind_follow_one_another() {
    for limit in 1..=3 {
        let sshd = Sshd::builder().max_sessions(limit).start();
        let ran = case!()
            .on(&sshd)
            .file("one", "content")
            .file("page", "of {{ env.host }}")
            .file("tree/a", "a")
            .file("tree/sub/b", "b")
            .file("tree/sub/c", "c")
            .fabfile(
                "[tasks.all]\nhosts = [\"{h1}\"]\nsteps = [\n  \
                 { put = \"one\", to = \"{far}/one\", verify = true },\n  \
                 { run = \"cat '{far}/one'\" },\n  \
                 { get = \"{far}/one\", to = \"back\", verify = true },\n  \
                 { run = \"echo between\" },\n  \
                 { put = \"page\", to = \"{far}/page\", template = true },\n  \
                 { run = \"cat '{far}/page'\" },\n  \
                 { put = \"tree\", to = \"{far}/tree\", verify = true },\n  \
                 { get = \"{far}/tree\", to = \"back-tree\", verify = true, resume = true },\n  \
                 { put = \"tree\", to = \"{far}/again\", verify = true, skip_same = true },\n  \
                 { run = \"cat '{far}/tree/sub/b'; false\", warn_only = true },\n  \
                 { run = \"echo last\", pty = false },\n]\n",
            )
            .args(["all"])
            .stdout_has("out: content\n")
            .stdout_has("out: of {address1}")
            .stdout_has("out: last\n")
            .any_stderr()
            .run();
        assert_eq!(ran.read("back"), "content");
        assert_eq!((ran.read("back-tree/sub/c"), ran.read_far("again/a")), ("c".to_owned(), "a".to_owned()));
        assert_eq!(logins(&sshd), 1);
        assert!(limit > 1 || was_full(&sshd), "{}", sshd.log());
    }
}

#[test]
#[ignore = "needs root"]
fn transfers_by_sudo_take_one_session_at_a_time() {
    for limit in 1..=3 {
        let sshd = Sshd::builder().max_sessions(limit).start();
        let ran = case!()
            .on(&sshd)
            .file("one", "content")
            .file("tree/a", "a")
            .file("tree/sub/b", "b")
            .fabfile(
                "[tasks.all]\nhosts = [\"{h1}\"]\nsteps = [\n  \
                 { put = \"one\", to = \"{far}/one\", verify = true, use_sudo = true },\n  \
                 { put = \"tree\", to = \"{far}/tree\", verify = true, use_sudo = true },\n  \
                 { sudo = \"cat '{far}/one'\" },\n  \
                 { put = \"one\", to = \"{far}/two\" },\n  \
                 { get = \"{far}/tree\", to = \"back\", use_sudo = true },\n]\n",
            )
            .args(["all"])
            .stdout_has("out: content\n")
            .any_stderr()
            .run();
        assert_eq!((ran.read_far("tree/sub/b"), ran.read("back/a")), ("b".to_owned(), "a".to_owned()));
    }
}

#[test]
fn a_hundred_commands_in_a_row() {
    for limit in 1..=3 {
        let sshd = Sshd::builder().max_sessions(limit).start();
        let mut fabfile = "[tasks.all]\nhosts = [\"{h1}\"]\nsteps = [\n".to_owned();
        for number in 0..100 {
            // Now and then a file between, which another channel is for.
            if number % 20 == 0 {
                let _ = writeln!(fabfile, "  {{ put = \"fabfile.toml\", to = \"{{far}}/{number}\" }},");
            }
            let _ = writeln!(fabfile, "  {{ run = \"echo number-{number}\" }},");
        }
        fabfile.push_str("]\n");
        let ran = case!().on(&sshd).fabfile(fabfile).args(["all"]).any_stdout().any_stderr().run();
        let said: Vec<&str> =
            ran.stdout.lines().filter_map(|line| line.split_once("out: number-")).map(|it| it.1).collect();
        assert_eq!(said, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(logins(&sshd), 1);
    }
}

/// Host strings that are names of one machine share one connection.
fn aliases(sshd: &Sshd, fabfile: &str, args: &[&str]) -> Ran {
    let config = "Host x*\n  HostName {address1}\n  Port {port}\n  HostKeyAlias [{address1}]:{port}\n";
    case!()
        .on(sshd)
        .home_file(".ssh/config", config)
        .fabfile(format!("[env]\nparallel = true\nhosts = [\"x1\", \"x2\", \"x3\", \"x4\"]\n{fabfile}"))
        .args(args)
        .any_stdout()
        .any_stderr()
        .any_status()
        .run()
}

#[test]
fn commands_and_files_that_go_side_by_side_wait_for_one_another() {
    for limit in 1..=3 {
        let sshd = Sshd::builder().max_sessions(limit).start();
        let fabfile = "[tasks.all]\nsteps = [\n  \
             { run = \"sleep 0.3; echo one {{ env.host_string }}\" },\n  \
             { put = \"fabfile.toml\", to = \"{far}/{{ env.host_string }}\", verify = true },\n  \
             { run = \"sleep 0.3; echo two {{ env.host_string }}\" },\n  \
             { get = \"{far}/{{ env.host_string }}\", to = \"back/{{ env.host_string }}\", verify = true },\n]\n";
        let ran = aliases(&sshd, fabfile, &["all"]);
        assert_eq!(ran.status(), Some(0), "{}\n{}", ran.stdout, ran.stderr);
        for host in ["x1", "x2", "x3", "x4"] {
            assert!(ran.stdout.contains(&format!("[{host}] out: two {host}\n")), "{}", ran.stdout);
            assert!(ran.read(&format!("back/{host}")).contains("parallel"));
        }
        assert_eq!(logins(&sshd), 1, "{}", sshd.log());
        assert!(was_full(&sshd), "they were side by side: {}", sshd.log());
    }
}

#[test]
fn who_waits_in_vain_is_told_of_max_sessions() {
    let sshd = Sshd::builder().max_sessions(1).start();
    // The others give up long before the first has ended.
    let fabfile = "channel_timeout = 1\n[tasks.all]\nsteps = [{ run = \"sleep 6; echo {{ env.host_string }}\" }]\n";
    let ran = aliases(&sshd, fabfile, &["all"]);
    assert_eq!(ran.status(), Some(1));
    assert_eq!(ran.stdout.matches("out: x").count(), 1, "{}", ran.stdout);
    for part in ["`MaxSessions`", "one is in use", "`channel_timeout`"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    // A server that takes none isn't waited for.
    let sshd = Sshd::builder().max_sessions(0).start();
    let ran = aliases(&sshd, "[tasks]\nall = \"true\"\n", &["all"]);
    assert!(ran.stderr.contains("`MaxSessions`"), "{}", ran.stderr);
}
