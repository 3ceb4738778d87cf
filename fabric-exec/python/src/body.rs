//! A task whose body is a function in Python.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fabric_core::Value;
use fabric_core::settings::Map;
use fabric_exec::task::Mode;
use fabric_exec::{Context, TaskBody, TaskError};
use serde_json::json;

use crate::channel::Channel;
use crate::program::Program;
use crate::verbs::Serving;

/// How long the user's code may go on after an interrupt.
const PATIENCE: Duration = Duration::from_secs(5);

/// A function of a fabfile.
pub(crate) struct Body {
    pub(crate) program: Arc<Program>,
    /// What the other side calls it.
    pub(crate) key: String,
}

#[async_trait]
impl TaskBody for Body {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let main = self.program.channel().await.map_err(|error| TaskError::abort(error.to_string()))?;
        if !is_parallel(&context)? {
            let _turn = main.turn.lock().await;
            return self.on(&main, context).await;
        }
        // Each host has a process of its own, as with Fabric 1.
        let failed = |error: std::io::Error| TaskError::abort(format!("a process for the host: {error}"));
        let (channel, fd) = Channel::pair().map_err(failed)?;
        let hello = channel.hello(crate::package::build_id());
        match main.ask("fork", Map::new(), Some(fd)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(TaskError::abort(error.text("message").unwrap_or_default())),
            None => return Err(gone()),
        }
        hello.await.map_err(|error| TaskError::abort(error.to_string()))?;
        self.on(&channel, context).await
    }
}

fn is_parallel(context: &Context) -> Result<bool, TaskError> {
    let task = context.task();
    let parallel = match task.mode {
        Some(mode) => mode == Mode::Parallel,
        None => context.settings()?.parallel,
    };
    Ok(parallel && context.host().is_some() && !task.runs_once)
}

fn gone() -> TaskError {
    TaskError::abort("the process of Python that runs the fabfile has ended")
}

impl Body {
    async fn on(&self, channel: &Arc<Channel>, context: Context) -> Result<Value, TaskError> {
        let (task, requests) = channel.begin_task();
        let mut header = json!({
            "call": task,
            "task": self.key,
            "args": context.args(),
            "command": context.task_name(),
            "all_hosts": context.all_hosts(),
            "effective_roles": context.effective_roles(),
            "attempt": context.attempt(),
        });
        if let Some(host) = context.host() {
            header["host"] = host.as_str().into();
            for (name, key) in [("name", "host"), ("user", "user"), ("port", "port")] {
                header[name] = context.env_value(key)?.unwrap_or_default();
            }
        }
        let Value::Object(header) = header else { return Err(gone()) };
        let serving = Arc::new(Serving::new(channel.clone(), context.clone(), task, self.program.shown()));
        // An interrupt reaches what the user's code asks for; what it does by itself has this long to end.
        let interrupt = context.interrupt();
        let given_up = async {
            interrupt.stopping().await;
            tokio::time::sleep(PATIENCE).await;
        };
        let answer = tokio::select! {
            answer = serving.until(requests, channel.ask("task.call", header, None)) => answer,
            () = given_up => None,
        };
        channel.end_task(task);
        let frame = match answer {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(TaskError::abort(error.text("message").unwrap_or_default())),
            None if context.interrupt().is_stopping() => return Err(TaskError::Interrupted),
            None => return Err(gone()),
        };
        for part in ["env", "shared"] {
            for (name, value) in frame.header.get(part).and_then(Value::as_object).into_iter().flatten() {
                context.env().set(name.as_str(), value.clone());
            }
        }
        let Some(failed) = frame.header.get("failed").and_then(Value::as_object) else {
            return Ok(frame.header.get("value").cloned().unwrap_or_default());
        };
        let text = |name: &str| failed.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some(code) = failed.get("code").and_then(Value::as_u64) {
            self.program.exits(code as u8);
            if code == 0 {
                return Ok(Value::Null);
            }
        }
        if text("kind") == "interrupted" {
            return Err(TaskError::Interrupted);
        }
        let own = failed.get("error").and_then(Value::as_u64).and_then(|number| serving.take_error(number));
        Err(own.unwrap_or_else(|| TaskError::abort(text("message"))))
    }
}
