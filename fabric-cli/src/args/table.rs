//! The table: each option in one place, from which the parser, the help and the completions are made.

/// One option of `fab`.
#[derive(Debug)]
pub struct Opt {
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// Another long name that means the same.
    pub alias: Option<&'static str>,
    /// Whether and how it takes a value.
    pub takes: Takes,
    /// What it does.
    pub does: Does,
    /// Where the help shows it.
    pub group: Group,
    /// What the help says about it.
    pub help: &'static str,
    /// What its value completes to.
    pub completes: Completes,
}

/// Whether and how an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No value.
    Nothing,
    /// A value of this name: attached (`--opt=value`, `-ovalue`) or the next argument, whatever it is.
    Value(&'static str),
    /// One of these words, as with [`Takes::Value`].
    OneOf(&'static [&'static str]),
    /// Perhaps one of these words, only by `--opt=word`.
    MaybeOneOf(&'static [&'static str]),
    /// Perhaps one of these words: attached, or the next argument if it is one of them.
    MaybeNextOneOf(&'static [&'static str]),
    /// Perhaps a value: attached, or the next argument if that is no option.
    MaybeNext(&'static str),
    /// All arguments up to the next option, at least one.
    Many(&'static str),
}

/// What an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Sets this setting to its value, read by the setting's type.
    Set(&'static str),
    /// Adds its value to this setting, a list.
    Add(&'static str),
    /// Adds the items of its value to this setting, a list.
    Extend(&'static str),
    /// Sets this setting to the hosts that its values stand for: ranges, braces and `@file` expanded. Given several
    /// times, it is one list.
    SetHosts(&'static str),
    /// Sets this setting, a switch.
    Switch(&'static str, bool),
    /// Something of the command line itself; see [`super::Options`].
    Own,
}

/// The headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// On which hosts.
    Hosts,
    /// In which order, and what about failures.
    Running,
    /// How to connect and log in.
    Connecting,
    /// How commands run.
    Commands,
    /// What is shown.
    Output,
    /// Which files are read.
    Files,
    /// What to do instead of running tasks.
    Instead,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Hosts, "Hosts"),
        (Self::Running, "Running"),
        (Self::Output, "Output"),
        (Self::Instead, "Instead of running"),
        (Self::Connecting, "Connecting"),
        (Self::Commands, "Commands"),
        (Self::Files, "Files"),
    ];
}

/// What a value completes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing that is known.
    Nothing,
    /// Files.
    Files,
    /// Host strings.
    Hosts,
    /// Names of roles.
    Roles,
    /// Names of tasks.
    Tasks,
    /// Names of settings.
    Settings,
    /// Output levels.
    Levels,
}

impl Opt {
    /// `-H, --hosts`, as a person would type it.
    pub fn spelling(&self) -> String {
        match self.short {
            Some(short) if !self.long.is_empty() => format!("-{short}, --{}", self.long),
            Some(short) => format!("-{short}"),
            None => format!("--{}", self.long),
        }
    }

    /// Whether it does something else than to run or to plan tasks, or to tell of those that are named.
    pub fn replaces_tasks(&self) -> bool {
        self.group == Group::Instead && !matches!(self.long, "plan" | "format" | "help")
    }

    /// Its name in messages: `--hosts`, or `-i` for one that is only a letter.
    pub fn name(&self) -> String {
        if self.long.is_empty() { format!("-{}", self.short.unwrap_or('?')) } else { format!("--{}", self.long) }
    }
}

/// The option of this letter.
pub fn by_letter(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.short == Some(letter))
}

/// The option of this long name or alias, spelled out.
pub fn by_name(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| !name.is_empty() && (option.long == name || option.alias == Some(name)))
}

/// All options whose long name begins like this: one, if the abbreviation is unique.
pub fn by_prefix(prefix: &str) -> Vec<&'static Opt> {
    OPTIONS.iter().filter(|option| !prefix.is_empty() && option.long.starts_with(prefix)).collect()
}

const NONE: Opt = Opt {
    long: "",
    short: None,
    alias: None,
    takes: Takes::Nothing,
    does: Does::Own,
    group: Group::Instead,
    help: "",
    completes: Completes::Nothing,
};

macro_rules! options {
    ($( $group:ident: { $( $long:literal $(/ $short:literal)? $(= $takes:expr)?, $does:expr, $help:literal
        $(, completes $completes:ident)? $(, alias $alias:literal)?; )+ } )+) => {
        /// Every option.
        pub static OPTIONS: &[Opt] = &[ $( $( Opt {
            long: $long,
            group: Group::$group,
            does: $does,
            help: $help,
            $( short: Some($short), )?
            $( takes: $takes, )?
            $( completes: Completes::$completes, )?
            $( alias: Some($alias), )?
            ..NONE
        }, )+ )+ ];
    };
}

use Does::{Add, Extend, Own, Set, SetHosts, Switch};
use Takes::{Many, MaybeNext, MaybeNextOneOf, MaybeOneOf, OneOf, Value};

options! {
    Hosts: {
        "hosts" / 'H' = Value("HOSTS"), SetHosts("hosts"),
            "run on these hosts: user@host:port, ranges web[1-9], @file, separated by commas", completes Hosts;
        "roles" / 'R' = Value("ROLES"), Extend("roles"),
            "run on the hosts of these roles; web&dc1 is both, web!old without, web^db either", completes Roles;
        "exclude-hosts" / 'x' = Value("HOSTS"), SetHosts("exclude_hosts"), "leave these hosts out", completes Hosts;
        "only" = Value("HOSTS"), SetHosts("only_hosts"), "run on no other hosts than these, whatever the list",
            completes Hosts;
        "limit" = Value("N|P%"), Set("limit"), "run on the first N hosts, or P %, of each host list only";
        "shard" = Value("I/N|auto"), Own,
            "run on every host whose position is I modulo N; auto asks Kubernetes or Slurm for the index";
    }
    Running: {
        "parallel" / 'P', Switch("parallel", true), "run on all hosts at the same time";
        "pool-size" / 'z' = Value("N"), Set("pool_size"), "run on at most N hosts at the same time";
        "batch" = Value("N|P%"), Set("batch"), "go through the hosts in batches of N hosts, or P %";
        "max-failures" = Value("N|P%"), Set("max_failures"), "start nothing new once more hosts than that have failed";
        "keep-going", Own, "go on with the other hosts whichever fail, as --max-failures 100% does";
        "retries" = Value("N"), Set("retries"), "try a failed host up to N more times";
        "retry-failed", Own, "run the last run's command line again where it failed or never started";
        "warn-only" / 'w', Switch("warn_only", true), "warn of failing commands and go on";
        "skip-bad-hosts", Switch("skip_bad_hosts", true), "warn of hosts that can't be reached and go on";
        "skip-unknown-tasks", Switch("skip_unknown_tasks", true), "warn of unknown tasks and go on";
        "abort-on-prompts", Switch("abort_on_prompts", true), "fail instead of asking anything";
        "dry-run", Own, "print every command and transfer instead of doing it";
        "eagerly-disconnect" / 'e', Switch("eagerly_disconnect", true), "close connections after each task";
    }
    Connecting: {
        "user" / 'u' = Value("USER"), Set("user"), "log in as this user";
        "port" = Value("PORT"), Set("port"), "connect to this port";
        "password" / 'p' = Value("PASSWORD"), Set("password"),
            "log in, and answer sudo, with this password; others can see it in the process list: prefer -I";
        "initial-password-prompt" / 'I', Own, "ask for the password before anything runs";
        "sudo-password" = Value("PASSWORD"), Set("sudo_password"), "answer sudo with this password";
        "initial-sudo-password-prompt", Own, "ask for the sudo password before anything runs";
        "identity" / 'i' = Value("FILE"), Add("key_filename"), "log in with this private key; may be repeated",
            completes Files;
        "no-keys" / 'k', Switch("no_keys", true), "leave the keys in ~/.ssh alone";
        "no-agent" / 'a', Switch("no_agent", true), "leave the ssh agent alone", alias "no_agent";
        "forward-agent" / 'A', Switch("forward_agent", true), "let the hosts use the ssh agent";
        "gateway" / 'g' = Value("GATEWAY"), Set("gateway"),
            "go through these jump hosts, this proxy command, or this plugin's scheme://", completes Hosts;
        "timeout" / 't' = Value("SECONDS"), Set("timeout"), "give up connecting after this long";
        "auth-timeout" = Value("SECONDS"), Set("auth_timeout"), "give up logging in after this long without an answer";
        "banner-timeout" = Value("SECONDS"), Set("banner_timeout"), "give up waiting for the server after this long";
        "connection-attempts" / 'n' = Value("N"), Set("connection_attempts"), "try to connect N times in all";
        "keepalive" = Value("SECONDS"), Set("keepalive"), "ask silent hosts for a sign of life this often (30; 0: never)";
        "disable-known-hosts" / 'D', Switch("disable_known_hosts", true), "take any host key, unread and unrecorded";
        "reject-unknown-hosts" / 'r', Switch("reject_unknown_hosts", true), "refuse hosts that no known_hosts file has";
        "system-known-hosts" = Value("FILE"), Set("system_known_hosts"), "read this known_hosts file too",
            completes Files;
        "gss-auth", Switch("gss_auth", true), "log in by GSSAPI (Kerberos)";
        "gss-deleg", Switch("gss_deleg", true), "delegate GSSAPI credentials";
        "gss-kex", Switch("gss_kex", true), "exchange keys by GSSAPI";
        "plugin" = Value("FILE"), Add("plugins"), "load this transport or gateway plugin; may be repeated",
            completes Files;
    }
    Commands: {
        "command-timeout" / 'T' = Value("SECONDS"), Set("command_timeout"), "end commands that take longer";
        "shell" / 's' = Value("SHELL"), Own, "run commands by this shell, such as '/bin/bash -l -c'";
        "no-pty", Switch("always_use_pty", false), "never run commands on a pseudo-terminal";
        "no-stdin", Own, "let no command read standard input";
        "set" = Value("KEY=VALUE,.."), Own, "set any setting, or shared state for tasks; \\, and \\= are literal",
            completes Settings;
    }
    Output: {
        "output" = OneOf(&["prefix", "grouped", "similar", "raw", "json"]), Own,
            "show lines with their host, identical or nearly equal output folded, bare output, or events as JSON";
        "progress" = OneOf(&["auto", "always", "never"]), Own, "show what is going on below the output";
        "hide" = Value("LEVELS"), Own, "hide these output levels, separated by commas", completes Levels;
        "show" = Value("LEVELS"), Own, "show these output levels", completes Levels;
        "linewise", Switch("linewise", true), "show whole lines only";
        "colorize-errors", Switch("colorize_errors", true), "errors in red, warnings in magenta";
        "report" = Value("FILE"), Own, "write the finished run to FILE.json, FILE.xml (JUnit) or FILE.html; may be repeated",
            completes Files;
        "log" = Value("FILTER"), Own, "diagnostic log on stderr: debug, fabric_transport=trace, ..";
    }
    Files: {
        "fabfile" / 'f' = Value("FILE"), Set("fabfile"), "the fabfile to load, or its name to search for",
            completes Files;
        "config" / 'c' = Value("FILE"), Set("rcfile"), "the settings file to read instead of ~/.fabricrc",
            completes Files;
        "ssh-config-path" = Value("FILE"), Set("ssh_config_path"), "read this ssh_config and no other", completes Files;
        "ignore-ssh-config", Switch("use_ssh_config", false), "read no ssh_config";
    }
    Instead: {
        "list" / 'l', Own, "list the tasks";
        "shortlist", Own, "list the tasks' bare names, one a line";
        "list-format" / 'F' = OneOf(&["short", "normal", "nested", "json"]), Own, "how to list the tasks";
        "display" / 'd' = Value("TASK"), Own, "show what is known about a task", completes Tasks;
        "plan" = MaybeOneOf(&["text", "json"]), Own, "show what would run where, and connect to nothing";
        "check", Own, "check the whole fabfile: names, files, roles; connect to nothing";
        "show-config" = MaybeNext("HOST"), Own, "show every setting in force and where it comes from", completes Hosts;
        "explain" = Value("SETTING"), Own, "show one setting's layers and which won", completes Settings;
        "format" = OneOf(&["text", "json"]), Own, "how to show the settings";
        "init" = MaybeNextOneOf(&["toml", "rust", "plugin"]), Own, "write a commented starter";
        "demo", Own, "run a small deploy on an embedded fleet";
        "merge-reports" = Many("FILE"), Own, "make one report out of several shards'", completes Files;
        "completion" = OneOf(&["bash", "zsh", "fish"]), Own, "print a completion script";
        "plugins", Own, "list the plugins found";
        "help" / 'h', Own, "show this, or what a task takes: --help TASK";
        "version" / 'V', Own, "show the version";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::settings::Setting;

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
