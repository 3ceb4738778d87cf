//! Calling a plugin: on a thread of its own, with a time limit, cancelled when nobody waits any more.
#![allow(unsafe_code, reason = "a C ABI is crossed here")]

use std::ffi::c_int;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fabric_plugin_sdk::PluginError;
use fabric_plugin_sdk::abi::{Buf, Status, Str};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::library::{Library, take};
use super::{Backend, Plugin};

/// How much longer than its time limit a call may take until it is given up: it was asked to stop then.
const GRACE: Duration = Duration::from_secs(2);

/// What can be asked of a plugin; the texts are its JSON requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Call {
    Dial(String),
    Open(String),
    Spawn(u64, String),
    Files(u64),
    Close(u64),
}

/// What a plugin answers: descriptors, some of which may be left out, and a session's number.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) session: u64,
    pub(super) fds: Vec<Option<OwnedFd>>,
}

impl Answer {
    /// The descriptor at this place.
    pub(super) fn take_fd(&mut self, at: usize) -> Result<OwnedFd, CallError> {
        let fd = self.fds.get_mut(at).and_then(Option::take);
        fd.ok_or_else(|| CallError::Failed("a descriptor is missing from its answer".to_owned()))
    }
}

/// Why a call came to nothing; the plugin's name is added by who tells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum CallError {
    Unsupported,
    Failed(String),
    TimedOut(Duration),
}

impl CallError {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unsupported => "it does not support this".to_owned(),
            Self::Failed(reason) => reason.clone(),
            Self::TimedOut(after) => format!("it gave no answer within {} s", after.as_secs_f64()),
        }
    }
}

/// Asks, and waits for at most `limit`. Where the plugin lives makes no difference.
pub(super) async fn call(plugin: &Plugin, call: Call, limit: Duration) -> Result<Answer, CallError> {
    let (mut answered, waiting): (_, Box<dyn Send>) = match &plugin.0.backend {
        Backend::Library(library) => {
            let (answered, waiting) = on_a_thread(library.clone(), call)?;
            (answered, Box::new(waiting))
        }
        Backend::Child(child) => {
            let (answered, waiting) = child.ask(call)?;
            (answered, Box::new(waiting))
        }
    };
    let lost = || CallError::Failed("its thread ended without an answer".to_owned());
    if let Ok(answer) = tokio::time::timeout(limit, &mut answered).await {
        return answer.unwrap_or_else(|_| Err(lost()));
    }
    drop(waiting);
    match tokio::time::timeout(GRACE, answered).await {
        Ok(Ok(Ok(late))) => Ok(late),
        _ => Err(CallError::TimedOut(limit)),
    }
}

/// Tells a plugin that a session has ended. Not waited for.
pub(super) fn close(plugin: &Plugin, session: u64) {
    // If it cannot be told, its session ends with it.
    match &plugin.0.backend {
        Backend::Library(library) => drop(on_a_thread(library.clone(), Call::Close(session))),
        Backend::Child(child) => drop(child.ask(Call::Close(session))),
    }
}

pub(super) type Answered = oneshot::Receiver<Result<Answer, CallError>>;

/// Performs a call on a thread that the program's end does not wait for. Dropping what is returned beside
/// the answer makes the call's cancel descriptor readable.
pub(super) fn on_a_thread(library: Arc<Library>, call: Call) -> Result<(Answered, std::io::PipeWriter), CallError> {
    let failed = |error: std::io::Error| CallError::Failed(error.to_string());
    let (cancel, waiting) = std::io::pipe().map_err(failed)?;
    let (answer, answered) = oneshot::channel();
    let run = move || {
        // What comes too late is dropped here, descriptors included.
        let _ = answer.send(perform(&library, &call, cancel.as_fd()));
    };
    std::thread::Builder::new().name("plugin".to_owned()).spawn(run).map_err(failed)?;
    Ok((answered, waiting))
}

/// The call itself, here and now.
fn perform(library: &Library, call: &Call, cancel: BorrowedFd<'_>) -> Result<Answer, CallError> {
    let table = &library.table;
    let cancel = cancel.as_raw_fd();
    let mut error = Buf::empty();
    let mut fds = [-1; 4];
    let mut session = 0;
    let missing = || CallError::Unsupported;
    // SAFETY: each is called as the header says: the request and the cancel descriptor live through the call,
    // the out pointers are writable, and `spawn` has room for four descriptors.
    let (status, wanted) = unsafe {
        match call {
            Call::Dial(request) => {
                let dial = table.dial.ok_or_else(missing)?;
                (dial(Str::borrowed(request), cancel, fds.as_mut_ptr(), &raw mut error), 1)
            }
            Call::Open(request) => {
                let open = table.open.ok_or_else(missing)?;
                (open(Str::borrowed(request), cancel, &raw mut session, &raw mut error), 0)
            }
            Call::Spawn(session, request) => {
                let spawn = table.spawn.ok_or_else(missing)?;
                (spawn(*session, Str::borrowed(request), cancel, fds.as_mut_ptr(), &raw mut error), 4)
            }
            Call::Files(session) => {
                let files = table.files.ok_or_else(missing)?;
                (files(*session, cancel, fds.as_mut_ptr(), &raw mut error), 1)
            }
            Call::Close(session) => {
                if let Some(close) = table.close {
                    close(*session);
                }
                (Status::Ok as i32, 0)
            }
        }
    };
    check(library, status, error)?;
    let optional = |at: usize, fd: c_int| wanted == 4 && at == 2 && fd < 0;
    let adopt_all = fds.iter().take(wanted).enumerate();
    let fds = adopt_all.map(|(at, fd)| if optional(at, *fd) { Ok(None) } else { adopt(*fd).map(Some) });
    Ok(Answer { session, fds: fds.collect::<Result<_, _>>()? })
}

fn check(library: &Library, status: i32, error: Buf) -> Result<(), CallError> {
    let text = take(&library.table, error).map_err(CallError::Failed)?;
    let or = |default: &str| if text.is_empty() { default.to_owned() } else { text.clone() };
    match Status::from_number(status) {
        Some(Status::Ok) => Ok(()),
        Some(Status::Failed) => Err(CallError::Failed(or("it failed and gave no reason"))),
        Some(Status::Cancelled) => Err(CallError::Failed(PluginError::Cancelled.to_string())),
        Some(Status::Unsupported) => Err(CallError::Unsupported),
        Some(Status::Panicked) => Err(CallError::Failed(format!("it panicked: {}", or("without a message")))),
        None => Err(CallError::Failed(format!("it answered with the unknown status {status}"))),
    }
}

/// Takes over a descriptor that a plugin gave away.
fn adopt(fd: c_int) -> Result<OwnedFd, CallError> {
    // 0 to 2 are this program's own, whatever the plugin thinks.
    if fd <= 2 {
        return Err(CallError::Failed(format!("it gave descriptor {fd}, which is not its to give")));
    }
    // SAFETY: only asks whether it is open.
    let open = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) });
    if open.is_err() {
        return Err(CallError::Failed(format!("it gave descriptor {fd}, which is not open")));
    }
    // SAFETY: open, and the ABI passes its ownership to us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(|e| CallError::Failed(e.to_string()))?;
    Ok(fd)
}
