//! A case as files: in Python for the classic program, in TOML for ours.
//!
//! Every task prints what runs where: its name, the host string, user and port, its argument, and its lists.

use std::fmt::Write as _;

use super::case::{Assignment, Case, Execute, Form, Role, Step, Task, list};

const PYTHON: &str = "\
import os
from fabric.api import *


def ran(*words):
    # In one write: processes share the output.
    os.write(1, (' '.join(('RAN',) + words) + '\\n').encode())


def began(task, x):
    user = '-' if env.user == env.local_user else env.user
    lists = [','.join(items) or '-' for items in (env.all_hosts, env.effective_roles)]
    # Without a host ours has a port only if one was given, as the documentation says.
    port = env.port if env.host_string else '-'
    ran(task, env.host_string or '-', user, port, x, *lists)
";

impl Case {
    /// `fabfile.py`, and the module `inner.py`.
    pub(crate) fn python(&self) -> [(&'static str, String); 2] {
        let (mut outer, mut inner) = (format!("{PYTHON}\nimport inner\n\n"), PYTHON.to_owned());
        for Role { name, hosts, form } in &self.roles {
            let value = match form {
                Form::List => list(hosts),
                Form::Table => format!("{{'hosts': {}}}", list(hosts)),
                Form::Asked => format!("lambda: {}", list(hosts)),
            };
            _ = writeln!(outer, "env.roledefs['{name}'] = {value}");
        }
        for (name, assignment) in [("hosts", &self.env_hosts), ("roles", &self.env_roles)] {
            _ = match assignment {
                Some(Assignment::Replace(items)) => writeln!(outer, "env.{name} = {}", list(items)),
                Some(Assignment::Extend(items)) => writeln!(outer, "env.{name}.extend({})", list(items)),
                None => Ok(()),
            };
        }
        _ = writeln!(outer, "env.exclude_hosts.extend({})", list(&self.env_exclude));
        _ = writeln!(outer, "env.dedupe_hosts = {}", if self.dedupe { "True" } else { "False" });
        for (number, task) in self.tasks.iter().enumerate() {
            let text = if task.inner { &mut inner } else { &mut outer };
            _ = writeln!(text, "\n\n@task(alias='alias{number}')");
            for (name, items) in [("hosts", &task.hosts), ("roles", &task.roles)] {
                if !items.is_empty() {
                    _ = writeln!(text, "@{name}(*{})", list(items));
                }
            }
            if task.runs_once {
                text.push_str("@runs_once\n");
            }
            _ = match task.mode {
                Some(true) if task.pool_size > 0 => writeln!(text, "@parallel(pool_size={})", task.pool_size),
                Some(true) => writeln!(text, "@parallel"),
                Some(false) => writeln!(text, "@serial"),
                None => Ok(()),
            };
            _ = writeln!(text, "def t{number}(x='-'):\n    began('t{number}', x)");
            for step in &task.steps {
                self.python_step(text, step);
            }
        }
        [("fabfile.py", outer), ("inner.py", inner)]
    }

    fn python_step(&self, text: &mut String, step: &Step) {
        _ = match step {
            Step::Set(setting) => {
                let (name, [_, value]) = setting.written();
                writeln!(text, "    env.{name} = {value}")
            }
            Step::FailOn(host) => writeln!(text, "    if env.host_string == '{host}':\n        local('exit 3')"),
            Step::Execute(execute) => {
                let name = if execute.named { "x=" } else { "" };
                let argument = execute.argument.map(|text| format!(", {name}{text:?}")).unwrap_or_default();
                let given = argument + &execute.given("=");
                let tell = "    ran('results', ','.join(key.strip('<>') for key in results) or '-')\n";
                let tell = if execute.tells { tell } else { "" };
                write!(text, "    results = execute('{}'{given})\n{tell}", self.name(execute.task))
            }
        };
    }

    /// `fabfile.toml`, and `inner.toml`.
    pub(crate) fn toml(&self) -> [(&'static str, String); 2] {
        let (mut outer, mut inner) = ("include = [\"inner.toml\"]\n\n[env]\n".to_owned(), String::new());
        for (name, assignment) in [("hosts", &self.env_hosts), ("roles", &self.env_roles)] {
            _ = match assignment {
                Some(Assignment::Replace(items)) => writeln!(outer, "{name} = {{ replace = {} }}", list(items)),
                Some(Assignment::Extend(items)) => writeln!(outer, "{name} = {{ extend = {} }}", list(items)),
                None => Ok(()),
            };
        }
        let exclude = list(&self.env_exclude);
        _ = writeln!(outer, "exclude_hosts = {exclude}\ndedupe_hosts = {}\n\n[roledefs]", self.dedupe);
        for Role { name, hosts, form } in &self.roles {
            let value = match form {
                Form::List => list(hosts),
                Form::Table => format!("{{ hosts = {} }}", list(hosts)),
                Form::Asked => format!("{{ command = \"for h in {}; do echo $h; done\" }}", hosts.join(" ")),
            };
            _ = writeln!(outer, "{name} = {value}");
        }
        for (number, task) in self.tasks.iter().enumerate() {
            self.toml_task(if task.inner { &mut inner } else { &mut outer }, number, task);
        }
        [("fabfile.toml", outer), ("inner.toml", inner)]
    }

    fn toml_task(&self, text: &mut String, number: usize, task: &Task) {
        _ = writeln!(
            text,
            "\n[tasks.t{number}]\naliases = [\"alias{number}\"]\nargs = [{{ name = \"x\", default = \"-\" }}]"
        );
        for (name, items) in [("hosts", &task.hosts), ("roles", &task.roles)] {
            if !items.is_empty() {
                _ = writeln!(text, "{name} = {}", list(items));
            }
        }
        if task.runs_once {
            text.push_str("runs_once = true\n");
        }
        if let Some(parallel) = task.mode {
            _ = writeln!(text, "parallel = {parallel}");
        }
        if task.pool_size > 0 {
            _ = writeln!(text, "pool_size = {}", task.pool_size);
        }
        let words = [
            "env.host_string or '-'",
            "'-' if env.user == env.local_user else env.user",
            "env.port if env.host_string else '-'",
            "x",
            "env.all_hosts | join(',') or '-'",
            "env.effective_roles | join(',') or '-'",
        ];
        let words = words.map(|word| format!("{{{{ ({word}) | sh }}}}")).join(" ");
        _ = writeln!(text, "steps = [\n  {{ local = \"echo RAN t{number} {words}\" }},");
        for step in &task.steps {
            _ = match step {
                Step::Set(setting) => {
                    let (name, [value, _]) = setting.written();
                    writeln!(text, "  {{ set = {{ {name} = {value} }} }},")
                }
                Step::FailOn(host) => {
                    writeln!(text, "  {{ local = \"exit 3\", if = \"env.host_string == '{host}'\" }},")
                }
                Step::Execute(execute) => {
                    let name = self.name(execute.task);
                    let argument = execute.argument.map(|text| format!(", args = {{ x = {text:?} }}"));
                    let given = execute.given(" = ") + &argument.unwrap_or_default();
                    let tell = "  { local = \"echo RAN results {{ (results | join(',') or '-') | replace('<', '') | replace('>', '') }}\" },\n";
                    let (save, tell) = if execute.tells { (", save = \"results\"", tell) } else { ("", "") };
                    write!(text, "  {{ execute = \"{name}\"{given}{save} }},\n{tell}")
                }
            };
        }
        text.push_str("]\n");
    }
}

impl Execute {
    /// Its lists, as both languages write them.
    fn given(&self, equals: &str) -> String {
        let lists = &self.lists;
        let keys = [("hosts", &lists.hosts), ("roles", &lists.roles), ("exclude_hosts", &lists.exclude)];
        let given = keys.into_iter().filter(|(_, items)| !items.is_empty());
        given.map(|(key, items)| format!(", {key}{equals}{}", list(items))).collect::<Vec<_>>().concat()
    }
}
