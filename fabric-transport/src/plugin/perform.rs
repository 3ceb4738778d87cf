//! A call into a library, on a thread of its own.
#![allow(unsafe_code, reason = "a C ABI is crossed here")]

use std::ffi::c_int;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fabric_plugin_sdk::PluginError;
use fabric_plugin_sdk::abi::{Buf, Status, Str};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::introduction::harmless;
use super::library::{Library, take};

/// A call of a plugin; the texts are its JSON requests, and may contain a password.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Call {
    Dial(String),
    Open(String),
    Spawn(u64, String),
    Files(u64),
    Close(u64),
}

/// A plugin's answer: descriptors, some of which may be missing, and a session's number.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) session: u64,
    pub(super) fds: Vec<Option<OwnedFd>>,
}

impl Answer {
    /// The descriptor at this index.
    pub(super) fn take_fd(&mut self, at: usize) -> Result<OwnedFd, CallError> {
        let fd = self.fds.get_mut(at).and_then(Option::take);
        fd.ok_or_else(|| CallError::Failed("a descriptor is missing from its answer".to_owned()))
    }
}

/// Why a call failed; the caller adds the plugin's name.
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
            Self::Failed(reason) => harmless(reason),
            Self::TimedOut(after) => format!("it gave no answer within {} s", after.as_secs_f64()),
        }
    }
}

pub(super) fn lost() -> CallError {
    CallError::Failed("its thread ended without an answer".to_owned())
}

/// Runs on a thread that the program's exit doesn't wait for.
pub(super) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), CallError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(|error| CallError::Failed(error.to_string()))
}

pub(super) type Answered = oneshot::Receiver<Result<Answer, CallError>>;

/// Performs a call on a thread that the program's exit doesn't wait for. The second value makes the call's cancel
/// descriptor readable when it is dropped.
pub(super) fn on_a_thread(library: Arc<Library>, call: Call) -> Result<(Answered, std::io::PipeWriter), CallError> {
    let failed = |error: std::io::Error| CallError::Failed(error.to_string());
    let (cancel, waiting) = std::io::pipe().map_err(failed)?;
    let (answer, answered) = oneshot::channel();
    let run = move || {
        // A late answer is dropped here, descriptors included.
        let _ = answer.send(perform(&library, &call, cancel.as_fd()));
    };
    thread("plugin", run)?;
    Ok((answered, waiting))
}

/// Performs the call on this thread.
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
    Ok(Answer { session, fds: adopt(&fds[..wanted])? })
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

/// Takes ownership of the descriptors that a plugin returned: of all, or of none if one is invalid.
fn adopt(given: &[c_int]) -> Result<Vec<Option<OwnedFd>>, CallError> {
    // Of a process's four descriptors, standard error may be missing.
    let left_out = |at: usize, fd: c_int| given.len() == 4 && at == 2 && fd < 0;
    for (at, fd) in given.iter().copied().enumerate().filter(|(at, fd)| !left_out(*at, *fd)) {
        // SAFETY: only asks whether it is open, and not where it is negative.
        let is_open = || rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) }).is_ok();
        // 0 to 2 belong to this program, whatever the plugin returns.
        let wrong = if fd <= 2 {
            "which is not its to give"
        } else if given[..at].contains(&fd) {
            "twice: each must be one of its own (dup)"
        } else if is_open() {
            continue;
        } else {
            "which is not open"
        };
        return Err(CallError::Failed(format!("it gave descriptor {fd}, {wrong}")));
    }
    let take = |(at, fd): (usize, &c_int)| {
        if left_out(at, *fd) {
            return Ok(None);
        }
        // SAFETY: open, named once, and the ABI passes its ownership to us.
        let fd = unsafe { OwnedFd::from_raw_fd(*fd) };
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(|e| CallError::Failed(e.to_string()))?;
        Ok(Some(fd))
    };
    given.iter().enumerate().map(take).collect()
}
