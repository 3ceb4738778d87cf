//! From host strings to targets: ssh_config under the settings, gateways, keys, host keys.

use std::path::PathBuf;
use std::time::Duration;

use fabric_config::{Config, ConfigBuilder, Environment, SshConfig};
use fabric_core::settings::{Layer, Origin, Overlay};
use fabric_core::target::{AddressFamily, HostKeyCheck};
use fabric_core::{Gateway, HostString, Resolve, Target};
use serde_json::json;

fn builder(ssh_config: &str) -> ConfigBuilder {
    let environment = Environment::new("me", "/home/me").variable("SSH_AUTH_SOCK", "/agent").variable("LC_ALL", "C");
    Config::builder().environment(environment).ssh_config(SshConfig::parse(ssh_config, "ssh_config"))
}

fn target(config: ConfigBuilder, host: &str) -> Target {
    config.build().unwrap().target(&host.parse().unwrap(), &[]).unwrap()
}

#[track_caller]
fn jump(target: &Target) -> &Target {
    match &target.gateway {
        Some(Gateway::Jump(hop)) => hop,
        other => panic!("no hop: {other:?}"),
    }
}

#[test]
fn ssh_config_fills_what_nobody_else_says() {
    let ssh = "Host web\n HostName web.internal\n User ssh\n Port 2022\n ConnectTimeout 3\n ConnectionAttempts 4\n \
               ServerAliveInterval 5\n ServerAliveCountMax 6\n Compression yes\n ForwardAgent yes\n AddressFamily inet6\n \
               BindAddress ::1\n HostKeyAlias alias\n Ciphers aes256-ctr\n SendEnv LC_*\n SetEnv A=1\n";
    let found = target(builder(ssh), "web");
    assert_eq!((found.host.as_str(), found.user.as_deref(), found.port), ("web.internal", Some("ssh"), 2022));
    assert_eq!((found.timeouts.connect, found.timeouts.attempts.get()), (Some(Duration::from_secs(3)), 4));
    assert_eq!((found.keepalive.interval, found.keepalive.count), (Some(Duration::from_secs(5)), 6));
    assert!(found.compression && found.forward_agent);
    assert_eq!((found.address_family, found.bind_address.as_deref()), (AddressFamily::Inet6, Some("::1")));
    assert_eq!(
        (found.host_keys.alias.as_deref(), found.algorithms.ciphers.join(",")),
        (Some("alias"), "aes256-ctr".into())
    );
    assert!(found.algorithms.macs.is_empty(), "nobody named any");
    let sent: Vec<_> = found.send_env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(sent, ["LC_ALL=C", "A=1"]);

    let above = builder(ssh).set("user=set,port=1,timeout=9,compression=no,forward_agent=no");
    let found = target(above, "web");
    assert_eq!(
        (found.user.as_deref(), found.port, found.timeouts.connect),
        (Some("set"), 1, Some(Duration::from_secs(9)))
    );
    assert!(!found.compression);
    assert!(found.forward_agent, "is or-ed");
    let found = target(builder(ssh), "host@web:7");
    assert_eq!((found.user.as_deref(), found.port), (Some("host"), 7));
    let found = target(builder(ssh).set("use_ssh_config=no"), "web");
    assert_eq!((found.host.as_str(), found.user.as_deref(), found.port), ("web", Some("me"), 22));
}

#[test]
fn match_user_sees_the_user_in_force() {
    let ssh = "Match user deploy\n Port 2222\n";
    assert_eq!(target(builder(ssh).set("user=deploy"), "web").port, 2222);
    assert_eq!(target(builder(ssh), "deploy@web").port, 2222);
    assert_eq!(target(builder(ssh), "web").port, 22);
}

#[test]
fn keys_come_in_order_and_only_asked_for_ones_must_exist() {
    let paths = |target: &Target| -> Vec<(String, bool)> {
        target.auth.identities.iter().map(|key| (key.path.display().to_string(), key.explicit)).collect()
    };
    let found = target(builder("IdentityFile ~/.ssh/web\n").set("key_filename=~/mine"), "web");
    assert_eq!(paths(&found), [("/home/me/mine".to_owned(), true), ("/home/me/.ssh/web".to_owned(), false)]);
    let found = target(builder("").set("key_filename=/k"), "web");
    assert_eq!(paths(&found)[0], ("/k".to_owned(), true));
    assert!(paths(&found).contains(&("/home/me/.ssh/id_ed25519".to_owned(), false)));
    assert_eq!(paths(&target(builder("").set("key_filename=/k,no_keys"), "web")).len(), 1);
    assert_eq!(paths(&target(builder("IdentitiesOnly yes\n").set("key_filename=/k"), "web")).len(), 1);
}

#[test]
fn the_agent_is_the_environments_unless_somebody_says_otherwise() {
    let agent = |ssh: &str, set: &str| target(builder(ssh).set(set), "web").auth.agent;
    assert_eq!(agent("", ""), Some(PathBuf::from("/agent")));
    assert_eq!(agent("", "no_agent"), None);
    assert_eq!(agent("IdentityAgent none\n", ""), None);
    assert_eq!(agent("IdentityAgent /other\n", ""), Some(PathBuf::from("/other")));
    assert_eq!(agent("IdentityAgent /other\n", "no_agent"), None);
}

#[test]
fn host_keys_follow_settings_then_ssh_config() {
    let check = |ssh: &str, set: &str| target(builder(ssh).set(set), "web").host_keys.check;
    assert_eq!(check("", ""), HostKeyCheck::RecordNew);
    assert_eq!(check("UserKnownHostsFile none\n", ""), HostKeyCheck::AcceptNew);
    assert_eq!(check("StrictHostKeyChecking yes\n", ""), HostKeyCheck::Strict);
    assert_eq!(check("StrictHostKeyChecking no\n", ""), HostKeyCheck::Lax);
    assert_eq!(check("StrictHostKeyChecking ask\n", ""), HostKeyCheck::Ask);
    assert_eq!(check("StrictHostKeyChecking no\n", "reject_unknown_hosts"), HostKeyCheck::Strict);
    assert_eq!(check("StrictHostKeyChecking yes\n", "disable_known_hosts"), HostKeyCheck::Off);
    assert_eq!(check("StrictHostKeyChecking yes\n", "reject_unknown_hosts=no"), HostKeyCheck::RecordNew);
    let found = target(builder("UserKnownHostsFile ~/kh %d/x\n").set("system_known_hosts=~/sys"), "web").host_keys;
    assert_eq!(found.user_files, [PathBuf::from("/home/me/kh"), PathBuf::from("/home/me/x")]);
    assert_eq!(found.system_files[0], PathBuf::from("/home/me/sys"));
    let found = target(builder(""), "web").host_keys;
    assert_eq!(found.user_files[0], PathBuf::from("/home/me/.ssh/known_hosts"));
}

#[test]
fn methods_are_preferred_and_switched_off() {
    let methods = |ssh: &str| target(builder(ssh), "web").auth.methods.join(",");
    assert_eq!(methods(""), "publickey,keyboard-interactive,password");
    assert_eq!(methods("PasswordAuthentication no\nPreferredAuthentications password,publickey\n"), "publickey");
    assert!(methods("GSSAPIAuthentication yes\n").starts_with("gssapi-with-mic,"));
}

#[test]
fn what_nobody_asked_for_is_told_apart() {
    let ssh = "Host web\n User ssh\n Port 2022\nHost same\n User me\n Port 22\n";
    let asked = |config: ConfigBuilder, host: &str| {
        let target = target(config, host);
        (target.asked_user().map(str::to_owned), target.asked_port())
    };
    let (me, nobody) = (Some("me".to_owned()), (None, None));
    assert_eq!(asked(builder(ssh), "else"), nobody);
    assert_eq!(asked(builder(ssh), "web"), (Some("ssh".to_owned()), Some(2022)));
    assert_eq!(asked(builder(ssh), "same"), (me.clone(), Some(22)));
    assert_eq!(asked(builder(ssh), "me@else:22"), (me.clone(), Some(22)));
    assert_eq!(asked(builder(ssh).set("user=me,port=22"), "else"), (me.clone(), Some(22)));
    // The classic default stays what it is.
    assert_eq!(target(builder(ssh), "else").user, me);
}

/// The system's `ssh` knows aliases and hops itself, and their keys.
#[test]
fn ssh_config_is_left_to_whoever_reads_it_himself() {
    let found = target(builder("Host web\n HostName web.internal\n User ssh\n ProxyJump hop\n"), "openssh://web");
    assert_eq!((found.host.as_str(), found.asked_user(), found.gateway.is_none()), ("web", None, true));
}

#[test]
fn hops_come_in_openssh_order_each_with_its_own_lines() {
    let ssh = "Host target\n ProxyJump one,two@b:22\nHost one\n HostName 10.0.0.1\n User first\nHost b\n Port 99\n";
    let found = target(builder(ssh), "target");
    let second = jump(&found);
    assert_eq!((second.host.as_str(), second.user.as_deref(), second.port), ("b", Some("two"), 22));
    let first = jump(second);
    assert_eq!((first.host.as_str(), first.user.as_deref(), first.port), ("10.0.0.1", Some("first"), 22));
    assert!(first.gateway.is_none());
}

#[test]
fn loops_are_cut_and_the_setting_beats_ssh_config() {
    let ssh = "Host bastion\n User jump\nHost *\n ProxyJump bastion\n";
    let found = target(builder(ssh), "web");
    assert_eq!(jump(&found).user.as_deref(), Some("jump"));
    assert!(jump(&found).gateway.is_none());
    assert!(target(builder(ssh), "bastion").gateway.is_none());
    let circle = "Host a\n ProxyJump b\nHost b\n ProxyJump a\n";
    assert!(jump(&target(builder(circle), "a")).gateway.is_none());
    // The hops before it still lead to it.
    let chain = |host: &str| jump(&target(builder("").set("gateway=a\\,b\\,c"), host)).clone();
    assert_eq!((chain("b").host.as_str(), chain("b").gateway.is_none()), ("a", true));
    assert_eq!((chain("c").host.as_str(), jump(&chain("c")).host.as_str()), ("b", "a"));
    assert!(target(builder("").set("gateway=a\\,b\\,c"), "a").gateway.is_none());

    assert_eq!(jump(&target(builder(ssh).set("gateway=other"), "web")).host, "other");
    assert!(target(builder(ssh).set("gateway=none"), "web").gateway.is_none());
    assert!(target(builder("ProxyJump none\n"), "web").gateway.is_none());
}

#[test]
fn proxy_commands_have_their_tokens_replaced() {
    let command = |config: ConfigBuilder, host: &str| match target(config, host).gateway {
        Some(Gateway::Command(command)) => command,
        other => panic!("{other:?}"),
    };
    let ssh = "Host web\n HostName web.internal\n ProxyCommand nc %h %p %r %n %%\n";
    assert_eq!(command(builder(ssh), "u@web:7"), "nc web.internal 7 u web %");
    assert_eq!(command(builder("").set("gateway=connect %h:%p %r"), "web"), "connect web:22 me");
    assert_eq!(command(builder("ProxyCommand one-word\n"), "web"), "one-word");
    let config = builder("").set("gateway=nc %z x").build().unwrap();
    let error = config.target(&"web".parse().unwrap(), &[]).unwrap_err().to_string();
    assert!(error.contains("web") && error.contains("%z"), "{error}");
}

#[test]
fn a_tasks_settings_reach_its_hops_but_not_its_user() {
    let config = builder("").set("gateway=bastion").build().unwrap();
    let host: HostString = "web".parse().unwrap();
    let values = json!({"user": "deploy", "port": 2222, "disable_known_hosts": true});
    let overlay = Overlay::new(Origin::new(Layer::Task), values.as_object().cloned().unwrap());
    let found = config.target(&host, &[overlay]).unwrap();
    assert_eq!((found.user.as_deref(), found.port), (Some("deploy"), 2222));
    let hop = jump(&found);
    assert_eq!((hop.user.as_deref(), hop.port, hop.host_keys.check), (Some("me"), 22, HostKeyCheck::Off));
}

#[test]
fn a_broken_ssh_config_names_file_and_line() {
    let config = builder("Host *\n Portt 22\n").build().unwrap();
    let error = config.for_host("web").unwrap_err().to_string();
    assert!(error.starts_with("ssh_config:2: ") && error.contains("Portt"), "{error}");
    let missing = Config::builder().set("ssh_config_path=/nowhere/config").build().unwrap();
    let error = missing.for_host("web").unwrap_err().to_string();
    assert!(error.contains("/nowhere/config"), "{error}");
}

#[test]
fn algorithms_come_from_settings_first() {
    let ssh = "Ciphers aes128-ctr\nMACs hmac-sha2-256\n";
    let found = target(builder(ssh).set(r"ciphers=aes256-ctr\,aes192-ctr"), "web").algorithms;
    assert_eq!(
        (found.ciphers.join(","), found.macs.join(",")),
        ("aes256-ctr,aes192-ctr".into(), "hmac-sha2-256".into())
    );
}

#[test]
fn the_user_of_the_command_line_is_not_that_of_the_hops() {
    let user = |config: ConfigBuilder| {
        let config = config.option("user", "root", "-u").option("gateway", "bastion", "-g");
        let found = target(config, "web");
        assert_eq!(found.user.as_deref(), Some("root"));
        jump(&found).user.clone().unwrap()
    };
    assert_eq!(user(builder("")), "me");
    assert_eq!(user(builder("Host bastion\n User jump\n")), "jump");
    let origin = || Origin::place(Layer::Fabfile, "fabfile.toml");
    let of_env = |config: ConfigBuilder| config.fabfile([("user".to_owned(), "app".into(), origin())]);
    assert_eq!(user(of_env(builder(""))), "app");
    assert_eq!(user(of_env(builder("Host bastion\n User jump\n"))), "jump");
    let section = [("user".to_owned(), "hop".into(), Origin::place(Layer::Host, "hosts"))];
    assert_eq!(user(of_env(builder("Host bastion\n User jump\n")).hosts("bastion", origin(), section)), "hop");
}

#[test]
fn ssh_config_and_gateways_are_not_for_other_transports() {
    let ssh = "Host *\n HostName elsewhere\n ProxyJump bastion\n";
    let found = target(builder(ssh), "container://web");
    assert_eq!((found.transport.as_str(), found.host.as_str()), ("container", "web"));
    assert!(found.gateway.is_none());
    assert!(target(builder(ssh).set("gateway=bastion,transport=local"), "web").gateway.is_none());
    assert_eq!(target(builder(ssh), "web").host, "elsewhere");
}

#[test]
fn the_address_is_a_setting_and_options_of_ssh_come_before_files() {
    let ssh = "Host web\n HostName web.internal\n Port 2022\n ProxyCommand nc %h %n %p\nHost 10.0.0.5\n Port 1\n";
    let at = |values: serde_json::Value, config: ConfigBuilder| {
        let values = values.as_object().unwrap().clone();
        let overlay = Overlay::new(Origin::place(Layer::Role, "inventory hosts"), values);
        let config = config.build().unwrap();
        let host = HostString::parse("web").unwrap();
        let settings = config.settings(Some(&host), std::slice::from_ref(&overlay)).unwrap();
        (settings, config.target(&host, &[overlay]).unwrap())
    };
    let (settings, found) = at(json!({"hostname": "fe80::1%lo"}), builder(ssh));
    assert_eq!((found.host.as_str(), found.port, settings.host.as_deref()), ("fe80::1%lo", 2022, Some("fe80::1%lo")));
    let Some(Gateway::Command(command)) = &found.gateway else { panic!("{found:?}") };
    assert_eq!(command, "nc fe80::1%lo web 2022", "by the address, the name and the lines of the name");

    let options = json!({"ssh_options": ["Port=7", "Compression yes", "HostName=other", "ProxyCommand=none"]});
    let (settings, found) = at(options.clone(), builder(ssh));
    assert_eq!((found.host.as_str(), found.port, found.compression), ("other", 7, true));
    assert_eq!((found.gateway.is_none(), settings.port, settings.host.as_deref()), (true, Some(7), Some("other")));
    let (_, found) = at(options.clone(), builder(ssh).set("use_ssh_config=no,port=8"));
    assert_eq!((found.host.as_str(), found.port, found.compression), ("other", 8, true), "files apart, below settings");
    let (_, found) = at(json!({"hostname": "h", "ssh_options": ["HostName=other"]}), builder(ssh));
    assert_eq!(found.host, "h");
    let config = builder("").build().unwrap();
    let wrong = json!({"ssh_options": ["Compresion=yes"]}).as_object().unwrap().clone();
    let wrong = Overlay::new(Origin::place(Layer::Role, "inventory hosts"), wrong);
    let error = config.target(&HostString::parse("web").unwrap(), &[wrong]).unwrap_err().to_string();
    assert!(error.contains("ssh_options") && error.contains("Compresion=yes"), "{error}");
}
