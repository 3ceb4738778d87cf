//! What the vocabulary costs a host: parsing host strings and folding them, and rendering a command.
//!
//! `cargo bench -p fabric-core --bench words`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fabric_core::command::PathBehavior;
use fabric_core::host::{expand, fold};
use fabric_core::{Command, HostString};

const HOSTS: usize = 1_000;

fn hosts(c: &mut Criterion) {
    let names = expand("deploy@web[0001-1000].example.com:2222").expect("it is a range");
    assert_eq!(names.len(), HOSTS);
    let mut group = c.benchmark_group("1,000 host strings");
    group.throughput(Throughput::Elements(HOSTS as u64));
    group.bench_function("expand a range", |b| b.iter(|| expand("deploy@web[0001-1000].example.com:2222")));
    group.bench_function("parse", |b| {
        b.iter(|| names.iter().flat_map(|name| HostString::parse(name)).count());
    });
    group.bench_function("fold into a range", |b| b.iter(|| fold(names.iter().map(String::as_str))));
    group.finish();
}

fn commands(c: &mut Criterion) {
    let plain = Command::new("uname -a");
    let dressed = Command::new("tar xzf app.tgz && bin/restart --now")
        .cd("/srv/my app")
        .prefix("source ~/venv/bin/activate")
        .path("/opt/app/bin", PathBehavior::Append)
        .env("RELEASE", "2.4 'beta'")
        .shell("/bin/bash -l -c");
    let mut group = c.benchmark_group("render a command");
    group.bench_function("plain", |b| b.iter(|| plain.render()));
    group.bench_function("with cd, prefix, path, env and shell", |b| b.iter(|| dressed.render()));
    group.finish();
}

criterion_group!(benches, hosts, commands);
criterion_main!(benches);
