//! The session of a connection: opened by the first request, shared, and opened again after it broke.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fabric_core::error::SessionError;
use fabric_core::{ConnectError, Files, HostString, Session};
use parking_lot::Mutex;

use super::driver::{Driver, DriverState};
use super::working_files::WorkingFiles;

#[derive(Default)]
pub(super) struct SessionSlot {
    current: Mutex<Option<Current>>,
    /// Locked while opening; has the last failure and its number.
    opening: tokio::sync::Mutex<Option<(u64, ConnectError)>>,
    /// How many attempts to open have ended.
    ended: AtomicU64,
}

/// What is opened once for each session.
#[derive(Default)]
struct Memo {
    files: tokio::sync::OnceCell<Arc<dyn Files>>,
    /// With a working directory for each name of the host; separate for dry runs.
    working: Mutex<HashMap<(HostString, bool), Arc<WorkingFiles>>>,
}

struct Current {
    session: Arc<dyn Session>,
    driver: Driver,
    memo: Arc<Memo>,
}

impl SessionSlot {
    /// The open session, or the one that `open` returns. Calls that wait for another's attempt get its result, a session
    /// or an error.
    pub(super) async fn get<F>(&self, open: impl FnOnce() -> F) -> Result<Arc<dyn Session>, ConnectError>
    where
        F: Future<Output = Result<Arc<dyn Session>, ConnectError>>,
    {
        let came_at = self.ended.load(Ordering::Acquire);
        if let Some(session) = self.standing() {
            return Ok(session);
        }
        let mut failure = self.opening.lock().await;
        if let Some(session) = self.standing() {
            return Ok(session);
        }
        if let Some((number, error)) = &*failure
            && *number > came_at
        {
            return Err(error.clone());
        }
        let opened = open().await;
        let number = self.ended.fetch_add(1, Ordering::AcqRel) + 1;
        match opened {
            Ok(session) => {
                *failure = None;
                *self.lock() =
                    Some(Current { session: session.clone(), driver: Driver::current(), memo: Arc::default() });
                Ok(session)
            }
            Err(error) => {
                *failure = Some((number, error.clone()));
                Err(error)
            }
        }
    }

    /// The files of `session`, memoised for as long as it is the current one.
    pub(super) async fn files(&self, session: &Arc<dyn Session>) -> Result<Arc<dyn Files>, SessionError> {
        match self.memo(session) {
            Some(memo) => memo.files.get_or_try_init(|| session.files()).await.cloned(),
            None => session.files().await,
        }
    }

    /// `files` with a working directory, memoised for as long as `session` is the current one.
    pub(super) fn working_files(
        &self,
        session: &Arc<dyn Session>,
        host: &HostString,
        dry: bool,
        files: Arc<dyn Files>,
    ) -> Arc<WorkingFiles> {
        let make = || Arc::new(WorkingFiles::new(files));
        let Some(memo) = self.memo(session) else { return make() };
        let mut working = memo.working.lock();
        working.entry((host.clone(), dry)).or_insert_with(make).clone()
    }

    fn memo(&self, session: &Arc<dyn Session>) -> Option<Arc<Memo>> {
        let current = self.lock();
        current.as_ref().filter(|current| Arc::ptr_eq(&current.session, session)).map(|current| current.memo.clone())
    }

    pub(super) fn is_open(&self) -> bool {
        self.standing().is_some()
    }

    /// Waits for an attempt in progress, so that no session is open afterwards.
    pub(super) async fn close(&self) {
        let _opening = self.opening.lock().await;
        let current = self.lock().take();
        if let Some(current) = current {
            current.session.close().await;
        }
    }

    /// For the drop of the last owner; without a runtime the session is only dropped.
    pub(super) fn close_in_background(&mut self) {
        let current = self.lock().take();
        if let (Some(current), Ok(runtime)) = (current, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { current.session.close().await });
        }
    }

    /// The session, if it is open; an error if its runtime does nothing, which would block its user forever.
    pub(super) async fn usable(&self) -> Result<Option<Arc<dyn Session>>, SessionError> {
        let Some((session, driver)) = self.standing_with(|current| (current.session.clone(), current.driver.clone()))
        else {
            return Ok(None);
        };
        if !session.needs_its_runtime() {
            return Ok(Some(session));
        }
        match driver.state().await {
            DriverState::Running => Ok(Some(session)),
            DriverState::Idle => Err(SessionError::NotDriven),
            DriverState::Gone => {
                self.lock().take_if(|current| Arc::ptr_eq(&current.session, &session));
                Ok(None)
            }
        }
    }

    /// The session, if it is open.
    pub(super) fn standing(&self) -> Option<Arc<dyn Session>> {
        self.standing_with(|current| current.session.clone())
    }

    fn standing_with<T>(&self, of: impl FnOnce(&Current) -> T) -> Option<T> {
        self.lock().as_ref().filter(|current| current.session.is_open()).map(of)
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Option<Current>> {
        self.current.lock()
    }
}
