//! The JSON schema of a declared fabfile.

use fabric_core::settings::{Map, Value};
use serde_json::json;

use super::schema::{properties, texts};

/// The schema of `fabfile.toml`, `fabfile.yaml` and `fabfile.json` (JSON Schema 2020-12).
pub fn fabfile_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fabfile.toml",
        "description": "Tasks and settings of a project",
        "type": "object",
        "properties": {
            "help": {"type": "string", "description": "What the tasks in this file are for"},
            "include": {
                "description": "Other fabfiles, by namespace, or a list whose names are the namespaces",
                "anyOf": [texts(), {"type": "object", "additionalProperties": {"type": "string"}}],
            },
            "env": {
                "description": "Settings, and any other key as shared state: {{ env.release }}",
                "$ref": "#/$defs/known",
            },
            "roledefs": {
                "description": "Roles: names for lists of hosts",
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/role"},
            },
            "hosts": {
                "description": "Settings for the hosts whose name matches a pattern, in file order",
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/settings"},
            },
            "tasks": {
                "description": "Tasks by name",
                "type": "object",
                "additionalProperties": {"anyOf": [texts(), {"$ref": "#/$defs/task"}]},
            },
        },
        "additionalProperties": false,
        "$defs": {
            "known": {"type": "object", "properties": properties()},
            "settings": {"$ref": "#/$defs/known", "unevaluatedProperties": false},
            "role": role(),
            "task": task(),
            "step": step(),
        },
    })
}

fn role() -> Value {
    json!({"anyOf": [texts(), {
        "$ref": "#/$defs/known",
        "properties": {
            "hosts": texts(),
            "roles": texts(),
            "command": {"type": "string", "description": "A command that prints the hosts"},
            "inventory": {"type": "string", "description": "A file or directory that lists the hosts"},
            "group": {"type": "string", "description": "The inventory's group; default: the role's name"},
        },
        "unevaluatedProperties": false,
    }]})
}

fn task() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let switch = |about: &str| json!({"type": "boolean", "description": about});
    let list = |about: &str| {
        let mut schema = texts();
        schema["description"] = about.into();
        schema
    };
    let share = |about: &str| json!({"type": ["string", "integer"], "description": about});
    let argument = json!({"anyOf": [{"type": "string"}, {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "default": {"description": "Its type is the argument's type"},
            "help": {"type": "string"},
            "type": {"enum": ["text", "integer", "number", "bool", "list"]},
            "choices": {"type": "array", "items": {"type": "string"}},
            "short": {"type": "string", "minLength": 1, "maxLength": 1},
        },
        "required": ["name"],
        "additionalProperties": false,
    }]});
    json!({
        "type": "object",
        "properties": {
            "help": text("What it does; the first line is shown in listings"),
            "aliases": list("Other names"),
            "default": switch("Whether it runs when no task is named"),
            "hosts": list("The hosts it runs on"),
            "roles": list("The roles it runs on"),
            "runs_once": switch("Whether it runs once a run, whatever its hosts"),
            "parallel": switch("Whether it runs on its hosts at the same time"),
            "pool_size": {"type": "integer", "minimum": 0, "description": "How many hosts at the same time"},
            "batch": share("How many hosts, or what share, before the next"),
            "canary": share("How many hosts, or what share, go first, alone"),
            "health": list("A task that runs on the hosts of each batch after it, and must succeed: task:args"),
            "pause": switch("Whether to ask before going on after the first batch"),
            "rollback": list("A task that runs on all hosts that were begun if the task fails: task:args"),
            "args": {"type": "array", "items": argument, "description": "Its parameters"},
            "pre": list("Tasks that run before it: task:args"),
            "post": list("Tasks that run after it: task:args"),
            "with": {"$ref": "#/$defs/settings", "description": "Settings while it runs"},
            "run": list("One remote command or several"),
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
        },
        "not": {"required": ["run", "steps"]},
        "additionalProperties": false,
    })
}

/// Keys and the schemas of their values.
type Keys = [(String, Value)];

/// The words of a step's `hide`: streams, and the output groups of Fabric 1.
const LEVELS: [&str; 15] = [
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

/// A step: one verb, the keys of every step, and those of the verb.
fn step() -> Value {
    let text = json!({"type": "string"});
    let switch = json!({"type": "boolean"});
    let texts_by_name = json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}});
    let of = |keys: &[(&str, &Value)]| -> Vec<(String, Value)> {
        keys.iter().map(|(key, schema)| ((*key).to_owned(), (*schema).clone())).collect()
    };
    let texts = texts();
    let codes = json!({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]});
    let shell = json!({"type": ["boolean", "string"]});
    let level = json!({"enum": LEVELS});
    let hide = json!({"anyOf": [{"type": "boolean"}, level, {"type": "array", "items": level}]});
    let number = json!({"type": "number", "minimum": 0});
    let count = json!({"type": "integer", "minimum": 0});
    let until = json!({"type": "string", "description": "An expression: the command is repeated until it holds"});
    let mode = json!({"type": ["string", "integer"]});
    let links = json!({"enum": ["follow", "keep", "skip"]});
    let table = json!({"type": "object"});
    let file = json!({
        "type": "object", "properties": {"file": text}, "required": ["file"], "additionalProperties": false,
    });
    let stdin = json!({
        "description": "What the commands read: true is what fab reads, else a text or a file",
        "anyOf": [{"type": ["boolean", "string"]}, file],
    });
    let saves = of(&[("if", &text), ("save", &text)]);
    let shows = of(&[("hide", &hide)]);
    let fails = of(&[("warn_only", &switch)]);
    let command = of(&[
        ("cd", &text),
        ("prefix", &texts),
        ("path", &text),
        ("env", &texts_by_name),
        ("shell", &shell),
        ("pty", &switch),
        ("timeout", &number),
        ("ok_ret_codes", &codes),
        ("until", &until),
        ("retries", &count),
        ("delay", &number),
        ("stdin", &stdin),
    ]);
    let sudo = of(&[("user", &text), ("group", &text)]);
    let transfer = of(&[
        ("to", &text),
        ("mode", &mode),
        ("mirror_local_mode", &switch),
        ("links", &links),
        ("use_sudo", &switch),
        ("skip_same", &switch),
        ("resume", &switch),
        ("verify", &switch),
        ("atomic", &switch),
    ]);
    let put = of(&[("temp_dir", &text), ("template", &switch)]);
    let execute = of(&[("args", &table), ("hosts", &texts), ("roles", &texts), ("exclude_hosts", &texts)]);
    let prompt = of(&[("default", &text), ("secret", &switch)]);
    let open_shell = json!({"anyOf": [{"const": true}, {"type": "string"}]});
    let verbs: [(&str, &Value, &[&Keys]); 9] = [
        ("run", &text, &[&command, &saves, &shows, &fails]),
        ("sudo", &text, &[&command, &sudo, &saves, &shows, &fails]),
        ("local", &text, &[&command, &saves, &shows, &fails]),
        ("put", &text, &[&transfer, &put, &saves, &shows, &fails]),
        ("get", &text, &[&transfer, &saves, &shows, &fails]),
        ("execute", &text, &[&execute, &saves, &shows, &fails]),
        ("set", &table, &[&saves]),
        ("prompt", &text, &[&prompt, &saves, &shows]),
        ("open_shell", &open_shell, &[&saves, &shows]),
    ];
    let one = |(verb, subject, keys): &(&str, &Value, &[&Keys])| {
        let mut properties = Map::new();
        properties.insert((*verb).to_owned(), (*subject).clone());
        properties.extend(keys.iter().copied().flatten().cloned());
        json!({"type": "object", "properties": properties, "required": [verb], "additionalProperties": false})
    };
    json!({"oneOf": verbs.iter().map(one).collect::<Vec<_>>()})
}
