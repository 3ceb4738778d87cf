//! A plugin's descriptor as a byte stream.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fabric_core::transport::BoxStream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A gateway's stream: a TCP connection gets the same options as one that was dialled here.
pub(super) fn byte_stream(fd: OwnedFd) -> io::Result<BoxStream> {
    let stream = sockopt::socket_type(&fd) == Ok(SocketType::STREAM);
    let family = sockopt::socket_domain(&fd);
    if !stream || !matches!(family, Ok(AddressFamily::INET | AddressFamily::INET6)) {
        return Ok(Box::new(FdStream::new(fd)?));
    }
    let socket = std::net::TcpStream::from(fd);
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    let socket = tokio::net::TcpStream::from_std(socket)?;
    #[cfg(feature = "ssh")]
    let socket = crate::ssh::stream::QuickAck::new(socket);
    Ok(Box::new(socket))
}

/// A socket or pipe, read and written without blocking.
pub(super) struct FdStream(AsyncFd<OwnedFd>);

impl FdStream {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        // SAFETY: an `OwnedFd` is one open descriptor, and the same one, until it is dropped.
        #[allow(unsafe_code, reason = "registering a descriptor relies on it staying the same")]
        let registered = unsafe { AsyncFd::register(fd) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }
}

impl AsyncRead for FdStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.as_fd(), buf.initialize_unfilled())?)) {
                Ok(Ok(read)) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                // The other side of a pseudo-terminal is closed: end of file.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Poll::Ready(Ok(())),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_not_ready) => {}
            }
        }
    }
}

impl AsyncWrite for FdStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.as_fd(), buf)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(done) => return Poll::Ready(done),
                Err(_not_ready) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(self.0.as_fd(), rustix::net::Shutdown::Write) {
            // Not a socket: end-of-file is signalled by closing the descriptor.
            Ok(()) | Err(Errno::NOTSOCK | Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}
