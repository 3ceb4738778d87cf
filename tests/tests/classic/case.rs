//! Random fabfiles and command lines.

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
    /// Whether there is a blank after each comma of `-H` and each semicolon of a call's lists.
    pub(crate) spaced: bool,
    /// `-u` and `--port`.
    pub(crate) user: Option<&'static str>,
    pub(crate) port: Option<&'static str>,
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
    /// Of the task itself, where it is parallel; 0 is none.
    pub(crate) pool_size: usize,
    /// Whether it is in a module, an included file.
    pub(crate) inner: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// Changes what follows.
    Set(Setting),
    /// Executes a task.
    Execute(Execute),
    /// Fails on this host.
    FailOn(String),
}

#[derive(Debug)]
pub(crate) enum Setting {
    Hosts(Vec<String>),
    Roles(Vec<String>),
    Exclude(Vec<String>),
    User(&'static str),
    Parallel(bool),
    Dedupe(bool),
    WarnOnly(bool),
}

impl Setting {
    fn random(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..4 => Self::Hosts(dice.hosts()),
            4 => Self::Roles(dice.role_names()),
            5 => Self::Exclude(dice.hosts()),
            6 => Self::User(["eve", "zed"][dice.below(2)]),
            7 => Self::Parallel(dice.one_in(2)),
            8 => Self::Dedupe(dice.one_in(2)),
            _ => Self::WarnOnly(dice.one_in(2)),
        }
    }

    /// Its name, and its value in TOML and in Python.
    pub(super) fn written(&self) -> (&'static str, [String; 2]) {
        let same = |name, text: String| (name, [text.clone(), text]);
        let truth = |name, on: bool| (name, [on.to_string(), if on { "True" } else { "False" }.to_owned()]);
        match self {
            Self::Hosts(items) => same("hosts", list(items)),
            Self::Roles(items) => same("roles", list(items)),
            Self::Exclude(items) => same("exclude_hosts", list(items)),
            Self::User(name) => same("user", format!("'{name}'")),
            Self::Parallel(on) => truth("parallel", *on),
            Self::Dedupe(on) => truth("dedupe_hosts", *on),
            Self::WarnOnly(on) => truth("warn_only", *on),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Execute {
    /// The task's number.
    pub(crate) task: usize,
    pub(crate) lists: Lists,
    pub(crate) argument: Option<&'static str>,
    /// Whether the argument is given by name.
    pub(crate) named: bool,
    /// Whether the hosts of its results are shown.
    pub(crate) tells: bool,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) task: usize,
    /// Whether it is called by its alias.
    pub(crate) alias: bool,
    pub(crate) lists: Lists,
    pub(crate) argument: Option<&'static str>,
    /// Whether the argument is given by name.
    pub(crate) named: bool,
    /// Whether a list of one is written as `host=`, `role=`.
    pub(crate) singular: bool,
}

/// Hosts, some of them in several spellings.
const HOSTS: &[&str] =
    &["a", "b", "c", "d", "a", "b", "c", "ann@a", "b:22", "bob@b:2222", "d.e", "[::1]:22", "[fe80::2]", "::1", "B"];

/// Arguments, as they are meant.
const ARGUMENTS: &[&str] = &["x", "1.2", "a b", "k:v", "1,2", "k=v", "it's", "c:\\d", "$HOME", "\u{e9}", "-n", "{a}"];

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
        self.some(HOSTS, 4)
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
            lists.exclude = self.some(HOSTS, 3);
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
        let env_exclude = if dice.one_in(4) { dice.some(HOSTS, 3) } else { Vec::new() };
        let count = 2 + dice.below(3);
        let tasks = (0..count).map(|number| Self::random_task(dice, number)).collect();
        let calls = 1 + dice.below(3);
        let mut case = Self {
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
            user: dice.one_in(5).then_some("eve"),
            port: dice.one_in(5).then_some("2200"),
            calls: (0..calls)
                .map(|_| Call {
                    task: dice.below(count),
                    alias: dice.one_in(4),
                    lists: dice.lists(5),
                    named: dice.one_in(2),
                    singular: dice.one_in(2),
                    argument: dice.one_in(3).then(|| ARGUMENTS[dice.below(ARGUMENTS.len())]),
                })
                .collect(),
        };
        case.leave_deviations_out();
        case
    }

    /// What `deviations.rs` has: a task that runs once gets the same arguments each time, and an `execute` excludes hosts
    /// from lists only that it names.
    fn leave_deviations_out(&mut self) {
        let once: Vec<bool> = self.tasks.iter().map(|task| task.runs_once).collect();
        for call in self.calls.iter_mut().filter(|call| once[call.task]) {
            call.argument = None;
        }
        for step in self.tasks.iter_mut().flat_map(|task| &mut task.steps) {
            let Step::Execute(execute) = step else { continue };
            execute.argument = execute.argument.filter(|_| !once[execute.task]);
            if execute.lists.hosts.is_empty() && execute.lists.roles.is_empty() {
                execute.lists.exclude.clear();
            }
        }
    }

    fn random_task(dice: &mut Dice, number: usize) -> Task {
        let Lists { hosts, roles, .. } = dice.lists(4);
        let runs_once = dice.one_in(5);
        // A parallel task runs once for each process there.
        let mode = dice.one_in(4).then(|| !runs_once && dice.one_in(2));
        let pool_size = if mode == Some(true) { dice.below(4) } else { 0 };
        let mut steps = Vec::new();
        if dice.one_in(8) {
            steps.push(Step::FailOn(HOSTS[dice.below(HOSTS.len())].to_owned()));
        }
        if dice.one_in(6) {
            steps.push(Step::Set(Setting::random(dice)));
        }
        // Only tasks before it: none executes itself.
        while number > 0 && steps.len() < 4 && dice.one_in(3) {
            steps.push(Step::Execute(Execute {
                task: dice.below(number),
                lists: dice.lists(2),
                argument: dice.one_in(4).then(|| ARGUMENTS[dice.below(ARGUMENTS.len())]),
                named: dice.one_in(2),
                tells: dice.one_in(2),
            }));
        }
        Task { hosts, roles, runs_once, mode, pool_size, inner: dice.one_in(4), steps }
    }

    /// A task's name.
    pub(crate) fn name(&self, task: usize) -> String {
        format!("{}t{task}", if self.tasks[task].inner { "inner." } else { "" })
    }

    /// The command line, for both.
    pub(crate) fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        args.extend(self.user.map(|user| format!("--user={user}")));
        args.extend(self.port.map(|port| format!("--port={port}")));
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
        for Call { task, alias, lists, argument, named, singular } in &self.calls {
            let argument = argument.iter().map(|text| {
                let text = text.replace(',', "\\,").replace('=', "\\=");
                if *named { format!("x={text}") } else { text }
            });
            let mut items: Vec<String> = argument.collect();
            for (key, list) in [("hosts", &lists.hosts), ("roles", &lists.roles), ("exclude_hosts", &lists.exclude)] {
                let singular = *singular && list.len() == 1 && key != "exclude_hosts";
                let key = if singular { &key[..key.len() - 1] } else { key };
                if !list.is_empty() {
                    items.push(format!("{key}={}", list.join(if self.spaced { "; " } else { ";" })));
                }
            }
            let colon = if items.is_empty() { "" } else { ":" };
            let mut name = self.name(*task);
            if *alias {
                name = name.replace('t', "alias");
            }
            args.push(format!("{name}{colon}{}", items.join(",")));
        }
        args
    }
}

/// A list of texts, the same in TOML and Python.
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| format!("'{item}'")).collect::<Vec<_>>().join(", "))
}
