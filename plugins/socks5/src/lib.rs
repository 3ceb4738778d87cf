//! A gateway through SOCKS5 proxies (RFC 1928), with user and password (RFC 1929).
//!
//! `gateway = "socks5://[user[:password]@]proxy[:1080]"`. The proxy resolves the target's name, so names that are known
//! only behind it work.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use fabric_plugin_sdk::{
    Cancel, Description, DialRequest, GatewayPlugin, Handshake, PluginError, Proxy, export_plugin,
};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;

#[derive(Default)]
struct Socks5;

impl GatewayPlugin for Socks5 {
    const NAME: &'static str = "socks5";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn describe(&self) -> Description {
        Description::gateway("SOCKS5 proxies: socks5://[user[:password]@]proxy[:1080]")
    }

    fn dial(&self, request: &DialRequest, cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        let proxy = request.proxy(1080)?;
        through(&proxy, request, *cancel).map_err(|error| proxy.error(error))
    }
}

export_plugin!(gateway Socks5);

fn through(proxy: &Proxy, request: &DialRequest, cancel: Cancel<'_>) -> Result<OwnedFd, PluginError> {
    let stream = proxy.connect(cancel, request.timeout())?;
    let mut wire = Handshake::new(&stream, cancel, request.timeout());
    let login = proxy.user.as_deref().map(|user| (user, request.password.as_deref().unwrap_or_default()));
    log_in(&mut wire, login)?;
    connect(&mut wire, &request.host, request.port)?;
    Ok(stream.into())
}

/// Negotiates a method and, if the proxy requires it, sends user and password.
fn log_in(wire: &mut (impl Read + Write), login: Option<(&str, &str)>) -> Result<(), PluginError> {
    match login {
        Some(_) => wire.write_all(&[VERSION, 2, NO_LOGIN, PASSWORD])?,
        None => wire.write_all(&[VERSION, 1, NO_LOGIN])?,
    }
    let [version, method] = read(wire)?;
    if version != VERSION {
        return Err(PluginError::new(format!("it does not speak SOCKS5 (it answered {version})")));
    }
    match (method, login) {
        (NO_LOGIN, _) => Ok(()),
        (PASSWORD, Some((user, password))) => {
            let mut message = vec![1];
            for text in [user, password] {
                message.push(length(text, "user and password")?);
                message.extend_from_slice(text.as_bytes());
            }
            wire.write_all(&message)?;
            let [_, status] = read(wire)?;
            if status == 0 { Ok(()) } else { Err(PluginError::new(format!("it refused the password of {user}"))) }
        }
        (NONE_ACCEPTABLE | PASSWORD, None) => {
            Err(PluginError::new("it wants a login: write gateway = \"socks5://user:password@proxy\""))
        }
        (NONE_ACCEPTABLE, Some(_)) => Err(PluginError::new("it takes neither a password nor none")),
        _ => Err(PluginError::new(format!("it wants login method {method}, which is not supported"))),
    }
}

/// Sends the request and reads the proxy's reply to its end.
fn connect(wire: &mut (impl Read + Write), host: &str, port: u16) -> Result<(), PluginError> {
    let mut message = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(1);
            message.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(4);
            message.extend_from_slice(&address.octets());
        }
        Err(_) => {
            message.extend_from_slice(&[3, length(host, "a host name")?]);
            message.extend_from_slice(host.as_bytes());
        }
    }
    message.extend_from_slice(&port.to_be_bytes());
    wire.write_all(&message)?;

    let [version, reply, _, kind] = read(wire)?;
    if version != VERSION {
        return Err(PluginError::new("it broke the protocol"));
    }
    if reply != 0 {
        return Err(PluginError::new(format!("it cannot reach {host}:{port}: {}", reply_text(reply))));
    }
    let address = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1>(wire)?[0]),
        _ => return Err(PluginError::new("it broke the protocol")),
    };
    let mut bound = vec![0; address + 2];
    wire.read_exact(&mut bound)?;
    Ok(())
}

fn read<const N: usize>(wire: &mut impl Read) -> Result<[u8; N], PluginError> {
    let mut bytes = [0; N];
    wire.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn length(text: &str, what: &str) -> Result<u8, PluginError> {
    u8::try_from(text.len()).map_err(|_| PluginError::new(format!("SOCKS5 takes at most 255 bytes for {what}")))
}

/// RFC 1928, section 6.
fn reply_text(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The proxy's replies, and what it was sent.
    struct Wire(VecDeque<u8>, Vec<u8>);

    impl Read for Wire {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl Write for Wire {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.1.write(buf)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn wire(says: &[u8]) -> Wire {
        Wire(says.iter().copied().collect(), Vec::new())
    }

    #[test]
    fn names_go_to_the_proxy_unresolved() {
        // What follows the reply comes from the target and stays unread.
        let mut proxy = wire(b"\x05\0\0\x01\x7f\0\0\x01\0\x16SSH-2.0-x\r\n");
        connect(&mut proxy, "inside", 22).unwrap();
        assert_eq!(proxy.1, b"\x05\x01\x00\x03\x06inside\x00\x16");
        assert_eq!(proxy.0, *b"SSH-2.0-x\r\n");
    }

    #[test]
    fn refusals_say_why() {
        let error = connect(&mut wire(&[5, 5, 0, 1]), "::1", 22).unwrap_err();
        assert!(error.to_string().contains("connection refused"));
        let error = log_in(&mut wire(&[5, 2, 1, 1]), Some(("me", "secret"))).unwrap_err().to_string();
        assert!(error.contains("refused the password of me") && !error.contains("secret"));
        assert!(log_in(&mut wire(&[5, 0xff]), None).unwrap_err().to_string().contains("wants a login"));
        let error = log_in(&mut wire(&[5, 0xff]), Some(("me", "secret"))).unwrap_err().to_string();
        assert!(error.contains("takes neither"), "{error}");
        assert!(log_in(&mut wire(b"HTTP/1.1"), None).unwrap_err().to_string().contains("does not speak SOCKS5"));
        assert!(connect(&mut wire(&[5, 0]), "h", 1).unwrap_err().to_string().contains("closed in the middle"));
    }
}
