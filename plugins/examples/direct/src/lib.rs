//! A gateway without a detour: `gateway = "direct://"` dials the target itself.

use std::os::fd::OwnedFd;

use fabric_plugin_sdk::{Cancel, Description, DialRequest, GatewayPlugin, OptionKind, PluginError, export_plugin};

#[derive(Default)]
struct Direct;

impl GatewayPlugin for Direct {
    const NAME: &'static str = "direct";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn describe(&self) -> Description {
        Description::gateway("dials the target itself").option("port", OptionKind::Integer, "another port to dial")
    }

    fn dial(&self, request: &DialRequest, cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        let other = request.options.get("port").and_then(|port| u16::try_from(port.as_u64()?).ok());
        let port = other.unwrap_or(request.port);
        let stream = cancel.connect(&request.host, port, request.timeout())?;
        Ok(stream.into())
    }
}

export_plugin!(gateway Direct);
