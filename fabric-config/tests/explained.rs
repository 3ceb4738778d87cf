//! Where values come from, as people and programs see it.

use fabric_config::{Config, Environment, Format, SshConfig};
use fabric_core::settings::{Layer, Origin, Value};
use serde_json::json;

fn config() -> Config {
    let fabfile = |key: &str, value: Value, line| {
        (key.to_owned(), value, Origin::file(Layer::Fabfile, "fabfile.toml", Some(line)))
    };
    Config::builder()
        .environment(Environment::new("me", "/home/me").variable("FABRIC_POOL_SIZE", "7"))
        .ssh_config(SshConfig::parse(
            "Host web*\n User ssh\n IdentityFile ~/k\n IdentityFile ~/l\n",
            "/home/me/.ssh/config",
        ))
        .text(
            Layer::User,
            "/home/me/.fabric.toml",
            Format::Toml,
            "pool_size = 5\npassword = 'hunter2'\n\n[shell_env]\nA = '1'\n",
        )
        .fabfile([
            fabfile("shell_env", json!({"B": "2"}), 3),
            fabfile("release", json!("2.4"), 4),
            fabfile("db_password", json!("hunter2"), 5),
        ])
        .option("pool_size", 9, "-z")
        .build()
        .unwrap()
}

#[test]
fn one_setting_with_all_its_layers() {
    let host = "web1".parse().unwrap();
    let told = config().explain("pool_size", Some(&host), &[]).unwrap();
    let rungs: Vec<String> = told.rungs.iter().map(|rung| format!("{} {}", rung.origin, rung.value)).collect();
    assert_eq!(rungs, ["default 0", "/home/me/.fabric.toml:1 5", "FABRIC_POOL_SIZE 7", "-z 9"]);
    assert_eq!((told.winner(), told.value, told.parts), (3, json!(9), vec![3]));

    let told = config().explain("user", Some(&"root@web1".parse().unwrap()), &[]).unwrap();
    assert_eq!(told.origin().layer, Layer::HostString);
    let told = config().explain("user", Some(&host), &[]).unwrap();
    assert_eq!((told.origin().to_string().as_str(), &told.value), ("/home/me/.ssh/config:2", &json!("ssh")));
    let told = config().explain("user", None, &[]).unwrap();
    assert_eq!((told.origin().layer, &told.value), (Layer::Default, &json!("me")));
    assert_eq!(config().explain("run.warn", None, &[]).unwrap().name, "warn_only");
    assert_eq!(config().explain("release", None, &[]).unwrap().value, json!("2.4"));

    let told = config().explain("host", Some(&"root@web1:22".parse().unwrap()), &[]).unwrap();
    assert_eq!((told.origin().layer, &told.value), (Layer::HostString, &json!("web1")));

    let error = config().explain("pol_size", None, &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean `pool_size`"), "{error}");
}

#[test]
fn tables_are_made_of_layers() {
    let told = config().explain("shell_env", None, &[]).unwrap();
    assert_eq!(told.parts, [1, 2]);
    assert_eq!(told.value, json!({"A": "1", "B": "2"}));
    assert_eq!(told.origin().to_string(), "fabfile.toml:3");
    let text = told.to_string();
    assert!(text.contains("user file, /home/me/.fabric.toml:4: {\"A\":\"1\"}  <- part of it"), "{text}");
}

#[test]
fn a_text_that_stands_for_a_list_is_in_force() {
    let config = Config::builder().option("key_filename", "k", "-i").build().unwrap();
    let told = config.explain("key_filename", None, &[]).unwrap();
    assert_eq!((told.value, told.parts), (json!(["k"]), vec![1]));
}

#[test]
fn host_lists_are_made_of_what_the_run_uses() {
    let of = |layer: Layer, key: &str, value: Value| (key.to_owned(), value, Origin::place(layer, layer.to_string()));
    let told = |name: &str, env: Value, set: &str, typed: &[(&str, &str)]| {
        let env = env.as_object().unwrap().clone().into_iter();
        let typed = typed.iter().map(|(key, one)| of(Layer::CommandLine, key, json!([one])));
        let builder = Config::builder()
            .text(Layer::Project, "fabric.toml", Format::Toml, "exclude_hosts = ['p']\n")
            .fabfile(env.map(|(key, value)| of(Layer::Fabfile, &key, value)))
            .values(Layer::CommandLine, typed);
        let builder = if set.is_empty() { builder } else { builder.set(set) };
        let told = builder.build().unwrap().explain(name, None, &[]).unwrap();
        let parts: Vec<String> = told.parts.iter().map(|part| told.rungs[*part].origin.to_string()).collect();
        (told.value, parts.join(", "))
    };
    let env = json!({"hosts": ["f"], "exclude_hosts": ["e"]});
    let line = [("hosts", "h"), ("exclude_hosts", "x"), ("roles", "r")];
    assert_eq!(told("hosts", env.clone(), "", &line), (json!(["h"]), "command line".into()));
    assert_eq!(told("hosts", env.clone(), "hosts=s", &line[2..]), (json!([]), "default".into()));
    let excluded = told("exclude_hosts", env, "exclude_hosts=s", &line);
    assert_eq!(excluded, (json!(["e", "s", "x"]), "fabfile, --set, command line".into()));
    let extend = json!({"hosts": {"extend": ["f"]}});
    assert_eq!(told("hosts", extend.clone(), "", &line), (json!(["h", "f"]), "fabfile, command line".into()));
    assert_eq!(told("hosts", extend, "", &[]), (json!(["f"]), "fabfile".into()));
    let replace = json!({"hosts": {"replace": ["f"]}});
    assert_eq!(told("hosts", replace, "", &line), (json!(["f"]), "fabfile".into()));
}

#[test]
fn algorithms_of_ssh_config_are_shown() {
    let text =
        "Ciphers aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms curve25519-sha256\nHostKeyAlgorithms ssh-ed25519\n";
    let config =
        Config::builder().ssh_config(SshConfig::parse(text, "conf")).set("macs=hmac-sha2-512").build().unwrap();
    let host = "web1".parse().unwrap();
    for (name, value, origin) in [
        ("ciphers", "aes256-ctr", "conf:1"),
        ("macs", "hmac-sha2-512", "--set"),
        ("kex_algorithms", "curve25519-sha256", "conf:3"),
        ("host_key_algorithms", "ssh-ed25519", "conf:4"),
    ] {
        let told = config.explain(name, Some(&host), &[]).unwrap();
        assert_eq!((&told.value, told.origin().to_string().as_str()), (&json!([value]), origin), "{name}");
    }
}

#[test]
fn all_settings_as_data() {
    let host = "web1".parse().unwrap();
    let shown = config().show(Some(&host), &[]).unwrap().to_json();
    assert_eq!(shown["host"], json!("web1"));
    assert_eq!(shown["settings"]["pool_size"], json!({"value": 9, "layer": "command_line", "origin": "-z"}));
    assert_eq!(
        shown["settings"]["password"],
        json!({"value": "set", "layer": "user", "origin": "/home/me/.fabric.toml:2"})
    );
    assert_eq!(shown["settings"]["sudo_password"]["value"], json!("unset"));
    assert_eq!(shown["settings"]["warn_only"], json!({"value": false, "layer": "default", "origin": "default"}));
    assert_eq!(shown["settings"]["release"]["value"], json!("2.4"));
    assert_eq!(shown["settings"]["key_filename"]["value"], json!(["/home/me/k", "/home/me/l"]));
    assert_eq!(shown["ssh_config"]["user"], json!("ssh"));
    assert_eq!(shown["ssh_config"]["identityfile"], json!(["~/k", "~/l"]));
    for setting in fabric_core::settings::TABLE {
        assert!(shown["settings"][setting.name].is_object(), "{}", setting.name);
    }
    let without = config().show(None, &[]).unwrap().to_json();
    assert_eq!((&without["host"], &without["ssh_config"]), (&Value::Null, &json!({})));
}

#[test]
fn secrets_are_nowhere() {
    let host = "web1".parse().unwrap();
    let config = config();
    let shown = config.show(Some(&host), &[]).unwrap();
    let explained = config.explain("password", None, &[]).unwrap();
    for text in [
        shown.to_string(),
        shown.to_json().to_string(),
        explained.to_string(),
        explained.to_json().to_string(),
        format!("{shown:?} {explained:?} {config:?}"),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn all_settings_for_people() {
    let shown = config().show(None, &[]).unwrap().to_string();
    let row = shown.lines().find(|line| line.starts_with("pool_size ")).unwrap();
    let words: Vec<&str> = row.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(words, ["pool_size", "9", "command line, -z", "7 (FABRIC_POOL_SIZE); 5 (/home/me/.fabric.toml:1)"]);
    let row = shown.lines().find(|line| line.starts_with("warn_only ")).unwrap();
    assert!(row.ends_with("default"), "{row}");
}
