//! All accounts of a run agree: whatever fails, each host string has the same result in the terminal's summary, the JSON events, the
//! reports in JSON, JUnit and HTML, the journal and the exit status; and each line that a host printed is there once, under its
//! name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fabric_cli::render::{Look, OutputMode, Page, renderer};
use fabric_core::host::{expand, split_list};
use fabric_core::settings::{Overlay, Problem, Problems};
use fabric_core::{
    ConnectError, Event, EventKind, EventSink, HostStatus, HostString, Phase, Resolve, Settings, Target,
};
use fabric_exec::fabfile::{Format, parse};
use fabric_exec::hostlist::Selection;
use fabric_exec::journal::{self, Asked, Journal};
use fabric_exec::report::{Ending, ReportFormat};
use fabric_exec::{Call, Invocation, Report, Run};
use fabric_transport::Connector;
use fabric_transport::memory::{MemoryTransport, Reply};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

/// Host strings, and their machines.
const HOSTS: [(&str, &str); 6] =
    [("alpha", "m0"), ("bravo", "m0"), ("charlie", "m1"), ("joe@delta", "m1"), ("echo:2222", "m2"), ("foxtrot", "m2")];

/// A task of a random fabfile. Others are named by their distance behind it, so that there is no circle.
#[derive(Debug, Clone)]
struct Job {
    hosts: Option<Vec<usize>>,
    parallel: Option<bool>,
    runs_once: bool,
    batch: Option<usize>,
    steps: usize,
    executes: Option<(usize, Option<Vec<usize>>)>,
    pre: Option<usize>,
    post: Option<usize>,
    health: Option<usize>,
    rollback: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Fails,
    Hangs,
    Dies,
}

#[derive(Debug, Clone)]
struct Case {
    hosts: Vec<usize>,
    jobs: Vec<Job>,
    calls: Vec<usize>,
    /// By task and host.
    fates: Vec<Vec<Fate>>,
    down: Vec<bool>,
    settings: Vec<(&'static str, Value)>,
}

fn some_hosts() -> impl Strategy<Value = Vec<usize>> {
    vec(0..HOSTS.len(), 1..5).prop_map(|mut hosts| {
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    })
}

fn job() -> impl Strategy<Value = Job> {
    let rare = || option::weighted(0.2, 1..3_usize);
    let around = (rare(), rare(), rare(), rare());
    let own = (option::weighted(0.4, some_hosts()), option::weighted(0.3, any::<bool>()), prop::bool::weighted(0.15));
    let work = (rare(), 1..3_usize, option::weighted(0.3, (1..3_usize, option::weighted(0.4, some_hosts()))));
    (own, work, around).prop_map(
        |((hosts, parallel, runs_once), (batch, steps, executes), (pre, post, health, rollback))| Job {
            hosts,
            parallel,
            runs_once,
            batch,
            steps,
            executes,
            pre,
            post,
            health,
            rollback,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let fate = prop_oneof![
        14 => Just(Fate::Well),
        2 => Just(Fate::Fails),
        1 => Just(Fate::Hangs),
        1 => Just(Fate::Dies),
    ];
    let settings = (
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => Just(Some("1")), 2 => Just(Some("100%"))],
        prop::bool::weighted(0.25),
        prop::bool::weighted(0.25),
        0..3_u32,
    );
    let settings = settings.prop_map(|(parallel, max_failures, warn_only, skip_bad_hosts, pool_size)| {
        let mut settings = vec![
            ("parallel", parallel.into()),
            ("warn_only", warn_only.into()),
            ("skip_bad_hosts", skip_bad_hosts.into()),
            ("pool_size", pool_size.into()),
        ];
        settings.extend(max_failures.map(|some| ("max_failures", some.into())));
        settings
    });
    (2..5_usize).prop_flat_map(move |count| {
        (
            some_hosts(),
            vec(job(), count),
            vec(0..count, 1..4),
            vec(vec(fate.clone(), HOSTS.len()), count),
            vec(prop::bool::weighted(0.12), 3),
            settings.clone(),
        )
            .prop_map(|(hosts, jobs, calls, fates, down, settings)| Case {
                hosts,
                jobs,
                calls,
                fates,
                down,
                settings,
            })
    })
}

fn names(places: &[usize]) -> Vec<String> {
    places.iter().map(|place| HOSTS[*place].0.to_owned()).collect()
}

impl Case {
    fn fabfile(&self) -> String {
        let mut text = String::new();
        for (number, job) in self.jobs.iter().enumerate() {
            let other =
                |distance: Option<usize>| distance.map(|by| number + by).filter(|other| *other < self.jobs.len());
            _ = writeln!(text, "[tasks.t{number}]\nruns_once = {}", job.runs_once);
            if let Some(hosts) = &job.hosts {
                _ = writeln!(text, "hosts = {:?}", names(hosts));
            }
            if let Some(parallel) = job.parallel {
                _ = writeln!(text, "parallel = {parallel}");
            }
            if let (Some(batch), false) = (job.batch, job.runs_once) {
                _ = writeln!(text, "batch = {batch}");
                for (key, distance) in [("health", job.health), ("rollback", job.rollback)] {
                    if let Some(other) = other(distance) {
                        _ = writeln!(text, "{key} = 't{other}'");
                    }
                }
            }
            for (key, distance) in [("pre", job.pre), ("post", job.post)] {
                if let Some(other) = other(distance) {
                    _ = writeln!(text, "{key} = ['t{other}']");
                }
            }
            text.push_str("steps = [\n");
            for step in 0..job.steps {
                _ = writeln!(text, "  {{ run = 'say {number} {step} {{{{ env.host_string }}}}' }},");
            }
            let executes = job.executes.as_ref().map(|(by, hosts)| (other(Some(*by)), hosts));
            if let Some((Some(other), hosts)) = executes {
                let hosts = hosts.as_ref().map(|hosts| format!(", hosts = {:?}", names(hosts))).unwrap_or_default();
                _ = writeln!(text, "  {{ execute = 't{other}'{hosts} }},");
            }
            text.push_str("]\n");
        }
        text
    }
}

/// Names for machines, several of them for each.
struct Aliases(Settings);

impl Resolve for Aliases {
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems> {
        Resolve::settings(&self.0, host, overlays)
    }

    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError> {
        let mut target = Resolve::target(&self.0, host, overlays)?;
        if let Some((_, machine)) = HOSTS.iter().find(|(name, _)| *name == host.as_str()) {
            (*machine).clone_into(&mut target.host);
        }
        Ok(target)
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// The results of a run.
struct Left {
    report: Report,
    events: Vec<Event>,
    /// Each line that a machine printed, by the name under which it was asked.
    printed: Vec<(String, String)>,
    recorded: journal::Recorded,
    written: Report,
}

fn carry_out(case: &Case) -> Left {
    let fleet = MemoryTransport::named("ssh");
    let printed = Arc::new(Mutex::new(Vec::new()));
    let (fates, lines, count) = (case.fates.clone(), printed.clone(), AtomicUsize::new(0));
    fleet.every_host().on_match("^say ", move |asked| {
        let text = asked.text();
        let words: Vec<&str> = text.split(' ').collect();
        let (task, host): (usize, _) = (words[1].parse().unwrap(), words[3].to_owned());
        let place = HOSTS.iter().position(|(name, _)| *name == host).unwrap();
        let line = format!("line {} of {host}", count.fetch_add(1, Ordering::SeqCst));
        lines.lock().unwrap().push((host, line.clone()));
        let reply = Reply::stdout(line + "\n");
        match fates[task][place] {
            Fate::Well => reply,
            Fate::Fails => reply.exit(3),
            Fate::Hangs => reply.hang(),
            Fate::Dies => reply.die(),
        }
    });
    for (machine, _) in ["m0", "m1", "m2"].iter().zip(&case.down).filter(|(_, down)| **down) {
        fleet.host(machine).refuse(u32::MAX, Phase::Connect, Problem::new("it is down").into());
    }
    let mut settings = Settings::default();
    for (name, value) in case.settings.iter().cloned().chain([("command_timeout", Value::from(0.2))]) {
        settings.set(name, &value).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let events = Arc::new(Recorder::default());
    let fabfile = parse("fabfile.toml", &case.fabfile(), Format::Toml).unwrap_or_else(|error| panic!("{error}"));
    let asked = Asked::new("r", Vec::new(), "/");
    let run = Run::new(fabfile.collection, Aliases(settings))
        .connector(Connector::new().transport(fleet))
        .events(events.clone())
        .journal(Journal::new(dir.path(), asked))
        .keep_output(true)
        .command_line(Selection::default().hosts(names(&case.hosts)));
    let calls = case.calls.iter().map(|call| Call::Task(Invocation::new(format!("t{call}")))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run.start(calls)).unwrap();
    let file = dir.path().join("report.json");
    report.write(&file).unwrap();
    let events = std::mem::take(&mut *events.0.lock().unwrap());
    let printed = std::mem::take(&mut *printed.lock().unwrap());
    let recorded = journal::last(dir.path()).unwrap().unwrap();
    Left { written: Report::read(&file).unwrap(), report, events, printed, recorded }
}

/// The events as a renderer shows them.
fn shown(events: &[Event], mode: OutputMode) -> String {
    let (mut render, mut page) = (renderer(mode, Look::default(), &std::env::temp_dir()), Page::default());
    let mut text = Vec::new();
    for event in events {
        render.event(event, &mut page);
        page.take(|_, bytes| text.extend_from_slice(bytes));
    }
    String::from_utf8(text).unwrap()
}

type Fates = BTreeMap<String, String>;

/// Task, host and status of every result, in some order.
type Results = Vec<(String, String, String)>;

fn sorted(results: impl Iterator<Item = (String, String, String)>) -> Results {
    let mut results: Results = results.collect();
    results.sort();
    results
}

/// What stands between two texts, after the start.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let text = &text[text.find(start).map_or(0, |at| at + start.len())..];
    &text[..text.find(end).unwrap_or(text.len())]
}

fn of_report(report: &Report) -> (Fates, Results) {
    let hosts = report.hosts.iter().map(|(host, it)| (host.clone(), it.status.to_string())).collect();
    let results = report.tasks.iter().flat_map(|task| task.results.iter().map(move |result| (task, result)));
    let results =
        results.filter_map(|(task, result)| Some((task.task.clone(), result.host.clone()?, result.status.to_string())));
    (hosts, sorted(results))
}

fn of_junit(xml: &str) -> Results {
    sorted(xml.split("<testcase ").skip(1).map(|case| {
        let kind = between(case, " type=\"", "\"");
        let status = match (case.contains("<skipped"), case.contains(" type=\"")) {
            (true, _) => "skipped",
            (_, true) => kind,
            _ => "ok",
        };
        (between(case, "classname=\"", "\"").to_owned(), between(case, "name=\"", "\"").to_owned(), status.to_owned())
    }))
}

fn of_html(page: &str) -> Results {
    sorted(page.split("<h2>").skip(1).flat_map(|task| {
        let name = task[..task.find('<').unwrap()].to_owned();
        task.split("<tr><td>").skip(1).map(move |row| {
            (name.clone(), row[..row.find('<').unwrap()].to_owned(), between(row, "<td class=\"", "\"").to_owned())
        })
    }))
}

/// The counts of the terminal's summary, and the hosts that are not ok.
fn of_terminal(text: &str) -> Option<(String, Fates)> {
    let mut lines = text.lines().skip_while(|line| !line.contains(" ok") || !line.contains(" host"));
    let counts = lines.next()?.to_owned();
    let mut fates = Fates::new();
    for line in lines {
        let status = line[2..13].trim().replace(' ', "_");
        if !["failed", "timed_out", "unreachable", "skipped", "rolled_back"].contains(&status.as_str()) {
            continue;
        }
        let hosts = line[15..].split(": ").next().unwrap();
        for host in split_list(hosts).into_iter().flat_map(|item| expand(item).unwrap()) {
            assert_eq!(fates.insert(host, status.clone()), None, "twice in\n{text}");
        }
    }
    Some((counts, fates))
}

fn check(case: &Case) {
    let Left { report, events, printed, recorded, written } = carry_out(case);
    let (hosts, results) = of_report(&report);
    let told = format!("{}\n{report:#?}", case.fabfile());

    // Each host of each list has one result, and the events agree.
    let lists = events.iter().filter_map(|event| match &event.kind {
        EventKind::TaskStarted { hosts, .. } => Some(hosts.iter().map(move |host| (event.task.clone(), host.clone()))),
        _ => None,
    });
    let mut listed: Vec<_> =
        lists.flatten().map(|(task, host)| (task.unwrap().to_string(), host.to_string())).collect();
    listed.sort();
    assert_eq!(
        listed,
        results.iter().map(|(task, host, _)| (task.clone(), host.clone())).collect::<Vec<_>>(),
        "{told}"
    );
    let finished = sorted(events.iter().filter_map(|event| match &event.kind {
        EventKind::HostFinished { status, .. } => {
            Some((event.task.as_ref()?.to_string(), event.host.as_ref()?.to_string(), status.to_string()))
        }
        _ => None,
    }));
    // What was rolled back was ok when it ended.
    let ended = sorted(results.iter().map(|(task, host, status)| {
        let status = if status == "rolled_back" { "ok" } else { status };
        (task.clone(), host.clone(), status.to_owned())
    }));
    assert_eq!(finished, ended, "{told}");
    let mut worst: BTreeMap<String, HostStatus> = BTreeMap::new();
    for result in report.tasks.iter().flat_map(|task| &task.results) {
        let Some(host) = &result.host else { continue };
        let entry = worst.entry(host.clone()).or_insert(HostStatus::Skipped);
        *entry = (*entry).max(result.status);
    }
    let worst: Fates = worst.into_iter().map(|(host, status)| (host, status.to_string())).collect();
    assert_eq!(hosts, worst, "{told}");

    // JSON events.
    let json: Vec<Value> =
        shown(&events, OutputMode::Json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = json.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(serde_json::from_value::<Fates>(summary["hosts"].clone()).unwrap(), hosts, "{told}");
    let (ok, failed, skipped) = report.counts();
    let counts = ["hosts_ok", "hosts_failed", "hosts_skipped"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [ok, failed, skipped].map(|count| count as u64));

    // Reports.
    assert_eq!(of_report(&written), (hosts.clone(), results.clone()), "{told}");
    assert_eq!((written.ending, written.exit_code()), (report.ending, report.exit_code()));
    let local =
        |results: Results| results.into_iter().filter(|(_, host, _)| !host.contains("local")).collect::<Results>();
    assert_eq!(local(of_junit(&report.render(ReportFormat::Junit))), results, "{told}");
    assert_eq!(local(of_html(&report.render(ReportFormat::Html))), results, "{told}");

    // The journal.
    let journal: Fates = recorded.hosts.iter().map(|(host, status)| (host.clone(), status.to_string())).collect();
    assert_eq!((journal, recorded.ending), (hosts.clone(), Some(report.ending)), "{told}");

    // The exit status.
    let fails = report.tasks.iter().flat_map(|task| &task.results).any(|it| it.status.is_failure() && !it.tolerated);
    assert_eq!(report.exit_code(), u8::from(fails), "{told}");
    assert_eq!(report.ending, if fails { Ending::Failed } else { Ending::Ok }, "{told}");

    // The terminal.
    let terminal = shown(&events, OutputMode::Prefix);
    match of_terminal(&terminal) {
        None => assert!(hosts.len() < 2 && failed + skipped == 0, "{terminal}"),
        Some((counted, fates)) => {
            let plural = if hosts.len() == 1 { "" } else { "s" };
            let mut expected = format!("{} host{plural}: {ok} ok", hosts.len());
            for (count, word) in [(failed, "failed"), (skipped, "skipped")] {
                _ = if count > 0 { write!(expected, ", {count} {word}") } else { Ok(()) };
            }
            assert!(counted.starts_with(&(expected + " (")), "{terminal}\n{told}");
            let bad: Fates =
                hosts.iter().filter(|(_, status)| *status != "ok").map(|(a, b)| (a.clone(), b.clone())).collect();
            assert_eq!(fates, bad, "{terminal}\n{told}");
        }
    }

    // Each line once, under its name; a connection that is lost may take some with it.
    let lost = case.fates.iter().flatten().any(|fate| *fate == Fate::Dies);
    let in_reports: Vec<(String, String)> = report
        .tasks
        .iter()
        .flat_map(|task| &task.results)
        .flat_map(|result| {
            result.commands.iter().map(|it| (result.host.clone().unwrap_or_default(), it.stdout.clone()))
        })
        .flat_map(|(host, text)| text.lines().map(|line| (host.clone(), line.to_owned())).collect::<Vec<_>>())
        .collect();
    let in_json: Vec<(String, String)> = json
        .iter()
        .filter(|event| event["event"] == "output")
        .map(|event| (event["host"].as_str().unwrap().to_owned(), event["line"].as_str().unwrap().to_owned()))
        .collect();
    let in_terminal: Vec<(String, String)> = terminal
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("] out: "))
        .map(|(host, line)| (host.to_owned(), line.to_owned()))
        .collect();
    for (place, mut seen) in [("terminal", in_terminal), ("JSON", in_json), ("report", in_reports)] {
        let mut all = printed.clone();
        seen.sort();
        all.sort();
        if lost {
            all.retain(|line| seen.contains(line));
        }
        assert_eq!(seen, all, "{place}\n{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_account_of_a_run_is_the_same(case in case()) {
        check(&case);
    }
}
