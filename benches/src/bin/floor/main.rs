//! The floor: the least SSH client that does a work, written only to be measured against.
//!
//! ```text
//! floor fanout COMMAND          COMMAND on every host
//! floor many COUNT COMMAND      COMMAND so many times, one after the other, on one connection
//! floor put LOCAL REMOTE        one file, and so on
//! floor get REMOTE LOCAL
//! floor puttree LOCAL REMOTE
//! floor gettree REMOTE LOCAL
//! floor idle                    connects to every host and prints what an open connection takes
//! ```
//!
//! What else it needs it takes from the variables that all adapters of `benches/peers` get (see there). `FLOOR_CIPHER`,
//! `FLOOR_WINDOW` (bytes), `FLOOR_DEPTH` (requests under way), `FLOOR_CHANNELS` and `FLOOR_THREADS` say how.
//!
//! It has no settings, no events, no report and no error for a person: what these cost is what it is there to show.

mod sftp;
mod ssh;

use std::env;
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use russh::ChannelMsg;

use self::ssh::{Login, Ssh};

/// Whatever goes wrong ends the run.
type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let threads = number("FLOOR_THREADS", 1)?;
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder.worker_threads(threads).enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Failed> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let login = Arc::new(Login::from_environment()?);
    let hosts: Vec<String> =
        std::fs::read_to_string(variable("BENCH_HOSTS")?)?.lines().map(ToOwned::to_owned).collect();
    let first = hosts.first().ok_or("no hosts")?;
    match args[..] {
        ["fanout", command] => fan_out(login, hosts, command).await,
        ["many", count, command] => {
            let ssh = Ssh::open(&login, first).await?;
            for _ in 0..count.parse::<usize>()? {
                ssh.run(command, |_| Ok(())).await?;
            }
            Ok(())
        }
        ["put", local, remote] => sftp::put(&Ssh::open(&login, first).await?, local, remote).await,
        ["get", remote, local] => sftp::get(&Ssh::open(&login, first).await?, remote, local).await,
        ["puttree", local, remote] => sftp::put_tree(&Ssh::open(&login, first).await?, local, remote).await,
        ["gettree", remote, local] => sftp::get_tree(&Ssh::open(&login, first).await?, remote, local).await,
        ["idle"] => idle(login, hosts).await,
        _ => Err("what?".into()),
    }
}

/// Runs `command` on all hosts, and prints each line behind its host.
async fn fan_out(login: Arc<Login>, hosts: Vec<String>, command: &str) -> Result<(), Failed> {
    let concurrency = number("BENCH_CONCURRENCY", hosts.len())?;
    let stdout = Arc::new(Mutex::new(std::io::BufWriter::with_capacity(1 << 16, std::io::stdout())));
    let works = hosts.into_iter().map(|host| {
        let (login, command, stdout) = (login.clone(), command.to_owned(), stdout.clone());
        // Each in a task of its own, so that more than one thread may take part.
        tokio::spawn(async move {
            let ssh = Ssh::open(&login, &host).await?;
            let (prefix, mut rest) = (format!("[{host}] out: "), Vec::new());
            ssh.run(&command, |data| {
                let mut stdout = stdout.lock().unwrap_or_else(PoisonError::into_inner);
                let mut from = 0;
                for end in memchr::memchr_iter(b'\n', data) {
                    stdout.write_all(prefix.as_bytes())?;
                    stdout.write_all(&rest)?;
                    rest.clear();
                    stdout.write_all(&data[from..=end])?;
                    from = end + 1;
                }
                rest.extend_from_slice(&data[from..]);
                Ok(())
            })
            .await
        })
    });
    let finished = stream::iter(works).buffer_unordered(concurrency);
    finished.map(|joined| joined.map_err(Failed::from).flatten()).try_for_each(|()| async { Ok(()) }).await?;
    stdout.lock().unwrap_or_else(PoisonError::into_inner).flush()?;
    Ok(())
}

/// Opens a connection to each host, keeps all, and prints how much of memory each takes.
async fn idle(login: Arc<Login>, hosts: Vec<String>) -> Result<(), Failed> {
    let count = hosts.len();
    // What is needed once must not count.
    let first = Ssh::open(&login, &hosts[0]).await?;
    first.run("true", |_| Ok(())).await?;
    let before = resident()?;
    let open: Vec<Ssh> = stream::iter(hosts.iter().skip(1))
        .map(|host| async {
            let ssh = Ssh::open(&login, host).await?;
            ssh.run("true", |_| Ok(())).await?;
            Ok::<_, Failed>(ssh)
        })
        .buffer_unordered(100)
        .try_collect()
        .await?;
    println!("{}", (resident()? - before) / (count - 1));
    drop((first, open));
    Ok(())
}

/// How much memory this process has resident, in bytes.
fn resident() -> Result<usize, Failed> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<usize>()?)
}

impl Ssh {
    /// Runs a command to its end, which must be a success.
    async fn run(&self, command: &str, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), Failed> {
        let mut channel = self.channel().await?;
        channel.exec(true, command).await?;
        let mut status = None;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => take(&data)?,
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        if status == Some(0) { Ok(()) } else { Err(format!("{command}: {status:?}").into()) }
    }
}

fn variable(name: &str) -> Result<String, Failed> {
    env::var(name).map_err(|_| format!("{name} is not set").into())
}

fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(name: &str, default: T) -> Result<T, Failed> {
    Ok(env::var(name).ok().map(|text| text.parse()).transpose()?.unwrap_or(default))
}
