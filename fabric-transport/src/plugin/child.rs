//! A plugin in a child process: even a crash is only an error of the hosts that used it.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::introduction::{Introduction, PluginLoadError};
use super::library::{self, Library};
use super::perform::{Answer, Answered, Call, CallError, on_a_thread};
use super::wire;

/// The messages between a program and its child.
#[derive(Serialize, Deserialize)]
enum Question {
    Call(Call),
    Cancel,
}

/// An answer without its descriptors: only which of them there are.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    session: u64,
    fds: Vec<bool>,
}

/// How to start a child for a plugin; it is started again after a crash.
#[derive(Debug)]
pub(super) struct Child {
    program: Vec<String>,
    file: PathBuf,
    running: Mutex<Option<Arc<ChildProcess>>>,
}

/// A started child. It may have ended since.
#[derive(Debug)]
pub(super) struct ChildProcess {
    socket: UnixStream,
    sending: Mutex<()>,
    state: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Answer, CallError>>>,
    ended: Option<String>,
}

/// Cancels a call when it is dropped; without effect after the answer.
pub(super) struct CallGuard(Arc<ChildProcess>, u64);

impl Drop for CallGuard {
    fn drop(&mut self) {
        // A child that is gone has nothing to cancel.
        let _ = self.0.send(self.1, &Question::Cancel);
    }
}

impl Child {
    /// Starts `program FILE`, which must call [`host`], and reads the plugin's description.
    pub(super) fn start(program: &[String], file: &Path) -> Result<(Self, Introduction), PluginLoadError> {
        let error = |reason: String| PluginLoadError::new(file, &reason);
        let child = Self { program: program.to_vec(), file: file.to_owned(), running: Mutex::new(None) };
        let (running, introduction) = child.run().map_err(error)?;
        *child.running.lock() = Some(running);
        Ok((child, introduction))
    }

    /// The running child, unless it has crashed or is being started.
    pub(super) fn alive(&self) -> Option<Arc<ChildProcess>> {
        self.running.try_lock()?.as_ref().filter(|running| running.is_alive()).cloned()
    }

    /// The same; a child that crashed is replaced, which takes a while.
    pub(super) fn running(&self) -> Result<Arc<ChildProcess>, String> {
        let mut running = self.running.lock();
        match running.as_ref().filter(|running| running.is_alive()) {
            Some(alive) => Ok(alive.clone()),
            None => Ok(running.insert(self.run()?.0).clone()),
        }
    }

    fn run(&self) -> Result<(Arc<ChildProcess>, Introduction), String> {
        let (ours, theirs) = UnixStream::pair().map_err(|e| e.to_string())?;
        let (program, args) = self.program.split_first().ok_or("no program is given to host plugins")?;
        let mut command = Command::new(program);
        command.args(args).arg(&self.file).stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        // The program handles Ctrl-C; the child ends with the program.
        command.process_group(0);
        let mut process = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
        drop(command);
        let said = process.stderr.take().map(LastWords::of).transpose().map_err(|e| e.to_string())?;
        let introduction = match introduced(&ours) {
            Ok(Some(introduction)) => introduction,
            Ok(None) => return Err(ended(process.wait().ok(), said.as_ref())),
            Err(why) => {
                // It may hang, and is no longer needed. It may also have ended already.
                let _ = process.kill();
                let _ = process.wait();
                return Err(why);
            }
        };
        let running = Arc::new(ChildProcess { socket: ours, sending: Mutex::default(), state: Mutex::default() });
        let reader = running.clone();
        let read = move || {
            while let Ok(frame) = wire::receive(&reader.socket) {
                reader.answered(frame);
            }
            reader.ended(ended(process.wait().ok(), said.as_ref()));
        };
        std::thread::Builder::new().name("plugin-child".to_owned()).spawn(read).map_err(|e| e.to_string())?;
        Ok((running, introduction))
    }
}

/// The child's first message: `None` if it ended without one, an error if it can't host the plugin.
fn introduced(socket: &UnixStream) -> Result<Option<Introduction>, String> {
    let limit = library::LOAD_LIMIT * 2;
    socket.set_read_timeout(Some(limit)).map_err(|e| e.to_string())?;
    let frame = match wire::receive(socket) {
        Ok(frame) => frame,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(format!("its process did not describe itself within {} s", limit.as_secs_f64()));
        }
        Err(_) => return Ok(None),
    };
    socket.set_read_timeout(None).map_err(|e| e.to_string())?;
    let said = serde_json::from_slice::<Result<Introduction, String>>(&frame.json).map_err(|e| e.to_string())?;
    said.map(Some)
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // The child ends when its socket is closed.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl ChildProcess {
    pub(super) fn is_alive(&self) -> bool {
        self.state().ended.is_none()
    }

    pub(super) fn ask(self: &Arc<Self>, call: Call) -> Result<(Answered, CallGuard), CallError> {
        let (answer, answered) = oneshot::channel();
        let number = {
            let mut state = self.state();
            if let Some(ended) = &state.ended {
                return Err(CallError::Failed(ended.clone()));
            }
            state.next += 1;
            let number = state.next;
            state.waiting.insert(number, answer);
            number
        };
        // If the request can't be sent, the child is gone, and the reader reports that to all waiting calls.
        let _ = self.send(number, &Question::Call(call));
        Ok((answered, CallGuard(self.clone(), number)))
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, Calls> {
        self.state.lock()
    }

    fn send(&self, number: u64, question: &Question) -> std::io::Result<()> {
        let json = serde_json::to_vec(question)?;
        let _turn = self.sending.lock();
        wire::send(&self.socket, number, &json, &[])
    }

    fn answered(&self, frame: wire::Frame) {
        let Some(waiting) = self.state().waiting.remove(&frame.call) else { return };
        let answer = match serde_json::from_slice::<Result<Told, CallError>>(&frame.json) {
            Ok(Ok(told)) => {
                let mut fds = frame.fds.into_iter();
                let fds = told.fds.iter().map(|there| if *there { fds.next() } else { None }).collect();
                Ok(Answer { session: told.session, fds })
            }
            Ok(Err(error)) => Err(error),
            Err(error) => Err(CallError::Failed(error.to_string())),
        };
        // The caller may have stopped waiting.
        let _ = waiting.send(answer);
    }

    fn ended(&self, how: String) {
        let mut state = self.state();
        for (_, waiting) in state.waiting.drain() {
            let _ = waiting.send(Err(CallError::Failed(how.clone())));
        }
        state.ended = Some(how);
    }
}

/// How the child ended, with the last line of its standard error.
fn ended(status: Option<ExitStatus>, said: Option<&LastWords>) -> String {
    let how = match status.map(|status| (status.signal(), status)) {
        Some((Some(signal), _)) => format!("it crashed (signal {signal})"),
        Some((None, status)) => format!("its process ended ({status})"),
        None => "its process ended".to_owned(),
    };
    match said.and_then(LastWords::line) {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}

/// The last part of a child's standard error: read at once, so that a plugin with much output never blocks.
struct LastWords {
    tail: Arc<Mutex<Vec<u8>>>,
    reading: mpsc::Receiver<()>,
}

impl LastWords {
    /// How much is kept: enough for a panic's message.
    const KEPT: usize = 4096;
    /// Processes of the child may keep its standard error open after its end; then the output so far is used.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn of(mut stderr: ChildStderr) -> std::io::Result<Self> {
        let tail = Arc::<Mutex<Vec<u8>>>::default();
        let (ended, reading) = mpsc::channel();
        let kept = tail.clone();
        let read = move || {
            // Dropped, which signals the end of the output.
            let _ended: mpsc::Sender<()> = ended;
            let mut buffer = [0; Self::KEPT];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                let mut kept = kept.lock();
                kept.extend_from_slice(&buffer[..read]);
                let surplus = kept.len().saturating_sub(Self::KEPT);
                kept.drain(..surplus);
            }
        };
        std::thread::Builder::new().name("plugin-stderr".to_owned()).spawn(read)?;
        Ok(Self { tail, reading })
    }

    fn line(&self) -> Option<String> {
        let _ = self.reading.recv_timeout(Self::PATIENCE);
        let tail = self.tail.lock();
        let said = String::from_utf8_lossy(&tail);
        said.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }
}

/// The main function of a child that hosts a plugin for [`Plugin::load_isolated`](super::Plugin::load_isolated);
/// `socket` is its standard input. Returns when the program at the other end is gone.
pub fn host(file: &Path, socket: UnixStream) {
    let socket = Arc::new(socket);
    let library = library::load(file);
    let introduction = library.as_ref().map(|library| &library.introduction).map_err(|error| &error.reason);
    let Ok(json) = serde_json::to_vec(&introduction) else { return };
    let (Ok(()), Ok(library)) = (wire::send(&socket, 0, &json, &[]), library) else { return };
    let sending = Arc::new(Mutex::new(()));
    let cancels = Arc::new(Mutex::new(HashMap::new()));
    while let Ok(frame) = wire::receive(&socket) {
        match serde_json::from_slice(&frame.json) {
            Ok(Question::Call(call)) => answer(&library, frame.call, call, &socket, &sending, &cancels),
            Ok(Question::Cancel) | Err(_) => {
                drop(cancels.lock().remove(&frame.call));
            }
        }
    }
}

type Cancels = Arc<Mutex<HashMap<u64, std::io::PipeWriter>>>;

fn answer(
    library: &Arc<Library>,
    number: u64,
    call: Call,
    socket: &Arc<UnixStream>,
    sending: &Arc<Mutex<()>>,
    cancels: &Cancels,
) {
    let (socket, sending, cancels) = (socket.clone(), sending.clone(), cancels.clone());
    let reply = move |answer: Result<Answer, CallError>| {
        let (told, fds) = match answer {
            Ok(answer) => {
                let told = Told { session: answer.session, fds: answer.fds.iter().map(Option::is_some).collect() };
                (Ok(told), answer.fds.into_iter().flatten().collect())
            }
            Err(error) => (Err(error), Vec::new()),
        };
        let borrowed: Vec<_> = fds.iter().map(OwnedFd::as_fd).collect();
        if let Ok(json) = serde_json::to_vec(&told) {
            let _turn = sending.lock();
            // A program that is gone needs no answer.
            let _ = wire::send(&socket, number, &json, &borrowed);
        }
    };
    match on_a_thread(library.clone(), call) {
        Ok((answered, cancel)) => {
            cancels.lock().insert(number, cancel);
            let wait = move || {
                let lost = || Err(CallError::Failed("its thread ended without an answer".to_owned()));
                let answer = answered.blocking_recv().unwrap_or_else(|_| lost());
                cancels.lock().remove(&number);
                reply(answer);
            };
            // Without a thread there is no answer, and the caller's time limit reports it.
            let _ = std::thread::Builder::new().name("plugin-answer".to_owned()).spawn(wait);
        }
        Err(error) => reply(Err(error)),
    }
}
