//! Holds connections to all hosts open with fabric-transport, and prints how many bytes each takes.
//!
//! Takes its hosts from the variables that adapters get (`benches/peers/README.md`).

use std::env;
use std::error::Error;
use std::fs;

use fabric_core::Target;
use fabric_core::target::{HostKeyCheck, Identity};
use fabric_transport::{Connection, Connector};
use futures_util::{StreamExt, TryStreamExt, stream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = fs::read_to_string(env::var("BENCH_HOSTS")?)?;
    let connector = Connector::new();
    let connections: Vec<Connection> =
        hosts.lines().map(|host| connection(host, &connector)).collect::<Result<_, _>>()?;
    let (first, rest) = connections.split_first().ok_or("no hosts")?;
    // What is needed once must not count.
    first.run("true").await?;
    let before = resident()?;
    stream::iter(rest)
        .map(|connection| async { connection.run("true").await.map(drop) })
        .buffer_unordered(100)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    println!("{}", (resident()? - before) / rest.len());
    Ok(())
}

fn connection(host: &str, connector: &Connector) -> Result<Connection, Box<dyn Error>> {
    let mut target = Target::new(host.parse()?);
    target.user = Some(env::var("BENCH_USER")?);
    target.auth.identities = vec![Identity::new(env::var("BENCH_KEY")?)];
    target.auth.agent = None;
    target.host_keys.check = HostKeyCheck::Strict;
    target.host_keys.user_files = vec![env::var("BENCH_KNOWN_HOSTS")?.into()];
    Ok(Connection::to(target).connector(connector.clone()).build()?)
}

/// How much memory this process has resident, in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<usize>()?)
}
