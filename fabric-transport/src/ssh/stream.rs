//! Between the socket and russh: prompt acknowledgements, buffered reads, and the server's first lines.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fabric_core::transport::BoxStream;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::silence::Silence;
use super::store::Pool;

/// russh reads a packet in two calls, which a buffer serves without a system call each. It starts small, since most of
/// thousands of connections need no more, and grows while reads fill it.
const FIRST_BUFFER: usize = 4 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024;

/// The largest with many connections.
const CROWDED_BUFFER: usize = 16 * 1024;

/// How many reads belong to the setup of a session.
const SETUP_READS: u32 = 64;

/// A socket that doesn't delay acknowledgements during the setup of a session.
///
/// sshd uses Nagle's algorithm until a session has started, so its small packets wait for our acknowledgement, which Linux
/// delays by 40 ms. It is requested after a read if there is nothing more to read: packets written meanwhile carried it
/// already, and a separate one costs as much as any packet.
///
/// Once the writing side is shut down, reads return end-of-file: closing a session doesn't wait for the server to close its
/// side, which takes sshd some milliseconds.
pub(crate) struct QuickAck {
    socket: TcpStream,
    left: u32,
    /// Something was read, and nothing written since.
    owes: bool,
    shut_down: bool,
}

impl QuickAck {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, left: SETUP_READS, owes: false, shut_down: false }
    }

    fn acknowledge(&mut self) {
        if std::mem::take(&mut self.owes) {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            // Without the option it is only slower.
            let _ = socket2::SockRef::from(&self.socket).set_tcp_quickack(true);
        }
    }
}

impl AsyncRead for QuickAck {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.shut_down {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_pending() {
            self.acknowledge();
        } else if self.left > 0 {
            self.left -= 1;
            self.owes = true;
        }
        read
    }
}

impl AsyncWrite for QuickAck {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        if written.is_ready() {
            self.owes = false;
        }
        written
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

/// A gateway's stream with non-blocking writes.
///
/// russh doesn't read while it writes. If a write waits for a window of the gateway's connection, and the window message
/// waits behind data that russh doesn't read, there is a deadlock. The buffer here is bounded by the windows of the server
/// behind the gateway, a few MiB for each channel.
pub(crate) struct NeverWaits {
    reader: ReadHalf<BoxStream>,
    /// `None` once it is shut down.
    queue: Option<mpsc::UnboundedSender<Bytes>>,
    kept: Arc<Kept>,
    _dropped: DropGuard,
}

/// The bytes that are not written yet.
#[derive(Default)]
struct Kept {
    bytes: AtomicUsize,
    room: AtomicWaker,
}

impl NeverWaits {
    /// More bytes than any window do wait.
    const LIMIT: usize = 64 << 20;

    /// How long the rest may take after the last write.
    const LAST: Duration = Duration::from_secs(1);

    pub(crate) fn new(stream: BoxStream) -> Self {
        let (reader, mut writer) = tokio::io::split(stream);
        let (queue, mut queued) = mpsc::unbounded_channel::<Bytes>();
        let kept = Arc::new(Kept::default());
        let told = kept.clone();
        let dropped = CancellationToken::new();
        let over = dropped.clone();
        // It ends with the stream, which reads notice too, or after the last write.
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

/// The server's lines before the key exchange: its version line, and those before it.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    complete: AtomicBool,
    completed: Notify,
    lines: Mutex<GreetingLines>,
}

#[derive(Debug, Default)]
struct GreetingLines {
    /// The first that isn't blank.
    first: Vec<u8>,
    /// The one that is being read.
    last: Vec<u8>,
    /// How many there were before it.
    count: usize,
}

impl Greeting {
    /// The longest line before the version line, and the most lines, as in OpenSSH's client.
    const LONGEST: usize = 8 * 1024;
    const MOST: usize = 1024;

    /// How many bytes of a line are shown.
    const SHOWN: usize = 255;

    /// Whether the version line was received.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Waits for the version line. For one waiter.
    pub(super) async fn completed(&self) {
        self.completed.notified().await;
    }

    /// The version line, otherwise the first line that isn't blank, escaped.
    pub(super) fn line(&self) -> String {
        let lines = self.lines.lock();
        let line = if lines.first.is_empty() || lines.last.starts_with(b"SSH-") { &lines.last } else { &lines.first };
        let shown = &line[..line.len().min(Self::SHOWN)];
        String::from_utf8_lossy(shown).trim_end().escape_debug().to_string()
    }

    /// Reads lines up to the version line. Returns how many bytes it took, and the version line; an error if the server has
    /// another version of the protocol, or sends too much before.
    fn read(&self, bytes: &[u8]) -> io::Result<(usize, Option<Vec<u8>>)> {
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        let mut lines = self.lines.lock();
        let GreetingLines { first, last: line, count } = &mut *lines;
        for (place, byte) in bytes.iter().enumerate() {
            line.push(*byte);
            if *byte != b'\n' {
                if line.len() > Self::LONGEST {
                    return wrong("a line before the version line is too long");
                }
            } else if line.starts_with(b"SSH-") {
                // 1.99 speaks both (RFC 4253, section 5.1).
                if !line.starts_with(b"SSH-2.") && !line.starts_with(b"SSH-1.99-") {
                    return wrong("not version 2 of the protocol");
                }
                self.complete.store(true, Ordering::Release);
                self.completed.notify_one();
                return Ok((place + 1, Some(line.clone())));
            } else {
                *count += 1;
                if *count > Self::MOST {
                    return wrong("too many lines before the version line");
                }
                if first.is_empty() && !line.trim_ascii().is_empty() {
                    first.clone_from(line);
                }
                line.clear();
            }
        }
        Ok((bytes.len(), None))
    }
}

/// A buffered stream that begins with the server's version line, and that can be cut.
///
/// Lines of a server, or of a program in between, before that line (RFC 4253, section 4.2) are kept in the [`Greeting`]:
/// russh accepts fewer than OpenSSH's client.
pub(super) struct Watched {
    stream: BoxStream,
    buffer: Box<[u8]>,
    /// The unread part of the buffer.
    unread: Range<usize>,
    /// The unread part of the version line.
    version: Vec<u8>,
    greeting: Arc<Greeting>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    pool: Arc<Pool>,
    silence: Silence,
    /// Whether the last write is pending.
    stalled: bool,
}

impl Watched {
    pub(super) fn new(
        stream: BoxStream,
        cut: &CancellationToken,
        pool: Arc<Pool>,
        silence: Silence,
    ) -> (Self, Arc<Greeting>) {
        let greeting = Arc::new(Greeting::default());
        let buffer = vec![0; FIRST_BUFFER].into_boxed_slice();
        let cut = Box::pin(cut.clone().cancelled_owned());
        let this = Self {
            stream,
            buffer,
            unread: 0..0,
            version: Vec::new(),
            greeting: greeting.clone(),
            cut,
            pool,
            silence,
            stalled: false,
        };
        (this, greeting)
    }

    /// Fills the empty buffer with one read; it stays empty at the end of the stream.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let largest = if self.pool.is_crowded() { CROWDED_BUFFER } else { LARGEST_BUFFER };
        if self.buffer.len() > largest {
            self.buffer = vec![0; largest].into_boxed_slice();
        } else if self.unread.end == self.buffer.len() && self.buffer.len() < largest {
            // The last read filled it.
            self.buffer = vec![0; self.buffer.len() * 4].into_boxed_slice();
        }
        let mut buf = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        self.unread = 0..buf.filled().len();
        self.silence.broken();
        Poll::Ready(Ok(()))
    }

    /// Makes a pending result an error once the stream is cut, or the peer is considered dead.
    fn or_cut<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() {
            if self.cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by this side")));
            }
            return self.silence.poll(cx).map(Err);
        }
        result
    }

    /// Reads while russh writes, since data from the peer shows that it is alive.
    fn hear(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.silence.is_watched()
            && self.unread.is_empty()
            && let Poll::Ready(Err(error)) = self.fill(cx)
        {
            return Err(error);
        }
        Ok(())
    }

    /// Handles the result of a write.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stalled = written.is_pending();
        if stalled {
            self.hear(cx)?;
        } else if self.stalled {
            self.silence.broken();
        }
        self.stalled = stalled;
        self.or_cut(cx, written)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.unread.is_empty() && self.version.is_empty() {
                let read = self.fill(cx);
                ready!(self.or_cut(cx, read))?;
            }
            if self.greeting.is_complete() || self.unread.is_empty() {
                break;
            }
            let (taken, version) = self.greeting.read(&self.buffer[self.unread.clone()])?;
            self.unread.start += taken;
            self.version = version.unwrap_or_default();
        }
        if !self.version.is_empty() {
            let size = self.version.len().min(buf.remaining());
            buf.put_slice(&self.version[..size]);
            self.version.drain(..size);
            return Poll::Ready(Ok(()));
        }
        let size = self.unread.len().min(buf.remaining());
        let taken = self.unread.start..self.unread.start + size;
        self.unread.start = taken.end;
        buf.put_slice(&self.buffer[taken]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, flushed)
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
        // There is no reader yet.
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

    /// What russh gets of what a server says in one piece or byte by byte.
    async fn passed_on(said: &[u8]) -> (io::Result<Vec<u8>>, String) {
        let mut seen = Vec::new();
        for piece in [said.len(), 1] {
            let (near, mut far) = tokio::io::duplex(piece);
            let (mut watched, greeting) =
                Watched::new(Box::new(near), &CancellationToken::new(), Arc::default(), Silence::off());
            let said = said.to_vec();
            let saying = tokio::spawn(async move { far.write_all(&said).await });
            let mut got = Vec::new();
            let read = watched.read_to_end(&mut got).await.map(|_| got);
            saying.abort();
            seen.push((read, greeting.line()));
        }
        assert_eq!(format!("{:?}", seen[0]), format!("{:?}", seen[1]));
        seen.remove(0)
    }

    #[tokio::test]
    async fn the_version_line_is_found_behind_whatever_openssh_lets_pass() {
        let version = b"SSH-2.0-OpenSSH_9.2\r\n\0\0\x01binary\n";
        let long = [vec![b'x'; 8000], b"\n".to_vec()].concat();
        let many = b"\xff line\r\n".repeat(1024);
        for before in [&b""[..], b"\n", b"\r\n\n", b"go away\r\nSSH\n", b" SSH-2.0-not\n", &long, &many] {
            let (got, line) = passed_on(&[before, version].concat()).await;
            assert_eq!(got.unwrap(), version);
            assert_eq!(line, "SSH-2.0-OpenSSH_9.2");
        }
    }

    #[tokio::test]
    async fn what_is_said_without_a_version_line_is_kept() {
        let (got, line) = passed_on(b"\r\n\x1b[31mgo away\r\nmore").await;
        assert_eq!((got.unwrap().as_slice(), line.as_str()), (&b""[..], "\\u{1b}[31mgo away"));
        let too_long = vec![b'x'; Greeting::LONGEST + 1];
        let too_many = b"line\n".repeat(Greeting::MOST + 1);
        for said in [&too_long[..], &too_many, b"SSH-1.5-old\n"] {
            passed_on(said).await.0.unwrap_err();
        }
    }

    #[tokio::test]
    async fn the_buffer_grows_with_what_comes() {
        let (mut peer, stream) = tokio::io::duplex(1 << 20);
        let (mut watched, _) =
            Watched::new(Box::new(stream), &CancellationToken::new(), Arc::default(), Silence::off());
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
