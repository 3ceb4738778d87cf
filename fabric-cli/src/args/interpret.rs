//! From the words typed to their meaning.

use std::io;

use fabric_core::Value;
use fabric_core::settings::{Setting, nearest};
use fabric_exec::Invocation;
use fabric_exec::hostlist::{Share, read_host_option};

use super::UsageError;
use super::option::{Effect, GivenOption};
use super::options::Options;
use super::parser::Typed;
use crate::render::{Levels, UnknownLevel};

/// Reads the host list file of this name, as typed; `-` is standard input.
pub(crate) type ReadList<'a> = &'a dyn Fn(&str) -> io::Result<String>;

impl Options {
    /// The meaning of the options needed to find the fabfile. Host lists are left out, as they may be read from standard
    /// input.
    pub(crate) fn head(mut typed: Typed) -> Result<Self, UsageError> {
        typed.options.retain(|given| !matches!(given.option.does, Effect::SetHosts(_)));
        Self::new(Typed { options: typed.options, ..Typed::default() }, &|_| Ok(String::new()))
    }

    /// The meaning of a whole command line.
    pub(crate) fn new(typed: Typed, read_list: ReadList<'_>) -> Result<Self, UsageError> {
        tracing::trace!(route = "options: what the words mean");
        let mut options = Self { tasks: typed.tasks, words: typed.words, ..Self::default() };
        let command = typed.remainder.as_ref().map(|words| words.join(" "));
        options.command = command.filter(|command| !command.trim().is_empty());
        for given in &typed.options {
            let value = given.value();
            match given.option.does {
                Effect::Own(does) => does(&mut options, given),
                Effect::Assign => options.set.push(value.to_owned()),
                Effect::Switch(setting, on) => options.set(setting, on.into(), given),
                Effect::Set(setting) => options.set(setting, read(setting, given)?, given),
                Effect::Add(setting) => options.add(setting, [value.into()], given),
                Effect::Extend(setting) => {
                    let items = read(setting, given)?;
                    options.add(setting, items.as_array().cloned().unwrap_or_default(), given);
                }
                // Read with the first one.
                Effect::SetHosts(setting) if options.setting(setting).is_some() => {}
                Effect::SetHosts(setting) => {
                    // Joined, as set operators apply across repeated options.
                    let same = typed.options.iter().filter(|other| other.option.long == given.option.long);
                    let list = read_hosts(setting, given, same.map(GivenOption::value), read_list)?;
                    options.set(setting, list.into(), given);
                }
            }
        }
        let levels = &mut options.levels;
        options
            .shown
            .iter()
            .try_for_each(|names| levels.show(names))
            .map_err(|level| unknown_level("--show", level))?;
        options
            .hidden
            .iter()
            .try_for_each(|names| levels.hide(names))
            .map_err(|level| unknown_level("--hide", level))?;
        options.tasks.iter_mut().try_for_each(|call| read_lists_of(call, read_list))?;
        if let Some((one, other)) = options.conflict {
            return Err(UsageError::Conflict(one, other));
        }
        if let Some(option) = options.asked_by.as_ref().filter(|_| options.retry_failed && !options.action.may_retry())
        {
            return Err(UsageError::Conflict("--retry-failed".to_owned(), option.clone()));
        }
        options.arguments = options.recorded(&typed.options, &typed.params, typed.remainder);
        Ok(options)
    }
}

fn unknown_level(option: &str, UnknownLevel(value): UnknownLevel) -> UsageError {
    let all = [&Levels::NAMES[..], &Levels::GROUPS[..]].concat();
    let hint = nearest(&value, all.iter().copied()).map(str::to_owned);
    UsageError::NotOneOf { what: option.to_owned(), words: all.join(", "), hint, value }
}

/// Reads a value by the type of its setting.
fn read(setting: &str, given: &GivenOption) -> Result<Value, UsageError> {
    let text = given.value();
    let read = || -> Result<Value, String> {
        let kind = Setting::find(setting).map(|setting| setting.kind);
        let value = kind.map_or(Ok(text.into()), |kind| kind.parse(text).map_err(|error| error.to_string()))?;
        // Types alone don't check these.
        let share = match (setting, &value) {
            ("batch", Value::String(share)) => Share::of_batch(share),
            ("limit", Value::String(share)) => Share::of_limit(share),
            ("max_failures", Value::String(share)) => share.parse(),
            _ => return Ok(value),
        };
        share.map(|_| value).map_err(|error| error.to_string())
    };
    read().map_err(|reason| {
        // Adds the value, unless it is a secret or in the message already.
        let secret = Setting::find(setting).is_some_and(Setting::is_secret);
        let found = if secret || reason.contains(text) { String::new() } else { format!(", found `{text}`") };
        UsageError::BadValue { option: given.option.name(), reason: reason + &found }
    })
}

/// The hosts in all values of one option.
fn read_hosts<'a>(
    setting: &str,
    given: &GivenOption,
    values: impl Iterator<Item = &'a str>,
    read_list: ReadList<'_>,
) -> Result<Vec<String>, UsageError> {
    let (option, value) = (given.option.name(), values.collect::<Vec<_>>().join(","));
    let list = read_host_option(&value, read_list)
        .map_err(|error| UsageError::BadValue { option: option.clone(), reason: error.to_string() })?;
    let is_blank = value.chars().all(|c| c == ',' || c.is_whitespace());
    // An empty `--only` must not mean all hosts.
    if list.is_empty() && setting != "exclude_hosts" && (setting == "only_hosts" || !is_blank) {
        return Err(UsageError::NoHosts { option, value });
    }
    Ok(list)
}

/// Reads the files in a call's host lists: `task:hosts=@file`.
fn read_lists_of(call: &mut Invocation, read_list: ReadList<'_>) -> Result<(), UsageError> {
    let task = &call.task;
    for (name, list) in [("hosts", &mut call.selection.hosts), ("exclude_hosts", &mut call.selection.exclude)] {
        let Some(file) = list.iter().find(|item| item.starts_with('@')).cloned() else { continue };
        let option = format!("{task}:{name}=..");
        let read: Result<Vec<_>, _> = list.iter().map(|item| read_host_option(item, read_list)).collect();
        *list = match read {
            Ok(lists) if name == "hosts" && lists.iter().all(Vec::is_empty) => {
                return Err(UsageError::NoHosts { option, value: file });
            }
            Ok(lists) => lists.concat(),
            Err(error) => return Err(UsageError::BadValue { option, reason: error.to_string() }),
        };
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::action::Action;
    use super::super::parser::parse;
    use super::*;
    use serde_json::json;

    pub(in crate::args) fn options(args: &[&str]) -> Result<Options, UsageError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::new(parse(&args, &|_| Vec::new())?, &|file| {
            if file == "-" { Ok("in1\nin2\n".to_owned()) } else { std::fs::read_to_string(file) }
        })
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
        let empty = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(empty.path(), "# none\n").unwrap();
        let emptied = call(&format!("t:hosts=@{}", empty.path().display()));
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
            (&["-R", "web, db", "-R", "&dc1"], "roles", json!(["web", "db", "&dc1"])),
            (&["-t", "2.5"], "timeout", json!(2.5)),
        ] {
            assert_eq!(setting(args, name), Some(expected), "{args:?} {name}");
        }
    }

    #[test]
    fn mistakes_are_explained() {
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
            (&["--limit", "ten"], "--limit: expected a number of hosts (5) or a share of them (25%), found `ten`"),
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
            let read = Options::new(typed, &|_| Ok("# nothing\n".to_owned()));
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
    fn several_values_of_one_option_are_warned_of() {
        let warned = |args: &[&str]| -> Vec<String> {
            options(args).unwrap().overridden().iter().map(ToString::to_string).collect()
        };
        let gateway = "-g is given more than once: `socks5://b` is used, `socks5://joe:***@a` is not";
        assert_eq!(warned(&["-g", "socks5://joe:pw@a", "-g", "socks5://b"]), [gateway]);
        let both = [
            "-f is given more than once: `c` is used, `b` is not",
            "-c is given more than once: `y` is used, `x` is not",
        ];
        assert_eq!(warned(&["-f", "a", "-c", "x", "-f", "b", "-f", "c", "-c", "y"]), both);
        assert!(warned(&["-f", "a", "-f", "a", "-u", "a", "-u", "b", "-H", "a", "-H", "b"]).is_empty());
    }

    #[test]
    fn help_and_version_win_over_other_actions() {
        assert_eq!(options(&["-l", "-V"]).unwrap().action, Action::Version);
        assert_eq!(options(&["-V", "-l"]).unwrap().action, Action::Version);
        let run = options(&["a", "--", "uname", "-a"]).unwrap();
        assert_eq!((run.action, run.command.as_deref()), (Action::Run, Some("uname -a")));
        assert_eq!(options(&["--"]).unwrap().command, None);
    }
}
