//! The model of docs/execution.md as a naive interpreter: one host after another, nothing tried again.

use std::collections::{BTreeMap, HashMap};

use super::generate::{Case, Execute, Step, Task, Where};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Skipped,
    Ok,
    RolledBack,
    Failed,
    Unreachable,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
        }
    }

    fn is_failure(self) -> bool {
        self >= Self::Failed
    }
}

/// How a task ended on a host, or locally.
#[derive(Debug, Clone)]
struct Ended {
    host: Option<&'static str>,
    status: Status,
    tolerated: bool,
}

/// What an execution came to.
#[derive(Debug, Clone, Default)]
struct Outcome {
    failed: bool,
    halt: bool,
    emptied: bool,
    results: Vec<Ended>,
}

#[derive(Debug, Clone)]
struct Call {
    task: usize,
    place: Where,
    arg: Option<&'static str>,
    guard: Option<(Guard, Vec<&'static str>)>,
    is_around: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Guard {
    Health,
    Rollback,
}

/// Why a list has no hosts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Emptied {
    LeftOut,
    /// They are in others.
    Shard,
}

/// In whose run a call is made.
#[derive(Debug, Clone, Copy)]
struct Inside {
    host: Option<&'static str>,
    runs_once: bool,
    warn_only: bool,
    /// Whether it is a health check, or executed by one.
    is_check: bool,
}

/// What a run comes to.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// What each host was asked to run.
    pub(super) commands: BTreeMap<&'static str, Vec<String>>,
    /// Each task's results, as `task host status`, sorted.
    pub(super) results: Vec<String>,
    pub(super) hosts: BTreeMap<&'static str, Status>,
    pub(super) exit: u8,
}

pub(super) struct Reference<'a> {
    case: &'a Case,
    account: Account,
    /// Hosts that failed for good, and whether a task that allows it went on without them.
    lost: BTreeMap<&'static str, bool>,
    around: HashMap<(usize, Option<&'static str>, Vec<&'static str>), Outcome>,
    once: HashMap<(usize, Option<&'static str>), bool>,
    went_on: bool,
}

/// Carries a case out.
pub(super) fn run(case: &Case) -> Account {
    let mut this = Reference {
        case,
        account: Account::default(),
        lost: BTreeMap::new(),
        around: HashMap::new(),
        once: HashMap::new(),
        went_on: false,
    };
    let (mut failed, mut done) = (false, false);
    for (task, arg) in &case.calls {
        let call = Call { task: *task, place: Where::default(), arg: *arg, guard: None, is_around: false };
        let outcome = this.execute(&call, None);
        done |= !outcome.emptied;
        failed |= outcome.failed;
        if outcome.halt {
            break;
        }
    }
    this.account.exit = u8::from(failed || this.went_on || !done);
    this.account.results.sort();
    this.account
}

impl Reference<'_> {
    fn execute(&mut self, call: &Call, inside: Option<Inside>) -> Outcome {
        let task = &self.case.tasks[call.task];
        let (list, emptied) = self.list(call, inside);
        let has_around = !(task.pre.is_empty() && task.post.is_empty());
        let nothing = Outcome { emptied: emptied == Some(Emptied::LeftOut), ..Outcome::default() };
        if emptied.is_some() && has_around && call.guard.is_none() {
            return nothing;
        }
        for pre in &task.pre {
            let before = self.execute(&Self::around(*pre, call), inside);
            if before.halt || before.failed {
                return Outcome { failed: true, halt: true, ..Outcome::default() };
            }
        }
        let key = (call.task, self.bound(call), list.clone().unwrap_or_default());
        if call.is_around
            && let Some(outcome) = self.around.get(&key)
        {
            return outcome.clone();
        }
        let mut outcome = if emptied.is_some() { nothing } else { self.alone(call, list, inside) };
        if emptied.is_none() && !outcome.halt {
            for post in &task.post {
                let after = self.execute(&Self::around(*post, call), inside);
                outcome.failed |= after.failed;
                outcome.halt |= after.halt;
                if after.halt {
                    break;
                }
            }
        }
        if call.is_around {
            self.around.insert(key, outcome.clone());
        }
        outcome
    }

    fn around(task: usize, of: &Call) -> Call {
        Call { task, place: Where::default(), arg: None, guard: of.guard.clone(), is_around: true }
    }

    /// The argument, its default included.
    fn bound(&self, call: &Call) -> Option<&'static str> {
        self.case.tasks[call.task].has_arg.then(|| call.arg.unwrap_or("d"))
    }

    /// The hosts, `None` for a local run; and why there are none, where there would be some.
    fn list(&self, call: &Call, inside: Option<Inside>) -> (Option<Vec<&'static str>>, Option<Emptied>) {
        if let Some((_, hosts)) = &call.guard {
            return (Some(hosts.clone()), None);
        }
        let task = &self.case.tasks[call.task];
        let names_hosts = |place: &Where| !place.hosts.is_empty() || !place.roles.is_empty();
        let global = &self.case.command_line;
        let kept = inside.and_then(|inside| inside.host.filter(|_| !(inside.runs_once && names_hosts(global))));
        // What is left out of the global list is left out of that alone.
        let (found, out) = if names_hosts(&call.place) {
            (self.named(&call.place), &call.place.exclude)
        } else if names_hosts(&task.place) {
            (self.named(&task.place), &call.place.exclude)
        } else if let Some(host) = kept {
            (vec![host], &call.place.exclude)
        } else if names_hosts(global) {
            (self.named(global), &global.exclude)
        } else {
            return (None, None);
        };
        let mut list: Vec<&'static str> = Vec::new();
        for host in found {
            if !out.contains(&host) && !list.contains(&host) {
                list.push(host);
            }
        }
        if list.is_empty() {
            return (Some(list), Some(Emptied::LeftOut));
        }
        if let (Some((index, count)), None) = (self.case.shard, kept) {
            let mut position = 0..;
            list.retain(|_| position.next().is_some_and(|position| position % count == index));
        }
        let emptied = list.is_empty().then_some(Emptied::Shard);
        (Some(list), emptied)
    }

    fn named(&self, place: &Where) -> Vec<&'static str> {
        let roles = place.roles.iter().flat_map(|role| self.role(*role));
        place.hosts.iter().copied().chain(roles).collect()
    }

    fn role(&self, role: usize) -> Vec<&'static str> {
        let role = &self.case.roles[role];
        role.hosts.iter().copied().chain(role.roles.iter().flat_map(|other| self.role(*other))).collect()
    }

    fn alone(&mut self, call: &Call, list: Option<Vec<&'static str>>, inside: Option<Inside>) -> Outcome {
        let task = &self.case.tasks[call.task];
        let guard = call.guard.as_ref().map(|(guard, _)| *guard);
        let Some(list) = list else {
            let ended = self.body(call, task, None, inside, guard);
            let failed = ended.status.is_failure() && !ended.tolerated;
            let outcome = Outcome { failed, halt: failed, results: vec![ended], ..Outcome::default() };
            self.record(call.task, &outcome.results);
            return outcome;
        };
        for host in &list {
            self.account.hosts.entry(host).or_insert(Status::Skipped);
        }
        let rolls = task.batch.is_some() || task.canary.is_some();
        let parallel = task.parallel.unwrap_or(!task.runs_once && (self.case.parallel || rolls));
        let max_failures = self.case.max_failures.filter(|_| !task.runs_once && guard != Some(Guard::Rollback));
        let mut results: Vec<Option<Ended>> = vec![None; list.len()];
        let (mut failures, mut failed, mut gate_closed) = (0, false, false);

        if task.runs_once {
            let key = (call.task, self.bound(call));
            let known = self.once.get(&key).copied().filter(|_| guard.is_none());
            match known {
                Some(true) => {}
                Some(false) => {
                    failures += 1;
                    failed = true;
                }
                None => {
                    let ended = self.on_host(call, task, list[0], inside, guard, guard == Some(Guard::Rollback));
                    failures += usize::from(ended.status.is_failure() && !ended.tolerated);
                    if guard.is_none() {
                        self.once.insert(key, ended.status == Status::Ok || ended.tolerated);
                    }
                    results[0] = Some(ended);
                }
            }
        } else {
            let allows = guard == Some(Guard::Rollback) || max_failures.is_some_and(|most| most > 0);
            let own = inside.and_then(|inside| inside.host);
            let places: Vec<usize> = (0..list.len())
                .filter(|place| {
                    let host = list[*place];
                    let left_out = self.lost.get(host).is_some_and(|went_on| *went_on || allows);
                    !left_out || guard == Some(Guard::Rollback) || own == Some(host)
                })
                .collect();
            let (first, rest) = places.split_at(task.canary.unwrap_or(0).min(places.len()));
            let size = task.batch.unwrap_or(list.len()).max(1);
            let batches: Vec<&[usize]> =
                Some(first).into_iter().filter(|it| !it.is_empty()).chain(rest.chunks(size)).collect();
            for (index, batch) in batches.iter().enumerate() {
                if self.exceeded(guard, max_failures, failures) || gate_closed {
                    break;
                }
                for place in *batch {
                    let stops = !parallel || max_failures.is_some();
                    if stops && self.exceeded(guard, max_failures, failures) {
                        break;
                    }
                    let ended = self.on_host(call, task, list[*place], inside, guard, allows);
                    failures += usize::from(ended.status.is_failure() && !ended.tolerated);
                    results[*place] = Some(ended);
                }
                if guard == Some(Guard::Rollback) || self.exceeded(guard, max_failures, failures) {
                    continue;
                }
                let hosts: Vec<&'static str> = batch.iter().map(|place| list[*place]).collect();
                if let Some(health) = task.health {
                    let health = Self::guard(Guard::Health, health, hosts);
                    let outcome = self.execute(&health, inside);
                    gate_closed = outcome.failed || outcome.results.iter().any(|ended| ended.status.is_failure());
                }
                let left = batches[index + 1..].iter().any(|batch| !batch.is_empty());
                if !gate_closed && task.pause && index == 0 && left {
                    gate_closed = !self.case.answer;
                }
                failed |= gate_closed;
            }
        }
        let halt = gate_closed || self.exceeded(guard, max_failures, failures);
        let mut results: Vec<Ended> = list
            .iter()
            .zip(results)
            .map(|(host, ended)| ended.unwrap_or(Ended { host: Some(host), status: Status::Skipped, tolerated: false }))
            .collect();
        failed |= results.iter().any(|ended| ended.status.is_failure() && !ended.tolerated);
        if halt && let Some(rollback) = task.rollback.filter(|_| guard != Some(Guard::Rollback)) {
            let begun: Vec<&'static str> =
                results.iter().filter(|ended| ended.status != Status::Skipped).filter_map(|ended| ended.host).collect();
            if !begun.is_empty() {
                self.lost.clear();
                let rollback = Self::guard(Guard::Rollback, rollback, begun);
                let undone = self.execute(&rollback, inside);
                for ended in &mut results {
                    let is_undone = undone.results.iter().any(|it| it.host == ended.host && it.status == Status::Ok);
                    if ended.status == Status::Ok && is_undone {
                        ended.status = Status::RolledBack;
                        self.see(ended);
                    }
                }
            }
        }
        self.record(call.task, &results);
        Outcome { failed, halt, emptied: false, results }
    }

    fn guard(guard: Guard, task: usize, hosts: Vec<&'static str>) -> Call {
        Call { task, place: Where::default(), arg: None, guard: Some((guard, hosts)), is_around: false }
    }

    fn exceeded(&self, guard: Option<Guard>, max_failures: Option<usize>, failures: usize) -> bool {
        if guard == Some(Guard::Rollback) || failures == 0 {
            return false;
        }
        max_failures.is_none_or(|most| self.lost.len() > most)
    }

    fn on_host(
        &mut self,
        call: &Call,
        task: &Task,
        host: &'static str,
        inside: Option<Inside>,
        guard: Option<Guard>,
        allows: bool,
    ) -> Ended {
        let ended = self.body(call, task, Some(host), inside, guard);
        if ended.status.is_failure() && !ended.tolerated {
            *self.lost.entry(host).or_default() |= allows;
        }
        self.see(&ended);
        ended
    }

    fn see(&mut self, ended: &Ended) {
        if let Some(host) = ended.host {
            let status = self.account.hosts.entry(host).or_insert(Status::Skipped);
            *status = (*status).max(ended.status);
        }
    }

    fn record(&mut self, task: usize, results: &[Ended]) {
        for ended in results {
            self.account.results.push(format!(
                "{} {} {}",
                self.case.name(task),
                ended.host.unwrap_or("-"),
                ended.status.name()
            ));
        }
    }

    fn body(
        &mut self,
        call: &Call,
        task: &Task,
        host: Option<&'static str>,
        inside: Option<Inside>,
        guard: Option<Guard>,
    ) -> Ended {
        let is_check = guard == Some(Guard::Health) || inside.is_some_and(|inside| inside.is_check);
        // In a check only what one of its own steps says holds.
        let around = inside.is_some_and(|inside| inside.warn_only && inside.is_check == is_check);
        let warn_only = around || (!is_check && (self.case.warn_only || task.warn_only));
        let ended = |status, tolerated| Ended { host, status, tolerated };
        let mut is_tolerated = false;
        for (place, step) in task.steps.iter().enumerate() {
            match step {
                Step::Set => {}
                Step::Run { warn_only: own, .. } => {
                    let host = host.expect("a task with commands has a host");
                    if self.case.unreachable.contains(&host) {
                        return ended(Status::Unreachable, self.case.skip_bad_hosts && !is_check);
                    }
                    let name = format!("t{}s{place}", call.task);
                    let command = match self.bound(call) {
                        Some(arg) => format!("{name} {arg}"),
                        None => name.clone(),
                    };
                    self.account.commands.entry(host).or_default().push(command);
                    let fails = self.case.failing.iter().any(|(at, it, _)| *at == host && *it == name);
                    match (fails, own, warn_only) {
                        (false, ..) | (true, true, _) => {}
                        (true, false, true) => is_tolerated = true,
                        (true, false, false) => return ended(Status::Failed, false),
                    }
                }
                Step::Execute(execute) => {
                    let warn_only = warn_only || execute.warn_only;
                    let inner = Inside { host, runs_once: task.runs_once, warn_only, is_check };
                    if !self.nested(execute, inner) && !execute.warn_only {
                        return ended(Status::Failed, false);
                    }
                }
            }
        }
        if is_tolerated { ended(Status::Failed, true) } else { ended(Status::Ok, false) }
    }

    /// Whether what a step executes is a success for the host in whose run it is.
    fn nested(&mut self, execute: &Execute, inside: Inside) -> bool {
        let call =
            Call { task: execute.task, place: execute.place.clone(), arg: execute.arg, guard: None, is_around: false };
        let outcome = self.execute(&call, Some(inside));
        let is_lost = inside.host.is_some_and(|host| self.lost.contains_key(host));
        if outcome.failed && !outcome.halt && (inside.host.is_none() || inside.runs_once) && !is_lost {
            self.went_on = true;
            return true;
        }
        !outcome.failed
    }
}
