//! The bars that must hold, and where the numbers stand.

use crate::results::{Results, Usage};

/// A number that must not be missed.
pub(crate) struct Bar {
    pub(crate) text: String,
    /// What was measured; `None`: nothing was.
    pub(crate) value: Option<f64>,
    pub(crate) limit: f64,
    /// Whether the limit is the most, rather than the least.
    pub(crate) at_most: bool,
    pub(crate) unit: &'static str,
}

impl Bar {
    /// Whether it holds; `None`: not measured.
    pub(crate) fn holds(&self) -> Option<bool> {
        self.value.map(|value| if self.at_most { value <= self.limit } else { value >= self.limit })
    }
}

fn wall(usage: &Usage) -> f64 {
    usage.wall
}

fn cpu(usage: &Usage) -> f64 {
    usage.cpu
}

/// All bars of the issues about speed and about transfers.
pub(crate) fn bars(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut add = |text: &str, value: Option<f64>, at_most: bool, limit: f64, unit: &'static str| {
        bars.push(Bar { text: text.to_owned(), value, limit, at_most, unit });
    };
    let median = |work: &str, client: &str, of: fn(&Usage) -> f64| results.median(work, client, of);
    // How many times as much `fab` takes as the other.
    let ratio =
        |work: &str, other: &str, of: fn(&Usage) -> f64| Some(median(work, "fab", of)? / median(work, other, of)?);
    // How many times as much the other takes as `fab`.
    let gain =
        |work: &str, other: &str, of: fn(&Usage) -> f64| Some(median(work, other, of)? / median(work, "fab", of)?);
    // The fastest of some others.
    let best = |work: &str, others: &[&str]| {
        let walls = others.iter().filter_map(|other| gain(work, other, wall));
        walls.min_by(f64::total_cmp)
    };

    add(
        "one command over 50 ms: round trips after TCP",
        results.median("far-one", "fab", |usage| usage.value.unwrap_or(f64::NAN)),
        true,
        7.0,
        "",
    );
    add(
        "one command on one sshd host: wall",
        median("one-sshd", "fab", wall).map(|wall| wall * 1e3),
        true,
        35.0,
        " ms",
    );
    add("one command on one sshd host: wall, of the floor's", ratio("one-sshd", "floor", wall), true, 1.1, "x");
    for (work, hosts, most_cpu) in [
        ("sshd-500", "500 sshd hosts", 1.5),
        ("cheap-1000", "1,000 cheap hosts", 1.25),
        ("cheap-5000", "5,000 cheap hosts", 1.25),
    ] {
        add(&format!("{hosts}: CPU, of the floor's"), ratio(work, "floor", cpu), true, most_cpu, "x");
        add(&format!("{hosts}: wall, of the floor's"), ratio(work, "floor", wall), true, 1.1, "x");
        add(&format!("{hosts}: less CPU than bssh"), gain(work, "bssh", cpu), false, 1.5, "x");
        add(&format!("{hosts}: less CPU than Fabric 3"), gain(work, "fabric3", cpu), false, 5.0, "x");
    }
    for other in ["clush", "pdsh", "pssh", "xargs"] {
        add(
            &format!("500 sshd hosts: less CPU than {other}, a process a host"),
            gain("sshd-500", other, cpu),
            false,
            20.0,
            "x",
        );
    }
    add("1,000 cheap hosts: memory", median("cheap-1000", "fab", |usage| usage.memory), true, 64.0, " MiB");
    add(
        "10,000 cheap hosts, default options: memory",
        median("cheap-10000", "fab", |usage| usage.memory),
        true,
        256.0,
        " MiB",
    );
    add(
        "10,000 cheap hosts, default options: threads",
        median("cheap-10000", "fab", |usage| f64::from(usage.threads)),
        true,
        20.0,
        "",
    );
    add("500 commands on one connection: wall, of the floor's", ratio("many", "floor", wall), true, 1.15, "x");
    add("500 commands on one connection: faster than Fabric 3", gain("many", "fabric3", wall), false, 15.0, "x");
    for (work, text) in [
        ("put", "put 1 GiB, default ciphers"),
        ("get", "get 1 GiB, default ciphers"),
        ("put-gcm", "put 1 GiB, the same cipher"),
        ("get-gcm", "get 1 GiB, the same cipher"),
    ] {
        add(&format!("{text}: as fast as the faster of scp and sftp"), best(work, &["scp", "sftp"]), false, 1.0, "x");
    }
    for (work, text) in [("put-tree", "put 5,000 small files"), ("get-tree", "get 5,000 small files")] {
        add(&format!("{text}: as fast as the faster of rsync and tar"), best(work, &["rsync", "tar"]), false, 1.0, "x");
        add(&format!("{text}: wall, of the floor's"), ratio(work, "floor", wall), true, 1.3, "x");
        add(
            &format!("{text}: as fast as the faster of sftp -r and scp -r"),
            best(work, &["sftp", "scp"]),
            false,
            3.0,
            "x",
        );
    }
    add("put 256 MiB over 50 ms: faster than sftp", gain("far-put", "sftp", wall), false, 2.5, "x");
    add("get 256 MiB over 50 ms: faster than sftp", gain("far-get", "sftp", wall), false, 5.0, "x");
    add("put small files over 50 ms: faster than sftp", gain("far-put-tree", "sftp", wall), false, 10.0, "x");
    add("get small files over 50 ms: faster than sftp", gain("far-get-tree", "sftp", wall), false, 10.0, "x");
    // 80 bytes a line, prefixes not counted.
    let flooded = median("flood", "fab", wall).map(|wall| 50.0 * 200_000.0 * 80.0 / wall / 1e6);
    add("flood of output: content a second", flooded, false, 200.0, " MB/s");
    add("flood of output: memory", median("flood", "fab", |usage| usage.memory), true, 128.0, " MiB");
    for (work, option) in [("list", "--list"), ("version", "--version")] {
        add(&format!("fab {option}: wall"), median(work, "fab", wall).map(|wall| wall * 1e3), true, 10.0, " ms");
        let over = median(work, "fab", wall).zip(median(work, "true", wall));
        add(
            &format!("fab {option}: more than 1.5 x `true`"),
            over.map(|(fab, nothing)| (fab - 1.5 * nothing) * 1e3),
            true,
            5.0,
            " ms",
        );
        add(&format!("fab {option}: faster than Fabric 3"), gain(work, "fabric3", wall), false, 20.0, "x");
    }
    add(
        "1,000 idle connections: resident each",
        results.median("idle", "library", |usage| usage.value.unwrap_or(f64::NAN) / 1024.0),
        true,
        100.0,
        " KiB",
    );
    add("CPU of each host beyond the first, from 10 to 10,000 hosts: most over least", spread(results), true, 1.2, "x");
    bars
}

/// Sizes of the runs that show how cost grows.
pub(crate) const SIZES: [usize; 7] = [10, 30, 100, 300, 1_000, 3_000, 10_000];

/// What a host costs a client at each size, in milliseconds of processor time: all of it by the number of hosts, and what
/// it takes more than a run on one host by the number of further ones.
pub(crate) fn costs(results: &Results, client: &str) -> Vec<(usize, f64, f64)> {
    let cost = |hosts: usize| {
        let cpu = |hosts: usize| results.median(&format!("linear-{hosts}"), client, cpu);
        let (one, all) = (cpu(1)?, cpu(hosts)?);
        Some((hosts, all * 1e3 / hosts as f64, (all - one) * 1e3 / (hosts - 1) as f64))
    };
    SIZES.into_iter().filter_map(cost).collect()
}

fn spread(results: &Results) -> Option<f64> {
    let costs: Vec<f64> = costs(results, "fab").into_iter().map(|(_, _, cost)| cost).collect();
    let least = costs.iter().copied().min_by(f64::total_cmp)?;
    Some(costs.iter().copied().max_by(f64::total_cmp)? / least)
}
