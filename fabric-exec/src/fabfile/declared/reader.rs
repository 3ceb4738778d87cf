//! Reading a tree of nodes: typed values out, problems with their lines collected.

use std::path::Path;
use std::sync::Arc;

use fabric_core::settings::{self, About, Map, Problem, Setting, is_secret_name, nearest};
use fabric_core::{Layer, Origin, Value};
use fabric_core_document::{Kind, Member, Members, Node, Source, SwitchWord};
use serde::de::DeserializeOwned;

use crate::hostlist::expand_item;
use crate::places::Places;
use crate::template;

/// Collects what is wrong while a file is read.
pub(super) struct Reader {
    pub(super) source: Arc<Source>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// The places of the texts read since the last step or task.
    pub(super) places: Places,
}

impl Reader {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { places: Places::new(source.clone()), source, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The line and column at which a value is written.
    pub(super) fn place(&self, node: &Node) -> Origin {
        self.source.origin(Layer::Fabfile, node.span.start)
    }

    /// A number as it is written.
    pub(super) fn written(&self, node: &Node) -> String {
        let written = self.source.text.get(node.span.clone()).map(str::trim).filter(|text| !text.is_empty());
        written.map_or_else(|| node.value().to_string(), str::to_owned)
    }

    pub(super) fn origin(&self, layer: Layer, line: usize) -> Origin {
        Origin::file(layer, &self.source.path, Some(line))
    }

    /// `file:line`, for errors of steps.
    pub(super) fn at(&self, line: usize) -> String {
        self.origin(Layer::Fabfile, line).to_string()
    }

    pub(super) fn problem(&mut self, line: usize, message: impl Into<String>) -> &mut Problem {
        let problem = Problem::new(message).at(self.origin(Layer::Fabfile, line));
        self.problems.push(problem);
        self.problems.last_mut().expect("just pushed")
    }

    /// Numbers and switches are shown; a text may be a secret, put where it doesn't belong.
    fn expected(&mut self, node: &Node, what: &str, expected: &str) {
        let found = match &node.kind {
            Kind::Scalar(Value::String(_)) => node.what().to_owned(),
            _ => node.shown(),
        };
        self.problem(node.line, format!("{what}: expected {expected}, found {found}"));
    }

    /// An unknown key, with the nearest known one.
    pub(super) fn unknown_key(&mut self, line: usize, key: &str, place: &str, known: &[&str]) {
        let hint = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        self.problem(line, format!("unknown key `{key}` in {place}")).hint = Some(hint);
    }

    pub(super) fn table<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Members> {
        match &node.kind {
            Kind::Table(members) => Some(members),
            // An empty section of YAML.
            Kind::Scalar(Value::Null) => None,
            _ => {
                self.problem(node.line, format!("{what}: expected a table, found {}", node.what()));
                None
            }
        }
    }

    /// A text as it is: one that looks like a template would pass for what it was to become.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.any_text(node, what)?;
        self.no_templates(node, what).then_some(text)
    }

    /// A text, which may be a template.
    fn any_text(&mut self, node: &Node, what: &str) -> Option<String> {
        if let Kind::Scalar(Value::String(text)) = &node.kind {
            self.places.add(text, node.span.clone());
            return Some(text.clone());
        }
        self.expected(node, what, "a text");
        None
    }

    /// A text, or a number or switch as text.
    pub(super) fn textual(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.kind {
            Kind::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => {
                // A fraction of any format as it is written: 1.10 is a version as often as a number.
                let written =
                    self.source.text.get(node.span.clone()).filter(|text| value.is_f64() && !text.contains('_'));
                let text = written.map_or_else(|| value.to_string(), str::to_owned);
                self.places.add(&text, node.span.clone());
                Some(text)
            }
            _ => self.any_text(node, what),
        }
    }

    /// A text that is a template.
    pub(super) fn templated(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.textual(node, what)?;
        if let Err(message) = template::check(&text) {
            self.problem(node.line, format!("{what}: {message}"));
        }
        Some(text)
    }

    /// Refuses templates, in whatever the value is made of; whether there are none.
    pub(super) fn no_templates(&mut self, node: &Node, what: &str) -> bool {
        let before = self.problems.len();
        self.refuse_templates(node, what);
        self.problems.len() == before
    }

    /// The same for a key that may be a secret's: a password is any text, `{{` in it too, but for one that is as a
    /// whole what a template would be.
    pub(super) fn no_templates_for(&mut self, key: &str, node: &Node, what: &str) -> bool {
        let any_text = is_secret_name(key) && !node.value().to_string().contains("}}");
        any_text || self.no_templates(node, what)
    }

    fn refuse_templates(&mut self, node: &Node, what: &str) {
        match &node.kind {
            Kind::Scalar(Value::String(text)) if template::is_template(text) => {
                let problem = Problem::new(format!("{what} takes no templates, but there is `{{{{` in it"));
                let problem = problem.hint("templates are the texts of steps, and `command` of a role");
                self.problems.push(problem.at(self.place(node)));
            }
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter().for_each(|item| self.refuse_templates(item, what)),
            Kind::Table(members) => members.values().for_each(|Member { node, .. }| self.refuse_templates(node, what)),
        }
    }

    pub(super) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        self.value(settings::Kind::Bool, node, what)
    }

    pub(super) fn integer(&mut self, node: &Node, what: &str) -> Option<u32> {
        self.value(settings::Kind::Integer, node, what)
    }

    pub(super) fn seconds(&mut self, node: &Node, what: &str) -> Option<f64> {
        self.value(settings::Kind::Seconds, node, what)
    }

    /// Refuses `yes`, `no`, `on` and `off` where a text is as good as true or false: YAML 1.2 has texts there, YAML 1.1 had
    /// switches. Whether it is none of them.
    pub(super) fn no_word(&mut self, node: &Node, what: &str) -> bool {
        let Some(word) = node.word() else { return true };
        self.problem(node.line, format!("{what}: `{word}` is a text in YAML: write true or false, or \"{word}\""));
        false
    }

    /// What a setting of this type takes.
    fn value<T: DeserializeOwned>(&mut self, kind: settings::Kind, node: &Node, what: &str) -> Option<T> {
        if let Ok(value) = node.typed(kind)
            && kind.check(&value).is_ok()
            && let Ok(read) = T::deserialize(value)
        {
            return Some(read);
        }
        self.problem(node.line, format!("{what}: expected {}, found {}", kind.expected(), node.shown()));
        None
    }

    /// A list of texts; a text is a list of one.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        self.list_of(node, what, Self::text)
    }

    /// A list of templates; a text is a list of one.
    pub(super) fn templates(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        self.list_of(node, what, Self::templated)
    }

    pub(super) fn list_of<T>(
        &mut self,
        node: &Node,
        what: &str,
        read: fn(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        match &node.kind {
            Kind::Scalar(Value::String(_)) => read(self, node, what).map(|one| vec![one]),
            Kind::List(items) => {
                Some(items.iter().filter_map(|item| read(self, item, &format!("an item of {what}"))).collect())
            }
            _ => {
                self.expected(node, what, "a text or a list of texts");
                None
            }
        }
    }

    /// A list of hosts, ranges and braces expanded.
    pub(super) fn hosts(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let items: Vec<(usize, String)> =
            self.list_of(node, what, |reader, node, what| Some((node.line, reader.text(node, what)?)))?;
        let mut hosts = Vec::new();
        for (line, text) in items {
            self.names_something(line, &text, what);
            match expand(&text) {
                Ok(expanded) => hosts.extend(expanded),
                Err(error) => drop(self.problem(line, format!("{what}: {error}"))),
            }
        }
        Some(hosts)
    }

    /// A list of names of roles.
    pub(super) fn role_names(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let names = self.texts(node, what)?;
        for name in &names {
            self.names_something(node.line, name, what);
        }
        Some(names)
    }

    /// An empty text that is to name hosts or roles: taken for a list that was not given, it would mean others.
    pub(super) fn names_something(&mut self, line: usize, text: &str, what: &str) {
        if text.trim().is_empty() {
            let problem = self.problem(line, format!("{what}: an empty text names nothing"));
            problem.hint = Some("an empty list is `[]`".to_owned());
        }
    }

    /// Settings of a part of the hosts: none that is about a run or a whole list of hosts.
    pub(super) fn settings_of_hosts(&mut self, members: &Members, place: &str, skip: &[&str]) -> Map {
        for (key, Member { line, .. }) in members {
            let of_lists = Setting::find_any(key).is_some_and(|setting| setting.about == About::Lists);
            if of_lists && !skip.contains(&key.as_str()) {
                let problem =
                    self.problem(*line, format!("`{key}` in {place} does nothing: it is about a whole list of hosts"));
                problem.hint = Some("it belongs into a task, or into `env`".to_owned());
            }
        }
        self.settings(members, place, skip)
    }

    /// Settings by their classic names or modern aliases; an unknown one is an error.
    pub(super) fn settings(&mut self, members: &Members, place: &str, skip: &[&str]) -> Map {
        let mut values = Map::new();
        for (key, Member { line, node, .. }) in members {
            if !skip.contains(&key.as_str()) {
                self.setting(key, *line, node, place, skip, &mut values);
            }
        }
        values
    }

    fn setting(&mut self, key: &str, line: usize, node: &Node, place: &str, also: &[&str], values: &mut Map) {
        let Some(setting) = Setting::find_any(key) else {
            // `timeouts = { connect = 5 }` is `timeouts.connect = 5`.
            if let Kind::Table(inner) = &node.kind {
                let prefix = format!("{key}.");
                let groups = fabric_core::settings::TABLE.iter().flat_map(|setting| setting.aliases);
                if groups.into_iter().any(|alias| alias.starts_with(&prefix)) {
                    for (name, Member { line, node, .. }) in inner {
                        self.setting(&format!("{prefix}{name}"), *line, node, place, also, values);
                    }
                    return;
                }
            }
            let near = nearest(key, also.iter().copied()).or_else(|| Setting::nearest(key));
            let hint = near
                .map_or_else(|| "expected the name of a setting".to_owned(), |near| format!("did you mean `{near}`?"));
            self.problem(line, format!("unknown key `{key}` in {place}")).hint = Some(hint);
            return;
        };
        if setting.is_information() {
            self.problem(line, format!("`{key}` in {place} can only be read, not set"));
            return;
        }
        if !self.no_templates_for(key, node, &format!("`{key}` in {place}")) {
            return;
        }
        let value = match node.typed(setting.kind) {
            Ok(value) => value,
            Err(why) => {
                self.problem(line, format!("`{key}` in {place}: {why}"));
                return;
            }
        };
        match setting.kind.check(&value) {
            Ok(()) => {
                let dir = self.source.path.parent().unwrap_or_else(|| Path::new(""));
                values.insert(setting.name.to_owned(), setting.below(dir, value));
            }
            Err(expected) => {
                let found =
                    if setting.may_show(&value) { format!(", found {}", node.shown()) } else { setting.found(&value) };
                self.problem(line, format!("`{key}` in {place}: {expected}{found}"));
            }
        }
    }
}

/// What a name of a setting, of a table of settings or of shared state is given: the types of settings decide what YAML leaves
/// open.
pub(super) fn setting_value(name: &str, node: &Node) -> Result<Value, SwitchWord> {
    match (Setting::any_spelling(name), &node.kind) {
        (Some(setting), _) => node.typed(setting.kind),
        (None, Kind::Table(members)) => {
            let value = |(key, member): (&String, &Member)| {
                Ok((key.clone(), setting_value(&format!("{name}.{key}"), &member.node)?))
            };
            members.iter().map(value).collect::<Result<Map, SwitchWord>>().map(Value::Object)
        }
        (None, _) => Ok(node.value()),
    }
}

fn expand(text: &str) -> Result<Vec<String>, fabric_core::HostStringError> {
    Ok(fabric_core::host::split_list(text).into_iter().map(expand_item).collect::<Result<Vec<_>, _>>()?.concat())
}
