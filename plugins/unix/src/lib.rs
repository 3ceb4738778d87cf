//! A gateway through a unix socket of an SSH server, or of a forward to one.
//!
//! `gateway = "unix:///run/vm1/ssh.sock"`. `{host}` and `{port}` in the path stand for the target's:
//! `unix:///run/vms/{host}.sock`.

use std::os::fd::OwnedFd;

use fabric_plugin_sdk::{Cancel, Description, DialRequest, GatewayPlugin, PluginError, export_plugin};

#[derive(Default)]
struct Unix;

impl GatewayPlugin for Unix {
    const NAME: &'static str = "unix";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn describe(&self) -> Description {
        Description::gateway("a unix socket: unix:///path, with {host} and {port} for the target's")
    }

    fn dial(&self, request: &DialRequest, _cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        let path = path(request)?;
        let stream = std::os::unix::net::UnixStream::connect(&path)
            .map_err(|error| PluginError::new(format!("cannot connect to {path}: {error}")))?;
        Ok(stream.into())
    }
}

export_plugin!(gateway Unix);

fn path(request: &DialRequest) -> Result<String, PluginError> {
    // The target's name must not lead out of the directory in the path.
    if request.host.contains('/') {
        return Err(PluginError::new(format!("`{}` cannot be part of a path", request.host)));
    }
    let path = request.url.split_once("://").map(|(_, path)| path).unwrap_or_default();
    if path.starts_with('/') {
        Ok(path.replace("{host}", &request.host).replace("{port}", &request.port.to_string()))
    } else {
        Err(PluginError::new(format!("`{}` has no absolute path: write unix:///path", request.url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, host: &str) -> DialRequest {
        DialRequest::new(url, host, 22)
    }

    #[test]
    fn the_path_may_name_the_target() {
        assert_eq!(path(&request("unix:///run/{host}-{port}.sock", "vm1")).unwrap(), "/run/vm1-22.sock");
        assert!(path(&request("unix://run/x", "vm1")).is_err());
        assert!(path(&request("unix:///run/{host}", "../etc")).is_err());
    }
}
