//! A gateway for `fab`: `gateway = "my-gateway://"` dials the target itself. Make it dial your proxy, and
//! tell it where to go.
//!
//! ```sh
//! cargo build
//! fab --plugin target/debug/libmy_gateway.so -g my-gateway:// -H web1 -- uname
//! ```

use std::os::fd::OwnedFd;

use fabric_plugin_sdk::{Cancel, Description, DialRequest, GatewayPlugin, PluginError, export_plugin};

#[derive(Default)]
struct MyGateway;

impl GatewayPlugin for MyGateway {
    const NAME: &'static str = "my-gateway";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn describe(&self) -> Description {
        Description::gateway("dials the target itself")
    }

    fn dial(&self, request: &DialRequest, cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        Ok(cancel.connect(&request.host, request.port, request.timeout())?.into())
    }
}

export_plugin!(gateway MyGateway);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_to_the_target() {
        let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let request = DialRequest::new("my-gateway://", "127.0.0.1", target.local_addr().unwrap().port());
        assert!(MyGateway.dial(&request, &Cancel::never()).is_ok());
    }
}
