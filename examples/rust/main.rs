//! The examples of the TOML fabfiles beside this directory, as tasks in Rust: a program with the whole `fab`
//! command line.
//!
//! ```text
//! cargo run --example tasks -- --list
//! cargo run --example tasks -- deploy --version 2.4
//! ```

use std::process::ExitCode;

use fabric_cli::prelude::*;

/// Where the application is, on every host: `--set root=..` says otherwise.
fn root(context: &Context) -> Result<String, TaskError> {
    let root = context.env_value("root")?.and_then(|root| root.as_str().map(str::to_owned));
    root.ok_or_else(|| TaskError::abort("env.root is not set"))
}

// Blue-green: every host has two copies of the application, `blue` and `green`, and a link `live` to one of them. A
// release is put into the idle copy on all hosts and checked there; only then do all hosts switch.

/// The copy of the application that is not live: `blue` or `green`.
async fn idle(context: &Context) -> Result<&'static str, TaskError> {
    let live = context.quiet().cd(root(context)?)?.connection().await?.run("readlink live").await?;
    Ok(if live.stdout().trim() == "blue" { "green" } else { "blue" })
}

/// Prepare the idle copy everywhere, check it, then switch all hosts (blue-green).
#[task]
async fn release(context: Context, version: String) -> Result<(), TaskError> {
    context.execute(Execute::task("prepare").arg("version", version)).await?;
    context.execute(Execute::task("switch")).await?;
    Ok(())
}

/// Put a version into the idle copy and check it there.
#[task(roles = ["web"], parallel)]
async fn prepare(context: Context, version: String) -> Result<(), TaskError> {
    let (connection, root) = (context.connection().await?, root(&context)?);
    connection.run(format!("mkdir -p {root}/blue {root}/green")).await?;
    let file = format!("{root}/{}/VERSION", idle(&context).await?);
    connection.put(Source::bytes(format!("{version}\n")), file.as_str()).await?;
    let there = connection.run(format!("cat {file}")).await?;
    if there.stdout().trim() == version { Ok(()) } else { Err(TaskError::abort("the idle copy is not the right one")) }
}

/// Make the idle copy the live one, at once.
#[task(roles = ["web"], aliases = ["rollback"])]
async fn switch(context: Context) -> Result<String, TaskError> {
    let link = format!("ln -sfn {} next && mv -T next live && cat live/VERSION", idle(&context).await?);
    let outcome = context.cd(root(&context)?)?.connection().await?.run(link).await?;
    Ok(outcome.stdout().trim().to_owned())
}

// A rolling deploy: one host first (the canary), then half of the rest at a time; after each batch its hosts must be
// healthy, or everything that was begun is rolled back and nothing more is started.

/// The application of this host.
fn app(context: &Context) -> Result<Context, TaskError> {
    let host = context.host().map(ToString::to_string).unwrap_or_default();
    context.cd(format!("{}/{host}", root(context)?))
}

/// Roll a version over the web hosts.
#[task(roles = ["web"], canary = 1, batch = "50%", health = "healthy", rollback = "undo")]
async fn deploy(
    context: Context,
    /// What to install.
    version: String,
) -> Result<(), TaskError> {
    let app = app(&context)?;
    context.connection().await?.run(format!("mkdir -p {}", app.settings()?.cwd)).await?;
    let connection = app.connection().await?;
    connection.run("cp VERSION VERSION.before 2>/dev/null || true").await?;
    connection.run(format!("echo {version} > VERSION")).await?;
    Ok(())
}

/// Fail unless the host answers as it should, soon.
#[task]
async fn healthy(context: Context) -> Result<(), TaskError> {
    let connection = app(&context)?.connection().await?;
    let answer = || async {
        let outcome = connection.run("! grep -q broken VERSION").warn(true).await?;
        Ok(outcome.ok().then_some(()))
    };
    context.until(Backoff::new(1), answer).await
}

/// Back to the version before.
#[task]
async fn undo(context: Context) -> Result<(), TaskError> {
    app(&context)?.connection().await?.run("mv VERSION.before VERSION || rm VERSION").await?;
    Ok(())
}

// A database migration that runs once, whichever tasks ask for it and on however many hosts they run.

/// Bring the database up to date, on its first host, once a run.
#[task(roles = ["db"], runs_once)]
async fn migrate(context: Context) -> Result<(), TaskError> {
    context.cd(root(&context)?)?.connection().await?.run("echo migrated >> migrations").await?;
    Ok(())
}

/// Restart the web hosts, after the migration.
#[task(roles = ["web"], parallel, pre = ["migrate"])]
async fn restart(context: Context) -> Result<(), TaskError> {
    let host = context.host().map(ToString::to_string).unwrap_or_default();
    context.cd(root(&context)?)?.connection().await?.run(format!("echo restarted {host} >> restarts")).await?;
    Ok(())
}

// Hosts from somewhere else.

/// Run `uptime` on the hosts that a local command prints.
#[task]
async fn uptime(context: Context, inventory: String) -> Result<Value, TaskError> {
    #[task(parallel)]
    async fn ask(context: Context) -> Result<String, TaskError> {
        Ok(context.connection().await?.run("uptime").await?.stdout().trim().to_owned())
    }

    let printed = context.local(inventory)?.await?;
    let hosts = read_inventory(&printed.stdout(), "hosts").map_err(|error| TaskError::abort(error.to_string()))?;
    Ok(json!(context.execute(Execute::this(ask::task()).hosts(hosts)).await?))
}

// Logs from all hosts, each in a file of its host's name.

/// Get a log from every host, or say that there is none.
#[task(roles = ["web"], parallel)]
async fn collect(context: Context, #[arg(default = "/var/log/app.log")] log: String) -> Result<(), TaskError> {
    let host = context.host().map(ToString::to_string).unwrap_or_default();
    context.warn_only().connection().await?.get(log, format!("logs/{host}.log")).await?;
    Ok(())
}

fn tasks() -> Result<Collection, CollectionError> {
    let tasks = [
        release::task(),
        prepare::task(),
        switch::task(),
        deploy::task(),
        healthy::task(),
        undo::task(),
        migrate::task(),
        restart::task(),
        uptime::task(),
        collect::task(),
    ];
    tasks.into_iter().try_fold(Collection::new(), Collection::task)
}

fn main() -> ExitCode {
    Program::new()
        .tasks(tasks())
        .role("web", Role::hosts((1..=4).map(|n| format!("web{n}.example.com"))))
        .role("db", Role::hosts(["db1.example.com", "db2.example.com"]))
        .env("root", "/srv/app")
        .main()
}
