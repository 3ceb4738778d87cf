//! What resolving a fleet costs: 10,000 hosts, with settings of their own and a long ssh_config.
//!
//! `cargo bench -p fabric-config --bench resolve`

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fabric_config::{Config, ConfigBuilder, Environment, Format, SshConfig};
use fabric_core::settings::{Layer, Origin};
use fabric_core::{HostString, Resolve};
use serde_json::json;

const HOSTS: usize = 10_000;

fn hosts() -> Vec<HostString> {
    let host = |n| format!("deploy@web{n}.dc{}.example.com", n % 20).parse();
    (0..HOSTS).filter_map(|n| host(n).ok()).collect()
}

/// 2,000 lines: blocks of single hosts, of patterns, and the usual end.
fn ssh_config() -> SshConfig {
    let mut text = String::new();
    for n in 0..480 {
        let _ = writeln!(text, "Host db{n} *.rack{n}.example.com !bad*\n  HostName 10.0.0.{}\n  Port 2222", n % 250);
        text.push_str("  User admin\n");
    }
    for n in 0..20 {
        let _ = writeln!(text, "Match host *.dc{n}.example.com\n  IdentityFile ~/.ssh/dc{n}\n  Compression yes");
    }
    text.push_str("Host *\n  ServerAliveInterval 15\n");
    SshConfig::parse(text, "ssh_config")
}

fn builder() -> ConfigBuilder {
    let text = "pool_size = 20\n[timeouts]\nconnect = 5\n[shell_env]\nA = '1'\n";
    let mut builder = Config::builder()
        .environment(Environment::new("me", "/home/me"))
        .text(Layer::User, "fabric.toml", Format::Toml, text)
        .set("keepalive=30");
    for n in 0..20 {
        let origin = Origin::file(Layer::Host, "fabfile.toml", Some(n));
        let values = [("user".to_owned(), json!(format!("dc{n}")), origin.clone())];
        builder = builder.hosts(format!("*.dc{n}.example.com"), origin, values);
    }
    builder
}

fn resolve(criterion: &mut Criterion) {
    let hosts = hosts();
    let mut group = criterion.benchmark_group("resolve 10,000 hosts");
    group.sample_size(10);
    let mut case = |name: &str, builder: ConfigBuilder| {
        group.bench_function(name, |bencher| {
            // A fresh configuration each time: answers are kept.
            let setup = || builder.clone().build();
            bencher.iter_batched(
                setup,
                |config| {
                    let Ok(config) = config else { return };
                    for host in &hosts {
                        let _ = black_box(config.target(host, &[]));
                    }
                },
                BatchSize::PerIteration,
            );
        });
    };
    case("settings only", builder());
    case("2,000 lines of ssh_config", builder().ssh_config(ssh_config()));
    group.finish();
}

criterion_group!(benches, resolve);
criterion_main!(benches);
