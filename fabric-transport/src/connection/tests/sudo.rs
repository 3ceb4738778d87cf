//! The dialogue with `sudo`, with a script that asks as the real one does.

use std::sync::Arc;

use fabric_core::outcome::Stream;
use fabric_core::{Error, PromptError, Secret};

use super::{Answers, Recorder, settings};
use crate::connection::{Connection, ConnectionBuilder};

/// The dialogue of `sudo`: `-S` reads the password byte by byte from standard input, `-p` is the prompt, three tries;
/// the password is `right`.
const SUDO: &str = r#"#!/bin/sh
user=root
while :; do case $1 in
  -S) shift ;; -p) prompt=$2; shift 2 ;; -u) user=$2; shift 2 ;; -g) shift 2 ;; *) break ;;
esac; done
tries=0
[ -t 0 ] && stty -echo
while :; do
  printf '%s' "$prompt" >&2
  IFS= read -r password || { echo 'sudo: no password was provided' >&2; exit 1; }
  [ -t 0 ] && printf '\n' >&2
  [ "$password" = right ] && break
  tries=$((tries + 1))
  [ "$tries" = 3 ] && { echo 'sudo: 3 incorrect password attempts' >&2; exit 1; }
  echo 'Sorry, try again.' >&2
done
[ -t 0 ] && stty echo
SUDO_AS=$user exec "$@"
"#;

struct Bench {
    _dir: tempfile::TempDir,
    prefix: String,
}

impl Bench {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sudo");
        std::fs::write(&file, SUDO).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let prefix = format!("sh {} -S -p '%(sudo_prompt)s' ", file.display());
        Self { _dir: dir, prefix }
    }

    fn connection(&self, password: Option<&str>) -> ConnectionBuilder {
        Connection::builder("local://ann@here").settings(settings(|s| {
            s.sudo_prefix.clone_from(&self.prefix);
            s.sudo_password = password.map(Secret::from);
        }))
    }
}

#[tokio::test]
async fn the_password_is_given_and_the_prompt_leaves_no_trace() {
    let bench = Bench::new();
    for pty in [false, true] {
        let recorder = Arc::new(Recorder::default());
        let connection = bench.connection(Some("right")).emitter(recorder.emitter()).build().unwrap();
        let outcome = connection.sudo("echo $SUDO_AS; pwd").cd("/usr").user("app").pty(pty).await.unwrap();
        let end = if pty { "\r\n" } else { "\n" };
        assert_eq!((outcome.stdout(), outcome.stderr()), (format!("app{end}/usr{end}").into(), "".into()));
        assert_eq!(recorder.shown(Stream::Stdout), outcome.stdout());
        assert_eq!(recorder.shown(Stream::Stderr), "");
        assert!(!format!("{outcome:?}").contains("right"));
    }
}

#[tokio::test]
async fn the_input_of_the_command_is_not_read_as_a_password() {
    let bench = Bench::new();
    let connection = bench.connection(Some("right")).build().unwrap();
    assert_eq!(connection.sudo("cat").stdin("one\ntwo\n").await.unwrap().stdout(), "one\ntwo\n");
    assert_eq!(connection.sudo("cat; echo end").await.unwrap().stdout(), "end\n");
}

#[tokio::test]
async fn a_wrong_password_is_an_error_and_is_not_tried_twice() {
    let bench = Bench::new();
    for pty in [false, true] {
        let connection = bench.connection(Some("wrong")).build().unwrap();
        let error = connection.sudo("echo never").pty(pty).await.unwrap_err();
        assert!(matches!(&error, Error::SudoRefused { user, .. } if user == "ann"), "{error:?}");
        assert!(!error.to_string().contains("wrong"));
    }
}

#[tokio::test]
async fn a_person_is_asked_once_and_again_after_a_mistake() {
    let bench = Bench::new();
    let answers = Answers::new(&["mistyped", "right"]);
    let connection = bench.connection(None).prompter(answers.clone()).build().unwrap();
    connection.sudo("true").await.unwrap();
    connection.with(|s| s.cwd = "/".into()).sudo("true").await.unwrap();
    assert_eq!(answers.asked(), 2);

    let answers = Answers::new(&["no", "nay", "never"]);
    let connection = bench.connection(None).prompter(answers.clone()).build().unwrap();
    assert!(matches!(connection.sudo("true").await, Err(Error::SudoRefused { .. })));
    assert_eq!(answers.asked(), 3);
    assert!(matches!(connection.sudo("true").await, Err(Error::Prompt(_))));
}

#[tokio::test]
async fn a_failing_command_is_no_refused_password() {
    let bench = Bench::new();
    let connection = bench.connection(Some("right")).build().unwrap();
    assert!(matches!(connection.sudo("exit 1").await, Err(Error::UnexpectedExit(_))));
    assert!(matches!(connection.sudo("true").cd("/nowhere").await, Err(Error::UnexpectedExit(_))));
}

#[tokio::test]
async fn a_prompt_of_ones_own_may_hold_anything() {
    let bench = Bench::new();
    let connection = bench.connection(Some("right")).build().unwrap();
    let connection = connection.with(|s| s.sudo_prompt = Some("it's your turn: ".into()));
    let outcome = connection.sudo("echo \"it's your turn: \"").await.unwrap();
    assert_eq!((&*outcome.stdout(), &*outcome.stderr()), ("it's your turn: \n", ""));
}

#[tokio::test]
async fn nobody_is_asked_where_prompts_are_refused() {
    let bench = Bench::new();
    let answers = Answers::new(&["right"]);
    let connection = bench.connection(None).prompter(answers.clone()).build().unwrap();
    let error = connection.with(|s| s.abort_on_prompts = true).sudo("true").await.unwrap_err();
    assert!(matches!(error, Error::Prompt(PromptError::Refused { .. })));
    assert_eq!(answers.asked(), 0);
}
