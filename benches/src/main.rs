//! The benchmark: `fab` beside other programs and beside the least SSH client possible, at the same works in one run.
//!
//! ```text
//! bench [WORK...] [--clients A,B] [--quick] [--runs N] [--seconds N] [--list] [--render]
//! ```
//!
//! A work is named by its name or the beginning of it. Clients take turns (A B A B), so that what else the machine does
//! meets all alike. Numbers go to `docs/benchmarks.json`, and the table and the plot made of them to
//! `docs/benchmarks.md` and `docs/benchmarks.svg`; with `--quick`, whose sizes prove nothing, to `target/bench`.

mod bars;
mod clients;
mod measure;
mod page;
mod plot;
mod results;
mod site;
mod works;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use self::clients::{Client, Tools};
use self::measure::{Trial, measure};
use self::results::{Entry, Measured, Results, Usage};
use self::site::{Machines, Site};
use self::works::{Job, Servers, Work, works};

/// When a run is ended.
const LIMIT: Duration = Duration::from_mins(1);

const USAGE: &str = "\
Usage: bench [OPTIONS] [WORK...]

Measures fab beside other programs at works that are named, or whose names begin so; without a name at all of them.
Numbers go to docs/benchmarks.json, and what is made of them to docs/benchmarks.md and .svg.

Options:
  --clients A,B   only these clients
  --quick         a tenth of the size, which proves nothing; to target/bench
  --runs N        how often each client is measured
  --seconds N     so long a client is measured at one work, once it has been at all (8)
  --list          the names of works and clients
  --render        write the page anew and measure nothing
  -h, --help      this text
";

/// What was asked for on the command line.
#[derive(Debug)]
struct Options {
    works: Vec<String>,
    clients: Vec<String>,
    quick: bool,
    runs: Option<usize>,
    /// So long a client is measured at one work, once it has had its least runs.
    budget: Duration,
    list: bool,
    render: bool,
    help: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            works: Vec::new(),
            clients: Vec::new(),
            quick: false,
            runs: None,
            budget: Duration::from_secs(8),
            list: false,
            render: false,
            help: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            let number = |text: String| {
                text.parse::<usize>().map_err(|_| format!("{arg}: expected a whole number, found {text}"))
            };
            match arg.as_str() {
                "--clients" => options.clients = value()?.split(',').map(ToOwned::to_owned).collect(),
                "--quick" => options.quick = true,
                "--runs" => options.runs = Some(number(value()?)?),
                "--seconds" => options.budget = Duration::from_secs(number(value()?)? as u64),
                "--list" => options.list = true,
                "--render" => options.render = true,
                "-h" | "--help" => options.help = true,
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}; --help shows them")),
                _ => options.works.push(arg.clone()),
            }
        }
        Ok(options)
    }

    fn wants(&self, work: &Work) -> bool {
        self.works.is_empty() || self.works.iter().any(|asked| work.name.starts_with(asked.as_str()))
    }
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if options.help {
        print!("{USAGE}");
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let works = works(options.quick);
    if options.list {
        for work in &works {
            println!("{:<14} {} ({})", work.name, work.title, work.clients.join(", "));
        }
        return Ok(());
    }
    let built = std::env::current_exe().ok().and_then(|file| Some(file.parent()?.to_owned())).ok_or("no directory")?;
    let target = built.parent().unwrap_or(&built).to_owned();
    let tools = Tools { peers: target.join("peers"), adapters: root.join("benches/peers"), built };
    let out = if options.quick { target.join("bench") } else { root.join("docs") };
    fs::create_dir_all(&out).map_err(|error| error.to_string())?;
    let mut results = read(&out)?;

    if !options.render {
        let works: Vec<Work> = works.iter().filter(|work| options.wants(work)).cloned().collect();
        measure_all(options, works, &tools, root, &out, &mut results)?;
    }
    page::write(&out, &results, &works).map_err(|error| format!("{}: {error}", out.display()))?;
    println!("written: {0}/benchmarks.md, {0}/benchmarks.svg, {0}/benchmarks.json", out.display());
    Ok(())
}

fn read(out: &Path) -> Result<Results, String> {
    match fs::read(out.join("benchmarks.json")) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("benchmarks.json: {error}")),
        Err(_) => Ok(Results::default()),
    }
}

fn measure_all(
    options: &Options,
    works: Vec<Work>,
    tools: &Tools,
    root: &Path,
    out: &Path,
    results: &mut Results,
) -> Result<(), String> {
    if works.is_empty() {
        return Err("no such work; --list shows them".to_owned());
    }
    let most = |pick: fn(Servers) -> usize| works.iter().map(|work| pick(work.servers)).max().unwrap_or(0);
    let most_cheap = most(|servers| if let Servers::Cheap(count) = servers { count } else { 0 });
    let most_sshd = most(|servers| match servers {
        Servers::Sshd(count) => count,
        Servers::FarSshd => 1,
        _ => 0,
    });
    // Memory, where there is a file system in it: a disk would be what is measured.
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::Builder::new().prefix("fabric-bench-").tempdir_in(parent).map_err(|error| error.to_string())?;
    let mut machines = Machines::new(dir.path(), &tools.built, most_cheap, most_sshd)?;
    results.machine = machine();
    let count = works.len();
    for (index, work) in works.into_iter().enumerate() {
        eprintln!("[{}/{count}] {}: {}", index + 1, work.name, work.title);
        let site = machines.site(work.servers, work.cipher)?;
        work.job.prepare(&site).map_err(|error| format!("{}: {error}", work.name))?;
        let clients = take_turns(options, &work, &site, tools, &mut results.versions);
        results.put(Measured {
            work: work.name.clone(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: commit(root),
            quick: options.quick,
            clients,
        });
        // Written after each work: what is interrupted is not lost.
        let json = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
        fs::write(out.join("benchmarks.json"), json + "\n").map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Measures all clients at a work: A B C, A B C, ..., until each has had its runs.
fn take_turns(
    options: &Options,
    work: &Work,
    site: &Site,
    tools: &Tools,
    versions: &mut BTreeMap<String, String>,
) -> Vec<Entry> {
    let wanted = |name: &&&str| options.clients.is_empty() || options.clients.iter().any(|asked| asked == **name);
    let mut entries: Vec<(&Client, Entry, Duration)> = Vec::new();
    for name in work.clients.iter().filter(wanted) {
        let client = Client::named(name);
        let trouble = client.missing(tools);
        match &trouble {
            Some(why) => eprintln!("  {name:<14} NOT MEASURED: {why}"),
            None => {
                if let Some(version) = client.version(tools) {
                    versions.insert((*name).to_owned(), version);
                }
            }
        }
        entries.push((client, Entry { client: (*name).to_owned(), runs: Vec::new(), trouble }, Duration::ZERO));
    }
    // What is slow once is not slow only because it was the first.
    let runs = options.runs.unwrap_or(work.runs);
    for turn in 0..runs {
        for (client, entry, spent) in &mut entries {
            let (least, most) = if client.is_close() { (3, runs) } else { (2, runs.min(3)) };
            let least = if options.quick { 1 } else { least };
            if entry.trouble.is_some() || turn >= most || (turn >= least && *spent > options.budget) {
                continue;
            }
            let begun = Instant::now();
            match one_run(client, work, site, tools, turn == 0) {
                Ok(usage) => {
                    eprintln!(
                        "  {:<14} {:>2}/{most}  {:>9.3} s  cpu {:>8.3} s  {:>7.1} MiB  {:>4} threads{}",
                        client.name,
                        turn + 1,
                        usage.wall,
                        usage.cpu,
                        usage.memory,
                        usage.threads,
                        usage.value.map_or(String::new(), |value| format!("  {value}")),
                    );
                    entry.runs.push(usage);
                }
                Err(why) => {
                    eprintln!("  {:<14} FAILED: {why}", client.name);
                    entry.trouble = Some(why);
                }
            }
            *spent += begun.elapsed();
        }
    }
    entries.into_iter().map(|(_, entry, _)| entry).collect()
}

fn one_run(client: &Client, work: &Work, site: &Site, tools: &Tools, first: bool) -> Result<Usage, String> {
    work.job.clean(site).map_err(|error| error.to_string())?;
    let (stdout, stderr) = (site.dir.join("stdout"), site.dir.join("stderr"));
    let trial = Trial { stdout: &stdout, stderr: &stderr, limit: LIMIT, tree: client.tree };
    if let Some(link) = &site.link {
        link.forget();
    }
    let mut usage = measure(&mut client.command(work, site, tools), &trial)?;
    work.job.check(site, &stdout, first)?;
    usage.value = match (&work.job, &site.link) {
        (Job::Idle, _) => fs::read_to_string(&stdout).ok().and_then(|text| text.trim().parse().ok()),
        (Job::FanOut { .. }, Some(link)) => Some(link.round_trips() as f64),
        _ => None,
    };
    Ok(usage)
}

/// The class of this machine: what can be compared with other runs.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(":").trim_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({model}), {} GiB, Linux {}", memory + 1, kernel.trim())
}

fn commit(root: &Path) -> String {
    let output = Command::new("git").arg("-C").arg(root).args(["rev-parse", "--short", "HEAD"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        Options::parse(text.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn help_and_mistakes_are_told() {
        assert!(["-h", "--help", "put --help --quick"].iter().all(|text| parse(text).unwrap().help));
        for (text, expected) in [
            ("--fast", "unknown option --fast; --help shows them"),
            ("--runs", "--runs needs a value"),
            ("--runs many", "--runs: expected a whole number, found many"),
            ("--seconds -1", "--seconds: expected a whole number, found -1"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
