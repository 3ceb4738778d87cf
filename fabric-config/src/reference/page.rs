//! The reference page, `docs/settings.md`.

use std::fmt::Write as _;

use fabric_core::settings::{Kind, Setting, TABLE, Value};

const HEAD: &str = "\
<!-- Made from the table of settings (fabric-core/src/settings/table.rs) by the test
`reference_pages_are_up_to_date` of fabric-config: change the table and run it with UPDATE=1. -->

# Settings

Every setting under its classic name, with its default and every way to set it. `fab --show-config` shows what is in
force and where each value comes from, `fab --explain SETTING` one setting's layers.

A value is taken from the highest of these that has one; tables are merged key by key:

1. the defaults below
2. ssh_config (`IdentityFile` adds to `key_filename`, `ForwardAgent yes` is enough)
3. `/etc/fabric.{toml,yaml,yml,json}`
4. `~/.fabricrc`, `~/.fabric.{toml,yaml,yml,json}`, `$XDG_CONFIG_HOME/fabric/{fabric,config}.{toml,yaml,yml,json}`
5. `fabric.{toml,yaml,yml,json}` beside the fabfile
6. environment variables
7. the fabfile's `[env]`
8. the role's settings
9. `[hosts.\"pattern\"]` sections, in file order
10. the task's own keys and its `with`
11. the command line: options, then `--set`
12. what a task sets while it runs
13. a step's own keys, or a call's arguments
14. user and port of the host string

In text (`~/.fabricrc`, variables, `--set`) a switch is `true`, `yes`, `on` or `1` and their opposites; lists are
separated by commas or are JSON; tables are `key=value,...` or JSON. In `--set`, a comma inside a value is `\\,`. A
variable reaches into a table by `__`: `FABRIC_SHELL_ENV__RELEASE=2.4`.

## Templates

Values in settings files, variables and options are taken as they are. In a fabfile a key either takes templates (`{{ }}`) or
refuses `{{` with its line, so that none passes for a text; a password may have a `{{`
without `}}`:

| keys | templates |
| --- | --- |
| a task as a text, `run` of a task | yes |
| steps: `run`, `sudo`, `local`, `prefix`, `cd`, `path`, values of `env`, `shell`, `user`, `group`, `stdin` and its `file` | yes |
| steps: `put`, `get`, `to`, `temp_dir`; the file of a `put` with `template = true` | yes |
| steps: `execute`, values of its `args`, `hosts`, `roles`, `exclude_hosts` | yes |
| steps: values of `set`, `command` of its `hosts`; `prompt` and its `default`; `open_shell` | yes |
| steps: `if`, `until` | no: they are expressions, `version` and not `{{ version }}` |
| steps: all others (`save`, `mode`, `timeout`, `retries`, `hide`, switches) | no |
| tasks: `pre`, `post`, `health`, `rollback`, with their arguments | no: `{ execute = \"build\", args = { version = \"{{ version }}\" } }` does |
| tasks: `hosts`, `roles`, `with`, `args` and their defaults and choices, `aliases`, `help`, `batch`, `canary` and all others | no |
| `[roledefs]`: `command` | yes, with `env.*` only |
| `[roledefs]`: hosts, `roles`, `inventory`, `group`, settings | no |
| `[env]`, `[hosts.\"pattern\"]` and its pattern, `include`, `help` | no |

Editors that know JSON Schema complete settings files by [schema/fabric.json](schema/fabric.json), fabfiles by
[schema/fabfile.json](schema/fabfile.json).
";

/// The reference page in Markdown.
pub fn settings_page() -> String {
    let mut page = HEAD.to_owned();
    let mut group = "";
    for setting in TABLE {
        if setting.group != group {
            group = setting.group;
            let _ = write!(page, "\n## {group}\n");
            if setting.is_information() {
                page.push_str(
                    "\nWhat a run tells its tasks; `{{ env.host }}` and the like in templates. Files can't set it.\n",
                );
            }
        }
        entry(&mut page, setting);
    }
    page
}

fn entry(page: &mut String, setting: &Setting) {
    let _ = write!(page, "\n### `{}`\n\n", setting.name);
    for line in setting.doc.lines() {
        let _ = writeln!(page, "{}", line.trim());
    }
    page.push('\n');
    let unit = if setting.unit.is_empty() { String::new() } else { format!(" ({})", setting.unit) };
    let _ = writeln!(page, "* type: {}{unit}", setting.kind.expected());
    let _ = writeln!(page, "* default: {}", default(setting));
    if !setting.option.is_empty() {
        let _ = writeln!(page, "* option: `{}`", setting.option.replace("; ", "`, `"));
    }
    if !setting.is_information() {
        let _ = writeln!(page, "* variable: `{}`", setting.variable());
    }
    if !setting.aliases.is_empty() {
        let names: Vec<String> = setting.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = writeln!(page, "* modern name: {}", names.join(", "));
    }
    for opposite in setting.inverse {
        let _ = writeln!(page, "* modern opposite: `{opposite}`");
    }
    if !setting.classic.is_empty() {
        let _ = writeln!(page, "* in Fabric 1 the default was {}", setting.classic);
    }
}

fn default(setting: &Setting) -> String {
    match (setting.name, setting.default_value()) {
        // Not the version with which the page was built.
        ("version", _) => "the version".to_owned(),
        ("user" | "local_user", _) => "the name of the user who runs the program".to_owned(),
        (_, Value::Null) if matches!(setting.kind, Kind::Switch | Kind::Maybe) => "unset".to_owned(),
        (_, Value::Null) => "none".to_owned(),
        (_, Value::String(text)) if text.is_empty() => "empty".to_owned(),
        (_, Value::String(text)) => format!("`{text}`"),
        (_, value) => format!("`{value}`"),
    }
}
