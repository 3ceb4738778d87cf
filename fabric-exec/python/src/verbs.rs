//! What the user's code asks for, done by the context of its task.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fabric_core::error::ConnectErrorKind;
use fabric_core::outcome::Stream;
use fabric_core::settings::Map;
use fabric_core::{CommandOutcome, Error, TransferOutcome, Value};
use fabric_exec::{Context, TaskError};
use fabric_transport::Connection;
use fabric_transport::connection::{CommandRequest, Endpoint, Forward, Hide, ShellChoice, Stdin};
use fabric_transport::transfer::{Destination, Source};
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, BoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

use crate::channel::Channel;
use crate::frame::{Frame, Kind};

/// How much of a command's output may be on its way to Python.
const PIPE: usize = 64 * 1024;

/// A task's requests, and what they are done with.
pub(crate) struct Serving {
    channel: Arc<Channel>,
    context: Context,
    task: u64,
    /// Called before an answer, so that what was shown is there first.
    shown: Option<Arc<dyn Fn() + Send + Sync>>,
    errors: Mutex<HashMap<u64, TaskError>>,
    forwards: Mutex<HashMap<u64, Forward>>,
    last: AtomicU64,
    /// The context of the last request, for the next one that says the same.
    kept: Mutex<Option<(Option<String>, Map, Context)>>,
}

/// An answer: a header, bytes, a descriptor.
type Done = (Map, Bytes, Option<OwnedFd>);

/// Why there is none.
enum Failed {
    Task(TaskError),
    Usage(String),
}

impl<E: Into<TaskError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Task(error.into())
    }
}

fn map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn header(value: Value) -> Done {
    (map(value), Bytes::new(), None)
}

impl Serving {
    pub(crate) fn new(
        channel: Arc<Channel>,
        context: Context,
        task: u64,
        shown: Option<Arc<dyn Fn() + Send + Sync>>,
    ) -> Self {
        Self {
            channel,
            context,
            task,
            shown,
            errors: Mutex::default(),
            forwards: Mutex::default(),
            last: AtomicU64::new(1),
            kept: Mutex::default(),
        }
    }

    /// Answers the requests of the task until `end` comes.
    pub(crate) async fn until<T>(
        self: &Arc<Self>,
        mut requests: mpsc::UnboundedReceiver<Frame>,
        end: impl Future<Output = T>,
    ) -> T {
        let mut end = std::pin::pin!(end);
        let mut running: FuturesUnordered<Pin<Box<dyn Future<Output = u64> + Send>>> = FuturesUnordered::new();
        let mut handles: HashMap<u64, AbortHandle> = HashMap::new();
        let mut open = true;
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                request = requests.recv(), if open => match request {
                    Some(frame) if frame.kind == Kind::Cancel => {
                        if let Some(handle) = handles.remove(&frame.number("id").unwrap_or_default()) {
                            handle.abort();
                        }
                    }
                    Some(frame) => {
                        let id = frame.number("id").unwrap_or_default();
                        let this = self.clone();
                        let (work, handle) = abortable(async move { this.answer(frame).await });
                        handles.insert(id, handle);
                        running.push(Box::pin(async move {
                            let _ = work.await;
                            id
                        }));
                    }
                    None => open = false,
                },
                Some(id) = running.next(), if !running.is_empty() => drop(handles.remove(&id)),
            }
        }
    }

    /// Answers a child of the user's process, until that has gone.
    fn serve_child(self: Arc<Self>, requests: mpsc::UnboundedReceiver<Frame>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if self.channel.hello(crate::package::build_id()).await.is_ok() {
                self.until(requests, self.channel.gone()).await;
            }
        })
    }

    /// The error that the other side got under this number.
    pub(crate) fn take_error(&self, number: u64) -> Option<TaskError> {
        self.errors.lock().remove(&number)
    }

    async fn answer(&self, frame: Frame) {
        let id = frame.number("id").unwrap_or_default();
        let done = self.done(&frame).await;
        self.channel.close_input(id);
        if let Some(shown) = &self.shown {
            shown();
        }
        // Where the other side has gone there is nobody to answer.
        let _ = match done {
            Ok((header, raw, fd)) => self.channel.reply(id, header, raw, fd).await,
            Err(Failed::Usage(message)) => self.channel.fail(id, json!({"kind": "usage", "message": message})).await,
            Err(Failed::Task(error)) => {
                let mut said = described(&error);
                let number = self.last.fetch_add(1, Ordering::Relaxed);
                said["error"] = number.into();
                self.errors.lock().insert(number, error);
                self.channel.fail(id, said).await
            }
        };
    }

    async fn done(&self, frame: &Frame) -> Result<Done, Failed> {
        let verb = frame.text("verb").unwrap_or_default();
        match verb {
            "run" | "sudo" => {
                let context = self.context(frame)?;
                let connection = context.connection().await?;
                let command = frame.text("command").unwrap_or_default();
                let request = if verb == "run" { connection.run(command) } else { connection.sudo(command) };
                self.command(frame, request).await
            }
            "local" => {
                let request = self.context(frame)?.local(frame.text("command").unwrap_or_default())?;
                self.command(frame, request).await
            }
            "group" => self.group(frame).await,
            "put" => {
                let connection = self.context(frame)?.connection().await?;
                Ok((put(&connection, frame).await?, Bytes::new(), None))
            }
            "get" => {
                let connection = self.context(frame)?.connection().await?;
                let (header, raw) = get(&connection, frame).await?;
                Ok((header, raw, None))
            }
            "open" => {
                self.context(frame)?.connection().await?.open().await?;
                Ok(header(json!({})))
            }
            "close" => {
                self.context(frame)?.connection().await?.close().await;
                Ok(header(json!({})))
            }
            "is_open" => Ok(header(json!({"open": self.context(frame)?.connection().await?.is_connected()}))),
            "info" => {
                let connection = self.context(frame)?.connection().await?;
                Ok(header(json!({
                    "host_string": connection.host_string(),
                    "host": connection.host(),
                    "original_host": connection.original_host(),
                    "user": connection.user(),
                    "port": connection.port(),
                })))
            }
            "open_shell" => {
                let line = frame.text("line").map(str::to_owned);
                let exit = self.context(frame)?.open_shell(line).await?;
                Ok(header(json!({"exit": exit.code()})))
            }
            "forward_local" | "forward_remote" => self.forward(frame, verb).await,
            "unforward" => {
                let forward = self.forwards.lock().remove(&frame.number("forward").unwrap_or_default());
                if let Some(forward) = forward {
                    forward.close().await;
                }
                Ok(header(json!({})))
            }
            "sftp" => {
                let connection = self.context(frame)?.connection().await?;
                let (header, raw) = crate::files::done(&connection, frame).await.map_err(Failed::Task)?;
                Ok((header, raw, None))
            }
            "say" => {
                self.context.say(frame.text("text").unwrap_or_default());
                Ok(header(json!({})))
            }
            "warn" => {
                self.context.warn(frame.text("text").unwrap_or_default());
                Ok(header(json!({})))
            }
            "channel" => {
                let (channel, fd) =
                    Channel::pair().map_err(|error| TaskError::abort(format!("a child's channel: {error}")))?;
                let serving = Arc::new(Self::new(channel.clone(), self.context.clone(), self.task, self.shown.clone()));
                let requests = channel.begin_task_as(self.task);
                tokio::spawn(serving.serve_child(requests));
                Ok((Map::new(), Bytes::new(), Some(fd)))
            }
            _ => Err(Failed::Usage(format!("the engine has no verb {verb:?}"))),
        }
    }

    /// The context of a request: on its host, with its settings.
    fn context(&self, frame: &Frame) -> Result<Context, TaskError> {
        let on = frame.text("on").map(str::to_owned);
        let env = frame.header.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut kept = self.kept.lock();
        if let Some((same_on, same_env, context)) = &*kept
            && *same_on == on
            && *same_env == env
        {
            return Ok(context.clone());
        }
        let context = match &on {
            Some(host) => self.context.on(host)?,
            None => self.context.clone(),
        };
        let context = if env.is_empty() { context } else { context.with(env.clone()) };
        *kept = Some((on, env, context.clone()));
        Ok(context)
    }

    async fn command(&self, frame: &Frame, request: CommandRequest) -> Result<Done, Failed> {
        let id = frame.number("id").unwrap_or_default();
        let mut request = options(frame, request).warn(false);
        if frame.flag("disown") {
            request.disown().await?;
            return Ok(header(json!({})));
        }
        let mut pumps: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
        for name in texts(frame, "stream") {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            request = if name == "stderr" { request.err_stream(theirs) } else { request.out_stream(theirs) };
            pumps.push(Box::pin(self.pump(id, name, ours)));
        }
        if frame.flag("input") {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            request = request.stdin(Stdin::reader(theirs));
            let input = self.channel.open_input(id);
            pumps.push(Box::pin(feed(input, ours)));
        } else if let Some(text) = frame.text("stdin") {
            request = request.stdin(text.as_bytes().to_vec());
        } else if frame.flag("inherit") {
            request = request.stdin(self.context.stdin());
        }
        let work = async {
            let ended = request.await;
            self.channel.close_input(id);
            ended
        };
        let (ended, _) = futures_util::future::join(work, futures_util::future::join_all(pumps)).await;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(Error::UnexpectedExit(outcome)) => *outcome,
            Err(error) => return Err(error.into()),
        };
        Ok(of_outcome(&outcome))
    }

    /// Sends what a command prints.
    async fn pump(&self, id: u64, stream: String, mut from: DuplexStream) {
        let mut part = vec![0; PIPE];
        while let Ok(count @ 1..) = from.read(&mut part).await {
            let header = map(json!({"id": id, "stream": stream}));
            let frame = Frame::new(Kind::Data, header).with(Bytes::copy_from_slice(&part[..count]));
            if self.channel.send(frame, None).await.is_err() {
                return;
            }
        }
    }

    /// The same on several hosts at the same time, or in turn: each with its own settings.
    async fn group(&self, frame: &Frame) -> Result<Done, Failed> {
        let members = frame.header.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        let what = frame.text("what").unwrap_or("run").to_owned();
        let one = |member: Value| {
            let mut inner = frame.clone();
            for (name, value) in map(member) {
                inner.header.insert(name, value);
            }
            inner.header.insert("verb".to_owned(), what.clone().into());
            async move { Box::pin(self.done(&inner)).await }
        };
        let results: Vec<Result<Done, Failed>> = if frame.flag("serial") {
            let mut results = Vec::new();
            for member in members {
                results.push(one(member).await);
            }
            results
        } else {
            futures_util::future::join_all(members.into_iter().map(one)).await
        };
        let mut raw = Vec::new();
        let mut said = Vec::new();
        for result in results {
            said.push(match result {
                Ok((mut header, bytes, _)) => {
                    header.insert("size".to_owned(), bytes.len().into());
                    raw.extend_from_slice(&bytes);
                    json!({"ok": header})
                }
                Err(Failed::Usage(message)) => json!({"error": {"kind": "usage", "message": message}}),
                Err(Failed::Task(error)) => json!({"error": described(&error)}),
            });
        }
        Ok((map(json!({"results": said})), raw.into(), None))
    }

    async fn forward(&self, frame: &Frame, verb: &str) -> Result<Done, Failed> {
        let connection = self.context(frame)?.connection().await?;
        let port = |name: &str| -> Result<u16, Failed> {
            let port = frame.number(name).unwrap_or_default();
            u16::try_from(port).map_err(|_| Failed::Usage(format!("{name}: {port} is no port")))
        };
        let to: Endpoint = (frame.text("host").unwrap_or("localhost"), port("port")?).into();
        let request = if verb == "forward_remote" {
            let listen: Endpoint = (frame.text("bind").unwrap_or("127.0.0.1"), port("remote_port")?).into();
            connection.forward_remote(listen)
        } else {
            let listen: Endpoint = (frame.text("bind").unwrap_or("localhost"), port("local_port")?).into();
            connection.forward_local(listen)
        };
        let forward = request.to(to).await?;
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let listening = forward.port();
        self.forwards.lock().insert(number, forward);
        Ok(header(json!({"forward": number, "port": listening})))
    }
}

/// Writes to a command what Python sends for it.
async fn feed(mut input: mpsc::UnboundedReceiver<Option<Bytes>>, mut to: DuplexStream) {
    while let Some(Some(part)) = input.recv().await {
        if to.write_all(&part).await.is_err() {
            return;
        }
    }
}

fn texts(frame: &Frame, name: &str) -> Vec<String> {
    let items = frame.header.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the header says about a command.
fn options(frame: &Frame, mut request: CommandRequest) -> CommandRequest {
    let flag = |name: &str| frame.header.get(name).and_then(Value::as_bool);
    let hidden = texts(frame, "hide");
    let hides = |name: &str| hidden.iter().any(|hidden| hidden == name);
    request = request.hide(match (hides("stdout"), hides("stderr")) {
        (true, true) => Hide::Both,
        (true, false) => Hide::Stdout,
        (false, true) => Hide::Stderr,
        (false, false) => Hide::None,
    });
    if frame.flag("quiet") {
        request = request.echo(false);
    }
    match frame.header.get("shell") {
        Some(Value::Bool(wrap)) => request = request.shell(*wrap),
        Some(Value::String(shell)) => request = request.shell(ShellChoice::This(shell.clone())),
        _ => {}
    }
    if let Some(pty) = flag("pty") {
        request = request.pty(pty);
    }
    if let Some(combine) = flag("combine_stderr") {
        request = request.combine_stderr(combine);
    }
    if let Some(timeout) = frame.header.get("timeout") {
        let seconds = timeout.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        request = request.timeout(seconds);
    }
    if let Some(limit) = frame.number("capture") {
        request = request.capture_limit(limit);
    }
    if let Some(user) = frame.text("user") {
        request = request.user(user);
    }
    if let Some(group) = frame.text("group") {
        request = request.group(group);
    }
    if let Some(password) = frame.text("password") {
        request = request.password(password);
    }
    for (name, value) in frame.header.get("variables").and_then(Value::as_object).into_iter().flatten() {
        request = request.env(name, value.as_str().unwrap_or_default());
    }
    if let Some(replace) = flag("replace_env") {
        request = request.replace_env(replace);
    }
    if frame.flag("dry") {
        request = request.dry(true);
    }
    request
}

fn of_outcome(outcome: &CommandOutcome) -> Done {
    let (stdout, stderr) = (outcome.stdout.bytes(), outcome.stderr.bytes());
    let signal = match &outcome.exit {
        fabric_core::ExitStatus::Signal { signal, .. } => Some(signal.to_string()),
        _ => None,
    };
    let header = json!({
        "exit": outcome.exit.code(),
        "signal": signal,
        "command": outcome.command,
        "real_command": outcome.real_command,
        "shell": outcome.shell,
        "pty": outcome.pty,
        "hidden": outcome.hidden.iter().map(Stream::to_string).collect::<Vec<_>>(),
        "stdout": stdout.len(),
    });
    (map(header), [stdout, stderr].concat().into(), None)
}

fn of_transfer(outcome: &TransferOutcome) -> Map {
    map(json!({
        "local": outcome.local,
        "remote": outcome.remote,
        "failed": outcome.failed,
        "bytes": outcome.bytes,
    }))
}

async fn put(connection: &Connection, frame: &Frame) -> Result<Map, Failed> {
    let source = if frame.flag("bytes") {
        Source::bytes(frame.raw.clone())
    } else {
        Source::Path(PathBuf::from(frame.text("local").unwrap_or_default()))
    };
    let mut put = connection.put(source, frame.text("remote").unwrap_or_default());
    if let Some(mode) = frame.number("mode") {
        put = put.mode(mode as u32);
    }
    if frame.flag("mirror") {
        put = put.mirror_mode(true);
    }
    if let Some(glob) = frame.header.get("glob").and_then(Value::as_bool) {
        put = put.glob(glob);
    }
    if let Some(dir) = frame.text("temp_dir") {
        put = put.temp_dir(dir);
    }
    transferred(put.use_sudo(frame.flag("use_sudo")).echo(!frame.flag("quiet")).warn(false).await)
}

async fn get(connection: &Connection, frame: &Frame) -> Result<(Map, Bytes), Failed> {
    let kept = Kept::default();
    let destination = if frame.flag("bytes") {
        Destination::writer(kept.clone())
    } else {
        Destination::Path(PathBuf::from(frame.text("local").unwrap_or_default()))
    };
    let mut get = connection.get(frame.text("remote").unwrap_or_default(), destination);
    if frame.flag("mirror") {
        get = get.mirror_mode(true);
    }
    if let Some(glob) = frame.header.get("glob").and_then(Value::as_bool) {
        get = get.glob(glob);
    }
    let header = transferred(get.use_sudo(frame.flag("use_sudo")).echo(!frame.flag("quiet")).warn(false).await)?;
    let bytes = std::mem::take(&mut *kept.0.lock());
    Ok((header, bytes.into()))
}

fn transferred(ended: Result<TransferOutcome, Error>) -> Result<Map, Failed> {
    match ended {
        Ok(outcome) => Ok(of_transfer(&outcome)),
        Err(Error::TransferIncomplete(outcome)) => Ok(of_transfer(&outcome)),
        Err(error) => Err(error.into()),
    }
}

/// Bytes of a file that is got for an object of Python.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, _: &mut std::task::Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What is said of an error: what it is, its text, and what is known of it.
pub(crate) fn described(error: &TaskError) -> Value {
    let mut said = json!({"kind": "other", "message": error.to_string()});
    if error.is_interrupt() {
        said["kind"] = "interrupted".into();
    } else if let Some(error) = error.fabric() {
        said["host"] = error.host().into();
        match error {
            Error::Connect(error) => {
                said["phase"] = error.phase.to_string().into();
                said["kind"] = match &error.kind {
                    ConnectErrorKind::AuthFailed { .. } | ConnectErrorKind::Prompt(_) => "auth",
                    ConnectErrorKind::HostKeyChanged { .. }
                    | ConnectErrorKind::HostKeyRefused { .. }
                    | ConnectErrorKind::HostKeyUnknown { .. } => "hostkey",
                    ConnectErrorKind::NameNotFound { .. } => "name",
                    ConnectErrorKind::Key { .. } => "key",
                    ConnectErrorKind::Setting { .. } => "usage",
                    _ => "connect",
                }
                .into();
            }
            Error::TimedOut { after, outcome, .. } => {
                said["kind"] = "timeout".into();
                said["after"] = after.as_secs_f64().into();
                said["stdout"] = outcome.stdout().into_owned().into();
                said["stderr"] = outcome.stderr().into_owned().into();
            }
            Error::SudoRefused { .. } => said["kind"] = "sudo".into(),
            Error::File { error, .. } => {
                said["kind"] = "file".into();
                said["missing"] = matches!(error.kind, fabric_core::error::FileErrorKind::NotFound).into();
            }
            Error::Usage(_) => said["kind"] = "usage".into(),
            Error::Prompt(_) => said["kind"] = "refused".into(),
            _ => {}
        }
    } else if error.is_usage() {
        said["kind"] = "usage".into();
    }
    said
}
