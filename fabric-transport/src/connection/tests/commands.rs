//! Commands and their options.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fabric_core::event::EventKind;
use fabric_core::outcome::Stream;
use fabric_core::settings::{Gate, Seconds};
use fabric_core::transport::WindowSize;
use fabric_core::{Error, ExitStatus, PathBehavior, Signal};
use tokio::io::AsyncReadExt as _;

use super::{Recorder, fleet, here, settings};
use crate::connection::{FailingResponder, Hide, Responder, Stdin, Terminal};
use crate::memory::Reply;

#[tokio::test]
async fn both_streams_and_the_status_come_back() {
    let recorder = Arc::new(Recorder::default());
    let connection = here().with_emitter(&recorder.emitter());
    let error = connection.run("echo out; echo err >&2; exit 3").await.unwrap_err();
    let outcome = error.outcome().unwrap();
    assert_eq!((&*outcome.stdout(), &*outcome.stderr()), ("out\n", "err\n"));
    assert_eq!(outcome.exit, ExitStatus::Code(3));
    assert_eq!(error.to_string(), "local://here: `echo out; echo err >&2; exit 3` ended with exit status 3");
    assert_eq!(recorder.shown(Stream::Stdout), "out\n");
    assert_eq!(recorder.shown(Stream::Stderr), "err\n");
    assert_eq!(recorder.count(|kind| matches!(kind, EventKind::CommandStarted { .. })), 1);
    assert_eq!(recorder.count(|kind| matches!(kind, EventKind::CommandFinished { exit: Some(3), ok: false, .. })), 1);
}

#[tokio::test]
async fn warn_and_ok_codes_decide_what_is_an_error() {
    let recorder = Arc::new(Recorder::default());
    let connection = here().with_emitter(&recorder.emitter());
    assert!(connection.run("exit 3").warn(true).await.unwrap().failed());
    assert_eq!(recorder.count(|kind| matches!(kind, EventKind::Warning { .. })), 1);
    assert!(connection.run("exit 3").ok_codes([0, 3]).await.unwrap().ok());
    assert!(connection.with(|s| s.warn_only = true).run("exit 3").await.is_ok());
    assert!(connection.with(|s| s.ok_ret_codes = vec![3]).run("exit 3").await.unwrap().ok());
}

#[tokio::test]
async fn a_signal_is_told_apart_from_a_status() {
    let outcome = here().run("kill -USR1 $$").warn(true).await.unwrap();
    assert!(matches!(outcome.exit, ExitStatus::Signal { signal: Signal::Usr1, .. }), "{:?}", outcome.exit);
    assert_eq!(outcome.exit.as_shell_status(), 138);
}

#[tokio::test]
async fn settings_and_options_make_the_command_line() {
    let (fleet, connect) = fleet();
    fleet.every_host().answer(|_| Some(Reply::ok()));
    let connection = connect("web1")
        .settings(settings(|s| {
            s.cwd = "/srv".into();
            s.command_prefixes = vec!["one".into()];
            s.path = "/opt/bin".into();
            s.shell_env.insert("A".into(), "1".into());
        }))
        .build()
        .unwrap();
    connection.run("ls").cd("app").prefix("two").env("B", "x y").await.unwrap();
    connection.run("ls").path("/x", PathBehavior::Replace).replace_env(true).env("B", "2").shell(true).await.unwrap();
    let asking = connection.with(|s| {
        s.use_shell = Gate::Asks;
        s.shell = "sh -c".into();
        s.path = String::new();
        s.shell_env.clear();
        s.command_prefixes.clear();
    });
    asking.run("ls").await.unwrap();
    asking.run("ls").shell(false).await.unwrap();
    asking.with(|s| s.use_shell = Gate::Shut).run("ls").shell("zsh -c").await.unwrap();
    assert_eq!(
        fleet.host("web1").commands(),
        [
            r#"export PATH="$PATH":/opt/bin A=1 B='x y' && cd /srv/app && one && two && ls"#,
            "/bin/bash -l -c 'export PATH=/x B=2 && cd /srv && one && ls'",
            "sh -c 'cd /srv && ls'",
            "cd /srv && ls",
            "cd /srv && ls",
        ]
    );
}

#[tokio::test]
async fn variables_can_go_beside_the_command() {
    let (fleet, connect) = fleet();
    fleet.every_host().answer(|_| Some(Reply::ok()));
    let connection = connect("web1").settings(settings(|s| s.inline_ssh_env = false)).build().unwrap();
    connection.run("ls").env("A", "x").await.unwrap();
    let asked = &fleet.host("web1").asked()[0];
    assert_eq!((asked.text(), &asked.env[..]), ("ls".to_owned(), &[("A".to_owned(), b"x".to_vec())][..]));
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error_before_anything_is_opened() {
    let (fleet, connect) = fleet();
    let connection = connect("web1").build().unwrap();
    assert!(matches!(connection.run("a\0b").await, Err(Error::Command { .. })));
    assert!(matches!(connection.run("a").user("root").await, Err(Error::Usage(_))));
    assert_eq!(fleet.host("web1").connects(), 0);
}

#[tokio::test]
async fn hidden_streams_are_captured_all_the_same() {
    let recorder = Arc::new(Recorder::default());
    let connection = here().with_emitter(&recorder.emitter());
    let outcome = connection.run("echo out; echo err >&2").hide(Hide::Stderr).echo(false).await.unwrap();
    assert_eq!(outcome.stderr(), "err\n");
    assert_eq!(recorder.shown(Stream::Stderr), "");
    assert_eq!(recorder.shown(Stream::Stdout), "out\n");
    assert_eq!(recorder.count(|kind| matches!(kind, EventKind::CommandStarted { .. })), 0);
    let error = connection.run("echo why >&2; false").hide(true).await.unwrap_err();
    assert!(error.to_string().ends_with("stderr:\nwhy"), "{error}");
}

#[tokio::test]
async fn stderr_can_be_combined() {
    let outcome = here().run("echo out; echo err >&2").combine_stderr(true).await.unwrap();
    assert_eq!((outcome.stdout.len(), &*outcome.stderr()), (8, ""));
}

#[tokio::test]
async fn a_capture_has_the_end_of_the_output() {
    let outcome = here().run("seq 1 100000").capture_limit(13).await.unwrap();
    assert_eq!(outcome.stdout(), "99999\n100000\n");
    assert!(outcome.truncated);
}

#[tokio::test]
async fn large_output_and_input_flow_both_ways_at_once() {
    let input = Bytes::from(b"0123456789abcde\n".repeat(512 * 1024));
    let outcome = here().run("cat").stdin(input.clone()).await.unwrap();
    assert!(outcome.stdout == *input);
}

#[tokio::test]
async fn nothing_to_read_is_end_of_file() {
    assert_eq!(here().run("cat; echo end").await.unwrap().stdout(), "end\n");
    let outcome = here().run("cat; echo end").pty(true).await.unwrap();
    assert_eq!(outcome.stdout(), "end\r\n");
}

#[tokio::test]
async fn streams_of_the_caller_get_the_bytes() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let outcome = here().run("printf 'a\\377b'; printf e >&2").out_stream(ours).await.unwrap();
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"a\xffb");
    assert_eq!(outcome.stdout(), "a\u{fffd}b");
}

#[tokio::test]
async fn a_terminal_has_the_size_and_type_of_the_local_one() {
    let (resize, size) = tokio::sync::watch::channel(WindowSize::new(91, 17));
    let connection = crate::Connection::builder("local://here").terminal(Terminal::new("vt220", size)).build().unwrap();
    let script = "trap 'stty size; exit 0' WINCH; echo $TERM; stty size; echo ready; while :; do sleep 0.01; done";
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let running = connection.run(script).pty(true).out_stream(ours).start().await.unwrap();
    let mut seen = String::new();
    while !seen.ends_with("ready\r\n") {
        seen.push(char::from(theirs.read_u8().await.unwrap()));
    }
    resize.send_replace(WindowSize::new(100, 30));
    assert_eq!(running.wait().await.unwrap().stdout(), "vt220\r\n17 91\r\nready\r\n30 100\r\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_stopped_with_all_it_started() {
    let marker = format!("{}.25", 1_000_000 + std::process::id());
    let command = format!("echo begun; sleep {marker} & sleep {marker}; wait");
    for pty in [false, true] {
        let error =
            here().run(command.clone()).pty(pty).timeout(Duration::from_millis(300)).warn(true).await.unwrap_err();
        let Error::TimedOut { outcome, still_running: None, .. } = &error else { panic!("{error:?}") };
        assert!(outcome.stdout().starts_with("begun"), "{outcome}");
        let left = here().run(format!("ps -eo args | grep -c '[s]leep {marker}'")).warn(true).await.unwrap();
        assert_eq!(left.stdout(), "0\n", "pty {pty}");
    }
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_the_grace() {
    let connection = here().with(|s| s.command_timeout = Some(Seconds(0.3)));
    let request = connection.run("trap '' TERM; while :; do sleep 0.05; done").grace(Duration::from_millis(100));
    let error = request.await.unwrap_err();
    assert!(matches!(&error, Error::TimedOut { still_running: None, .. }), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_stopped_is_said() {
    let (fleet, connect) = fleet();
    fleet.host("web1").on("sleep", Reply::stdout("part").hang().unstoppable("it belongs to root"));
    let connection = connect("web1").build().unwrap();
    let error = connection.run("sleep").timeout(Duration::from_millis(20)).await.unwrap_err();
    assert!(error.to_string().contains("may still be running there: it belongs to root"), "{error}");
    assert_eq!(error.outcome().unwrap().stdout(), "part");
}

#[tokio::test]
async fn a_timeout_is_seen_through_a_flood() {
    let (fleet, connect) = fleet();
    fleet.host("web1").on("yes", Reply::ok().flood(Stream::Stdout, vec![b'y'; 4096], u64::MAX));
    let connection = connect("web1").build().unwrap();
    let error = connection.run("yes").capture_limit(10).timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.outcome().unwrap().stdout(), "yyyyyyyyyy");
}

#[tokio::test]
async fn a_dropped_command_is_stopped() {
    let (fleet, connect) = fleet();
    let host = fleet.host("web1");
    host.on("sleep", Reply::ok().hang());
    let connection = connect("web1").build().unwrap();
    let (ours, mut theirs) = tokio::io::duplex(64);
    let running = connection.run("sleep").stdin(Stdin::Handle).out_stream(ours).start().await.unwrap();
    drop(running);
    // The stream is dropped together with the command.
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_interrupt_ends_commands_and_keeps_what_they_printed() {
    let token = tokio_util::sync::CancellationToken::new();
    let (fleet, connect) = fleet();
    fleet.host("web1").on("work", Reply::stdout("half").hang());
    let connection = connect("web1").interrupt(token.clone()).build().unwrap();
    let (ours, mut theirs) = tokio::io::duplex(64);
    let command = connection.run("work").out_stream(ours);
    let task = tokio::spawn(async move { command.await });
    theirs.read_u8().await.unwrap();
    token.cancel();
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Interrupted { outcome, .. } if outcome.stdout() == "half"), "{error:?}");
}

#[tokio::test]
async fn a_host_that_dies_is_an_error_of_the_command() {
    let (fleet, connect) = fleet();
    fleet.host("web1").on("work", Reply::stdout("half").die()).on("again", Reply::ok());
    let connection = connect("web1").build().unwrap();
    let error = connection.run("work").await.unwrap_err();
    assert_eq!(error.to_string(), "web1: the connection was lost: the host died");
    fleet.host("web1").vanish();
    assert!(!connection.is_connected());
    connection.run("again").await.unwrap();
    assert_eq!(fleet.host("web1").connects(), 2);
}

#[tokio::test]
async fn watchers_answer_on_either_stream() {
    let script = "printf 'name? '; read name; printf 'age? ' >&2; read age; echo \"$name is $age\"";
    let request = here()
        .run(script)
        .watch(Responder::literal("name? ", "ann\n").unwrap())
        .watch(Responder::new(r"age\? $", "7\n").unwrap());
    assert_eq!(request.await.unwrap().stdout(), "name? ann is 7\n");

    let connection = here().with(|s| {
        s.prompts.insert("name? ".into(), "bob".into());
        s.prompts.insert("age? ".into(), "8".into());
    });
    let outcome = connection.run(script).pty(true).await.unwrap();
    assert!(outcome.stdout().ends_with("bob is 8\r\n"), "{outcome}");
}

#[tokio::test]
async fn a_prompt_that_comes_again_or_late_is_answered_too() {
    // The second question comes only after the first answer has been read, and all other questions were asked.
    let script = "ask() { printf \"$1\"; read a; echo \"[$a]\"; }; ask 'one? '; ask 'two? '; ask 'one? '; ask 'two? '";
    let connection = here().with(|s| {
        s.prompts.insert("one? ".into(), "1".into());
        s.prompts.insert("two? ".into(), "2".into());
    });
    for pty in [false, true] {
        for request in [connection.run(script), connection.local(script)] {
            let outcome = request.pty(pty).await.unwrap();
            let answers: Vec<_> = outcome.stdout().split(['[', ']']).skip(1).step_by(2).map(str::to_owned).collect();
            assert_eq!(answers, ["1", "2", "1", "2"], "pty {pty}");
        }
    }
}

#[tokio::test]
async fn a_watched_command_that_is_silent_is_warned_of_once() {
    let (fleet, connect) = fleet();
    let recorder = Arc::new(Recorder::default());
    let connection = connect("web1").emitter(recorder.emitter()).build().unwrap();
    let watched = connection.with(|s| drop(s.prompts.insert("Name? ".into(), "ann".into())));
    let warnings = || {
        let told = recorder.0.lock();
        let texts = told.iter().filter_map(|kind| match kind {
            EventKind::Warning { message, .. } => Some(message.clone()),
            _ => None,
        });
        texts.collect::<Vec<_>>()
    };
    fleet.host("web1").on("ask", Reply::stdout("first\nProceed? ").hang());
    let silence = Duration::from_millis(20);
    let short = Some(Duration::from_millis(200));
    // Output without patterns may be silent, and hidden output isn't shown.
    let error = connection.run("ask").silence(silence).timeout(short).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }) && warnings().is_empty(), "{:?}", warnings());
    watched.run("ask").silence(silence).hide(true).timeout(short).await.unwrap_err();
    let told = warnings();
    assert!(matches!(told.as_slice(), [text] if text.contains("nothing for 0.02 s.")), "{told:?}");
    watched.run("ask").silence(silence).timeout(short).await.unwrap_err();
    let told = warnings();
    assert!(matches!(told.as_slice(), [_, text] if text.contains("its last line is \"Proceed?\"")), "{told:?}");
}

#[tokio::test]
async fn an_answer_that_is_refused_ends_the_command() {
    let (fleet, connect) = fleet();
    fleet.host("web1").on("login", Reply::stdout("pass").out("word: ").read_line().err("sor").err("ry\n").hang());
    let responder = FailingResponder::new("password: ", "x\n", "sorry|again").unwrap();
    let connection = connect("web1").build().unwrap();
    let request = connection.run("login").watch(responder).combine_stderr(true);
    let error = request.await.unwrap_err();
    assert!(matches!(&error, Error::AnswerRefused { pattern, .. } if pattern == "password: "), "{error:?}");
    assert_eq!(fleet.host("web1").stdin(0).unwrap(), b"x\n");
}

#[tokio::test]
async fn a_started_command_can_be_written_to_signalled_and_stopped() {
    // Not HUP: a shell can't trap a signal that was ignored when it started, as under nohup.
    let running = here().run("trap 'echo usr1; exit 0' USR1; echo on; while :; do sleep 0.01; done");
    let (ours, mut theirs) = tokio::io::duplex(64);
    let running = running.out_stream(ours).start().await.unwrap();
    theirs.read_u8().await.unwrap();
    running.signal(Signal::Usr1).await.unwrap();
    assert_eq!(running.wait().await.unwrap().stdout(), "on\nusr1\n");
    let running = here().run("sleep 1000").start().await.unwrap();
    assert!(!running.is_finished());
    let stopped = running.stop().await.unwrap();
    assert!(!stopped.ok(), "{:?}", stopped.exit);
    let stopped = here().run("trap 'echo bye; exit 3' TERM; echo on; while :; do sleep 0.01; done");
    let (ours, mut theirs) = tokio::io::duplex(64);
    let stopped = stopped.out_stream(ours).start().await.unwrap();
    theirs.read_u8().await.unwrap();
    assert_eq!(stopped.stop().await.unwrap().stdout(), "on\nbye\n");
    let ended = here().run("exit 3").start().await.unwrap();
    while !ended.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(ended.stop().await, Err(Error::UnexpectedExit(_))));
}

#[tokio::test]
async fn local_runs_here_with_the_same_options() {
    let (fleet, connect) = fleet();
    let connection = connect("web1").settings(settings(|s| s.lcwd = "/usr".into())).build().unwrap();
    let outcome = connection.local("pwd; echo $A").env("A", "b").await.unwrap();
    assert_eq!((&*outcome.stdout(), outcome.host.as_str()), ("/usr\nb\n", "localhost"));
    let bare = connection.local("/usr/bin/env").replace_env(true).env("A", "b").await.unwrap();
    assert!(!bare.stdout().contains("HOME="), "{bare}");
    assert_eq!(fleet.host("web1").connects(), 0);
}

#[tokio::test]
async fn a_disowned_command_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let fifo = dir.path().join("fifo");
    here().run(format!("mkfifo {}", fifo.display())).await.unwrap();
    let connection = here();
    connection.run(format!("cat {}; touch {}; exit 1", fifo.display(), done.display())).disown().await.unwrap();
    tokio::fs::write(&fifo, "go").await.unwrap();
    while !done.exists() {
        tokio::task::yield_now().await;
    }
}
