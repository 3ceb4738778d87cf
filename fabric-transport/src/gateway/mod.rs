//! What yields the byte stream on which a session runs, where this machine doesn't dial the host itself.
//!
//! * another session (ProxyJump): [`Connector`](crate::connector::Connector) opens and shares it;
//! * a command (ProxyCommand), whose pipes are the stream;
//! * anything else that can be dialled: a [`GatewayDialer`], a plugin's for example.

pub(crate) mod command;

use async_trait::async_trait;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectError, Secret, Target};

/// Dials gateways of one scheme: a plugin, or a program's own way to a host.
#[async_trait]
pub trait GatewayDialer: Send + Sync {
    /// Yields a stream to the target's address. `url` is the gateway as configured, without a password.
    async fn dial(&self, target: &Target, url: &str, password: Option<&Secret>) -> Result<BoxStream, ConnectError>;
}
