//! `fab --engine`: does what a program in Python asks for.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::OnceLock;

use async_trait::async_trait;
use fabric_core::{Event, EventKind, EventSink, PromptError, PromptRequest, Prompter, Secret, Value};
use fabric_exec::{Call, Collection, Context, Invocation, Report, Run, RunError, Task, TaskBody, TaskError};
use parking_lot::Mutex;
use serde_json::json;

use crate::channel::Channel;
use crate::frame::{Frame, Kind};
use crate::package::build_id;
use crate::verbs::Serving;

/// What an engine says by itself, and whom it asks: the program that started it.
#[derive(Clone, Default)]
pub struct Told(Arc<OnceLock<Arc<Channel>>>);

impl EventSink for Told {
    fn emit(&self, event: Event) {
        let message = match event.kind {
            EventKind::Warning { message, .. } => message,
            EventKind::HostKeyRecorded { fingerprint, file, .. } => {
                format!("host key {fingerprint} is new: recorded in {file}")
            }
            _ => return,
        };
        let message = match event.host {
            Some(host) => format!("[{host}] {message}"),
            None => message,
        };
        let (Some(channel), Ok(runtime)) = (self.0.get().cloned(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let header = json!({"event": "warning", "message": message}).as_object().cloned().unwrap_or_default();
        runtime.spawn(async move { channel.send(Frame::new(Kind::Event, header), None).await });
    }
}

#[async_trait]
impl Prompter for Told {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let PromptRequest { kind, host, message, .. } = request;
        let cancelled = || PromptError::Cancelled { message: message.clone(), host: host.clone() };
        let channel = self.0.get().ok_or_else(cancelled)?;
        let header = json!({"message": message, "host": host, "secret": kind.is_secret()});
        match channel.ask("prompt", header.as_object().cloned().unwrap_or_default(), None).await {
            Some(Ok(frame)) => Ok(Secret::new(frame.text("answer").unwrap_or_default())),
            Some(Err(error)) if error.text("kind") == Some("refused") => {
                Err(PromptError::Refused { message: message.clone(), host: host.clone() })
            }
            _ => Err(cancelled()),
        }
    }
}

struct Body {
    told: Told,
    socket: Mutex<Option<UnixStream>>,
}

#[async_trait]
impl TaskBody for Body {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let failed = |error: std::io::Error| TaskError::abort(format!("the socket of the program: {error}"));
        let Some(socket) = self.socket.lock().take() else { return Ok(Value::Null) };
        let channel = Channel::new(socket).map_err(failed)?;
        drop(self.told.0.set(channel.clone()));
        let requests = channel.begin_task_as(0);
        channel.hello(build_id()).await.map_err(|error| TaskError::abort(error.to_string()))?;
        let serving = Arc::new(Serving::new(channel.clone(), context, 0, None));
        serving.until(requests, channel.gone()).await;
        Ok(Value::Null)
    }
}

/// Does what the program at the other end of this socket asks for, until it has gone. `run` makes the run of a collection:
/// with the settings, connections and questions that the program is to have.
///
/// # Errors
///
/// The run can't begin.
pub async fn serve(socket: UnixStream, told: Told, run: impl FnOnce(Collection) -> Run) -> Result<Report, RunError> {
    let task = Task::new("engine", Arc::new(Body { told, socket: Mutex::new(Some(socket)) }));
    let mut collection = Collection::new();
    // There is no other one.
    drop(collection.add(task));
    run(collection).start(vec![Call::Task(Invocation::new("engine"))]).await
}
