//! Gateways: the source of a session's byte stream if this machine doesn't dial the host itself.
//!
//! * another session (ProxyJump): [`Connector`](crate::connector::Connector) opens and shares it;
//! * a command (ProxyCommand), whose pipes are the stream;
//! * anything else that can be dialled: a [`GatewayDialer`], such as a plugin.

pub(crate) mod command;

use async_trait::async_trait;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectError, Secret, Target};

/// Dials gateways of one scheme.
#[async_trait]
pub trait GatewayDialer: Send + Sync {
    /// Opens a stream to the target's address. `url` is the gateway as configured, without its password.
    async fn dial(&self, target: &Target, url: &str, password: Option<&Secret>) -> Result<BoxStream, ConnectError>;
}
