//! The user's agent.

use std::path::Path;
use std::sync::Arc;

use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use ssh_key::HashAlg;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// A connection to the agent, for one login.
pub(super) struct Agent(Mutex<AgentClient<UnixStream>>);

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}

/// Connects to the agent on behalf of a host, and binds the session: keys may be restricted to hosts.
pub(super) async fn connect_forwarded(
    socket: &Path,
    binding: Option<&AgentSessionBinding>,
) -> Result<Box<dyn AgentStream + Send + Unpin>, russh::keys::Error> {
    let mut client = AgentClient::connect_uds(socket).await?;
    if let Some(binding) = binding {
        // Agents that don't support this still work.
        let _ = client.bind_session(binding, true).await;
    }
    Ok(client.into_inner())
}

impl Agent {
    /// Connects, binds the session, and lists the keys.
    pub(super) async fn open(
        socket: &Path,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<(Arc<Self>, Vec<AgentIdentity>), String> {
        let text = |error: russh::keys::Error| error.to_string();
        let mut client = AgentClient::connect_uds(socket).await.map_err(text)?;
        if let Some(binding) = binding {
            // Agents without destination constraints (OpenSSH before 8.9, others) refuse this; their keys still work.
            let _ = client.bind_session(binding, false).await;
        }
        let identities = client.request_identities().await.map_err(text)?;
        Ok((Arc::new(Self(Mutex::new(client))), identities))
    }

    /// Appends the agent's signature of `data` to it.
    pub(super) async fn sign(
        &self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let mut client = self.0.lock().await;
        client.sign_request(identity, hash, data).await.map_err(|error| match error {
            russh::keys::Error::AgentFailure => "the agent declined to sign".to_owned(),
            other => other.to_string(),
        })
    }
}
