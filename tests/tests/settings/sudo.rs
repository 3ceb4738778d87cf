//! How `sudo` is called and answered. The `sudo` here prints its arguments; a real one is used in `fab/sudo.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tests::{Case, Sshd, TestUser, case};

/// Runs a `sudo` step under a program that prints its arguments, and then asks for a password.
fn sudo(env: &str) -> Case {
    let fabfile = format!("[env]\nhosts = [\"{{h1}}\"]\n{env}\n\n[tasks.one]\nsteps = [{{ sudo = \"true\" }}]\n");
    let case = case!().hosts(1).fabfile(fabfile).args(["one"]).any_stderr();
    let program = case.far().join("arguments");
    fs::write(&program, "#!/bin/sh\nprintf '<%s>' \"$@\"\necho\n").expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    case
}

#[test]
fn prefix_prompt_and_user_make_the_call() {
    let prefix = "sudo_prefix = \"{far}/arguments -S -p '%(sudo_prompt)s' --by-test\"\n";
    sudo(prefix).stdout_has("<--by-test>").stdout_lacks("<-u>").run();
    sudo(&format!("{prefix}sudo_prompt = \"Say it: \"")).stdout_has("<-S><-p><Say it: ><--by-test>").run();
    sudo(&format!("{prefix}sudo_user = \"postgres\"")).stdout_has("<-u><postgres>").run();
}

#[test]
#[ignore = "needs root"]
fn sudo_password_answers_before_the_login_password() {
    let user = TestUser::new();
    let sshd = Sshd::builder().hosts(2).start();
    let quoted = serde_json::to_string(user.password()).expect("a text");
    let case = |env: &str| {
        case!()
            .on(&sshd)
            .value("user", user.name())
            .fabfile(format!(
                "[env]\nuser = \"{{user}}\"\nhosts = [\"{{h1}}\", \"{{h2}}\"]\nwarn_only = true\n{env}\n\n[tasks.one]\n\
                 parallel = true\nsteps = [{{ sudo = \"id -un\" }}]\n"
            ))
            .args(["one"])
            .any_stdout()
            .any_stderr()
    };
    let root = |case: Case| case.stdout_has("[{h1}] out: root\n").stdout_has("[{h2}] out: root\n");
    root(case(&format!("password = {quoted}"))).run();
    root(case(&format!("password = \"wrong\"\nsudo_password = {quoted}"))).run();
    let one = format!("sudo_password = \"wrong\"\nsudo_passwords = {{ \"{{user}}@{{h2}}\" = {quoted} }}");
    case(&one).stdout_lacks("[{h1}] out: root").stdout_has("[{h2}] out: root\n").status(1).run();
}

#[test]
#[ignore = "needs root"]
fn sudo_user_is_who_the_command_runs_as() {
    let (user, other) = (TestUser::new(), TestUser::new());
    let sshd = Sshd::builder().start();
    case!()
        .on(&sshd)
        .value("user", user.name())
        .value("other", other.name())
        .env("FABRIC_SUDO_PASSWORD", user.password())
        .fabfile(
            "[env]\nuser = \"{user}\"\nhosts = [\"{h1}\"]\nsudo_user = \"{other}\"\n\n[tasks.one]\n\
             steps = [{ sudo = \"id -un\" }, { sudo = \"id -un\", user = \"root\" }]\n",
        )
        .args(["one"])
        .stdout_has("out: {other}\n")
        .stdout_has("out: root\n")
        .any_stderr()
        .run();
}
