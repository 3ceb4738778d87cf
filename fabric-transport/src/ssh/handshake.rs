//! Version lines, key exchange and the check of the host's key.

use std::sync::Arc;
use std::time::Duration;

use fabric_core::error::TimeLimit;
use fabric_core::transport::{BoxStream, OpenContext};
use fabric_core::{ConnectErrorKind, Phase, Target};
use parking_lot::Mutex;
use russh::client::{Config, Handle, connect_stream};

use super::clock::Clock;
use super::handler::{Handler, HandlerError, lost_text};
use super::host_keys::{HostKeyVerifier, Verified};
use super::silence::Silence;
use super::state::SessionState;
use super::store::Pool;
use super::stream::{Greeting, Watched};
use super::{Failure, algorithms};

/// How many messages may wait for a channel's reader before the connection's task waits: 64 KiB of the longest.
const CHANNEL_BUFFER: usize = 2;

/// How much a host may send ahead on a channel. At least half of it is open at any time, which at 50 ms is 320 MB/s; 2 MiB
/// would be 20. Memory is bounded by the stores, not by this.
const WINDOW: u32 = 32 << 20;

/// The largest packet, as in OpenSSH's client. sshd sends no larger ones, and russh buffers some for each host whose output
/// isn't taken.
const PACKET: u32 = 32 << 10;

/// The same with many connections.
const CROWDED_PACKET: u32 = 16 << 10;

/// What sshd sends before it closes a connection from an address with penalties (`PerSourcePenalties`, OpenSSH 9.8).
const PENALISED: &str = "Not allowed at this time";

/// What sshd sends before it closes a connection because too many clients are logging in (`MaxStartups`).
const BUSY: &str = "Exceeded MaxStartups";

/// The way of a stream to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A socket.
    Own,
    /// A gateway, which others may share.
    Shared,
}

/// A connection with a checked host key, before the login.
pub(super) struct VerifiedConnection {
    pub(super) handle: Handle<Handler>,
    pub(super) shared: Arc<SessionState>,
    pub(super) clock: Clock,
    /// Only the check makes one.
    pub(super) proof: Verified,
}

/// Does all before the login, on a stream that took `spent` to connect.
pub(super) async fn handshake(
    stream: BoxStream,
    spent: Duration,
    way: Way,
    target: &Target,
    verifier: Arc<dyn HostKeyVerifier>,
    context: &OpenContext,
    pool: &Arc<Pool>,
) -> Result<VerifiedConnection, Failure> {
    let config = Arc::new(config(target, algorithms::preferred(target, &*verifier).await?, pool.is_crowded()));
    let clock = Clock::new();
    let proof = Arc::new(Mutex::new(None));
    let shared = Arc::new(SessionState::new(pool.clone()));
    let shared_way = (way == Way::Shared).then(|| pool.clone());
    let silence = Silence::new(&target.keepalive, shared.logged_in.clone(), shared_way);
    let (stream, greeting) = Watched::new(stream, &shared.cut, pool.clone(), silence);
    let handler = Handler {
        target: target.clone(),
        context: context.clone(),
        verifier,
        clock: clock.clone(),
        verified: proof.clone(),
        shown: None,
        shared: shared.clone(),
    };
    let timeouts = &target.timeouts;
    let phase = || if greeting.is_complete() { Phase::KeyExchange } else { Phase::Banner };
    let late = |after: Option<Duration>, setting| {
        let after = after.unwrap_or_default();
        (phase(), ConnectErrorKind::TimedOut { phase: phase(), after, setting })
    };
    let mut connecting = std::pin::pin!(connect_stream(config, stream, handler));
    let version = async {
        tokio::select! {
            biased;
            connected = &mut connecting => Some(connected),
            () = greeting.completed() => None,
        }
    };
    let (limit, left, setting) = if timeouts.banner.is_some() {
        (timeouts.banner, timeouts.banner, TimeLimit::Banner)
    } else {
        (timeouts.connect, timeouts.connect.map(|limit| limit.saturating_sub(spent)), TimeLimit::Connect)
    };
    let connected = if let Some(connected) = clock.limit(left, version).await.map_err(|_| late(limit, setting))? {
        connected
    } else {
        let limit = Some(timeouts.key_exchange());
        clock.limit(limit, connecting).await.map_err(|_| late(limit, TimeLimit::Banner))?
    };
    let handle = match connected {
        Ok(handle) => handle,
        Err(HandlerError::Refused(kind)) => return Err((Phase::HostKey, kind)),
        Err(HandlerError::Protocol(error)) => return Err((phase(), failed(&error, phase(), &greeting))),
    };
    if let Some(binding) = handle.agent_session_binding() {
        // Set here only.
        let _ = shared.binding.set(binding.clone());
    }
    let proof = proof.lock().take();
    let Some(proof) = proof else {
        // A key exchange without a host key (`none`) is never offered.
        let reason = "the server showed no host key".to_owned();
        return Err((Phase::HostKey, ConnectErrorKind::HostKeyRefused { reason }));
    };
    Ok(VerifiedConnection { handle, shared, clock, proof })
}

fn config(target: &Target, preferred: russh::Preferred, crowded: bool) -> Config {
    Config {
        client_id: russh::SshId::Standard(concat!("SSH-2.0-fabric_", env!("CARGO_PKG_VERSION")).into()),
        window_size: WINDOW,
        maximum_packet_size: if crowded { CROWDED_PACKET } else { PACKET },
        channel_buffer_size: CHANNEL_BUFFER,
        preferred,
        keepalive_interval: target.keepalive.interval,
        // The stream decides about silence.
        keepalive_max: 0,
        ..Config::default()
    }
}

fn failed(error: &russh::Error, phase: Phase, greeting: &Greeting) -> ConnectErrorKind {
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => ConnectErrorKind::Handshake {
            reason: format!(
                "no common {kind:?} algorithm: the server has {}, this side offers {}",
                theirs.join(","),
                ours.join(",")
            ),
        },
        russh::Error::Version => not_ssh(greeting),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::InvalidData => not_ssh(greeting),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => {
            let said = greeting.line();
            // It would answer the same again.
            if phase == Phase::Banner && said.starts_with("HTTP/") {
                return not_ssh(greeting);
            }
            let reason = match error {
                _ if phase == Phase::Banner && !said.is_empty() => format!("it said \"{said}\"{}", meaning(&said)),
                russh::Error::IO(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error.to_string(),
                _ => String::new(),
            };
            ConnectErrorKind::Dropped { phase, reason, penalised: phase == Phase::Banner && said == PENALISED }
        }
        other => ConnectErrorKind::Handshake { reason: lost_text(other) },
    }
}

/// What sshd's last line means.
fn meaning(said: &str) -> &'static str {
    match said {
        PENALISED => ": it refuses this address for a while, after failed logins (PerSourcePenalties)",
        BUSY => ": too many clients are logging in there (MaxStartups)",
        _ => "",
    }
}

fn not_ssh(greeting: &Greeting) -> ConnectErrorKind {
    let reason = format!("the peer does not speak SSH 2; it said \"{}\"", greeting.line());
    ConnectErrorKind::Handshake { reason }
}
