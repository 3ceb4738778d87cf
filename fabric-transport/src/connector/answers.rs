//! Passwords that the user entered, for other hosts with the same prompt.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::{PromptError, PromptKind, PromptRequest, Prompter, Secret};
use parking_lot::Mutex;

/// The passwords that were entered in a run, by user and host, and the last one of each user as default (as in
/// Fabric 1). They are numbered in the order of entry.
#[derive(Debug, Default)]
pub(super) struct Answers {
    entered: Mutex<Entered>,
    /// One prompt at a time: its answer may serve those that wait.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Entered {
    passwords: HashMap<(String, Option<String>), (u64, Secret)>,
    last: u64,
}

impl Answers {
    /// The newest answer for this user and host, or else for this user, that is newer than `after`.
    fn find(&self, user: &str, host: Option<&str>, after: u64) -> Option<(u64, Secret)> {
        let entered = self.entered.lock();
        let newer = |host: Option<&str>| {
            let found = entered.passwords.get(&(user.to_owned(), host.map(str::to_owned)));
            found.filter(|(number, _)| *number > after).cloned()
        };
        newer(host).or_else(|| newer(None))
    }

    fn remember(&self, user: &str, host: Option<&str>, password: &Secret) -> u64 {
        let mut entered = self.entered.lock();
        entered.last += 1;
        let answer = (entered.last, password.clone());
        entered.passwords.insert((user.to_owned(), host.map(str::to_owned)), answer.clone());
        entered.passwords.insert((user.to_owned(), None), answer);
        entered.last
    }
}

/// The [`Prompter`] of one login: returns each remembered password once, and then asks.
pub(super) struct Remembering {
    pub(super) answers: Arc<Answers>,
    pub(super) prompter: Arc<dyn Prompter>,
    /// The number of the last answer that this login has tried.
    tried: Mutex<u64>,
}

impl Remembering {
    pub(super) fn new(answers: Arc<Answers>, prompter: Arc<dyn Prompter>) -> Self {
        Self { answers, prompter, tried: Mutex::new(0) }
    }

    fn recall(&self, user: &str, host: Option<&str>) -> Option<Secret> {
        let mut tried = self.tried.lock();
        let (number, password) = self.answers.find(user, host, *tried)?;
        *tried = number;
        Some(password)
    }
}

#[async_trait]
impl Prompter for Remembering {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let PromptKind::Password { user } = &request.kind else { return self.prompter.ask(request).await };
        let (user, host) = (user.clone(), request.host.clone());
        if let Some(password) = self.recall(&user, host.as_deref()) {
            return Ok(password);
        }
        let _turn = self.answers.turn.lock().await;
        if let Some(password) = self.recall(&user, host.as_deref()) {
            return Ok(password);
        }
        let password = self.prompter.ask(request).await?;
        let number = self.answers.remember(&user, host.as_deref(), &password);
        *self.tried.lock() = number;
        Ok(password)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Prompter for Counting {
        async fn ask(&self, _: PromptRequest) -> Result<Secret, PromptError> {
            tokio::task::yield_now().await;
            Ok(Secret::new(format!("answer {}", self.0.fetch_add(1, Ordering::SeqCst))))
        }
    }

    async fn ask(login: &Remembering, host: &str) -> String {
        let kind = PromptKind::Password { user: "u".to_owned() };
        let request = PromptRequest::new(kind, "").host(host.to_owned());
        login.ask(request).await.unwrap().expose().to_owned()
    }

    #[tokio::test]
    async fn many_hosts_are_one_question_and_a_wrong_answer_is_asked_again() {
        let (answers, person) = (Arc::new(Answers::default()), Arc::new(Counting::default()));
        let login = || Remembering::new(answers.clone(), person.clone());
        let logins: Vec<Remembering> = (0..20).map(|_| login()).collect();
        let all = futures_util::future::join_all(logins.iter().map(|login| ask(login, "h"))).await;
        assert!(all.iter().all(|answer| answer == "answer 0"), "{all:?}");
        // The first host that comes back for another one is asked, and the others get that one too.
        assert_eq!(ask(&logins[0], "h").await, "answer 1");
        assert_eq!(ask(&logins[1], "other").await, "answer 1");
        assert_eq!(person.0.load(Ordering::SeqCst), 2);
        assert_eq!(ask(&login(), "h").await, "answer 1");
    }
}
