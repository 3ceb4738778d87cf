//! A handle on a command that runs in the background.

use std::sync::Arc;

use fabric_core::error::SessionError;
use fabric_core::transport::WindowSize;
use fabric_core::{CommandOutcome, Error, Process, ProcessControl, Signal};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::drive::Drive;
use super::driver::Driver;

/// How many bytes of input may wait for the command.
pub(super) const PIPE: usize = 64 * 1024;

/// A running command (the `Promise` of Fabric 3). Its output is read, shown and captured even while this is not awaited.
/// Dropping the handle stops the command.
pub struct Running {
    task: JoinHandle<Result<CommandOutcome, Error>>,
    control: Arc<dyn ProcessControl>,
    stop: CancellationToken,
    stdin: Option<DuplexStream>,
    host: String,
    driver: Driver,
}

impl Running {
    pub(super) fn new(process: Process, drive: Drive, stop: CancellationToken, stdin: Option<DuplexStream>) -> Self {
        let (control, host) = (process.control.clone(), drive.host().to_owned());
        let driver = Driver::current();
        Self { task: tokio::spawn(drive.run(process)), control, stop, stdin, host, driver }
    }

    /// The command's standard input, if it was started with [`Stdin::Handle`](super::Stdin::Handle); dropping it is
    /// end-of-file. A second call returns `None`.
    pub fn take_stdin(&mut self) -> Option<DuplexStream> {
        self.stdin.take()
    }

    /// Waits for its end; the same outcome or error as if the command had been awaited.
    pub async fn wait(mut self) -> Result<CommandOutcome, Error> {
        self.stdin = None;
        if !self.task.is_finished() {
            self.driver.check().await.map_err(|source| self.error(source))?;
        }
        match (&mut self.task).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(self.error(SessionError::Closed)),
        }
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops the command and its group. The outcome has what it printed until then; its exit is that of a command that was
    /// stopped, usually a signal or unknown.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if it could not be stopped: its `still_running` says why. If the command had ended already, its
    /// error, as from [`wait`](Self::wait).
    pub async fn stop(self) -> Result<CommandOutcome, Error> {
        self.stop.cancel();
        match self.wait().await {
            Err(Error::Interrupted { outcome, still_running: None }) => Ok(*outcome),
            ended => ended,
        }
    }

    /// Sends it a signal. SSH has no answer to that, and servers may ignore it.
    pub async fn signal(&self, signal: Signal) -> Result<(), Error> {
        self.control.signal(signal).await.map_err(|source| self.error(source))
    }

    /// Changes the size of its terminal.
    pub async fn resize(&self, size: WindowSize) -> Result<(), Error> {
        self.control.resize(size).await.map_err(|source| self.error(source))
    }

    fn error(&self, error: SessionError) -> Error {
        Error::Session { host: self.host.clone(), error }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task's future stops the process when it is dropped.
        self.task.abort();
    }
}
