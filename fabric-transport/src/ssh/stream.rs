//! What stands between a socket and russh: prompt acknowledgements, buffered reads, and a watch on the
//! server's first lines.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fabric_core::transport::BoxStream;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// russh reads a packet in two calls; from a buffer they cost no system call each. It begins small, since most of
/// thousands of connections never need more, and grows while reads fill it.
const FIRST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// So many reads belong to setting a session up.
const SETUP_READS: u32 = 64;

/// A socket that acknowledges at once while the session is set up.
///
/// sshd leaves Nagle's algorithm on until a session has started, so that one of its small packets waits
/// for our acknowledgement, which Linux delays by 40 ms. The option holds only until the kernel thinks
/// otherwise, hence after each read.
///
/// Once the writing side is shut down, the goodbye is with the kernel, and the end is read: whoever closes a session doesn't
/// wait for the server to close its side, which takes sshd some milliseconds.
pub(crate) struct QuickAck {
    socket: TcpStream,
    left: u32,
    shut_down: bool,
}

impl QuickAck {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, left: SETUP_READS, shut_down: false }
    }

    fn acknowledge(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            #[cfg(any(target_os = "linux", target_os = "android"))]
            // Only speed is lost where the option is missing.
            let _ = socket2::SockRef::from(&self.socket).set_tcp_quickack(true);
        }
    }
}

impl AsyncRead for QuickAck {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.shut_down {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        self.acknowledge();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for QuickAck {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// A gateway's stream on which writing doesn't wait.
///
/// russh doesn't read while it writes. If what it writes waits for a window on the gateway's connection, and
/// the word of that window waits behind data which it doesn't read, both wait for ever. How much is kept here is
/// bounded by the windows that the server behind the gateway gives, a few MiB for each channel.
pub(crate) struct NeverWaits {
    reader: ReadHalf<BoxStream>,
    /// Taken when all is written.
    queue: Option<mpsc::UnboundedSender<Bytes>>,
    kept: Arc<Kept>,
    _dropped: DropGuard,
}

/// What is on its way.
#[derive(Default)]
struct Kept {
    bytes: AtomicUsize,
    room: AtomicWaker,
}

impl NeverWaits {
    /// What is beyond any window is waited for after all.
    const LIMIT: usize = 64 << 20;

    /// How long the last of it may take to go out when nobody writes any more.
    const LAST: Duration = Duration::from_secs(1);

    pub(crate) fn new(stream: BoxStream) -> Self {
        let (reader, mut writer) = tokio::io::split(stream);
        let (queue, mut queued) = mpsc::unbounded_channel::<Bytes>();
        let kept = Arc::new(Kept::default());
        let told = kept.clone();
        let dropped = CancellationToken::new();
        let over = dropped.clone();
        // It ends with what it writes to, which reading tells too, or once nobody writes any more.
        tokio::spawn(async move {
            let writing = async {
                while let Some(bytes) = queued.recv().await {
                    writer.write_all(&bytes).await?;
                    told.bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
                    told.room.wake();
                }
                writer.shutdown().await
            };
            let given_up = async {
                over.cancelled().await;
                tokio::time::sleep(Self::LAST).await;
            };
            let ended: io::Result<()> = tokio::select! {
                ended = writing => ended,
                () = given_up => Ok(()),
            };
            tracing::trace!(?ended, "a gateway's stream");
            drop(queued);
            told.room.wake();
        });
        Self { reader, queue: Some(queue), kept, _dropped: dropped.drop_guard() }
    }
}

impl AsyncRead for NeverWaits {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for NeverWaits {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let full = || self.kept.bytes.load(Ordering::Acquire) >= Self::LIMIT;
        if full() {
            self.kept.room.register(cx.waker());
            if full() && self.queue.as_ref().is_some_and(|queue| !queue.is_closed()) {
                return Poll::Pending;
            }
        }
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let queue = self.queue.as_ref().ok_or_else(broken)?;
        self.kept.bytes.fetch_add(buf.len(), Ordering::AcqRel);
        queue.send(Bytes::copy_from_slice(buf)).map_err(|_| broken())?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue = None;
        Poll::Ready(Ok(()))
    }
}

/// What the server said before the key exchange: its version line, and what it put before that.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    complete: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// The first that isn't blank.
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Greeting {
    /// A version line is at most 255 bytes (RFC 4253, section 4.2).
    const LIMIT: usize = 255;

    /// Whether the version line has come.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// The version line, else the first that isn't blank, as text that is safe to show.
    pub(super) fn line(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = if lines.first.is_empty() || lines.last.starts_with(b"SSH-") { &lines.last } else { &lines.first };
        String::from_utf8_lossy(line).trim_end().escape_debug().to_string()
    }

    /// Takes in what was read; an error if the server speaks another version of the protocol.
    fn watch(&self, bytes: &[u8]) -> io::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Lines { first, last: line } = &mut *lines;
        for byte in bytes {
            if line.last() == Some(&b'\n') {
                if first.is_empty() && !line.trim_ascii().is_empty() {
                    first.clone_from(line);
                }
                line.clear();
            }
            if line.len() < Self::LIMIT {
                line.push(*byte);
            }
            if *byte == b'\n' && line.starts_with(b"SSH-") {
                // 1.99 speaks both (RFC 4253, section 5.1).
                if !line.starts_with(b"SSH-2.") && !line.starts_with(b"SSH-1.99-") {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "not version 2 of the protocol"));
                }
                self.complete.store(true, Ordering::Release);
                break;
            }
        }
        Ok(())
    }
}

/// A buffered stream whose greeting is watched and which can be cut.
pub(super) struct Watched {
    stream: BoxStream,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not taken yet.
    unread: Range<usize>,
    greeting: Arc<Greeting>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Watched {
    pub(super) fn new(stream: BoxStream, cut: &CancellationToken) -> (Self, Arc<Greeting>) {
        let greeting = Arc::new(Greeting::default());
        let buffer = vec![0; FIRST_BUFFER].into_boxed_slice();
        let cut = Box::pin(cut.clone().cancelled_owned());
        (Self { stream, buffer, unread: 0..0, greeting: greeting.clone(), cut }, greeting)
    }

    /// Fills the empty buffer by one read, which gives nothing at the end of the stream.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.end == self.buffer.len() && self.buffer.len() < LARGEST_BUFFER {
            // The last read filled it.
            self.buffer = vec![0; self.buffer.len() * 4].into_boxed_slice();
        }
        let mut buf = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.unread = 0..buf.filled().len();
        Poll::Ready(Ok(()))
    }

    /// What waits for the peer no longer waits once the stream is cut.
    fn or_cut<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() && self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by this side")));
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            let read = self.fill(cx);
            ready!(self.or_cut(cx, read))?;
        }
        let size = self.unread.len().min(buf.remaining());
        let taken = self.unread.start..self.unread.start + size;
        self.unread.start = taken.end;
        if !self.greeting.is_complete() {
            self.greeting.watch(&self.buffer[taken.clone()])?;
        }
        buf.put_slice(&self.buffer[taken]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.or_cut(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_cut(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_cut(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn writing_to_a_gateway_does_not_wait_and_all_of_it_arrives() {
        let (near, mut far) = tokio::io::duplex(1000);
        let mut stream = NeverWaits::new(Box::new(near));
        // Nobody reads yet.
        stream.write_all(&vec![7; 1_000_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.write_all(b"more").await.unwrap_err();
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, vec![7; 1_000_000]);
        far.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn writing_to_a_gateway_that_is_gone_fails() {
        let (near, far) = tokio::io::duplex(1000);
        drop(far);
        let mut stream = NeverWaits::new(Box::new(near));
        while stream.write_all(&[7; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn the_version_line_is_found_behind_other_lines() {
        let greeting = Greeting::default();
        greeting.watch(b"go away\r\nSSH-2.0-Op").unwrap();
        assert!(!greeting.is_complete());
        greeting.watch(b"enSSH_9.2\r\n\0\0\x01binary\n").unwrap();
        assert!(greeting.is_complete());
        assert_eq!(greeting.line(), "SSH-2.0-OpenSSH_9.2");
        Greeting::default().watch(b"SSH-1.5-old\n").unwrap_err();
    }
    #[tokio::test]
    async fn the_buffer_grows_with_what_comes() {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let (mut watched, _) = Watched::new(Box::new(stream), &CancellationToken::new());
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        peer.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let mut line = [0; 11];
        watched.read_exact(&mut line).await.unwrap();
        assert_eq!(watched.buffer.len(), FIRST_BUFFER);
        peer.write_all(&sent).await.unwrap();
        drop(peer);
        let mut got = Vec::new();
        watched.read_to_end(&mut got).await.unwrap();
        assert!(got == sent);
        assert_eq!(watched.buffer.len(), LARGEST_BUFFER);
    }
}
