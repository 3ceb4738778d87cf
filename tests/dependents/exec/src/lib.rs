//! A deploy tool that knows fabric-exec as `fleet`, and nothing else but the runtime.

use fleet::prelude::*;

/// How it is rolled out.
#[derive(Choice)]
pub enum How {
    /// At once.
    AtOnce,
    /// Slowly.
    Slowly,
}

/// Roll a version out.
#[task]
async fn deploy(context: Context, version: String, how: How) -> Result<String, TaskError> {
    let outcome = context.connection().await?.run(format!("deploy {version} {}", how.to_value())).await?;
    Ok(outcome.stdout().into_owned())
}

/// Rolls a version out on these hosts.
pub async fn roll_out(connector: Connector, hosts: Vec<String>, version: &str) -> Result<Report, RunError> {
    let tasks = Collection::new().task(deploy::task()).expect("one task has one name");
    let call = Invocation::parse(&format!("deploy:{version},at-once")).expect("a version is a word");
    Run::new(tasks, Settings::default())
        .connector(connector)
        .command_line(Selection { hosts, ..Selection::default() })
        .start(vec![Call::Task(call)])
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::fabric_transport::memory::{MemoryTransport, Reply};

    #[tokio::test]
    async fn its_task_is_run() {
        let hosts = MemoryTransport::named("ssh");
        hosts.every_host().on("deploy 2.4 \"at-once\"", Reply::stdout("done"));
        let report = roll_out(Connector::new().with_transport(hosts), vec!["web1".to_owned()], "2.4").await;
        assert_eq!(report.expect("a run").tasks[0].results[0].value, "done");
    }
}
