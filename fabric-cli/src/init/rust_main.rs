//! Tasks for `fab`: run it in the directory above this one, and it builds and runs this program.

use fabric_exec::{Context, TaskError, task};

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

fabric_cli::main!(uptime, deploy);
