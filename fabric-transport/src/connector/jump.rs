//! Gateways that are sessions (ProxyJump): opened once, shared by all targets behind them.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fabric_core::error::{ChannelRefusal, TimeLimit};
use fabric_core::settings::Problem;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectError, ConnectErrorKind, Phase, Session, SessionError, SessionKey, Target};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OnceCell;

/// How many streams share one gateway session. Their traffic goes through one cipher and one socket, and a stalled stream
/// must not block many hosts. sshd's MaxSessions doesn't count them.
const STREAMS: usize = 8;

/// How long an unused gateway is kept for the next host of a serial run.
const LINGER: Duration = Duration::from_secs(1);

/// The gateway sessions of a run.
#[derive(Default)]
pub(super) struct Jumps {
    slots: Mutex<HashMap<SessionKey, Vec<Arc<SharedSession>>>>,
}

/// One gateway session: being opened, open, or failed.
struct SharedSession {
    session: OnceCell<Result<Arc<dyn Session>, ConnectError>>,
    streams: AtomicUsize,
}

/// A stream's share of a gateway session, until it is dropped.
struct StreamShare {
    jumps: Arc<Jumps>,
    key: SessionKey,
    slot: Arc<SharedSession>,
}

impl Jumps {
    /// Opens a stream to `target` through `hop`, whose session `open` opens if none has room. Returns also how long the
    /// stream took on the open session.
    pub(super) async fn stream<F>(
        self: &Arc<Self>,
        target: &Target,
        hop: &Target,
        open: impl Fn() -> F,
    ) -> Result<(BoxStream, Duration), ConnectError>
    where
        F: Future<Output = Result<Arc<dyn Session>, ConnectError>>,
    {
        let gateway = hop.host_string.as_str();
        let failed = |kind| ConnectError::new(target.host_string.as_str(), Phase::Gateway, kind);
        let (host, port) = target.address();
        // A session that has broken since its last use is replaced once.
        for last in [false, true] {
            let place = self.place(hop);
            let opened = place.slot.session.get_or_init(&open).await.clone();
            let session = match opened {
                Ok(session) => session,
                Err(error) => {
                    place.retire();
                    // It may have been opened under another name of the host.
                    let error = Box::new(error.with_host(gateway));
                    return Err(failed(ConnectErrorKind::Gateway { gateway: gateway.to_owned(), error }));
                }
            };
            let begun = Instant::now();
            let opening = session.open_stream(host, port);
            let opened = match target.timeouts.connect {
                Some(after) => tokio::time::timeout(after, opening)
                    .await
                    .map_err(|_| failed(ConnectErrorKind::GatewayTimedOut { gateway: gateway.to_owned(), after }))?,
                None => opening.await,
            };
            match opened {
                Ok(stream) => {
                    let gateway = gateway.to_owned();
                    let stream = JumpStream { stream, gateway, _session: session, _place: place };
                    return Ok((Box::new(stream), begun.elapsed()));
                }
                Err(error) if !last && !session.is_open() => {
                    tracing::debug!(gateway, %error, "gateway session lost, opening another");
                    place.retire();
                }
                Err(error) => return Err(failed(refused(gateway, host, port, error))),
            }
        }
        unreachable!("the last round returns")
    }

    fn place(self: &Arc<Self>, hop: &Target) -> StreamShare {
        let key = SessionKey::new(Arc::new(hop.clone()));
        let mut slots = self.slots.lock();
        let slots = slots.entry(key.clone()).or_default();
        slots.retain(|slot| slot.is_usable());
        let free = slots.iter().find(|slot| slot.streams.load(Ordering::Relaxed) < STREAMS);
        let slot = if let Some(slot) = free {
            slot.clone()
        } else {
            let slot = Arc::new(SharedSession { session: OnceCell::new(), streams: AtomicUsize::new(0) });
            slots.push(slot.clone());
            slot
        };
        // Changed under the lock only.
        slot.streams.fetch_add(1, Ordering::Relaxed);
        StreamShare { jumps: self.clone(), key, slot }
    }

    /// Closes all gateway sessions.
    pub(super) async fn close_all(&self) {
        let slots = std::mem::take(&mut *self.slots.lock());
        for slot in slots.into_values().flatten() {
            if let Some(Ok(session)) = slot.session.get() {
                session.close().await;
            }
        }
    }
}

impl SharedSession {
    fn is_usable(&self) -> bool {
        match self.session.get() {
            None => true,
            Some(Ok(session)) => session.is_open(),
            Some(Err(_)) => false,
        }
    }
}

impl StreamShare {
    /// The slot is no longer needed.
    fn retire(&self) {
        let mut slots = self.jumps.slots.lock();
        if let Some(slots) = slots.get_mut(&self.key) {
            slots.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
        }
    }

    /// Takes the session out if it is unused.
    fn idle(jumps: &Jumps, key: &SessionKey, slot: &Arc<SharedSession>) -> Option<Arc<dyn Session>> {
        let mut all = jumps.slots.lock();
        if slot.streams.load(Ordering::Relaxed) > 0 {
            return None;
        }
        if let Some(slots) = all.get_mut(key) {
            slots.retain(|other| !Arc::ptr_eq(other, slot));
        }
        slot.session.get().and_then(|session| session.as_ref().ok()).cloned()
    }
}

impl Drop for StreamShare {
    fn drop(&mut self) {
        let slots = self.jumps.slots.lock();
        let left = self.slot.streams.fetch_sub(1, Ordering::Relaxed) - 1;
        drop(slots);
        // Without a runtime the program is ending, which closes the sockets.
        if left == 0
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (jumps, key, slot) = (self.jumps.clone(), self.key.clone(), self.slot.clone());
            runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                if let Some(session) = Self::idle(&jumps, &key, &slot) {
                    session.close().await;
                }
            });
        }
    }
}

/// Why a gateway didn't open a stream.
fn refused(gateway: &str, host: &str, port: u16, error: SessionError) -> ConnectErrorKind {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    match error {
        SessionError::TimedOut { after, .. } => {
            ConnectErrorKind::TimedOut { phase: Phase::Gateway, after, setting: TimeLimit::Channel }
        }
        SessionError::ChannelRefused { why, said, .. } => {
            let said = if said.is_empty() { said } else { format!(": {said}") };
            if why == ChannelRefusal::Prohibited {
                return Problem::new(format!(
                    "gateway {gateway} does not forward to {address} (see its AllowTcpForwarding, PermitOpen){said}"
                ))
                .into();
            }
            let reason = format!("gateway {gateway} could not connect to it{said}");
            ConnectErrorKind::Unreachable { address, reason }
        }
        other => {
            let reason = format!("gateway {gateway}: {other}");
            ConnectErrorKind::Dropped { phase: Phase::Gateway, reason, penalised: false }
        }
    }
}

/// A stream with its share of the gateway session. Its errors name the gateway.
struct JumpStream {
    stream: BoxStream,
    gateway: String,
    _session: Arc<dyn Session>,
    _place: StreamShare,
}

impl AsyncRead for JumpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        read.map_err(|error| io::Error::new(error.kind(), format!("gateway {}: {error}", self.gateway)))
    }
}

impl AsyncWrite for JumpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
