//! Errors name the host, or the file and line, and have the right status. That nothing panics or shows a backtrace is checked in
//! every case.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tests::{Sshd, case};

#[test]
fn a_refused_port_names_the_host() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    case!()
        .value("closed", address)
        .args(["-H", "{closed}", "--", "true"])
        .any_stdout()
        .stderr_has("[{closed}] error: connection to {closed} refused")
        .stderr_has("unreachable  {closed}")
        .status(1)
        .run();
}

#[test]
fn a_host_that_does_not_answer_names_the_host_and_the_setting() {
    // A listener whose queue is full: the system drops what comes, as a dead host or a firewall would.
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, getsockname, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(listener.as_fd(), &SocketAddrV4::new([127, 0, 0, 1].into(), 0)).unwrap();
    listen(listener.as_fd(), 0).unwrap();
    let address = SocketAddrV4::try_from(getsockname(listener.as_fd()).unwrap()).unwrap();
    let mut waiting = Vec::new();
    loop {
        let tried = std::net::TcpStream::connect_timeout(&address.into(), std::time::Duration::from_millis(200));
        let Ok(stream) = tried else { break };
        waiting.push(stream);
    }
    case!()
        .value("silent", address.to_string())
        .args(["-t", "1", "-H", "{silent}", "--", "true"])
        .any_stdout()
        .stderr_has("[{silent}] error: timed out after 1 s while connecting (setting timeout)")
        .status(1)
        .run();
}

#[test]
fn a_name_that_is_none_names_itself() {
    case!()
        // Longer than a name may be, so that no name server is asked.
        .value("name", "x".repeat(64) + ".invalid")
        .args(["-H", "{name}", "--", "true"])
        .any_stdout()
        .stderr_has("[{name}] error: cannot find the address of {name}")
        .status(1)
        .run();
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    case!()
        .value("mute", listener.local_addr().unwrap().to_string())
        .args(["--banner-timeout", "1", "-H", "{mute}", "--", "true"])
        .any_stdout()
        .stderr_has("[{mute}] error: timed out after 1 s")
        .stderr_has("banner_timeout")
        .status(1)
        .run();
}

#[test]
fn a_wrong_key_says_what_was_tried_and_what_the_server_takes() {
    let other = Sshd::builder().start();
    case!()
        .hosts(1)
        .no_key()
        .value("other", other.key().display().to_string())
        .args(["-i", "{other}", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("[{h1}] error: login as ")
        .stderr_has("{other}")
        .stderr_has("the server offers publickey")
        .status(1)
        .run();
}

#[test]
fn a_missing_and_an_unreadable_key_name_the_file() {
    case!()
        .hosts(1)
        .no_key()
        .args(["-i", "{dir}/missing", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("key {dir}/missing: ")
        .status(1)
        .run();
    let case = case!().hosts(1).no_key().file("garbage", "this is no key\n");
    fs::set_permissions(case.dir().join("garbage"), fs::Permissions::from_mode(0o600)).unwrap();
    case.args(["-i", "{dir}/garbage", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("key {dir}/garbage: ")
        .status(1)
        .run();
}

#[test]
fn a_changed_host_key_names_the_file_and_the_line_and_stops_before_any_login() {
    let sshd = Sshd::builder().start();
    let other = Sshd::builder().start();
    case!()
        .on(&sshd)
        .known_hosts(format!("# a comment\n[{{address1}}]:{{port}} {}\n", other.host_key()))
        .args(["-H", "{h1}", "--", "echo never"])
        .any_stdout()
        .stdout_lacks("never\n[")
        .stderr_has("[{h1}] error: host key changed: ")
        .stderr_has("{home}/.ssh/known_hosts:2 ")
        .status(1)
        .run();
    sshd.wait_for_log("Connection closed by", 1);
    assert!(!sshd.log().contains("publickey"), "{}", sshd.log());
}

#[test]
fn an_unknown_host_is_recorded_or_refused() {
    case!()
        .hosts(1)
        .known_hosts("")
        .args(["--reject-unknown-hosts", "-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_has("[{h1}] error: host key unknown: ")
        .status(1)
        .run();
    let ran = case!()
        .hosts(1)
        .known_hosts("")
        .args(["-H", "{h1}", "--", "echo in"])
        .stdout_has("[{h1}] out: in\n")
        .any_stderr()
        .run();
    let known = fs::read_to_string(ran.case().home().join(".ssh/known_hosts")).unwrap();
    let key = Sshd::shared().host_key();
    assert!(known.lines().count() == 1 && known.contains(key.split(' ').nth(1).unwrap()), "{known}");
}

#[test]
fn an_unknown_task_is_a_mistake_of_the_command_line() {
    case!()
        .fabfile("[tasks]\ndeploy = \"echo deploying\"\n")
        .args(["deplyo"])
        .stderr_has("there is no task `deplyo`")
        .stderr_has("did you mean `deploy`?")
        .status(2)
        .run();
}

#[test]
fn an_unknown_role_of_a_task_names_file_and_line() {
    case!()
        .fabfile("[roledefs]\nweb = [\"127.0.0.1:1\"]\n\n[tasks.deploy]\nroles = [\"wbe\"]\nrun = \"echo deploying\"\n")
        .args(["deploy"])
        .stderr_has("fabfile.toml:5:10: error: task `deploy`: the role `wbe` does not exist\n  = did you mean `web`?")
        .status(2)
        .run();
}

#[test]
fn an_unknown_role_is_a_mistake_of_the_command_line() {
    case!()
        .fabfile("[roledefs]\nweb = [\"127.0.0.1:1\"]\n\n[tasks]\ndeploy = \"echo deploying\"\n")
        .args(["-R", "wbe", "deploy"])
        .stderr_has("wbe")
        .stderr_has("web")
        .status(2)
        .run();
}

#[test]
fn an_unknown_option_is_a_mistake_of_the_command_line() {
    case!()
        .fabfile("[tasks]\ndeploy = \"echo deploying\"\n")
        .args(["--no-such-option", "deploy"])
        .stderr_has("--no-such-option")
        .status(2)
        .run();
}

#[test]
fn a_broken_fabfile_names_the_file_and_the_line() {
    for (text, line, words) in [
        ("[env]\nuser = \"me\"\n\n[tasks\nx = 1\n", 4, "]"),
        ("[tasks.build]\nrun = 1\n", 2, "`run`"),
        ("[tasks.build]\nhelp = \"Builds\"\nrnu = \"make\"\n", 3, "did you mean `run`?"),
        ("[env]\nparallel = \"maybe\"\n\n[tasks]\nx = \"true\"\n", 2, "parallel"),
        ("[taks]\nx = \"true\"\n", 1, "did you mean `tasks`?"),
        ("[tasks.x]\nsteps = [\n  { run = \"a\", putt = \"b\" },\n]\n", 3, "putt"),
    ] {
        case!()
            .fabfile(text)
            .args(["-H", "127.0.0.1:1", "x"])
            .stderr_has(format!("{{dir}}/fabfile.toml:{line}"))
            .stderr_has(words)
            .status(2)
            .run();
    }
}

#[test]
fn a_fabfile_that_cannot_be_read_is_named() {
    case!().args(["-f", "missing.toml", "--list"]).stderr_has("missing.toml").status(2).run();
    case!().args(["--list"]).stderr_has("fabfile").status(2).run();
}

#[test]
fn a_command_that_prints_control_characters_does_not_reach_the_terminal() {
    case!()
        .hosts(1)
        .args(["-H", "{h1}", "--", "printf 'a\\033[31mb\\007c\\n'"])
        .stdout_has("[{h1}] out: a")
        .stdout_lacks("\x1b")
        .stdout_lacks("\x07")
        .any_stderr()
        .run();
}

#[test]
fn a_fabfile_in_rust_completes_its_tasks() {
    let manifest = "[package]\nname = \"mine\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    let case = case!().file("fabfile/Cargo.toml", manifest).file("fabfile/src/main.rs", "fn main() {}\n");
    // A completion builds nothing.
    case.env("CARGO", env!("CARGO")).args(["__complete", "pa"]).run();
    let case = case!().file("fabfile/Cargo.toml", manifest).file("fabfile/src/main.rs", "fn main() {}\n");
    let built = case.dir().join("fabfile/target/debug");
    fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tasks"), built.join("mine")).unwrap();
    case.env("CARGO", env!("CARGO")).args(["__complete", "pa"]).stdout("panics\n").run();
}

#[test]
fn a_fabfile_in_rust_is_built_when_it_has_changed_and_run() {
    let main = "fn main() {\n    let words: Vec<String> = std::env::args().skip(1).collect();\n    \
                println!(\"ran {}\", words.join(\" \"));\n    std::process::exit(5);\n}\n";
    let ran = case!()
        .file(
            "fabfile/Cargo.toml",
            "[package]\nname = \"mine\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
        )
        .file("fabfile/src/main.rs", main)
        .env("CARGO", env!("CARGO"))
        // Its own home has no toolchain.
        .env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc").to_str().unwrap())
        .within(
            "src=fabfile/src/main.rs; \"$0\" -H h first:x 2>one; echo \"status $?\"; \"$0\" second 2>two; \
             sed -i.old s/ran/changed/ $src; \"$0\" third 2>three; echo 'fn' >$src; \"$0\" fourth 2>four; exit",
        )
        .stdout("ran -H h first:x\nstatus 5\nran second\nchanged third\n")
        .status(2)
        .run();
    assert!(ran.read("one").contains("Compiling mine"), "{}", ran.read("one"));
    assert_eq!(ran.read("two"), "");
    assert!(ran.read("three").contains("Compiling mine"));
    let broken = ran.read("four");
    let told = ran.case().fill("fab: {dir}/fabfile/Cargo.toml failed to build\n");
    assert!(broken.contains("error: ") && broken.ends_with(&told), "{broken}");
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    case!()
        .fabfile("[tasks.t]\nrun = 3\n")
        .args(["t"])
        .stderr_has("fabfile.toml:2: error: `run` of task `t`: expected a text or a list of texts, found")
        .status(2)
        .run();
}
