//! The rules of the classic "Execution model", written down as plainly as possible, and where ours are others.

use std::collections::HashSet;

use super::case::{Assignment, Case, Lists, Step};
use super::programs::Ran;

/// What must have run.
#[derive(Default)]
pub(crate) struct Model {
    /// Lines in order; those of a parallel execution stand together, in any order.
    groups: Vec<(Vec<String>, bool)>,
    /// The exit status.
    pub(crate) status: i32,
    /// The row of docs/parity.md by which the classic program does something else.
    pub(crate) deviation: Option<&'static str>,
    /// Whether processes of the classic program would not share what ours share: nothing can be said of the order.
    parts: bool,
}

impl Model {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.groups.iter().flat_map(|(lines, _)| lines.clone()).collect()
    }

    pub(crate) fn is_like(&self, ran: &Ran) -> bool {
        let (mut lines, mut expected) = (ran.lines(), self.lines());
        if self.parts {
            return true;
        }
        let mut from = 0;
        for (group, ordered) in &self.groups {
            let to = (from + group.len()).min(lines.len());
            if !ordered {
                lines[from.min(to)..to].sort();
                let to = from + group.len();
                expected[from..to].sort();
            }
            from += group.len();
        }
        lines == expected && ran.status == self.status
    }
}

struct State<'a> {
    case: &'a Case,
    hosts: Vec<String>,
    roles: Vec<String>,
    once: HashSet<usize>,
    model: Model,
    anything: bool,
}

/// A failure that ends the run.
struct Halt;

pub(crate) fn run(case: &Case) -> Model {
    let assigned = |typed: &[String], assignment: &Option<Assignment>| match assignment {
        Some(Assignment::Replace(list)) => list.clone(),
        Some(Assignment::Extend(list)) => [typed, list].concat(),
        None => typed.to_vec(),
    };
    let mut state = State {
        case,
        hosts: assigned(&case.typed.hosts, &case.env_hosts),
        roles: assigned(&case.typed.roles, &case.env_roles),
        once: HashSet::new(),
        model: Model::default(),
        anything: false,
    };
    let mut halted = false;
    for call in &case.calls {
        let argument = call.argument.clone().unwrap_or_else(|| "-".to_owned());
        if state.execute(call.task, &call.lists, &argument, None).is_err() {
            halted = true;
            break;
        }
    }
    state.model.status = i32::from(halted || !state.anything);
    state.model
}

impl State<'_> {
    fn deviates(&mut self, row: &'static str) {
        self.model.deviation.get_or_insert(row);
    }

    /// The host list; `None` is a run without a host.
    fn host_list(&mut self, task: usize, given: &Lists, current: Option<&String>) -> Option<Vec<String>> {
        let case = self.case;
        let task = &case.tasks[task];
        let some = |hosts: &[String], roles: &[String]| !hosts.is_empty() || !roles.is_empty();
        let (hosts, roles, exclude) = if some(&given.hosts, &given.roles) {
            (given.hosts.clone(), given.roles.clone(), given.exclude.clone())
        } else if some(&task.hosts, &task.roles) {
            (task.hosts.clone(), task.roles.clone(), given.exclude.clone())
        } else if let Some(host) = current {
            self.deviates("X13");
            return Some(vec![host.clone()]);
        } else if some(&self.hosts, &self.roles) {
            let exclude = [self.case.typed.exclude.clone(), self.case.env_exclude.clone()].concat();
            (self.hosts.clone(), self.roles.clone(), exclude)
        } else {
            return None;
        };
        let mut list = hosts;
        for name in &roles {
            list.extend(self.case.roles.iter().find(|role| role.name == *name).expect("a role").hosts.clone());
        }
        if self.case.dedupe {
            let mut seen = HashSet::new();
            list.retain(|host| seen.insert(host.clone()));
        } else if list.iter().any(|host| exclude.contains(host)) {
            self.deviates("X9");
        }
        list.retain(|host| !exclude.contains(host));
        Some(list)
    }

    fn execute(&mut self, number: usize, given: &Lists, argument: &str, current: Option<&String>) -> Result<(), Halt> {
        let case = self.case;
        let (task, list) = (&case.tasks[number], self.host_list(number, given, current));
        if list.as_ref().is_some_and(Vec::is_empty) {
            self.deviates("X11");
            return Ok(());
        }
        self.anything = true;
        if task.runs_once && !self.once.insert(number) {
            return Ok(());
        }
        let Some(mut list) = list else { return self.body(number, argument, None, &mut Vec::new()) };
        if task.runs_once {
            list.truncate(1);
        }
        if !task.mode.unwrap_or(self.case.parallel && !task.runs_once) {
            return list.iter().try_for_each(|host| self.body(number, argument, Some(host), &mut Vec::new()));
        }
        // Each host has a process of its own there: what it sets or executes is its own.
        if task.steps.iter().any(|step| !matches!(step, Step::FailOn(_))) {
            self.deviates("X15");
            self.model.parts = true;
        }
        let fails = |host: &String| task.steps.iter().any(|step| matches!(step, Step::FailOn(on) if on == host));
        let window = if self.case.pool_size == 0 { list.len() } else { self.case.pool_size };
        if window < list.len() && list.iter().any(fails) && !self.case.warn_only {
            self.deviates("X15");
            self.model.parts = true;
        }
        let mut lines = Vec::new();
        let mut ended = Ok(());
        for host in &list {
            ended = ended.and(self.body(number, argument, Some(host), &mut lines));
        }
        self.model.groups.push((lines, false));
        ended
    }

    /// The task on one host. What it says goes to `together`, if that is a parallel execution's.
    fn body(
        &mut self,
        number: usize,
        argument: &str,
        host: Option<&String>,
        together: &mut Vec<String>,
    ) -> Result<(), Halt> {
        let case = self.case;
        let task = &case.tasks[number];
        let parallel = host.is_some() && task.mode.unwrap_or(self.case.parallel && !task.runs_once);
        let line = format!("t{number} {} {argument}", host.map_or("-", String::as_str));
        if parallel {
            together.push(line);
        } else {
            self.model.groups.push((vec![line], true));
        }
        for step in &task.steps {
            match step {
                Step::FailOn(on) if host == Some(on) && !self.case.warn_only => return Err(Halt),
                Step::FailOn(_) => {}
                Step::Set(hosts) => self.hosts.clone_from(hosts),
                Step::Execute(task, lists) => self.execute(*task, lists, "-", host)?,
            }
        }
        Ok(())
    }
}
