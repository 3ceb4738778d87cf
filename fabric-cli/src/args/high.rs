//! What the command line means.

use std::io;
use std::path::PathBuf;

use fabric_config::shown;
use fabric_core::settings::{Problem, Setting};
use fabric_core::{Gateway, Value};
use fabric_exec::hostlist::{Selection, Share, read_host_option};
use fabric_exec::journal::Recorded;
use fabric_exec::{Invocation, Param};

use super::UsageError;
use super::low::{Given, Typed};
use super::table::Does;
use crate::render::Levels;

/// The command line, understood.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// The option that asked for that, if one did.
    pub asked_by: Option<String>,
    /// The same command line in long options, without its secrets and with host lists read: what a journal may
    /// hold.
    pub arguments: Vec<String>,
    /// Whether the last command line is meant, on the hosts that it did not finish.
    pub retry_failed: bool,
    /// The run that this one tries again.
    pub earlier: Option<Recorded>,
    /// The settings that options set, in the order typed: name, value, and the option as help spells it.
    pub settings: Vec<(&'static str, Value, String)>,
    /// The texts of `--set`.
    pub set: Vec<String>,
    /// The tasks, in order.
    pub tasks: Vec<Invocation>,
    /// The tasks' words, as typed.
    pub words: Vec<String>,
    /// The command after `--`, its words joined by single blanks (Fabric 1).
    pub command: Option<String>,
    /// How tasks are listed.
    pub list_format: Option<ListFormat>,
    /// How settings and plans are shown.
    pub format: Format,
    /// How the run is shown; `None` leaves it to the program.
    pub output: Option<OutputMode>,
    /// Whether there is a live view.
    pub progress: Progress,
    /// What of the run is shown.
    pub levels: Levels,
    /// The filter of the diagnostic log.
    pub log: Option<String>,
    /// Whether commands and transfers are told instead of done.
    pub dry_run: bool,
    /// Whether standard input is left alone.
    pub no_stdin: bool,
    /// The shard of this process, as typed.
    pub shard: Option<String>,
    /// Where the finished run is written: to each of these files.
    pub reports: Vec<PathBuf>,
    /// Whether the password is asked for first.
    pub ask_password: bool,
    /// Whether the sudo password is asked for first.
    pub ask_sudo_password: bool,
}

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run tasks.
    Run,
    /// Show the help, of the tasks if there are any.
    Help,
    /// Show the version.
    Version,
    /// List the tasks.
    List,
    /// Show what is known about a task.
    Display(String),
    /// Show what would run where; `None` leaves it to the other options how.
    Plan(Option<Format>),
    /// Check all tasks, and run none.
    Check,
    /// Show the settings in force, for a host if one is given.
    ShowConfig(Option<String>),
    /// Show one setting's layers.
    Explain(String),
    /// Write a starter.
    Init(InitKind),
    /// Run the demonstration.
    Demo,
    /// Print a completion script.
    Completion(String),
    /// List the plugins found.
    Plugins,
    /// Make one report out of several.
    MergeReports(Vec<PathBuf>),
}

/// How something is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a program.
    Json,
}

impl Format {
    fn of(word: &str) -> Self {
        if word == "json" { Self::Json } else { Self::Text }
    }
}

/// How tasks are listed (Fabric 1's `-F`, and JSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// Bare names, one a line.
    Short,
    /// Names and summaries.
    Normal,
    /// Indented by collection.
    Nested,
    /// One JSON object.
    Json,
}

/// How the run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Each line with its host.
    Prefix,
    /// At the end, hosts with identical output together.
    Grouped,
    /// The same, output that differs in numbers and in the host's own name only together too.
    Similar,
    /// The bytes as they come.
    Raw,
    /// One event a line.
    Json,
}

/// Whether there is a live view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// On a terminal.
    #[default]
    Auto,
    /// Wherever output goes.
    Always,
    /// No.
    Never,
}

/// Which starter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitKind {
    /// `fabfile.toml`.
    Toml,
    /// `fabfile/`, a Rust program.
    Rust,
    /// A plugin crate.
    Plugin,
}

impl Options {
    /// The meaning of what was typed. `stdin` gives the text of standard input, for `@-`.
    pub fn new(typed: Typed, stdin: &mut dyn FnMut() -> io::Result<String>) -> Result<Self, UsageError> {
        let remainder = typed.remainder.clone();
        let mut options = Self {
            action: Action::Run,
            asked_by: None,
            arguments: Vec::new(),
            retry_failed: false,
            earlier: None,
            settings: Vec::new(),
            set: Vec::new(),
            tasks: typed.tasks.clone(),
            words: typed.words.clone(),
            command: typed.remainder.map(|words| words.join(" ")).filter(|command| !command.trim().is_empty()),
            list_format: None,
            format: Format::Text,
            output: None,
            progress: Progress::Auto,
            levels: Levels::default(),
            log: None,
            dry_run: false,
            no_stdin: false,
            shard: None,
            reports: Vec::new(),
            ask_password: false,
            ask_sudo_password: false,
        };
        let mut action: Option<(String, Action)> = None;
        // Showing first, then hiding, whatever the order typed (Fabric 1).
        for given in typed.options.iter().filter(|given| given.option.long == "show") {
            options.levels.show(given.value.as_deref().unwrap_or_default())?;
        }
        for given in &typed.options {
            let name = given.option.name();
            let value = given.value.clone().unwrap_or_default();
            match given.option.does {
                Does::Own => options.own(given, &value, &mut action)?,
                Does::Switch(setting, on) => options.set(setting, on.into(), given),
                Does::Set(setting) => {
                    let value = read(setting, &value).map_err(|reason| bad_value(name, setting, &value, reason))?;
                    options.set(setting, value, given);
                }
                Does::Add(setting) => options.add(setting, [value.into()], given),
                Does::Extend(setting) => {
                    let items = read(setting, &value).map_err(|reason| bad_value(name, setting, &value, reason))?;
                    options.add(setting, items.as_array().cloned().unwrap_or_default(), given);
                }
                // All of them have been read with the first one.
                Does::SetHosts(setting) if options.setting(setting).is_some() => {}
                Does::SetHosts(setting) => {
                    // As one list, for the set operators in it.
                    let same = typed.options.iter().filter(|other| other.option.long == given.option.long);
                    let values: Vec<&str> = same.filter_map(|other| other.value.as_deref()).collect();
                    let value = values.join(",");
                    let list = read_host_option(&value, |file| read_list(file, stdin))
                        .map_err(|error| UsageError::BadValue { option: name.clone(), reason: error.to_string() })?;
                    // What was meant to be few must not become all.
                    if list.is_empty() && setting != "exclude_hosts" && (setting == "only_hosts" || !is_blank(&value)) {
                        return Err(UsageError::NoHosts { option: name, value });
                    }
                    options.set(setting, list.into(), given);
                }
            }
        }
        for call in &mut options.tasks {
            let task = &call.task;
            for (name, list) in [("hosts", &mut call.selection.hosts), ("exclude_hosts", &mut call.selection.exclude)] {
                let Some(file) = list.iter().find(|item| item.starts_with('@')).cloned() else { continue };
                let option = format!("{task}:{name}=..");
                let read: Result<Vec<_>, _> =
                    list.iter().map(|item| read_host_option(item, |file| read_list(file, stdin))).collect();
                *list = match read {
                    Ok(lists) if name == "hosts" && lists.iter().all(Vec::is_empty) => {
                        return Err(UsageError::NoHosts { option, value: file });
                    }
                    Ok(lists) => lists.concat(),
                    Err(error) => return Err(UsageError::BadValue { option, reason: error.to_string() }),
                };
            }
        }
        if let Some((option, action)) = action {
            if options.retry_failed && !matches!(action, Action::Plan(_) | Action::Help | Action::Version) {
                return Err(UsageError::Conflict("--retry-failed".to_owned(), option));
            }
            (options.asked_by, options.action) = (Some(option), action);
        }
        options.arguments = options.spelled_out(&typed.options, &typed.params, remainder);
        Ok(options)
    }

    /// The value that an option has given a setting, if one has.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.iter().rev().find(|(setting, ..)| *setting == name).map(|(_, value, _)| value)
    }

    fn spelled_out(&self, given: &[Given], params: &[Vec<Param>], remainder: Option<Vec<String>>) -> Vec<String> {
        let is_secret = |name: &str| Setting::find_any(name).is_some_and(|setting| setting.kind.is_secret());
        let masked = |name: &str, text: &str| {
            let typed = Setting::find_any(name).and_then(|setting| setting.kind.parse(text).ok());
            let value = typed.or_else(|| serde_json::from_str(text).ok()).unwrap_or_else(|| text.into());
            shown(name, &value) != value
        };
        let mut arguments = Vec::new();
        for (index, Given { option, value }) in given.iter().enumerate() {
            let value = match (option.does, value) {
                (Does::SetHosts(_), _) if given[..index].iter().any(|earlier| earlier.option.long == option.long) => {
                    continue;
                }
                (Does::Set(setting), _) if is_secret(setting) => continue,
                (Does::SetHosts(setting), _) => match self.setting(setting).and_then(Value::as_array) {
                    Some(hosts) => Some(hosts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
                    None => continue,
                },
                // Not left out, as the hosts behind it are not to be reached without it.
                (Does::Set("gateway"), Some(gateway)) => Some(Gateway::shown(gateway)),
                (Does::Own, Some(list)) if option.long == "set" => {
                    // Cut as the settings cut it; what holds a secret is left out, and nothing else.
                    let keys = fabric_config::parse_set(list).unwrap_or_default();
                    let secret = |(key, text): &(String, Option<String>)| {
                        is_secret(key) || text.as_ref().is_some_and(|text| masked(key, text))
                    };
                    if keys.iter().any(secret) {
                        let gateway = keys.iter().rev().find(|(key, _)| key == "gateway");
                        let gateway = gateway.and_then(|(_, value)| value.as_deref()).map(Gateway::shown);
                        arguments.extend(gateway.map(|gateway| format!("--gateway={gateway}")));
                        let kept =
                            keys.iter().filter(|item| !secret(item) && item.0 != "gateway").map(|(key, text)| {
                                text.as_ref()
                                    .map_or_else(|| key.clone(), |text| format!("{key}={}", text.replace(',', "\\,")))
                            });
                        let kept: Vec<String> = kept.collect();
                        if kept.is_empty() {
                            continue;
                        }
                        Some(kept.join(","))
                    } else {
                        Some(list.clone())
                    }
                }
                (_, value) => value.clone(),
            };
            arguments.push(value.map_or_else(|| option.name(), |value| format!("{}={value}", option.name())));
        }
        arguments.extend(self.tasks.iter().zip(params).map(|(call, params)| call.shown(params)));
        arguments.extend(remainder.into_iter().flat_map(|words| std::iter::once("--".to_owned()).chain(words)));
        arguments
    }

    /// Options that were given several times with different values, of which one is used.
    pub fn overridden(&self) -> Vec<Problem> {
        let found =
            [("-g", "gateway"), ("-f", "fabfile"), ("-c", "rcfile")].into_iter().filter_map(|(letter, name)| {
                let last = self.setting(name)?;
                let other = |(setting, value, _): &&(&str, Value, _)| *setting == name && value != last;
                let (_, earlier, _) = self.settings.iter().rfind(other)?;
                let text = |value| match shown(name, value) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                let (last, earlier) = (text(last), text(earlier));
                Some(Problem::new(format!("{letter} is given more than once: `{last}` is used, `{earlier}` is not")))
            });
        found.collect()
    }

    /// Whether nothing at all was asked for: neither a task nor a command nor anything with options.
    pub fn asks_nothing(&self) -> bool {
        self.action == Action::Run
            && !self.retry_failed
            && self.tasks.is_empty()
            && self.command.is_none()
            && self.settings.is_empty()
            && self.set.is_empty()
    }

    /// `-H`, `-R` and `-x`.
    pub fn selection(&self) -> Selection {
        let list = |name: &str| match self.setting(name) {
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        Selection { hosts: list("hosts"), roles: list("roles"), exclude: list("exclude_hosts") }
    }

    fn own(&mut self, given: &Given, value: &str, action: &mut Option<(String, Action)>) -> Result<(), UsageError> {
        let does = match given.option.long {
            "shell" => {
                self.set("shell", value.into(), given);
                self.set("use_shell", true.into(), given);
                return Ok(());
            }
            "keep-going" => {
                self.set("max_failures", "100%".into(), given);
                return Ok(());
            }
            "set" => {
                self.set.push(value.to_owned());
                return Ok(());
            }
            "show" => return Ok(()),
            "hide" => return self.levels.hide(value),
            "shard" => {
                self.shard = Some(value.to_owned());
                return Ok(());
            }
            "retry-failed" => {
                self.retry_failed = true;
                return Ok(());
            }
            "dry-run" => {
                self.dry_run = true;
                return Ok(());
            }
            "no-stdin" => {
                self.no_stdin = true;
                return Ok(());
            }
            "report" => {
                self.reports.push(value.into());
                return Ok(());
            }
            "log" => {
                self.log = Some(value.to_owned());
                return Ok(());
            }
            "initial-password-prompt" => {
                self.ask_password = true;
                return Ok(());
            }
            "initial-sudo-password-prompt" => {
                self.ask_sudo_password = true;
                return Ok(());
            }
            "output" => {
                self.output = Some(match value {
                    "grouped" => OutputMode::Grouped,
                    "similar" => OutputMode::Similar,
                    "raw" => OutputMode::Raw,
                    "json" => OutputMode::Json,
                    _ => OutputMode::Prefix,
                });
                return Ok(());
            }
            "progress" => {
                self.progress = match value {
                    "always" => Progress::Always,
                    "never" => Progress::Never,
                    _ => Progress::Auto,
                };
                return Ok(());
            }
            "format" => {
                self.format = Format::of(value);
                return Ok(());
            }
            "list-format" => {
                self.list_format = Some(match value {
                    "short" => ListFormat::Short,
                    "nested" => ListFormat::Nested,
                    "json" => ListFormat::Json,
                    _ => ListFormat::Normal,
                });
                return Ok(());
            }
            "list" => Action::List,
            "shortlist" => {
                self.list_format = Some(ListFormat::Short);
                Action::List
            }
            "display" => Action::Display(value.to_owned()),
            "plan" => Action::Plan(given.value.as_deref().map(Format::of)),
            "check" => Action::Check,
            "show-config" => Action::ShowConfig(given.value.clone()),
            "explain" => Action::Explain(value.to_owned()),
            "init" => Action::Init(match value {
                "rust" => InitKind::Rust,
                "plugin" => InitKind::Plugin,
                _ => InitKind::Toml,
            }),
            "demo" => Action::Demo,
            "completion" => Action::Completion(value.to_owned()),
            "plugins" => Action::Plugins,
            "help" => Action::Help,
            "version" => Action::Version,
            "merge-reports" => {
                let mut files = match action.take() {
                    Some((_, Action::MergeReports(files))) => files,
                    other => {
                        *action = other;
                        Vec::new()
                    }
                };
                files.push(value.into());
                Action::MergeReports(files)
            }
            // An option of the table that this function forgot.
            other => {
                return Err(UsageError::BadValue {
                    option: format!("--{other}"),
                    reason: "this version of fab does not do that yet".to_owned(),
                });
            }
        };
        let name = given.option.name();
        match action {
            // Help and version win over anything else that is asked for.
            Some((_, Action::Help | Action::Version)) => {}
            Some((other, there))
                if *other != name && *there != does && !matches!(does, Action::Help | Action::Version) =>
            {
                return Err(UsageError::Conflict(other.clone(), name));
            }
            _ => *action = Some((name, does)),
        }
        Ok(())
    }

    fn set(&mut self, setting: &'static str, value: Value, given: &Given) {
        self.settings.push((setting, value, given.option.spelling()));
    }

    fn add(&mut self, setting: &'static str, items: impl IntoIterator<Item = Value>, given: &Given) {
        let mut list = self.setting(setting).and_then(Value::as_array).cloned().unwrap_or_default();
        list.extend(items);
        self.set(setting, list.into(), given);
    }
}

/// A value by the type of its setting.
fn read(name: &str, text: &str) -> Result<Value, String> {
    let kind = Setting::find(name).map(|setting| setting.kind);
    let value = kind.map_or(Ok(text.into()), |kind| kind.parse(text))?;
    // What the type of the value alone doesn't tell.
    let share = match (name, &value) {
        ("batch", Value::String(share)) => Share::of_batch(share),
        ("limit", Value::String(share)) => Share::of_limit(share),
        ("max_failures", Value::String(share)) => share.parse(),
        _ => return Ok(value),
    };
    share.map(|_| value).map_err(|error| error.to_string())
}

/// With what was found, unless it is a secret or told already.
fn bad_value(option: String, setting: &str, value: &str, reason: String) -> UsageError {
    let secret = Setting::find(setting).is_some_and(Setting::is_secret);
    let found = if secret || reason.contains(value) { String::new() } else { format!(", found `{value}`") };
    UsageError::BadValue { option, reason: reason + &found }
}

/// Whether a list was given that names nothing, neither hosts nor files.
fn is_blank(list: &str) -> bool {
    list.trim_matches(|c: char| c == ',' || c.is_whitespace()).is_empty()
}

/// The text of a host list's file; `-` is standard input.
fn read_list(file: &str, stdin: &mut dyn FnMut() -> io::Result<String>) -> io::Result<String> {
    match (file, file.strip_prefix("~/"), std::env::home_dir()) {
        ("-", ..) => stdin(),
        // No shell expands the `~` of `-H @~/hosts`.
        (_, Some(rest), Some(home)) => std::fs::read_to_string(home.join(rest)),
        _ => std::fs::read_to_string(file),
    }
}

#[cfg(test)]
mod tests {
    use super::super::low::parse;
    use super::*;
    use serde_json::json;

    fn options(args: &[&str]) -> Result<Options, UsageError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::new(parse(&args, &|_| Vec::new())?, &mut || Ok("in1\nin2\n".to_owned()))
    }

    fn setting(args: &[&str], name: &str) -> Option<Value> {
        options(args).unwrap().setting(name).cloned()
    }

    #[test]
    fn the_lists_of_a_call_take_files() {
        let call = |token: &str| options(&[token]).map(|options| options.tasks[0].selection.clone());
        let lists = call("t:hosts=a;@-,exclude_hosts=@-;b").unwrap();
        assert_eq!(lists.hosts, ["a", "in1", "in2"]);
        assert_eq!(lists.exclude, ["in1", "in2", "b"]);
        let empty = std::env::temp_dir().join(format!("fabric-no-hosts-{}", std::process::id()));
        std::fs::write(&empty, "# none\n").unwrap();
        let emptied = call(&format!("t:hosts=@{}", empty.display()));
        std::fs::remove_file(&empty).unwrap();
        assert!(matches!(emptied, Err(UsageError::NoHosts { .. })), "{emptied:?}");
        assert!(matches!(call("t:hosts=@/missing/list"), Err(UsageError::BadValue { .. })));
    }

    #[test]
    fn options_set_settings_by_their_type() {
        for (args, name, expected) in [
            (&["-H", "web[1-2],@-"][..], "hosts", json!(["web1", "web2", "in1", "in2"])),
            (&["-H", "a", "-H", "b"], "hosts", json!(["a", "b"])),
            (&["-H", "w[1-4]", "--hosts", "!w2", "-H", "x"], "hosts", json!(["w1", "w3", "w4", "x"])),
            (&["-x", "a", "-x", "", "-x", "b,c"], "exclude_hosts", json!(["a", "b", "c"])),
            (&["--only", "a", "--only", "@-"], "only_hosts", json!(["a", "in1", "in2"])),
            (&["-R", "web, db"], "roles", json!(["web", "db"])),
            (&["-R", "web, db", "-R", "&dc1"], "roles", json!(["web", "db", "&dc1"])),
            (&["-z", "5", "-z", "6"], "pool_size", json!(6)),
            (&["-z", "5"], "pool_size", json!(5)),
            (&["-t", "2.5"], "timeout", json!(2.5)),
            (&["-i", "a", "-i", "b"], "key_filename", json!(["a", "b"])),
            (&["-w"], "warn_only", json!(true)),
            (&["--no-pty"], "always_use_pty", json!(false)),
            (&["-s", "sh -c"], "shell", json!("sh -c")),
            (&["-s", "sh -c"], "use_shell", json!(true)),
            (&["-g", "none"], "gateway", json!(false)),
        ] {
            assert_eq!(setting(args, name), Some(expected), "{args:?} {name}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (args, expected) in [
            (&["-z", "many"][..], "--pool-size: expected a whole number from 0 to 4294967295, found `many`"),
            (
                &["-z", "18446744073709551615"],
                "--pool-size: expected a whole number from 0 to 4294967295, found `18446744073709551615`",
            ),
            (
                &["--retries", "99999999999"],
                "--retries: expected a whole number from 0 to 4294967295, found `99999999999`",
            ),
            (&["-t", "nan"], "--timeout: expected a number of seconds from 0 to 1000000000, found `nan`"),
            (&["-t", "-1"], "--timeout: expected a number of seconds from 0 to 1000000000, found `-1`"),
            (&["-T", "nan"], "--command-timeout: expected a number of seconds from 0 to 1000000000, found `nan`"),
            (&["-T", "inf"], "--command-timeout: expected a number of seconds from 0 to 1000000000, found `inf`"),
            (&["--port", "99999"], "--port: expected a port from 1 to 65535, found `99999`"),
            (&["--batch", "0"], "--batch: `0` is not a batch: it takes at least one host (5, or 25%)"),
            (&["--limit", "0"], "--limit: `0` is not a limit: it leaves at least one host (5, or 25%)"),
            (&["--limit", "0%"], "--limit: `0%` is not a limit: it leaves at least one host (5, or 25%)"),
            (&["--limit", "ten"], "--limit: `ten` is not a number of hosts (5) or a share of them (25%)"),
            (&["--list", "--demo"], "--list and --demo cannot be used together"),
            (
                &["--hide", "stdot"],
                "--hide: `stdot` is not one of status, aborts, warnings, running, stdout, stderr, user, exceptions, \
                 debug, output, everything, commands: did you mean stdout?",
            ),
        ] {
            assert_eq!(options(args).err().map(|error| error.to_string()).as_deref(), Some(expected), "{args:?}");
        }
    }

    #[test]
    fn a_list_that_comes_to_nothing_is_not_taken_for_all() {
        for (args, runs) in [
            (&["-H", "a!a"][..], false),
            (&["-H", "@-"], false),
            (&["--only", ""], false),
            (&["--only", "a&b"], false),
            (&["-H", ""], true),
            (&["-H", " , "], true),
            (&["-x", "a!a"], true),
        ] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let typed = parse(&args, &|_| Vec::new()).unwrap();
            let read = Options::new(typed, &mut || Ok("# nobody\n".to_owned()));
            match read {
                Ok(_) => assert!(runs, "{args:?}"),
                Err(error) => assert!(!runs && matches!(error, UsageError::NoHosts { .. }), "{args:?}: {error}"),
            }
        }
    }

    #[test]
    fn a_command_line_spelled_out_holds_no_secret() {
        let run = options(&[
            "-Pw",
            "-H",
            "web[1-2],@-",
            "-p",
            "hunter2",
            "--sudo-password=hunter2",
            "--set",
            "passwords={}",
            "--set",
            "a=b",
            "--set",
            "db_password=hunter2",
            "--set",
            "b=c,gateway=socks5://joe:hunter2@proxy",
            "-g",
            "socks5:/joe:hunter2",
            "deploy:x\\,y",
            "--",
            "echo",
            "-p",
        ]);
        let hosts = "--hosts=web1,web2,in1,in2";
        let gateways = ["--gateway=socks5://joe:***@proxy", "--gateway=socks5:/joe:***"];
        let options = ["--parallel", "--warn-only", hosts, "--set=a=b", gateways[0], "--set=b=c", gateways[1]];
        let expected = [&options[..], &["deploy:x\\,y", "--", "echo", "-p"]].concat();
        assert_eq!(run.unwrap().arguments, expected);
    }

    #[test]
    fn several_values_of_one_option_are_told() {
        let told = |args: &[&str]| -> Vec<String> {
            options(args).unwrap().overridden().iter().map(ToString::to_string).collect()
        };
        let gateway = "-g is given more than once: `socks5://b` is used, `socks5://joe:***@a` is not";
        assert_eq!(told(&["-g", "socks5://joe:pw@a", "-g", "socks5://b"]), [gateway]);
        let both = [
            "-f is given more than once: `c` is used, `b` is not",
            "-c is given more than once: `y` is used, `x` is not",
        ];
        assert_eq!(told(&["-f", "a", "-c", "x", "-f", "b", "-f", "c", "-c", "y"]), both);
        assert!(told(&["-f", "a", "-f", "a", "-u", "a", "-u", "b", "-H", "a", "-H", "b"]).is_empty());
    }

    #[test]
    fn actions() {
        assert_eq!(options(&["--plan=json", "deploy"]).unwrap().action, Action::Plan(Some(Format::Json)));
        assert_eq!(options(&["-l", "-V"]).unwrap().action, Action::Version);
        assert_eq!(options(&["-V", "-l"]).unwrap().action, Action::Version);
        assert_eq!(options(&["-l", "-F", "nested"]).unwrap().list_format, Some(ListFormat::Nested));
        let files = vec![PathBuf::from("a"), PathBuf::from("b")];
        assert_eq!(options(&["--merge-reports", "a", "b"]).unwrap().action, Action::MergeReports(files));
        let run = options(&["a", "--", "uname", "-a"]).unwrap();
        assert_eq!((run.action, run.command.as_deref()), (Action::Run, Some("uname -a")));
        assert_eq!(options(&["--"]).unwrap().command, None);
    }
}
