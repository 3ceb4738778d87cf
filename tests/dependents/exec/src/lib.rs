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

/// Counts the lines that hosts print.
#[derive(Default)]
pub struct Lines(std::sync::atomic::AtomicUsize);

impl EventSink for Lines {
    fn emit(&self, event: Event) {
        if let EventKind::Output(output) = event.kind {
            let lines = output.data.split(|byte| *byte == b'\n').count() - 1;
            self.0.fetch_add(lines, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Answers every question for a secret alike, and no other.
pub struct Password(pub Secret);

#[async_trait]
impl Prompter for Password {
    async fn ask(&self, request: PromptRequest) -> Result<Secret, PromptError> {
        let secret = request.kind.is_secret();
        if secret { Ok(self.0.clone()) } else { RefusePrompts::default().ask(request).await }
    }
}

/// The version that is on a host; `None` if there is none yet.
pub async fn version(host: &Connection) -> Result<Option<String>, Error> {
    match host.run("cat VERSION").await {
        Ok(outcome) => Ok(Some(outcome.stdout().trim().to_owned())),
        Err(Error::UnexpectedExit(outcome)) if outcome.exit == ExitStatus::Code(1) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Rolls a version out on these hosts.
pub async fn roll_out(connector: Connector, hosts: Vec<String>, version: &str) -> Result<Report, RunError> {
    let tasks = Collection::new().task(deploy::task()).expect("one task has one name");
    let call = Invocation::parse(&format!("deploy:{version},at-once")).expect("a version is a word");
    Run::new(tasks, Settings::default())
        .connector(connector)
        .events(Lines::default())
        .prompter(Password(Secret::new("a secret of all hosts")))
        .command_line(Selection::default().hosts(hosts))
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
        let report = roll_out(Connector::new().transport(hosts), vec!["web1".to_owned()], "2.4").await;
        assert_eq!(report.expect("a run").tasks[0].results[0].value, "done");
    }

    #[tokio::test]
    async fn errors_have_what_they_are_about() {
        let hosts = MemoryTransport::named("ssh");
        hosts.host("new").on("cat VERSION", Reply::status(1));
        hosts.host("old").on("cat VERSION", Reply::stdout("2.3\n"));
        let connector = Connector::new().transport(hosts);
        let mut found = Vec::new();
        for host in ["new", "old"] {
            let host = Connection::builder(host).connector(connector.clone()).build().expect("a host");
            found.push(version(&host).await.expect("a version, or none"));
        }
        assert_eq!(found, [None, Some("2.3".to_owned())]);
    }
}
