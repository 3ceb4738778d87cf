//! Which names templates can use, and where.

use std::collections::BTreeSet;
use std::sync::Arc;

use fabric_core::settings::{Kind, Setting, Settings, nearest};
use indexmap::IndexMap;

use crate::collection::Collection;
use crate::task::{Effect, KnownStep, Param, ParamKind};
use crate::template::names::{Named, Use};

/// What `env` has, as far as it is known before the run.
pub(super) struct Names {
    settings: Arc<Settings>,
    /// The keys of all `set` steps, of any task: which of them ran before is not known.
    set: BTreeSet<String>,
    /// Code can set anything.
    is_open: bool,
}

impl Names {
    pub(super) fn new(settings: Arc<Settings>, collection: &Collection) -> Self {
        let tasks = collection.all();
        let (mut set, mut is_open) = (BTreeSet::new(), false);
        for task in tasks {
            let Some(outline) = task.body.outline() else {
                is_open = true;
                continue;
            };
            for step in outline.steps {
                if let Effect::Sets { names, .. } = step.effect {
                    set.extend(names.into_iter().map(str::to_owned));
                }
            }
        }
        Self { settings, set, is_open }
    }

    /// The keys that steps of the file set.
    pub(super) fn set_names(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(String::as_str)
    }

    /// Whether tasks go over their hosts in batches for all that is known.
    pub(super) fn has_batches(&self) -> bool {
        self.settings.batch.is_some() || self.is_open || self.set.contains("batch")
    }

    fn has(&self, name: &str) -> bool {
        match Setting::find(name) {
            Some(setting) => !setting.kind.is_secret(),
            None => self.is_open || self.set.contains(name) || self.settings.extra.contains_key(name),
        }
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let own = self.settings.extra.keys().chain(&self.set).map(String::as_str);
        let settings = fabric_core::settings::TABLE.iter().filter(|setting| !setting.kind.is_secret());
        nearest(name, own.chain(settings.map(|setting| setting.name))).map(|name| format!("env.{name}"))
    }
}

/// What a step of a task sees.
pub(super) struct Scope<'a> {
    env: Arc<Names>,
    params: &'a [Param],
    /// Names that steps before have saved, and what is known to be in them.
    saved: IndexMap<&'a str, Option<Vec<String>>>,
    /// Names that steps behind it save.
    later: Vec<&'a str>,
}

/// What is wrong with a name.
pub(super) struct Unknown {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl<'a> Scope<'a> {
    /// Of the command of a role: `env` alone.
    pub(super) fn of_role(env: Arc<Names>) -> Self {
        Self { env, params: &[], saved: IndexMap::new(), later: Vec::new() }
    }

    /// At the first of these steps.
    pub(super) fn new(env: Arc<Names>, params: &'a [Param], steps: &[KnownStep<'a>]) -> Self {
        let later = steps.iter().filter_map(|step| step.save).collect();
        Self { env, params, saved: IndexMap::new(), later }
    }

    /// Behind this step.
    pub(super) fn pass(&mut self, step: &KnownStep<'a>) {
        let Some(name) = step.save else { return };
        let known = step.attributes.clone();
        match self.saved.get_mut(name) {
            None => drop(self.saved.insert(name, known)),
            // Of several, the last one that was carried out is seen.
            Some(before) => match (before.as_mut(), known) {
                (Some(before), Some(known)) => before.extend(known),
                _ => *before = None,
            },
        }
    }

    /// What the condition of `until` sees besides.
    pub(super) fn trying(&self, step: &KnownStep<'a>) -> Self {
        let mut scope =
            Self { env: self.env.clone(), params: self.params, saved: self.saved.clone(), later: self.later.clone() };
        scope.pass(step);
        scope.saved.insert("outcome", step.attributes.clone());
        scope
    }

    /// Whether a value is a number, a switch or one of the author's own words, so that a shell takes it as it is.
    pub(super) fn is_harmless(&self, one: &Use<'_>) -> bool {
        if one.what != Named::Value {
            return false;
        }
        match (one.path[0], one.path.get(1)) {
            ("env", Some(key)) => Setting::find(key).is_some_and(|setting| {
                matches!(
                    setting.kind,
                    Kind::Bool | Kind::Maybe | Kind::Integer | Kind::Port | Kind::Seconds | Kind::Choice(_)
                )
            }),
            (name, None) => self.params.iter().any(|param| {
                use ParamKind::{Bool, Choice, Integer, Number};
                param.name == name && matches!(param.kind, Integer | Number | Bool | Choice(_))
            }),
            (_, Some(key)) => ["exit", "ok", "bytes", "duration"].contains(key),
        }
    }

    /// What is wrong with the name of a value, if it is.
    pub(super) fn unknown(&self, one: &Use<'_>) -> Option<Unknown> {
        let root = one.path[0];
        let not_defined = |name: &str, near: Option<String>| {
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            Some(Unknown { message: format!("`{name}` is not defined"), hint })
        };
        if root == "env" {
            let (env, key) = (&self.env, one.path.get(1)?);
            return if env.has(key) { None } else { not_defined(&format!("env.{key}"), env.nearest(key)) };
        }
        if self.params.iter().any(|param| param.name == root) {
            return None;
        }
        let Some(attributes) = self.saved.get(root) else {
            if self.later.contains(&root) {
                let message = format!("`{root}` is not defined");
                return Some(Unknown { message, hint: Some("a step behind this one saves it".to_owned()) });
            }
            let known = self.params.iter().map(|param| param.name.as_str()).chain(self.saved.keys().copied());
            let known = known.chain(["env"]);
            let near = nearest(root, known).map(str::to_owned);
            // `release` for `env.release`.
            let of_env = || (self.env.has(root) && !self.env.is_open).then(|| format!("env.{root}"));
            return not_defined(root, near.or_else(of_env));
        };
        match (attributes, one.path.get(1)) {
            (Some(known), Some(key)) if !known.iter().any(|known| known == key) => {
                let near = nearest(key, known.iter().map(String::as_str)).map(|near| format!("{root}.{near}"));
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let hint = hint.unwrap_or_else(|| format!("`{root}` has {}", known.join(", ")));
                Some(Unknown { message: format!("`{root}.{key}` is not defined"), hint: Some(hint) })
            }
            _ => None,
        }
    }
}
