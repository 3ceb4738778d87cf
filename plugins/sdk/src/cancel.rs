//! Cancellation of calls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::PluginError;

/// Becomes readable when the call's result is no longer needed: the user pressed Ctrl-C, or its time is up.
///
/// Blocking calls that watch it, such as [`Cancel::connect`] and [`Cancel::readable`], then return
/// [`PluginError::Cancelled`].
#[derive(Debug, Clone, Copy)]
pub struct Cancel<'fd>(Option<BorrowedFd<'fd>>);

impl<'fd> Cancel<'fd> {
    /// The descriptor that becomes readable when the call must stop.
    pub fn new(fd: BorrowedFd<'fd>) -> Self {
        Self(Some(fd))
    }

    /// Never cancelled: for tests.
    pub const fn never() -> Cancel<'static> {
        Cancel(None)
    }

    /// Whether the call must stop.
    pub fn is_cancelled(&self) -> bool {
        let Some(fd) = self.0 else { return false };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        poll(&mut fds, Some(&rustix::time::Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Waits until `fd` can be read, for at most `timeout`.
    pub fn readable(&self, fd: impl AsFd, timeout: Duration) -> Result<(), PluginError> {
        self.wait(fd.as_fd(), PollFlags::IN, Instant::now() + timeout, timeout)
    }

    /// Waits until `fd` can be written, for at most `timeout`.
    pub fn writable(&self, fd: impl AsFd, timeout: Duration) -> Result<(), PluginError> {
        self.wait(fd.as_fd(), PollFlags::OUT, Instant::now() + timeout, timeout)
    }

    /// `timeout` is for the error's text.
    fn wait(self, fd: BorrowedFd<'_>, flags: PollFlags, until: Instant, timeout: Duration) -> Result<(), PluginError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PluginError::new(format!("no answer within {} s", timeout.as_secs_f64())));
            }
            let mut fds = vec![PollFd::from_borrowed_fd(fd, flags)];
            fds.extend(self.0.map(|cancel| PollFd::from_borrowed_fd(cancel, PollFlags::IN)));
            let left = rustix::time::Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            match poll(&mut fds, Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if fds.get(1).is_some_and(|cancel| !cancel.revents().is_empty()) {
                return Err(PluginError::Cancelled);
            }
            if !fds[0].revents().is_empty() {
                return Ok(());
            }
        }
    }

    /// A TCP connection to `host` and `port` with nodelay set; every address is tried for at most `timeout`. The error
    /// contains the reason for each of them.
    pub fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<TcpStream, PluginError> {
        let addresses =
            (host, port).to_socket_addrs().map_err(|e| PluginError::new(format!("cannot find {host}: {e}")))?;
        self.first_of(host, addresses, timeout)
    }

    fn first_of(
        self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
        timeout: Duration,
    ) -> Result<TcpStream, PluginError> {
        let mut failed = Vec::new();
        for address in addresses {
            match self.connect_to(address, timeout) {
                Ok(stream) => return Ok(stream),
                Err(PluginError::Cancelled) => return Err(PluginError::Cancelled),
                Err(error) => failed.push(format!("{address}: {error}")),
            }
        }
        let none = || format!("{host} has no address");
        Err(PluginError::new(if failed.is_empty() { none() } else { failed.join("; ") }))
    }

    fn connect_to(self, address: SocketAddr, timeout: Duration) -> Result<TcpStream, PluginError> {
        let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) => {}
            Err(Errno::INPROGRESS) => {
                self.writable(&socket, timeout)?;
                sockopt::socket_error(&socket)?.map_err(io::Error::from)?;
            }
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A stream whose reads and writes fail when the call is cancelled or its time is up: for the handshake of a gateway,
/// before it returns the stream.
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use fabric_plugin_sdk::{Cancel, Handshake};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// theirs.write_all(b"ready")?;
/// let mut hello = [0; 5];
/// Handshake::new(&ours, Cancel::never(), Duration::from_secs(5)).read_exact(&mut hello)?;
/// assert_eq!(&hello, b"ready");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Handshake<'a> {
    fd: BorrowedFd<'a>,
    cancel: Cancel<'a>,
    until: Instant,
    timeout: Duration,
}

impl<'a> Handshake<'a> {
    /// Over `stream`, for at most `timeout` in total.
    pub fn new(stream: &'a impl AsFd, cancel: Cancel<'a>, timeout: Duration) -> Self {
        Self { fd: stream.as_fd(), cancel, until: Instant::now() + timeout, timeout }
    }

    /// Reads up to and including `end`, byte by byte, so that nothing behind it is consumed; at most `most` bytes.
    pub fn read_until(&mut self, end: &[u8], most: usize) -> Result<Vec<u8>, PluginError> {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(end) {
            if read.len() >= most {
                return Err(PluginError::new(format!("the answer is longer than {most} bytes")));
            }
            self.read_exact(&mut byte)?;
            read.push(byte[0]);
        }
        Ok(read)
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        // As `other`, because `read_exact` would try again after `Interrupted`.
        self.cancel.wait(self.fd, flags, self.until, self.timeout).map_err(io::Error::other)
    }
}

impl Read for Handshake<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN)?;
        Ok(rustix::io::read(self.fd, buf)?)
    }
}

impl Write for Handshake<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT)?;
        Ok(rustix::io::write(self.fd, buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_address_is_tried_and_named() {
        let taken = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (open, address) = {
            let open = taken();
            let address = open.local_addr().unwrap();
            (open, address)
        };
        let closed = [taken().local_addr().unwrap(), "[::1]:1".parse().unwrap()];
        let connect = |addresses: &[SocketAddr]| {
            Cancel::never().first_of("localhost", addresses.iter().copied(), Duration::from_secs(5))
        };
        let stream = connect(&[closed[1], closed[0], address]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        drop(open);
        let error = connect(&closed).unwrap_err().to_string();
        assert!(closed.iter().all(|address| error.contains(&address.to_string())), "{error}");
        assert!(connect(&[]).unwrap_err().to_string().contains("localhost has no address"));
    }
}
