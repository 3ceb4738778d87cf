//! The data of a client's channel, queued for its reader.
//!
//! russh passes data on in the task of the whole connection: a process that doesn't read its standard input would block
//! every other channel, including the one that is to kill it. So data is queued here, up to a limit.

use std::sync::Arc;

use bytes::Bytes;
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// How many bytes may wait for a reader before the connection blocks.
const BOUND: usize = 16 << 20;

/// The end that the connection writes; dropping it is end-of-file.
pub(super) struct Feed {
    queue: mpsc::UnboundedSender<Bytes>,
    space: Arc<Semaphore>,
}

/// The end for the reader.
pub(super) struct Input {
    queue: mpsc::UnboundedReceiver<Bytes>,
    space: Arc<Semaphore>,
}

/// Both ends of a new queue.
pub(super) fn queue() -> (Feed, Input) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let space = Arc::new(Semaphore::new(BOUND));
    (Feed { queue: sender, space: Arc::clone(&space) }, Input { queue: receiver, space })
}

impl Feed {
    /// Adds data, once there is space for it. Data without a reader is dropped.
    pub(super) async fn push(&self, data: Bytes) {
        let size = data.len().min(BOUND) as u32;
        if let Ok(permit) = self.space.acquire_many(size).await {
            permit.forget();
            let _ = self.queue.send(data);
        }
    }
}

impl Input {
    /// The next data; `None` at end-of-file.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let data = self.queue.recv().await?;
        self.space.add_permits(data.len().min(BOUND));
        Some(data)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.space.close();
    }
}

/// The input of a channel that this side opened, and a token for the end of the channel.
pub(super) fn drain(mut channel: ChannelReadHalf) -> (Input, CancellationToken) {
    let (feed, input) = queue();
    let closed = CancellationToken::new();
    let guard = closed.clone().drop_guard();
    tokio::spawn(async move {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => feed.push(data).await,
                ChannelMsg::Eof | ChannelMsg::Close => break,
                _ => {}
            }
        }
        drop(feed);
        // Data after end-of-file must not fill russh's own queue.
        while channel.wait().await.is_some() {}
        drop(guard);
    });
    (input, closed)
}

/// How long a channel's task may run.
#[derive(Clone)]
pub(super) struct Life {
    /// Until the channel is closed: the client reads no more output.
    pub(super) closed: CancellationToken,
    /// Until the connection ends.
    pub(super) ended: CancellationToken,
}

/// The writing half of a channel on the server side.
pub(super) type Output = russh::ChannelWriteHalf<Msg>;
