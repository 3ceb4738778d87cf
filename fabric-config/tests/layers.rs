//! The ladder through its public face: every source, in its order, and what is wrong in each.

use fabric_config::{Config, ConfigBuilder, Environment, Format, SettingsFiles};
use fabric_core::settings::{Layer, Origin, Overlay, Seconds, Value};
use fabric_core::{Gateway, HostString, Resolve};
use serde_json::json;

fn builder() -> ConfigBuilder {
    Config::builder().environment(Environment::new("me", "/home/me"))
}

fn host(text: &str) -> HostString {
    text.parse().unwrap()
}

fn values(layer: Layer, values: Value) -> Vec<(String, Value, Origin)> {
    let Value::Object(map) = values else { panic!("a table") };
    map.into_iter().map(|(key, value)| (key, value, Origin::file(layer, "fabfile.toml", Some(1)))).collect()
}

fn overlay(layer: Layer, values: Value) -> Overlay {
    let Value::Object(map) = values else { panic!("a table") };
    Overlay::new(Origin::new(layer), map)
}

#[test]
fn each_rung_wins_over_the_one_below() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let project = dir.path().join("project");
    for path in [&home, &project] {
        std::fs::create_dir_all(path).unwrap();
    }
    std::fs::write(home.join(".fabricrc"), "# mine\nuser = rc\nshell = rc\nsudo_user = rc\n").unwrap();
    std::fs::write(home.join(".fabric.yaml"), "shell: yaml\nsudo_user: yaml\n").unwrap();
    std::fs::write(project.join("fabric.json"), r#"{"sudo_user": "json", "path": "json", "cwd": "json"}"#).unwrap();
    let environment = Environment::new("me", &home)
        .variable("FABRIC_PATH", "variable")
        .variable("FABRIC_CWD", "variable")
        .variable("FABRIC_LCWD", "variable");
    let config = Config::builder()
        .sources(SettingsFiles::standard(&environment).beside(&project))
        .environment(environment)
        .fabfile(values(Layer::Fabfile, json!({"cwd": "fabfile", "lcwd": "fabfile", "sudo_prefix": "fabfile"})))
        .hosts(
            "web*",
            Origin::new(Layer::Host),
            values(Layer::Host, json!({"sudo_prefix": "section", "transport": "section", "lcwd": "section"})),
        )
        .hosts("web1", Origin::new(Layer::Host), values(Layer::Host, json!({"transport": "second"})))
        .option("fabfile", "option", "-f")
        .set("fabfile=set,batch=3")
        .build()
        .unwrap();
    let role = overlay(Layer::Role, json!({"lcwd": "role", "cwd": "role"}));
    let task = overlay(Layer::Task, json!({"transport": "task", "batch": "25%"}));
    let settings = config.settings(Some(&host("web1")), &[task, role]).unwrap();
    assert_eq!(settings.user.as_deref(), Some("rc"));
    assert_eq!(settings.shell, "yaml");
    assert_eq!(settings.sudo_user.as_deref(), Some("json"));
    assert_eq!(settings.path, "variable");
    assert_eq!(settings.cwd, "role");
    assert_eq!(settings.lcwd, "section");
    assert_eq!(settings.sudo_prefix, "section");
    assert_eq!(settings.transport, "task");
    assert_eq!((settings.fabfile.as_str(), settings.batch.clone()), ("option", Some("3".into())));
    let elsewhere = config.for_host("web2").unwrap();
    assert_eq!(elsewhere.settings().transport, "section");
    let nowhere = config.settings(None, &[]).unwrap();
    assert_eq!((nowhere.transport.as_str(), nowhere.sudo_prefix.as_str()), ("ssh", "fabfile"));
}

#[test]
fn the_host_string_has_the_last_word_and_a_call_may_not_contradict_it() {
    let config = builder().option("user", "line", "-u").option("port", 2200, "--port").build().unwrap();
    let target = config.target(&host("written@web1:22"), &[]).unwrap();
    assert_eq!((target.user.as_deref(), target.port), (Some("written"), 22));
    let target = config.target(&host("web1"), &[]).unwrap();
    assert_eq!((target.user.as_deref(), target.port), (Some("line"), 2200));
    let argument = |values: Value| Overlay::new(Origin::argument(), overlay(Layer::Step, values).values);
    let call = argument(json!({"user": "call"}));
    assert_eq!(config.target(&host("web1"), std::slice::from_ref(&call)).unwrap().user.as_deref(), Some("call"));
    let error = config.target(&host("written@web1"), &[call]).unwrap_err().to_string();
    assert!(error.contains("written@web1") && error.contains("user"), "{error}");
    assert!(config.target(&host("web1:22"), &[argument(json!({"port": 1}))]).is_err());
    let block = overlay(Layer::Step, json!({"user": "block"}));
    assert_eq!(config.target(&host("written@web1"), &[block]).unwrap().user.as_deref(), Some("written"));
}

#[test]
fn variables_reach_every_depth_and_spelling() {
    let config = Config::builder()
        .environment(
            Environment::new("me", "/home/me")
                .variable("FABRIC_RUN__WARN", "yes")
                .variable("FABRIC_TIMEOUTS_CONNECT", "7")
                .variable("FABRIC_SHELL_ENV__RELEASE", "2.4")
                .variable("FABRIC_SHELL_ENV", "{\"A\": \"1\"}")
                .variable("FABRIC_HOSTS__EXTEND", "a,b")
                .variable("FABRIC_CONNECT_KWARGS__ALLOW_AGENT", "false")
                .variable("FABRIC_OTHER_PROGRAM", "x")
                .variable("FABRIC_WARN_ONYL", "x"),
        )
        .build()
        .unwrap();
    let settings = config.settings(None, &[]).unwrap();
    assert!(settings.warn_only && settings.no_agent);
    assert_eq!(settings.timeout, Seconds(7.0));
    assert_eq!(settings.shell_env["RELEASE"], "2.4");
    assert_eq!(settings.shell_env["A"], "1");
    assert_eq!(settings.hosts, ["a", "b"]);
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["no setting has the variable FABRIC_WARN_ONYL (did you mean FABRIC_WARN_ONLY?)"]);
}

#[test]
fn modern_names_are_accepted_where_they_stand() {
    let text = "load_ssh_configs: false\nrun:\n  pty: false\n  shell: /bin/zsh\n  warn: true\n  echo: true\n\
                connect_kwargs:\n  look_for_keys: false\n  key_filename: k\ntimeouts: {connect: 3, command: 4}\n\
                sudo: {password: pw, user: op}\ntasks: {collection_name: deploy}\n";
    let config = builder().text(Layer::User, "f.yaml", Format::Yaml, text).build().unwrap();
    let settings = config.settings(None, &[]).unwrap();
    assert!(!settings.use_ssh_config && settings.warn_only && settings.no_keys);
    assert!(settings.always_use_pty.apply(Some(true)), "the modern default forbids nothing");
    assert_eq!((settings.shell.as_str(), settings.fabfile.as_str()), ("/bin/zsh -c", "deploy"));
    assert_eq!((settings.timeout, settings.command_timeout), (Seconds(3.0), Some(Seconds(4.0))));
    assert_eq!(settings.sudo_password.as_ref().unwrap().expose(), "pw");
    assert_eq!(config.warnings().len(), 1, "{:?}", config.warnings());
}

#[test]
fn everything_wrong_is_told_at_once_with_its_line() {
    let toml = "warn_onyl = true\nparallel = 'yes'\npassword = 5\nport = 70000\n[run]\nwarm = true\n";
    let error = builder()
        .text(Layer::Project, "fabric.toml", Format::Toml, toml)
        .rc_text("rc", "user = a\n\nuser = b\nnonsense\npool_size = -1\nmine = kept\nwarn_olny = x\ntimeout = nan\n")
        .set("pool_size=many,command_timeout=inf")
        .hosts("web*", Origin::new(Layer::Host), values(Layer::Host, json!({"gatway": "x"})))
        .build()
        .unwrap_err();
    let lines: Vec<String> = error.0.iter().map(ToString::to_string).collect();
    let want = [
        "fabric.toml:1: unknown setting `warn_onyl` (did you mean `warn_only`?)",
        "fabric.toml:2: setting `parallel`: expected true or false, found \"yes\"",
        "fabric.toml:3: setting `password`: expected a text",
        "fabric.toml:4: setting `port`: expected a port from 1 to 65535, found 70000",
        "fabric.toml:6: unknown setting `run.warm` (did you mean `run.warn`?)",
        "rc:3: `user` is given twice, first on line 1",
        "rc:4: expected `key = value`",
        "rc:5: setting `pool_size`: expected a whole number from 0 to 4294967295, found \"-1\"",
        "rc:7: unknown setting `warn_olny` (did you mean `warn_only`?)",
        "rc:8: setting `timeout`: expected a number of seconds from 0 to 1000000000, found \"nan\"",
        "--set: setting `pool_size`: expected a whole number from 0 to 4294967295, found \"many\"",
        "--set: setting `command_timeout`: expected a number of seconds from 0 to 1000000000, found \"inf\"",
        "fabfile.toml:1: unknown setting `gatway` (did you mean `gateway`?)",
    ];
    assert_eq!(lines, want);
}

#[test]
fn one_setting_under_two_names_is_ambiguous() {
    let text = "warn_only = true\n[run]\nwarn = false\n";
    let error = builder().text(Layer::User, "f.toml", Format::Toml, text).build().unwrap_err().to_string();
    assert!(error.contains("`run.warn` and `warn_only`") && error.starts_with("f.toml:3"), "{error}");
    let both = |one: &str, other: &str| {
        let environment = Environment::new("me", "/").variable(one, "yes").variable(other, "no");
        Config::builder().environment(environment).build().unwrap_err().to_string()
    };
    let error = both("FABRIC_RUN_WARN", "FABRIC_RUN__WARN");
    assert!(error.contains("FABRIC_RUN_WARN") && error.contains("FABRIC_RUN__WARN"), "{error}");
    assert!(both("FABRIC_WARN_ONLY", "FABRIC_RUN_WARN").contains("same setting"));
}

#[test]
fn information_cannot_be_set_by_a_person() {
    let error = builder().text(Layer::User, "f.toml", Format::Toml, "all_hosts = ['a']").build().unwrap_err();
    assert!(error.to_string().contains("all_hosts"), "{error}");
    let config = builder().build().unwrap();
    let told = overlay(Layer::Runtime, json!({"all_hosts": ["a"]}));
    assert_eq!(config.settings(None, &[told]).unwrap().all_hosts, ["a"]);
}

#[test]
fn unreadable_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.toml");
    let error = builder().rcfile(&missing).build().unwrap_err().to_string();
    assert!(error.contains("missing.toml") && error.contains("cannot read"), "{error}");
    let error = builder().rcfile(dir.path()).build().unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}

#[test]
fn own_keys_are_shared_state() {
    let config = builder()
        .fabfile(values(Layer::Fabfile, json!({"release": "2.4", "hots": ["a"], "nested": {"a": 1}})))
        .rc_text("rc", "mine = 1\n")
        .set("flag,text=x")
        .build()
        .unwrap();
    let settings = config.settings(None, &[]).unwrap();
    assert_eq!(settings.extra["release"], json!("2.4"));
    assert_eq!(settings.extra["nested"], json!({"a": 1}));
    assert_eq!(settings.extra["mine"], json!("1"));
    assert_eq!((&settings.extra["flag"], &settings.extra["text"]), (&json!(true), &json!("x")));
    assert_eq!(config.warnings().len(), 1, "{:?}", config.warnings());
    assert!(config.warnings()[0].to_string().contains("did you mean `hosts`"));
}

#[test]
fn gateways_are_hosts_with_settings_of_their_own() {
    let config = builder()
        .fabfile(values(Layer::Fabfile, json!({"gateway": "jump@bastion:2222"})))
        .hosts("bastion", Origin::new(Layer::Host), values(Layer::Host, json!({"keepalive": 5})))
        .hosts("direct", Origin::new(Layer::Host), values(Layer::Host, json!({"gateway": false})))
        .build()
        .unwrap();
    let target = config.target(&host("web1"), &[]).unwrap();
    let Some(Gateway::Jump(hop)) = target.gateway else { panic!("no hop") };
    assert_eq!((hop.user.as_deref(), hop.host.as_str(), hop.port), (Some("jump"), "bastion", 2222));
    assert_eq!(hop.keepalive.interval, Some(std::time::Duration::from_secs(5)));
    assert!(hop.gateway.is_none(), "a gateway that needs itself is dialled directly");
    assert!(config.target(&host("direct"), &[]).unwrap().gateway.is_none());
    assert!(config.target(&host("root@bastion"), &[]).unwrap().gateway.is_none());
}

#[test]
fn yaml_words_are_switches_only_for_switches() {
    let text = "parallel: yes\nlinewise: off\nuser: no\nshell_env: {COUNTRY: no, ANSWER: 'yes'}\n";
    let settings =
        builder().text(Layer::User, "f.yaml", Format::Yaml, text).build().unwrap().settings(None, &[]).unwrap();
    assert!(settings.parallel && !settings.linewise);
    assert_eq!(settings.user.as_deref(), Some("no"));
    assert_eq!((settings.shell_env["COUNTRY"].as_str(), settings.shell_env["ANSWER"].as_str()), ("no", "yes"));
}

#[test]
fn what_is_set_by_hand_has_the_type_that_files_give_it() {
    let origin = || Origin::place(Layer::Fabfile, "fabfile.toml");
    let env = |builder: ConfigBuilder| {
        let values = [("count", json!(3)), ("debug", json!(false)), ("release", json!("1.0")), ("rate", json!(0.5))];
        builder.fabfile(values.map(|(name, value)| (name.to_owned(), value, origin())))
    };
    let set = |text: &str| env(Config::builder().environment(Environment::new("me", "/home/me"))).set(text).build();
    let settings = set("count=10,debug=yes,release=1.10,rate=2,new=7").unwrap().settings(None, &[]).unwrap();
    let extra = |name: &str| settings.extra[name].clone();
    assert_eq!(
        ["count", "debug", "release", "rate", "new"].map(extra),
        [json!(10), json!(true), json!("1.10"), json!(2), json!("7")]
    );
    for (text, expected) in [("count=ten", "expected a number"), ("debug=maybe", "expected true or false")] {
        let error = set(text).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("ten") && !error.contains("maybe"), "{error}");
    }
}
