//! What stands between a socket and russh: prompt acknowledgements, buffered reads, and a watch on the
//! server's first lines.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use fabric_core::transport::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// russh reads a packet in two calls; from a buffer they cost no system call each.
const READ_BUFFER: usize = 64 * 1024;

/// So many reads belong to setting a session up.
const SETUP_READS: u32 = 64;

/// A socket that acknowledges at once while the session is set up.
///
/// sshd leaves Nagle's algorithm on until a session has started, so that one of its small packets waits
/// for our acknowledgement, which Linux delays by 40 ms. The option holds only until the kernel thinks
/// otherwise, hence after each read.
pub(crate) struct QuickAck {
    socket: TcpStream,
    left: u32,
}

impl QuickAck {
    pub(crate) fn new(socket: TcpStream) -> Self {
        let mut this = Self { socket, left: SETUP_READS };
        this.acknowledge();
        this
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
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// What the server said before the key exchange: its version line, and what it put before that.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    complete: AtomicBool,
    line: Mutex<Vec<u8>>,
}

impl Greeting {
    /// A version line is at most 255 bytes (RFC 4253, section 4.2).
    const LIMIT: usize = 255;

    /// Whether the version line has come.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// The last line seen, as text that is safe to show.
    pub(super) fn line(&self) -> String {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&line).trim_end().escape_debug().to_string()
    }

    /// Takes in what was read; an error if the server speaks another version of the protocol.
    fn watch(&self, bytes: &[u8]) -> io::Result<()> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if line.last() == Some(&b'\n') {
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
    stream: BufReader<BoxStream>,
    greeting: Arc<Greeting>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Watched {
    pub(super) fn new(stream: BoxStream, cut: &CancellationToken) -> (Self, Arc<Greeting>) {
        let greeting = Arc::new(Greeting::default());
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        let cut = Box::pin(cut.clone().cancelled_owned());
        (Self { stream, greeting: greeting.clone(), cut }, greeting)
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
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        ready!(self.or_cut(cx, read))?;
        if !self.greeting.is_complete() {
            self.greeting.watch(&buf.filled()[before..])?;
        }
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
    use super::*;

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
}
