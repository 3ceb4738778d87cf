//! A fleet against a long ssh_config: 10,000 hosts, 2,000 lines.

use std::fmt::Write as _;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use fabric_config::ssh_config::{Local, Lookup, SshConfig};

/// 400 blocks of five lines, with patterns of every shape.
fn config() -> String {
    let mut text = String::new();
    for n in 0..400 {
        let head = match n % 5 {
            0 => format!("Host web{n}"),
            1 => format!("Host web{n}? !web{n}9 db{n}.*"),
            2 => format!("Match host *-{n}.example.org user deploy"),
            3 => format!("Host *{n}.internal rack{n}-*"),
            _ => format!("Host *.zone{n}.example.org w?b-{n}-*"),
        };
        let _ = write!(
            text,
            "{head}\n  HostName %h.example.org\n  Port {}\n  IdentityFile ~/.ssh/id_{n}\n  ServerAliveInterval 30\n",
            2000 + n
        );
    }
    text.push_str("Host *\n  User deploy\n  ForwardAgent no\n  Ciphers +aes128-cbc\n  UserKnownHostsFile ~/.ssh/known_hosts.d/%k\n");
    text
}

fn resolve(c: &mut Criterion) {
    let text = config();
    let local = Arc::new(Local::new("alice", "/home/alice", "laptop"));
    let parsed = SshConfig::parse(&text, "config");
    let hosts: Vec<String> = (0..10_000).map(|n| format!("web{n}.zone{}.example.org", n % 400)).collect();
    let mut group = c.benchmark_group("ssh_config");
    group.sample_size(10);
    group.bench_function("parse 2,000 lines", |b| b.iter(|| SshConfig::parse(&text, "config")));
    group.bench_function("resolve 10,000 hosts", |b| {
        b.iter(|| {
            hosts
                .iter()
                .map(|host| parsed.resolve(&Lookup::new(host, &local)).map_or(0, |found| usize::from(found.port())))
                .sum::<usize>()
        });
    });
    group.bench_function("print 1,000 hosts", |b| {
        b.iter(|| {
            hosts[..1000]
                .iter()
                .filter_map(|host| parsed.resolve(&Lookup::new(host, &local)).ok())
                .map(|found| found.dump().len())
                .sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, resolve);
criterion_main!(benches);
