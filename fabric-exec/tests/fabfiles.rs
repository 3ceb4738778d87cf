//! What a fabfile may say, and what is said about one that is wrong.

use fabric_core::Value;
use fabric_exec::Task;
use fabric_exec::fabfile::{Fabfile, Format, load, parse};
use fabric_exec::hostlist::{Directive, RoleSource};
use fabric_exec::task::{Effect, Mode, Outline, Text};

fn read(text: &str) -> Fabfile {
    parse("fabfile.toml", text, Format::Toml).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    let problems = parse("fabfile.toml", text, Format::Toml).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

/// The example of the documentation, all of it.
const EXAMPLE: &str = r#"
[env]
hosts = ["web1", "deploy@web2:2222"]
dedupe_hosts = true
release = "2.4"

[roledefs]
web = ["www[1-3]"]
db  = { hosts = ["db1", "db2"], user = "postgres" }
dyn = { command = "./inventory web" }

[hosts."*.prod.example.com"]
user = "deploy"
gateway = "bastion.example.com"

[tasks]
uptime = "uptime"

[tasks.migrate]
help = "Bring the database up to date"
roles = ["db"]
runs_once = true
run = "bin/migrate"

[tasks.deploy]
help = "Roll a version out"
aliases = ["d"]
roles = ["web"]
parallel = true
pool_size = 5
batch = "25%"
args = ["version", { name = "force", default = false, help = "skip the checks" }]
pre = ["build"]
with = { warn_only = false, command_timeout = 60 }
steps = [
  { local = "git archive {{ version }} -o app.tgz" },
  { put = "app.tgz", to = "/tmp/app.tgz", mode = 0o644 },
  { run = "tar xzf /tmp/app.tgz", cd = "/srv/app", env = { RELEASE = "{{ version }}" } },
  { run = "cat VERSION", cd = "/srv/app", save = "seen" },
  { run = "bin/rollback", if = "seen.stdout != version" },
  { sudo = "systemctl restart app", user = "root", timeout = 30 },
  { get = "/var/log/app.log", to = "logs/{{ env.host }}.log" },
]

[tasks.build]
run = ["one", "two"]

[tasks.release]
steps = [ { execute = "migrate" }, { execute = "deploy", args = { version = "{{ env.release }}" } } ]

[tasks.pick]
args = ["kind"]
steps = [ { set = { hosts = { command = "./inventory {{ kind | sh }}" } } } ]
"#;

fn outline(task: &Task) -> Outline<'_> {
    task.body.outline().expect("it is declared")
}

#[test]
fn the_example_reads_as_it_is_meant() {
    let fabfile = read(EXAMPLE);
    let names = fabfile.collection.listing().short();
    assert_eq!(names, ["build", "deploy", "migrate", "pick", "release", "uptime"]);
    let deploy = fabfile.collection.find("d").unwrap();
    assert_eq!((deploy.mode, deploy.pool_size), (Some(Mode::Parallel), Some(5)));
    assert_eq!(deploy.batch.unwrap().to_string(), "25%");
    assert_eq!(deploy.settings["command_timeout"], 60);
    assert_eq!(deploy.params[1].default, Some(Value::Bool(false)));
    let steps = outline(deploy).steps;
    assert_eq!(steps.len(), 7);
    assert_eq!(steps[4].condition, Some("seen.stdout != version"));
    let line = EXAMPLE.lines().position(|line| line.contains("bin/rollback")).unwrap() + 1;
    assert_eq!(steps[4].at, format!("fabfile.toml:{line}"));
    assert_eq!(steps[1].verb, "put");
    let RoleSource::Hosts(web) = &fabfile.roles["web"].source else { panic!() };
    assert_eq!(web, &["www1", "www2", "www3"]);
    assert_eq!(fabfile.roles["db"].settings["user"], "postgres");
    assert!(matches!(&fabfile.roles["dyn"].source, RoleSource::Command { line, .. } if line == "./inventory web"));
    assert_eq!(fabfile.sections[0].pattern, "*.prod.example.com");
    assert_eq!(fabfile.env.len(), 3);
    let pick = outline(fabfile.collection.find("pick").unwrap()).steps;
    assert!(matches!(&pick[0].effect, Effect::Sets { names, by_command: true, .. } if names == &["hosts"]));
    assert!(fabfile.warnings.is_empty());
}

#[test]
fn what_could_not_do_what_it_says_is_refused() {
    let arg = |text: &str| problems(&format!("[tasks.t]\nrun = 'id'\nargs = [{text}]\n"))[0].clone();
    for (text, why) in [
        ("{ name = 'a', type = 'integer', choices = ['1'] }", "choices are texts"),
        ("{ name = 'a', choices = [] }", "expected one text at least"),
        ("{ name = 'a', short = 'bb' }", "expected one letter, found `bb`"),
        ("{ name = 'a', short = 'x' }, { name = 'b', short = 'x' }", "another one is `-x` already"),
        ("{ name = 'a', defualt = 1 }", "unknown key `defualt` in argument `a`"),
    ] {
        assert!(arg(text).contains(why), "{text}: {}", arg(text));
    }
    for (text, why) in [
        ("[tasks.t]\nrun = 'id'\nwith = { hosts = ['a'] }\n", "`hosts` in `with` of task `t`"),
        ("[env]\nhost_string = 'a'\n", "`host_string` of `env` can only be read"),
    ] {
        assert!(problems(text)[0].contains(why), "{text}: {:?}", problems(text));
    }
    let fabfile = read(
        "[tasks.t]\nrun = 'id'\nargs = [{ name = 'a', type = 'text', choices = ['x'] }]\n\
                        [tasks.s]\nsteps = [{ set = { 'run.warn' = true, timeouts = { connect = 3 } } }]\n",
    );
    assert!(fabfile.warnings.is_empty(), "{:?}", fabfile.warnings);
    let call = fabric_exec::Invocation::parse("t:y").unwrap();
    assert!(call.bind(&fabfile.collection.find("t").unwrap().params).is_err());
}

#[test]
fn files_that_settings_name_are_beside_the_fabfile() {
    let text = "[tasks.t]\nrun = 'id'\nwith = { key_filename = ['key', '~/key', '/key'], ssh_config_path = 'conf' }\n";
    let fabfile = parse("there/fabfile.toml", text, Format::Toml).unwrap();
    let settings = &fabfile.collection.find("t").unwrap().settings;
    assert_eq!(settings["key_filename"], serde_json::json!(["there/key", "~/key", "/key"]));
    assert_eq!(settings["ssh_config_path"], "there/conf");
}

#[test]
fn yaml_and_json_have_the_same_shape() {
    let yaml = "
env:
  hosts: [web1]
tasks:
  uptime: uptime
  deploy:
    args: [version, {name: force, default: false}]
    steps:
      - run: install {{ version }}
        cd: /srv
";
    let json = r#"{"env": {"hosts": ["web1"]}, "tasks": {"uptime": "uptime", "deploy":
        {"args": ["version", {"name": "force", "default": false}],
         "steps": [{"run": "install {{ version }}", "cd": "/srv"}]}}}"#;
    let read = [parse("f.yaml", yaml, Format::Yaml).unwrap(), parse("f.json", json, Format::Json).unwrap()];
    for fabfile in read {
        let deploy = fabfile.collection.find("deploy").unwrap();
        assert_eq!(deploy.params.len(), 2);
        assert!(outline(deploy).steps[0].texts.contains(&Text::Plain("/srv")));
    }
    let problems = parse("f.yaml", "tasks:\n  t:\n    runn: x\n", Format::Yaml).unwrap_err();
    assert_eq!(problems.0[0].to_string(), "f.yaml:3: unknown key `runn` in task `t` (did you mean `run`?)");
}

#[test]
fn global_lists_are_plain_extended_or_replaced() {
    let fabfile =
        read("[env]\nhosts = { extend = ['w[1-2]'] }\nroles = { replace = ['web'] }\nexclude_hosts = ['w[1-2]']\n");
    assert_eq!(fabfile.lists.hosts, Some(Directive::Extend(vec!["w1".into(), "w2".into()])));
    assert_eq!(fabfile.lists.roles, Some(Directive::Replace(vec!["web".into()])));
    assert_eq!(fabfile.env.len(), 1);
}

#[test]
fn everything_that_is_wrong_is_told_with_line_and_advice() {
    let table: &[(&str, &[&str])] = &[
        ("[task]\n", &["fabfile.toml:1: unknown key `task` in the fabfile (did you mean `tasks`?)"]),
        ("[tasks\n", &["fabfile.toml:1:7: "]),
        ("a = 1\na = 2\n", &["fabfile.toml:2:1: "]),
        (
            "[tasks.t]\nroles = 5\nruns_once = 'yes'\nrun = 'x'\n",
            &[
                "fabfile.toml:2: `roles` of task `t`: expected a text or a list of texts, found `5`",
                "fabfile.toml:3: `runs_once` of task `t`: expected true or false, found the text \"yes\"",
            ],
        ),
        (
            "[tasks.t]\nhelp = 'x'\n",
            &["fabfile.toml:1: task `t` does nothing: it needs `run`, `steps`, `pre` or `post`"],
        ),
        ("[tasks.t]\nrun = 'x'\nsteps = []\n", &["fabfile.toml:3: task `t` has `run` and `steps`: leave one out"]),
        (
            "[tasks.t]\nbatch = 'x%'\nrun = 'x'\n",
            &["fabfile.toml:2: `batch` of task `t`: `x%` is not a number of hosts (5) or a share of them (25%)"],
        ),
        (
            "[tasks.t]\nhosts = ['a b']\nrun = 'x'\n",
            &[
                "fabfile.toml:2: `hosts` of task `t`: `a b` is not a host: it contains ' ' (expected [user@]host[:port], IPv6 with a port as [address]:port)",
            ],
        ),
        ("[tasks.t]\nrun = 'x {{ y'\n", &["fabfile.toml:2: `run` of task `t`: "]),
        (
            "[tasks.t]\nargs = ['host']\nrun = 'x'\n",
            &["fabfile.toml:2: argument `host` of task `t`: the name is taken"],
        ),
        (
            "[tasks.t]\nargs = [{ name = 'n', default = 'x', type = 'integer' }]\nrun = 'x'\n",
            &["fabfile.toml:2: `default` of argument `n` of task `t`: expected a whole number, found a text"],
        ),
        (
            "[tasks.t]\nwith = { warn_onyl = true }\nrun = 'x'\n",
            &["fabfile.toml:2: unknown key `warn_onyl` in `with` of task `t` (did you mean `warn_only`?)"],
        ),
        (
            "[tasks.t]\nwith = { warn_only = 3 }\nrun = 'x'\n",
            &["fabfile.toml:2: `warn_only` in `with` of task `t`: expected true or false, found `3`"],
        ),
        (
            "[tasks.t]\nwith = { timeout = -1, retries = 99999999999 }\nsteps = [{ run = 'x', until = 'true', timeout = -1, retries = 4294967296, delay = 2e9 }]\n",
            &[
                "fabfile.toml:2: `timeout` in `with` of task `t`: expected a number of seconds from 0 to 1000000000, found `-1`",
                "fabfile.toml:2: `retries` in `with` of task `t`: expected a whole number from 0 to 4294967295, found `99999999999`",
                "fabfile.toml:3: `timeout`: expected a number of seconds from 0 to 1000000000, found `-1`",
                "fabfile.toml:3: `retries`: expected a whole number from 0 to 4294967295, found `4294967296`",
                "fabfile.toml:3: `delay`: expected a number of seconds from 0 to 1000000000, found `2000000000.0`",
            ],
        ),
        ("[tasks.t]\nwith = { timeout = nan }\nrun = 'x'\n", &["fabfile.toml:2:20: a number must be finite"]),
        (
            "[tasks.t]\nwith = { password = 3 }\nrun = 'x'\n",
            &["fabfile.toml:2: `password` in `with` of task `t`: expected a text"],
        ),
        (
            "[tasks.t]\nsteps = [\n{ run = 'x', local = 'y' },\n{ runn = 'x' },\n{ cd = '/' },\n{ run = 'x', user = 'root' },\n{ put = 'a', mode = 644 },\n]\n",
            &[
                "fabfile.toml:3: step 1 of `steps` of task `t` has several verbs: run, local; give each a step of its own",
                "fabfile.toml:4: unknown key `runn` in step 2 of `steps` of task `t` (did you mean `run`?)",
                "fabfile.toml:5: step 3 of `steps` of task `t` has no verb: one of run, sudo, local, put, get, execute, set, prompt, open_shell",
                "fabfile.toml:6: unknown key `user` in step 4 of `steps` of task `t` (`run`) (known: cd, prefix, path, env, shell, pty, timeout, ok_ret_codes, until, retries, delay, stdin, if, save, warn_only, hide, run)",
                "fabfile.toml:7: `mode`: expected a mode such as \"0644\" or 0o644, found `644`",
            ],
        ),
        ("[tasks.t]\nsteps = [{ run = 'x', if = 'a ==' }]\n", &["fabfile.toml:2: `if`: "]),
        (
            "[tasks.t]\nsteps = [{ set = { hosts = { comand = 'x' } } }]\n",
            &[
                "fabfile.toml:2: unknown key `comand` in `set` of step 1 of `steps` of task `t`, `hosts` (did you mean `command`?)",
                "fabfile.toml:2: `set` of step 1 of `steps` of task `t`, `hosts`: expected a list of hosts or { command = \"..\" }",
            ],
        ),
        (
            "[tasks.a]\nrun = 'x'\naliases = ['b']\n[tasks.b]\nrun = 'x'\n",
            &["fabfile.toml:4: `b` is the name of two tasks or namespaces"],
        ),
        (
            "[tasks]\n'a b' = 'x'\n",
            &[
                "fabfile.toml:2: `a b` can't be a name: names have no `.`, `:`, `,`, `=`, white space, or `-` at the start",
            ],
        ),
        (
            "[roledefs]\na = { host = ['x'] }\n",
            &["fabfile.toml:2: role `a` needs `hosts`, `roles`, `command` or `inventory`"],
        ),
        (
            "[roledefs]\na = { hosts = ['x'], usr = 'y' }\n",
            &["fabfile.toml:2: unknown key `usr` in role `a` (did you mean `user`?)"],
        ),
        ("[hosts.'*.x']\nprot = 22\n", &["fabfile.toml:2: unknown key `prot` in hosts.\"*.x\" (did you mean `port`?)"]),
        (
            "[env]\nhosts = { extnd = ['a'] }\n",
            &["fabfile.toml:2: unknown key `extnd` in `hosts` of `env` (did you mean `extend`?)"],
        ),
        ("include = ['nowhere.toml']\n", &["fabfile.toml:1: `nowhere.toml` can't be included: "]),
    ];
    for (text, want) in table {
        let found = problems(text);
        assert_eq!(found.len(), want.len(), "{text}\n{found:#?}");
        for (found, want) in found.iter().zip(*want) {
            if want.ends_with(": ") {
                assert!(found.starts_with(want) && found.len() > want.len(), "{text}\n{found}");
            } else {
                assert_eq!(found, want, "{text}");
            }
        }
    }
}

#[test]
fn included_files_are_namespaces() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "fabfile.toml",
        "include = { db = 'data.yaml', more = 'more.toml' }\n[env]\nrelease = '2'\n[tasks]\nup = 'up'\n",
    );
    write("data.yaml", "env: {release: '1', kind: sql}\nroledefs: {db: [d1]}\ntasks:\n  migrate: migrate\n");
    write("more.toml", "[tasks.go]\nrun = 'go'\ndefault = true\n");
    let fabfile = load(dir.path().join("fabfile.toml")).unwrap();
    assert!(fabfile.collection.find("db.migrate").is_some());
    assert_eq!(fabfile.collection.find("more").unwrap().name, "go");
    assert!(fabfile.roles.contains_key("db"));
    let release: Vec<_> = fabfile.env.iter().filter(|(name, ..)| name == "release").map(|(_, v, _)| v).collect();
    assert_eq!(release, ["2"], "what an included file says is for its own tasks");
    let included: Vec<_> = fabfile.included.iter().map(|file| (file.namespace.as_str(), file.env.len())).collect();
    assert_eq!(included, [("more", 0), ("db", 2)]);
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    for itself in ["fabfile.toml", "./fabfile.toml", &format!("../{name}/fabfile.toml")] {
        write("more.toml", &format!("include = ['{itself}']\n"));
        let problems = load(dir.path().join("fabfile.toml")).unwrap_err().to_string();
        assert!(problems.contains(&format!("more.toml:1: `{itself}` includes itself")), "{problems}");
    }
    assert!(load(dir.path().join("none.toml")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn loading_never_panics() {
    let pieces = EXAMPLE.split_inclusive('\n').collect::<Vec<_>>();
    for skip in 0..pieces.len() {
        let text: String = pieces.iter().enumerate().filter(|(i, _)| *i != skip).map(|(_, p)| *p).collect();
        let _ = parse("f.toml", &text, Format::Toml);
        let _ = parse("f.yaml", &text, Format::Yaml);
        let _ = parse("f.toml", &EXAMPLE[..EXAMPLE.len().min(skip * 37)], Format::Toml);
    }
}

#[test]
fn roles_may_be_made_of_roles() {
    let text = "[roledefs]\nweb = ['w[1-3]', 'x']\ndc1 = ['w1', 'x']\nedge = { roles = ['web&dc1'], user = 'edge' }\n";
    let fabfile = parse("f.toml", text, Format::Toml).unwrap();
    assert!(matches!(&fabfile.roles["edge"].source, RoleSource::Roles(items) if items == &["web&dc1"]));
    let error =
        parse("f.toml", "[roledefs]\nweb = ['a']\nedge = { roles = ['wbe!web', 'x'] }\n", Format::Toml).unwrap_err();
    assert_eq!(error.to_string(), "f.toml:3: role `edge`: the roles `wbe` (did you mean `web`?), `x` do not exist");
}
