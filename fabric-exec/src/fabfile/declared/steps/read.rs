//! Reading steps.

use fabric_core::settings::{Problem, nearest};
use fabric_core::{Value, command};
use fabric_core_document::{Kind, Member, Members, Node};

use super::VERBS;
use super::step::{Form, Step};
use crate::fabfile::declared::reader::Reader;
use crate::places::Places;
use crate::task::Hide;
use crate::template;

/// The words of `hide`.
pub(in crate::fabfile::declared) const LEVELS: &[&str] = &[
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
    pub(in crate::fabfile::declared) fn steps(&mut self, node: &Node, what: &str) -> Vec<Step> {
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
        let forms: Vec<&Form> = VERBS.iter().copied().filter(|form| members.contains_key(form.name)).collect();
        let [form] = forms.as_slice() else {
            self.verb_problem(node.line, members, &forms, place);
            return None;
        };
        let verb = form.name;
        let Member { line, node: subject, .. } = &members[verb];
        let known: Vec<&str> = form.keys.iter().copied().flatten().copied().collect();
        for (key, Member { line, .. }) in members {
            if !known.contains(&key.as_str()) && key != verb {
                let all: Vec<&str> = known.iter().copied().chain([verb]).collect();
                self.unknown_key(*line, key, &format!("{place} (`{verb}`)"), &all);
            }
        }
        let verb = (form.read)(self, subject, members, &format!("`{verb}` of {place}"))?;
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

    fn verb_problem(&mut self, line: usize, members: &Members, forms: &[&Form], place: &str) {
        let names = |forms: &[&Form]| forms.iter().map(|form| form.name).collect::<Vec<_>>().join(", ");
        if !forms.is_empty() {
            let names = names(forms);
            self.problem(line, format!("{place} has several verbs: {names}; give each a step of its own"));
            return;
        }
        let near = members.iter().find_map(|(key, Member { line, .. })| {
            Some((*line, key, nearest(key, VERBS.iter().map(|form| form.name))?))
        });
        match near {
            Some((line, key, near)) => {
                self.problem(line, format!("unknown key `{key}` in {place}")).hint =
                    Some(format!("did you mean `{near}`?"));
            }
            None => {
                self.problem(line, format!("{place} has no verb: one of {}", names(VERBS)));
            }
        }
    }

    /// Reads a key that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        members: &Members,
        key: &str,
        read: impl FnOnce(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<T> {
        let member = members.get(key)?;
        read(self, &member.node, &format!("`{key}`"))
    }

    /// An expression that is true or false.
    pub(super) fn condition(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.textual(node, what)?;
        if template::is_template(&text) {
            let problem = Problem::new(format!("{what} is an expression, and takes no templates")).at(self.place(node));
            self.problems.push(problem.hint("write `version`, not `{{ version }}`"));
        } else if let Err(message) = template::check_expression(&text) {
            self.problem(node.line, format!("{what}: {message}"));
        }
        Some(text)
    }

    pub(super) fn value_templates(&mut self, node: &Node, what: &str) {
        match &node.kind {
            Kind::Scalar(Value::String(_)) => drop(self.templated(node, what)),
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter().for_each(|item| self.value_templates(item, what)),
            Kind::Table(members) => members.values().for_each(|Member { node, .. }| self.value_templates(node, what)),
        }
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
