//! `[tasks]`.

use std::sync::Arc;

use fabric_core::Layer;
use fabric_core::settings::{Problem, type_of};
use fabric_core_document::{Kind, Member, Members, Node};

use super::reader::Reader;
use super::steps::{CommandStep, Step, Steps};
use crate::collection::Collection;
use crate::hostlist::Share;
use crate::task::Hide;
use crate::task::{Invocation, Mode, Param, ParamKind, Task};

pub(super) const KEYS: &[&str] = &[
    "help",
    "aliases",
    "hosts",
    "roles",
    "runs_once",
    "parallel",
    "pool_size",
    "batch",
    "canary",
    "health",
    "pause",
    "rollback",
    "args",
    "pre",
    "post",
    "with",
    "run",
    "steps",
    "default",
];

/// Settings that are not for the time of a task.
const LISTS: [&str; 4] = ["hosts", "roles", "exclude_hosts", "roledefs"];

pub(super) const ARG_KEYS: &[&str] = &["name", "default", "help", "type", "choices", "short"];

const ARG_TYPES: &[&str] = &["text", "integer", "number", "bool", "list"];

impl Reader {
    pub(super) fn tasks(&mut self, node: &Node, collection: &mut Collection) {
        let Some(members) = self.table(node, "`tasks`") else { return };
        for (name, Member { line, node, .. }) in members {
            self.places.take();
            let task = match &node.kind {
                Kind::Table(members) => Some(self.task(name, *line, members)),
                _ => self.shorthand(name, node),
            };
            let Some(mut task) = task else { continue };
            task.places = self.places.take();
            task.origin = Some(self.origin(Layer::Task, *line));
            if let Err(error) = collection.add(task) {
                self.problem(*line, error.to_string());
            }
        }
    }

    /// `uptime = "uptime"`: commands on the host.
    fn shorthand(&mut self, name: &str, node: &Node) -> Option<Task> {
        let steps = self.run_steps(node, &format!("task `{name}`"))?;
        let task = Task::new(name, Arc::new(Steps::new(steps)));
        Some(match &node.kind {
            Kind::Scalar(fabric_core::Value::String(command)) => task.help(format!("run: {command}")),
            _ => task,
        })
    }

    fn run_steps(&mut self, node: &Node, what: &str) -> Option<Vec<Step>> {
        let of_task = self.places.take();
        let commands = self.templates(node, what);
        let places = std::mem::replace(&mut self.places, of_task);
        let step = |command| Step {
            at: self.at(node.line),
            verb: Arc::new(CommandStep { commands: vec![command], ..CommandStep::default() }),
            condition: None,
            save: None,
            warn_only: None,
            hide: Hide::default(),
            places: places.clone(),
        };
        Some(commands?.into_iter().map(step).collect())
    }

    fn task(&mut self, name: &str, line: usize, members: &Members) -> Task {
        let place = format!("task `{name}`");
        let mut task = Task::new(name, Arc::new(Steps::new(Vec::new())));
        let mut steps = None;
        for (key, Member { line, node, .. }) in members {
            let what = format!("`{key}` of {place}");
            match key.as_str() {
                "help" => task.help = self.text(node, &what),
                "aliases" => task.aliases = self.texts(node, &what).unwrap_or_default(),
                "hosts" => task.own.hosts = self.hosts(node, &what).unwrap_or_default(),
                "roles" => task.own.roles = self.role_names(node, &what).unwrap_or_default(),
                "runs_once" => task.runs_once = self.truth(node, &what).unwrap_or_default(),
                "parallel" => {
                    let mode = |parallel| if parallel { Mode::Parallel } else { Mode::Serial };
                    task.mode = self.truth(node, &what).map(mode);
                }
                "pool_size" => task.pool_size = self.integer(node, &what),
                "batch" => task.batch = self.share(node, &what),
                "canary" => task.rolling.canary = self.share(node, &what),
                "health" => task.rolling.health = self.guard(node, &what),
                "pause" => task.rolling.pause = self.truth(node, &what).unwrap_or_default(),
                "rollback" => task.rolling.rollback = self.guard(node, &what),
                "default" => task.default = self.truth(node, &what).unwrap_or_default(),
                "args" => task.params = self.params(node, &place),
                "pre" => task.pre = self.calls(node, &what),
                "post" => task.post = self.calls(node, &what),
                "with" => {
                    if let Some(members) = self.table(node, &what) {
                        for (name, Member { line, .. }) in
                            members.iter().filter(|(name, _)| LISTS.contains(&name.as_str()))
                        {
                            let why = "a list of hosts belongs in the task itself, or in `env`";
                            self.problem(*line, format!("`{name}` in {what}: {why}"));
                        }
                        task.settings = Arc::new(self.settings(members, &format!("`with` of {place}"), &[]));
                    }
                }
                "run" | "steps" if steps.is_some() => {
                    self.problem(*line, format!("{place} has `run` and `steps`: leave one out"));
                }
                "run" => steps = Some(self.run_steps(node, &what).unwrap_or_default()),
                "steps" => steps = Some(self.steps(node, &what)),
                _ => self.unknown_key(*line, key, &place, KEYS),
            }
        }
        self.gates(&task, line, members, &place);
        // A task may be there for what it draws along, but not for nothing.
        if steps.is_none() && task.pre.is_empty() && task.post.is_empty() {
            let clean = members.keys().all(|key| KEYS.contains(&key.as_str()));
            if clean {
                self.problem(line, format!("{place} does nothing: it needs `run`, `steps`, `pre` or `post`"));
            }
        }
        task.body = Arc::new(Steps::new(steps.unwrap_or_default()));
        task
    }

    /// A health check or a rollback: one call, on the hosts of its task.
    fn guard(&mut self, node: &Node, what: &str) -> Option<Invocation> {
        let mut calls = self.calls(node, what);
        if calls.len() > 1 {
            let problem = self.problem(node.line, format!("{what}: expected one task, found {}", calls.len()));
            problem.hint = Some("a task may execute several".to_owned());
        }
        let call = calls.pop()?;
        if call.selection.gives_hosts() {
            let why = "it runs on the hosts that its task has begun on, so that hosts and roles do nothing";
            self.problem(node.line, format!("{what}: {why}"));
        }
        Some(call)
    }

    /// Keys that guard a task's way over batches, where it has no such way.
    fn gates(&mut self, task: &Task, line: usize, members: &Members, place: &str) {
        let line_of = |key: &str| members.get(key).map_or(line, |member| member.line);
        if task.runs_once {
            let gates = ["batch", "canary", "health", "pause", "rollback", "pool_size"];
            for key in gates.into_iter().filter(|key| members.contains_key(*key)) {
                self.problem(line_of(key), format!("`{key}` of {place}: it runs once, on one host (`runs_once`)"));
            }
        }
    }

    fn share(&mut self, node: &Node, what: &str) -> Option<Share> {
        let text = self.textual(node, what)?;
        match Share::of_batch(&text) {
            Ok(share) => Some(share),
            Err(error) => {
                self.problem(node.line, format!("{what}: {error}"));
                None
            }
        }
    }

    fn calls(&mut self, node: &Node, what: &str) -> Vec<Invocation> {
        let tokens = self.list_of(node, what, |reader, node, what| {
            let origin = reader.place(node);
            Some((reader.text(node, what)?, origin))
        });
        let mut calls = Vec::new();
        for (token, origin) in tokens.unwrap_or_default() {
            match Invocation::parse(&token) {
                Ok(call) => calls.push(Invocation { origin: Some(Box::new(origin)), ..call }),
                Err(error) => self.problems.push(Problem::new(format!("{what}: {error}")).at(origin)),
            }
        }
        calls
    }

    fn params(&mut self, node: &Node, place: &str) -> Vec<Param> {
        let Kind::List(items) = &node.kind else {
            self.problem(node.line, format!("`args` of {place}: expected a list, found {}", node.what()));
            return Vec::new();
        };
        let mut params: Vec<Param> = Vec::new();
        for item in items {
            let param = match &item.kind {
                Kind::Table(members) => self.param(item.line, members, place),
                _ => self.text(item, &format!("an item of `args` of {place}")).map(Param::required),
            };
            let Some(param) = param else { continue };
            let name = param.name.as_str();
            let fits = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            if !fits {
                self.problem(item.line, format!("argument `{name}` of {place}: a name is letters, digits and _"));
            } else if Invocation::is_reserved(name) || name == "env" {
                self.problem(item.line, format!("argument `{name}` of {place}: the name is taken"));
            } else if params.iter().any(|other| other.is_named(name)) {
                self.problem(item.line, format!("argument `{name}` of {place} is there twice"));
            } else if let Some(letter) = param.short.filter(|_| params.iter().any(|other| other.short == param.short)) {
                self.problem(item.line, format!("argument `{name}` of {place}: another one is `-{letter}` already"));
            } else {
                params.push(param);
            }
        }
        params
    }

    fn param(&mut self, line: usize, members: &Members, place: &str) -> Option<Param> {
        let Some(Member { node: name, .. }) = members.get("name") else {
            self.problem(line, format!("an item of `args` of {place} has no `name`"));
            return None;
        };
        let name = self.text(name, &format!("`name` of an argument of {place}"))?;
        let what = format!("argument `{name}` of {place}");
        let mut param = match members.get("default") {
            // `1.10` and `007` are texts, whatever a default looks like: numbers are asked for by `type`.
            Some(Member { node: default, .. }) if default.value().is_number() && !members.contains_key("type") => {
                Param::optional(&name, self.written(default))
            }
            Some(Member { node: default, .. }) => Param::optional(&name, default.value()),
            None => Param::required(&name),
        };
        let of = &what;
        for (key, Member { line, node, .. }) in members {
            let what = format!("`{key}` of {of}");
            match key.as_str() {
                "name" => {}
                "default" => drop(self.no_templates(node, &what)),
                "help" => param.help = self.text(node, &what),
                "short" => {
                    let text = self.text(node, &what)?;
                    param.short =
                        text.chars().next().filter(|letter| letter.is_alphanumeric() && text.chars().count() == 1);
                    if param.short.is_none() {
                        self.problem(*line, format!("{what}: expected one letter, found `{text}`"));
                    }
                }
                "choices" => {
                    let choices = self.texts(node, &what).unwrap_or_default();
                    if choices.is_empty() {
                        self.problem(*line, format!("{what}: expected one text at least"));
                    }
                    if members.get("type").is_some_and(|member| member.node.value() != "text") {
                        self.problem(*line, format!("{what}: choices are texts, so that `type` has to be left out"));
                    }
                    param.kind = ParamKind::Choice(choices);
                }
                "type" if members.contains_key("choices") => {}
                "type" => match self.text(node, &what)?.as_str() {
                    "text" => param.kind = ParamKind::Text,
                    "integer" => param.kind = ParamKind::Integer,
                    "number" => param.kind = ParamKind::Number,
                    "bool" => param.kind = ParamKind::Bool,
                    "list" => param.kind = ParamKind::List,
                    other => {
                        self.problem(
                            *line,
                            format!("{what}: expected one of {}, found `{other}`", ARG_TYPES.join(", ")),
                        );
                    }
                },
                _ => self.unknown_key(*line, key, of, ARG_KEYS),
            }
        }
        if let (ParamKind::Number, Some(Member { node, .. })) = (&param.kind, members.get("default")) {
            param.default = Some(node.number());
        }
        if let (Some(default), Some(Member { line, .. })) = (&param.default, members.get("default"))
            && let (Err(expected), false) = (param.check(default), default.is_null())
        {
            self.problem(*line, format!("`default` of {what}: expected {expected}, found {}", type_of(default)));
        }
        Some(param)
    }
}
