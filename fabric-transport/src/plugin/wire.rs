//! Messages with descriptors between a program and the child that hosts a plugin for it.
//!
//! A frame is a header (the call's number, and the length of the JSON), together with the descriptors (SCM_RIGHTS), and
//! then the JSON.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// More descriptors than any answer has.
const MOST_FDS: usize = 4;
/// Longer than any message: a command of 128 KiB, escaped.
const LONGEST: u32 = 4 * 1024 * 1024;

pub(super) struct Frame {
    pub(super) call: u64,
    pub(super) json: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

pub(super) fn send(mut socket: &UnixStream, call: u64, json: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let length = u32::try_from(json.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut header = [0; 12];
    header[..8].copy_from_slice(&call.to_ne_bytes());
    header[8..].copy_from_slice(&length.to_ne_bytes());

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let sent = sendmsg(socket.as_fd(), &[IoSlice::new(&header)], &mut ancillary, SendFlags::empty())?;
    socket.write_all(&header[sent..])?;
    socket.write_all(json)
}

/// The next frame; an error of kind `UnexpectedEof` at the end.
pub(super) fn receive(mut socket: &UnixStream) -> io::Result<Frame> {
    let mut header = [0; 12];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut header)], &mut ancillary, flags)?.bytes;
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    };
    let fds = ancillary.drain().filter_map(rights).flatten().collect();
    socket.read_exact(&mut header[received..])?;
    let (call, length) = header.split_at(8);
    let call = u64::from_ne_bytes(call.try_into().unwrap_or_default());
    let length = u32::from_ne_bytes(length.try_into().unwrap_or_default());
    if length > LONGEST {
        return Err(io::Error::other("a message is too long"));
    }
    let mut json = vec![0; length as usize];
    socket.read_exact(&mut json)?;
    Ok(Frame { call, json, fds })
}
