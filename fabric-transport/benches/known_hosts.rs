//! The cost of looking up a fleet: 1,000 hosts in 1,000 lines, plain and hashed.
//!
//! `cargo bench -p fabric-transport --bench known_hosts`

use std::time::SystemTime;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fabric_transport::known_hosts::{Host, HostKey, KnownHosts, PublicKey, Verdict};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const HOSTS: usize = 1_000;

fn fleet(c: &mut Criterion) {
    let key = HostKey::from(KEY.parse::<PublicKey>().expect("it is a key"));
    let hosts: Vec<_> = (0..HOSTS).map(|i| Host::new(format!("web{i}.example.com"), 22)).collect();
    let mut group = c.benchmark_group("1,000 hosts x 1,000 lines");
    group.throughput(Throughput::Elements(HOSTS as u64)).sample_size(10);
    for hashed in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("known_hosts");
        let known = KnownHosts::load(std::slice::from_ref(&file), &[]).expect("no file yet");
        for host in &hosts {
            known.record(host, &key, hashed).expect("it is new");
        }
        let load = || KnownHosts::load(std::slice::from_ref(&file), &[]).expect("it was just written");
        let name = if hashed { "hashed" } else { "plain" };
        group.bench_function(format!("{name}: load"), |b| b.iter(load));
        group.bench_function(format!("{name}: algorithms and check"), |b| {
            let look_up = |known: KnownHosts| {
                for host in &hosts {
                    known.algorithms(host, &["ssh-ed25519", "rsa-sha2-512"]).expect("it is readable");
                    let verdict = known.check(host, &key, SystemTime::now()).expect("it is readable");
                    assert!(matches!(verdict, Verdict::Known(_)));
                }
            };
            b.iter_batched(load, look_up, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, fleet);
criterion_main!(benches);
