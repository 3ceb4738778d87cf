//! A case as a real run on hosts in memory, and everything that gives an account of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use fabric_core::settings::Problem;
use fabric_core::{EventKind, HostStatus, Phase, PromptError, PromptKind, PromptRequest, Prompter, Secret};
use fabric_exec::fabfile::{Fabfile, Format, parse};
use fabric_exec::hostlist::Shard;
use fabric_exec::journal::{self, Asked, Journal};
use fabric_exec::report::ReportFormat;
use fabric_exec::{Plan, Report, Run, RunError};
use fabric_transport::memory::Reply;

use super::common::{World, calls};
use super::generate::{Case, HOSTS, Step};
use super::{reference, spell};

/// Says yes or no, and counts the questions whose answers are kept.
#[derive(Debug, Clone, Default)]
struct Says {
    yes: bool,
    asked: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Prompter for Says {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        self.asked.fetch_add(usize::from(matches!(request.kind, PromptKind::Text { .. })), Ordering::SeqCst);
        Ok(if self.yes { "yes" } else { "no" }.into())
    }
}

/// A run and what was seen of it.
struct Ran {
    world: World,
    report: Report,
    asked: usize,
}

/// Whether no two hosts are at work at the same time.
fn is_in_turn(case: &Case) -> bool {
    case.one_at_a_time || case.max_failures.is_some() || case.tasks.iter().any(|task| task.rollback.is_some())
}

fn world(case: &Case, heals: bool) -> World {
    let mut world = World::new()
        .set("parallel", case.parallel)
        .set("warn_only", case.warn_only)
        .set("skip_bad_hosts", case.skip_bad_hosts)
        .set("eagerly_disconnect", case.eagerly_disconnect);
    if let Some(most) = case.max_failures {
        world = world.set("max_failures", most.to_string());
    }
    if let Some(limit) = case.limit {
        world = world.set("limit", limit.to_string());
    }
    if !case.only.is_empty() {
        world = world.set("only_hosts", case.only.clone());
    }
    if is_in_turn(case) {
        // Which hosts are left out after failures that are allowed would depend on which one is faster.
        world = world.set("pool_size", 1);
    }
    let names = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
    world.command_line.hosts = names(&case.command_line.hosts);
    world.command_line.exclude = names(&case.command_line.exclude);
    if !heals {
        for (host, command, times) in &case.failing {
            let (left, command) = (AtomicU32::new(*times), command.clone());
            world.fleet.host(host).answer(move |asked| {
                let text = asked.text();
                let text = name(&text);
                let is_it = text == command || text.strip_prefix(&command).is_some_and(|rest| rest.starts_with(' '));
                let fails =
                    is_it && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                fails.then(|| Reply::status(1))
            });
        }
        for host in &case.unreachable {
            let kind = Problem::new("there is no such host").into();
            world.fleet.host(host).refuse(u32::MAX, Phase::Connect, kind);
        }
    }
    world
}

fn run(world: &World, fabfile: &Fabfile, case: &Case, says: &Says) -> Run {
    let shard = case.shard.and_then(|(index, count)| Shard::new(index, count));
    world.run_of(fabfile).prompter(says.clone()).keep_output(true).shard(shard)
}

/// A command without what is put before it.
fn name(command: &str) -> &str {
    command.rsplit(" && ").next().unwrap_or_default()
}

/// The command with its variables in order.
fn ordered(command: String) -> String {
    let Some((exports, rest)) = command.strip_prefix("export ").and_then(|text| text.split_once(" && ")) else {
        return command;
    };
    let mut exports: Vec<&str> = exports.split(' ').collect();
    exports.sort_unstable();
    format!("export {} && {rest}", exports.join(" "))
}

fn commands(world: &World) -> BTreeMap<&'static str, Vec<String>> {
    let asked = HOSTS.map(|host| (host, world.commands(host).into_iter().map(ordered).collect::<Vec<_>>()));
    asked.into_iter().filter(|(_, commands)| !commands.is_empty()).collect()
}

/// The same in any order: hosts that run in parallel execute things on others whenever they come to it.
fn sorted(mut commands: BTreeMap<&'static str, Vec<String>>) -> BTreeMap<&'static str, Vec<String>> {
    for list in commands.values_mut() {
        list.sort();
    }
    commands
}

fn results(report: &Report) -> Vec<String> {
    let results = report.tasks.iter().flat_map(|task| {
        let line = move |host: Option<&str>, status: HostStatus| {
            format!("{} {} {}", task.task, host.unwrap_or("-"), status.as_str())
        };
        task.results.iter().map(move |result| line(result.host.as_deref(), result.status))
    });
    let mut results: Vec<String> = results.collect();
    results.sort();
    results
}

/// Fails with what differs.
macro_rules! same {
    ($what:literal, $left:expr, $right:expr) => {{
        let (left, right) = ($left, $right);
        if left != right {
            return Err(format!("{}:\n  {left:?}\n  {right:?}", $what));
        }
    }};
}

/// Runs a case in all spellings, dry and again, and compares all accounts. `tries`: something may be tried again.
pub(super) async fn check(case: &Case, tries: bool) -> Result<(), String> {
    let files = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut fabfiles = Vec::new();
    let spellings = [(Format::Json, "json"), (Format::Toml, "toml"), (Format::Yaml, "yaml")];
    for (format, ending) in spellings {
        let text = spell(&case.fabfile(ending), format);
        if case.included > 0 {
            let included = files.path().join(format!("included.{ending}"));
            std::fs::write(included, spell(&case.included(), format)).map_err(|error| error.to_string())?;
        }
        let fabfile = parse(files.path().join(format!("fabfile.{ending}")), &text, format);
        fabfiles.push(fabfile.map_err(|problems| format!("{format:?}: {problems}\n{text}"))?);
    }
    let tokens = case.tokens();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let journals = tempfile::tempdir().map_err(|error| error.to_string())?;

    let mut ran: Vec<Result<Ran, String>> = Vec::new();
    for (index, fabfile) in fabfiles.iter().enumerate() {
        let world = world(case, false);
        let says = Says { yes: case.answer, ..Says::default() };
        let mut run = run(&world, fabfile, case, &says);
        if index == 0 {
            let asked = Asked::new("r", Vec::new(), "/");
            run = run.journal(Journal::new(journals.path(), asked));
        }
        ran.push(
            run.start(calls(&tokens))
                .await
                .map(|report| Ran { world, report, asked: says.asked.load(Ordering::SeqCst) })
                .map_err(|error| error.to_string()),
        );
    }
    let planned = run(&world(case, false), &fabfiles[0], case, &Says::default()).plan(&calls(&tokens)).await;
    let mut ran = ran.into_iter();
    let first = match ran.next() {
        Some(Ok(first)) => first,
        Some(Err(error)) => return refused(&error, ran, planned),
        None => return Err("nothing ran".into()),
    };
    for other in ran {
        let other = other?;
        same!("commands of the spellings", sorted(commands(&first.world)), sorted(commands(&other.world)));
        same!("results of the spellings", results(&first.report), results(&other.report));
        same!("exit status of the spellings", first.report.exit_code(), other.report.exit_code());
    }
    // Which of several hosts meets a failure that passes depends on which one is faster.
    if !tries || is_in_turn(case) {
        let expected = reference::run(case);
        same!("commands, and the reference", sorted(commands(&first.world)), sorted(expected.commands));
        same!("results, and the reference", results(&first.report), expected.results);
        let hosts: BTreeMap<&str, &str> =
            first.report.hosts.iter().map(|(host, it)| (host.as_str(), it.status.as_str())).collect();
        same!("hosts, and the reference", hosts, expected.hosts.iter().map(|(host, it)| (*host, it.name())).collect());
        same!("exit status, and the reference", first.report.exit_code(), expected.exit);
        same!("questions, and the reference", first.asked, expected.asked);
    }
    accounts(&first)?;
    journal(case, &first, journals.path(), &fabfiles[0], &tokens).await?;
    let plan = planned.map_err(|error| format!("the plan: {error}"))?;
    foreseen(case, &plan, &fabfiles[0], &tokens).await
}

/// A run that could not begin is refused in each spelling, and by the plan.
fn refused(
    error: &str,
    others: impl Iterator<Item = Result<Ran, String>>,
    planned: Result<Plan, RunError>,
) -> Result<(), String> {
    for other in others {
        match other {
            Err(_) => {}
            Ok(_) => return Err(format!("one spelling is refused, another is run: {error}")),
        }
    }
    planned.map_or(Ok(()), |_| Err(format!("there is a plan of what is refused: {error}")))
}

/// Events, summary, and the three kinds of reports.
fn accounts(ran: &Ran) -> Result<(), String> {
    let events = ran.world.events.events();
    let report = &ran.report;
    let mut finished: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::HostFinished { status, .. } => {
                let host = event.host.as_deref().unwrap_or("-");
                Some(format!("{} {host} {}", event.task.as_deref().unwrap_or("-"), status.as_str()))
            }
            _ => None,
        })
        .collect();
    finished.sort();
    // What was undone was ok when it ended.
    let mut ended: Vec<String> = results(report).iter().map(|line| line.replace("rolled_back", "ok")).collect();
    ended.sort();
    same!("events, and the report", finished, ended);

    let mut worst: BTreeMap<&str, HostStatus> = BTreeMap::new();
    for task in &report.tasks {
        for result in &task.results {
            let Some(host) = &result.host else { continue };
            let status = worst.entry(host).or_insert(HostStatus::Skipped);
            if !task.superseded || !result.status.is_failure() {
                *status = (*status).max(result.status);
            }
        }
    }
    let hosts: BTreeMap<&str, HostStatus> = report.hosts.iter().map(|(host, it)| (host.as_str(), it.status)).collect();
    same!("the worst of each host's results, and the report's hosts", worst, hosts.clone());

    let (ok, failed, skipped) = report.counts();
    let summary = events.iter().find_map(|event| match &event.kind {
        EventKind::Summary { hosts_ok, hosts_failed, hosts_skipped, hosts, not_started, .. } => {
            let hosts: BTreeMap<&str, HostStatus> = hosts.iter().map(|(host, status)| (&**host, *status)).collect();
            Some((*hosts_ok, *hosts_failed, *hosts_skipped, hosts, not_started.clone()))
        }
        _ => None,
    });
    same!("the summary, and the report", summary, Some((ok, failed, skipped, hosts, report.not_started.clone())));

    let read: Report =
        serde_json::from_str(&report.render(ReportFormat::Json)).map_err(|error| format!("the report: {error}"))?;
    same!("the report, and what is read of it", results(report), results(&read));
    same!("its exit status, and what is read of it", report.exit_code(), read.exit_code());
    let junit = report.render(ReportFormat::Junit);
    let all: Vec<_> =
        report.tasks.iter().flat_map(|task| task.results.iter().map(|it| (task.superseded, it))).collect();
    same!("cases of JUnit, and results", junit.matches("<testcase ").count(), all.len());
    let bad = all.iter().filter(|(superseded, result)| !superseded && result.status.is_failure()).count();
    same!("failures of JUnit, and results", junit.matches("<failure ").count() + junit.matches("<error ").count(), bad);

    let untolerated = all.iter().any(|(superseded, it)| !superseded && it.status.is_failure() && !it.tolerated);
    if report.exit_code() == 0 && untolerated && !report.tasks.iter().any(|task| task.superseded) {
        // A step's `warn_only` around an `execute` is the only way.
        let softened = events.iter().any(|event| matches!(event.kind, EventKind::Warning { .. }));
        same!("a failure that nothing allowed ends with", softened, true);
    }
    let told: Vec<String> = report
        .tasks
        .iter()
        .flat_map(|task| &task.results)
        .flat_map(|result| {
            result.commands.iter().map(|it| format!("{} {}", result.host.as_deref().unwrap_or("-"), it.command))
        })
        .collect();
    let asked: Vec<String> = commands(&ran.world)
        .into_iter()
        .flat_map(|(host, list)| list.into_iter().map(move |command| format!("{host} {}", name(&command))))
        .collect();
    let mut both = (told, asked);
    both.0.sort();
    both.1.sort();
    same!("commands of the report, and of the hosts", both.0, both.1);
    Ok(())
}

/// The journal has the run's end, and a retry on hosts that are well again does what is left and nothing else.
async fn journal(
    case: &Case,
    ran: &Ran,
    dir: &std::path::Path,
    fabfile: &Fabfile,
    tokens: &[&str],
) -> Result<(), String> {
    let recorded = journal::last(dir).map_err(|error| error.to_string())?.ok_or("there is no journal")?;
    let report: BTreeMap<&str, HostStatus> =
        ran.report.hosts.iter().map(|(host, it)| (host.as_str(), it.status)).collect();
    let hosts: BTreeMap<&str, HostStatus> =
        recorded.hosts.iter().map(|(host, status)| (host.as_str(), *status)).collect();
    same!("the journal's hosts, and the report's", hosts, report);
    same!("the journal's ending, and the report's", recorded.ending, Some(ran.report.ending));
    if recorded.is_done() {
        return Ok(());
    }
    let world = world(case, true);
    let case = &Case { answer: true, ..case.clone() };
    let says = Says { yes: true, ..Says::default() };
    let again = run(&world, fabfile, case, &says).retry(Some(recorded)).start(calls(tokens)).await;
    let again = again.map_err(|error| format!("the retry: {error}"))?;
    if again.exit_code() == 1 && ran.report.ending != fabric_exec::report::Ending::NothingRan {
        return Err(format!("the retry failed on hosts that are well: {:?}", results(&again)));
    }
    Ok(())
}

/// The plan and a dry run of a case in which nothing fails.
async fn foreseen(case: &Case, plan: &Plan, fabfile: &Fabfile, tokens: &[&str]) -> Result<(), String> {
    let case = &Case { answer: true, failing: Vec::new(), unreachable: Vec::new(), ..case.clone() };
    let (real, dry) = (world(case, true), world(case, true));
    let says = Says { yes: true, ..Says::default() };
    let report = run(&real, fabfile, case, &says).start(calls(tokens)).await.map_err(|error| error.to_string())?;
    let asks_nothing = Says { yes: true, ..Says::default() };
    let dried = run(&dry, fabfile, case, &asks_nothing).dry_run(true).start(calls(tokens)).await;
    same!("questions of a dry run", asks_nothing.asked.load(Ordering::SeqCst), 0);
    let dried = dried.map_err(|error| format!("the dry run: {error}"))?;
    same!("commands of a dry run", commands(&dry), BTreeMap::new());
    same!("exit status of a dry run, and of the run", dried.exit_code(), report.exit_code());
    let mut would: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let events = dry.events.events();
    for event in &events {
        if let (EventKind::Planned { verb, what, .. }, Some(host)) = (&event.kind, event.host.as_deref())
            && &**verb == "run"
        {
            would.entry(HOSTS.into_iter().find(|it| *it == host).unwrap_or("?")).or_default().push(what.clone());
        }
    }
    let mut done = commands(&real);
    // A text with an answer in it stays a template in a dry run.
    let known = |command: &str| {
        let command = name(command);
        let first = command.split(' ').next().unwrap_or_default();
        let place = first.strip_prefix('t').and_then(|it| it.split_once('s'));
        let place = place.and_then(|(task, step)| Some((task.parse::<usize>().ok()?, step.parse().ok()?)));
        let has_answer = place.is_some_and(|(task, step)| case.tasks[task].has_answer(step));
        if has_answer { first.to_owned() } else { command.to_owned() }
    };
    would.values_mut().chain(done.values_mut()).flatten().for_each(|command| *command = known(command));
    same!("commands that a dry run names, and those of the run", sorted(would), sorted(done));
    let executes = |task: &super::generate::Task| task.steps.iter().any(|step| matches!(step, Step::Execute(_)));
    // A task that runs once has other arguments in another call.
    let is_known =
        |task: &super::generate::Task| !executes(task) && task.health.is_none() && !(task.runs_once && task.has_arg);
    if case.tasks.iter().all(is_known) {
        let planned: Vec<String> = plan
            .tasks
            .iter()
            .filter(|task| task.strategy != "nowhere")
            .map(|task| format!("{} {:?}", task.task.split(':').next().unwrap_or_default(), task.hosts))
            .collect();
        let mut once = HashSet::new();
        let runs_once = |task: &str| {
            case.tasks[task.trim_start_matches("i.")[1..].parse::<usize>().expect("t and a number")].runs_once
        };
        let ran: Vec<String> = report
            .tasks
            .iter()
            // What runs once is planned once; later on it is there with hosts that are skipped.
            .filter(|task| !runs_once(&task.task) || once.insert(task.task.clone()))
            .map(|task| {
                let hosts: Vec<&str> = task.results.iter().filter_map(|result| result.host.as_deref()).collect();
                format!("{} {hosts:?}", task.task)
            })
            .collect();
        same!("the plan, and the run", planned, ran);
    }
    Ok(())
}
