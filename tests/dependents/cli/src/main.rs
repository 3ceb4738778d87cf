//! A program with the command line of `fab` that knows fabric-cli as `deploys`, and nothing else.

use std::process::ExitCode;

use deploys::prelude::*;

/// Where a release goes.
#[derive(Choice)]
enum Stage {
    Staging,
    Production,
}

/// Say where a version goes.
#[task(roles = ["web"], parallel)]
async fn release(context: Context, #[arg(short = 's')] stage: Stage, version: String) -> Result<Value, TaskError> {
    let (stage, stages) = (stage.to_value(), json!(["staging", "production"]));
    context.local(format!("echo {version} to {stage} of {stages}"))?.await?;
    Ok(stage)
}

/// The same by an explicit path.
#[task(crate = deploys::fabric_exec)]
fn nothing() {}

fn program() -> Program {
    let tasks = Collection::new().task(release::task()).and_then(|tasks| tasks.task(nothing::task()));
    Program::new().name("deploys").tasks(tasks).role("web", Role::hosts(["web1", "web2"]))
}

fn main() -> ExitCode {
    program().main()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_tasks_are_run() {
        let home = tempfile::tempdir().expect("a home");
        for (args, exit) in [
            (&["release", "-s", "staging", "--version", "1.2", "--dry-run"][..], Exit::Ok),
            (&["nothing"], Exit::Ok),
            (&["release", "-s", "moon", "--version", "1.2"], Exit::Usage),
        ] {
            let surroundings = Surroundings::new(Environment::new("me", home.path()), home.path());
            assert_eq!(program().surroundings(surroundings).run(args.iter().copied()), exit, "{args:?}");
        }
    }
}
