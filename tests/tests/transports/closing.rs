//! Commands that are dropped, or still running when their connection is closed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fabric_core::Error;
use fabric_transport::Connection;
use rustix::process::Pid;
use tests::{World, transports};

transports! {
    closing_ends_what_was_given_up: local embedded sshd;
    closing_ends_what_was_given_up_while_it_was_starting: local embedded sshd;
    closing_ends_what_was_started: local embedded sshd;
    closing_ends_what_somebody_waits_for: local embedded sshd;
    closing_all_ends_everything: local embedded sshd;
    closing_ends_what_is_stopped_gently: local embedded sshd;
    what_is_disowned_goes_on: local sshd;
    a_local_command_that_is_given_up_is_killed_at_once: local;
}

/// A command that keeps running, and the file with its process id.
fn sleeper(world: &World, name: &str) -> (String, PathBuf) {
    let file = world.far().join(name);
    // With a child, so that it is a process group.
    (format!("sleep 4321 & echo $$ > {0}.new; mv {0}.new {0}; wait", file.display()), file)
}

async fn process(file: &Path) -> Pid {
    loop {
        if let Some(id) = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
            return Pid::from_raw(id).expect("a process id");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether any process of a group or session is left, zombies excluded.
fn runs(group: Pid) -> bool {
    let of = |stat: String| {
        let fields: Vec<_> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let ids = [&fields[2], &fields[3]];
        fields[0] != "Z" && ids.contains(&&group.as_raw_nonzero().to_string())
    };
    let entries = std::fs::read_dir("/proc").expect("processes");
    entries.flatten().any(|entry| std::fs::read_to_string(entry.path().join("stat")).is_ok_and(of))
}

/// Waits until none is left: on a busy machine a killed process takes a moment to end.
async fn gone(group: Pid) {
    let dying = async {
        while runs(group) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), dying).await.expect("it was ended");
}

/// Runs a sleeper, drops its future once it runs, and returns its process.
async fn given_up(world: &World, connection: &Connection, name: &str) -> Pid {
    let (command, file) = sleeper(world, name);
    tokio::select! {
        ended = connection.run(command) => panic!("it ended: {ended:?}"),
        process = process(&file) => process,
    }
}

async fn closing_ends_what_was_given_up(world: &World) {
    let connection = world.connection();
    let first = given_up(world, &connection, "first").await;
    let second = given_up(world, &connection, "second").await;
    connection.close().await;
    gone(first).await;
    gone(second).await;
    // The next use opens it again.
    assert_eq!(connection.run("echo again").await.unwrap().stdout(), "again\n");
    connection.close().await;
}

async fn closing_ends_what_was_given_up_while_it_was_starting(world: &World) {
    let connection = world.connection();
    connection.open().await.unwrap();
    for polls in 1..6 {
        let (command, file) = sleeper(world, &format!("starting{polls}"));
        {
            let mut future = std::pin::pin!(connection.run(command).into_future());
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    ended = &mut future => panic!("it ended: {ended:?}"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        connection.close().await;
        // It may have been stopped before it printed anything.
        if file.exists() {
            gone(process(&file).await).await;
        }
    }
}

async fn closing_ends_what_was_started(world: &World) {
    let connection = world.connection();
    let (command, file) = sleeper(world, "started");
    let running = connection.run(command).start().await.unwrap();
    let group = process(&file).await;
    connection.close().await;
    gone(group).await;
    assert!(matches!(running.wait().await, Err(Error::Interrupted { still_running: None, .. })));

    let (command, file) = sleeper(world, "dropped");
    drop(connection.run(command).start().await.unwrap());
    connection.close().await;
    if file.exists() {
        gone(process(&file).await).await;
    }
}

async fn closing_ends_what_somebody_waits_for(world: &World) {
    let connection = world.connection();
    let (command, file) = sleeper(world, "waited");
    let waiting = connection.run(command);
    let closing = async {
        let group = process(&file).await;
        connection.close().await;
        group
    };
    let (ended, group) = tokio::join!(waiting.into_future(), closing);
    assert!(matches!(ended, Err(Error::Interrupted { still_running: None, .. })), "{ended:?}");
    gone(group).await;
}

async fn closing_all_ends_everything(world: &World) {
    let connector = world.connector();
    let (one, two) = (world.connection(), world.connection());
    let first = given_up(world, &one, "one").await;
    let (command, file) = sleeper(world, "two");
    let _running = two.run(command).start().await.unwrap();
    let second = process(&file).await;
    connector.close_all().await;
    gone(first).await;
    gone(second).await;
}

async fn closing_ends_what_is_stopped_gently(world: &World) {
    let connection = world.connection();
    let file = world.far().join("gently");
    let command =
        format!("trap 'echo bye > {0}.bye; exit' TERM; echo $$ > {0}; while :; do sleep 0.1; done", file.display());
    let _running = connection.run(command).start().await.unwrap();
    let group = process(&file).await;
    connection.close().await;
    gone(group).await;
    assert_eq!(std::fs::read_to_string(file.with_extension("bye")).unwrap(), "bye\n");
}

async fn what_is_disowned_goes_on(world: &World) {
    let connection = world.connection();
    let (command, file) = sleeper(world, "disowned");
    connection.run(format!("({command}) >/dev/null 2>&1 </dev/null")).disown().await.unwrap();
    let group = process(&file).await;
    connection.close().await;
    world.connector().close_all().await;
    drop(connection);
    assert!(runs(group));
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
}

async fn a_local_command_that_is_given_up_is_killed_at_once(world: &World) {
    let connection = world.connection();
    let (command, file) = sleeper(world, "local");
    // Nothing is awaited after the drop: as where `main` returns.
    let group = tokio::select! {
        ended = connection.local(command) => panic!("it ended: {ended:?}"),
        group = process(&file) => group,
    };
    // The system may take a moment for it.
    while runs(group) {
        std::thread::sleep(Duration::from_millis(1));
    }
}
