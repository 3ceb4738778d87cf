//! The model of docs/execution.md as a naive interpreter: one host after another.

mod parts;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::rc::Rc;

use super::generate::{Case, Command, Execute, Step, Where};
use parts::{At, Block, Call, Emptied, Ended, Execution, Failure, Guard, Inside, Once, Outcome, Status};

/// How often a step is tried again that does not say how often.
const RETRIES: u32 = 5;

/// What a run comes to.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// What each host was asked to run.
    pub(super) commands: BTreeMap<&'static str, Vec<String>>,
    /// Each task's results, as `task host status`, sorted.
    pub(super) results: Vec<String>,
    pub(super) hosts: BTreeMap<&'static str, Status>,
    pub(super) exit: u8,
    /// How many questions are asked.
    pub(super) asked: usize,
}

pub(super) struct Reference<'a> {
    case: &'a Case,
    account: Account,
    /// Hosts that failed for good, and whether a task that allows it went on without them.
    lost: BTreeMap<&'static str, bool>,
    around: HashMap<(usize, Option<&'static str>, Vec<&'static str>), Outcome>,
    once: HashMap<(usize, Option<&'static str>), bool>,
    executions: Vec<Execution>,
    failures: Vec<Failure>,
    /// The executions that went on after a failure.
    went_on: Vec<usize>,
    /// How often each failing command has yet to fail.
    failing: Vec<u32>,
    root: Block,
}

/// Carries a case out.
pub(super) fn run(case: &Case) -> Account {
    let mut this = Reference {
        case,
        account: Account::default(),
        lost: BTreeMap::new(),
        around: HashMap::new(),
        once: HashMap::new(),
        executions: Vec::new(),
        failures: Vec::new(),
        went_on: Vec::new(),
        failing: case.failing.iter().map(|(_, _, times)| *times).collect(),
        root: Block { limit: case.limit, ..Block::default() },
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
    this.account.exit = u8::from(failed || !this.went_on.is_empty() || !done);
    for execution in &this.executions {
        for (host, status) in &execution.results {
            let line = format!("{} {} {}", case.name(execution.task), host.unwrap_or("-"), status.name());
            this.account.results.push(line);
            let Some(host) = host else { continue };
            let worst = this.account.hosts.entry(host).or_insert(Status::Skipped);
            if !execution.superseded || !status.is_failure() {
                *worst = (*worst).max(*status);
            }
        }
    }
    this.account.results.sort();
    this.account
}

impl Reference<'_> {
    fn execute(&mut self, call: &Call, inside: Option<&Inside>) -> Outcome {
        let task = &self.case.tasks[call.task];
        let (list, emptied) = self.list(call, inside);
        let has_around = !(task.pre.is_empty() && task.post.is_empty());
        let nothing = Outcome { emptied: emptied == Some(Emptied::LeftOut), ..Outcome::default() };
        if emptied.is_some() && has_around && call.guard.is_none() {
            return nothing;
        }
        // A failure that was a warning where it was done first is none in a check.
        let is_check = matches!(call.guard, Some((Guard::Health, _))) || inside.is_some_and(|inside| inside.is_check);
        for pre in &task.pre {
            let before = self.execute(&Self::around(*pre, call), inside);
            if before.halt || before.failed || (is_check && before.has_failed()) {
                return Outcome { failed: true, halt: true, settled: true, ..Outcome::default() };
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
                outcome.failed |= after.failed || (is_check && after.has_failed());
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
    fn list(&self, call: &Call, inside: Option<&Inside>) -> (Option<Vec<&'static str>>, Option<Emptied>) {
        if let Some((_, hosts)) = &call.guard {
            return (Some(hosts.clone()), None);
        }
        let task = &self.case.tasks[call.task];
        let names_hosts = |place: &Where| !place.hosts.is_empty() || !place.roles.is_empty();
        let global = &self.case.command_line;
        let kept = inside.and_then(|inside| inside.host.filter(|_| !(inside.runs_once && names_hosts(global))));
        let mut narrows = true;
        // What is left out of the global list is left out of that alone.
        let (found, out) = if names_hosts(&call.place) {
            (self.named(&call.place), &call.place.exclude)
        } else if names_hosts(&task.place) {
            (self.named(&task.place), &call.place.exclude)
        } else if let Some(host) = kept {
            narrows = false;
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
        if narrows {
            list.retain(|host| self.case.only.is_empty() || self.case.only.contains(host));
            let limit = task.with.limit.or(inside.map_or(self.root.limit, |inside| inside.block.limit));
            list.truncate(limit.unwrap_or(list.len()));
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

    fn alone(&mut self, call: &Call, list: Option<Vec<&'static str>>, inside: Option<&Inside>) -> Outcome {
        let task = &self.case.tasks[call.task];
        let guard = call.guard.as_ref().map(|(guard, _)| *guard);
        // What is done once a run is not made again with the try that came to it.
        let retried = inside.filter(|_| !call.is_around && !task.runs_once);
        let execution = self.executions.len();
        let within = retried.map(|inside| inside.execution);
        self.executions.push(Execution { task: call.task, within, superseded: false, results: Vec::new() });
        if let Some(inside) = retried {
            inside.executed.borrow_mut().push(execution);
        }
        let here = At { call, task, inside, guard, execution };
        let Some(list) = list else {
            let block = self.block(&here);
            let ended = self.tried(&here, None, &block);
            let failed = ended.status.is_failure() && !ended.tolerated;
            let settled = ended.tried && ended.status.is_failure();
            self.executions[execution].results = vec![(None, ended.status)];
            return Outcome { failed, halt: failed, settled, results: vec![ended], ..Outcome::default() };
        };
        let rolls = task.batch.is_some() || task.canary.is_some();
        let parallel = task.parallel.unwrap_or(!task.runs_once && (self.case.parallel || rolls));
        let max_failures = self.case.max_failures.filter(|_| !task.runs_once && guard != Some(Guard::Rollback));
        let block = self.block(&here);
        let block_of = |block: &Block| if parallel && !task.runs_once { block.fork() } else { block.clone() };
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
                    let ended = self.on_host(&here, list[0], &block, guard == Some(Guard::Rollback));
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
                    let ended = self.on_host(&here, list[*place], &block_of(&block), allows);
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
            .map(|(host, ended)| {
                let skipped = Ended { host: Some(host), status: Status::Skipped, tolerated: false, tried: false };
                ended.unwrap_or(skipped)
            })
            .collect();
        failed |= results.iter().any(|ended| ended.status.is_failure() && !ended.tolerated);
        if halt && let Some(rollback) = task.rollback.filter(|_| guard != Some(Guard::Rollback)) {
            let begun: Vec<&'static str> =
                results.iter().filter(|ended| ended.status != Status::Skipped).filter_map(|ended| ended.host).collect();
            if !begun.is_empty() {
                self.lost.clear();
                self.failures.clear();
                let rollback = Self::guard(Guard::Rollback, rollback, begun);
                let undone = self.execute(&rollback, inside);
                for ended in &mut results {
                    let is_undone = undone.results.iter().any(|it| it.host == ended.host && it.status == Status::Ok);
                    if ended.status == Status::Ok && is_undone {
                        ended.status = Status::RolledBack;
                    }
                }
            }
        }
        self.executions[execution].results = results.iter().map(|ended| (ended.host, ended.status)).collect();
        let tried = results.iter().any(|ended| ended.tried && ended.status.is_failure());
        Outcome { failed, halt, emptied: false, settled: tried || task.runs_once, results }
    }

    /// What is in force in a task, as its hosts find it.
    fn block(&self, at: &At<'_>) -> Block {
        let mut around = at.inside.map_or(&self.root, |inside| &inside.block).clone();
        around.warn_only &= at.guard != Some(Guard::Health);
        let mut block = around.with(at.task);
        if at.is_check() {
            // Only what one of its own steps says holds.
            block.warn_only = around.warn_only;
        }
        block
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

    fn on_host(&mut self, at: &At<'_>, host: &'static str, block: &Block, allows: bool) -> Ended {
        let ended = self.tried(at, Some(host), block);
        if ended.status.is_failure() && !ended.tolerated {
            self.failures.push(Failure { execution: at.execution, host, is_allowed: allows });
            *self.lost.entry(host).or_default() |= allows;
        }
        ended
    }

    /// A body until it succeeds or its tries are used up.
    fn tried(&mut self, at: &At<'_>, host: Option<&'static str>, block: &Block) -> Ended {
        let is_check = at.is_check();
        let retries = block.retries.unwrap_or(0);
        let mut attempt = 0;
        loop {
            let executed = Rc::default();
            let inside = Inside {
                host,
                runs_once: at.task.runs_once,
                is_check,
                execution: at.execution,
                executed: Rc::clone(&executed),
                block: block.clone(),
            };
            let once = self.body(at, &inside);
            if attempt < retries && matches!(once, Once::Failed(true)) {
                attempt += 1;
                self.supersede(&executed.borrow());
                continue;
            }
            let ended = |status, tolerated| Ended { host, status, tolerated, tried: attempt > 0 };
            return match once {
                Once::Ok => ended(Status::Ok, false),
                Once::Tolerated => ended(Status::Failed, true),
                Once::Failed(_) => ended(Status::Failed, false),
                Once::Unreachable => ended(Status::Unreachable, self.case.skip_bad_hosts && !is_check),
            };
        }
    }

    /// What these executions, and those within them, came to counts no more.
    fn supersede(&mut self, executed: &[usize]) {
        if executed.is_empty() {
            return;
        }
        let mut all = executed.to_vec();
        for (place, execution) in self.executions.iter_mut().enumerate() {
            let is_within = execution.within.is_some_and(|within| all.contains(&within));
            if all.contains(&place) || is_within {
                execution.superseded = true;
                all.push(place);
            }
        }
        self.went_on.retain(|execution| !all.contains(execution));
        self.failures.retain(|failure| !all.contains(&failure.execution));
        self.lost.clear();
        for failure in &self.failures {
            *self.lost.entry(failure.host).or_default() |= failure.is_allowed;
        }
    }

    fn body(&mut self, at: &At<'_>, inside: &Inside) -> Once {
        let Inside { host, is_check, block, .. } = inside;
        let warn_only = block.warn_only || (!is_check && self.case.warn_only);
        let mut is_tolerated = false;
        for (place, step) in at.task.steps.iter().enumerate() {
            match step {
                Step::Set => *block.mark.borrow_mut() = Some(format!("t{}s{place}", at.call.task)),
                Step::Prompt => self.account.asked += 1,
                Step::Run(command) => {
                    let host = host.expect("a task with commands has a host");
                    if self.case.unreachable.contains(&host) {
                        return Once::Unreachable;
                    }
                    match (self.command(at, place, command, host, block), command.warn_only, warn_only) {
                        (true, ..) | (false, true, _) => {}
                        (false, false, true) => is_tolerated = true,
                        // What was waited for in vain is not waited for again.
                        (false, false, false) => return Once::Failed(command.until.is_none()),
                    }
                }
                Step::Execute(execute) => {
                    let mut inside = inside.clone();
                    inside.block.warn_only |= execute.warn_only;
                    if let Err(settled) = self.nested(execute, &inside)
                        && !execute.warn_only
                    {
                        return Once::Failed(!settled);
                    }
                }
            }
        }
        if is_tolerated { Once::Tolerated } else { Once::Ok }
    }

    /// Whether a command succeeds, tried again if it says so.
    fn command(&mut self, at: &At<'_>, place: usize, command: &Command, host: &'static str, block: &Block) -> bool {
        let name = format!("t{}s{place}", at.call.task);
        let mut text = String::new();
        if !block.env.is_empty() {
            text.push_str("export");
            for (name, value) in &block.env {
                let _ = write!(text, " {name}={value}");
            }
            text.push_str(" && ");
        }
        text.extend(block.cwd.map(|dir| format!("cd {dir} && ")));
        text.push_str(&name);
        text.extend(self.bound(at.call).map(|arg| format!(" {arg}")));
        if command.has_mark {
            let _ = write!(text, " {}", block.mark.borrow().as_deref().unwrap_or("-"));
        }
        if at.task.has_answer(place) {
            text.push_str(if self.case.answer { " yes" } else { " no" });
        }
        let tries = 1 + command.until.as_ref().map_or(0, |until| until.retries.unwrap_or(RETRIES));
        for _ in 0..tries {
            self.account.commands.entry(host).or_default().push(text.clone());
            let failing = self.case.failing.iter().position(|(at, it, _)| *at == host && *it == name);
            let fails = failing.is_some_and(|failing| self.failing[failing] > 0);
            if !fails || command.until.as_ref().is_some_and(|until| until.whatever) {
                if let (Some(failing), true) = (failing, fails) {
                    self.failing[failing] = self.failing[failing].saturating_sub(1);
                }
                return true;
            }
            if let Some(failing) = failing {
                self.failing[failing] = self.failing[failing].saturating_sub(1);
            }
        }
        false
    }

    /// Whether what a step executes is a success for the host in whose run it is; if not, whether it can't end differently.
    fn nested(&mut self, execute: &Execute, inside: &Inside) -> Result<(), bool> {
        let call =
            Call { task: execute.task, place: execute.place.clone(), arg: execute.arg, guard: None, is_around: false };
        let outcome = self.execute(&call, Some(inside));
        let is_lost = inside.host.is_some_and(|host| self.lost.contains_key(host));
        if outcome.failed && !outcome.halt && (inside.host.is_none() || inside.runs_once) && !is_lost {
            self.went_on.push(inside.execution);
            return Ok(());
        }
        if outcome.failed { Err(outcome.settled) } else { Ok(()) }
    }
}
