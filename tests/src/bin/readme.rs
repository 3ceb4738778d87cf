//! The example of README.md in Rust, which a test compares with it.

use fabric_config::Config;
use fabric_transport::Connection;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The resolver reads ssh_config and finds your keys, agent and known_hosts, as `ssh` does.
    let web1 = Connection::builder("web1.example.com").resolver(Config::load()?).build()?;
    let outcome = web1.run("uname -s").await?;
    println!("{} runs {}", outcome.host, outcome.stdout().trim());
    web1.get("/etc/os-release", "systems/{host}").await?;
    Ok(())
}
