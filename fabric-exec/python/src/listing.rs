//! What is in a fabfile, as the interpreter says it.

use std::sync::Arc;

use fabric_core::settings::Map;
use fabric_core::{Layer, Origin, Value};
use fabric_exec::hostlist::{Role, RoleSource, Roles};
use fabric_exec::task::Mode;
use fabric_exec::{Collection, Invocation, Param, ParamKind, Task};

use crate::body::Body;
use crate::program::{Looked, Program};

/// What is in a fabfile.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listing {
    /// Its tasks.
    pub collection: Collection,
    /// `env.roledefs`.
    pub roles: Roles,
    /// What it has set of `env`: settings by their classic names, and shared state.
    pub env: Map,
    /// Whether its tasks are those of Fabric 2 and 3.
    pub modern: bool,
}

impl Listing {
    /// Reads the answer to `load`.
    pub(crate) fn read(answer: &Map, program: &Arc<Program>) -> Result<Self, String> {
        let reader = Reader { program };
        let collection = reader.collection(answer)?;
        let mut roles = Roles::new();
        let role = |name: &str| {
            let looked = Looked { program: program.clone(), role: name.to_owned() };
            Role::new(RoleSource::Code(Arc::new(looked)))
        };
        for (name, hosts) in object(answer, "roledefs") {
            let role = match hosts.as_array() {
                Some(_) => Role::hosts(texts(hosts)),
                None => role(name),
            };
            roles.insert(name.clone(), role);
        }
        // A task may define them before they are looked up.
        for name in roles_named(answer) {
            roles.entry(name.clone()).or_insert_with(|| role(&name));
        }
        let mut env = Map::new();
        for part in ["env", "shared"] {
            env.extend(object(answer, part).map(|(name, value)| (name.clone(), value.clone())));
        }
        let modern = answer.get("modern").and_then(Value::as_bool).unwrap_or_default();
        Ok(Self { collection, roles, env, modern })
    }
}

struct Reader<'a> {
    program: &'a Arc<Program>,
}

fn object<'a>(map: &'a Map, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    map.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn items<'a>(map: &'a Map, name: &str) -> impl Iterator<Item = &'a Map> {
    map.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text(map: &Map, name: &str) -> Option<String> {
    map.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn flag(map: &Map, name: &str) -> bool {
    map.get(name).and_then(Value::as_bool).unwrap_or_default()
}

impl Reader<'_> {
    fn collection(&self, described: &Map) -> Result<Collection, String> {
        let mut collection = Collection::new();
        if let Some(doc) = text(described, "doc") {
            collection = collection.doc(doc);
        }
        for one in items(described, "tasks") {
            collection.add(self.task(one)).map_err(|error| error.to_string())?;
        }
        for (name, inner) in object(described, "namespaces") {
            let Some(inner) = inner.as_object() else { continue };
            // A task may have the name of a module.
            if collection.find(name).is_none() {
                collection.add_namespace(name, self.collection(inner)?).map_err(|error| error.to_string())?;
            }
        }
        Ok(collection)
    }

    fn task(&self, one: &Map) -> Task {
        let key = text(one, "key").unwrap_or_default();
        let body = Body { program: self.program.clone(), key };
        let mut task = Task::new(text(one, "name").unwrap_or_default(), Arc::new(body));
        task.aliases = one.get("aliases").map(texts).unwrap_or_default();
        task.help = text(one, "help");
        task.params = items(one, "params").map(param).collect();
        task.own.hosts = one.get("hosts").map(texts).unwrap_or_default();
        task.own.roles = one.get("roles").map(texts).unwrap_or_default();
        task.runs_once = flag(one, "runs_once");
        task.mode = match one.get("mode").and_then(Value::as_str) {
            Some("parallel") => Some(Mode::Parallel),
            Some("serial") => Some(Mode::Serial),
            _ => None,
        };
        task.pool_size = one.get("pool_size").and_then(Value::as_u64).map(|size| size as u32);
        task.default = flag(one, "default");
        let calls =
            |name: &str| one.get(name).map(texts).unwrap_or_default().into_iter().map(Invocation::new).collect();
        task.pre = calls("pre");
        task.post = calls("post");
        let line = one.get("line").and_then(Value::as_u64).map(|line| line as usize);
        task.origin = text(one, "file").map(|file| Origin::file(Layer::Fabfile, file, line));
        task
    }
}

/// The roles that tasks name as their own.
fn roles_named(described: &Map) -> Vec<String> {
    let mut names: Vec<String> =
        items(described, "tasks").flat_map(|one| one.get("roles").map(texts).unwrap_or_default()).collect();
    for (_, inner) in object(described, "namespaces") {
        names.extend(inner.as_object().map(roles_named).unwrap_or_default());
    }
    names
}

fn param(one: &Map) -> Param {
    let kind = match one.get("kind").and_then(Value::as_str) {
        Some("bool") => ParamKind::Bool,
        Some("integer") => ParamKind::Integer,
        Some("number") => ParamKind::Number,
        Some("list") => ParamKind::List,
        Some("rest") => ParamKind::Rest,
        Some("named") => ParamKind::Named,
        _ => ParamKind::Text,
    };
    let mut param = Param::required(text(one, "name").unwrap_or_default()).kind(kind);
    if flag(one, "optional") {
        param = param.default_value(one.get("default").cloned().unwrap_or_default());
    }
    if let Some(help) = text(one, "help") {
        param = param.help(help);
    }
    match text(one, "short").and_then(|short| short.chars().next()) {
        Some(letter) => param.short(letter),
        None => param,
    }
}
