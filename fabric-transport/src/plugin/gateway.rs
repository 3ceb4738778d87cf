//! A plugin as a gateway.

use async_trait::async_trait;
use fabric_core::transport::BoxStream;
use fabric_core::{ConnectError, ConnectErrorKind, Gateway, Phase, Secret, Target};
use fabric_plugin_sdk::DialRequest;

use super::call;
use super::handle::{NO_LIMIT, Plugin};
use super::perform::{Call, CallError};
use super::stream::byte_stream;
use crate::gateway::GatewayDialer;

pub(super) struct PluginGateway(Plugin);

impl PluginGateway {
    pub(super) fn new(plugin: Plugin) -> Self {
        Self(plugin)
    }
}

#[async_trait]
impl GatewayDialer for PluginGateway {
    async fn dial(&self, target: &Target, url: &str, password: Option<&Secret>) -> Result<BoxStream, ConnectError> {
        let shown = Gateway::shown(url);
        let error = |reason: String| {
            // A plugin, or its proxy, may repeat the password in an error.
            let secret = password.map(Secret::expose).filter(|secret| !secret.is_empty());
            let reason = secret.map_or(reason.clone(), |secret| reason.replace(secret, "***"));
            self.0.error(target, Phase::Gateway, reason.replace(url, &shown))
        };
        // Options of a connection apply as in any other.
        let limit = target.timeouts.connect.unwrap_or(NO_LIMIT);
        let mut request = DialRequest::new(url, target.host.as_str(), target.port);
        request.password = password.map(|password| password.expose().to_owned());
        request.user.clone_from(&target.user);
        // Longer than the plugin's own limit, so that the error comes from here.
        request.timeout_ms = u64::try_from((limit + call::GRACE).as_millis()).ok();
        request.options = self.0.options(target).map_err(error)?;
        let asked = call::first(&self.0, Call::Dial, &request, limit).await;
        let (_, mut answer) = asked.map_err(|e| match e {
            CallError::TimedOut(after) => {
                let kind = ConnectErrorKind::GatewayTimedOut { gateway: shown.clone(), after };
                ConnectError::new(target.host_string.as_str(), Phase::Gateway, kind)
            }
            other => error(other.text()),
        })?;
        let fd = answer.take_fd(0).map_err(|e| error(e.text()))?;
        byte_stream(fd).map_err(|e| error(format!("its descriptor cannot be used: {e}")))
    }
}
