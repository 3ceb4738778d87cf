//! The rules of the classic "Execution model" in the simplest form, and where ours differ.

use std::collections::HashSet;

use super::case::{Assignment, Case, Execute, Lists, Setting, Step};
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

    /// What is different in a run, if anything is.
    pub(crate) fn difference(&self, ran: &Ran) -> Option<String> {
        let (mut lines, mut expected) = (ran.lines(), self.lines());
        if self.parts {
            return None;
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
        if lines == expected && ran.status == self.status {
            return None;
        }
        let at = lines.iter().zip(&expected).take_while(|(line, other)| line == other).count();
        let [line, other] = [&lines, &expected].map(|lines| lines.get(at).map_or("(the end)", String::as_str));
        let [status, wanted] = [ran.status, self.status];
        Some(format!("line {}: `{line}`, not `{other}`; status {status}, not {wanted}", at + 1))
    }
}

/// What is global, and may be changed by tasks.
#[derive(Clone)]
struct Env {
    hosts: Vec<String>,
    roles: Vec<String>,
    exclude: Vec<String>,
    user: String,
    parallel: bool,
    dedupe: bool,
    warn_only: bool,
}

struct State<'a> {
    case: &'a Case,
    env: Env,
    once: HashSet<usize>,
    model: Model,
    anything: bool,
    /// The output of a parallel execution in progress.
    together: Option<Vec<String>>,
}

/// A failure that ends the run.
struct Halt;

/// The hosts of an execution, and the roles of the level that they come from.
#[derive(Default)]
struct Listed {
    hosts: Vec<String>,
    roles: Vec<String>,
    /// Whether there are none: it runs once, without a host.
    local: bool,
}

pub(crate) fn run(case: &Case) -> Model {
    let assigned = |typed: &[String], assignment: &Option<Assignment>| match assignment {
        Some(Assignment::Replace(list)) => list.clone(),
        Some(Assignment::Extend(list)) => [typed, list].concat(),
        None => typed.to_vec(),
    };
    let env = Env {
        hosts: assigned(&case.typed.hosts, &case.env_hosts),
        roles: assigned(&case.typed.roles, &case.env_roles),
        exclude: [case.typed.exclude.clone(), case.env_exclude.clone()].concat(),
        user: case.user.unwrap_or("-").to_owned(),
        parallel: case.parallel,
        dedupe: case.dedupe,
        warn_only: case.warn_only,
    };
    let (once, model) = (HashSet::new(), Model::default());
    let mut state = State { case, env, once, model, anything: false, together: None };
    let halted = case
        .calls
        .iter()
        .any(|call| state.execute(call.task, &call.lists, call.argument.unwrap_or("-"), None, false).is_err());
    state.model.status = i32::from(halted || !state.anything);
    state.model
}

impl State<'_> {
    fn deviates(&mut self, row: &'static str) {
        self.model.deviation.get_or_insert(row);
    }

    fn says(&mut self, line: String) {
        match &mut self.together {
            Some(lines) => lines.push(line),
            None => self.model.groups.push((vec![line], true)),
        }
    }

    /// `once` says whether the task that executes it runs once: then the global list comes before the current host.
    fn host_list(&mut self, task: usize, given: &Lists, current: Option<&String>, once: bool) -> Listed {
        let task = &self.case.tasks[task];
        let some = |hosts: &[String], roles: &[String]| !hosts.is_empty() || !roles.is_empty();
        let (hosts, roles, exclude) = if some(&given.hosts, &given.roles) {
            (given.hosts.clone(), given.roles.clone(), given.exclude.clone())
        } else if some(&task.hosts, &task.roles) {
            (task.hosts.clone(), task.roles.clone(), given.exclude.clone())
        } else if let Some(host) = current
            && !(once && some(&self.env.hosts, &self.env.roles))
        {
            self.deviates("X13");
            return Listed { hosts: vec![host.clone()], ..Listed::default() };
        } else if some(&self.env.hosts, &self.env.roles) {
            (self.env.hosts.clone(), self.env.roles.clone(), self.env.exclude.clone())
        } else {
            return Listed { local: true, ..Listed::default() };
        };
        // There, a host's own user and port are the defaults of what is executed inside its run.
        if current.is_some_and(|host| told(host).0.is_some() || told(host).1.is_some()) {
            self.deviates("X13");
        }
        let mut list = hosts;
        for name in &roles {
            list.extend(self.case.roles.iter().find(|role| role.name == *name).expect("a role").hosts.clone());
        }
        if self.env.dedupe {
            let mut seen = HashSet::new();
            list.retain(|host| seen.insert(host.clone()));
        } else if list.iter().any(|host| exclude.contains(host)) {
            self.deviates("X9");
        }
        list.retain(|host| !exclude.contains(host));
        Listed { hosts: list, roles, local: false }
    }

    /// Yields the hosts that there are results of.
    fn execute(
        &mut self,
        number: usize,
        given: &Lists,
        argument: &str,
        current: Option<&String>,
        once: bool,
    ) -> Result<Vec<String>, Halt> {
        let case = self.case;
        let (task, list) = (&case.tasks[number], self.host_list(number, given, current, once));
        if !list.local && list.hosts.is_empty() {
            self.deviates("X11");
            return Ok(Vec::new());
        }
        self.anything = true;
        let mut seen = HashSet::new();
        let mut results = list.hosts.clone();
        results.retain(|host| seen.insert(host.clone()));
        if list.local {
            results.push("local-only".to_owned());
        }
        if task.runs_once && !self.once.insert(number) {
            return Ok(results);
        }
        if list.local {
            self.body(number, argument, None, &list)?;
            return Ok(results);
        }
        let on = if task.runs_once { &list.hosts[..1] } else { &list.hosts[..] };
        if !task.mode.unwrap_or(self.env.parallel && !task.runs_once) {
            for host in on {
                self.body(number, argument, Some(host), &list)?;
            }
            return Ok(results);
        }
        // Each host has a process of its own there: what it sets, and what runs once, is its own.
        if !self.is_calm(number) {
            self.deviates("X15");
            self.model.parts = true;
        }
        let fails = |host: &String| task.steps.iter().any(|step| matches!(step, Step::FailOn(on) if on == host));
        let pool = [task.pool_size, case.pool_size].into_iter().find(|pool| *pool > 0).unwrap_or(on.len());
        if pool < on.len() && on.iter().any(fails) && !self.env.warn_only {
            self.deviates("X15");
            self.model.parts = true;
        }
        let outermost = self.together.is_none();
        self.together.get_or_insert_default();
        let mut ended = Ok(results);
        for host in on {
            if let Err(halt) = self.body(number, argument, Some(host), &list) {
                ended = Err(halt);
            }
        }
        if outermost {
            self.model.groups.extend(self.together.take().map(|lines| (lines, false)));
        }
        ended
    }

    /// Whether hosts that have processes of their own do the same as ones that share everything, in whatever order.
    fn is_calm(&self, number: usize) -> bool {
        self.case.tasks[number].steps.iter().all(|step| match step {
            Step::FailOn(_) => true,
            Step::Set(_) => false,
            Step::Execute(execute) => {
                let inner = &self.case.tasks[execute.task];
                let fails = inner.steps.iter().any(|step| matches!(step, Step::FailOn(_)));
                !inner.runs_once && !fails && self.is_calm(execute.task)
            }
        })
    }

    /// The task on one host.
    fn body(&mut self, number: usize, argument: &str, host: Option<&String>, list: &Listed) -> Result<(), Halt> {
        let case = self.case;
        let joined = |items: &[String]| if items.is_empty() { "-".to_owned() } else { items.join(",") };
        let (name, (user, port)) = (host.map_or("-", String::as_str), host.map_or((None, None), |host| told(host)));
        let port = if host.is_some() { port.unwrap_or(case.port.unwrap_or("22")) } else { "-" };
        let user = user.unwrap_or(&self.env.user);
        let (all, roles) = (joined(&list.hosts), joined(&list.roles));
        self.says(format!("t{number} {name} {user} {port} {argument} {all} {roles}"));
        for step in &case.tasks[number].steps {
            match step {
                Step::FailOn(on) if host == Some(on) && !self.env.warn_only => return Err(Halt),
                Step::FailOn(_) => {}
                Step::Set(setting) => self.set(setting),
                Step::Execute(Execute { task, lists, argument, tells, .. }) => {
                    let results =
                        self.execute(*task, lists, argument.unwrap_or("-"), host, case.tasks[number].runs_once)?;
                    if *tells {
                        self.says(format!("results {}", joined(&results)));
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &Setting) {
        let env = &mut self.env;
        match setting {
            Setting::Hosts(list) => env.hosts.clone_from(list),
            Setting::Roles(list) => env.roles.clone_from(list),
            Setting::Exclude(list) => env.exclude.clone_from(list),
            Setting::User(name) => (*name).clone_into(&mut env.user),
            Setting::Parallel(on) => env.parallel = *on,
            Setting::Dedupe(on) => env.dedupe = *on,
            Setting::WarnOnly(on) => env.warn_only = *on,
        }
    }
}

/// The user and port in a host string.
fn told(host: &str) -> (Option<&str>, Option<&str>) {
    let (user, place) = host.split_once('@').map_or((None, host), |(user, place)| (Some(user), place));
    let port = match place.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => Some(port),
        _ => None,
    };
    (user, port)
}
