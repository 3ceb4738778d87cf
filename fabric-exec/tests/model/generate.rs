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

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// With whether its failure is a warning, and how often it is tried again.
    Run {
        warn_only: bool,
        retries: u32,
    },
    Execute(Execute),
    /// A setting that nothing here reads, and shared state.
    Set,
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
    pub(super) retries: u32,
    pub(super) warn_only: bool,
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
        let tasks = 1 + random.below(TASKS);
        let mut made: Vec<Task> = Vec::new();
        for index in 0..tasks {
            let task = Self::task(random, &made, index, &roles, tries);
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
        }
    }

    fn task(random: &mut Random, before: &[Task], index: usize, roles: &[Role], tries: bool) -> Task {
        // A check or an undo is a simple task.
        let simple: Vec<usize> = (0..before.len()).filter(|other| before[*other].is_simple()).collect();
        let around: Vec<usize> = (0..before.len()).filter(|other| !before[*other].has_arg).collect();
        let mut task = Task { place: Where::random(random, roles.len(), 0), ..Task::default() };
        task.has_arg = random.chance(25);
        task.parallel = if random.chance(25) { Some(random.chance(50)) } else { None };
        task.warn_only = random.chance(8);
        task.retries = u32::from(tries && random.chance(40));
        for _ in 0..=random.below(3) {
            let step = if index > 0 && random.chance(40) {
                let other = random.below(index);
                let arg = (before[other].has_arg && random.chance(70)).then(|| random.pick(&["a", "b"]));
                let place = Where::random(random, roles.len(), 15);
                Step::Execute(Execute { task: other, place, arg, warn_only: random.chance(10) })
            } else if random.chance(10) {
                Step::Set
            } else {
                let retries = u32::from(tries && random.chance(15));
                Step::Run { warn_only: random.chance(10), retries }
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
            without(&|case| case.tasks[index].warn_only = false);
            without(&|case| case.tasks[index].retries = 0);
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
        put("batch", json!(self.batch));
        put("canary", json!(self.canary));
        put("health", json!(self.health.map(name)));
        put("rollback", json!(self.rollback.map(name)));
        put("pause", json!(self.pause));
        if self.has_arg {
            put("args", json!([{"name": "x", "default": "d"}]));
        }
        let mut with = Map::new();
        if self.warn_only {
            with.insert("warn_only".into(), json!(true));
        }
        if self.retries > 0 {
            with.insert("retries".into(), json!(self.retries));
        }
        if !with.is_empty() {
            put("with", with.into());
        }
        let steps = self.steps.iter().enumerate().map(|(place, step)| {
            let mut value = match step {
                Step::Run { retries, .. } => {
                    let arg = if self.has_arg { " {{ x }}" } else { "" };
                    let mut run = json!({"run": format!("t{index}s{place}{arg}")});
                    if *retries > 0 {
                        run["retries"] = json!(retries);
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
            Self::Run { warn_only, .. } => *warn_only,
            Self::Execute(execute) => execute.warn_only,
            Self::Set => false,
        }
    }
}
