//! Just enough SFTP (draft-ietf-secsh-filexfer-02) to move files, with many requests under way.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf};
use tokio::sync::oneshot;

use super::ssh::Ssh;
use super::{Failed, number};

const INIT: u8 = 1;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const OPEN_DIRECTORY: u8 = 11;
const READ_DIRECTORY: u8 = 12;
const MAKE_DIRECTORY: u8 = 14;
const STAT: u8 = 17;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRIBUTES: u8 = 105;

/// Open flags: write, create, truncate.
const CREATE: u32 = 0x02 | 0x08 | 0x10;
/// What OpenSSH's server takes at most at once (`limits@openssh.com`).
const CHUNK: u64 = 255 * 1024;
/// Files of a tree under way at the same time.
const FILES: usize = 64;

/// One file to a host.
pub(crate) async fn put(ssh: &Ssh, local: &str, remote: &str) -> Result<(), Failed> {
    let file = File::open(local)?;
    let size = file.metadata()?.len();
    let depth = number("FLOOR_DEPTH", 64)?;
    // A channel each, because the window that the server gives is one of a channel's.
    let channels = number("FLOOR_CHANNELS", 1)?;
    let first = Sftp::start(ssh).await?;
    first.close(&first.open(remote, CREATE).await?).await?;
    let mut sessions = vec![first];
    while sessions.len() < channels {
        sessions.push(Sftp::start(ssh).await?);
    }
    let stripes = sessions.iter().enumerate().map(|(stripe, sftp)| {
        let file = &file;
        async move {
            let handle = &sftp.open(remote, 0x02).await?;
            let chunks = (0..size.div_ceil(CHUNK)).skip(stripe).step_by(channels).map(|chunk| chunk * CHUNK);
            stream::iter(chunks)
                .map(|offset| async move {
                    let length = CHUNK.min(size - offset) as usize;
                    let mut frame = sftp.frame(WRITE, handle.len() + 16 + length);
                    put_bytes(&mut frame, handle);
                    frame.put_u64(offset);
                    frame.put_u32(length as u32);
                    let start = frame.len();
                    frame.resize(start + length, 0);
                    file.read_exact_at(&mut frame[start..], offset)?;
                    status(sftp.send(frame).await?.await?)
                })
                .buffer_unordered(depth)
                .try_for_each(|()| async { Ok(()) })
                .await?;
            sftp.close(handle).await
        }
    });
    futures_util::future::try_join_all(stripes).await.map(drop)
}

/// One file from a host.
pub(crate) async fn get(ssh: &Ssh, remote: &str, local: &str) -> Result<(), Failed> {
    let sftp = &Sftp::start(ssh).await?;
    let handle = &sftp.open(remote, 0x01).await?;
    let size = sftp.size(remote).await?;
    let file = &File::create(local)?;
    stream::iter((0..size.div_ceil(CHUNK)).map(|chunk| chunk * CHUNK))
        .map(|start| async move {
            let (mut offset, end) = (start, size.min(start + CHUNK));
            while offset < end {
                let data = sftp.read(handle, offset, (end - offset) as u32).await?;
                file.write_all_at(&data, offset)?;
                offset += data.len() as u64;
            }
            Ok::<_, Failed>(())
        })
        .buffer_unordered(number("FLOOR_DEPTH", 64)?)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    sftp.close(handle).await
}

/// A directory of files, to a host.
pub(crate) async fn put_tree(ssh: &Ssh, local: &str, remote: &str) -> Result<(), Failed> {
    let sftp = &Sftp::start(ssh).await?;
    let mut frame = sftp.frame(MAKE_DIRECTORY, remote.len() + 8);
    put_bytes(&mut frame, remote.as_bytes());
    frame.put_u32(0);
    status(sftp.send(frame).await?.await?)?;
    let names = fs::read_dir(local)?.map(|entry| Ok(entry?.file_name().into_string().map_err(|_| "a name")?));
    stream::iter(names.collect::<Result<Vec<_>, Failed>>()?)
        .map(|name| async move {
            let content = fs::read(format!("{local}/{name}"))?;
            let handle = sftp.open(&format!("{remote}/{name}"), CREATE).await?;
            let mut frame = sftp.frame(WRITE, handle.len() + 16 + content.len());
            put_bytes(&mut frame, &handle);
            frame.put_u64(0);
            put_bytes(&mut frame, &content);
            let written = sftp.send(frame).await?;
            sftp.close(&handle).await?;
            status(written.await?)
        })
        .buffer_unordered(FILES)
        .try_for_each(|()| async { Ok(()) })
        .await
}

/// A directory of files, from a host.
pub(crate) async fn get_tree(ssh: &Ssh, remote: &str, local: &str) -> Result<(), Failed> {
    let sftp = &Sftp::start(ssh).await?;
    fs::create_dir(local)?;
    let names = sftp.names(remote).await?;
    stream::iter(names)
        .map(|(name, size)| async move {
            let handle = sftp.open(&format!("{remote}/{name}"), 0x01).await?;
            let mut frame = sftp.frame(READ, handle.len() + 16);
            put_bytes(&mut frame, &handle);
            frame.put_u64(0);
            frame.put_u32(size as u32);
            let read = sftp.send(frame).await?;
            sftp.close(&handle).await?;
            let data = data(read.await?)?;
            if data.len() as u64 != size {
                return Err("a short read".into());
            }
            Ok::<_, Failed>(fs::write(format!("{local}/{name}"), data)?)
        })
        .buffer_unordered(FILES)
        .try_for_each(|()| async { Ok(()) })
        .await
}

/// An SFTP session.
struct Sftp {
    /// One request at a time: what is longer than a packet must not mix with another.
    channel: tokio::sync::Mutex<ChannelWriteHalf<Msg>>,
    next: AtomicU32,
    waiting: Arc<Mutex<HashMap<u32, oneshot::Sender<Bytes>>>>,
}

impl Sftp {
    async fn start(ssh: &Ssh) -> Result<Self, Failed> {
        let channel = ssh.channel().await?;
        channel.request_subsystem(true, "sftp").await?;
        let (mut reader, channel) = channel.split();
        let waiting = Arc::<Mutex<HashMap<u32, oneshot::Sender<Bytes>>>>::default();
        let answered = waiting.clone();
        tokio::spawn(async move {
            let mut buffer = BytesMut::new();
            while let Some(message) = reader.wait().await {
                let ChannelMsg::Data { data } = message else { continue };
                buffer.extend_from_slice(&data);
                while buffer.len() >= 4 {
                    let length = (&buffer[..4]).get_u32() as usize;
                    if buffer.len() < 4 + length {
                        buffer.reserve(4 + length - buffer.len());
                        break;
                    }
                    buffer.advance(4);
                    let frame = buffer.split_to(length).freeze();
                    // The version has no number; it is waited for as the one of 0.
                    let id = if frame[0] == 2 { 0 } else { (&frame[1..5]).get_u32() };
                    let waits = answered.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    waits.map(|waits| waits.send(frame));
                }
            }
        });
        let this = Self { channel: channel.into(), next: AtomicU32::new(1), waiting };
        let mut frame = BytesMut::new();
        frame.put_u32(5);
        frame.put_u8(INIT);
        frame.put_u32(3);
        let version = this.expect(0);
        this.channel.lock().await.data_bytes(frame).await?;
        version.await?;
        Ok(this)
    }

    /// The beginning of a request: its length is filled in when it is sent.
    fn frame(&self, kind: u8, size: usize) -> BytesMut {
        let mut frame = BytesMut::with_capacity(9 + size);
        frame.put_u32(0);
        frame.put_u8(kind);
        frame.put_u32(self.next.fetch_add(1, Ordering::Relaxed));
        frame
    }

    fn expect(&self, id: u32) -> oneshot::Receiver<Bytes> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        receiver
    }

    /// Sends a request; the answer is what is received.
    async fn send(&self, mut frame: BytesMut) -> Result<oneshot::Receiver<Bytes>, Failed> {
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let answer = self.expect((&frame[5..9]).get_u32());
        self.channel.lock().await.data_bytes(frame.freeze()).await?;
        Ok(answer)
    }

    async fn open(&self, path: &str, flags: u32) -> Result<Bytes, Failed> {
        let mut frame = self.frame(OPEN, path.len() + 12);
        put_bytes(&mut frame, path.as_bytes());
        frame.put_u32(flags);
        frame.put_u32(0);
        handle(self.send(frame).await?.await?)
    }

    async fn read(&self, handle: &Bytes, offset: u64, length: u32) -> Result<Bytes, Failed> {
        let mut frame = self.frame(READ, handle.len() + 16);
        put_bytes(&mut frame, handle);
        frame.put_u64(offset);
        frame.put_u32(length);
        data(self.send(frame).await?.await?)
    }

    async fn close(&self, handle: &Bytes) -> Result<(), Failed> {
        let mut frame = self.frame(CLOSE, handle.len() + 4);
        put_bytes(&mut frame, handle);
        status(self.send(frame).await?.await?)
    }

    async fn size(&self, path: &str) -> Result<u64, Failed> {
        let mut frame = self.frame(STAT, path.len() + 4);
        put_bytes(&mut frame, path.as_bytes());
        let mut answer = self.send(frame).await?.await?;
        if answer.get_u8() != ATTRIBUTES {
            return Err("no attributes".into());
        }
        answer.advance(8);
        Ok(answer.get_u64())
    }

    /// The files of a directory, with their sizes.
    async fn names(&self, path: &str) -> Result<Vec<(String, u64)>, Failed> {
        let mut frame = self.frame(OPEN_DIRECTORY, path.len() + 4);
        put_bytes(&mut frame, path.as_bytes());
        let handle = handle(self.send(frame).await?.await?)?;
        let mut names = Vec::new();
        loop {
            let mut frame = self.frame(READ_DIRECTORY, handle.len() + 4);
            put_bytes(&mut frame, &handle);
            let mut answer = self.send(frame).await?.await?;
            if answer.get_u8() != NAME {
                break;
            }
            answer.advance(4);
            for _ in 0..answer.get_u32() {
                let name = String::from_utf8(take_bytes(&mut answer).to_vec())?;
                take_bytes(&mut answer);
                // Size, user and group, mode, times: what OpenSSH sends of each.
                let flags = answer.get_u32();
                let size = if flags & 1 != 0 { answer.get_u64() } else { 0 };
                answer.advance(4 * (2 * usize::from(flags & 2 != 0) + usize::from(flags & 4 != 0)));
                answer.advance(8 * usize::from(flags & 8 != 0));
                if name != "." && name != ".." {
                    names.push((name, size));
                }
            }
        }
        self.close(&handle).await?;
        Ok(names)
    }
}

fn put_bytes(frame: &mut BytesMut, bytes: &[u8]) {
    frame.put_u32(bytes.len() as u32);
    frame.put_slice(bytes);
}

fn take_bytes(answer: &mut Bytes) -> Bytes {
    let length = answer.get_u32() as usize;
    answer.split_to(length)
}

fn payload(mut answer: Bytes, kind: u8) -> Result<Bytes, Failed> {
    let got = answer.get_u8();
    answer.advance(4);
    if got == kind { Ok(answer) } else { Err(format!("answer {got} instead of {kind}: {answer:?}").into()) }
}

fn status(answer: Bytes) -> Result<(), Failed> {
    let code = payload(answer, STATUS)?.get_u32();
    if code == 0 { Ok(()) } else { Err(format!("status {code}").into()) }
}

fn handle(answer: Bytes) -> Result<Bytes, Failed> {
    Ok(take_bytes(&mut payload(answer, HANDLE)?))
}

fn data(answer: Bytes) -> Result<Bytes, Failed> {
    Ok(take_bytes(&mut payload(answer, DATA)?))
}
