//! All problems of a fabfile are found before anything runs, with file, line and column.

use std::path::Path;

use tests::{Case, case};

/// Tasks that print something if any of their steps run.
fn checked(text: &str, args: &[&str]) -> Case {
    case!().hosts(1).fabfile(text).args(["-H", "{h1}"]).args(args)
}

/// A run that is refused: no task prints anything, and these lines are shown.
fn refused(text: &str, args: &[&str], problems: &[&str]) {
    let case = checked(text, args).stdout("").stderr(problems.join("\n") + "\n").status(2);
    assert_eq!(std::fs::read_dir(case.far()).unwrap().count(), 0);
    case.run();
}

const TYPOS: &str = r#"[env]
release = "2.4"

[roledefs]
web = ["{h1}"]

[tasks.deploy]
args = ["version"]
pre = ["biuld"]
post = ["notify:to=x"]
steps = [
  { run = "echo ran", save = "seen" },
  { run = "echo {{ versoin | sh }} {{ env.relese | sh }}" },
  { run = "true", cd = "/srv/{{ nowhere }}", env = { A = "{{ seen.stdot }}" } },
  { run = '''
echo {{ version | sh }}
echo {{ version | shh }}''' },
  { run = "echo {{ behind.stdout | sh }}" },
  { run = "echo {{ evn.release }}", save = "behind", if = "vresion == '1'" },
  { execute = "biuld" },
  { execute = "build", roles = ["wbe"] },
  { execute = "build", hosts = ["a b"] },
  { execute = "notify", args = { tp = "x" } },
  { put = "nothing.tgz", to = "/tmp/" },
]

[tasks.build]
run = "echo {{ deeper }}"

[tasks.notify]
args = ["whom"]
run = "echo {{ whom | sh }}"

[tasks.unused]
run = "echo {{ nope }}"

[tasks.fine]
run = "echo fine"
"#;

#[test]
fn all_that_is_wrong_is_told_before_anything_runs() {
    let problems = [
        "{dir}/fabfile.toml:9:8: error: there is no task `biuld`",
        "  = did you mean `build`?",
        "{dir}/fabfile.toml:10:9: error: task `notify`: has no argument `to`, only whom; argument `whom` is missing",
        "{dir}/fabfile.toml:13:20: error: `versoin` is not defined",
        "  = did you mean `version`?",
        "{dir}/fabfile.toml:13:39: error: `env.relese` is not defined",
        "  = did you mean `env.release`?",
        "{dir}/fabfile.toml:14:33: error: `nowhere` is not defined",
        "{dir}/fabfile.toml:14:62: error: `seen.stdot` is not defined",
        "  = did you mean `seen.stdout`?",
        "{dir}/fabfile.toml:17:19: error: there is no filter `shh`",
        "{dir}/fabfile.toml:18:20: error: `behind` is not defined",
        "  = a step behind this one saves it",
        "{dir}/fabfile.toml:19:20: error: `evn` is not defined",
        "  = did you mean `env`?",
        "{dir}/fabfile.toml:19:60: error: `vresion` is not defined",
        "  = did you mean `version`?",
        "{dir}/fabfile.toml:20:15: error: there is no task `biuld`",
        "  = did you mean `build`?",
        "{dir}/fabfile.toml:21:33: error: task `build`: the role `wbe` does not exist",
        "  = did you mean `web`?",
        "{dir}/fabfile.toml:22:33: error: task `build`: `a b` is not a host: it contains ' ' (expected [user@]host[:port], IPv6 with a port as [address]:port)",
        "{dir}/fabfile.toml:23:15: error: task `notify`: has no argument `tp`, only whom; argument `whom` is missing",
        "{dir}/fabfile.toml:24:11: error: `put`: there is no {dir}/nothing.tgz",
        "  = it is read from there when the step runs, and no step before it makes files here",
        "{dir}/fabfile.toml:28:16: error: `deeper` is not defined",
    ];
    refused(TYPOS, &["deploy:1"], &problems);
    refused(TYPOS, &["--dry-run", "deploy:1"], &[&["Dry run: nothing is done, only shown."][..], &problems].concat());
    refused(TYPOS, &["--plan", "deploy:1"], &problems);
}

#[test]
fn only_what_runs_is_checked_and_lists_and_help_never_are() {
    checked(TYPOS, &["fine"]).stdout_has("out: fine").any_stderr().run();
    for args in [&["--list"][..], &["--shortlist"], &["--help", "deploy"], &["-d", "deploy"]] {
        checked(TYPOS, args).stdout_has("deploy").run();
    }
}

#[test]
fn what_may_be_defined_in_the_run_is_accepted() {
    let text = r#"
        [env]
        release = "2"
        [tasks.sets]
        steps = [{ set = { later = "x", hosts = ["{h1}"] } }]
        [tasks.all]
        args = [{ name = "kind", default = "none" }]
        pre = ["sets"]
        steps = [
          { run = "echo one", save = "maybe", if = "kind == 'x'" },
          { run = "echo {{ maybe.stdout }}", if = "kind == 'x'" },
          { run = "echo {{ extra }}", if = "extra is defined" },
          { run = "echo {{ nothing | default('two') }} {{ a if a is defined else 'three' }}" },
          { run = "echo {{ env.release }} {{ env.later }} {{ env.given }} {{ env['release'] }}" },
          { run = "echo {{ env.nothing | default('four') }}", until = "outcome.ok and own.ok", save = "own" },
          { run = "true {{ env.host }} {{ env.host_string }} {{ env.user }} {{ env.port }} {{ env.tasks }} {{ env.all_hosts }}" },
          { local = "echo {{ '{{' }} | cat > made.txt" },
          { put = "made.txt", to = "{far}/" },
          { put = "absent.txt", to = "{far}/", if = "kind == 'x'" },
          { execute = "{{ 'sets' }}" },
        ]
    "#;
    checked(text, &["--set", "given=five", "all"])
        .stdout_has("out: two three")
        .stdout_has("out: 2 x five 2")
        .stdout_has("out: four")
        .any_stderr()
        .run();
}

#[test]
fn a_source_that_an_earlier_task_may_make_is_accepted() {
    let text = r#"
        [tasks]
        up = { steps = [{ put = "app.txt", to = "{far}/" }] }
        [tasks.build]
        hosts = []
        steps = [{ local = "echo app > app.txt" }]
        [tasks.both]
        steps = [{ execute = "build" }, { put = "app.txt", to = "{far}/" }]
        [tasks.first]
        pre = ["build"]
        steps = [{ put = "app.txt", to = "{far}/" }]
    "#;
    for args in [&["build", "up"][..], &["both"], &["first"]] {
        checked(text, args).any_stdout().any_stderr().run();
    }
    let missing =
        checked(text, &["up"]).stdout("").stderr_has("fabfile.toml:3:33: error: `put`: there is no {dir}/app.txt");
    missing.status(2).run();
    // With `-w` a missing file is a warning, once its step is run.
    checked(text, &["-w", "up"]).any_stdout().any_stderr().run();
}

#[test]
fn yaml_and_json_have_their_lines_and_columns() {
    let yaml = "tasks:\n  up:\n    steps:\n    - run: echo {{ nope }}\n    - run: |\n        echo a\n        echo {{ wrong }}\n    - {run: \"echo \\t {{ bad }}\", if: \"worse == 1\"}\n";
    let told = |file: &str, places: &[&str]| {
        let names = ["nope", "wrong", "bad", "worse"];
        let line = |(place, name): (&&str, &str)| format!("{{dir}}/{file}:{place}: error: `{name}` is not defined\n");
        places.iter().zip(names).map(line).collect::<String>()
    };
    let case = |file: &str, text: &str| case!().hosts(1).file(file, text).args(["-H", "{h1}", "up"]).status(2);
    case("fabfile.yaml", yaml).stderr(told("fabfile.yaml", &["4:20", "7:17", "8:25", "8:39"])).run();
    let json = "{\"tasks\": {\n\t\"up\": {\"run\": [\"echo {{ nope }}\",\n\t\t\"echo \\\"{{ wrong }}\\\"\"]}}}\n";
    case("fabfile.json", json).stderr(told("fabfile.json", &["2:26", "3:14"])).run();
}

#[test]
fn a_template_file_tells_its_line_and_nothing_of_its_text() {
    let text = "[tasks.up]\nsteps = [{ run = 'echo ran' }, { put = 'a.conf', to = '{far}/a.conf', template = true }]\n\
                [tasks.made]\nsteps = [{ local = 'true' }, { put = 'a.conf', to = '{far}/a.conf', template = true }]\n";
    let file = "listen 80\npassword = s3cret-in-the-file\nname = {{ naem }}\nuser = {{ env.user }} {{ usr }}\n";
    let case = |task: &str| checked(text, &[task]).file("a.conf", file).stderr_lacks("s3cret-in-the-file");
    case("up")
        .stdout("")
        .stderr("{dir}/a.conf:3:11: error: `naem` is not defined\n{dir}/a.conf:4:26: error: `usr` is not defined\n")
        .status(2)
        .run();
    // The step before may write it again, so it is read only when its own step is run.
    case("made")
        .any_stdout()
        .stderr_has("fabfile.toml:4: {dir}/a.conf:3: `naem` is not defined; {dir}/a.conf:4: `usr` is not defined\n")
        .status(1)
        .run();
    let broken = checked(text, &["made"]).file("a.conf", "s3cret\n{{ a b }}\n");
    broken.any_stdout().stderr_has("{dir}/a.conf:2: ").stderr_lacks("s3cret").status(1).run();
}

#[test]
fn errors_of_templates_show_no_values() {
    let text = "[tasks.t]\nargs = ['token']\nsteps = [{ run = '''\n echo hidden-words\n echo {{ token | int }}''' }]\n\
                [tasks.u]\nargs = ['token']\nsteps = [{ run = 'echo hidden-words', if = 'token + 1 == 2' }]\n";
    for task in ["t", "u"] {
        let case = checked(text, &["--hide", "running", &format!("{task}:s3cret")]);
        case.any_stdout()
            .stderr_has("fabfile.toml:")
            .stderr_lacks("s3cret")
            .stderr_lacks("hidden-words")
            .status(1)
            .run();
    }
}

#[test]
fn every_key_takes_templates_or_refuses_them() {
    for (text, place) in [
        ("[tasks.t]\npre = ['x:{{ v }}']\nrun = 'x'", "2:8: error: an item of `pre` of task `t`"),
        ("[tasks.t]\npost = 'x:{{ v }}'\nrun = 'x'", "2:8: error: `post` of task `t`"),
        ("[tasks.t]\nhealth = 'x:{{ v }}'\nrun = 'x'", "2:10: error: `health` of task `t`"),
        ("[tasks.t]\nrollback = '{{ v }}'\nrun = 'x'", "2:12: error: `rollback` of task `t`"),
        ("[tasks.t]\nhosts = ['{{ v }}']\nrun = 'x'", "2:10: error: an item of `hosts` of task `t`"),
        ("[tasks.t]\nroles = ['{{ v }}']\nrun = 'x'", "2:10: error: an item of `roles` of task `t`"),
        ("[tasks.t]\naliases = ['{{v}}']\nrun = 'x'", "2:12: error: an item of `aliases` of task `t`"),
        ("[tasks.t]\nhelp = '{{ v }}'\nrun = 'x'", "2:8: error: `help` of task `t`"),
        ("[tasks.t]\nwith = { user = '{{ v }}' }\nrun = 'x'", "2:17: error: `user` in `with` of task `t`"),
        ("[tasks.t]\nwith = { shell_env = { A = '{{ v }}' } }\nrun = 'x'", "2:28: error: `shell_env` in `with`"),
        (
            "[tasks.t]\nargs = [{ name = 'a', default = '{{ v }}' }]\nrun = 'x'",
            "2:33: error: `default` of argument `a`",
        ),
        ("[tasks.t]\nargs = [{ name = 'a', choices = ['{{ v }}'] }]\nrun = 'x'", "2:34: error: an item of `choices`"),
        ("[tasks.t]\nsteps = [{ run = 'x', if = \"'{{ v }}' == 'x'\" }]", "2:28: error: `if` is an expression"),
        ("[tasks.t]\nsteps = [{ run = 'x', until = \"'{{ v }}'\" }]", "2:31: error: `until` is an expression"),
        ("[env]\nrelease = '{{ v }}'", "2:11: error: `release` of `env`"),
        ("[env]\nnested = { a = ['{{ v }}'] }", "2:17: error: `nested` of `env`"),
        ("[env]\nhosts = { extend = ['{{ v }}'] }", "2:21: error: an item of `hosts.extend` of `env`"),
        ("[hosts.'*']\nuser = '{{ v }}'", "2:8: error: `user` in hosts"),
        ("[roledefs]\na = ['{{ v }}']", "2:6: error: an item of role `a`"),
        ("[roledefs]\na = { inventory = '{{ v }}' }", "2:19: error: `inventory` of role `a`"),
        ("[roledefs]\na = { hosts = 'x', user = '{{ v }}' }", "2:27: error: `user` in role `a`"),
        ("include = ['{{ v }}.toml']", "1:12: error: an item of `include`"),
    ] {
        let case = case!().fabfile(format!("{text}\n")).args(["x"]);
        case.stderr_has(format!("{{dir}}/fabfile.toml:{place}")).stderr_has("takes no templates").status(2).run();
    }
    // A password that has braces is never shown.
    let case = case!().fabfile("[env]\npassword = 's3cret{{x}}'\n").args(["x"]);
    case.stderr_has("fabfile.toml:2:12: error: `password` of `env`").stderr_lacks("s3cret").status(2).run();
}

#[test]
fn a_roles_command_and_a_steps_shell_take_templates() {
    let text = "[env]\nwhere = '{h1}'\nnamed = '/bin/sh -c'\n\
                [roledefs]\nweb = { command = \"echo {{ env.where | sh }} {{ '{{' }}/ | cut -d' ' -f1\" }\n\
                typo = { command = 'echo {{ env.wehre }}' }\n\
                [tasks.t]\nroles = ['web']\nsteps = [{ run = 'echo $0', shell = '{{ env.named }}' }]\n\
                [tasks.u]\nroles = ['typo']\nrun = 'id'\n";
    let case = case!().hosts(1).fabfile(text).args(["t"]);
    case.stdout_has("[{h1}] out: /bin/sh").any_stderr().run();
    case!()
        .fabfile(text)
        .args(["u"])
        .stderr("{dir}/fabfile.toml:6:29: error: `env.wehre` is not defined\n  = did you mean `env.where`?\n")
        .status(2)
        .run();
}

#[test]
fn names_in_an_included_file_mean_its_own_first() {
    let root = "include = { db = 'db.toml' }\n[tasks]\nbuild = { steps = [{ local = 'echo root build' }] }\n\
                only = { steps = [{ local = 'echo root only' }] }\nhealthy = { steps = [{ local = 'echo root healthy' }] }\nafter = { steps = [{ local = 'echo root after' }] }\n\
                all = { pre = ['build'], steps = [{ execute = 'build' }, { execute = 'db.migrate' }] }\n";
    let db = "[tasks]\nbuild = { aliases = ['b'], steps = [{ local = 'echo db build' }] }\nhealthy = { steps = [{ local = 'echo db healthy' }] }\nafter = { steps = [{ local = 'echo db after' }] }\n\
              [tasks.migrate]\npre = ['build', 'only']\npost = ['after']\nhealth = 'healthy'\nhosts = ['{h1}']\n\
              steps = [{ execute = \"{{ 'build' }}\" }, { execute = 'only' }, { execute = 'b' }]\n\
              [tasks.wrong]\nrollback = 'nowhere'\nrun = 'x'\n";
    let case = |args: &[&str]| {
        let case = case!().hosts(1).fabfile(root).file("db.toml", db).args(["--hide", "running,status"]);
        case.args(args)
    };
    let lines = |ran: &tests::Ran| {
        let out = ran.stdout.lines().filter_map(|line| line.split_once("out: "));
        out.map(|(_, line)| line.to_owned()).collect::<Vec<_>>()
    };
    let ran = case(&["db.migrate"]).any_stdout().any_stderr().run();
    assert_eq!(lines(&ran), ["db build", "root only", "db build", "root only", "db build", "db healthy", "db after"]);
    let ran = case(&["all"]).any_stdout().any_stderr().run();
    assert_eq!(lines(&ran)[..3], ["root build", "root build", "db build"]);
    case(&["db.wrong"]).stderr_has("{dir}/db.toml:12:12: error: there is no task `nowhere`").status(2).run();
}

#[test]
fn roles_in_an_included_file_mean_its_own_first() {
    let root = "include = { db = 'db.toml' }\n[roledefs]\nweb = ['{h1}']\nall = ['{h1}', '{h2}']\n[tasks]\nrooted = { roles = ['web'], run = 'id -u' }\n";
    let db = "[roledefs]\nweb = ['{h2}']\nboth = { roles = ['web', 'all'] }\nonly = ['{h2}']\n\
              [tasks]\nown = { roles = ['all&web'], run = 'id -u' }\nothers = { roles = ['all'], run = 'id -u' }\n\
              made = { roles = ['both'], run = 'id -u' }\nrun = { run = 'id -u' }\n\
              inner = { steps = [{ execute = 'run', roles = ['web'] }] }\ncalled = { steps = [{ execute = 'run:role=web' }] }\n\
              before = { pre = ['run:role=web'], steps = [{ local = 'true' }] }\n\
              set = { steps = [{ set = { roles = ['web'] } }, { execute = 'run' }] }\n";
    for (task, hosts) in [
        ("rooted", &[1][..]),
        ("db.own", &[2]),
        ("db.others", &[1, 2]),
        ("db.made", &[2, 1]),
        ("db.inner", &[2]),
        ("db.called", &[2]),
        ("db.before", &[2]),
        ("db.set", &[2]),
        ("db.run:role=db.web", &[2]),
        ("db.run:role=web", &[1]),
        ("db.run:role=only", &[2]),
    ] {
        let case = case!().hosts(2).fabfile(root).file("db.toml", db).args(["--output", "json", task]);
        let ran = case.any_stdout().any_stderr().run();
        let ids: Vec<String> = (1..=2).map(|n| ran.case().fill(&format!("{{h{n}}}"))).collect();
        let out = ran.stdout.lines().filter(|line| line.contains("\"out\"") || line.contains("\"stdout\""));
        let seen: Vec<usize> = out
            .filter_map(|line| ids.iter().position(|id| line.contains(&format!("\"host\":\"{id}\""))).map(|at| at + 1))
            .fold(Vec::new(), |mut seen, at| {
                if !seen.contains(&at) {
                    seen.push(at);
                }
                seen
            });
        assert_eq!(seen, hosts, "{task}: {}", ran.stdout);
    }
}

#[test]
fn check_is_about_the_whole_file() {
    let case = checked(TYPOS, &["--check"]).stdout("");
    let case =
        case.stderr_has("fabfile.toml:35:16: error: `nope` is not defined").stderr_has(":13:20: error: `versoin`");
    case.status(2).run();

    let text = r#"
[env]
plain = "x"
[roledefs]
full = ["{h1}"]
empty = []
made = { roles = ["empty"] }
asked = { command = "false {{ env.plain }}" }
listed = { inventory = "hosts.ini" }
[tasks.t]
args = ["version", { name = "count", default = 3, type = "integer" }, { name = "kind", choices = ["a", "b"] }]
roles = ["asked"]
steps = [
  { run = "cp {{ version }} {{ version | sh }} {{ count }} {{ kind }} {{ env.port }} {{ 'x' }}", save = "seen" },
  { sudo = "echo {{ seen.stdout }} {{ seen.exit }}", cd = "/{{ version }}", env = { A = "{{ version }}" } },
  { put = "made-elsewhere", to = "/{{ version }}" },
  { set = { hosts = { command = "list {{ version }}" } } },
]
[tasks.build]
steps = [{ local = "touch made-elsewhere" }]
"#;
    checked(text, &["--check"])
        .file("hosts.ini", "[other]\nweb1\n")
        .stdout("Nothing is wrong with the tasks.\n")
        .stderr_has("fabfile.toml:6: warning: role `empty` names no host\n")
        .stderr_has("fabfile.toml:7: warning: role `made` names no host\n")
        .stderr_lacks("role `asked` names")
        .stderr_has("fabfile.toml:9: warning: role `listed`")
        .stderr_has(
            "fabfile.toml:8:31: warning: `{{ env.plain }}` reaches a shell unquoted\n  = write `{{ env.plain | sh }}`",
        )
        .stderr_has("fabfile.toml:14:18: warning: `{{ version }}` reaches a shell unquoted")
        .stderr_has("fabfile.toml:15:21: warning: `{{ seen.stdout }}`")
        .stderr_has("fabfile.toml:17:42: warning: `{{ version }}`")
        .stderr_has("fabfile.toml:16:11: warning: `put`: there is no {dir}/made-elsewhere")
        .stderr_lacks("count")
        .stderr_lacks("kind")
        .stderr_lacks(":15:60")
        .run();
    case!().args(["--check"]).stderr_has("there is no fabfile").status(2).run();
    checked(text, &["--check", "t"]).stderr_has("--check runs no tasks: `t`").status(2).run();
}

#[test]
fn starters_and_examples_are_checked_without_a_warning() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let examples = std::fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut checked = 0;
    for dir in
        examples.chain([root.join("fabric-cli/src/actions/init")]).filter(|dir| dir.join("fabfile.toml").exists())
    {
        let case = case!();
        for entry in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            std::fs::copy(&entry, case.dir().join(entry.file_name().unwrap())).unwrap();
        }
        let ran = case.args(["--check"]).stdout("Nothing is wrong with the tasks.\n").any_stderr().run();
        for warning in ["unquoted", "names no host", "there is no"] {
            // As a user would, put hosts into the starter's role.
            let is_asked_for = warning == "names no host" && dir.ends_with("init");
            assert!(is_asked_for || !ran.stderr.contains(warning), "{}: {}", dir.display(), ran.stderr);
        }
        checked += 1;
    }
    assert!(checked > 3, "{checked}");
}

#[test]
fn a_password_may_be_any_text() {
    let fabfile =
        "[env]\npassword = \"a{{b\"\ndb_token = \"{{\"\n[hosts.web1]\nsudo_password = \"{{\"\n[tasks]\nt = \"id\"\n";
    case!().fabfile(fabfile).args(["--plan", "-H", "web1", "t"]).stdout_has("run: id").run();
}

#[test]
fn what_no_number_gives_back_is_a_text_in_yaml() {
    let fabfile = r#"
env: {shared: 1.10}
tasks:
  t:
    hosts: ["{h1}"]
    args:
    - {name: version, default: 1.10}
    - {name: factor, default: 2.50, type: number}
    steps:
    - run: "echo $A $B $C $D $E $F $G $H {{ version }} {{ factor }} {{ env.shared }}"
      env: {A: 0644, B: 1_000, C: 012, D: 1e3, E: .5, F: 1.10, G: 12:30:45, H: 2024-01-01}
      timeout: 20.50
    - put: file
      to: "{far}/file"
      mode: 0600
    - {run: "stat -c %a {far}/file"}
"#;
    let expected = "[{h1}] out: 0644 1_000 012 1e3 .5 1.10 12:30:45 2024-01-01 1.10 2.5 1.10\n";
    let case = || case!().hosts(1).file("fabfile.yaml", fabfile).file("file", "").args(["t"]).any_stderr();
    case().stdout_has(expected).stdout_has("out: 600\n").run();
    case().file("fabric.yaml", "timeout: 20.50\nsudo_user: 007\nshell_env: {X: 0644}\n").stdout_has(expected).run();
    case!()
        .file("fabric.yaml", "timeout: 20.50\nsudo_user: 007\nshell_env: {X: 1.10}\n")
        .args(["--show-config"])
        .stdout_has(" 007 ")
        .stdout_has(" 20.5 ")
        .any_stderr()
        .run();
    // TOML and JSON have numbers; where a text is expected, they are as they are written.
    for (name, text) in [
        ("fabfile.toml", "[tasks.t]\nhosts = ['{h1}']\nsteps = [{ run = 'echo $F', env = { F = 1.10 } }]\n"),
        ("fabfile.json", r#"{"tasks": {"t": {"hosts": ["{h1}"], "steps": [{"run": "echo $F", "env": {"F": 1.10}}]}}}"#),
    ] {
        case!().hosts(1).file(name, text).args(["t"]).stdout_has("out: 1.10\n").any_stderr().run();
    }
}

#[test]
fn switches_of_older_yaml_are_refused_where_a_text_is_as_good() {
    let case = |step: &str| {
        let text = format!("env: {{parallel: false}}\ntasks:\n  t:\n    steps:\n    - {step}\n");
        case!().file("fabfile.yaml", text).args(["t"])
    };
    for (step, key, word) in [
        ("{local: cat, stdin: yes}", "stdin", "yes"),
        ("{local: cat, stdin: Off}", "stdin", "Off"),
        ("{local: cat, shell: no}", "shell", "no"),
        ("{open_shell: on}", "open_shell", "on"),
        ("{local: cat, hide: yes}", "hide", "yes"),
    ] {
        let expected = format!("fabfile.yaml:5: error: `{key}`");
        let written = format!("`{word}` is a text in YAML: write true or false, or \"{word}\"");
        case(step).stderr_has(&expected).stderr_has(&written).status(2).run();
    }
    case("{local: cat, stdin: \"yes\"}").stdout_has("out: yes\n").any_stderr().run();
    case("{local: cat, env: {A: yes}, stdin: 'no'}").stdout_has("out: no\n").any_stderr().run();
    case!()
        .file("fabric.yaml", "gateway: no\n")
        .args(["--show-config"])
        .stderr_has("fabric.yaml:1: error: setting `gateway`: `no` is a text in YAML: write false")
        .status(2)
        .run();
}

#[test]
fn a_key_that_is_given_twice_is_named_in_our_words() {
    for (name, text, line) in [
        ("fabfile.yaml", "tasks:\n  t: id\n  t: ls\n", "3:3"),
        ("fabfile.json", "{\"tasks\": {\"t\": \"id\",\n\"t\": \"ls\"}}", "2:1"),
        ("fabric.yaml", "t: 1\nt: 2\n", "2:1"),
        ("fabric.json", "{\"t\": 1,\n\"t\": 2}", "2:1"),
    ] {
        let expected = format!("{name}:{line}: error: the key `t` is given twice");
        case!()
            .file(name, text)
            .args(["--show-config"])
            .stderr_has(expected)
            .stderr_lacks("DuplicateKeyPolicy")
            .status(2)
            .run();
    }
}

#[test]
fn what_cannot_be_rendered_or_read_is_told_before_anything_runs() {
    for (step, expected) in [
        (
            "put = 'd', to = '{far}/d', template = true",
            "`put`: {dir}/d is a directory, and `template = true` renders one file",
        ),
        ("put = 'bytes', to = '{far}/b', template = true", "`put`: {dir}/bytes can't be rendered: "),
        ("put = 'd/*', to = '{far}/b', template = true", "`put`: there is no {dir}/d/*"),
        ("put = '/dev/null', to = '{far}/b', template = true", "`put`: /dev/null is a pipe or a device"),
        ("put = '/dev/null', to = '{far}/b'", "`put`: /dev/null is a pipe or a device"),
        ("run = 'cat', stdin = { file = 'd' }", "`stdin`: {dir}/d is a directory, and a command reads one file"),
    ] {
        let fabfile = format!("[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{{ run = 'echo ran' }},\n{{ {step} }}]\n");
        let case = case!().hosts(1).fabfile(fabfile).file("d/x", "");
        std::fs::write(case.dir().join("bytes"), b"\xff\xfe").unwrap();
        case.args(["t"]).stderr_has("fabfile.toml:4:").stderr_has(expected).status(2).run();
    }
}
