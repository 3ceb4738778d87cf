//! A gateway through HTTP proxies with CONNECT (RFC 9110, section 9.3.6), with basic authentication.
//!
//! `gateway = "http-connect://[user[:password]@]proxy[:8080]"`. The proxy resolves the target's name.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_plugin_sdk::{
    Cancel, Description, DialRequest, GatewayPlugin, Handshake, OptionKind, PluginError, Proxy, export_plugin,
};

/// The longest accepted header of an answer.
const LONGEST_HEADER: usize = 64 * 1024;

#[derive(Default)]
struct HttpConnect;

impl GatewayPlugin for HttpConnect {
    const NAME: &'static str = "http-connect";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn describe(&self) -> Description {
        Description::gateway("HTTP CONNECT proxies: http-connect://[user[:password]@]proxy[:8080]").option(
            "headers",
            OptionKind::List,
            "further header lines for the request, `Name: value`",
        )
    }

    fn dial(&self, request: &DialRequest, cancel: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        let proxy = request.proxy(8080)?;
        through(&proxy, request, *cancel).map_err(|error| proxy.error(error))
    }
}

export_plugin!(gateway HttpConnect);

fn through(proxy: &Proxy, request: &DialRequest, cancel: Cancel<'_>) -> Result<OwnedFd, PluginError> {
    let login = proxy
        .user
        .as_ref()
        .map(|user| STANDARD.encode(format!("{user}:{}", request.password.as_deref().unwrap_or_default())));
    let message = header(request, login.as_deref())?;
    let stream = proxy.connect(cancel, request.timeout())?;
    let mut wire = Handshake::new(&stream, cancel, request.timeout());
    wire.write_all(message.as_bytes())?;
    let answer = wire.read_until(b"\r\n\r\n", LONGEST_HEADER)?;
    check(&answer, request, login.as_deref())?;
    Ok(stream.into())
}

fn header(request: &DialRequest, login: Option<&str>) -> Result<String, PluginError> {
    let host = if request.host.contains(':') { format!("[{}]", request.host) } else { request.host.clone() };
    let target = format!("{host}:{}", request.port);
    let mut lines = vec![format!("CONNECT {target} HTTP/1.1"), format!("Host: {target}")];
    lines.extend(login.map(|login| format!("Proxy-Authorization: Basic {login}")));
    let further = request.options.get("headers").and_then(|headers| headers.as_array());
    lines.extend(further.into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)));
    if lines.iter().any(|line| line.contains(['\r', '\n'])) {
        return Err(PluginError::new("a line of the request contains a line end"));
    }
    Ok(lines.join("\r\n") + "\r\n\r\n")
}

/// Any 2xx is a tunnel.
fn check(answer: &[u8], request: &DialRequest, login: Option<&str>) -> Result<(), PluginError> {
    let text = String::from_utf8_lossy(answer);
    // Safe to print, even if it is long or repeats what was sent.
    let line = text.lines().next().unwrap_or_default();
    let line = login.map_or_else(|| line.to_owned(), |login| line.replace(login, "***"));
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let line: String = line.chars().map(visible).take(200).collect();
    let mut words = line.splitn(3, ' ');
    let code = words.next().filter(|word| word.starts_with("HTTP/1.")).and_then(|_| words.next()?.parse::<u16>().ok());
    match code {
        Some(200..300) => Ok(()),
        // tinyproxy answers with 401.
        Some(401 | 407) => Err(PluginError::new(format!(
            "it wants a login or refused it ({line}): write gateway = \"http-connect://user:password@proxy\""
        ))),
        Some(_) => Err(PluginError::new(format!("it cannot reach {}:{}: {line}", request.host, request.port))),
        None => Err(PluginError::new("it does not speak HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str) -> DialRequest {
        let mut request = DialRequest::new("http-connect://me@proxy", host, 22);
        request.password = Some("pw".to_owned());
        request
    }

    #[test]
    fn the_request_names_target_and_login() {
        let request = request("::1");
        let proxy = request.proxy(8080).unwrap();
        assert_eq!(proxy.port, 8080);
        assert_eq!(
            header(&request, Some("bWU6cHc=")).unwrap(),
            "CONNECT [::1]:22 HTTP/1.1\r\nHost: [::1]:22\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_told_apart() {
        let request = request("web1");
        let check = |answer: &[u8]| check(answer, &request, Some("bWU6cHc="));
        assert!(check(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok());
        let text = |answer: &[u8]| check(answer).unwrap_err().to_string();
        assert!(text(b"HTTP/1.1 403 \x1b[2Jno: Basic bWU6cHc=\r\n\r\n").ends_with("403 \u{fffd}[2Jno: Basic ***"));
        assert!(text(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").contains("wants a login"));
        assert!(text(b"HTTP/1.0 401 Unauthorized\r\n\r\n").contains("wants a login"));
        assert!(text(b"HTTP/1.0 502 Bad Gateway\r\n\r\n").contains("cannot reach web1:22"));
        assert!(text(b"SSH-2.0-OpenSSH\r\n\r\n").contains("does not speak HTTP"));
    }
}
