//! A transport into containers and similar, by docker, podman, kubectl, nsenter, chroot, or any command that runs a
//! command elsewhere.
//!
//! `transport = "container"` or `container://[user@]name`. The option `runtime` selects the runtime (default:
//! `docker`); `command` is a custom command, in which `{host}` and `{user}` stand for the target's and to which `sh -c
//! COMMAND` is appended:
//!
//! ```toml
//! [hosts."jail*".transport_options.container]
//! command = ["jexec", "-U", "{user}", "{host}"]
//! ```
//!
//! Signals reach processes of nsenter, chroot and custom commands. docker, podman and kubectl don't pass signals on,
//! nor does a custom command with the option `client`: stopping a process ends its client, and the error says that the
//! process may still be running.

use std::process::Command;

use fabric_plugin_sdk::{
    Cancel, Description, OpenRequest, OptionKind, PluginError, ProcessFds, SpawnRequest, TransportPlugin,
    TransportSession, export_plugin,
};

/// How a runtime runs a command: its words, those for a terminal, and those for a user.
struct Runtime {
    name: &'static str,
    words: &'static [&'static str],
    terminal: &'static [&'static str],
    user: &'static [&'static str],
    target: &'static [&'static str],
    /// Whether its command is only a client of a process elsewhere, which signals don't reach.
    client: bool,
}

const RUNTIMES: [Runtime; 5] = [
    Runtime {
        name: "docker",
        words: &["docker", "exec", "--interactive"],
        terminal: &["--tty"],
        user: &["--user", "{user}"],
        target: &["{host}"],
        client: true,
    },
    Runtime {
        name: "podman",
        words: &["podman", "exec", "--interactive"],
        terminal: &["--tty"],
        user: &["--user", "{user}"],
        target: &["{host}"],
        client: true,
    },
    Runtime {
        name: "kubectl",
        words: &["kubectl", "exec", "--stdin"],
        terminal: &["--tty"],
        user: &[],
        target: &["{host}", "--"],
        client: true,
    },
    Runtime {
        name: "nsenter",
        words: &["nsenter", "--all"],
        terminal: &[],
        user: &[],
        target: &["--target", "{host}", "--"],
        client: false,
    },
    Runtime {
        name: "chroot",
        words: &["chroot"],
        terminal: &[],
        user: &["--userspec={user}"],
        target: &["{root}"],
        client: false,
    },
];

#[derive(Default)]
struct Container;

impl TransportPlugin for Container {
    const NAME: &'static str = "container";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    type Session = Session;

    fn describe(&self) -> Description {
        Description::transport("docker, podman, kubectl, nsenter, chroot, or a command of your own")
            .option("runtime", OptionKind::Text, "docker (default), podman, kubectl, nsenter or chroot")
            .option("program", OptionKind::Text, "where the runtime's program is (default: its name, found in PATH)")
            .option("args", OptionKind::List, "further arguments for it, before the target: [\"-n\", \"namespace\"]")
            .option("command", OptionKind::List, "a command of your own; {host} and {user} stand for the target's")
            .option(
                "client",
                OptionKind::Bool,
                "whether `command` is the client of a process elsewhere, which signals do not reach (default: false)",
            )
            .option(
                "root",
                OptionKind::Text,
                "for chroot: the directory, {host} in it for the target's (default: /{host})",
            )
            .option("shell", OptionKind::Text, "the shell in there (default: sh)")
    }

    fn open(&self, request: &OpenRequest, _cancel: &Cancel<'_>) -> Result<Session, PluginError> {
        Session::new(request)
    }
}

export_plugin!(transport Container);

/// The words before a command, with and without a terminal.
#[derive(Debug)]
struct Session {
    plain: Vec<String>,
    terminal: Vec<String>,
    shell: String,
    client: bool,
}

impl Session {
    fn new(request: &OpenRequest) -> Result<Self, PluginError> {
        let text = |name: &str| request.options.get(name).and_then(|value| value.as_str());
        let user = request.user.as_deref();
        let root = text("root").unwrap_or("/{host}");
        let stands_for = |name: &str| match name {
            "host" => Some(request.host.as_str()),
            "user" => user,
            _ => None,
        };
        let fill = |words: &[&str]| -> Result<Vec<String>, PluginError> {
            words.iter().map(|word| filled(if *word == "{root}" { root } else { word }, stands_for)).collect()
        };
        let list = |name: &str| -> Option<Vec<&str>> {
            Some(request.options.get(name)?.as_array()?.iter().filter_map(|word| word.as_str()).collect())
        };
        let shell = text("shell").unwrap_or("sh").to_owned();
        if let Some(words) = list("command") {
            if words.is_empty() {
                return Err(PluginError::new("option `command` is empty"));
            }
            let mut runtimes = ["runtime", "program", "args", "root"].into_iter();
            if let Some(other) = runtimes.find(|name| request.options.contains_key(*name)) {
                return Err(PluginError::new(format!("option `{other}` is a runtime's, but `command` is set too")));
            }
            let client = request.options.get("client").is_some_and(|client| client == true);
            let words = fill(&words)?;
            return Ok(Self { plain: words.clone(), terminal: words, shell, client });
        }
        let name = text("runtime").unwrap_or("docker");
        let runtime = RUNTIMES.iter().find(|runtime| runtime.name == name).ok_or_else(|| {
            let known: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.name).collect();
            PluginError::new(format!("option `runtime` is `{name}`; expected one of {}", known.join(", ")))
        })?;
        if user.is_some() && runtime.user.is_empty() {
            return Err(PluginError::new(format!("{name} cannot become a user: leave it out of the host string")));
        }
        let with_user = if user.is_some() { fill(runtime.user)? } else { Vec::new() };
        let further = fill(&list("args").unwrap_or_default())?;
        let (mut words, terminal) = (fill(runtime.words)?, fill(runtime.terminal)?);
        let target = [further, fill(runtime.target)?].concat();
        if let Some(program) = text("program") {
            program.clone_into(&mut words[0]);
        }
        Ok(Self {
            plain: [&words[..], &with_user, &target].concat(),
            terminal: [&words[..], &terminal, &with_user, &target].concat(),
            shell,
            client: runtime.client,
        })
    }

    fn command(&self, request: &SpawnRequest) -> Command {
        let words = if request.pty.is_some() { &self.terminal } else { &self.plain };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        if !request.env.is_empty() {
            // Set inside, as runtimes don't pass their own environment on.
            command.arg("env").args(request.env.iter().map(|(name, value)| format!("{name}={value}")));
        }
        command.args(request.words(&self.shell));
        command
    }
}

/// A word with each `{name}` replaced. In a path, the value must be a single component, without `..`.
fn filled<'a>(word: &str, stands_for: impl Fn(&str) -> Option<&'a str>) -> Result<String, PluginError> {
    let is_path = word.contains('/');
    let (mut out, mut rest) = (String::new(), word);
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        rest = match from.split_once('}') {
            Some((name, after)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                let value = stands_for(name).ok_or_else(|| {
                    PluginError::new(match name {
                        "user" => format!("`{word}` has {{user}}, but no user is given for this host"),
                        _ => format!("`{word}`: there is no {{{name}}}, only {{host}} and {{user}}"),
                    })
                })?;
                if is_path && (value.contains('/') || matches!(value, "." | "..")) {
                    return Err(PluginError::new(format!("`{value}` cannot be part of the path `{word}`")));
                }
                out.push_str(value);
                after
            }
            _ => {
                out.push('{');
                from
            }
        };
    }
    Ok(out + rest)
}

impl TransportSession for Session {
    fn spawn(&self, request: &SpawnRequest, _cancel: &Cancel<'_>) -> Result<ProcessFds, PluginError> {
        let serve = if self.client { ProcessFds::serve_client } else { ProcessFds::serve };
        serve(self.command(request), request.pty.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_plugin_sdk::Pty;
    use serde_json::json;

    fn open(user: Option<&str>, options: serde_json::Value) -> Result<Session, PluginError> {
        open_host("web", user, options)
    }

    fn open_host(host: &str, user: Option<&str>, options: serde_json::Value) -> Result<Session, PluginError> {
        let mut request = OpenRequest::new(format!("container://{host}"), host);
        request.user = user.map(str::to_owned);
        request.options = serde_json::from_value(options).unwrap();
        Session::new(&request)
    }

    fn words(command: &Command) -> String {
        let words: Vec<_> =
            std::iter::once(command.get_program()).chain(command.get_args()).map(|w| w.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn each_runtime_has_its_words() {
        let request = SpawnRequest::command("id");
        let session = open(Some("app"), json!({})).unwrap();
        assert_eq!(words(&session.command(&request)), "docker exec --interactive --user app web sh -c id");
        let session = open(None, json!({"runtime": "kubectl", "args": ["-n", "shop"]})).unwrap();
        let mut request = SpawnRequest::default();
        request.pty = Some(Pty::new("xterm", 80, 24));
        request.env.insert("A".to_owned(), "1".to_owned());
        assert_eq!(words(&session.command(&request)), "kubectl exec --stdin --tty -n shop web -- env A=1 sh -l");
        let session = open(None, json!({"runtime": "chroot", "root": "/srv/{host}"})).unwrap();
        assert_eq!(words(&session.command(&SpawnRequest::default())), "chroot /srv/web sh -l");
        let session = open(None, json!({"runtime": "nsenter", "args": ["--wd"]})).unwrap();
        assert_eq!(words(&session.command(&SpawnRequest::default())), "nsenter --all --wd --target web -- sh -l");
    }

    #[test]
    fn wrong_options_say_what_is_expected() {
        let refused = |user, options| open(user, options).unwrap_err().to_string();
        assert!(refused(None, json!({"runtime": "lxc"})).contains("expected one of docker"));
        assert!(refused(Some("x"), json!({"runtime": "nsenter"})).contains("cannot become a user"));
        assert!(refused(None, json!({"command": []})).contains("is empty"));
        assert!(refused(None, json!({"command": ["su", "{user}"]})).contains("no user is given"));
        assert!(refused(None, json!({"command": ["x"], "root": "/"})).contains("but `command` is set too"));
        assert!(refused(None, json!({"command": ["x"], "runtime": "docker"})).contains("but `command` is set too"));
        assert!(refused(None, json!({"command": ["x", "{hots}"]})).contains("there is no {hots}, only {host}"));
        assert!(open(None, json!({"command": ["x", "{\"a\": {}}"]})).is_ok());
    }

    #[test]
    fn a_hosts_name_leads_out_of_no_path() {
        let chroot = || json!({"runtime": "chroot", "root": "/srv/{host}"});
        for host in ["..", "../etc", "a/../../b"] {
            let error = open_host(host, None, chroot()).unwrap_err().to_string();
            assert!(error.contains("cannot be part of the path `/srv/{host}`"), "{error}");
            assert!(open_host(host, None, json!({"runtime": "chroot"})).is_err());
        }
        // Not a path, but kubectl's syntax.
        assert!(open_host("deploy/web", None, json!({"runtime": "kubectl"})).is_ok());
    }
}
