//! Calling a plugin: on a thread of its own, with a time limit, cancelled when nobody waits any more.
#![allow(unsafe_code, reason = "a C ABI is crossed here")]

use std::ffi::c_int;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

use fabric_plugin_sdk::PluginError;
use fabric_plugin_sdk::abi::{Buf, Status, Str};
use tokio::sync::oneshot;

use super::Plugin;
use super::library::take;

/// How much longer than its time limit a call may take until it is given up: it was asked to stop then.
const GRACE: Duration = Duration::from_secs(2);

/// Why a call came to nothing; the plugin's name is added by who tells it.
#[derive(Debug)]
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

/// Gateways: a connected stream.
pub(super) async fn dial(plugin: &Plugin, request: String, limit: Duration) -> Result<OwnedFd, CallError> {
    call(plugin, limit, move |plugin, cancel| {
        let dial = plugin.0.table.dial.ok_or(CallError::Unsupported)?;
        let (mut fd, mut error) = (-1, Buf::empty());
        // SAFETY: called as the header says: the request and the cancel descriptor live through the call, the
        // out pointers are writable.
        let status = unsafe { dial(Str::borrowed(&request), cancel.as_raw_fd(), &raw mut fd, &raw mut error) };
        check(plugin, status, error)?;
        adopt(fd)
    })
    .await
}

/// Transports: a session's number.
pub(super) async fn open(plugin: &Plugin, request: String, limit: Duration) -> Result<u64, CallError> {
    call(plugin, limit, move |plugin, cancel| {
        let open = plugin.0.table.open.ok_or(CallError::Unsupported)?;
        let (mut session, mut error) = (0, Buf::empty());
        // SAFETY: as above.
        let status = unsafe { open(Str::borrowed(&request), cancel.as_raw_fd(), &raw mut session, &raw mut error) };
        check(plugin, status, error)?;
        Ok(session)
    })
    .await
}

/// Transports: a process's standard input, output, error and control.
pub(super) async fn spawn(
    plugin: &Plugin,
    session: u64,
    request: String,
    limit: Duration,
) -> Result<(OwnedFd, OwnedFd, Option<OwnedFd>, OwnedFd), CallError> {
    call(plugin, limit, move |plugin, cancel| {
        let spawn = plugin.0.table.spawn.ok_or(CallError::Unsupported)?;
        let (mut fds, mut error) = ([-1; 4], Buf::empty());
        let request = Str::borrowed(&request);
        // SAFETY: as above; there is room for four descriptors.
        let status = unsafe { spawn(session, request, cancel.as_raw_fd(), fds.as_mut_ptr(), &raw mut error) };
        check(plugin, status, error)?;
        let stderr = if fds[2] < 0 { None } else { Some(adopt(fds[2])?) };
        Ok((adopt(fds[0])?, adopt(fds[1])?, stderr, adopt(fds[3])?))
    })
    .await
}

/// Transports: a stream that speaks SFTP.
pub(super) async fn files(plugin: &Plugin, session: u64, limit: Duration) -> Result<OwnedFd, CallError> {
    call(plugin, limit, move |plugin, cancel| {
        let files = plugin.0.table.files.ok_or(CallError::Unsupported)?;
        let (mut fd, mut error) = (-1, Buf::empty());
        // SAFETY: as above.
        let status = unsafe { files(session, cancel.as_raw_fd(), &raw mut fd, &raw mut error) };
        check(plugin, status, error)?;
        adopt(fd)
    })
    .await
}

/// Transports: the session has ended. Not waited for.
pub(super) fn close(plugin: &Plugin, session: u64) {
    let Some(close) = plugin.0.table.close else { return };
    // If no thread can be had, the plugin's session ends with the program.
    let _ = std::thread::Builder::new().name("plugin-close".to_owned()).spawn(move || {
        // SAFETY: called as the header says, with a number that the plugin gave.
        unsafe { close(session) };
    });
}

/// Runs `work` on a thread that the program's end does not wait for. When the answer is no longer wanted, or
/// its time is up, the descriptor `work` was given becomes readable.
async fn call<T: Send + 'static>(
    plugin: &Plugin,
    limit: Duration,
    work: impl FnOnce(&Plugin, BorrowedFd<'_>) -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    use std::os::fd::AsFd as _;
    let failed = |error: std::io::Error| CallError::Failed(error.to_string());
    // Whoever waits holds the writing end: dropping it makes the reading end readable.
    let (cancel, waiting) = std::io::pipe().map_err(failed)?;
    let (answer, answered) = oneshot::channel();
    let plugin = plugin.clone();
    let thread = std::thread::Builder::new().name(format!("plugin-{}", plugin.name()));
    let run = move || {
        // What comes too late is dropped here, descriptors included.
        let _ = answer.send(work(&plugin, cancel.as_fd()));
    };
    thread.spawn(run).map_err(failed)?;
    let lost = || CallError::Failed("its thread ended without an answer".to_owned());
    let mut answered = answered;
    if let Ok(answer) = tokio::time::timeout(limit, &mut answered).await {
        return answer.unwrap_or_else(|_| Err(lost()));
    }
    drop(waiting);
    match tokio::time::timeout(GRACE, answered).await {
        Ok(Ok(Ok(late))) => Ok(late),
        _ => Err(CallError::TimedOut(limit)),
    }
}

fn check(plugin: &Plugin, status: i32, error: Buf) -> Result<(), CallError> {
    let text = take(&plugin.0.table, error).map_err(CallError::Failed)?;
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
