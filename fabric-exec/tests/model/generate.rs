//! Random fabfiles, each from a number.

use serde_json::{Map, Value, json};

/// Numbers that are the same for the same seed (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    /// Whether something with this chance in a hundred happens.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn some<T: Clone>(&mut self, items: &[T], percent: usize) -> Vec<T> {
        items.iter().filter(|_| self.chance(percent)).cloned().collect()
    }
}

/// The most tasks of a case.
const TASKS: usize = 6;

pub(super) const HOSTS: [&str; 4] = ["h1", "h2", "h3", "h4"];

/// Where something runs: hosts and roles, and what is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Where {
    pub(super) hosts: Vec<&'static str>,
    pub(super) roles: Vec<usize>,
    pub(super) exclude: Vec<&'static str>,
}

impl Where {
    fn random(random: &mut Random, roles: usize, exclude: usize) -> Self {
        let mut place = Self::default();
        match random.below(3) {
            0 => place.hosts = random.some(&HOSTS, 40),
            1 if roles > 0 => place.roles = vec![random.below(roles)],
            _ => {}
        }
        if random.chance(exclude) {
            place.exclude = vec![random.pick(&HOSTS)];
        }
        place
    }
}

#[derive(Debug, Clone)]
pub(super) struct Execute {
    pub(super) task: usize,
    pub(super) place: Where,
    pub(super) arg: Option<&'static str>,
    pub(super) warn_only: bool,
}

/// A command, and what is in its text beside its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Command {
    pub(super) warn_only: bool,
    pub(super) until: Option<Until>,
    /// Whether it has what was set.
    pub(super) has_mark: bool,
    /// Whether it has the last answer, if the task asks before it.
    pub(super) has_answer: bool,
}

/// Trying a command again.
#[derive(Debug, Clone, Default)]
pub(super) struct Until {
    /// `None`: as often as steps are without saying how often.
    pub(super) retries: Option<u32>,
    /// Whether failing will do, too.
    pub(super) whatever: bool,
}

/// Settings of a task, which are in force in what it executes, too.
#[derive(Debug, Clone, Default)]
pub(super) struct With {
    pub(super) warn_only: bool,
    pub(super) retries: Option<u32>,
    pub(super) cwd: Option<&'static str>,
    pub(super) env: Vec<(&'static str, &'static str)>,
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Run(Command),
    Execute(Execute),
    /// Sets shared state.
    Set,
    /// Asks, and keeps the answer.
    Prompt,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    pub(super) place: Where,
    pub(super) has_arg: bool,
    pub(super) steps: Vec<Step>,
    pub(super) pre: Vec<usize>,
    pub(super) post: Vec<usize>,
    pub(super) runs_once: bool,
    pub(super) parallel: Option<bool>,
    pub(super) batch: Option<usize>,
    pub(super) canary: Option<usize>,
    pub(super) health: Option<usize>,
    pub(super) rollback: Option<usize>,
    pub(super) pause: bool,
    /// Whether its batch is in `with`.
    pub(super) batch_is_setting: bool,
    pub(super) with: With,
}

/// A role: hosts, or other roles before it.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) hosts: Vec<&'static str>,
    pub(super) roles: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) roles: Vec<Role>,
    pub(super) tasks: Vec<Task>,
    /// What is asked for: tasks, and an argument.
    pub(super) calls: Vec<(usize, Option<&'static str>)>,
    pub(super) command_line: Where,
    pub(super) parallel: bool,
    pub(super) warn_only: bool,
    pub(super) skip_bad_hosts: bool,
    pub(super) eagerly_disconnect: bool,
    pub(super) max_failures: Option<usize>,
    /// On which host which command fails, and how often before it succeeds.
    pub(super) failing: Vec<(&'static str, String, u32)>,
    pub(super) unreachable: Vec<&'static str>,
    /// Which part of how many.
    pub(super) shard: Option<(usize, usize)>,
    /// How many of the tasks are in another file, which is included as `i`.
    pub(super) included: usize,
    /// What a person says to a pause.
    pub(super) answer: bool,
    /// The only hosts of all lists; empty: all.
    pub(super) only: Vec<&'static str>,
    /// The first so many hosts of each list.
    pub(super) limit: Option<usize>,
    /// Whether no two hosts are at work at the same time, so that what depends on who comes first is known.
    pub(super) one_at_a_time: bool,
}

impl Case {
    /// The case of a seed. `tries`: whether anything is tried again.
    pub(super) fn new(seed: u64, tries: bool) -> Self {
        let random = &mut Random::new(seed);
        let roles = random.below(4);
        let roles: Vec<Role> = (0..roles)
            .map(|role| {
                if role > 0 && random.chance(40) {
                    Role { hosts: Vec::new(), roles: random.some(&(0..role).collect::<Vec<_>>(), 70) }
                } else {
                    Role { hosts: random.some(&HOSTS, 50), roles: Vec::new() }
                }
            })
            .collect();
        let max_failures = random.chance(35).then(|| random.below(3));
        let one_at_a_time = random.chance(60);
        let tasks = 1 + random.below(TASKS);
        let mut made: Vec<Task> = Vec::new();
        for index in 0..tasks {
            let mut task = Self::task(random, &made, index, &roles, tries);
            for step in &mut task.steps {
                if let Step::Run(command) = step {
                    command.has_mark &= one_at_a_time;
                }
            }
            made.push(task);
        }
        let asked = 1 + random.below(3);
        let calls = (0..asked).map(|_| {
            let task = tasks - 1 - random.below(tasks.min(3));
            (task, made[task].has_arg.then(|| random.pick(&["a", "b"])))
        });
        let calls: Vec<_> = calls.collect();
        let mut failing = Vec::new();
        for (index, task) in made.iter().enumerate() {
            for step in 0..task.steps.len() {
                if random.chance(if tries { 30 } else { 20 }) {
                    let times = if tries && random.chance(50) { 1 } else { u32::MAX };
                    failing.push((random.pick(&HOSTS), format!("t{index}s{step}"), times));
                }
            }
        }
        let mut command_line = Where { hosts: random.some(&HOSTS, 60), ..Where::default() };
        // A task without a host would ask for one.
        if command_line.hosts.is_empty() {
            command_line.hosts.push("h1");
        }
        if random.chance(10) {
            command_line.exclude.push(random.pick(&HOSTS));
        }
        Self {
            roles,
            tasks: made,
            calls,
            command_line,
            parallel: random.chance(40),
            warn_only: random.chance(15),
            skip_bad_hosts: random.chance(15),
            eagerly_disconnect: random.chance(15),
            max_failures,
            failing,
            unreachable: if random.chance(15) { vec![random.pick(&HOSTS)] } else { Vec::new() },
            shard: random.chance(10).then(|| (random.below(2), 2)),
            included: if random.chance(25) { random.below(tasks) } else { 0 },
            answer: random.chance(70),
            only: if random.chance(12) { random.some(&HOSTS, 60) } else { Vec::new() },
            limit: random.chance(12).then(|| 1 + random.below(3)),
            one_at_a_time,
        }
    }

    fn task(random: &mut Random, before: &[Task], index: usize, roles: &[Role], tries: bool) -> Task {
        // A check or an undo is a simple task.
        let simple: Vec<usize> = (0..before.len()).filter(|other| before[*other].is_simple()).collect();
        let around: Vec<usize> = (0..before.len()).filter(|other| !before[*other].has_arg).collect();
        let mut task = Task { place: Where::random(random, roles.len(), 0), ..Task::default() };
        task.has_arg = random.chance(25);
        task.parallel = if random.chance(25) { Some(random.chance(50)) } else { None };
        task.with = With {
            warn_only: random.chance(8),
            retries: (tries && random.chance(40)).then(|| random.below(3) as u32),
            cwd: random.chance(12).then(|| random.pick(&["/a", "/b"])),
            env: if random.chance(12) { vec![random.pick(&[("A", "1"), ("A", "2"), ("B", "3")])] } else { Vec::new() },
            limit: random.chance(6).then(|| 1 + random.below(2)),
        };
        for _ in 0..=random.below(3) {
            let step = if index > 0 && random.chance(40) {
                let other = random.below(index);
                let arg = (before[other].has_arg && random.chance(70)).then(|| random.pick(&["a", "b"]));
                let place = Where::random(random, roles.len(), 15);
                Step::Execute(Execute { task: other, place, arg, warn_only: random.chance(10) })
            } else if random.chance(15) {
                random.pick(&[Step::Set, Step::Prompt])
            } else {
                let until = (tries && random.chance(20)).then(|| Until {
                    retries: random.chance(80).then(|| random.below(3) as u32),
                    whatever: random.chance(25),
                });
                let (warn_only, has_mark, has_answer) = (random.chance(10), random.chance(20), random.chance(50));
                Step::Run(Command { warn_only, until, has_mark, has_answer })
            };
            task.steps.push(step);
        }
        if !around.is_empty() {
            task.pre = if random.chance(25) { vec![random.pick(&around)] } else { Vec::new() };
            task.post = if random.chance(20) { vec![random.pick(&around)] } else { Vec::new() };
        }
        // Which host it is must not depend on who comes first.
        if !task.place.hosts.is_empty() && random.chance(15) {
            (task.runs_once, task.parallel) = (true, None);
        } else if !task.place.hosts.is_empty() && random.chance(45) {
            task.batch = random.chance(70).then(|| 1 + random.below(2));
            task.batch_is_setting = random.chance(30);
            task.canary = random.chance(40).then_some(1);
            if !simple.is_empty() {
                task.health = random.chance(50).then(|| random.pick(&simple));
                task.rollback = random.chance(50).then(|| random.pick(&simple));
            }
            task.pause = (task.batch.is_some() || task.canary.is_some()) && random.chance(20);
        }
        task
    }

    /// What a task is called in reports and on the command line.
    pub(super) fn name(&self, task: usize) -> String {
        if task < self.included { format!("i.t{task}") } else { format!("t{task}") }
    }

    /// The fabfile as data; with this ending of its name, and of the one that it includes.
    pub(super) fn fabfile(&self, ending: &str) -> Value {
        let role = |role: &usize| format!("r{role}");
        let mut roledefs = Map::new();
        for (index, one) in self.roles.iter().enumerate() {
            let names: Vec<String> = one.roles.iter().map(role).collect();
            let value = if names.is_empty() { json!(one.hosts) } else { json!({"roles": names}) };
            roledefs.insert(role(&index), value);
        }
        let mut fabfile = Map::new();
        if self.included > 0 {
            fabfile.insert("include".into(), json!({"i": format!("included.{ending}")}));
        }
        if !roledefs.is_empty() {
            fabfile.insert("roledefs".into(), roledefs.into());
        }
        fabfile.insert("tasks".into(), self.tasks_from(self.included, self.tasks.len(), &|task| self.name(task)));
        fabfile.into()
    }

    /// The file that it includes: a task there names the others of the file.
    pub(super) fn included(&self) -> Value {
        json!({"tasks": self.tasks_from(0, self.included, &|task| format!("t{task}"))})
    }

    fn tasks_from(&self, first: usize, end: usize, name: &dyn Fn(usize) -> String) -> Value {
        (first..end)
            .map(|index| (format!("t{index}"), self.tasks[index].value(index, name)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The same with one thing left out, for each thing.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut without = |change: &dyn Fn(&mut Self)| {
            let mut case = self.clone();
            change(&mut case);
            if format!("{case:?}") != format!("{self:?}") {
                all.push(case);
            }
        };
        for call in 0..self.calls.len() {
            without(&|case| {
                if case.calls.len() > 1 {
                    case.calls.remove(call);
                }
            });
        }
        for (index, task) in self.tasks.iter().enumerate() {
            for step in 0..task.steps.len() {
                without(&|case| {
                    drop((case.tasks[index].steps.len() > 1).then(|| case.tasks[index].steps.remove(step)));
                });
            }
            without(&|case| case.tasks[index].pre.clear());
            without(&|case| case.tasks[index].post.clear());
            without(&|case| case.tasks[index].health = None);
            without(&|case| case.tasks[index].rollback = None);
            without(&|case| case.tasks[index].pause = false);
            without(&|case| (case.tasks[index].batch, case.tasks[index].canary) = (None, None));
            without(&|case| case.tasks[index].runs_once = false);
            without(&|case| case.tasks[index].parallel = None);
            without(&|case| case.tasks[index].with.warn_only = false);
            without(&|case| case.tasks[index].with.retries = None);
            without(&|case| case.tasks[index].with.cwd = None);
            without(&|case| case.tasks[index].with.env.clear());
            without(&|case| case.tasks[index].with.limit = None);
            without(&|case| case.tasks[index].batch_is_setting = false);
            for step in 0..task.steps.len() {
                without(&|case| {
                    if let Step::Run(command) = &mut case.tasks[index].steps[step] {
                        *command = Command::default();
                    }
                });
            }
            without(&|case| case.tasks[index].place = Where::default());
        }
        for failing in 0..self.failing.len() {
            without(&|case| drop(case.failing.remove(failing)));
        }
        without(&|case| case.unreachable.clear());
        without(&|case| case.command_line.exclude.clear());
        without(&|case| {
            if case.command_line.hosts.len() > 1 {
                case.command_line.hosts.pop();
            }
        });
        without(&|case| case.parallel = false);
        without(&|case| case.warn_only = false);
        without(&|case| case.skip_bad_hosts = false);
        without(&|case| case.eagerly_disconnect = false);
        without(&|case| case.max_failures = None);
        without(&|case| case.shard = None);
        without(&|case| case.only.clear());
        without(&|case| case.limit = None);
        without(&|case| case.included = 0);
        all
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        let token = |(task, arg): &(usize, Option<&str>)| match arg {
            Some(arg) => format!("{}:x={arg}", self.name(*task)),
            None => self.name(*task),
        };
        self.calls.iter().map(token).collect()
    }
}

impl Task {
    /// Whether it may guard another.
    fn is_simple(&self) -> bool {
        let gates = self.batch.or(self.canary).or(self.health).or(self.rollback).is_some();
        !gates && !self.has_arg && !self.runs_once
    }

    /// Whether a step has an answer in its text.
    pub(super) fn has_answer(&self, step: usize) -> bool {
        let asks = self.steps[..step].iter().any(|step| matches!(step, Step::Prompt));
        asks && matches!(&self.steps[step], Step::Run(Command { has_answer: true, .. }))
    }

    fn value(&self, index: usize, name: &dyn Fn(usize) -> String) -> Value {
        let mut task = Map::new();
        let mut put = |key: &str, value: Value| {
            let is_nothing = value.is_null() || value == json!([]) || value == json!(false);
            if !is_nothing {
                task.insert(key.to_owned(), value);
            }
        };
        let names = |tasks: &[usize]| json!(tasks.iter().map(|task| name(*task)).collect::<Vec<_>>());
        let roles = |roles: &[usize]| json!(roles.iter().map(|role| format!("r{role}")).collect::<Vec<_>>());
        put("hosts", json!(self.place.hosts));
        put("roles", roles(&self.place.roles));
        put("pre", names(&self.pre));
        put("post", names(&self.post));
        put("runs_once", json!(self.runs_once));
        put("batch", json!(self.batch.filter(|_| !self.batch_is_setting)));
        put("canary", json!(self.canary));
        put("health", json!(self.health.map(name)));
        put("rollback", json!(self.rollback.map(name)));
        put("pause", json!(self.pause));
        if self.has_arg {
            put("args", json!([{"name": "x", "default": "d"}]));
        }
        let mut with = Map::new();
        let mut put_with =
            |key: &str, value: Option<Value>| drop(value.map(|value| with.insert(key.to_owned(), value)));
        put_with("warn_only", self.with.warn_only.then(|| json!(true)));
        put_with("retries", self.with.retries.map(|retries| json!(retries)));
        put_with("cwd", self.with.cwd.map(|dir| json!(dir)));
        put_with("limit", self.with.limit.map(|limit| json!(limit.to_string())));
        put_with("batch", self.batch.filter(|_| self.batch_is_setting).map(|batch| json!(batch.to_string())));
        let env: Map<_, _> = self.with.env.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        put_with("shell_env", (!env.is_empty()).then(|| env.into()));
        if !with.is_empty() {
            put("with", with.into());
        }
        let steps = self.steps.iter().enumerate().map(|(place, step)| {
            let mut value = match step {
                Step::Run(command) => {
                    let mut text = format!("t{index}s{place}");
                    if self.has_arg {
                        text.push_str(" {{ x }}");
                    }
                    if command.has_mark {
                        text.push_str(" {{ env.mark | default('-') }}");
                    }
                    if self.has_answer(place) {
                        text.push_str(" {{ p }}");
                    }
                    let mut run = json!({"run": text});
                    if let Some(until) = &command.until {
                        if let Some(retries) = until.retries {
                            run["retries"] = json!(retries);
                        }
                        if until.whatever {
                            run["until"] = json!("outcome.ok or outcome.exit == 1");
                        } else if until.retries.is_none() {
                            run["until"] = json!("outcome.exit == 0");
                        }
                    }
                    run
                }
                Step::Execute(execute) => {
                    let mut value = json!({"execute": name(execute.task)});
                    for (key, list) in [
                        ("hosts", json!(execute.place.hosts)),
                        ("roles", roles(&execute.place.roles)),
                        ("exclude_hosts", json!(execute.place.exclude)),
                    ] {
                        if list != json!([]) {
                            value[key] = list;
                        }
                    }
                    if let Some(arg) = execute.arg {
                        value["args"] = json!({"x": arg});
                    }
                    value
                }
                Step::Set => json!({"set": {"mark": format!("t{index}s{place}")}}),
                Step::Prompt => json!({"prompt": format!("t{index}s{place}?"), "default": "yes", "save": "p"}),
            };
            if step.is_warn_only() {
                value["warn_only"] = json!(true);
            }
            value
        });
        let steps: Vec<Value> = steps.collect();
        task.insert("steps".into(), steps.into());
        if let Some(parallel) = self.parallel {
            task.insert("parallel".into(), parallel.into());
        }
        task.into()
    }
}

impl Step {
    fn is_warn_only(&self) -> bool {
        match self {
            Self::Run(command) => command.warn_only,
            Self::Execute(execute) => execute.warn_only,
            Self::Set | Self::Prompt => false,
        }
    }
}
