//! One task on ten thousand hosts in memory: under two seconds, under 300 MB, and no thread per host.
//!
//! `cargo bench -p fabric-exec --bench fleet`; it prints what it took and fails where a bound is passed.

use std::time::{Duration, Instant};

use fabric_core::Settings;
use fabric_exec::hostlist::Selection;
use fabric_exec::{Call, Collection, Context, Run, Task};
use fabric_transport::connector::Connector;
use fabric_transport::memory::{MemoryTransport, Reply};

const HOSTS: usize = 10_000;

fn main() {
    // What `cargo test --benches` asks for is not a benchmark.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let fleet = MemoryTransport::named("ssh");
    fleet.every_host().on("uptime", Reply::stdout("up 3 days\n"));
    let connector = Connector::new().transport(fleet);
    let hosts = (0..HOSTS).map(|n| format!("web{n}"));
    let task = Task::from_fn("uptime", |context: Context| async move {
        Ok(context.connection().await?.run("uptime").await?.stdout().into_owned())
    });
    let collection = Collection::new().task(task.parallel()).expect("one task");
    let (sink, mut events) = fabric_exec::queue::bounded(1 << 20);
    let run = Run::new(collection, Settings::default())
        .connector(connector)
        .events(sink)
        .command_line(Selection::default().hosts(hosts));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    let (report, seen) = runtime.block_on(async {
        let reader = tokio::spawn(async move {
            let mut seen = 0_usize;
            while events.next().await.is_some() {
                seen += 1;
            }
            seen
        });
        let report = run.start(vec![Call::Task(fabric_exec::Invocation::new("uptime"))]).await.expect("it runs");
        (report, reader.await.expect("it reads"))
    });
    let took = began.elapsed();
    let (peak, threads) = (status("VmHWM:"), status("Threads:"));
    println!("{HOSTS} hosts, {seen} events: {took:?}, {} MB at most, {threads} threads", peak / 1024);
    assert_eq!(report.counts(), (HOSTS, 0, 0));
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    assert!(peak < 300 * 1024, "it needed {peak} kB");
    assert!(threads < 64, "it had {threads} threads");
}

/// A number of `/proc/self/status`.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
