//! An open file of the server.

use std::num::NonZeroU64;

use bytes::Bytes;

use super::attributes::Attributes;
use super::client::Client;
use super::driver::{About, Call, Expected, OpenHandle};
use super::error::SftpError;
use super::extensions;
use super::wire::{Request, packet};

/// An open file of the server. Dropping it closes it without waiting; [`Self::close`] also reports errors, which matter
/// after writing.
#[derive(Debug)]
pub struct RemoteFile {
    pub(super) handle: OpenHandle,
    pub(super) client: Client,
    pub(super) path: Vec<u8>,
}

impl RemoteFile {
    pub(super) fn new(handle: OpenHandle, client: Client, path: &[u8]) -> Self {
        Self { handle, client, path: path.to_owned() }
    }

    /// One read: up to `length` bytes at `offset`, perhaps fewer; none at the end of the file. The client asks for no
    /// more than [`Limits::read`](super::Limits::read).
    pub async fn read_at(&self, offset: u64, length: u32) -> Result<Bytes, SftpError> {
        let length = length.min(self.client.limits().await.read);
        match self.submit_read(offset, length).await?.data(self.about("read")).await {
            Err(error) if error.status() == Some(super::StatusCode::Eof) => Ok(Bytes::new()),
            answer => answer,
        }
    }

    /// Writes all of `data` at `offset`, in as many requests as needed, all of them sent ahead.
    pub async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), SftpError> {
        let mut calls = Vec::new();
        let chunk = self.client.limits().await.write as usize;
        for (piece, at) in data.chunks(chunk).zip((offset..).step_by(chunk)) {
            calls.push(self.submit_write(at, piece).await?);
        }
        for mut call in calls {
            call.status(self.about("write")).await?;
        }
        Ok(())
    }

    /// Its attributes.
    pub async fn stat(&self) -> Result<Attributes, SftpError> {
        self.submit(packet::FSTAT, Expected::Attributes).await?.attributes(self.about("fstat")).await
    }

    /// Changes its attributes.
    pub async fn set_stat(&self, attributes: &Attributes) -> Result<(), SftpError> {
        self.submit_set_stat(attributes).await?.status(self.about("fsetstat")).await
    }

    /// Waits until the server has written it to disk (`fsync@openssh.com`).
    pub async fn sync(&self) -> Result<(), SftpError> {
        self.submit_sync().await?.status(self.about("fsync")).await
    }

    /// Has the server copy `length` bytes from `offset` to `to` at `to_offset`, or everything to the end if `None`
    /// (`copy-data`). No content is sent over the network.
    pub async fn copy_to(
        &self,
        offset: u64,
        length: Option<NonZeroU64>,
        to: &Self,
        to_offset: u64,
    ) -> Result<(), SftpError> {
        let about = self.about("copy-data");
        let request = self.client.extended(about, extensions::COPY_DATA, 2 * 260 + 24)?;
        // 0 means "to the end" (OpenSSH's PROTOCOL, section 4.12).
        let length = length.map_or(0, NonZeroU64::get);
        let request = request.string(self.handle.bytes()).u64(offset).u64(length);
        self.client.status(about, request.string(to.handle.bytes()).u64(to_offset)).await
    }

    /// Closes it and waits for the server's reply.
    pub async fn close(self) -> Result<(), SftpError> {
        let about = About { operation: "close", path: &self.path };
        self.handle.close()?.status(about).await
    }

    /// Changes attributes, syncs and closes, in one round trip. The first error is returned.
    pub async fn finish(self, attributes: &Attributes, sync: bool) -> Result<(), SftpError> {
        self.send_finish(attributes, sync).await?.confirm().await
    }

    /// Sends the last requests of the work on a file, behind all earlier ones.
    pub(super) async fn send_finish(self, attributes: &Attributes, sync: bool) -> Result<Finishing, SftpError> {
        let mut calls = Vec::with_capacity(3);
        if !attributes.is_empty() {
            calls.push(("fsetstat", self.submit_set_stat(attributes).await?));
        }
        if sync {
            calls.push(("fsync", self.submit_sync().await?));
        }
        calls.push(("close", self.handle.close()?));
        Ok(Finishing { path: self.path, calls })
    }

    pub(super) fn about(&self, operation: &'static str) -> About<'_> {
        About { operation, path: &self.path }
    }

    pub(super) async fn submit_read(&self, offset: u64, length: u32) -> Result<Call, SftpError> {
        let handle = self.handle.bytes();
        let request = Request::new(packet::READ, handle.len() + 16).string(handle).u64(offset).u32(length);
        self.handle.conversation().submit(request, Expected::Data(length)).await
    }

    async fn submit_write(&self, offset: u64, data: &[u8]) -> Result<Call, SftpError> {
        let handle = self.handle.bytes();
        let request = Request::new(packet::WRITE, handle.len() + 16 + data.len());
        let request = request.string(handle).u64(offset).string(data);
        self.handle.conversation().submit(request, Expected::Status).await
    }

    async fn submit_set_stat(&self, attributes: &Attributes) -> Result<Call, SftpError> {
        let handle = self.handle.bytes();
        let request = Request::new(packet::FSETSTAT, handle.len() + 40).string(handle).attributes(attributes);
        self.handle.conversation().submit(request, Expected::Status).await
    }

    pub(super) async fn submit_stat(&self) -> Result<Call, SftpError> {
        self.submit(packet::FSTAT, Expected::Attributes).await
    }

    async fn submit_sync(&self) -> Result<Call, SftpError> {
        let request = self.client.extended(self.about("fsync"), extensions::FSYNC, 260)?;
        self.handle.conversation().submit(request.string(self.handle.bytes()), Expected::Status).await
    }

    async fn submit(&self, packet: u8, expected: Expected) -> Result<Call, SftpError> {
        let handle = self.handle.bytes();
        let request = Request::new(packet, 4 + handle.len()).string(handle);
        self.handle.conversation().submit(request, expected).await
    }
}

/// The last requests of the work on a file: sent, not confirmed yet.
#[derive(Debug)]
pub(super) struct Finishing {
    path: Vec<u8>,
    calls: Vec<(&'static str, Call)>,
}

impl Finishing {
    pub(super) fn about(&self, operation: &'static str) -> About<'_> {
        About { operation, path: &self.path }
    }

    pub(super) async fn confirm(&mut self) -> Result<(), SftpError> {
        for (operation, call) in &mut self.calls {
            call.status(About { operation, path: &self.path }).await?;
        }
        Ok(())
    }
}
