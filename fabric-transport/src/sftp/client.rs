//! The client: its start and the operations on paths.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use super::attributes::Attributes;
use super::directory::ReadDir;
use super::driver::{About, Conversation, Expected, OpenHandle};
use super::error::{CloseReason, ProtocolError, SftpError, StatusCode, printable};
use super::extensions::{self, Extensions, FileSystem, Limits};
use super::file::{OpenFlags, RemoteFile};
use super::lanes::Lanes;
use super::wire::{FrameBuffer, Request, decode_version, packet};

/// An SFTP client on one byte stream. Cheap to clone; all clones share the stream.
///
/// Every operation takes `&self`, and any number may run at once. The stream is dropped with the last
/// clone and the last [`RemoteFile`] and [`ReadDir`] made by it.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) conversation: Arc<Conversation>,
    extensions: Arc<Extensions>,
    limits: Shared<BoxFuture<'static, Limits>>,
    pub(super) lanes: Option<Lanes>,
    /// Held by the client of a further channel.
    _turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl Client {
    /// Greets the server and starts the task that serves the client on the current tokio runtime.
    ///
    /// Takes one round trip. Dropping the future drops the stream.
    pub async fn start<S>(stream: S) -> Result<Self, SftpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start_on(reader, writer).await
    }

    /// [`Self::start`] on a stream that comes in two halves, such as the pipes of a process.
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

    /// Lets long writes go over further channels to the same server where the window of one holds them up
    /// ([`Write`](super::Write)). `open` opens one and starts a client on it, or gives `None`: then the write
    /// does without. Some five are open at once, while they are written to.
    #[must_use]
    pub fn with_further_channels<F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Self>> + Send + 'static,
    {
        self.lanes = Some(Lanes::new(Arc::new(move || open().boxed())));
        self
    }

    /// The same, which keeps this as long as it is there.
    pub(super) fn holding(self, turn: OwnedSemaphorePermit) -> Self {
        Self { _turn: Some(Arc::new(turn)), ..self }
    }

    /// Which extensions the server offers.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// How much one request carries, and how many files may be open. The server is asked once, when the
    /// client starts; this waits for its answer.
    pub async fn limits(&self) -> Limits {
        self.limits.clone().await
    }

    /// Waits until the conversation is over and says why. Never resolves while all is well.
    pub async fn closed(&self) -> CloseReason {
        self.conversation.closed().await
    }

    /// Whether the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.conversation.is_closed()
    }

    /// Opens a file. `attributes` apply if it is made: only permissions are heeded by OpenSSH, and the
    /// server's umask is applied to them.
    pub async fn open(&self, path: &[u8], flags: OpenFlags, attributes: &Attributes) -> Result<RemoteFile, SftpError> {
        let about = about("open", path)?;
        let handle = self.open_handle(about, flags, attributes).await?;
        Ok(RemoteFile::new(handle, self.clone(), path))
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

    /// Opens a directory to read its entries.
    pub async fn read_dir(&self, path: &[u8]) -> Result<ReadDir, SftpError> {
        let about = about("opendir", path)?;
        let mut call = self.conversation.submit(on_path(packet::OPENDIR, path), Expected::Handle).await?;
        Ok(ReadDir::new(call.handle(about).await?, path))
    }

    /// About a file, links followed.
    pub async fn stat(&self, path: &[u8]) -> Result<Attributes, SftpError> {
        let about = about("stat", path)?;
        let mut call = self.conversation.submit(on_path(packet::STAT, path), Expected::Attributes).await?;
        call.attributes(about).await
    }

    /// About a file or a link itself.
    pub async fn lstat(&self, path: &[u8]) -> Result<Attributes, SftpError> {
        let about = about("lstat", path)?;
        let mut call = self.conversation.submit(on_path(packet::LSTAT, path), Expected::Attributes).await?;
        call.attributes(about).await
    }

    /// Changes a file's attributes, links followed.
    pub async fn set_stat(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let request = Request::new(packet::SETSTAT, path.len() + 40).string(path).attributes(attributes);
        self.status(about("setstat", path)?, request).await
    }

    /// Changes the attributes of a file or a link itself (`lsetstat@openssh.com`).
    pub async fn lset_stat(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let about = about("lsetstat", path)?;
        let request = self.extended(about, extensions::LSETSTAT, path.len() + 40)?;
        self.status(about, request.string(path).attributes(attributes)).await
    }

    /// Makes a directory; the server's umask applies to the permissions.
    pub async fn make_dir(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let request = Request::new(packet::MKDIR, path.len() + 40).string(path).attributes(attributes);
        self.status(about("mkdir", path)?, request).await
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, path: &[u8]) -> Result<(), SftpError> {
        self.status(about("rmdir", path)?, on_path(packet::RMDIR, path)).await
    }

    /// Removes a file or a link.
    pub async fn remove_file(&self, path: &[u8]) -> Result<(), SftpError> {
        self.status(about("remove", path)?, on_path(packet::REMOVE, path)).await
    }

    /// Renames, and fails if `to` exists.
    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        about("rename", to)?;
        let request = Request::new(packet::RENAME, from.len() + to.len() + 8).string(from).string(to);
        self.status(about("rename", from)?, request).await
    }

    /// Renames over whatever `to` is, in one step (`posix-rename@openssh.com`, rename(2)).
    ///
    /// Where the server does not offer that, `to` is removed first if it is in the way: not in one
    /// step, and not if it is a directory.
    pub async fn replace(&self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        about("rename", to)?;
        let about = about("rename", from)?;
        match self.extended(about, extensions::POSIX_RENAME, from.len() + to.len() + 8) {
            Ok(request) => self.status(about, request.string(from).string(to)).await,
            Err(_) => match self.rename(from, to).await {
                Err(error) if error.status() == Some(StatusCode::Failure) && self.lstat(from).await.is_ok() => {
                    self.remove_file(to).await.map_err(|_| error)?;
                    self.rename(from, to).await
                }
                done => done,
            },
        }
    }

    /// Makes `link` a second name of the file `target` (`hardlink@openssh.com`).
    pub async fn hard_link(&self, target: &[u8], link: &[u8]) -> Result<(), SftpError> {
        about("hardlink", target)?;
        let about = about("hardlink", link)?;
        let request = self.extended(about, extensions::HARDLINK, target.len() + link.len() + 8)?;
        self.status(about, request.string(target).string(link)).await
    }

    /// Makes `link` a symbolic link to `target`.
    ///
    /// The arguments go out in OpenSSH's order, target first, which is the reverse of the draft's and what
    /// other servers have followed (OpenSSH's PROTOCOL, section 4.1).
    pub async fn symlink(&self, target: &[u8], link: &[u8]) -> Result<(), SftpError> {
        about("symlink", target)?;
        let request = Request::new(packet::SYMLINK, target.len() + link.len() + 8).string(target).string(link);
        self.status(about("symlink", link)?, request).await
    }

    /// Where a symbolic link points.
    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        self.one_name(about("readlink", path)?, on_path(packet::READLINK, path)).await
    }

    /// The absolute path of a path, links resolved; of `.`, where relative paths start.
    pub async fn real_path(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        self.one_name(about("realpath", path)?, on_path(packet::REALPATH, path)).await
    }

    /// [`Self::real_path`] that also understands `~` and `~user` (`expand-path@openssh.com`).
    pub async fn expand_path(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        let about = about("expand-path", path)?;
        let request = self.extended(about, extensions::EXPAND_PATH, path.len() + 4)?;
        self.one_name(about, request.string(path)).await
    }

    /// About the file system that holds a path (`statvfs@openssh.com`).
    pub async fn file_system(&self, path: &[u8]) -> Result<FileSystem, SftpError> {
        let about = about("statvfs", path)?;
        let request = self.extended(about, extensions::STATVFS, path.len() + 4)?.string(path);
        let body = self.conversation.submit(request, Expected::Extended).await?.extended(about).await?;
        Ok(FileSystem::decode(body)?)
    }

    /// An extended request, if the server offers it.
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

    async fn one_name(&self, about: About<'_>, request: Request) -> Result<Vec<u8>, SftpError> {
        let names = self.conversation.submit(request, Expected::Names).await?.names(about).await?;
        let count = names.len();
        match names.into_iter().next() {
            Some(only) if count == 1 => Ok(only.name),
            _ => Err(ProtocolError::NotOneName(count).into()),
        }
    }
}

/// Checks a path that is about to be sent.
pub(super) fn about<'a>(operation: &'static str, path: &'a [u8]) -> Result<About<'a>, SftpError> {
    if path.len() > usize::from(u16::MAX) || path.contains(&0) {
        return Err(SftpError::BadPath { operation });
    }
    Ok(About { operation, path })
}

fn on_path(packet: u8, path: &[u8]) -> Request {
    Request::new(packet, path.len() + 4).string(path)
}

/// How much of a text that comes instead of an answer is shown, and how long the rest of its first line is waited for.
const TEXT: usize = 200;
const REST: Duration = Duration::from_millis(100);

/// Exchanges versions: 3 is asked for, and nothing else is understood.
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
    // What doesn't read it may still say why.
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

/// Sends the question now and leaves its answer to whoever needs it first.
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
        // Without an answer the smallest size is safe, and what is wrong shows at the next request.
        answer.ok().and_then(|body| Limits::decode(body).ok()).unwrap_or_default()
    };
    limits.boxed().shared()
}
