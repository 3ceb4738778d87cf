//! Tasks for `fab`: run it in the directory above this one, and it builds and runs this program.

use std::process::ExitCode;

use fabric_cli::prelude::*;

/// Say how long each host has been up.
#[task]
async fn uptime(context: Context) -> Result<(), TaskError> {
    context.connection().await?.run("uptime").await?;
    Ok(())
}

/// Roll a version out: `fab deploy --version 1.2`.
#[task(roles = ["web"], parallel, batch = 2)]
async fn deploy(
    context: Context,
    /// which one
    version: String,
) -> Result<(), TaskError> {
    let host = context.connection().await?;
    host.run(format!("echo deploying {version}")).await?;
    Ok(())
}

fn main() -> ExitCode {
    let tasks = Collection::new().task(uptime::task()).and_then(|tasks| tasks.task(deploy::task()));
    Program::new().tasks(tasks).role("web", Role::hosts(["web1.example.com", "web2.example.com"])).main()
}
