//! A real sudo that asks for a real password. These tests need root, to make the user; without it they say so.

use tests::{Sshd, TestUser, case};

#[test]
#[ignore = "needs root"]
fn a_sudo_step_gives_the_password() {
    let user = TestUser::new();
    let sshd = Sshd::builder().hosts(2).start();
    case!()
        .on(&sshd)
        .value("user", user.name())
        .env("FABRIC_SUDO_PASSWORD", user.password())
        .fabfile(
            "[env]\nuser = \"{user}\"\nhosts = [\"{h1}\", \"{h2}\"]\n\n[tasks.who]\nsteps = [\n  { run = \"id -un\" },\n  \
             { sudo = \"id -un\" },\n  { sudo = \"pwd; echo $WHAT\", cd = \"/usr\", env = { WHAT = \"it's\" } },\n]\n",
        )
        .args(["who"])
        .stdout_has("[{h1}] out: {user}\n[{h1}] ")
        .stdout_has("[{h1}] out: root\n")
        .stdout_has("[{h1}] out: /usr\n[{h1}] out: it's\n")
        .stdout_has("[{h2}] out: root\n")
        .stdout_lacks(user.password())
        .any_stderr()
        .stderr_lacks(user.password())
        .run();
}

#[test]
#[ignore = "needs root"]
fn a_wrong_sudo_password_is_refused_by_name_and_never_shown() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    case!()
        .on(&sshd)
        .value("user", user.name())
        .env("FABRIC_SUDO_PASSWORD", "not-it-at-all")
        .fabfile("[env]\nuser = \"{user}\"\n\n[tasks.who]\nhosts = [\"{h1}\"]\nsteps = [{ sudo = \"id -un\" }]\n")
        .args(["who"])
        .any_stdout()
        .stdout_lacks("not-it-at-all")
        .stderr_has("sudo refused the password of {user}")
        .stderr_lacks("not-it-at-all")
        .status(1)
        .run();
}

#[test]
#[ignore = "needs root"]
fn without_a_password_and_a_terminal_sudo_is_an_error() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    case!()
        .on(&sshd)
        .value("user", user.name())
        .fabfile("[env]\nuser = \"{user}\"\n\n[tasks.who]\nhosts = [\"{h1}\"]\nsteps = [{ sudo = \"id -un\" }]\n")
        .args(["who"])
        .any_stdout()
        .stderr_has("[{h1}] error: ")
        .stderr_has("password")
        .status(1)
        .run();
}

#[test]
#[ignore = "needs root"]
fn a_password_logs_in_where_the_server_takes_one() {
    let user = TestUser::new();
    let sshd = Sshd::builder().passwords().config("PubkeyAuthentication no").start();
    case!()
        .on(&sshd)
        .no_key()
        .value("user", user.name())
        .env("FABRIC_PASSWORD", user.password())
        // The most detailed log, russh's included, doesn't have the password.
        .args(["--log", "trace", "-H", "{user}@{h1}", "--", "id -un"])
        .stdout_has("[{user}@{h1}] out: {user}\n")
        .stderr_has("what=\"password\" answer=Success")
        .stderr_has("russh::client")
        .stderr_lacks(user.password())
        .run();
}

#[test]
#[ignore = "needs root"]
fn questions_of_a_command_by_sudo_are_answered_as_often_as_they_come() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    let asks = "printf 'Name: '; read a; sleep 0.6; printf 'Name: '; read b; echo $(id -un) got $a $b";
    case!()
        .on(&sshd)
        .value("user", user.name())
        .env("FABRIC_SUDO_PASSWORD", user.password())
        .fabfile(format!(
            "[env]\nuser = \"{{user}}\"\nhosts = [\"{{h1}}\"]\nprompts = {{ \"Name: \" = \"x\" }}\n\n[tasks.t]\n\
             steps = [{{ sudo = \"{asks}\" }}, {{ sudo = \"{asks}\", pty = true }}]\n"
        ))
        .args(["t"])
        .any_stdout()
        .stdout_has("root got x x\n")
        .stdout_lacks(user.password())
        .any_stderr()
        .run();
}
