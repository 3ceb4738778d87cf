//! Whatever bytes a file holds, reading and resolving it ends in an answer or an error.

use std::sync::Arc;

use fabric_config::ssh_config::{Local, Lookup, SshConfig};
use proptest::prelude::*;

/// Bytes that look enough like a configuration to get past the first checks.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let keywords = [
        "Host",
        "Match",
        "Match host",
        "Match exec",
        "HostName",
        "Port",
        "User",
        "LocalForward",
        "RemoteForward",
        "RekeyLimit",
        "ProxyJump",
        "ProxyCommand",
        "EscapeChar",
        "Ciphers",
        "IPQoS",
        "ConnectTimeout",
        "SetEnv",
        "SendEnv",
        "IdentityAgent",
        "TunnelDevice",
        "StreamLocalBindMask",
        "CanonicalDomains",
        "CanonicalizeHostname",
        "CanonicalizePermittedCNAMEs",
        "PermitRemoteOpen",
        "AddKeysToAgent",
        "ControlPath",
        "UserKnownHostsFile",
        "IgnoreUnknown",
        "Include",
        "Bogus",
    ];
    let line = (
        prop::sample::select(keywords.to_vec()),
        prop::collection::vec(any::<u8>(), 0..24),
        "[ =\\t]{1,2}[-a-z0-9%~${}:,*!\"'\\\\\\[\\]#@/.^+é]{0,24}",
    );
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let mut bytes = Vec::new();
        for (keyword, noise, rest) in lines {
            bytes.extend(keyword.bytes().chain(rest.bytes()));
            bytes.extend(noise);
            bytes.push(b'\n');
        }
        bytes
    })
}

fn ask(text: &[u8], host: &str) {
    let local = Arc::new(Local::new("alice", "/home/alice", "laptop.example.org"));
    let found = |_: &str, _| Some("real.example.org".to_owned());
    let config = SshConfig::parse(text, "config");
    for lookup in
        [Lookup::new(host, &local).without_exec(), Lookup::new("web1", &local).without_exec().resolver(&found)]
    {
        match config.resolve(&lookup) {
            Ok(resolved) => {
                assert!(!resolved.dump().is_empty());
                let _ = (resolved.identity_files(), resolved.certificate_files(), resolved.expanded_proxy_command());
                let _ =
                    (resolved.ip_qos(), resolved.rekey_limit(), resolved.local_forwards(), resolved.identity_agent());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..400), host in ".{0,20}") {
        ask(&text, &host);
    }

    #[test]
    fn near_misses_are_read(text in nearly(), host in "[a-zA-Z0-9.:%]{0,20}") {
        ask(&text, &host);
    }
}
