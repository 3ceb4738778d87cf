//! Secrets in every place where a value can be, also of the wrong type: nothing that a run writes contains them.

use std::fs;
use std::path::Path;

use fabric_core::Value;
use fabric_core::settings::{Setting, TABLE};
use serde_json::json;
use tests::{Case, case};

/// The secret, which must not be shown.
const SECRET: &str = "0pen-s3same";

/// Command lines, each of which shows settings, errors or commands in another way.
const ASKED: &[&[&str]] = &[
    &["--log", "trace", "t"],
    &["--output", "json", "t"],
    &["--report", "r.json", "t"],
    &["--report", "r.xml", "t"],
    &["--report", "r.html", "t"],
    &["--dry-run", "--show", "debug", "t"],
    &["--plan", "t"],
    &["--plan=json", "t"],
    &["--show-config", "web1"],
    &["--show-config", "--format", "json"],
    &["--list"],
];

const TASK: &str = "[tasks.t]\nsteps = [{ local = \"echo fine\" }]\n";

/// Gives a case its secrets.
type Given = Box<dyn Fn(Case) -> Case>;

/// Runs it, and searches everything written.
#[track_caller]
fn hides(case: Case, what: &str) {
    let given = files(case.dir().parent().unwrap());
    let ran = case.any_stdout().any_stderr().any_status().run();
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        assert!(!text.contains(SECRET), "{what}: {stream}:\n{text}");
    }
    for (path, text) in files(ran.case().dir().parent().unwrap()) {
        let is_new = !given.iter().any(|(known, _)| *known == path);
        assert!(!is_new || !text.contains(SECRET), "{what}: {path}:\n{text}");
    }
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.is_symlink() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((path.to_string_lossy().into_owned(), text));
        }
    }
    found
}

/// A value as TOML has it in a line.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| format!("{key:?} = {}", toml(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The ways to write a secret: as it should be, and as it may be written by mistake.
fn shapes() -> Vec<Value> {
    let nested = json!({"password": SECRET, "list": [{"token": SECRET}]});
    vec![
        json!(SECRET),
        json!([[SECRET]]),
        json!({"db_password": SECRET}),
        json!({"db_password": nested}),
        json!([{"db_password": SECRET}]),
    ]
}

/// Whether a value of this shape is one of a setting that is shown on purpose: a plain one.
fn is_plain(setting: &Setting, value: &Value) -> bool {
    setting.may_show(value)
}

fn settings() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| !setting.is_information() && !["fabfile", "rcfile"].contains(&setting.name))
}

#[test]
fn settings_of_every_type_in_every_layer_hide_what_may_be_secret() {
    for shape in shapes() {
        let names: Vec<&str> = settings().filter(|setting| !is_plain(setting, &shape)).map(|s| s.name).collect();
        let lines: Vec<String> = names.iter().map(|name| format!("{name} = {}", toml(&shape))).collect();
        let lines = lines.join("\n") + "\n";
        let table = format!("{{ {} }}", lines.trim_end().replace('\n', ", "));
        let object: Value =
            names.iter().map(|name| ((*name).to_owned(), shape.clone())).collect::<serde_json::Map<_, _>>().into();
        let text = object.to_string();
        let in_task = format!("[tasks.t]\nwith = {table}\nsteps = [{{ local = \"echo fine\" }}]\n");
        let in_step = format!("[tasks.t]\nsteps = [{{ set = {table} }}, {{ local = \"echo fine\" }}]\n");
        // All together, which reports all errors, and each alone, which may get further.
        let mut cases: Vec<(String, Given)> = Vec::new();
        for (name, text) in [("fabric.toml", &lines), ("fabric.yaml", &text), ("fabric.json", &text)] {
            let text = text.clone();
            cases.push((format!("{name}: {shape}"), Box::new(move |case| case.fabfile(TASK).file(name, &text))));
        }
        for (what, text) in [
            ("env", format!("[env]\n{lines}\n{TASK}")),
            ("hosts", format!("[hosts.\"*\"]\n{lines}\n{TASK}")),
            ("role", format!("[roledefs]\nweb = {{ hosts = [\"web1\"], {} }}\n{TASK}", &table[2..table.len() - 2])),
            ("with", in_task),
            ("set", in_step),
        ] {
            let text = text.clone();
            cases.push((format!("{what}: {shape}"), Box::new(move |case| case.fabfile(&text))));
        }
        for (what, case) in &cases {
            for asked in ASKED {
                hides(case(case!().args(*asked)), &format!("{what}, {asked:?}"));
            }
        }
    }
}

#[test]
fn each_setting_alone_hides_what_may_be_secret() {
    for (setting, shape) in
        settings().flat_map(|setting| shapes().into_iter().take(3).map(move |shape| (setting, shape)))
    {
        let (name, variable) = (setting.name, setting.variable());
        let text = shape.as_str().map_or_else(|| shape.to_string(), str::to_owned);
        // As text, a list or a table may be a plain text, and a gateway the name of a host.
        if !is_plain(setting, &json!(text)) && name != "gateway" {
            let set = format!("{name}={}", text.replace(',', "\\,").replace('=', "\\="));
            hides(case!().fabfile(TASK).args(["--set", &set, "--output", "json", "t"]), &format!("--set {set}"));
            hides(case!().fabfile(TASK).env(&variable, &text).args(["t"]), &format!("{variable}={text}"));
            let rc = format!("{name} = {text}\n");
            hides(case!().home_file(".fabricrc", &rc).args(["--explain", name]), &format!(".fabricrc: {rc}"));
        }
        if !is_plain(setting, &shape) && name != "gateway" {
            let env = format!("[env]\n{name} = {}\n{TASK}", toml(&shape));
            hides(case!().fabfile(&env).args(["--explain", name]), &env);
        }
    }
}

#[test]
fn shared_state_and_options_hide_what_is_named_like_a_secret() {
    for asked in ASKED {
        for more in [
            &["--set", "db_password=0pen-s3same"][..],
            &["--set", "transport_options={\"x\":{\"password\":\"0pen-s3same\"}}"],
            &["--set", "shell_env=DB_PASSWORD=0pen-s3same"],
            &["--set", "prompts=Login:=0pen-s3same"],
            &["--set", "connect_kwargs.passphrase=0pen-s3same"],
            &["--password", "0pen-s3same"],
            &["--sudo-password=0pen-s3same"],
            &["-p0pen-s3same"],
            &["-g", "socks5://joe:0pen-s3same@127.0.0.1:1"],
            &["-g", "socks5:/joe:0pen-s3same"],
            &["--set", "=0pen-s3same"],
        ] {
            hides(case!().fabfile(TASK).args(more).args(*asked), &format!("{more:?} {asked:?}"));
        }
    }
    let fabfile = "[env]\napi_token = '0pen-s3same'\nservices = [{ secret = '0pen-s3same' }]\n".to_owned() + TASK;
    for asked in ASKED {
        hides(case!().fabfile(&fabfile).args(*asked), &format!("shared state, {asked:?}"));
    }
}

/// A file that is not of its format, around its secret.
#[test]
fn files_that_cannot_be_read_are_not_shown() {
    for (name, text) in [
        ("fabric.toml", "api_token = 0pen-s3same\n"),
        ("fabric.toml", "password = \"0pen-s3same\n"),
        ("fabric.toml", "passwords = { a \"0pen-s3same\" }\n"),
        ("fabric.toml", "[env\nx = '0pen-s3same'\n"),
        ("fabric.toml", "x = '0pen-s3same' '0pen-s3same'\n"),
        ("fabric.toml", "x = 2000-0pen-s3same\n"),
        ("fabric.yaml", "password: *0pen-s3same\n"),
        ("fabric.yaml", "password: !0pen-s3same x\n"),
        ("fabric.yaml", "password: \"0pen-s3same\n"),
        ("fabric.yaml", "passwords:\n  - a\n 0pen-s3same\n"),
        ("fabric.yaml", "password: @0pen-s3same\n"),
        ("fabric.yaml", "password: x: 0pen-s3same: y\n"),
        ("fabric.yaml", "0pen-s3same\n"),
        ("fabric.json", "{\"passwords\": {\"0pen-s3same\"}}"),
        ("fabric.json", "{\"password\": 0pen-s3same}"),
        ("fabric.json", "{\"password\": \"0pen-s3same}"),
        ("fabric.json", "{\"password\": \"\\q0pen-s3same\"}"),
        (".fabricrc", "user = a\n0pen-s3same\n"),
        (".fabricrc", "= 0pen-s3same\n"),
        ("fabfile.toml", "[env]\npassword = 0pen-s3same\n"),
        ("fabfile.toml", "[tasks.t]\nrun = \"x\"\nwith = { password = \"0pen-s3same }\n"),
        ("fabfile.yaml", "env: {password: *0pen-s3same}\n"),
        ("fabfile.yaml", "env:\n  password: \"0pen-s3same\n"),
        ("fabfile.yaml", "env: {password: !0pen-s3same x}\n"),
        ("fabfile.json", "{\"env\": {\"password\": 0pen-s3same}}"),
        ("fabfile.json", "{\"env\": {\"passwords\": {\"0pen-s3same\"}}}"),
    ] {
        for asked in [&["--list"][..], &["--show-config"], &["--log", "trace", "t"]] {
            let case = case!().args(asked);
            let case = if name == ".fabricrc" { case.home_file(name, text) } else { case.file(name, text) };
            let case = if name.starts_with("fabfile") { case } else { case.fabfile(TASK) };
            hides(case, &format!("{name}: {text:?} {asked:?}"));
        }
    }
}

#[test]
fn keys_of_steps_and_tasks_hide_what_may_be_secret() {
    let (wrong, texts) = (shapes(), ["0pen-s3same {{ nosuch }}", "0pen-s3same {{ nosuch", "0pen-s3same {{ 1 + }}"]);
    let values = wrong.iter().cloned().chain(texts.map(Value::from));
    for value in values {
        let value = toml(&value);
        for step in [
            format!("{{ local = \"echo fine\", env = {value} }}"),
            format!("{{ local = \"echo fine\", env = {{ DB = {value} }} }}"),
            format!("{{ execute = \"inner\", args = {value} }}"),
            format!("{{ execute = \"inner\", args = {{ password = {value} }} }}"),
            format!("{{ execute = \"inner\", args = {{ count = {value}, password = \"x\" }} }}"),
            format!("{{ prompt = \"Password: \", secret = true, default = {value} }}"),
            format!("{{ set = {value} }}"),
            format!("{{ set = {{ password = {value} }} }}"),
            format!("{{ set = {{ db_password = {value} }} }}"),
            format!("{{ set = {{ prompts = {value} }} }}"),
            format!("{{ set = {{ prompts = {{ \"Login:\" = {value} }} }} }}"),
        ] {
            let fabfile = format!(
                "[tasks.t]\nsteps = [{step}]\n\n[tasks.inner]\nargs = [\"password\", {{ name = \"count\", default = 1, type = \"integer\" }}]\n\
                 steps = [{{ local = \"echo inner\" }}]\n"
            );
            // A plan shows arguments as one would type them.
            let some = [ASKED[0], ASKED[1], ASKED[6]].into_iter();
            for asked in some.filter(|asked| !step.contains("count") || asked[0] != "--plan") {
                hides(case!().fabfile(&fabfile).args(asked), &format!("{step} {asked:?}"));
            }
        }
    }
    // Arguments, as typed.
    let fabfile = "[tasks.t]\nargs = ['password', { name = 'count', default = 1, type = 'integer' }]\nsteps = [{ local = 'echo fine' }]\n";
    for words in [
        &["t:0pen-s3same"][..],
        &["t:password=0pen-s3same"],
        &["t", "--password", "0pen-s3same"],
        &["t", "--password=0pen-s3same", "--count=x"],
        &["t:x,1,0pen-s3same"],
    ] {
        for asked in ASKED {
            let asked = asked.strip_suffix(&["t"]).unwrap_or(asked);
            hides(case!().fabfile(fabfile).args(asked).args(words), &format!("{words:?} {asked:?}"));
        }
    }
}

/// A run that uses them all, on a host that answers and on one that doesn't.
#[test]
fn a_run_with_secrets_in_use_writes_none_of_them() {
    let fabfile = "[env]\nhosts = [\"{h1}\", \"{address2}:1\"]\npassword = \"0pen-s3same\"\nsudo_password = \"0pen-s3same\"\n\
                   passwords = { \"{h1}\" = \"0pen-s3same\" }\nprompts = { \"Password: \" = \"0pen-s3same\" }\n\
                   shell_env = { DB_PASSWORD = \"0pen-s3same\" }\n\n[roledefs]\nweb = { hosts = [\"{h2}\"], password = \"0pen-s3same\" }\n\n\
                   [hosts.\"*\"]\npassphrase = \"0pen-s3same\"\n\n[tasks.t]\nwith = { password = \"0pen-s3same\", warn_only = true }\nsteps = [\n\
                   { run = \"printf 'Password: '; read x; test -n \\\"$x\\\" && echo got it\" },\n\
                   { set = { db_password = \"0pen-s3same\" } }, { run = \"false\", env = { TOKEN = \"0pen-s3same\" } } ]\n";
    for asked in ASKED {
        let keep = ["--max-failures", "100%", "-P"];
        hides(case!().hosts(2).fabfile(fabfile).args(keep).args(*asked), &format!("{asked:?}"));
        hides(
            case!().hosts(2).fabfile(fabfile).args(keep).args(["-R", "web"]).args(*asked),
            &format!("-R web {asked:?}"),
        );
    }
}

#[test]
fn a_table_of_settings_is_a_table_of_settings_wherever_it_stands() {
    const SECRET: &str = "0pen-s3same";
    let run = |case: tests::Case, said: &str| {
        case.args(["--show-config"]).stderr_has(said).stderr_lacks(SECRET).stdout_lacks(SECRET).status(2).run();
    };
    for group in ["connect_kwargs", "sudo", "timeouts", "run"] {
        let said = format!("setting `{group}`: expected a table, found a text");
        run(case!().file("fabric.toml", format!("{group} = \"{SECRET}\"\n")), &said);
        run(case!().file("fabric.yaml", format!("{group}: {SECRET}\n")), &said);
        run(case!().file("fabric.json", format!("{{\"{group}\": \"{SECRET}\"}}")), &said);
        run(case!().fabfile(format!("[env]\n{group} = \"{SECRET}\"\n")), &said);
        run(case!().home_file(".fabricrc", format!("{group} = {SECRET}\n")), &said);
        run(case!().args(["--set", &format!("{group}={SECRET}")]), &said);
    }
    let said = "unknown setting `connect_kwargs.pasword`\n  = did you mean `connect_kwargs.password`?";
    run(case!().file("fabric.toml", format!("connect_kwargs = {{ pasword = \"{SECRET}\" }}\n")), said);
    run(case!().fabfile(format!("[env]\nconnect_kwargs = {{ pasword = \"{SECRET}\" }}\n")), said);
    run(case!().home_file(".fabricrc", format!("connect_kwargs.pasword = {SECRET}\n")), said);
    run(case!().args(["--set", &format!("connect_kwargs.pasword={SECRET}")]), said);
    run(case!().args(["--set", &format!("connect_kwargs={{\"pasword\": \"{SECRET}\"}}")]), said);
    case!()
        .args(["--set", &format!("connect_kwargs={{\"password\": \"{SECRET}\"}}"), "--show-config"])
        .stdout_lacks("\npassword              unset")
        .stdout_lacks(SECRET)
        .run();
    for options in [format!("[\"SetEnv TOKEN={SECRET}\"]"), format!("[\"setenv=A=b TOKEN='x {SECRET}'\"]")] {
        let case = case!().file("fabric.toml", format!("ssh_options = {options}\n"));
        case.args(["--show-config"]).stdout_has("=set").stdout_lacks(SECRET).run();
    }
}
