//! What a person sees and types on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fabric_transport_fleet::Fleet;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// A terminal with `fab` running on it.
struct Terminal {
    master: File,
    slave: File,
    child: Child,
    seen: String,
    dir: tempfile::TempDir,
}

impl Terminal {
    fn fab(args: &[&str]) -> Self {
        Self::with("[tasks.here]\nsteps = [ { local = 'echo done' } ]\n", args)
    }

    fn with(fabfile: &str, args: &[&str]) -> Self {
        Self::prepared(fabfile, args, |_| {})
    }

    /// `prepare` is given the terminal before anything runs on it.
    fn prepared(fabfile: &str, args: &[&str], prepare: impl FnOnce(&File)) -> Self {
        Self::run(fabfile, &[&[env!("CARGO_BIN_EXE_fab")], args].concat(), prepare)
    }

    fn run(fabfile: &str, words: &[&str], prepare: impl FnOnce(&File)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("fabfile.toml"), fabfile).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        prepare(&slave);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .args(words)
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self { master: File::from(master), slave, child, seen: String::new(), dir }
    }

    /// Reads until the screen ends like this.
    fn wait_for(&mut self, end: &str) {
        while !self.seen.ends_with(end) {
            let mut byte = [0];
            self.master.read_exact(&mut byte).unwrap();
            self.seen.push(char::from(byte[0]));
        }
    }

    /// A pipe in the fabfile's directory.
    fn fifo(&self, name: &str) -> PathBuf {
        let fifo = self.dir.path().join(name);
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        fifo
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }
}

#[test]
fn an_initial_password_is_asked_for_first_and_never_shown() {
    let mut terminal = Terminal::fab(&["-I", "--initial-sudo-password-prompt", "-u", "deploy", "here"]);
    terminal.wait_for("Login password for deploy: ");
    assert!(!terminal.echoes());
    terminal.master.write_all(b"hunter2\n").unwrap();
    terminal.wait_for("sudo password for deploy: ");
    terminal.master.write_all(b"hunter3\n").unwrap();
    terminal.wait_for("[localhost] out: done\r\n");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(!terminal.seen.contains("hunter"), "{}", terminal.seen);
    assert!(terminal.echoes());
}

#[test]
fn a_run_without_a_host_asks_for_one() {
    let mut terminal = Terminal::fab(&["--", "true"]);
    terminal.wait_for("connection: ");
    assert!(terminal.echoes());
    terminal.master.write_all(b"127.0.0.1:1\n").unwrap();
    terminal.wait_for("refused: is sshd running on that port?\r\n");
    terminal.wait_for("\r\n");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
}

#[test]
fn giving_up_at_a_question_ends_the_run_and_leaves_the_terminal_as_it_was() {
    // Ctrl-D at the start of a line, and Ctrl-C.
    for typed in [b"\x04", b"\x03"] {
        let mut terminal = Terminal::fab(&["-I", "here"]);
        terminal.wait_for(": ");
        terminal.master.write_all(typed).unwrap();
        let status = terminal.child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{typed:?} {}", terminal.seen);
        assert!(terminal.echoes(), "{typed:?}");
    }
    let mut terminal = Terminal::fab(&["-I", "here"]);
    terminal.wait_for(": ");
    kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(130), "{}", terminal.seen);
    assert!(terminal.echoes());
}

#[test]
fn ctrl_c_at_a_question_in_the_middle_of_a_run_ends_it_with_a_report() {
    let fabfile = "[tasks.roll]\nhosts = ['a', 'b', 'c']\ncanary = 1\npause = true\nsteps = [ { local = 'echo done' } ]\n\n\
                   [tasks.ask]\nhosts = ['a', 'b', 'c']\nsteps = [ { local = 'echo done' }, { prompt = 'Go on?', save = 'word' } ]\n";
    for (task, report) in [("roll", "3 hosts: 1 ok, 2 skipped"), ("ask", "3 hosts: 0 ok, 1 failed, 2 skipped")] {
        let mut terminal = Terminal::with(fabfile, &[task]);
        terminal.wait_for("Go on?");
        terminal.master.write_all(b"\x03").unwrap();
        terminal.wait_for(report);
        assert_eq!(terminal.child.wait().unwrap().code(), Some(130), "{task}: {}", terminal.seen);
        assert!(terminal.echoes(), "{task}");
    }
}

/// Whether a question's answer is shown makes no difference, nor whether a line or only a part of one was typed.
#[test]
fn what_was_typed_before_a_question_is_no_answer_to_it() {
    let roll = "hosts = ['a', 'b']\ncanary = 1\npause = true\nsteps = [ { local = 'until [ -p gate ]; do :; done; cat gate' } ]\n";
    let ask = |more: &str| {
        format!(
            "steps = [ {{ local = 'until [ -p gate ]; do :; done; cat gate' }}, {{ prompt = 'Go on?', save = 'word'{more} }}, \
             {{ local = 'echo word={{{{ word }}}}' }} ]\n"
        )
    };
    let tasks = [
        (roll.to_owned(), "1 to go. Go on? [y/N] ", "n\n", "a person said no"),
        (ask(""), "Go on? ", "no\n", "word=no\r\n"),
        (ask(", default = 'no'"), "Go on? [no] ", "\n", "word=no\r\n"),
        (ask(", secret = true"), "Go on? ", "never\n", "out: word=never\r\n"),
    ];
    for (body, question, answer, end) in tasks {
        // A command that runs meanwhile may have read it, or not.
        let cases = [("yes\n", None), ("yes\n", Some("--no-stdin")), ("y\ny\nyes", Some("--no-stdin")), ("y", None)];
        for (typed, option) in cases {
            // A live view would be drawn between what is typed.
            let args: Vec<&str> = option.into_iter().chain(["--progress", "never", "task"]).collect();
            let mut terminal = Terminal::with(&format!("[tasks.task]\n{body}"), &args);
            let gate = terminal.fifo("gate");
            terminal.wait_for("cat gate\r\n");
            terminal.master.write_all(typed.as_bytes()).unwrap();
            // The terminal has it.
            terminal.wait_for(&typed.replace('\n', "\r\n"));
            std::fs::write(gate, "begun\n").unwrap();
            terminal.wait_for(question);
            terminal.master.write_all(answer.as_bytes()).unwrap();
            terminal.wait_for(end);
            terminal.child.wait().unwrap();
        }
    }
}

/// Ctrl-D ends the input of one command, and the next one has the keys.
#[tokio::test(flavor = "multi_thread")]
async fn commands_have_what_is_typed_one_after_another() {
    let fleet = Fleet::builder().names(["web1", "web2"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let fabfile = "[tasks.task]\nhosts = ['web1', 'web2']\nsteps = [\n  { run = 'echo begun; cat; echo ended' },\n  \
                       { local = 'echo begun; read a; echo got=$a' },\n  { run = 'cat; echo nothing', stdin = false },\n]\n";
        let script = "echo begun; cat; echo ended; exit 3";
        let cases: [(&[&str], &[&str], i32); 2] =
            [(&["-H", "web1", "--", script], &["cat"], 3), (&["task"], &["cat", "read", "cat", "read"], 0)];
        for (args, commands, status) in cases {
            let mut terminal = Terminal::with(fabfile, &[&["--ssh-config-path", &config], args].concat());
            for command in commands {
                terminal.wait_for("out: begun\r\n");
                assert!(terminal.echoes());
                // Several lines at once, as from a clipboard.
                terminal.master.write_all(b"one\ntwo\n").unwrap();
                if *command == "cat" {
                    terminal.wait_for("out: two\r\n");
                    terminal.master.write_all(b"\x04").unwrap();
                    terminal.wait_for("out: ended\r\n");
                } else {
                    terminal.wait_for("out: got=one\r\n");
                    terminal.wait_for("out: nothing\r\n");
                }
            }
            assert_eq!(terminal.child.wait().unwrap().code(), Some(status), "{}", terminal.seen);
        }
    })
    .await
    .unwrap();
}

/// With a pseudo-terminal each key is the command's, Ctrl-D and Ctrl-Z too, and only the command shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_pty_has_each_key() {
    let fleet = Fleet::builder().names(["web1"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let script =
            "stty -icanon -isig; echo begun; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane; cat; echo ended";
        let fabfile = format!("[tasks.task]\nhosts = ['web1']\nsteps = [{{ pty = true, run = '{script}' }}]\n");
        let mut terminal = Terminal::with(&fabfile, &["--ssh-config-path", &config, "task"]);
        terminal.wait_for("begun\r\n");
        while terminal.echoes() {
            std::thread::yield_now();
        }
        terminal.master.write_all(b"\x1aa\x1c").unwrap();
        terminal.wait_for(" 1a 61 1c\r\n");
        terminal.master.write_all(b"line\r").unwrap();
        // By its terminal, and by itself.
        terminal.wait_for("line\r\n");
        terminal.wait_for("line\r\n");
        terminal.master.write_all(b"\x04").unwrap();
        terminal.wait_for("ended\r\n");
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{}", terminal.seen);
        assert!(terminal.echoes());
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_from_a_terminal_in_parallel_or_in_the_background_or_where_that_is_not_wanted() {
    let fleet = Fleet::builder().names(["web1", "web2"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let fabfile = "[tasks.task]\nhosts = ['web1', 'web2']\nparallel = true\n\
                       steps = [ { run = 'cat; echo ended' }, { run = 'cat; echo ended', stdin = true } ]\n";
        for args in [
            &["-P", "-H", "web1,web2", "--", "cat; echo ended"][..],
            &["task"],
            &["--no-stdin", "-H", "web1", "--", "cat"],
        ] {
            let mut terminal = Terminal::with(fabfile, &[&["--ssh-config-path", &config], args].concat());
            assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{args:?}");
        }
        let gate = fleet.host("web1").unwrap().dir().join("gate");
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        // With job control, what is started so is in the background.
        let script = "set -m; \"$0\" --ssh-config-path \"$1\" -H web1 -- 'echo begun; read a < gate; echo passed' & \
                      wait $!; read -r line; echo shell=$line";
        let mut terminal = Terminal::run("", &["sh", "-c", script, env!("CARGO_BIN_EXE_fab"), &config], |_| {});
        terminal.wait_for("out: begun\r\n");
        terminal.master.write_all(b"for the shell\n").unwrap();
        terminal.wait_for("for the shell\r\n");
        std::fs::write(&gate, "go\n").unwrap();
        terminal.wait_for("shell=for the shell\r\n");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_opened_on_the_terminal() {
    let fleet = Fleet::builder().names(["web1"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let fabfile = "[tasks.visit]\nhosts = ['web1']\nsteps = [ { open_shell = 'echo first-$((1+1))' } ]\n";
        let mut terminal = Terminal::with(fabfile, &["--ssh-config-path", &config, "visit"]);
        terminal.wait_for("first-2\r\n");
        assert!(!terminal.echoes());
        terminal.master.write_all(b"echo second-$((2+2)); exit 0\n").unwrap();
        terminal.wait_for("second-4\r\n");
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{}", terminal.seen);
        assert!(terminal.echoes());
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_opened_where_the_settings_say_or_not_at_all() {
    let fleet = Fleet::builder().names(["web1"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    let dir = fleet.host("web1").unwrap().dir().to_owned();
    std::fs::create_dir(dir.join("app")).unwrap();
    tokio::task::spawn_blocking(move || {
        let task = |with: &str, line: &str| {
            format!("[tasks.visit]\nhosts = ['web1']\nwith = {{ {with} }}\nsteps = [{{ open_shell = '{line}' }}]\n")
        };
        let args = ["--ssh-config-path", &config, "visit"];
        let with = "cwd = 'app', command_prefixes = ['export A=b'], shell_env = { C = 'd' }";
        let mut terminal = Terminal::with(&task(with, "echo ${PWD##*/}-$A-$C; exit"), &args);
        terminal.wait_for("app-b-d\r\n");
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{}", terminal.seen);
        for with in ["cwd = 'none'", "command_prefixes = ['false']"] {
            let mut terminal = Terminal::with(&task(with, "touch typed"), &args);
            terminal.wait_for("`open_shell`");
            assert_eq!(terminal.child.wait().unwrap().code(), Some(1), "{}", terminal.seen);
        }
        assert!(!dir.join("typed").exists() && !dir.join("app/typed").exists());
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_follows_the_size_of_the_terminal() {
    let fleet = Fleet::builder().names(["web1"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let line = "stty size; until [ \"$(stty size)\" = \"18 92\" ]; do sleep 0.05; done; echo followed; exit 0";
        let fabfile = format!("[tasks.visit]\nhosts = ['web1']\nsteps = [ {{ open_shell = '{line}' }} ]\n");
        let resize = |terminal: &File, rows, columns| {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            tcsetwinsize(terminal, size).unwrap();
        };
        let args = ["--ssh-config-path", &config, "visit"];
        let mut terminal = Terminal::prepared(&fabfile, &args, |slave| resize(slave, 17, 91));
        terminal.wait_for("17 91\r\n");
        resize(&terminal.slave, 18, 92);
        terminal.wait_for("followed\r\n");
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{}", terminal.seen);
    })
    .await
    .unwrap();
}

/// What ends a shell, how, and the status of `fab`.
type End<'a> = (&'static str, &'a dyn Fn(&Terminal), i32);

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_as_it_was_whatever_ends_a_shell() {
    let fleet = Fleet::builder().names(["web1"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let fabfile = "[tasks.visit]\nhosts = ['web1']\nsteps = [ { open_shell = 'echo first-$((1+1))' } ]\n";
        let cut = |_: &Terminal| fleet.host("web1").unwrap().cut();
        let stop = |terminal: &Terminal| kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
        let ends: [End<'_>; 2] = [("the connection is lost", &cut, 1), ("SIGTERM", &stop, 130)];
        for (what, end, status) in ends {
            let mut terminal = Terminal::with(fabfile, &["--ssh-config-path", &config, "visit"]);
            terminal.wait_for("first-2\r\n");
            assert!(!terminal.echoes(), "{what}");
            end(&terminal);
            assert_eq!(terminal.child.wait().unwrap().code(), Some(status), "{what}: {}", terminal.seen);
            assert!(terminal.echoes(), "{what}");
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_view_stands_below_the_output_while_hosts_are_busy() {
    let fleet = Fleet::builder().names(["web1", "web2"]).start().await.unwrap();
    let config = fleet.ssh_config().to_str().unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let args = ["--ssh-config-path", &config, "-P", "-H", "web1,web2", "--", "read line < gate"];
        let gates = ["web1", "web2"].map(|name| fleet.host(name).unwrap().dir().join("gate"));
        for gate in &gates {
            let made = Command::new("mkfifo").arg(gate).status().unwrap();
            assert!(made.success());
        }
        let mut terminal = Terminal::fab(&args);
        terminal.wait_for("<remainder>: 0 of 2 hosts done, 2 running (");
        for gate in &gates {
            std::fs::write(gate, "go\n").unwrap();
        }
        terminal.wait_for("2 hosts: 2 ok (");
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{}", terminal.seen);
    })
    .await
    .unwrap();
}
