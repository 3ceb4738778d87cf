//! Listening on the host (RFC 4254, section 7.1, and OpenSSH's unix sockets).

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::SessionError;
use fabric_core::transport::{BoxStream, ListenAddress, Listener};
use tokio::sync::mpsc;

use super::link::{Link, utf8};
use super::state::ListenKey;

/// A listener on the host, until it is closed or dropped.
struct RemoteListener {
    link: Arc<Link>,
    key: ListenKey,
    port: Option<NonZeroU16>,
    streams: mpsc::UnboundedReceiver<BoxStream>,
    open: bool,
}

/// Asks the host to listen.
pub(super) async fn listen(link: &Arc<Link>, at: &ListenAddress) -> Result<Box<dyn Listener>, SessionError> {
    // One at a time: a port that the server chooses is known only with its answer, and a connection may be announced right
    // after it.
    let _one = link.listening.lock().await;
    let key = match at {
        ListenAddress::Tcp { host, port } => ListenKey::Tcp(host.clone(), port.map_or(0, |port| port.get().into())),
        ListenAddress::Unix { path } => ListenKey::Unix(utf8(path)?),
    };
    let what = match &key {
        ListenKey::Tcp(host, port) => format!("listening on {host}:{port}"),
        ListenKey::Unix(path) => format!("listening on {path}"),
    };
    let (sender, streams) = mpsc::unbounded_channel();
    link.shared.listeners().insert(key.clone(), sender);
    // From here on, an error or a dropped future cancels it.
    let mut listener = RemoteListener { link: link.clone(), key, port: None, streams, open: true };
    let asked = match &listener.key {
        ListenKey::Tcp(host, port) => {
            let (host, port) = (host.clone(), *port);
            link.within(&what, link.handle.tcpip_forward(host, port)).await?
        }
        ListenKey::Unix(path) => {
            let path = path.clone();
            link.within(&what, link.handle.streamlocal_forward(path)).await?.map(|()| 0)
        }
    };
    match asked {
        Ok(chosen) => {
            if let ListenKey::Tcp(host, port) = &listener.key {
                let port = if *port == 0 { chosen } else { *port };
                let key = ListenKey::Tcp(host.clone(), port);
                let mut listeners = link.shared.listeners();
                if let Some(sender) = listeners.remove(&listener.key) {
                    listeners.insert(key.clone(), sender);
                }
                drop(listeners);
                listener.key = key;
                listener.port = u16::try_from(port).ok().and_then(NonZeroU16::new);
            }
            Ok(Box::new(listener))
        }
        Err(error) => {
            listener.forget();
            Err(link.error(&what, &error))
        }
    }
}

impl RemoteListener {
    /// Removes the listener.
    fn forget(&mut self) {
        self.open = false;
        self.link.shared.listeners().remove(&self.key);
    }
}

#[async_trait]
impl Listener for RemoteListener {
    fn port(&self) -> Option<NonZeroU16> {
        self.port
    }

    async fn accept(&mut self) -> Option<BoxStream> {
        self.streams.recv().await
    }

    async fn close(&mut self) {
        if self.open {
            self.forget();
            self.streams.close();
            cancel(&self.link, &self.key).await;
        }
    }
}

impl Drop for RemoteListener {
    fn drop(&mut self) {
        if self.open {
            self.forget();
            let (link, key) = (self.link.clone(), self.key.clone());
            tokio::spawn(async move { cancel(&link, &key).await });
        }
    }
}

async fn cancel(link: &Link, key: &ListenKey) {
    // If the server refuses to stop, its connections are refused.
    let _ = match key {
        ListenKey::Tcp(host, port) => {
            link.within("the end of listening", link.handle.cancel_tcpip_forward(host.clone(), *port)).await
        }
        ListenKey::Unix(path) => {
            link.within("the end of listening", link.handle.cancel_streamlocal_forward(path.clone())).await
        }
    };
}
