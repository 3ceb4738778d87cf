//! The examples of the TOML fabfiles beside this directory, as tasks in Rust: a program with the whole `fab`
//! command line.
//!
//! ```text
//! cargo run --example tasks -- --list
//! cargo run --example tasks -- -H web1,web2 deploy --version 2.4
//! ```

use fabric_exec::run::LOCAL_ONLY;
use fabric_exec::{Collection, Context, Execute, TaskError, Value, task};
use serde_json::json;

/// Where the application is, on every host: `--set root=..` says otherwise.
fn root(context: &Context) -> Result<String, TaskError> {
    let root = context.env_value("root")?.and_then(|root| root.as_str().map(str::to_owned));
    Ok(root.unwrap_or_else(|| "/srv/app".to_owned()))
}

/// The copy of the application that is not live: `blue` or `green`.
async fn idle(context: &Context) -> Result<&'static str, TaskError> {
    let live = context.connection().await?.run("readlink live").cd(root(context)?).warn(true).await?;
    Ok(if live.stdout().trim() == "blue" { "green" } else { "blue" })
}

/// Prepare the idle copy everywhere, check it, then switch all hosts (blue-green).
#[task(runs_once)]
async fn release(context: Context, version: String) -> Result<(), TaskError> {
    let hosts = || context.all_hosts().iter().map(ToString::to_string);
    context.execute(Execute::task("prepare").arg("version", version).hosts(hosts())).await?;
    context.execute(Execute::task("switch").hosts(hosts())).await?;
    Ok(())
}

/// Put a version into the idle copy and check it there.
#[task(parallel)]
async fn prepare(context: Context, version: String) -> Result<(), TaskError> {
    let (connection, root) = (context.connection().await?, root(&context)?);
    connection.run("mkdir -p blue green").prefix(format!("mkdir -p {root}")).cd(root.as_str()).await?;
    let file = format!("{root}/{}/VERSION", idle(&context).await?);
    connection.put(fabric_transport::transfer::Source::bytes(version.clone()), file.as_str()).await?;
    let there = connection.run(format!("cat {file}")).await?;
    if there.stdout() == version { Ok(()) } else { Err(TaskError::abort("the idle copy is not the right one")) }
}

/// Make the idle copy the live one, at once.
#[task(aliases = ["rollback"])]
async fn switch(context: Context) -> Result<String, TaskError> {
    let link = format!("ln -sfn {} next && mv -T next live && cat live/VERSION", idle(&context).await?);
    let outcome = context.connection().await?.run(link).cd(root(&context)?).await?;
    Ok(outcome.stdout().trim().to_owned())
}

/// Roll a version over the hosts, half of them at a time.
#[task(batch = "50%", pre = ["migrate"])]
async fn deploy(
    context: Context,
    /// What to install.
    version: String,
    /// Whether to go without the health check.
    force: bool,
) -> Result<(), TaskError> {
    let connection = context.connection().await?;
    connection.run(format!("echo {version} > VERSION.{}", connection.host())).cd(root(&context)?).await?;
    if !force && version.contains("broken") {
        return Err(TaskError::abort("the host is not healthy"));
    }
    Ok(())
}

/// Bring the database up to date, once a run.
#[task(runs_once)]
async fn migrate(context: Context) -> Result<(), TaskError> {
    context.connection().await?.run("echo migrated >> migrations").cd(root(&context)?).await?;
    Ok(())
}

/// Run `uptime` on the hosts that a local command prints.
#[task]
async fn uptime(context: Context, inventory: String) -> Result<Value, TaskError> {
    let local = fabric_transport::Connection::builder("local://localhost").build()?;
    let hosts = fabric_exec::hostlist::read_inventory(&local.run(inventory).await?.stdout(), "hosts")
        .map_err(|error| TaskError::abort(error.to_string()))?;
    let ask = fabric_exec::Task::from_fn("ask", |context: Context| async move {
        Ok(context.connection().await?.run("uptime").await?.stdout().trim().to_owned())
    });
    let answers = context.execute(Execute::this(ask.parallel()).hosts(hosts)).await?;
    assert!(!answers.contains_key(LOCAL_ONLY), "it has hosts");
    Ok(json!(answers))
}

/// Get a log from every host, each into a file of its host's name.
#[task(parallel)]
async fn collect_logs(context: Context, #[arg(default = "/var/log/app.log")] log: String) -> Result<(), TaskError> {
    context.connection().await?.get(log, "logs/{host}.log").warn(true).await?;
    Ok(())
}

fn tasks() -> Collection {
    [release::task, prepare::task, switch::task, deploy::task, migrate::task, uptime::task, collect_logs::task]
        .into_iter()
        .try_fold(Collection::new(), |collection, task| collection.task(task()))
        .expect("every task has a name of its own")
}

fabric_cli::main!(= tasks());
