//! What showing output costs: events of 100 lines of 80 bytes each, as a command that floods prints them.
//!
//! `cargo bench -p fabric-cli --bench render`

use std::path::Path;

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fabric_cli::render::{Look, OutputMode, Page, renderer};
use fabric_core::{Event, EventKind, Stream};
use jiff::Timestamp;

fn output(line: &str) -> Event {
    let data = format!("{line}\n").repeat(100).into_bytes();
    let kind = EventKind::output(Stream::Stdout, data);
    let (host, task): (Arc<str>, Arc<str>) = ("web1.example.com".into(), "deploy".into());
    Event::new("run", kind).at(Timestamp::UNIX_EPOCH).host(host).task(task)
}

fn events(c: &mut Criterion) {
    let plain = output(&"x".repeat(79));
    // What would change colours or move a cursor is made visible, byte by byte.
    let coloured = output(&format!("\x1b[31m{}\x1b[0m", "x".repeat(70)));
    let mut group = c.benchmark_group("100 lines of 80 bytes");
    group.throughput(Throughput::Bytes(8_000));
    for (name, mode, event) in [
        ("prefix", OutputMode::Prefix, &plain),
        ("prefix, with control characters", OutputMode::Prefix, &coloured),
        ("raw", OutputMode::Raw, &plain),
        ("json", OutputMode::Json, &plain),
    ] {
        let (mut render, mut page) = (renderer(mode, Look::default(), Path::new("/tmp")), Page::default());
        group.bench_function(name, |b| {
            b.iter(|| {
                render.event(event, &mut page);
                page.take(|_, bytes| assert!(!bytes.is_empty()));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, events);
criterion_main!(benches);
