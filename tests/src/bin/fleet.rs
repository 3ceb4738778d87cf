//! A process that is N cheap SSH hosts, for benchmarks and for trying things out.
//!
//! ```text
//! fleet [HOSTS] [DIRECTORY]
//! ```
//!
//! Prints one line of JSON once all hosts take connections: the directory with `client_key`, `known_hosts` and
//! `ssh_config`, and the hosts as host strings. It ends at the end of its standard input: what starts it holds a pipe,
//! and however that ends, the fleet ends with it. The commands that [`fabric_transport::server::cheap`] lists take no
//! process; other ones are run by `sh`.

use std::io::Write;

use fabric_transport::server::{Fleet, cheap};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let hosts: usize = args.next().map_or(Ok(10), |text| text.parse())?;
    let mut builder = Fleet::builder().hosts(hosts).one_host_key().answers(cheap());
    if let Some(dir) = args.next() {
        builder = builder.root(dir);
    }
    let fleet = builder.start().await?;
    let about = serde_json::json!({ "dir": fleet.dir(), "hosts": fleet.host_strings() });
    writeln!(std::io::stdout(), "{about}")?;
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    Ok(())
}
