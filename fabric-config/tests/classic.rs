//! Every classic env var (rows E1 to E7): its default, and every way to set it.

use std::collections::HashMap;

use fabric_config::{Config, ConfigBuilder, Environment, Format};
use fabric_core::Resolve;
use fabric_core::settings::{Kind, Layer, Origin, Setting, TABLE, Value};
use serde_json::json;

/// The defaults of the classic documentation ("Full list of env vars") and, below the line, of the program
/// itself where the documentation leaves a variable out. `None` is `null`.
const DEFAULTS: &str = r#"
abort_exception     null
abort_on_prompts    false
all_hosts           []
always_use_pty      true
auth_timeout        30
colorize_errors     false
combine_stderr      true
command             null
command_prefixes    []
command_timeout     null
connection_attempts 1
cwd                 ""
dedupe_hosts        true
disable_known_hosts false
eagerly_disconnect  false
effective_roles     []
exclude_hosts       []
fabfile             "fabfile.py"
gateway             null
gss_auth            false
gss_deleg           false
gss_kex             false
host_string         null
forward_agent       false
host                null
hosts               []
keepalive           0
key                 null
key_filename        null
linewise            false
no_agent            false
no_keys             false
output_prefix       true
parallel            false
password            null
passwords           {}
path                ""
pool_size           0
prompts             {}
port                null
real_fabfile        null
remote_interrupt    null
rcfile              "$HOME/.fabricrc"
reject_unknown_hosts false
system_known_hosts  null
roledefs            {}
roles               []
shell               "/bin/bash -l -c"
skip_bad_hosts      false
skip_unknown_tasks  false
ssh_config_path     "$HOME/.ssh/config"
ok_ret_codes        [0]
sudo_password       null
sudo_passwords      {}
sudo_prefix         "sudo -S -p '%(sudo_prompt)s' "
sudo_prompt         "sudo password:"
sudo_user           null
tasks               []
timeout             10
use_shell           true
use_ssh_config      false
user                "$USER"
local_user          "$USER"
version             "$VERSION"
warn_only           false

banner_timeout      15
echo_stdin          true
lcwd                ""
path_behavior       "append"
shell_env           {}
shell_escape        true
use_exceptions_for  {"network": false}
"#;

/// Where the default is another one, and why.
fn deviations() -> HashMap<&'static str, (Value, &'static str)> {
    HashMap::from([
        ("banner_timeout", (json!(null), "unset: `timeout` covers the version line, as ConnectTimeout of ssh does")),
        ("fabfile", (json!("fabfile"), "fabfiles may be TOML, YAML, JSON and Rust too (interface, section 2)")),
        ("keepalive", (json!(30), "a host whose network is gone is an error (interface, section 3)")),
        ("key_filename", (json!([]), "no key file: a list, as it may hold several")),
        ("ssh_config_path", (json!(null), "unset reads the user's and the system's file, as ssh does")),
        ("sudo_prompt", (json!(null), "a random text for each run (interface, section 5)")),
        ("use_ssh_config", (json!(true), "the classic Python API alone has false (interface, section 5)")),
    ])
}

fn builder() -> ConfigBuilder {
    Config::builder().environment(Environment::new("me", "/home/me"))
}

fn value(builder: ConfigBuilder, name: &str) -> Value {
    let config = builder.build().unwrap_or_else(|problems| panic!("{name}: {problems}"));
    config.settings(None, &[]).unwrap().get(name).unwrap()
}

#[test]
fn defaults_are_the_classic_ones() {
    let deviations = deviations();
    let mut seen = Vec::new();
    for line in DEFAULTS.lines().filter(|line| !line.is_empty()) {
        let (name, text) = line.split_once(' ').unwrap();
        let text = text.trim().replace("$HOME", "/home/me").replace("$USER", "me");
        let text = text.replace("$VERSION", env!("CARGO_PKG_VERSION"));
        let classic: Value = serde_json::from_str(&text).unwrap();
        let ours = value(builder(), name);
        match deviations.get(name) {
            None => assert_eq!(ours, classic, "{name}"),
            Some((default, _)) => {
                assert_eq!(&ours, default, "{name}");
                assert_ne!(&classic, default, "{name}: no deviation any more");
            }
        }
        seen.push(name);
    }
    for (name, (_, reason)) in &deviations {
        assert!(seen.contains(name) && !reason.is_empty(), "{name}");
    }
}

/// A value that is not the default: as a value, and as it is written in text.
fn sample(setting: &Setting) -> (Value, String) {
    let (value, text) = match setting.kind {
        Kind::Bool | Kind::Maybe if setting.default_value() == json!(true) => (json!(false), "off"),
        Kind::Bool | Kind::Maybe => (json!(true), "yes"),
        Kind::Integer | Kind::Size | Kind::Port => (json!(17), "17"),
        Kind::Seconds => (json!(2.5), "2.5"),
        Kind::Text | Kind::Secret | Kind::Switch => (json!("some text"), "some text"),
        Kind::Amount => (json!("25%"), "25%"),
        // Lines of ssh_config, which are read where a host is asked for.
        Kind::List if setting.name == "ssh_options" => (json!(["Port 7", "User u"]), "Port 7,User u"),
        Kind::List => (json!(["a", "b"]), "a,b"),
        Kind::Integers => (json!([0, 3]), "0,3"),
        Kind::TextMap | Kind::SecretMap => (json!({"A": "1", "B": "2"}), "A=1,B=2"),
        Kind::BoolMap => (json!({"network": true}), "network=yes"),
        Kind::Map => (json!({"a": ["x"]}), r#"{"a": ["x"]}"#),
        Kind::Choice(words) => (json!(words[1]), words[1]),
    };
    assert_ne!(value, setting.default_value(), "{}", setting.name);
    (value, text.to_owned())
}

fn settable() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| !setting.is_information())
}

/// `{"run": {"warn": true}}` of `run.warn`.
fn nested(name: &str, value: Value) -> Value {
    name.rsplit('.').fold(value, |inside, key| json!({ key: inside }))
}

#[test]
fn every_setting_can_be_set_in_every_format() {
    for setting in settable() {
        let (want, _) = sample(setting);
        for spelling in setting.spellings() {
            let given = match (spelling, setting.inverse.contains(&spelling)) {
                ("run.shell", _) => json!("some text"),
                (_, true) => json!(want == json!(false)),
                _ => want.clone(),
            };
            let document = nested(spelling, given);
            let toml = toml::to_string(&document).unwrap();
            for (format, text) in
                [(Format::Toml, toml), (Format::Json, document.to_string()), (Format::Yaml, document.to_string())]
            {
                let file = builder().text(Layer::Project, "fabric", format, text.clone());
                if spelling == "run.pty" {
                    // `false` forbids nothing: it is the modern default.
                    assert_eq!(value(file, setting.name), json!(true), "{spelling}: {text}");
                } else {
                    assert_eq!(value(file, setting.name), want, "{spelling}: {text}");
                }
            }
        }
    }
}

#[test]
fn every_setting_can_be_set_by_text() {
    for setting in settable() {
        let (want, text) = sample(setting);
        let variable = Environment::new("me", "/home/me").variable(setting.variable(), &text);
        assert_eq!(value(Config::builder().environment(variable), setting.name), want, "{}", setting.variable());
        let rc = builder().rc_text("rc", format!("{} = {text}\n", setting.name));
        assert_eq!(value(rc, setting.name), want, "{}", setting.name);
        let escaped = text.replace(',', "\\,");
        assert_eq!(value(builder().set(format!("{}={escaped}", setting.name)), setting.name), want, "{}", setting.name);
    }
}

#[test]
fn every_setting_can_be_set_by_a_fabfile_a_host_section_and_an_option() {
    for setting in settable() {
        let (want, _) = sample(setting);
        let given = [(setting.name.to_owned(), want.clone(), Origin::new(Layer::Fabfile))];
        assert_eq!(value(builder().fabfile(given.clone()), setting.name), want, "{}", setting.name);
        assert_eq!(value(builder().option(setting.name, want.clone(), "-o"), setting.name), want, "{}", setting.name);
        // Without ssh_config, whose file would have to be there.
        let config = builder().set("use_ssh_config=no").hosts("web*", Origin::new(Layer::Host), given).build().unwrap();
        let host = "web1".parse().unwrap();
        let of_host = config.settings(Some(&host), &[]).unwrap().get(setting.name);
        assert_eq!(of_host, Some(want), "{}", setting.name);
    }
}

#[test]
fn the_wrong_type_is_refused_everywhere_and_secrets_stay_secret() {
    for setting in settable() {
        let wrong = if matches!(setting.kind, Kind::Map | Kind::TextMap | Kind::SecretMap | Kind::BoolMap) {
            json!(["hunter2"])
        } else {
            json!({"hunter2": 1})
        };
        let text = json!({setting.name: wrong}).to_string();
        let error = builder().text(Layer::Project, "fabric.json", Format::Json, text).build().unwrap_err().to_string();
        assert!(error.starts_with("fabric.json:1: ") && error.contains(setting.name), "{error}");
        if setting.is_secret() {
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
    for (name, text) in
        [("pool_size", "-1"), ("timeout", "soon"), ("parallel", "perhaps"), ("path_behavior", "x"), ("port", "0")]
    {
        let error = builder().set(format!("{name}={text}")).build().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(text), "{error}");
        let variable = Environment::new("me", "/").variable(format!("FABRIC_{}", name.to_uppercase()), text);
        let error = Config::builder().environment(variable).build().unwrap_err().to_string();
        assert!(error.starts_with(&format!("FABRIC_{}: ", name.to_uppercase())), "{error}");
    }
}
