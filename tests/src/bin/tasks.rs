//! Tasks in Rust for the tests: a program as its users write it.

use std::net::TcpListener;
use std::thread;

use fabric_core::PathBehavior;
use fabric_exec::run::Hide;
use fabric_exec::{Context, Execute, Task, TaskError, task};

const STATE: &str = "echo $PWD $A $B ${PATH##*:}";

/// What a command prints.
async fn said(context: &Context, command: &str) -> Result<String, TaskError> {
    Ok(context.connection().await?.run(command).await?.stdout().trim().to_owned())
}

fn check(what: &str, seen: &str, expected: &str) -> Result<(), TaskError> {
    if seen == expected { Ok(()) } else { Err(TaskError::abort(format!("{what}: {seen:?} instead of {expected:?}"))) }
}

/// Everything that makes a process, a transfer or a forward, by no step of a fabfile.
#[task]
async fn every_way(context: Context, dir: String) -> Result<(), TaskError> {
    let connection = context.connection().await?;
    let touch = |name: &str| format!("touch {dir}/{name}");
    connection.run(touch("started")).start().await?.wait().await?;
    connection.run(touch("disowned")).disown().await?;
    context.local(touch("local"))?.start().await?.wait().await?;
    connection.shell().line(touch("typed")).await?;
    let written = connection.sftp().await?.write(format!("{dir}/written"), "text").await;
    written.map_err(|error| TaskError::abort(error.to_string()))?;
    let forward = connection.forward_local(0).to(9).await?;
    if forward.port().is_some() {
        return Err(TaskError::abort("the forward listens"));
    }
    context.connection().await?.put(std::path::Path::new("/etc/passwd"), format!("{dir}/put")).await?;
    Ok(())
}

/// Every context manager of Fabric 1: in force inside, restored after, also when what is inside fails; nested.
#[task]
async fn blocks(context: Context) -> Result<(), TaskError> {
    let before = said(&context, STATE).await?;

    let outer = context.cd("/usr")?.shell_env("A", "outer").path("/outer", PathBehavior::Append);
    check("one block", &said(&outer, STATE).await?, "/usr outer /outer")?;
    let inner = outer.cd("lib")?.shell_env("B", "inner").path("/inner", PathBehavior::Append).prefix("A=prefixed")?;
    check("a block in it", &said(&inner, STATE).await?, "/usr/lib prefixed inner /inner")?;
    let twice = inner.prefix("B=second")?.cd("/etc")?;
    check("and one in that", &said(&twice, STATE).await?, "/etc prefixed second /inner")?;
    let failed = said(&inner, "exit 3").await;
    check("a failure inside", &failed.is_err().to_string(), "true")?;
    check("the outer block after it", &said(&outer, STATE).await?, "/usr outer /outer")?;
    check("and the task", &said(&context, STATE).await?, &before)?;

    // `lcd`
    let here = context.lcd("/usr")?;
    check("lcd", here.local("pwd")?.await?.stdout().trim(), "/usr")?;
    check("lcd in lcd", here.lcd("lib")?.local("pwd")?.await?.stdout().trim(), "/usr/lib")?;
    let elsewhere = context.local("pwd")?.await?.stdout().trim().to_owned();
    check("after lcd", &(elsewhere != "/usr").to_string(), "true")?;

    // `hide`, `show`, `quiet`, `warn_only`
    let hidden = context.hide(Hide::OUTPUT);
    check("captured", &said(&hidden, "echo hidden out; echo hidden err >&2").await?, "hidden out")?;
    said(&hidden.show(Hide::STDERR), "echo hidden out; echo shown err >&2").await?;
    check("quiet", &said(&context.quiet(), "echo quiet out; exit 5").await?, "quiet out")?;
    let warned = context.warn_only();
    said(&warned, "exit 6").await?;
    check("warn_only is over", &said(&context, "exit 7").await.is_err().to_string(), "true")?;
    said(&context, "echo shown out").await?;

    // `settings`
    let strange = context.setting("ok_ret_codes", vec![0, 8]).setting("greeting", "hello");
    said(&strange, "exit 8").await?;
    check("shared state", &strange.env_value("greeting")?.unwrap_or_default().to_string(), "\"hello\"")?;
    check("is as before", &context.env_value("greeting")?.unwrap_or_default().to_string(), "null")?;
    check("and settings too", &said(&context, "exit 8").await.is_err().to_string(), "true")?;

    // `remote_tunnel`
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| TaskError::abort(error.to_string()))?;
    let port = listener.local_addr().map_err(|error| TaskError::abort(error.to_string()))?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"through the tunnel\n");
        }
    });
    let tunnel = context.connection().await?.forward_remote(0).to(("127.0.0.1", port)).await?;
    let ask = format!("bash -c 'cat < /dev/tcp/127.0.0.1/{}'", tunnel.port().unwrap_or_default());
    check("remote_tunnel", &said(&context, &ask).await?, "through the tunnel")?;
    tunnel.close().await;
    check("and it is closed", &said(&context.quiet(), &ask).await?, "")
}

/// Panics on one of its hosts.
#[task(parallel)]
async fn panics(context: Context, on: String) -> Result<(), TaskError> {
    said(&context, "echo begun").await?;
    let host = context.host().map(ToString::to_string).unwrap_or_default();
    assert_ne!(host, on, "this host is none of mine");
    said(&context, "echo done").await?;
    Ok(())
}

/// A task that is made inside a function.
fn made(greeting: &'static str) -> Task {
    /// Says something.
    #[task(name = "made")]
    async fn inside(context: Context, times: u8) -> Result<String, TaskError> {
        said(&context, &format!("echo {times} times")).await
    }
    inside::task().help(greeting)
}

/// Executes a task that is in no collection.
#[task]
async fn within(context: Context) -> Result<(), TaskError> {
    let all = context.execute(Execute::this(made("hello")).arg("times", 3)).await?;
    check("made", &format!("{:?}", all.values().collect::<Vec<_>>()), "[String(\"3 times\")]")
}

fabric_cli::main!(blocks, every_way, panics, within);
