//! The table of options: one block each, with names, value, effect, help, completion and test. Parser, help and completions are
//! made from it. An incomplete block doesn't compile.

use super::action::Action;
use super::choices::{DemoKind, Format, InitKind, ListFormat, Progress, Shell};
use super::option::{Completes, Effect, Group, Opt, ValueKind};
use crate::render::OutputMode;

use Effect::{Add, Assign, Extend, Own, Set, SetHosts, Switch};
use ValueKind::{Many, MaybeNext, MaybeNextOneOf, MaybeOneOf, Nothing, OneOf, Value};

/// `"name" / 'letter' = value, effect, "help", completes What, alias "name", after tasks, test "typed" => effect`; letter,
/// value, completion and alias are optional. In group `Instead`, `after tasks` lets an option follow a task.
macro_rules! options {
    ($( $group:ident: { $( $long:literal $(/ $short:literal)? = $takes:expr, $does:expr, $help:literal
        $(, completes $completes:ident)? $(, alias $alias:literal)? $(, after $after:ident)?,
        test $typed:literal => $effect:expr; )+ } )+) => {
        /// Every option.
        pub(crate) static OPTIONS: &[Opt] = &[ $( $( Opt {
            long: $long,
            short: options!(@or None $(, Some($short))?),
            alias: options!(@or None $(, Some($alias))?),
            takes: $takes,
            does: $does,
            group: Group::$group,
            after_tasks: options!(@or !matches!(Group::$group, Group::Instead) $(, options!(@after $after))?),
            help: $help,
            completes: options!(@or Completes::Nothing $(, Completes::$completes)?),
        }, )+ )+ ];

        /// The test of each option: its name, a command line, and the expected effect.
        #[cfg(test)]
        fn effects() -> Vec<(&'static str, &'static str, tests::Expected)> {
            use tests::{asks, has, sets};
            vec![ $( $( ($long, $typed, $effect), )+ )+ ]
        }
    };
    (@or $default:expr) => { $default };
    (@or $default:expr, $given:expr) => { $given };
    (@after tasks) => { true };
}

options! {
    Hosts: {
        "hosts" / 'H' = Value("HOSTS"), SetHosts("hosts"),
            "run on these hosts: user@host:port, ranges web[1-9], @file, separated by commas", completes Hosts,
            test "-H web[1-2],a -H b" => sets("hosts", ["web1", "web2", "a", "b"]);
        "roles" / 'R' = Value("ROLES"), Extend("roles"),
            "run on the hosts of these roles; web&dc1: in both, web!old: not in old, web^db: in one", completes Roles,
            test "-R web,db -R &dc1" => sets("roles", ["web", "db", "&dc1"]);
        "exclude-hosts" / 'x' = Value("HOSTS"), SetHosts("exclude_hosts"), "exclude these hosts", completes Hosts,
            test "-x a -x b" => sets("exclude_hosts", ["a", "b"]);
        "only" = Value("HOSTS"), SetHosts("only_hosts"), "restrict every host list to these hosts",
            completes Hosts, test "--only a,b" => sets("only_hosts", ["a", "b"]);
        "limit" = Value("N|P%"), Set("limit"), "run only on the first N hosts, or P %, of each host list",
            test "--limit 5%" => sets("limit", "5%");
        "shard" = Value("I/N|auto"), Own(|o, given| o.shard = Some(given.value().to_owned())),
            "run on the hosts whose position is I modulo N; auto: as set by Kubernetes, Slurm or CI",
            test "--shard 1/3" => has(|o| o.shard.as_deref() == Some("1/3"));
    }
    Running: {
        "parallel" / 'P' = Nothing, Switch("parallel", true), "run on all hosts in parallel",
            test "-P" => sets("parallel", true);
        "pool-size" / 'z' = Value("N"), Set("pool_size"), "run on at most N hosts in parallel",
            test "-z 5 -z 6" => sets("pool_size", 6);
        "batch" = Value("N|P%"), Set("batch"), "run on batches of N hosts, or P %, one after another",
            test "--batch 25%" => sets("batch", "25%");
        "max-failures" = Value("N|P%"), Set("max_failures"), "start nothing new once more hosts have failed",
            test "--max-failures 10%" => sets("max_failures", "10%");
        "keep-going" = Nothing, Own(|o, given| o.set("max_failures", "100%".into(), given)),
            "go on whichever hosts fail, as with --max-failures 100%",
            test "--keep-going" => sets("max_failures", "100%");
        "retries" = Value("N"), Set("retries"), "retry a failed host up to N times",
            test "--retries 3" => sets("retries", 3);
        "retry-failed" = Nothing, Own(|o, _| o.retry_failed = true),
            "repeat the last run where it failed or never started",
            test "--retry-failed" => has(|o| o.retry_failed);
        "warn-only" / 'w' = Nothing, Switch("warn_only", true), "warn about failing commands and go on",
            test "-w" => sets("warn_only", true);
        "skip-bad-hosts" = Nothing, Switch("skip_bad_hosts", true), "warn about hosts that can't be reached and go on",
            test "--skip-bad-hosts" => sets("skip_bad_hosts", true);
        "skip-unknown-tasks" = Nothing, Switch("skip_unknown_tasks", true), "warn about unknown tasks and go on",
            test "--skip-unknown-tasks" => sets("skip_unknown_tasks", true);
        "abort-on-prompts" = Nothing, Switch("abort_on_prompts", true), "fail instead of asking questions",
            test "--abort-on-prompts" => sets("abort_on_prompts", true);
        "dry-run" = Nothing, Own(|o, _| o.dry_run = true), "print commands and transfers instead of executing them",
            test "--dry-run" => has(|o| o.dry_run);
        "eagerly-disconnect" / 'e' = Nothing, Switch("eagerly_disconnect", true), "close connections after each task",
            test "-e" => sets("eagerly_disconnect", true);
    }
    Connecting: {
        "user" / 'u' = Value("USER"), Set("user"), "log in as this user", test "-u joe" => sets("user", "joe");
        "port" = Value("PORT"), Set("port"), "connect to this port", test "--port 2222" => sets("port", 2222);
        "password" / 'p' = Value("PASSWORD"), Set("password"),
            "log in and answer sudo with this password; visible in the process list: prefer -I",
            test "-p pw" => sets("password", "pw");
        "initial-password-prompt" / 'I' = Nothing, Own(|o, _| o.ask_password = true),
            "ask for the password before anything runs", alias "prompt-for-login-password", test "-I" => has(|o| o.ask_password);
        "sudo-password" = Value("PASSWORD"), Set("sudo_password"), "answer sudo with this password",
            test "--sudo-password pw" => sets("sudo_password", "pw");
        "initial-sudo-password-prompt" = Nothing, Own(|o, _| o.ask_sudo_password = true),
            "ask for the sudo password before anything runs", alias "prompt-for-sudo-password",
            test "--initial-sudo-password-prompt" => has(|o| o.ask_sudo_password);
        "identity" / 'i' = Value("FILE"), Add("key_filename"), "log in with this private key; may be repeated",
            completes Files, test "-i a -i b" => sets("key_filename", ["a", "b"]);
        "no-keys" / 'k' = Nothing, Switch("no_keys", true), "don't use the keys in ~/.ssh",
            test "-k" => sets("no_keys", true);
        "no-agent" / 'a' = Nothing, Switch("no_agent", true), "don't use the SSH agent", alias "no_agent",
            test "--no_agent" => sets("no_agent", true);
        "forward-agent" / 'A' = Nothing, Switch("forward_agent", true), "forward the SSH agent to the hosts",
            test "-A" => sets("forward_agent", true);
        "gateway" / 'g' = Value("GATEWAY"), Set("gateway"),
            "connect through these jump hosts, a proxy command, or a plugin (scheme://)", completes Hosts,
            test "-g none" => sets("gateway", false);
        "timeout" / 't' = Value("SECONDS"), Set("timeout"), "give up connecting after this time",
            test "-t 2.5" => sets("timeout", 2.5);
        "auth-timeout" = Value("SECONDS"), Set("auth_timeout"), "give up logging in after this time without an answer",
            test "--auth-timeout 2.5" => sets("auth_timeout", 2.5);
        "banner-timeout" = Value("SECONDS"), Set("banner_timeout"), "give up waiting for the server's version after this time",
            test "--banner-timeout 2.5" => sets("banner_timeout", 2.5);
        "connection-attempts" / 'n' = Value("N"), Set("connection_attempts"), "try to connect up to N times",
            test "-n 3" => sets("connection_attempts", 3);
        "keepalive" = Value("SECONDS"), Set("keepalive"), "probe silent hosts this often (default 30; 0: never)",
            test "--keepalive 2.5" => sets("keepalive", 2.5);
        "disable-known-hosts" / 'D' = Nothing, Switch("disable_known_hosts", true),
            "accept any host key; read and write no known_hosts", test "-D" => sets("disable_known_hosts", true);
        "reject-unknown-hosts" / 'r' = Nothing, Switch("reject_unknown_hosts", true),
            "refuse hosts that are in no known_hosts file", test "-r" => sets("reject_unknown_hosts", true);
        "system-known-hosts" = Value("FILE"), Set("system_known_hosts"), "also read this known_hosts file",
            completes Files, test "--system-known-hosts f" => sets("system_known_hosts", "f");
        "gss-auth" = Nothing, Switch("gss_auth", true), "log in with GSSAPI (Kerberos)",
            test "--gss-auth" => sets("gss_auth", true);
        "gss-deleg" = Nothing, Switch("gss_deleg", true), "delegate GSSAPI credentials",
            test "--gss-deleg" => sets("gss_deleg", true);
        "gss-kex" = Nothing, Switch("gss_kex", true), "use GSSAPI for the key exchange",
            test "--gss-kex" => sets("gss_kex", true);
        "plugin" = Value("FILE"), Add("plugins"), "load this transport or gateway plugin; may be repeated",
            completes Files, test "--plugin a --plugin b" => sets("plugins", ["a", "b"]);
    }
    Commands: {
        "command-timeout" / 'T' = Value("SECONDS"), Set("command_timeout"), "stop commands that take longer",
            test "-T 2.5" => sets("command_timeout", 2.5);
        "shell" / 's' = Value("SHELL"),
            Own(|o, given| {
                o.set("shell", given.value().into(), given);
                o.set("use_shell", true.into(), given);
            }),
            "run commands in this shell, such as '/bin/bash -l -c'",
            test "-s sh" => has(|o| o.setting("shell") == Some(&"sh".into()) && o.setting("use_shell") == Some(&true.into()));
        "no-pty" = Nothing, Switch("always_use_pty", false), "never allocate a pseudo-terminal",
            test "--no-pty" => sets("always_use_pty", false);
        "no-stdin" = Nothing, Own(|o, _| o.no_stdin = true), "commands don't read standard input",
            test "--no-stdin" => has(|o| o.no_stdin);
        "set" = Value("KEY=VALUE,.."), Assign,
            "set settings, or shared state for tasks; escape with \\, and \\=", completes Settings,
            test "--set a=b --set c" => has(|o| o.set == ["a=b", "c"]);
    }
    Output: {
        "output" = OneOf(OutputMode::WORDS), Own(|o, given| o.output = OutputMode::of(given.value())),
            "show lines with their host, identical or nearly equal output once, raw bytes, or JSON events",
            test "--output raw" => has(|o| o.output == Some(OutputMode::Raw));
        "progress" = OneOf(Progress::WORDS), Own(|o, given| o.progress = Progress::of(given.value()).unwrap_or_default()),
            "show busy hosts and transfers below the output", test "--progress never" => has(|o| o.progress == Progress::Never);
        "hide" = Value("LEVELS"), Own(|o, given| o.hidden.push(given.value().to_owned())),
            "hide these output levels (comma-separated)", completes Levels,
            test "--hide status,user" => has(|o| !o.levels.status && !o.levels.user && o.levels.stdout);
        "show" = Value("LEVELS"), Own(|o, given| o.shown.push(given.value().to_owned())), "show these output levels",
            completes Levels, test "--hide user --show debug,user" => has(|o| o.levels.debug && !o.levels.user);
        "linewise" = Nothing, Switch("linewise", true), "show whole lines only",
            test "--linewise" => sets("linewise", true);
        "colorize-errors" = Nothing, Switch("colorize_errors", true), "show errors in red, warnings in magenta",
            test "--colorize-errors" => sets("colorize_errors", true);
        "report" = Value("FILE"), Own(|o, given| o.reports.push(given.value().into())),
            "write the finished run to FILE.json, FILE.xml (JUnit) or FILE.html; may be repeated", completes Files,
            test "--report a.json --report b.xml" => has(|o| o.reports == ["a.json", "b.xml"].map(std::path::PathBuf::from));
        "log" = Value("FILTER"), Own(|o, given| o.log = Some(given.value().to_owned())),
            "write a diagnostic log to stderr: debug, fabric_transport=trace, ..",
            test "--log debug" => has(|o| o.log.as_deref() == Some("debug"));
    }
    Files: {
        "fabfile" / 'f' = Value("FILE"), Set("fabfile"), "load this fabfile, or search for this name",
            completes Files, test "-f f.toml" => sets("fabfile", "f.toml");
        "collection" = Value("NAME"), Set("fabfile"), "the same as --fabfile (Fabric 3)", completes Files,
            test "--collection f" => sets("fabfile", "f");
        "config" / 'c' = Value("FILE"), Set("rcfile"), "read this settings file instead of ~/.fabricrc",
            completes Files, test "-c rc" => sets("rcfile", "rc");
        "python" = Value("PYTHON"), Set("python"), "the Python that runs fabfiles in Python",
            test "--python python3.12" => sets("python", "python3.12");
        "ssh-config-path" = Value("FILE"), Set("ssh_config_path"), "read only this ssh_config", completes Files,
            test "--ssh-config-path f" => sets("ssh_config_path", "f");
        "ignore-ssh-config" = Nothing, Switch("use_ssh_config", false), "don't read any ssh_config",
            test "--ignore-ssh-config" => sets("use_ssh_config", false);
    }
    Instead: {
        "list" / 'l' = Nothing, Own(|o, given| o.ask(Action::List, given)), "list the tasks",
            test "-l" => asks(Action::List);
        "shortlist" = Nothing,
            Own(|o, given| {
                o.list_format = Some(ListFormat::Short);
                o.ask(Action::List, given);
            }),
            "list only the tasks' names, one a line",
            test "--shortlist" => has(|o| o.action == Action::List && o.list_format == Some(ListFormat::Short));
        "list-format" / 'F' = OneOf(ListFormat::WORDS), Own(|o, given| o.list_format = ListFormat::of(given.value())),
            "format of the task list", test "-F nested" => has(|o| o.list_format == Some(ListFormat::Nested));
        "display" / 'd' = Value("TASK"), Own(|o, given| o.ask(Action::Display(given.value().to_owned()), given)),
            "show the details of a task", completes Tasks, test "-d t" => asks(Action::Display("t".to_owned()));
        "plan" = MaybeOneOf(Format::WORDS), Own(|o, given| o.ask(Action::Plan(Format::of(given.value())), given)),
            "show what would run where, without connecting", after tasks,
            test "--plan=json" => asks(Action::Plan(Some(Format::Json)));
        "check" = Nothing, Own(|o, given| o.ask(Action::Check, given)),
            "check the whole fabfile (names, files, roles) without connecting", test "--check" => asks(Action::Check);
        "show-config" = MaybeNext("HOST"), Own(|o, given| o.ask(Action::ShowConfig(given.value.clone()), given)),
            "show all settings in force, with their origins", completes Hosts,
            test "--show-config a" => asks(Action::ShowConfig(Some("a".to_owned())));
        "explain" = Value("SETTING"), Own(|o, given| o.ask(Action::Explain(given.value().to_owned()), given)),
            "show the layers of a setting, and which one wins", completes Settings,
            test "--explain user" => asks(Action::Explain("user".to_owned()));
        "format" = OneOf(Format::WORDS), Own(|o, given| o.format = Format::of(given.value()).unwrap_or_default()),
            "format of settings and plans", after tasks, test "--format json" => has(|o| o.format == Format::Json);
        "init" = MaybeNextOneOf(InitKind::WORDS),
            Own(|o, given| o.ask(Action::Init(InitKind::of(given.value()).unwrap_or_default()), given)),
            "write a commented starter project", test "--init rust" => asks(Action::Init(InitKind::Rust));
        "demo" = MaybeOneOf(DemoKind::WORDS),
            Own(|o, given| {
                let kind = given.value.as_deref().and_then(DemoKind::of).unwrap_or_default();
                o.ask(Action::Demo(kind), given);
            }),
            "run a small deploy on an embedded fleet, by a fabfile in TOML or Python",
            test "--demo=python" => asks(Action::Demo(DemoKind::Python));
        "merge-reports" = Many("FILE"),
            Own(|o, given| {
                o.merged.push(given.value().into());
                o.ask(Action::MergeReports, given);
            }),
            "merge the reports of several shards into one", completes Files,
            test "--merge-reports a b" => has(|o| o.action == Action::MergeReports && o.merged.len() == 2);
        "to-python3" = Many("FILE"),
            Own(|o, given| {
                o.converted.push(given.value().into());
                o.ask(Action::ToPython3, given);
            }),
            "convert fabfiles in Python 2, and keep the old ones as .py2", completes Files,
            test "--to-python3 a.py b.py" => has(|o| o.action == Action::ToPython3 && o.converted.len() == 2);
        "completion" = OneOf(Shell::WORDS),
            Own(|o, given| o.ask(Action::Completion(Shell::of(given.value()).unwrap_or_default()), given)),
            "print a completion script", test "--completion zsh" => asks(Action::Completion(Shell::Zsh));
        "plugins" = Nothing, Own(|o, given| o.ask(Action::Plugins, given)), "list the plugins found",
            test "--plugins" => asks(Action::Plugins);
        "help" / 'h' = Nothing, Own(|o, given| o.ask(Action::Help, given)),
            "show this help; --help TASK: that of a task", after tasks, test "-l -h" => asks(Action::Help);
        "version" / 'V' = Nothing, Own(|o, given| o.ask(Action::Version, given)), "show the version",
            test "-V -l" => asks(Action::Version);
    }
}

/// The option with this letter.
pub(crate) fn by_letter(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.short == Some(letter))
}

/// The option with this long name or alias, in full.
pub(crate) fn by_name(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.long == name || option.alias == Some(name))
}

/// Whether an option sets this setting to names of files.
pub(crate) fn names_files(setting: &str) -> bool {
    let gives = |option: &Opt| matches!(option.does, Set(name) | Add(name) if name == setting);
    OPTIONS.iter().any(|option| option.completes == Completes::Files && gives(option))
}

/// The options whose long name begins with `prefix`: exactly one if that is an unambiguous abbreviation.
pub(crate) fn by_prefix(prefix: &str) -> Vec<&'static Opt> {
    OPTIONS.iter().filter(|option| !prefix.is_empty() && option.long.starts_with(prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Options;
    use crate::args::interpret::tests::options;
    use fabric_core::settings::Setting;

    /// The expected effect of an option.
    pub(super) type Expected = Box<dyn Fn(&Options) -> bool>;

    pub(super) fn has(effect: impl Fn(&Options) -> bool + 'static) -> Expected {
        Box::new(effect)
    }

    pub(super) fn sets(name: &'static str, value: impl Into<fabric_core::Value>) -> Expected {
        let value = value.into();
        has(move |options| options.setting(name) == Some(&value))
    }

    pub(super) fn asks(action: Action) -> Expected {
        has(move |options| options.action == action)
    }

    #[test]
    fn each_option_does_what_its_block_says() {
        for (option, typed, effect) in effects() {
            let words: Vec<&str> = typed.split(' ').collect();
            let options = options(&words).unwrap_or_else(|error| panic!("--{option}: {typed}: {error}"));
            assert!(effect(&options), "--{option}: {typed}: {options:#?}");
            assert!(!effect(&Options::default()), "--{option}: its test passes without it");
        }
    }

    #[test]
    fn letters_and_names_are_unique() {
        let mut letters: Vec<char> = OPTIONS.iter().filter_map(|option| option.short).collect();
        let mut names: Vec<&str> = OPTIONS.iter().flat_map(|o| [Some(o.long), o.alias]).flatten().collect();
        let all = (letters.len(), names.len());
        letters.sort_unstable();
        letters.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((letters.len(), names.len()), all);
    }

    #[test]
    fn settings_that_options_set_exist() {
        for option in OPTIONS {
            if let Set(name) | Add(name) | Extend(name) | SetHosts(name) | Switch(name, _) = option.does {
                let setting = Setting::find(name).unwrap_or_else(|| panic!("{}: no setting {name}", option.long));
                if let Some(letter) = option.short {
                    assert!(setting.option.contains(&format!("-{letter}")), "{name}: {}", setting.option);
                }
            }
        }
    }

    #[test]
    fn every_classic_letter_is_there() {
        for letter in "HRxPzwupIikaAgtTnDrsfceldFVh".chars() {
            assert!(by_letter(letter).is_some(), "-{letter}");
        }
    }
}
