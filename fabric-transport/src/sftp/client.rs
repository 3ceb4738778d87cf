//! The client: its start, and the operations on paths.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use super::attributes::Attributes;
use super::driver::{About, Conversation, Expected, OpenHandle};
use super::error::{CloseReason, ProtocolError, SftpError, printable};
use super::extensions::{self, Extensions, Limits};
use super::lanes::{Lane, Lanes};
use super::open_flags::OpenFlags;
use super::wire::{FrameBuffer, Request, decode_version, packet};

/// An SFTP client on one byte stream. Cheap to clone; all clones share the stream.
///
/// Every operation takes `&self`, and any number may run at once. The stream is dropped with the last clone of the
/// client and its last [`RemoteFile`](super::RemoteFile) and [`ReadDir`](super::ReadDir).
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) conversation: Arc<Conversation>,
    extensions: Arc<Extensions>,
    limits: Shared<BoxFuture<'static, Limits>>,
    pub(super) lanes: Option<Lanes<Self>>,
    /// Held by the client of a further channel.
    _turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl Client {
    /// Exchanges versions with the server and starts a task for the client on the current tokio runtime.
    ///
    /// Takes one round trip. Dropping the future drops the stream.
    pub async fn start<S>(stream: S) -> Result<Self, SftpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start_on(reader, writer).await
    }

    /// [`Self::start`] for a stream in two halves, such as the pipes of a process.
    pub async fn start_on<R, W>(mut reader: R, mut writer: W) -> Result<Self, SftpError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let mut frames = FrameBuffer::default();
        let offered = greet(&mut reader, &mut writer, &mut frames).await?;
        let extensions = Arc::new(Extensions::new(offered));
        let conversation = Conversation::start(reader, writer, frames);
        let limits = ask_for_limits(&conversation, &extensions).await;
        Ok(Self { conversation, extensions, limits, lanes: None, _turn: None })
    }

    /// Lets long writes use further channels to the same server if the channel's window limits one of them
    /// ([`Write`](super::Write)). `open` opens a channel and starts a client on it; if it returns `None`, the write
    /// does without. About five are open at once, only while they are used.
    #[must_use]
    pub fn further_channels<F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Self>> + Send + 'static,
    {
        self.lanes = Some(Lanes::new(Arc::new(move || open().boxed())));
        self
    }

    /// The client of a further channel, which holds the channel and its turn.
    pub(super) fn of_lane(lane: Lane<Self>) -> Self {
        Self { _turn: Some(Arc::new(lane.turn)), ..lane.client }
    }

    /// The extensions of the server.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The largest read and write, and how many files may be open. The client asks the server once, when it starts;
    /// this waits for the reply.
    pub async fn limits(&self) -> Limits {
        self.limits.clone().await
    }

    /// Waits for the end of the conversation and returns its reason. Pending as long as the conversation works.
    pub async fn closed(&self) -> CloseReason {
        self.conversation.closed().await
    }

    /// Whether the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.conversation.is_closed()
    }

    pub(super) async fn open_handle(
        &self,
        about: About<'_>,
        flags: OpenFlags,
        attributes: &Attributes,
    ) -> Result<OpenHandle, SftpError> {
        let request = Request::new(packet::OPEN, about.path.len() + 48);
        let request = request.string(about.path).u32(flags.bits()).attributes(attributes);
        self.conversation.submit(request, Expected::Handle).await?.handle(about).await
    }

    /// An extended request, if the server has the extension.
    pub(super) fn extended(
        &self,
        about: About<'_>,
        extension: &'static str,
        capacity: usize,
    ) -> Result<Request, SftpError> {
        if self.extensions.has(extension) {
            Ok(Request::extended(extension, capacity))
        } else {
            Err(SftpError::Unsupported { operation: about.operation, extension })
        }
    }

    pub(super) async fn status(&self, about: About<'_>, request: Request) -> Result<(), SftpError> {
        self.conversation.submit(request, Expected::Status).await?.status(about).await
    }
}

/// Checks a path before it is sent.
pub(super) fn about<'a>(operation: &'static str, path: &'a [u8]) -> Result<About<'a>, SftpError> {
    if path.len() > usize::from(u16::MAX) || path.contains(&0) {
        return Err(SftpError::BadPath { operation });
    }
    Ok(About { operation, path })
}

/// How much of a text in place of a reply is shown, and how long the client waits for the rest of its first line.
const TEXT: usize = 200;
const REST: Duration = Duration::from_millis(100);

/// Exchanges versions; only version 3 is supported.
async fn greet<R, W>(
    reader: &mut R,
    writer: &mut W,
    frames: &mut FrameBuffer,
) -> Result<Vec<(Bytes, Bytes)>, CloseReason>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let asking = async {
        writer.write_all(&[0, 0, 0, 5, packet::INIT, 0, 0, 0, 3]).await?;
        writer.flush().await
    };
    // A server that closes its input may still have sent a reason.
    if let Err(error) = asking.await {
        tracing::debug!(%error, "the SFTP server takes no greeting");
    }
    loop {
        if frames.text().is_some() {
            let lacks = |frames: &FrameBuffer| frames.text().is_some_and(|t| t.len() < TEXT && !t.ends_with(b"\n"));
            let rest = async {
                while lacks(frames) && reader.read_buf(&mut frames.space()).await? > 0 {}
                Ok::<_, std::io::Error>(())
            };
            let _ = tokio::time::timeout(REST, rest).await;
            let text = frames.text().unwrap_or_default();
            return Err(CloseReason::Text { beginning: printable(&text[..text.len().min(TEXT)]) });
        }
        if let Some(frame) = frames.next_frame()? {
            return match decode_version(frame)? {
                (3, extensions) => Ok(extensions),
                (version, _) => Err(ProtocolError::Version(version).into()),
            };
        }
        if reader.read_buf(&mut frames.space()).await? == 0 {
            return Err(if frames.is_partial() { CloseReason::Cut } else { CloseReason::Eof });
        }
    }
}

/// Sends the request now; the first operation that needs the reply waits for it.
async fn ask_for_limits(
    conversation: &Arc<Conversation>,
    extensions: &Extensions,
) -> Shared<BoxFuture<'static, Limits>> {
    let call = if extensions.has(extensions::LIMITS) {
        conversation.submit(Request::extended(extensions::LIMITS, 0), Expected::Extended).await.ok()
    } else {
        None
    };
    let limits = async move {
        let Some(mut call) = call else { return Limits::default() };
        let answer = call.extended(About { operation: "limits", path: b"" }).await;
        // Without a reply the smallest size is safe, and the next request reports the error.
        answer.ok().and_then(|body| Limits::decode(body).ok()).unwrap_or_default()
    };
    limits.boxed().shared()
}
