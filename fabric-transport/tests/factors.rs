//! Passwords, questions, second factors and misbehaving hosts, with the embedded fleet: sshd only accepts passwords of
//! this machine's users.

mod common;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::{command, finish, refused, run};
use fabric_core::target::{HostKeyCheck, Identity};
use fabric_core::{
    ConnectError, ConnectErrorKind, Emitter, Event, EventKind, EventSink, ExitStatus, Phase, PromptError, PromptKind,
    PromptRequest, Prompter, Secret, Session, Target,
};
use fabric_transport::connector::Connector;
use fabric_transport_fleet::{ExitFault, Faults, Fleet, FleetHost, Greeting, MaxStartups, Method, Penalties};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Answers from a list, and records the questions.
struct Person {
    answers: Mutex<VecDeque<&'static str>>,
    questions: Mutex<Vec<PromptRequest>>,
}

impl Person {
    fn with(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.iter().copied().collect()), questions: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.questions.lock().unwrap().iter().map(|question| question.message.clone()).collect()
    }
}

#[async_trait]
impl Prompter for Person {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let (message, host) = (request.message.clone(), request.host.clone());
        self.questions.lock().unwrap().push(request);
        tokio::task::yield_now().await;
        let answer = self.answers.lock().unwrap().pop_front();
        answer.map(Secret::from).ok_or(PromptError::NoTerminal { message, host })
    }
}

fn target(host: &FleetHost) -> Target {
    let mut target = Target::new(format!("me@{}", host.address()).parse().unwrap());
    target.host_keys.check = HostKeyCheck::Off;
    target
}

fn with_key(fleet: &Fleet, host: &FleetHost) -> Target {
    let mut target = target(host);
    target.auth.identities = vec![Identity::new(fleet.client_key())];
    target
}

async fn open(person: &Arc<Person>, target: &Target) -> Result<Arc<dyn Session>, ConnectError> {
    Connector::new().prompter(person.clone()).open(target, &Emitter::none()).await
}

#[tokio::test]
async fn a_password_is_taken_from_the_target_or_asked_for() {
    let fleet = Fleet::builder().password("right").start().await.unwrap();
    let mut target = target(&fleet.hosts()[0]);
    target.auth.password = Some(Secret::from("right"));
    let nobody = Person::with(&[]);
    let session = open(&nobody, &target).await.unwrap();
    assert_eq!(run(&*session, "echo in").await.text(), "in\n");
    assert!(nobody.asked().is_empty());

    target.auth.password = Some(Secret::from("wrong"));
    let person = Person::with(&["wrong again", "right"]);
    open(&person, &target).await.unwrap();
    assert_eq!(person.asked(), ["Login password for me@127.0.1.1", "Login password for me@127.0.1.1"]);

    target.auth.password = None;
    let error = open(&Person::with(&["a", "b", "c", "right"]), &target).await.err().unwrap();
    let ConnectErrorKind::AuthFailed { tried, .. } = &error.kind else { panic!("{error}") };
    assert_eq!(tried, &["password (refused)"; 3]);
    assert!(!error.to_string().contains("right"));
}

#[tokio::test]
async fn where_nobody_may_be_asked_the_error_says_so() {
    let fleet = Fleet::builder().password("right").start().await.unwrap();
    let error = refused(&target(&fleet.hosts()[0])).await;
    let text = error.to_string();
    assert!(text.contains("no terminal") && text.contains("the server offers"), "{text}");
}

#[tokio::test]
async fn one_answer_serves_all_hosts_that_ask_the_same() {
    let fleet = Fleet::builder().hosts(20).password("right").start().await.unwrap();
    let person = Person::with(&["right"]);
    let connector = Connector::new().prompter(person.clone());
    let opening = fleet.hosts().iter().map(async |host| connector.open(&target(host), &Emitter::none()).await.is_ok());
    let opened = futures_util::future::join_all(opening).await;
    assert_eq!(opened, vec![true; 20]);
    assert_eq!(person.asked().len(), 1);
}

#[tokio::test]
async fn a_password_that_has_expired_is_told_apart_and_can_be_changed() {
    for current in ["Current password: ", "(current) UNIX password: ", "Old Password: "] {
        let questions = [(current, "old"), ("New password: ", "new"), ("Retype new password: ", "new")];
        let fleet = Fleet::builder().keyboard_interactive(questions).start().await.unwrap();
        let mut target = target(&fleet.hosts()[0]);
        // It isn't the answer to this question.
        target.auth.password = Some(Secret::from("given"));
        let person = Person::with(&["old", "new", "new"]);
        open(&person, &target).await.unwrap();
        let asked = person.asked();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(
            asked.iter().all(|asked| asked.starts_with("The password of me@127.0.1.1 has expired:\n")),
            "{asked:?}"
        );
        assert!(asked[0].contains(current.trim()), "{asked:?}");
        let error = open(&Person::with(&[]), &target).await.err().unwrap().to_string();
        assert!(error.contains("the password has expired, and the server asks for a new one"), "{error}");
    }
}

#[tokio::test]
async fn questions_are_answered_one_by_one() {
    let questions = [("Token code: ", "123456"), ("PIN: ", "9999")];
    let fleet = Fleet::builder().keyboard_interactive(questions).start().await.unwrap();
    let target = target(&fleet.hosts()[0]);
    let person = Person::with(&["123456", "9999"]);
    open(&person, &target).await.unwrap();
    assert_eq!(person.asked(), ["Token code:", "PIN:"]);
    let kinds: Vec<_> = person.questions.lock().unwrap().iter().map(|question| question.kind.clone()).collect();
    assert_eq!(kinds, vec![PromptKind::Challenge { echo: false }; 2]);
    // Wrong at first.
    open(&Person::with(&["1", "2", "123456", "9999"]), &target).await.unwrap();
    // Without a user: an error, and no waiting.
    assert!(matches!(open(&Person::with(&[]), &target).await.err().unwrap().kind, ConnectErrorKind::AuthFailed { .. }));
}

#[tokio::test]
async fn the_password_answers_a_lone_question_for_it() {
    let fleet = Fleet::builder().keyboard_interactive([("me's Password: ", "right")]).start().await.unwrap();
    let mut target = target(&fleet.hosts()[0]);
    target.auth.password = Some(Secret::from("right"));
    open(&Person::with(&[]), &target).await.unwrap();
    target.auth.password = None;
    let person = Person::with(&["right"]);
    open(&person, &target).await.unwrap();
    assert_eq!(person.asked(), ["Login password for me@127.0.1.1"]);
}

#[tokio::test]
async fn two_factors_are_both_given() {
    let methods = [Method::PublicKey, Method::Password];
    let fleet = Fleet::builder().password("right").require(methods).start().await.unwrap();
    let mut target = with_key(&fleet, &fleet.hosts()[0]);
    let error = refused(&target).await;
    let ConnectErrorKind::AuthFailed { tried, offered, .. } = &error.kind else { panic!("{error}") };
    assert!(tried[0].ends_with("(accepted, more is required)"), "{tried:?}");
    assert_eq!(offered, &["password"]);
    target.auth.password = Some(Secret::from("right"));
    open(&Person::with(&[]), &target).await.unwrap();

    // The key was offered before the server asked for one.
    let methods = [Method::Password, Method::PublicKey];
    let fleet = Fleet::builder().password("right").require(methods).start().await.unwrap();
    let mut target = with_key(&fleet, &fleet.hosts()[0]);
    target.auth.password = Some(Secret::from("right"));
    open(&Person::with(&[]), &target).await.unwrap();

    let methods = [Method::Password, Method::KeyboardInteractive];
    let questions = [("Code: ", "42")];
    let fleet = Fleet::builder().password("right").keyboard_interactive(questions).require(methods);
    let fleet = fleet.start().await.unwrap();
    let person = Person::with(&["right", "42"]);
    open(&person, &self::target(&fleet.hosts()[0])).await.unwrap();
    assert_eq!(person.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_drops_early_logins_is_given_time() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = &fleet.hosts()[0];
    let mut faults = Faults::default();
    faults.max_startups = Some(MaxStartups::new(3, 100, 3));
    host.set_faults(faults);
    let connector = Connector::new();
    let target = with_key(&fleet, host);
    let opening = (0..60).map(async |_| connector.open(&target, &Emitter::none()).await.map(drop));
    for result in futures_util::future::join_all(opening).await {
        result.unwrap();
    }
    assert_eq!(host.logins(), 60);
}

/// Clears a host's penalties when a message says that it is tried again.
struct Pardon(FleetHost, Mutex<Vec<String>>);

impl EventSink for Pardon {
    fn emit(&self, event: Event) {
        if let EventKind::Retrying { error, .. } = event.kind {
            self.0.set_faults(Faults::default());
            self.1.lock().unwrap().push(error);
        }
    }
}

#[tokio::test]
async fn a_server_that_penalises_this_address_is_given_time_and_a_person_is_told() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = fleet.hosts()[0].clone();
    let mut faults = Faults::default();
    let hour = Duration::from_hours(1);
    let mut penalties = Penalties::default();
    (penalties.failed, penalties.max) = (hour, hour);
    faults.penalties = Some(penalties);
    host.set_faults(faults);
    let connector = Connector::new();
    let error = connector.open(&target(&host), &Emitter::none()).await.err().unwrap();
    assert_eq!(error.phase, Phase::Auth, "{error}");

    let pardon = Arc::new(Pardon(host.clone(), Mutex::default()));
    connector.open(&with_key(&fleet, &host), &Emitter::new(pardon.clone(), "run")).await.unwrap();
    assert_eq!((host.logins(), host.attempts()), (1, 2));
    let told = pardon.1.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    // Whether the text arrives before the reset depends on the system.
    assert!(told[0].contains("the server closed the connection"), "{told:?}");
}

#[tokio::test]
async fn a_connection_cut_anywhere_is_an_error_and_no_wait() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = &fleet.hosts()[0];
    let mut target = with_key(&fleet, host);
    target.timeouts.banner = Some(Duration::from_millis(500));
    target.timeouts.auth = Some(Duration::from_millis(500));
    target.timeouts.channel = Some(Duration::from_millis(500));
    let mut phases = std::collections::HashSet::new();
    for after in (0..3200).step_by(160) {
        let cases: [fn(&mut Faults, u64); 3] = [
            |faults, after| faults.cut_after = Some(after),
            |faults, after| faults.stall_after = Some(after),
            |faults, after| faults.garble_after = Some(after),
        ];
        for set in cases {
            let mut faults = Faults::default();
            set(&mut faults, after);
            host.set_faults(faults);
            // Without the governor, which would wait after early disconnects.
            let transport = fabric_transport::ssh::SshTransport::new();
            let context = fabric_core::transport::OpenContext::new(Person::with(&[]), Emitter::none());
            let limit = Duration::from_secs(20);
            let opening = fabric_core::Transport::open(&transport, &target, None, &context);
            match tokio::time::timeout(limit, opening).await.expect("within its limits") {
                Err(error) => {
                    phases.insert(error.phase);
                }
                Ok(session) => {
                    let spawned = tokio::time::timeout(limit, session.spawn(&command("echo x"))).await;
                    if let Ok(process) = spawned.expect("within its limits") {
                        let done = tokio::time::timeout(Duration::from_secs(1), finish(process)).await;
                        assert!(!matches!(done, Ok(common::Done { lost: None, exit: None, .. })), "{done:?}");
                    }
                }
            }
        }
    }
    for phase in [Phase::Banner, Phase::KeyExchange, Phase::Auth] {
        assert!(phases.contains(&phase), "{phases:?}");
    }
}

#[tokio::test]
async fn greetings_that_are_none_are_errors() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = &fleet.hosts()[0];
    let mut target = with_key(&fleet, host);
    target.timeouts.banner = Some(Duration::from_millis(300));
    for (greeting, timed_out) in [
        (Greeting::Silence, true),
        (Greeting::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), true),
        (Greeting::Raw(b"SSH-1.5-old\r\n".to_vec()), false),
        (Greeting::Endless, false),
    ] {
        let mut faults = Faults::default();
        faults.greeting = greeting.clone();
        host.set_faults(faults);
        let error = refused(&target).await;
        let is_timeout = matches!(error.kind, ConnectErrorKind::TimedOut { phase: Phase::Banner, .. });
        let is_handshake = matches!(error.kind, ConnectErrorKind::Handshake { .. });
        assert!(if timed_out { is_timeout } else { is_handshake }, "{greeting:?}: {error}");
    }
}

#[tokio::test]
async fn a_web_server_is_told_apart_and_tried_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = Target::new(format!("me@{}", listener.local_addr().unwrap()).parse().unwrap());
    target.host_keys.check = HostKeyCheck::Off;
    let serve = async {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        // Closing with unread data is a reset, which may arrive before the answer.
        socket.read_line(&mut String::new()).await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
        drop((socket, listener));
    };
    let person = Person::with(&[]);
    let (opened, ()) = tokio::join!(open(&person, &target), serve);
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("does not speak SSH 2; it said \"HTTP/1.1 400 Bad Request\""), "{error}");
}

#[tokio::test]
async fn an_exit_status_may_come_early_late_or_never() {
    let fleet = Fleet::builder().start().await.unwrap();
    let host = &fleet.hosts()[0];
    for (fault, expected) in [
        (ExitFault::None, ExitStatus::Code(3)),
        (ExitFault::First, ExitStatus::Code(0)),
        (ExitFault::Missing, ExitStatus::Unknown),
    ] {
        let mut faults = Faults::default();
        faults.exit = fault;
        host.set_faults(faults);
        let session = open(&Person::with(&[]), &with_key(&fleet, host)).await.unwrap();
        let done = run(&*session, "echo all of it; exit 3").await;
        assert_eq!(done.text(), "all of it\n", "{fault:?}");
        if fault != ExitFault::First {
            assert_eq!(done.exit, Some(expected), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn two_jump_hosts_that_differ_in_their_secrets_are_two() {
    let fleet = Fleet::builder().hosts(2).password("right").start().await.unwrap();
    let behind = |change: fn(&mut Target)| {
        let mut target = target(&fleet.hosts()[1]);
        let mut hop = self::target(&fleet.hosts()[0]);
        target.auth.password = Some("right".into());
        hop.auth.password = Some("right".into());
        change(&mut hop);
        target.gateway = Some(fabric_core::Gateway::Jump(Box::new(hop)));
        target
    };
    let (connector, nobody) = (Connector::new(), Emitter::none());
    let open = |target: Target| {
        let (connector, nobody) = (&connector, &nobody);
        async move { connector.open(&target, nobody).await }
    };
    let (right, wrong, other) = tokio::join!(
        open(behind(|_| ())),
        open(behind(|hop| hop.auth.password = Some("wrong".into()))),
        open(behind(|hop| hop.auth.methods = vec!["publickey".into()])),
    );
    let right = right.unwrap();
    assert_eq!(run(&*right, "echo in").await.text(), "in\n");
    for refused in [wrong, other] {
        let Err(ConnectError { kind: ConnectErrorKind::Gateway { .. }, .. }) = refused else {
            panic!("it went through another's gateway")
        };
    }
    assert_eq!(fleet.hosts()[0].logins(), 1);
}
