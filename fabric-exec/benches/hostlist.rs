//! What a host list costs: roles and hosts merged, repeats and exclusions taken out.
//!
//! `cargo bench -p fabric-exec --bench hostlist`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fabric_exec::hostlist::{ListSources, Listed, Selection, build};
use indexmap::IndexMap;

const HOSTS: usize = 10_000;

fn lists(c: &mut Criterion) {
    let names = |from: usize| (from..from + HOSTS).map(|n| format!("web{n}.example.com")).collect::<Vec<_>>();
    // Half of the second role is in the first one, too; every tenth host is left out.
    let env = Selection::default().roles(["web", "new"]).exclude_hosts(names(0).into_iter().step_by(10));
    let listed = |from| names(from).iter().map(|name| Listed::new(name.parse().expect("a host string"))).collect();
    let looked_up = IndexMap::from([("web".to_owned(), listed(0)), ("new".to_owned(), listed(HOSTS / 2))]);
    let mut sources = ListSources::new("deploy");
    sources.env = &env;
    let mut group = c.benchmark_group("a host list of two roles of 10,000 hosts");
    group.throughput(Throughput::Elements(2 * HOSTS as u64)).sample_size(20);
    group.bench_function("build", |b| b.iter(|| build(&sources, &looked_up).expect("the roles are known")));
    group.finish();
}

criterion_group!(benches, lists);
criterion_main!(benches);
