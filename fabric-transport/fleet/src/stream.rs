//! A client's connection as a byte stream that can be ended, cut, stalled and corrupted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::faults::Faults;

/// The stream that russh serves.
pub(super) struct FaultyStream {
    inner: TcpStream,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    written: u64,
    /// A reader that waits, and must be woken when a write cuts the connection.
    reader: Option<Waker>,
    cut_after: u64,
    stall_after: u64,
    garble_after: u64,
}

impl FaultyStream {
    pub(super) fn new(inner: TcpStream, ended: CancellationToken, faults: &Faults) -> Self {
        let limit = |after: Option<u64>| after.unwrap_or(u64::MAX);
        Self {
            inner,
            ended: Box::pin(ended.cancelled_owned()),
            written: 0,
            reader: None,
            cut_after: limit(faults.cut_after),
            stall_after: limit(faults.stall_after),
            garble_after: limit(faults.garble_after),
        }
    }

    /// Whether the connection must end now; else the task is woken when it must.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.as_mut().poll(cx).is_ready() || self.written >= self.cut_after {
            // Nothing is flushed: the client sees a reset instead of an orderly end.
            let _ = socket2::SockRef::from(&self.inner).set_linger(Some(std::time::Duration::ZERO));
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        if self.written >= self.stall_after {
            return Poll::Pending;
        }
        if self.cut_after != u64::MAX {
            self.reader = Some(cx.waker().clone());
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        if self.written >= self.stall_after {
            return Poll::Pending;
        }
        let written = self.written;
        // The next point at which behaviour changes: everything before it is sent unchanged.
        let next = [self.cut_after, self.stall_after, self.garble_after].into_iter().filter(|at| *at > written).min();
        let room = next.map_or(u64::MAX, |at| at - written);
        let part = &data[..data.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let sent = if written >= self.garble_after {
            let garbled: Vec<u8> = part.iter().map(|byte| !byte).collect();
            Pin::new(&mut self.inner).poll_write(cx, &garbled)
        } else {
            Pin::new(&mut self.inner).poll_write(cx, part)
        };
        if let Poll::Ready(Ok(count)) = sent {
            self.written += count as u64;
            if self.written >= self.cut_after
                && let Some(reader) = self.reader.take()
            {
                reader.wake();
            }
        }
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
