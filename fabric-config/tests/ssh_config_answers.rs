//! What a program gets from the ssh_config resolver: typed values, origins, errors that help.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fabric_config::ssh_config::{
    AddressFamily, Directive, DumpValue, Fault, ForwardAgent, ForwardEnd, IdentityAgent, IpQos, LineOrigin, Local,
    LogLevel, Lookup, MatchExec, RekeyLimit, RequestTty, Resolved, SshConfig, SshConfigError, SshConfigFiles,
    StrictHostKeyChecking, YesNoAsk,
};

fn local() -> Arc<Local> {
    let mut local = Local::new("alice", "/home/alice", "laptop.example.org");
    local.uid = 1000;
    local.env.insert("DIR".into(), "/srv".into());
    Arc::new(local)
}

fn ask(text: &str, host: &str) -> Result<Resolved, SshConfigError> {
    SshConfig::parse(text, "config").resolve(&Lookup::new(host, &local()))
}

fn answer(text: &str) -> Resolved {
    ask(text, "web1").unwrap()
}

fn refusal(text: &str) -> String {
    ask(text, "web1").unwrap_err().to_string()
}

#[test]
fn connections_are_described() {
    let resolved = answer(
        "HostName %h.example.org\nUser deploy\nPort 2222\nAddressFamily inet6\nBindAddress 127.0.0.1\nBindInterface lo\n\
         ConnectTimeout 1m\nConnectionAttempts 3\nServerAliveInterval 30\nServerAliveCountMax 5\nTCPKeepAlive no\nCompression yes\n\
         IPQoS af21 none\nRekeyLimit 1G 1h\nProxyJump a,b@c:3\nProxyUseFdpass yes\nLogLevel debug\n",
    );
    assert_eq!(
        (resolved.host(), resolved.hostname(), resolved.user(), resolved.port()),
        ("web1", "web1.example.org", "deploy", 2222)
    );
    assert_eq!(resolved.address_family(), AddressFamily::Inet6);
    assert_eq!((resolved.bind_address(), resolved.bind_interface()), (Some("127.0.0.1"), Some("lo")));
    assert_eq!(resolved.connect_timeout(), Some(Duration::from_mins(1)));
    assert_eq!((resolved.connection_attempts(), resolved.server_alive_count_max()), (3, 5));
    assert_eq!(resolved.server_alive_interval(), Some(Duration::from_secs(30)));
    assert!(!resolved.tcp_keep_alive() && resolved.compression());
    assert_eq!(resolved.ip_qos(), IpQos { interactive: Some(0x48), bulk: None });
    assert_eq!(resolved.rekey_limit(), RekeyLimit { bytes: Some(1 << 30), interval: Some(Duration::from_hours(1)) });
    let hops: Vec<_> =
        resolved.proxy_jump().iter().map(|hop| (hop.user.as_deref(), hop.host.as_str(), hop.port)).collect();
    assert_eq!(hops, [(None, "a", None), (Some("b"), "c", Some(3))]);
    assert!(!resolved.proxy_use_fdpass() && resolved.proxy_command().is_none());
    assert_eq!(resolved.log_level(), LogLevel::Debug1);

    let plain = answer("");
    assert_eq!((plain.hostname(), plain.user(), plain.port()), ("web1", "alice", 22));
    assert_eq!((plain.connect_timeout(), plain.server_alive_interval(), plain.connection_attempts()), (None, None, 1));
    assert_eq!(plain.rekey_limit(), RekeyLimit { bytes: None, interval: None });
    assert_eq!(plain.ip_qos(), IpQos { interactive: Some(0x10), bulk: Some(0x08) });
    assert_eq!(answer("BatchMode yes").server_alive_interval(), Some(Duration::from_mins(5)));
}

#[test]
fn proxy_commands_are_expanded_for_a_shell() {
    let resolved = answer("HostName %h.org\nHostKeyAlias Key\nProxyCommand nc '%h' %p %r %n %k %%\nPort 2\nUser u\n");
    assert_eq!(resolved.proxy_command(), Some("nc '%h' %p %r %n %k %%"));
    assert_eq!(resolved.expanded_proxy_command().unwrap().as_deref(), Some("nc 'web1.org' 2 u web1 key %"));
    assert_eq!(answer("ProxyCommand none").expanded_proxy_command(), Ok(None));
    assert_eq!(answer("ProxyCommand x %d").expanded_proxy_command(), Err(Fault::UnknownToken { letter: 'd' }));
}

#[test]
fn keys_are_named() {
    let resolved = answer(
        "IdentityFile ~/.ssh/%r@%h\nIdentityFile none\nIdentityFile ${DIR}/%%/%i-%u-%L\nCertificateFile ~root/c\nIdentitiesOnly yes\n\
         PubkeyAcceptedAlgorithms ssh-ed25519\nPreferredAuthentications publickey\n",
    );
    let files: Vec<_> =
        resolved.identity_files().unwrap().into_iter().map(|file| (file.value, file.origin.to_string())).collect();
    let expected = [("/home/alice/.ssh/alice@web1", "config:1"), ("/srv/%/1000-alice-laptop", "config:3")];
    assert_eq!(files, expected.map(|(path, origin)| (path.to_owned(), origin.to_owned())));
    assert_eq!(resolved.certificate_files().unwrap()[0].value, "/root/c");
    assert!(resolved.identities_only() && resolved.names_identity_files());
    assert_eq!(resolved.pubkey_accepted_algorithms(), ["ssh-ed25519"]);
    assert_eq!(resolved.preferred_authentications(), Some("publickey"));

    let plain = answer("");
    assert!(!plain.names_identity_files());
    assert_eq!(plain.identity_files().unwrap()[0].value, "/home/alice/.ssh/id_rsa");
    assert_eq!(answer("IdentityFile ${NOPE}").identity_files(), Err(Fault::UnsetVariable { name: "NOPE".into() }));
    assert!(answer("IdentityFile %z").identity_files().is_err());

    for (text, agent) in [
        ("", IdentityAgent::Environment),
        ("IdentityAgent SSH_AUTH_SOCK", IdentityAgent::Environment),
        ("IdentityAgent none", IdentityAgent::None),
        ("IdentityAgent $MY_AGENT", IdentityAgent::Variable("MY_AGENT".into())),
        ("IdentityAgent ~/agent.%u", IdentityAgent::Socket("/home/alice/agent.alice".into())),
    ] {
        assert_eq!(answer(text).identity_agent(), agent, "{text}");
    }
    for (text, agent) in [
        ("", ForwardAgent::No),
        ("ForwardAgent yes", ForwardAgent::Yes),
        ("ForwardAgent $MY_AGENT", ForwardAgent::Variable("MY_AGENT".into())),
        ("ForwardAgent ${DIR}/a", ForwardAgent::Socket("/srv/a".into())),
    ] {
        assert_eq!(answer(text).forward_agent(), agent, "{text}");
    }
}

#[test]
fn host_keys_are_governed() {
    for (word, expected) in [
        ("yes", StrictHostKeyChecking::Yes),
        ("accept-new", StrictHostKeyChecking::AcceptNew),
        ("off", StrictHostKeyChecking::Off),
        ("ask", StrictHostKeyChecking::Ask),
    ] {
        assert_eq!(answer(&format!("StrictHostKeyChecking {word}")).strict_host_key_checking(), expected);
    }
    let resolved = answer(
        "UserKnownHostsFile ~/kh/%k /kh2\nGlobalKnownHostsFile none\nHashKnownHosts yes\nHostKeyAlias WEB\nCheckHostIP yes\n\
         HostKeyAlgorithms ^ssh-rsa\nVerifyHostKeyDNS ask\nRevokedHostKeys /r\nKnownHostsCommand /bin/kh %H\n",
    );
    assert_eq!(resolved.user_known_hosts_files(), ["/home/alice/kh/web", "/kh2"]);
    assert!(resolved.global_known_hosts_files().is_empty());
    assert!(resolved.hash_known_hosts() && resolved.check_host_ip());
    assert_eq!(resolved.host_key_alias().as_deref(), Some("web"));
    assert_eq!(resolved.host_key_algorithms()[..2], ["ssh-rsa", "ssh-ed25519-cert-v01@openssh.com"]);
    assert_eq!((resolved.verify_host_key_dns(), resolved.update_host_keys()), (YesNoAsk::Ask, YesNoAsk::No));
    assert_eq!((resolved.revoked_host_keys(), resolved.known_hosts_command()), (Some("/r"), Some("/bin/kh %H")));

    let plain = answer("");
    assert_eq!(plain.user_known_hosts_files(), ["/home/alice/.ssh/known_hosts", "/home/alice/.ssh/known_hosts2"]);
    assert_eq!(plain.global_known_hosts_files(), ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]);
    assert_eq!(plain.update_host_keys(), YesNoAsk::Yes);
    assert!(answer("UserKnownHostsFile none").user_known_hosts_files().is_empty());
    assert!(plain.ciphers().contains(&"aes256-ctr") && plain.macs().contains(&"hmac-sha2-256"));
    assert!(plain.kex_algorithms().contains(&"curve25519-sha256") && !plain.names(Directive::KexAlgorithms));
}

#[test]
fn sessions_are_described() {
    let resolved = answer(
        "RequestTTY force\nRemoteCommand echo %n %%\nSendEnv LANG LC_*\nSendEnv -LANG\nSetEnv A=1 B=x=y\nLocalForward 8080 db:5432\n\
         LocalForward /run/%u 1.2.3.4:5\nRemoteForward 0 /s\nDynamicForward h:1080\nExitOnForwardFailure yes\n",
    );
    assert_eq!((resolved.request_tty(), resolved.remote_command()), (RequestTty::Force, Some("echo web1 %")));
    assert_eq!(resolved.send_env().iter().map(|name| name.value).collect::<Vec<_>>(), ["LC_*"]);
    assert_eq!(resolved.set_env(), [("A", "1"), ("B", "x=y")]);
    let locals = resolved.local_forwards();
    assert_eq!(locals[0].value.connect, ForwardEnd::Tcp { host: Some("db".into()), port: 5432 });
    assert_eq!(
        (&locals[1].value.listen, locals[1].origin.to_string().as_str()),
        (&ForwardEnd::Unix("/run/alice".into()), "config:7")
    );
    assert_eq!(resolved.remote_forwards()[0].value.connect, ForwardEnd::Unix("/s".into()));
    let dynamic = resolved.dynamic_forwards();
    assert!(dynamic.len() == 1 && dynamic[0].value.is_dynamic());
    assert!(resolved.exit_on_forward_failure());
    assert_eq!(answer("RemoteCommand none").remote_command(), None);
    assert_eq!(answer("RequestTTY no").request_tty(), RequestTty::No);
}

#[test]
fn methods_of_login_are_switches() {
    let resolved = answer(
        "PasswordAuthentication no\nChallengeResponseAuthentication no\nPubkeyAuthentication unbound\nGSSAPIAuthentication yes\n\
         GSSAPIDelegateCredentials yes\nGSSAPIKeyExchange yes\nGSSAPITrustDns yes\nGSSAPIClientIdentity me\nNumberOfPasswordPrompts 1\nBatchMode yes\n",
    );
    assert!(!resolved.password_authentication() && !resolved.kbd_interactive_authentication());
    assert!(
        resolved.pubkey_authentication() && resolved.gssapi_authentication() && resolved.gssapi_delegate_credentials()
    );
    assert!(resolved.gssapi_key_exchange() && resolved.gssapi_trust_dns() && resolved.batch_mode());
    assert_eq!((resolved.gssapi_client_identity(), resolved.number_of_password_prompts()), (Some("me"), 1));
    assert!(answer("").password_authentication());
}

#[test]
fn every_value_has_an_origin() {
    let text = "Host web1\n  Port 1\nHost *\n  Port 2\n  User u\n  IdentityFile a\n  IdentityFile b\n";
    let config = SshConfig::parse(text, "dir/config");
    let local = local();
    let resolved = config.resolve(&Lookup::new("web1", &local).user("me").option("Compression=yes")).unwrap();
    assert_eq!(resolved.origin(Directive::Port), LineOrigin::File { path: Path::new("dir/config").into(), line: 2 });
    assert_eq!(resolved.origin(Directive::User), LineOrigin::CommandLine);
    assert_eq!(resolved.origin(Directive::Compression), LineOrigin::CommandLine);
    assert_eq!(resolved.origin(Directive::Ciphers), LineOrigin::Default);
    let lines: Vec<_> = resolved.origins(Directive::IdentityFile).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["dir/config:6", "dir/config:7"]);
    assert_eq!(resolved.user(), "me");
    let map = resolved.dump_map();
    assert_eq!(map["port"], DumpValue::One("1".into()));
    assert_eq!(map["identityfile"], DumpValue::Many(vec!["a".into(), "b".into()]));
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(
        refusal("Host *\n  HostNmae x\n  Port many\n"),
        "config:2: Bad configuration option: hostnmae (did you mean hostname?): `HostNmae x`\n\
         config:3: \"many\" is not a port: `Port many`"
    );
    for (text, part) in [
        ("User", "config:1: no argument after the keyword: `User`"),
        ("User \"x", "invalid quotes"),
        ("User a b", "extra arguments at end of line"),
        ("Compression maybe", "unsupported option \"maybe\" (one of yes, no)"),
        ("Match shoe x", "unsupported Match attribute \"shoe\""),
        ("Include x", "use SshConfig::load"),
        ("HostName %z", "unknown key %z (config:1)"),
        ("ControlPath ${NOPE}", "the environment variable NOPE is not set (config:1)"),
        ("ProxyJump alice@web1", "jumphost loop via web1 (config:1)"),
        ("Ciphers none", "bad list of algorithms \"none\""),
        ("RekeyLimit 5", "config:1: \"5\" is not a size of 16 or more: `RekeyLimit 5`"),
    ] {
        assert!(refusal(text).contains(part), "{text}: {}", refusal(text));
    }
    assert!(answer("IgnoreUnknown colou?\nColour red\n").names(Directive::IgnoreUnknown));
    assert!(ask("", "a;b").unwrap_err().to_string().contains("hostname contains invalid characters"));
}

/// Answers commands without running them, and remembers them.
struct Remember(Mutex<Vec<String>>);

impl MatchExec for Remember {
    fn succeeds(&self, command: &str, _: &HashMap<String, String>) -> std::io::Result<bool> {
        self.0.lock().unwrap().push(command.to_owned());
        Ok(command.starts_with("yes"))
    }
}

#[test]
fn commands_run_through_the_callers_hook_or_not_at_all() {
    let text = "Match exec \"yes %h %p\"\nUser a\nMatch host other exec never\nMatch !exec no user a\nPort 7\n";
    let config = SshConfig::parse(text, "config");
    let local = local();
    let exec = Remember(Mutex::new(Vec::new()));
    let resolved = config.resolve(&Lookup::new("web1", &local).exec(&exec)).unwrap();
    assert_eq!((resolved.user(), resolved.port()), ("a", 7));
    assert_eq!(*exec.0.lock().unwrap(), ["yes web1 22", "no"]);
    let error = config.resolve(&Lookup::new("web1", &local).without_exec()).unwrap_err();
    assert!(error.to_string().starts_with("config:1: Match exec is switched off here"), "{error}");
}

#[test]
fn the_users_file_goes_before_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".ssh/conf.d")).unwrap();
    let mut local = Local::capture();
    local.home = home.to_str().unwrap().to_owned();
    local.env.remove("HOME");
    let local = Arc::new(local);
    let system = folder.path().join("ssh_config");
    fs::write(&system, "User system\nPort 99\nInclude /no/such/*\n").unwrap();
    fs::write(home.join(".ssh/config"), "Host web1\n  User mine\n  Include conf.d/*\n").unwrap();
    fs::write(home.join(".ssh/conf.d/a"), "Compression yes\n").unwrap();
    let sources = SshConfigFiles { system: Some(system.clone()), ..SshConfigFiles::usual(&local) };
    let config = SshConfig::load(&sources, &local).unwrap();
    assert_eq!(config.files().count(), 3);
    let resolved = config.resolve(&Lookup::new("web1", &local)).unwrap();
    assert_eq!((resolved.user(), resolved.port(), resolved.compression()), ("mine", 99, true));
    assert!(resolved.origin(Directive::Compression).to_string().ends_with(".ssh/conf.d/a:1"));
    let other = config.resolve(&Lookup::new("db1", &local)).unwrap();
    assert_eq!((other.user(), other.compression()), ("system", false));

    fs::write(&system, "Include ~/x\n").unwrap();
    let error = SshConfig::load(&sources, &local).unwrap().resolve(&Lookup::new("web1", &local)).unwrap_err();
    assert!(error.to_string().contains("only a user's file may name a home directory"), "{error}");

    fs::set_permissions(home.join(".ssh/config"), fs::Permissions::from_mode(0o666)).unwrap();
    let error = SshConfig::load(&sources, &local).unwrap().resolve(&Lookup::new("web1", &local)).unwrap_err();
    assert!(error.to_string().contains("bad owner or permissions"), "{error}");

    let missing = SshConfig::load(&SshConfigFiles::explicit(folder.path().join("missing")), &local);
    assert!(matches!(missing, Err(SshConfigError::Unreadable { .. })));
    assert_eq!(SshConfig::load(&SshConfigFiles::explicit("None"), &local).unwrap().files().count(), 0);
}
