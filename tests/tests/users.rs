//! Logins and processes of an ordinary user with a real sshd: passwords, PAM's questions, and stopping where
//! sshd passes signals on. They make that user, so they need root.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::transport::{ProcessEvent, Program, PtyRequest, SpawnRequest, StopOutcome, WindowSize};
use fabric_core::{Emitter, PromptError, PromptRequest, Prompter, Secret, Session, Target};
use fabric_transport::connector::Connector;
use tests::{Dropbear, Sshd, TestUser};

fn target(sshd: &Sshd, user: &TestUser) -> Target {
    let mut target = Target::new(format!("{}@{}", user.name(), sshd.hosts()[0].host_string()).parse().unwrap());
    target.host_keys.check = HostKeyCheck::Off;
    target
}

async fn with_key(sshd: &Sshd, user: &TestUser) -> Arc<dyn Session> {
    let mut target = target(sshd, user);
    target.auth.identities = vec![Identity::new(sshd.key())];
    Connector::new().open(&target, &Emitter::none()).await.unwrap()
}

fn command(text: &str) -> SpawnRequest {
    SpawnRequest::new(Program::Command(text.as_bytes().to_vec()))
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// Starts `text`, which prints a process id first, and stops it.
async fn stopped(session: &dyn Session, text: &str, pty: bool) -> (StopOutcome, String) {
    let pty = pty.then(|| PtyRequest::new("xterm", WindowSize::default()));
    let mut process = session.spawn(&command(text).pty(pty)).await.unwrap();
    let Some(ProcessEvent::Stdout(pid)) = process.next().await else { panic!("no pid") };
    let outcome = process.control.stop(Duration::from_secs(3)).await;
    (outcome, str::from_utf8(&pid).unwrap().trim().to_owned())
}

/// Gives one answer to everything.
struct Answer(String);

#[async_trait]
impl Prompter for Answer {
    async fn ask(&self, _: PromptRequest) -> Result<Secret, PromptError> {
        Ok(Secret::new(self.0.clone()))
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_password_logs_in() {
    let user = TestUser::new();
    let sshd = Sshd::builder().passwords().start();
    let mut target = target(&sshd, &user);
    target.auth.password = Some(Secret::new(user.password()));
    Connector::new().open(&target, &Emitter::none()).await.unwrap();
    target.auth.password = None;
    let asking = Connector::new().prompter(Answer(user.password().to_owned()));
    asking.open(&target, &Emitter::none()).await.unwrap();
    target.auth.password = Some(Secret::from("wrong"));
    let error = Connector::new().open(&target, &Emitter::none()).await.err().unwrap();
    assert!(error.to_string().contains("password (refused)"), "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_password_logs_in_where_the_server_is_dropbear() {
    let user = TestUser::new();
    let dropbear = Dropbear::start();
    let mut target = Target::new(format!("{}@{}", user.name(), dropbear.host_string()).parse().unwrap());
    target.host_keys.check = HostKeyCheck::Off;
    target.auth.password = Some(Secret::new(user.password()));
    Connector::new().open(&target, &Emitter::none()).await.unwrap();
    target.auth.password = Some(Secret::from("wrong"));
    let error = Connector::new().open(&target, &Emitter::none()).await.err().unwrap();
    assert!(error.to_string().contains("password (refused)"), "{error}");
}

#[tokio::test]
#[ignore = "needs root"]
async fn pam_asks_for_the_password() {
    let user = TestUser::new();
    let sshd = Sshd::builder()
        .config("UsePAM yes")
        .config("KbdInteractiveAuthentication yes")
        .config("PasswordAuthentication no")
        .config("AuthenticationMethods keyboard-interactive")
        .start();
    let mut target = target(&sshd, &user);
    target.auth.password = Some(Secret::new(user.password()));
    let session = Connector::new().open(&target, &Emitter::none()).await.unwrap();
    assert!(session.is_open());
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_key_and_a_password_together() {
    let user = TestUser::new();
    let sshd = Sshd::builder().passwords().config("AuthenticationMethods publickey,password").start();
    let mut target = target(&sshd, &user);
    target.auth.identities = vec![Identity::new(sshd.key())];
    target.auth.password = Some(Secret::new(user.password()));
    Connector::new().open(&target, &Emitter::none()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs root"]
async fn processes_of_an_ordinary_user_are_stopped() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    let session = with_key(&sshd, &user).await;
    for pty in [false, true] {
        let (outcome, pid) = stopped(&*session, "echo $$; sleep 1000; true", pty).await;
        assert_eq!(outcome, StopOutcome::Ended, "{pty}");
        assert!(!is_alive(&pid));
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn without_a_second_channel_the_protocols_signals_do() {
    let user = TestUser::new();
    let sshd = Sshd::builder().max_sessions(1).start();
    let session = with_key(&sshd, &user).await;
    let (outcome, pid) = stopped(&*session, "echo $$; exec sleep 1000", false).await;
    assert_eq!(outcome, StopOutcome::Ended);
    assert!(!is_alive(&pid));
}

#[tokio::test]
#[ignore = "needs root"]
async fn what_belongs_to_somebody_else_is_said_to_run_on() {
    let user = TestUser::new();
    let sshd = Sshd::builder().start();
    let session = with_key(&sshd, &user).await;
    let text = format!(
        "printf '%s\\n' '{}' | sudo -S -p '' sh -c 'echo $$; exec sleep 1000'",
        user.password().replace('\'', r"'\''")
    );
    let (outcome, pid) = stopped(&*session, &text, false).await;
    // sudo may or may not forward the signal; what is reported must be true.
    match outcome {
        StopOutcome::Ended => assert!(!is_alive(&pid)),
        StopOutcome::Unknown(reason) => {
            assert!(reason.contains("cannot be ended by the login user"), "{reason}");
            assert!(is_alive(&pid));
            assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        }
    }
}
