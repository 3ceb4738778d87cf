//! The way that a run would go through its tasks, to find what is wrong with them.
//!
//! Whatever may turn out right in the run is taken for right: a name that any step of the file may set, a file that
//! an earlier step may make, a task whose name is a template.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_core::settings::{Problem, Setting};
use fabric_core::{HostString, HostStringError, Layer, Origin, Value};
use fabric_core_document::Source;
use fabric_transport::transfer::local_path;
use minijinja::Environment;

use super::scope::{Names, Scope, Unknown};
use crate::collection::Collection;
use crate::hostlist::{RoleSource, Roles, Selection, expand_item, role_names, unknown_names};
use crate::places::Places;
use crate::task::{Effect, Executed, Invocation, KnownStep, Param, ParamKind, Task, TaskId, Text};
use crate::template;
use crate::template::names::{self, Named, Use};

/// Goes through tasks and collects what is wrong with them.
pub(super) struct Checker<'a> {
    collection: &'a Collection,
    roles: &'a Roles,
    /// What `env` has in the file that is gone through.
    env: Arc<Names>,
    fabfile: Arc<Names>,
    /// By namespace, for the files that are included.
    included: HashMap<String, Arc<Names>>,
    environment: Environment<'static>,
    /// Where relative local paths start; `None`: nothing is known of local files.
    lcwd: Option<PathBuf>,
    /// Whether a step so far may have made local files.
    made: bool,
    /// Whether each task is looked at alone, while another one may make its files.
    alone: bool,
    /// Tasks that were gone through, and whether it was sure that they run.
    seen: HashSet<(TaskId, bool)>,
    seen_roles: HashSet<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Where the texts of something are in the fabfile; if that is not known, where the thing itself is.
struct Whereabouts<'a> {
    places: Option<&'a Places>,
    origin: Option<Origin>,
}

impl<'a> Whereabouts<'a> {
    fn of_step(step: &KnownStep<'a>) -> Self {
        let origin = (!step.at.is_empty()).then(|| Origin::place(Layer::Fabfile, step.at));
        Self { places: step.places, origin }
    }

    fn of(&self, text: &str) -> Option<Origin> {
        self.places.and_then(|places| places.of(text)).or_else(|| self.origin.clone())
    }

    fn of_which(&self, is: impl Fn(&str) -> bool) -> Option<Origin> {
        self.places.and_then(|places| places.of_which(is)).or_else(|| self.origin.clone())
    }

    fn within(&self, text: &str, part: &Range<usize>) -> Option<Origin> {
        self.places.and_then(|places| places.within(text, part)).or_else(|| self.origin.clone())
    }
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        collection: &'a Collection,
        roles: &'a Roles,
        env: Names,
        included: HashMap<String, Arc<Names>>,
        lcwd: Option<PathBuf>,
    ) -> Self {
        let env = Arc::new(env);
        // Where it is set while tasks run, it is not known.
        let sets_lcwd = |name: &str| Setting::any_spelling(name).is_some_and(|setting| setting.name == "lcwd");
        let of_task = |task: &Arc<Task>| task.settings.contains_key("lcwd");
        let is_set = env.set_names().any(sets_lcwd) || collection.all().into_iter().any(of_task);
        Self {
            collection,
            roles,
            env: env.clone(),
            fabfile: env,
            included,
            environment: template::environment(),
            lcwd: lcwd.filter(|_| !is_set),
            made: false,
            alone: false,
            seen: HashSet::new(),
            seen_roles: HashSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A task that is asked for, with these lists.
    pub(super) fn asked(&mut self, task: &'a Arc<Task>, selection: &Selection) {
        if !selection.gives_hosts() {
            self.own_lists(task);
        }
        self.task(task, true);
    }

    /// A task as if it alone were asked for.
    pub(super) fn alone(&mut self, task: &'a Arc<Task>) {
        (self.made, self.alone) = (false, true);
        self.asked(task, &Selection::default());
    }

    /// All roles, whether a task names them or not.
    pub(super) fn all_roles(&mut self) {
        for name in self.roles.keys() {
            self.role(name);
        }
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.with_warnings().0
    }

    /// What is wrong, and what a person should know, each once and in the order of the files.
    pub(super) fn with_warnings(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |problems: Vec<Problem>| {
            let mut once: Vec<Problem> = Vec::new();
            for problem in problems {
                if !once.contains(&problem) {
                    once.push(problem);
                }
            }
            let place = |problem: &Problem| {
                problem.origin.as_ref().map(|origin| (origin.file.clone(), origin.line, origin.column))
            };
            once.sort_by_key(place);
            once
        };
        (sorted(self.problems), sorted(self.warnings))
    }

    fn problem(&mut self, origin: Option<Origin>, message: impl Into<String>, hint: Option<String>) {
        let mut problem = Problem::new(message).at(origin);
        problem.hint = hint;
        self.problems.push(problem);
    }

    /// A task with what it draws along; `is_sure`: nothing decides in the run whether it comes to that.
    fn task(&mut self, task: &'a Arc<Task>, is_sure: bool) {
        let id = task.id();
        if self.seen.contains(&(id.same(), true)) || !self.seen.insert((id, is_sure)) {
            return;
        }
        let own = self.env_of(&task.namespace);
        let outer = std::mem::replace(&mut self.env, own);
        let in_batches = task.batch.is_some() || task.rolling.canary.is_some() || task.settings.contains_key("batch");
        if task.rolling.pause && !in_batches && !self.env.has_batches() {
            let hint = Some("`canary` or `batch` says how many hosts it is".to_owned());
            self.problem(
                task.origin.clone(),
                format!("`pause` of task `{}`: there is no first batch", task.name),
                hint,
            );
        }
        let is_sure = is_sure && !task.settings.contains_key("warn_only");
        for call in &task.pre {
            self.call(task, call, false, is_sure);
        }
        match task.body.outline() {
            Some(outline) => {
                let mut scope = Scope::new(self.env.clone(), &task.params, &outline.steps);
                for step in &outline.steps {
                    self.names(step, &scope);
                    let is_sure = is_sure && step.condition.is_none() && !step.is_tolerant;
                    self.effects(task, step, &scope, is_sure);
                    scope.pass(step);
                }
            }
            None => self.made = true,
        }
        for call in task.rolling.health.iter().chain(&task.rolling.rollback) {
            self.call(task, call, true, is_sure);
        }
        for call in &task.post {
            self.call(task, call, false, is_sure);
        }
        self.env = outer;
    }

    /// What `env` has in the file of a namespace.
    fn env_of(&self, namespace: &str) -> Arc<Names> {
        self.included.get(namespace).unwrap_or(&self.fabfile).clone()
    }

    /// A call in the task's own keys; `on_hosts`: its hosts are those of the task.
    fn call(&mut self, task: &Task, call: &Invocation, on_hosts: bool, is_sure: bool) {
        let origin = call.origin.as_deref().or(task.origin.as_ref()).cloned();
        let Some(called) = self.collection.find(&call.task) else {
            self.unknown_task(origin, &call.task);
            return;
        };
        if let Err(error) = call.bind(&called.params) {
            self.problem(origin.clone(), error.to_string(), None);
        }
        if call.selection.gives_hosts() {
            let place = Whereabouts { places: None, origin };
            self.lists(&called.name, &call.selection, &place);
        } else if !on_hosts {
            self.own_lists(called);
        }
        self.task(called, is_sure);
    }

    fn unknown_task(&mut self, origin: Option<Origin>, name: &str) {
        let unknown = self.collection.unknown(name);
        let hint = unknown.nearest.map(|near| format!("did you mean `{near}`?"));
        self.problem(origin, format!("there is no task `{name}`"), hint);
    }

    /// The names that the templates and conditions of a step use.
    fn names(&mut self, step: &KnownStep<'_>, scope: &Scope<'_>) {
        let place = Whereabouts::of_step(step);
        let tested = step.condition.map(names::of_condition).unwrap_or_default();
        let guards: Vec<Vec<&str>> = tested.iter().filter(|one| one.optional).map(|one| one.path.clone()).collect();
        if let Some(text) = step.condition {
            self.uses(&place, text, &tested, scope, &guards);
        }
        if let Some((condition, _)) = step.until {
            let uses = names::of_condition(condition);
            self.uses(&place, condition, &uses, &scope.trying(step), &guards);
        }
        for one in &step.texts {
            let (Text::Plain(text) | Text::Shell(text)) = *one;
            if !template::is_template(text) {
                continue;
            }
            self.uses(&place, text, &names::of_template(text), scope, &guards);
            if matches!(one, Text::Shell(_)) {
                self.unquoted(&place, text, scope);
            }
        }
    }

    fn uses(&mut self, place: &Whereabouts<'_>, text: &str, uses: &[Use<'_>], scope: &Scope<'_>, guards: &[Vec<&str>]) {
        for one in uses {
            if one.optional || guards.iter().any(|path| one.is_of(path)) {
                continue;
            }
            if let Some(unknown) = self.unknown(one, scope) {
                self.problem(place.within(text, &one.at), unknown.message, unknown.hint);
            }
        }
    }

    fn unknown(&self, one: &Use<'_>, scope: &Scope<'_>) -> Option<Unknown> {
        if one.what == Named::Value {
            return scope.unknown(one);
        }
        let is_known = template::is_known(&self.environment, one.what, one.path[0]);
        let message = || format!("there is no {} `{}`", one.what.word(), one.path[0]);
        (!is_known).then(|| Unknown { message: message(), hint: None })
    }

    /// Values that a shell would read as its own words.
    fn unquoted(&mut self, place: &Whereabouts<'_>, text: &str, scope: &Scope<'_>) {
        for (expression, part) in names::unquoted(text) {
            let uses = names::of_condition(&expression);
            if uses.iter().all(|one| scope.is_harmless(one)) {
                continue;
            }
            let message = format!("`{{{{ {expression} }}}}` reaches a shell unquoted");
            let hint = format!("write `{{{{ {expression} | sh }}}}`, without quotes around it");
            let problem = Problem::new(message).hint(hint);
            self.warnings.push(problem.at(place.within(text, &part)));
        }
    }

    /// What a step does to what comes after it, and what it needs besides names.
    fn effects(&mut self, task: &'a Task, step: &KnownStep<'a>, scope: &Scope<'_>, is_sure: bool) {
        if is_sure && !self.made {
            self.sources(step, scope);
        }
        match &step.effect {
            Effect::None => {}
            Effect::MakesFiles => self.made = true,
            Effect::Executes(executed) => self.execute(task, step, executed, is_sure),
            Effect::Sets { lists, by_command, .. } => {
                self.lists(&task.name, lists, &Whereabouts::of_step(step));
                self.made |= by_command;
            }
        }
    }

    fn execute(&mut self, task: &Task, step: &KnownStep<'_>, execute: &Executed<'_>, is_sure: bool) {
        let place = Whereabouts::of_step(step);
        let (name, arguments) = execute.task.split_once(':').unwrap_or((execute.task, ""));
        if template::is_template(name) {
            // It may be any task.
            self.made = true;
            return;
        }
        let is_open = template::is_template(arguments);
        let parsed = if is_open { Ok(Invocation::new(name.trim())) } else { Invocation::parse(execute.task) };
        let mut call = match parsed {
            Ok(call) => call,
            Err(error) => return self.problem(place.of(execute.task), error.to_string(), None),
        };
        let full = self.collection.qualified(&task.namespace, &call.task);
        let Some(called) = self.collection.find(&full) else {
            return self.unknown_task(place.of(execute.task), &call.task);
        };
        if !is_open {
            call.named.extend(execute.args.clone());
            // What a template will yield is a text of some kind.
            let params: Vec<Param> = called.params.iter().map(|param| open_param(param, &mut call)).collect();
            if let Err(error) = call.bind(&params) {
                self.problem(place.of(execute.task), error.to_string(), None);
            }
        }
        for (list, given) in [
            (&mut call.selection.hosts, execute.hosts),
            (&mut call.selection.roles, execute.roles),
            (&mut call.selection.exclude, execute.exclude_hosts),
        ] {
            if !given.is_empty() {
                *list = given.to_vec();
            }
        }
        self.lists(&called.name, &call.selection, &place);
        if !is_open && !call.selection.gives_hosts() {
            self.own_lists(called);
        }
        self.task(called, is_sure);
    }

    /// What a step reads on this machine: the source of a `put`, the file that is a command's `stdin`.
    fn sources(&mut self, step: &KnownStep<'_>, scope: &Scope<'_>) {
        let Some((key, from, is_rendered)) = step.reads else { return };
        let Some(lcwd) = self.lcwd.as_ref().filter(|_| !template::is_template(from)) else { return };
        let path = local_path(&lcwd.to_string_lossy(), Path::new(from));
        // One file is rendered, whose name has these characters in it.
        let is_pattern = !is_rendered && from.contains(['*', '?', '[']);
        match std::fs::metadata(&path) {
            Err(error) if !is_pattern && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                let hint = "it is read from there when the step runs, and no step before it makes files here";
                let problem = Problem::new(format!("`{key}`: there is no {}", path.display())).hint(hint);
                let problem = problem.at(Whereabouts::of_step(step).of(from));
                let may_be_made = self.alone && self.collection.all().into_iter().any(|task| makes_files(task));
                if may_be_made { self.warnings.push(problem) } else { self.problems.push(problem) }
            }
            Ok(found) if found.is_dir() && (is_rendered || key == "stdin") => {
                let what = if is_rendered { "`template = true` renders one file" } else { "a command reads one file" };
                let message = format!("`{key}`: {} is a directory, and {what}", path.display());
                self.problem(Whereabouts::of_step(step).of(from), message, None);
            }
            Ok(found) if key == "put" && !found.is_dir() && !found.is_file() => {
                let message = format!("`put`: {} is a pipe or a device, which can be read once only", path.display());
                let hint = "a step `local` can make a file of it";
                self.problem(Whereabouts::of_step(step).of(from), message, Some(hint.to_owned()));
            }
            Ok(found) if is_rendered && found.is_file() => self.template_file(&path, from, step, scope),
            _ => {}
        }
    }

    /// A file that is rendered before it is put.
    fn template_file(&mut self, path: &Path, from: &str, step: &KnownStep<'_>, scope: &Scope<'_>) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("`put`: {} can't be rendered: {error}", path.display());
                return self.problem(Whereabouts::of_step(step).of(from), message, None);
            }
        };
        let file = Source::new(path, text);
        if let Err((line, message)) = template::check_file(&file.text) {
            return self.problem(Some(Origin::file(Layer::Fabfile, path, Some(line))), message, None);
        }
        for one in names::of_template(&file.text).iter().filter(|one| !one.optional) {
            if let Some(unknown) = self.unknown(one, scope) {
                self.problem(Some(file.origin(Layer::Fabfile, one.at.start)), unknown.message, unknown.hint);
            }
        }
    }

    /// A task's own hosts and roles.
    fn own_lists(&mut self, task: &Task) {
        let place = Whereabouts { places: Some(&task.places), origin: task.origin.clone() };
        self.lists(&task.name, &task.own, &place);
    }

    /// Lists of hosts and roles, as far as they are no templates.
    fn lists(&mut self, task: &str, lists: &Selection, place: &Whereabouts<'_>) {
        for text in lists.hosts.iter().chain(&lists.exclude).filter(|text| !template::is_template(text)) {
            if let Err(error) = hosts_of(text) {
                let origin = place.of_which(|one| one == text || hosts_of_any(one).contains(text));
                self.problem(origin, format!("task `{task}`: {error}"), None);
            }
        }
        let is_known = |name: &str| self.roles.contains_key(name);
        for item in lists.roles.iter().filter(|item| !template::is_template(item)) {
            let named = role_names(std::slice::from_ref(item), is_known);
            for (name, near) in unknown_names(&named, self.roles) {
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                self.problem(place.of(item), format!("task `{task}`: the role `{name}` does not exist"), hint);
            }
            for name in &named {
                self.role(name);
            }
        }
    }

    /// A role, and those that it is made of.
    fn role(&mut self, name: &str) {
        let Some((name, role)) = self.roles.get_key_value(name) else { return };
        if !self.seen_roles.insert(name.clone()) {
            return;
        }
        let place = Whereabouts { places: Some(&role.places), origin: role.origin.clone() };
        match &role.source {
            RoleSource::Hosts(hosts) => {
                for host in hosts {
                    if let Err(error) = host.parse::<HostString>() {
                        let origin = place.of_which(|one| hosts_of_any(one).contains(host));
                        self.problem(origin, format!("role `{name}`: {error}"), None);
                    }
                }
            }
            RoleSource::Roles(items) => {
                for name in role_names(items, |name| self.roles.contains_key(name)) {
                    self.role(&name);
                }
            }
            RoleSource::Command { line, .. } => {
                let scope = Scope::of_role(self.env_of(&role.namespace));
                self.uses(&place, line, &names::of_template(line), &scope, &[]);
                self.unquoted(&place, line, &scope);
            }
            RoleSource::File { .. } | RoleSource::Code(_) => {}
        }
    }
}

/// The parameter as it takes what a template yields, which is put in for it in the call.
fn open_param(param: &Param, call: &mut Invocation) -> Param {
    let is_open = |value: &Value| template::is_template(&value.to_string());
    match call.named.iter_mut().find(|(name, value)| param.is_named(name) && is_open(value)) {
        Some((_, value)) => {
            *value = Value::from("");
            Param { kind: ParamKind::Text, ..param.clone() }
        }
        None => param.clone(),
    }
}

/// Whether a task may make files on this machine.
fn makes_files(task: &Task) -> bool {
    task.body.outline().is_none_or(|outline| outline.steps.iter().any(KnownStep::makes_files))
}

/// The host strings of a text, ranges and braces expanded.
fn hosts_of(text: &str) -> Result<Vec<String>, HostStringError> {
    let mut hosts = Vec::new();
    for item in fabric_core::host::split_list(text) {
        for host in expand_item(item)? {
            host.parse::<HostString>()?;
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// The same, whether they are right or not.
fn hosts_of_any(text: &str) -> Vec<String> {
    fabric_core::host::split_list(text).into_iter().filter_map(|item| expand_item(item).ok()).flatten().collect()
}
