//! Random fabfiles, written for both programs.

use std::fmt::Write as _;

/// A fabfile and a command line.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) roles: Vec<Role>,
    pub(crate) env_hosts: Option<Assignment>,
    pub(crate) env_roles: Option<Assignment>,
    pub(crate) env_exclude: Vec<String>,
    pub(crate) dedupe: bool,
    pub(crate) tasks: Vec<Task>,
    pub(crate) typed: Lists,
    pub(crate) parallel: bool,
    pub(crate) pool_size: usize,
    pub(crate) warn_only: bool,
    /// Whether there is a blank after each comma of `-H`.
    pub(crate) spaced: bool,
    pub(crate) calls: Vec<Call>,
}

#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) form: Form,
}

/// How a role is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    List,
    Table,
    /// A callable, a command.
    Asked,
}

/// What the fabfile does to a global list.
#[derive(Debug)]
pub(crate) enum Assignment {
    Replace(Vec<String>),
    Extend(Vec<String>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) hosts: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) exclude: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Task {
    pub(crate) hosts: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) runs_once: bool,
    pub(crate) mode: Option<bool>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// Sets the hosts of what follows.
    Set(Vec<String>),
    /// Executes a task by its number.
    Execute(usize, Lists),
    /// Fails on this host.
    FailOn(String),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) task: usize,
    pub(crate) lists: Lists,
    pub(crate) argument: Option<String>,
    /// Whether the argument is given by name.
    pub(crate) named: bool,
    /// Whether a list of one is written as `host=`, `role=`.
    pub(crate) singular: bool,
}

/// Random numbers that are the same on every machine (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    /// True in one of so many cases.
    fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    fn some(&mut self, from: &[&str], most: usize) -> Vec<String> {
        (0..=self.below(most)).map(|_| from[self.below(from.len())].to_owned()).collect()
    }

    fn hosts(&mut self) -> Vec<String> {
        self.some(&["a", "b", "c", "d", "root@a", "b:22"], 4)
    }

    fn role_names(&mut self) -> Vec<String> {
        self.some(&["r0", "r1", "r2"], 2)
    }

    fn lists(&mut self, rarely: usize) -> Lists {
        let mut lists = Lists::default();
        if self.one_in(rarely) {
            lists.hosts = self.hosts();
        }
        if self.one_in(rarely) {
            lists.roles = self.role_names();
        }
        if self.one_in(rarely) {
            lists.exclude = self.some(&["a", "b", "c", "d"], 2);
        }
        lists
    }
}

impl Case {
    pub(crate) fn random(seed: u64) -> Self {
        let dice = &mut Dice(seed);
        let forms = [Form::List, Form::Table, Form::Asked];
        let roles = (0..3).map(|n| Role {
            name: format!("r{n}"),
            hosts: if dice.one_in(10) { Vec::new() } else { dice.hosts() },
            form: forms[dice.below(3)],
        });
        let roles = roles.collect();
        let assignment = |dice: &mut Dice, list: fn(&mut Dice) -> Vec<String>| {
            let list = list(dice);
            if dice.one_in(2) { Assignment::Replace(list) } else { Assignment::Extend(list) }
        };
        let env_hosts = dice.one_in(3).then(|| assignment(dice, Dice::hosts));
        let env_roles = dice.one_in(4).then(|| assignment(dice, Dice::role_names));
        let env_exclude = if dice.one_in(4) { dice.some(&["a", "b", "c"], 2) } else { Vec::new() };
        let count = 2 + dice.below(3);
        let tasks = (0..count).map(|number| Self::random_task(dice, number)).collect();
        let calls = 1 + dice.below(3);
        Self {
            roles,
            env_hosts,
            env_roles,
            env_exclude,
            dedupe: !dice.one_in(6),
            tasks,
            typed: dice.lists(3),
            parallel: dice.one_in(5),
            pool_size: dice.below(3),
            warn_only: dice.one_in(4),
            spaced: dice.one_in(3),
            calls: (0..calls)
                .map(|_| Call {
                    task: dice.below(count),
                    lists: dice.lists(5),
                    named: dice.one_in(2),
                    singular: dice.one_in(2),
                    argument: dice.one_in(3).then(|| dice.some(&["x", "1.2", "a b", "k:v"], 1).remove(0)),
                })
                .collect(),
        }
    }

    fn random_task(dice: &mut Dice, number: usize) -> Task {
        let Lists { hosts, roles, .. } = dice.lists(4);
        let runs_once = dice.one_in(5);
        let mode = (!runs_once && dice.one_in(4)).then(|| dice.one_in(2));
        let mut steps = Vec::new();
        if dice.one_in(8) {
            steps.push(Step::FailOn(dice.some(&["a", "b", "c"], 1).remove(0)));
        }
        if dice.one_in(8) {
            steps.push(Step::Set(dice.hosts()));
        }
        // Only tasks before it: none executes itself.
        if number > 0 && dice.one_in(3) {
            let task = dice.below(number);
            steps.push(Step::Execute(task, dice.lists(2)));
        }
        Task { hosts, roles, runs_once, mode, steps }
    }

    /// The command line, for both.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        for (letter, list) in [("-H", &self.typed.hosts), ("-R", &self.typed.roles), ("-x", &self.typed.exclude)] {
            if !list.is_empty() {
                let comma = if self.spaced && letter == "-H" { ", " } else { "," };
                args.extend([letter.to_owned(), list.join(comma)]);
            }
        }
        if self.parallel {
            args.push("-P".to_owned());
        }
        if self.pool_size > 0 {
            args.push(format!("--pool-size={}", self.pool_size));
        }
        if self.warn_only {
            args.push("-w".to_owned());
        }
        for Call { task, lists, argument, named, singular } in &self.calls {
            let argument = argument.iter().map(|text| if *named { format!("x={text}") } else { text.clone() });
            let mut items: Vec<String> = argument.collect();
            for (key, list) in [("hosts", &lists.hosts), ("roles", &lists.roles), ("exclude_hosts", &lists.exclude)] {
                let singular = *singular && list.len() == 1 && key != "exclude_hosts";
                let key = if singular { &key[..key.len() - 1] } else { key };
                if !list.is_empty() {
                    items.push(format!("{key}={}", list.join(";")));
                }
            }
            let colon = if items.is_empty() { "" } else { ":" };
            args.push(format!("t{task}{colon}{}", items.join(",")));
        }
        args
    }

    pub(crate) fn python(&self) -> String {
        // In one write: processes share the output.
        let mut text = "import os\nfrom fabric.api import *\n\n\ndef ran(task, x):\n    \
                        os.write(1, ('RAN %s %s %s\\n' % (task, env.host_string or '-', x)).encode())\n\n\n"
            .to_owned();
        for Role { name, hosts, form } in &self.roles {
            let value = match form {
                Form::List => list(hosts),
                Form::Table => format!("{{'hosts': {}}}", list(hosts)),
                Form::Asked => format!("lambda: {}", list(hosts)),
            };
            _ = writeln!(text, "env.roledefs['{name}'] = {value}");
        }
        for (name, assignment) in [("hosts", &self.env_hosts), ("roles", &self.env_roles)] {
            _ = match assignment {
                Some(Assignment::Replace(items)) => writeln!(text, "env.{name} = {}", list(items)),
                Some(Assignment::Extend(items)) => writeln!(text, "env.{name}.extend({})", list(items)),
                None => Ok(()),
            };
        }
        _ = writeln!(text, "env.exclude_hosts.extend({})", list(&self.env_exclude));
        _ = writeln!(text, "env.dedupe_hosts = {}", if self.dedupe { "True" } else { "False" });
        for (number, task) in self.tasks.iter().enumerate() {
            text.push_str("\n\n@task\n");
            for (name, items) in [("hosts", &task.hosts), ("roles", &task.roles)] {
                if !items.is_empty() {
                    _ = writeln!(text, "@{name}(*{})", list(items));
                }
            }
            if task.runs_once {
                text.push_str("@runs_once\n");
            }
            if let Some(parallel) = task.mode {
                text.push_str(if parallel { "@parallel\n" } else { "@serial\n" });
            }
            _ = writeln!(text, "def t{number}(x='-'):\n    ran('t{number}', x)");
            for step in &task.steps {
                _ = match step {
                    Step::Set(hosts) => writeln!(text, "    env.hosts = {}", list(hosts)),
                    Step::FailOn(host) => {
                        writeln!(text, "    if env.host_string == '{host}':\n        local('exit 3')")
                    }
                    Step::Execute(task, lists) => {
                        let keys =
                            [("hosts", &lists.hosts), ("roles", &lists.roles), ("exclude_hosts", &lists.exclude)];
                        let given = keys.into_iter().filter(|(_, items)| !items.is_empty());
                        let given: Vec<String> = given.map(|(key, items)| format!(", {key}={}", list(items))).collect();
                        let given = given.concat();
                        writeln!(text, "    execute('t{task}'{given})")
                    }
                };
            }
        }
        text
    }

    pub(crate) fn toml(&self) -> String {
        let mut text = "[env]\n".to_owned();
        for (name, assignment) in [("hosts", &self.env_hosts), ("roles", &self.env_roles)] {
            _ = match assignment {
                Some(Assignment::Replace(items)) => writeln!(text, "{name} = {{ replace = {} }}", list(items)),
                Some(Assignment::Extend(items)) => writeln!(text, "{name} = {{ extend = {} }}", list(items)),
                None => Ok(()),
            };
        }
        _ = writeln!(text, "exclude_hosts = {}\ndedupe_hosts = {}\n\n[roledefs]", list(&self.env_exclude), self.dedupe);
        for Role { name, hosts, form } in &self.roles {
            let value = match form {
                Form::List => list(hosts),
                Form::Table => format!("{{ hosts = {} }}", list(hosts)),
                Form::Asked => format!("{{ command = \"for h in {}; do echo $h; done\" }}", hosts.join(" ")),
            };
            _ = writeln!(text, "{name} = {value}");
        }
        for (number, task) in self.tasks.iter().enumerate() {
            _ = writeln!(text, "\n[tasks.t{number}]\nargs = [{{ name = \"x\", default = \"-\" }}]");
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
            _ = writeln!(
                text,
                "steps = [\n  {{ local = \"echo RAN t{number} {{{{ env.host_string or '-' }}}} {{{{ x | sh }}}}\" }},"
            );
            for step in &task.steps {
                _ = match step {
                    Step::Set(hosts) => writeln!(text, "  {{ set = {{ hosts = {} }} }},", list(hosts)),
                    Step::FailOn(host) => {
                        writeln!(text, "  {{ local = \"exit 3\", if = \"env.host_string == '{host}'\" }},")
                    }
                    Step::Execute(task, lists) => {
                        let keys =
                            [("hosts", &lists.hosts), ("roles", &lists.roles), ("exclude_hosts", &lists.exclude)];
                        let given = keys.into_iter().filter(|(_, items)| !items.is_empty());
                        let given: Vec<String> =
                            given.map(|(key, items)| format!(", {key} = {}", list(items))).collect();
                        let given = given.concat();
                        writeln!(text, "  {{ execute = \"t{task}\"{given} }},")
                    }
                };
            }
            text.push_str("]\n");
        }
        text
    }
}

/// A list of texts, the same in TOML and Python.
fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| format!("'{item}'")).collect::<Vec<_>>().join(", "))
}
