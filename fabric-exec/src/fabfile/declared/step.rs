//! The steps of a task.

use fabric_core::settings::Problem;
use fabric_core::{Value, command};
use fabric_core_document::{Kind, Member, Members, Node};
use fabric_transport::transfer::Links;
use indexmap::IndexMap;

use super::reader::{Reader, setting_value};
use super::steps::{
    CommandStep, ExecuteStep, Places, PromptStep, SetValue, ShellChoice, Step, StepInput, TransferStep, Until, Verb,
};
use crate::task::Hide;
use crate::template;

/// How often `until` tries again where nothing says how often: for half a minute or so.
const RETRIES: u32 = 5;

const VERBS: &[&str] = &["run", "sudo", "local", "put", "get", "execute", "set", "prompt", "open_shell"];
/// What goes with any work that can fail.
const ANY: &[&str] = &["if", "save", "warn_only", "hide"];
const COMMAND: &[&str] =
    &["cd", "prefix", "path", "env", "shell", "pty", "timeout", "ok_ret_codes", "until", "retries", "delay", "stdin"];
const SUDO: &[&str] = &["user", "group"];
const TRANSFER: &[&str] =
    &["to", "mode", "mirror_local_mode", "links", "use_sudo", "skip_same", "resume", "verify", "atomic"];
const PUT: &[&str] = &["temp_dir", "template"];
/// What has no meaning for a text that is rendered for each host: it is sent as it is, from its beginning.
const NOT_RENDERED: &[&str] = &["skip_same", "resume", "verify", "links"];
const EXECUTE: &[&str] = &["args", "hosts", "roles", "exclude_hosts"];
const PROMPT: &[&str] = &["default", "secret"];
const LEVELS: &[&str] = &[
    "stdout",
    "stderr",
    "running",
    "output",
    "commands",
    "everything",
    "both",
    "out",
    "err",
    "status",
    "aborts",
    "warnings",
    "user",
    "exceptions",
    "debug",
];

impl Reader {
    pub(super) fn steps(&mut self, node: &Node, what: &str) -> Vec<Step> {
        let Kind::List(items) = &node.kind else {
            self.problem(node.line, format!("{what}: expected a list of steps, found {}", node.what()));
            return Vec::new();
        };
        let steps = items.iter().enumerate();
        steps.filter_map(|(index, item)| self.step(item, &format!("step {} of {what}", index + 1))).collect()
    }

    fn step(&mut self, node: &Node, place: &str) -> Option<Step> {
        let of_task = self.places.take();
        let step = self.step_alone(node, place);
        let places = std::mem::replace(&mut self.places, of_task);
        step.map(|step| Step { places, ..step })
    }

    fn step_alone(&mut self, node: &Node, place: &str) -> Option<Step> {
        let Kind::Table(members) = &node.kind else {
            let found = node.what();
            self.problem(node.line, format!("{place}: expected a table such as {{ run = \"..\" }}, found {found}"));
            return None;
        };
        let verbs: Vec<&str> = VERBS.iter().copied().filter(|verb| members.contains_key(*verb)).collect();
        let [verb] = verbs.as_slice() else {
            self.verb_problem(node.line, members, &verbs, place);
            return None;
        };
        let Member { line, node: subject, .. } = &members[*verb];
        let known = keys(verb);
        for (key, Member { line, .. }) in members {
            if !known.contains(&key.as_str()) && key != verb {
                let all: Vec<&str> = known.iter().copied().chain([*verb]).collect();
                self.unknown_key(*line, key, &format!("{place} (`{verb}`)"), &all);
            }
        }
        let what = format!("`{verb}` of {place}");
        let verb = match *verb {
            "run" => Verb::Run(self.command(subject, members, &what)?),
            "sudo" => Verb::Sudo(self.command(subject, members, &what)?),
            "local" => Verb::Local(self.command(subject, members, &what)?),
            "put" => {
                let transfer = self.transfer(subject, members, &what)?;
                let useless = NOT_RENDERED.iter().filter_map(|key| Some((key, members.get(*key)?.line)));
                for (key, line) in useless.filter(|_| transfer.template) {
                    let text = format!("`{key}` of {what}: with `template` the rendered text is sent each time");
                    self.problem(line, text).hint = Some(format!("leave `{key}` out"));
                }
                Verb::Put(transfer)
            }
            "get" => {
                let transfer = self.transfer(subject, members, &what)?;
                if let (Some(mode), Some(Member { line, .. })) =
                    (transfer.mode.filter(|mode| mode & 0o7000 != 0), members.get("mode"))
                {
                    let text = format!("`mode` of {what} is {mode:o}: what comes from a host never gets these bits");
                    self.problem(*line, text);
                }
                Verb::Get(transfer)
            }
            "execute" => Verb::Execute(self.execute(subject, members, &what)?),
            "set" => Verb::Set(self.set(subject, &what)?),
            "prompt" => Verb::Prompt(self.prompt(subject, members, &what)?),
            _ => self.open_shell(subject, &what)?,
        };
        let condition = self.optional(members, "if", Self::condition);
        let save = self.optional(members, "save", |reader, node, what| {
            let name = reader.text(node, what)?;
            if !command::is_env_name(&name) || name == "env" {
                reader
                    .problem(node.line, format!("{what}: `{name}` can't be a name: letters, digits and _, not `env`"));
            }
            Some(name)
        });
        let warn_only = self.optional(members, "warn_only", Self::truth);
        let hide = self.optional(members, "hide", Self::hide).unwrap_or_default();
        Some(Step { at: self.at(*line), verb, condition, save, warn_only, hide, places: Places::default() })
    }

    fn verb_problem(&mut self, line: usize, members: &Members, verbs: &[&str], place: &str) {
        if !verbs.is_empty() {
            self.problem(line, format!("{place} has several verbs: {}; give each a step of its own", verbs.join(", ")));
            return;
        }
        let near = members.iter().find_map(|(key, Member { line, .. })| {
            Some((*line, key, fabric_core::settings::nearest(key, VERBS.iter().copied())?))
        });
        match near {
            Some((line, key, near)) => {
                self.problem(line, format!("unknown key `{key}` in {place}")).hint =
                    Some(format!("did you mean `{near}`?"));
            }
            None => {
                self.problem(line, format!("{place} has no verb: one of {}", VERBS.join(", ")));
            }
        }
    }

    /// Reads a key that may be missing.
    fn optional<T>(
        &mut self,
        members: &Members,
        key: &str,
        read: impl FnOnce(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<T> {
        let member = members.get(key)?;
        read(self, &member.node, &format!("`{key}`"))
    }

    /// A text that is a template.
    pub(super) fn templated(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.textual(node, what)?;
        if let Err(message) = template::check(&text) {
            self.problem(node.line, format!("{what}: {message}"));
        }
        Some(text)
    }

    /// An expression that is true or false.
    fn condition(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.textual(node, what)?;
        if template::is_template(&text) {
            let problem = Problem::new(format!("{what} is an expression, and takes no templates")).at(self.place(node));
            self.problems.push(problem.hint("write `version`, not `{{ version }}`"));
        } else if let Err(message) = template::check_expression(&text) {
            self.problem(node.line, format!("{what}: {message}"));
        }
        Some(text)
    }

    fn command(&mut self, subject: &Node, members: &Members, what: &str) -> Option<CommandStep> {
        Some(CommandStep {
            commands: self.templates(subject, what)?,
            cd: self.optional(members, "cd", Self::templated),
            prefix: self.optional(members, "prefix", Self::templates).unwrap_or_default(),
            path: self.optional(members, "path", Self::templated),
            env: self.optional(members, "env", Self::text_map).unwrap_or_default(),
            shell: self.optional(members, "shell", |reader, node, what| match &node.kind {
                Kind::Scalar(Value::Bool(wrap)) => Some(ShellChoice::Wrapped(*wrap)),
                _ if !reader.no_word(node, what) => None,
                _ => reader.templated(node, what).map(ShellChoice::Named),
            }),
            pty: self.optional(members, "pty", Self::truth),
            timeout: self.optional(members, "timeout", Self::seconds),
            ok_ret_codes: self.optional(members, "ok_ret_codes", |reader, node, what| match &node.kind {
                Kind::List(items) => Some(items.iter().filter_map(|item| reader.integer(item, what)).collect()),
                _ => reader.integer(node, what).map(|code| vec![code]),
            }),
            user: self.optional(members, "user", Self::templated),
            group: self.optional(members, "group", Self::templated),
            until: self.until(members, what),
            stdin: self.optional(members, "stdin", Self::stdin),
        })
    }

    /// `true`, `false`, a text, or `{ file = ".." }`.
    fn stdin(&mut self, node: &Node, what: &str) -> Option<StepInput> {
        Some(match &node.kind {
            Kind::Scalar(Value::Bool(true)) => StepInput::Given,
            Kind::Scalar(Value::Bool(false)) => StepInput::Nothing,
            Kind::Scalar(_) if !self.no_word(node, what) => return None,
            Kind::Scalar(_) => StepInput::Text(self.templated(node, what)?),
            Kind::Table(members) if members.contains_key("file") => {
                for (key, Member { line, .. }) in members.iter().filter(|(key, _)| *key != "file") {
                    self.unknown_key(*line, key, what, &["file"]);
                }
                StepInput::File(self.templated(&members["file"].node, what)?)
            }
            _ => {
                let found = node.what();
                let message = format!("{what}: expected true, a text or {{ file = \"..\" }}, found {found}");
                self.problem(node.line, message);
                return None;
            }
        })
    }

    /// `until`, `retries` and `delay`; `retries` alone is until it succeeds.
    fn until(&mut self, members: &Members, what: &str) -> Option<Until> {
        let condition = self.optional(members, "until", Self::condition);
        let retries = self.optional(members, "retries", Self::integer);
        let delay = self.optional(members, "delay", Self::seconds);
        if let (None, None, Some(Member { line, .. })) = (&condition, retries, members.get("delay")) {
            self.problem(*line, format!("`delay` of {what} is a pause between tries: it needs `until` or `retries`"));
        }
        (condition.is_some() || retries.is_some()).then(|| Until {
            condition: condition.unwrap_or_else(|| "outcome.ok".to_owned()),
            retries: retries.unwrap_or(RETRIES),
            delay: delay.unwrap_or(1.0),
        })
    }

    fn text_map(&mut self, node: &Node, what: &str) -> Option<IndexMap<String, String>> {
        let members = self.table(node, what)?;
        let mut map = IndexMap::new();
        for (key, Member { line, node, .. }) in members {
            if !command::is_env_name(key) {
                self.problem(*line, format!("{what}: `{key}` is no name of an environment variable"));
            }
            if let Some(text) = self.templated(node, &format!("{what}, `{key}`")) {
                map.insert(key.clone(), text);
            }
        }
        Some(map)
    }

    fn transfer(&mut self, subject: &Node, members: &Members, what: &str) -> Option<TransferStep> {
        Some(TransferStep {
            from: self.templated(subject, what)?,
            to: self.optional(members, "to", Self::templated),
            mode: self.optional(members, "mode", Self::mode),
            mirror_local_mode: self.optional(members, "mirror_local_mode", Self::truth),
            links: self.optional(members, "links", Self::links).unwrap_or_default(),
            use_sudo: self.optional(members, "use_sudo", Self::truth).unwrap_or_default(),
            temp_dir: self.optional(members, "temp_dir", Self::templated),
            template: self.optional(members, "template", Self::truth).unwrap_or_default(),
            skip_same: self.optional(members, "skip_same", Self::truth).unwrap_or_default(),
            resume: self.optional(members, "resume", Self::truth).unwrap_or_default(),
            verify: self.optional(members, "verify", Self::truth).unwrap_or_default(),
            atomic: self.optional(members, "atomic", Self::truth).unwrap_or_default(),
        })
    }

    /// `"follow"`, `"keep"` or `"skip"`.
    fn links(&mut self, node: &Node, what: &str) -> Option<Links> {
        let text = self.text(node, what)?;
        let links = match text.as_str() {
            "follow" => Links::Follow,
            "keep" => Links::Keep,
            "skip" => Links::Skip,
            _ => {
                self.problem(node.line, format!("{what}: expected \"follow\", \"keep\" or \"skip\", found {text:?}"));
                return None;
            }
        };
        Some(links)
    }

    /// `"0644"`, or TOML's `0o644`. The number 644 is refused: it is not the mode that it looks like.
    fn mode(&mut self, node: &Node, what: &str) -> Option<u32> {
        let mode = match &node.kind {
            Kind::Scalar(Value::String(text)) => {
                let digits = text.strip_prefix("0o").unwrap_or(text);
                u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
            }
            Kind::Scalar(value) => {
                value.as_u64().and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode <= 0o777)
            }
            _ => None,
        };
        if mode.is_none() {
            let found = node.shown();
            self.problem(node.line, format!("{what}: expected a mode such as \"0644\" or 0o644, found {found}"));
        }
        mode
    }

    fn execute(&mut self, subject: &Node, members: &Members, what: &str) -> Option<ExecuteStep> {
        let args = self.optional(members, "args", |reader, node, what| {
            let Kind::Table(members) = &node.kind else {
                reader.table(node, what);
                return None;
            };
            let value = |(name, Member { node, .. }): (&String, &Member)| {
                reader.value_templates(node, what);
                (name.clone(), node.value())
            };
            Some(members.iter().map(value).collect())
        });
        Some(ExecuteStep {
            task: self.templated(subject, what)?,
            args: args.unwrap_or_default(),
            hosts: self.optional(members, "hosts", Self::names).unwrap_or_default(),
            roles: self.optional(members, "roles", Self::names).unwrap_or_default(),
            exclude_hosts: self.optional(members, "exclude_hosts", Self::names).unwrap_or_default(),
        })
    }

    /// Hosts or roles, as templates.
    fn names(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let names = self.templates(node, what)?;
        for name in &names {
            self.names_something(node.line, name, what);
        }
        Some(names)
    }

    fn value_templates(&mut self, node: &Node, what: &str) {
        match &node.kind {
            Kind::Scalar(Value::String(_)) => drop(self.templated(node, what)),
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter().for_each(|item| self.value_templates(item, what)),
            Kind::Table(members) => members.values().for_each(|Member { node, .. }| self.value_templates(node, what)),
        }
    }

    fn set(&mut self, subject: &Node, what: &str) -> Option<IndexMap<String, SetValue>> {
        let members = self.table(subject, what)?;
        let mut values = IndexMap::new();
        for (name, Member { line, node, .. }) in members {
            let what = format!("{what}, `{name}`");
            let keys: &[&str] = match name.as_str() {
                "hosts" | "exclude_hosts" => &["command", "extend", "replace"],
                "roles" => &["extend", "replace"],
                _ => &[],
            };
            let value = match &node.kind {
                Kind::Table(inner) if !keys.is_empty() => {
                    inner.iter().filter(|(key, _)| !keys.contains(&key.as_str())).for_each(
                        |(key, Member { line, .. })| {
                            self.unknown_key(*line, key, &what, keys);
                        },
                    );
                    let given: Vec<_> = inner.iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
                    let [(key, Member { line, node: list, .. })] = given.as_slice() else {
                        let table = if name == "roles" { "extend = [..]" } else { "command = \"..\"" };
                        let items = if name == "roles" { "roles" } else { "hosts" };
                        self.problem(*line, format!("{what}: expected a list of {items} or {{ {table} }}"));
                        continue;
                    };
                    if *key == "command" {
                        SetValue::Command(self.templated(list, &what)?)
                    } else {
                        self.set_kind(name, *line, list, &what);
                        self.value_templates(list, &what);
                        SetValue::Plain(node.value())
                    }
                }
                _ => {
                    self.set_kind(name, *line, node, &what);
                    self.value_templates(node, &what);
                    SetValue::Plain(setting_value(name, node).unwrap_or_else(|_| node.value()))
                }
            };
            values.insert(name.clone(), value);
        }
        Some(values)
    }

    fn set_kind(&mut self, name: &str, line: usize, node: &Node, what: &str) {
        use fabric_core::settings::{Kind as Type, Setting};
        match Setting::any_spelling(name) {
            Some(setting) if setting.is_information() => {
                self.problem(line, format!("{what} can only be read, not set"));
            }
            // A text may be a template that yields the right type.
            Some(setting) if !matches!(node.kind, Kind::Scalar(Value::String(_))) || setting.kind == Type::Text => {
                if setting.kind.check(&node.value()).is_err() {
                    self.problem(line, format!("{what}: expected {}", setting.kind.expected()));
                }
            }
            Some(_) => {}
            // `timeouts = { connect = 5 }` is `timeouts.connect = 5`.
            None if matches!(node.kind, Kind::Table(_)) => {}
            None => {
                if let Some(near) = Setting::mistyped(name) {
                    let origin = self.origin(fabric_core::Layer::Task, line);
                    let problem =
                        fabric_core::settings::Problem::new(format!("{what} is no setting: it is shared state"));
                    self.warnings.push(problem.at(origin).hint(format!("did you mean `{near}`?")));
                }
            }
        }
    }

    fn prompt(&mut self, subject: &Node, members: &Members, what: &str) -> Option<PromptStep> {
        Some(PromptStep {
            text: self.templated(subject, what)?,
            default: self.optional(members, "default", Self::templated),
            secret: self.optional(members, "secret", Self::truth).unwrap_or_default(),
        })
    }

    /// `open_shell = true`, or the line to begin with.
    fn open_shell(&mut self, subject: &Node, what: &str) -> Option<Verb> {
        let command = match &subject.kind {
            Kind::Scalar(Value::Bool(true)) => None,
            Kind::Scalar(Value::String(text)) if text.is_empty() => None,
            _ if !self.no_word(subject, what) => return None,
            _ => Some(self.templated(subject, what)?),
        };
        Some(Verb::OpenShell { command })
    }

    /// `hide = true`, or the levels and groups of the command line's `--hide`.
    fn hide(&mut self, node: &Node, what: &str) -> Option<Hide> {
        if let Kind::Scalar(Value::Bool(both)) = &node.kind {
            return Some(Hide { stdout: *both, stderr: *both, running: false });
        }
        if !self.no_word(node, what) {
            return None;
        }
        let mut hide = Hide::default();
        for level in self.texts(node, what)? {
            match level.as_str() {
                "stdout" | "out" => hide.stdout = true,
                "stderr" | "err" => hide.stderr = true,
                "running" => hide.running = true,
                "output" | "both" => (hide.stdout, hide.stderr) = (true, true),
                "commands" => (hide.stdout, hide.running) = (true, true),
                "everything" => hide = Hide { stdout: true, stderr: true, running: true },
                "status" | "aborts" | "warnings" | "user" | "exceptions" | "debug" => {}
                other => self.unknown_key(node.line, other, what, LEVELS),
            }
        }
        Some(hide)
    }
}

/// The keys that go with a verb.
fn keys(verb: &str) -> Vec<&'static str> {
    let own: &[&[&'static str]] = match verb {
        "run" | "local" => &[COMMAND, ANY],
        "sudo" => &[COMMAND, SUDO, ANY],
        "put" => &[TRANSFER, PUT, ANY],
        "get" => &[TRANSFER, ANY],
        "execute" => &[EXECUTE, ANY],
        "prompt" => &[PROMPT, &["if", "save", "hide"]],
        "open_shell" => &[&["if", "save", "hide"]],
        _ => &[&["if", "save"]],
    };
    own.iter().copied().flatten().copied().collect()
}
