//! Commands of a connection.

use std::time::Duration;

use fabric_core::{Error, ExitStatus};
use fabric_transport::connection::Responder;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use tests::{World, transports};

transports! {
    what_is_around_a_command_reaches_it: memory local embedded sshd;
    a_failure_is_an_error_unless_it_is_a_warning: memory local embedded sshd dropbear;
    variables_keep_any_text: memory local embedded sshd dropbear;
    text_split_anywhere_comes_back_whole: memory local embedded sshd dropbear;
    a_question_is_answered: memory local embedded sshd dropbear;
    a_timeout_keeps_what_was_printed: local embedded sshd dropbear;
    commands_share_a_session: memory local embedded sshd;
}

async fn what_is_around_a_command_reaches_it(world: &World) {
    let connection = world.connection();
    let dir = world.far().join("a dir with 'quotes'");
    std::fs::create_dir(&dir).unwrap();
    let dir = dir.to_str().unwrap();
    let request = connection.run("pwd; echo \"$GREETING\"; echo $PREFIXED").cd(dir).env("GREETING", "it's $me \"\\");
    let outcome = request.prefix("export PREFIXED=yes").await.unwrap();
    assert_eq!(outcome.stdout(), format!("{dir}\nit's $me \"\\\nyes\n"));
    assert!(outcome.ok());
}

async fn a_failure_is_an_error_unless_it_is_a_warning(world: &World) {
    let connection = world.connection();
    let error = connection.run("echo partial; exit 3").await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedExit(_)));
    let outcome = error.outcome().unwrap();
    assert_eq!((outcome.stdout(), &outcome.exit), ("partial\n".into(), &ExitStatus::Code(3)));
    assert!(connection.run("exit 3").warn(true).await.unwrap().failed());
    assert!(connection.run("exit 3").ok_codes([0, 3]).await.unwrap().ok());
}

async fn variables_keep_any_text(world: &World) {
    let connection = world.connection();
    // Anything but NUL, which no variable can hold.
    let mut texts = proptest::collection::vec("[^\u{0}]{0,40}", 8).new_tree(&mut TestRunner::new(Config::default()));
    let texts = texts.as_mut().unwrap().current();
    for text in texts {
        let outcome = connection.run("printf %s \"$VALUE\"").env("VALUE", text.clone()).await.unwrap();
        assert_eq!(outcome.stdout(), text);
    }
}

async fn text_split_anywhere_comes_back_whole(world: &World) {
    let connection = world.connection();
    let text = "grüße 漢字 🦀 end";
    let outcome =
        connection.run("while IFS= read -r line; do printf '%s\\n' \"$line\"; done").stdin(format!("{text}\n"));
    assert_eq!(outcome.await.unwrap().stdout(), format!("{text}\n"));
    // One byte at a time.
    let bytes = "printf '\\303'; sleep 0; printf '\\274'; printf '\\360\\237'; sleep 0; printf '\\246\\200'";
    assert_eq!(connection.run(bytes).await.unwrap().stdout(), "ü🦀");
}

async fn a_question_is_answered(world: &World) {
    let connection = world.connection();
    let request = connection.run("printf 'Continue? '; read answer; echo \"you said $answer\"");
    let outcome = request.watch(Responder::new("Continue\\? ", "yes\n").unwrap()).await.unwrap();
    assert_eq!(outcome.stdout(), "Continue? you said yes\n");
}

async fn a_timeout_keeps_what_was_printed(world: &World) {
    let connection = world.connection();
    // It prints before its time is up, however slow this machine is: the timeout is what ends the wait for more.
    let request = connection.run("echo printed; exec sleep 1000").timeout(Duration::from_secs(3));
    match request.await.unwrap_err() {
        Error::TimedOut { outcome, still_running, .. } => {
            assert_eq!((outcome.stdout().as_ref(), still_running), ("printed\n", None));
        }
        other => panic!("{other}"),
    }
}

async fn commands_share_a_session(world: &World) {
    let connection = world.connection();
    let (one, two, three) = tokio::join!(connection.run("echo 1"), connection.run("echo 2"), connection.run("echo 3"));
    let texts = [one, two, three].map(|outcome| outcome.unwrap().stdout().into_owned());
    assert_eq!(texts, ["1\n", "2\n", "3\n"]);
    assert!(connection.is_connected());
    connection.close().await;
    assert!(!connection.is_connected());
    assert_eq!(connection.run("echo again").await.unwrap().stdout(), "again\n");
}
