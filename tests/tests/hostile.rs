//! Hosts that misbehave: whatever they do is an error of that host within its limits, and nothing incomplete is left.

use std::path::Path;
use std::time::Duration;

use fabric_core::{CommandOutcome, Error, ExitStatus};
use fabric_transport_fleet::{ExitFault, Faults, Fleet, Greeting};
use futures_util::future::join_all;
use tests::World;

/// The limit on each phase.
const LIMIT: Duration = Duration::from_millis(400);
/// The longest that any step may take on a busy machine: more is hanging.
const HANGING: Duration = Duration::from_secs(30);

async fn world() -> World {
    World::embedded_as(Fleet::builder()).await.limits(LIMIT)
}

/// Waits for a future that must end by itself.
async fn ends<F: IntoFuture>(what: F) -> F::Output {
    tokio::time::timeout(HANGING, what.into_future()).await.expect("still waiting")
}

async fn run(world: &World, command: &str) -> Result<CommandOutcome, Error> {
    let connection = world.connection();
    let outcome = ends(connection.run(command).timeout(LIMIT * 10)).await;
    ends(connection.close()).await;
    outcome
}

fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

#[tokio::test]
async fn a_peer_that_is_no_ssh_server_is_refused() {
    let greetings = [
        Greeting::Close,
        Greeting::Silence,
        Greeting::Raw(Vec::new()),
        Greeting::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Greeting::Raw(b"SSH-1.5-ancient\r\n".to_vec()),
        Greeting::Raw(b"SSH-2.0-garbage follows\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        Greeting::Raw(b"SSH-2.0-zero length\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        Greeting::Raw(vec![0; 100_000]),
        Greeting::Raw(vec![b'x'; 100_000]),
        Greeting::Endless,
    ];
    // In parallel: a server that closes before the login may be busy, and is retried after a while.
    join_all(greetings.into_iter().enumerate().map(async |(number, greeting)| {
        let world = world().await;
        world.fleet_host().set_faults(faults(|faults| faults.greeting = greeting));
        let error = run(&world, "true").await.expect_err("no session");
        assert!(matches!(error, Error::Connect(_)), "greeting {number}: {error}");
        assert_eq!(error.host(), Some(world.fleet_host().address().to_string().as_str()), "greeting {number}");
        assert!(error.to_string().len() < 1500, "greeting {number}: too much of what the peer said");
        world.fleet_host().set_faults(Faults::default());
        assert_eq!(run(&world, "echo well").await.unwrap().stdout(), "well\n");
    }))
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_anywhere_is_an_error() {
    // Version, key exchange, authentication, channel, command, and beyond the last byte.
    let ends = [0, 20, 300, 1100, 2100].into_iter().chain((2200..4500).step_by(53));
    let outcomes = join_all(ends.map(async |at| {
        let world = world().await;
        world.fleet_host().set_faults(faults(|faults| faults.cut_after = Some(at)));
        match run(&world, "echo whole").await {
            Ok(outcome) => {
                assert_eq!(outcome.stdout(), "whole\n", "cut after {at}");
                true
            }
            Err(error) => {
                let known = matches!(
                    error,
                    Error::Connect(_) | Error::Session { .. } | Error::UnexpectedExit(_) | Error::OutputCut { .. }
                );
                assert!(known, "cut after {at}: {error}");
                false
            }
        }
    }))
    .await;
    assert!(!outcomes[0] && outcomes[outcomes.len() - 1], "{outcomes:?}");
}

#[tokio::test]
async fn output_that_is_cut_off_after_the_exit_status_is_no_success() {
    // More than any channel takes at once.
    let size = 3_000_000;
    let outcomes = join_all([5_000, 60_000, 1_000_000, 2_900_000].map(async |at| {
        let world = world().await;
        world.fleet_host().set_faults(faults(|faults| {
            faults.exit = ExitFault::First;
            faults.cut_after = Some(at);
        }));
        run(&world, &format!("head -c {size} /dev/zero")).await
    }))
    .await;
    for outcome in outcomes {
        let error = outcome.expect_err("a part was taken for the whole");
        let Error::OutputCut { outcome, .. } = &error else { panic!("{error:?}") };
        assert_eq!(outcome.exit, ExitStatus::Code(0), "{error}");
        assert!(outcome.truncated && outcome.stdout.len() < size, "{error}");
        assert!(error.to_string().contains("ended with exit status 0, but not all of its output came: "), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_garbled_anywhere_is_an_error() {
    let world = world().await;
    for at in (0..5000).step_by(211) {
        world.fleet_host().set_faults(faults(|faults| faults.garble_after = Some(at)));
        // Enough output that some of it is garbled, wherever that begins.
        assert!(run(&world, "head -c 10000 /dev/zero").await.is_err(), "garbled after {at}");
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_anywhere_is_given_up() {
    let world = world().await;
    for at in [0, 10, 1000, 2500, 3200, 3600, 4000] {
        world.fleet_host().set_faults(faults(|faults| faults.stall_after = Some(at)));
        assert!(run(&world, "head -c 10000 /dev/zero").await.is_err(), "silent after {at}");
    }
}

#[tokio::test]
async fn a_running_command_learns_that_its_host_has_gone() {
    let world = world().await;
    let connection = world.connection();
    connection.open().await.unwrap();
    let running = connection.run("sleep 1000");
    let cut = async {
        // Once the process is there, its host goes.
        while std::fs::read_dir(world.fleet_host().dir()).is_err() {
            tokio::task::yield_now().await;
        }
        world.fleet_host().cut();
    };
    let (outcome, ()) = tokio::join!(ends(running), cut);
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Session { .. } | Error::UnexpectedExit(_)), "{error}");
    // The next use opens a new session.
    assert_eq!(ends(connection.run("echo back")).await.unwrap().stdout(), "back\n");
}

#[tokio::test]
async fn a_status_that_is_missing_early_or_late_is_no_success_and_no_hang() {
    let world = world().await;
    let of = async |fault| {
        world.fleet_host().set_faults(faults(|faults| faults.exit = fault));
        run(&world, "echo out").await
    };
    let error = of(ExitFault::Missing).await.unwrap_err();
    let outcome = error.outcome().expect("an outcome");
    assert_eq!((outcome.stdout().as_ref(), &outcome.exit), ("out\n", &ExitStatus::Unknown));

    let outcome = of(ExitFault::First).await.unwrap();
    assert_eq!((outcome.stdout().as_ref(), &outcome.exit), ("out\n", &ExitStatus::Code(0)));

    match of(ExitFault::NeverCloses).await {
        Ok(outcome) => assert_eq!(outcome.stdout(), "out\n"),
        Err(error) => assert_eq!(error.outcome().expect("an outcome").stdout(), "out\n"),
    }
}

#[tokio::test]
async fn a_refused_channel_is_an_error_and_no_end_of_the_session() {
    let world = world().await;
    world.fleet_host().set_faults(faults(|faults| faults.refuse_channels = true));
    let connection = world.connection();
    let error = ends(connection.run("true")).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    world.fleet_host().set_faults(Faults::default());
    ends(connection.run("true")).await.unwrap();
    assert_eq!(world.fleet_host().logins(), 1);
}

#[tokio::test]
async fn names_in_a_listing_never_lead_out_of_the_target_directory() {
    let world = world().await;
    let host = world.fleet_host();
    std::fs::create_dir(host.dir().join("tree")).unwrap();
    std::fs::write(host.dir().join("tree/good"), "good").unwrap();
    std::fs::write(host.dir().join("evil"), "evil").unwrap();
    let names = ["../evil", "../../evil", "/tmp/fabric-evil", "..", ".", "", "sub/evil", "good/../../evil", "nul\0"];
    for name in names {
        let here = tempfile::tempdir().unwrap();
        let into = here.path().join("a/b/c");
        std::fs::create_dir_all(&into).unwrap();
        host.set_faults(faults(|faults| faults.listing = vec![name.as_bytes().to_vec()]));
        let connection = world.connection();
        // Either an error or a report of failures is right. A file anywhere else is not.
        let _ = ends(connection.get("tree", into.join("copy"))).await;
        ends(connection.close()).await;
        let written = every_file(here.path());
        let inside = |file: &String| file.starts_with("a/b/c/copy");
        assert!(written.iter().all(inside), "{name:?}: {written:?}");
        assert!(!written.iter().any(|file| file.ends_with("evil")), "{name:?}: {written:?}");
        assert!(!Path::new("/tmp/fabric-evil").exists());
    }
}

#[tokio::test]
async fn frames_of_any_length_are_an_error() {
    let world = world().await;
    std::fs::write(world.fleet_host().dir().join("file"), "content").unwrap();
    for length in [0, 1, 4, 5, 1 << 20, u32::MAX / 2, u32::MAX] {
        world.fleet_host().set_faults(faults(|faults| faults.sftp_frame = Some(length)));
        let here = tempfile::tempdir().unwrap();
        let connection = world.connection();
        let got = ends(async {
            tokio::time::timeout(LIMIT * 10, async { connection.get("file", here.path().join("file")).await }).await
        })
        .await;
        // A frame that announces more than it has is waited for; keepalive finds the host alive.
        assert!(!matches!(got, Ok(Ok(_))), "{length}");
        assert_eq!(every_file(here.path()), Vec::<String>::new(), "{length}");
        ends(connection.close()).await;
    }
}

#[tokio::test]
async fn nothing_half_written_has_its_final_name_when_a_put_is_cut() {
    let world = world().await;
    let host = world.fleet_host();
    let file = host.dir().join("file");
    let here = tempfile::tempdir().unwrap();
    let new = vec![b'n'; 700_000];
    std::fs::write(here.path().join("file"), &new).unwrap();
    let mut kept = 0;
    for at in (3000..6500).step_by(97) {
        std::fs::write(&file, "old").unwrap();
        host.set_faults(faults(|faults| faults.cut_after = Some(at)));
        let connection = world.connection();
        let put = ends(connection.put(here.path().join("file"), "file")).await;
        ends(connection.close()).await;
        let content = std::fs::read(&file).unwrap();
        assert!(content == b"old" || content == new, "cut after {at}: {} bytes", content.len());
        assert!(put.is_err() || content == new, "cut after {at}: a success without the file");
        kept += usize::from(content == b"old");
    }
    assert!(kept > 0, "no put was cut");
}

#[tokio::test]
async fn nothing_half_written_has_its_final_name_when_a_get_is_cut() {
    let world = world().await;
    let host = world.fleet_host();
    let content = vec![b'c'; 300_000];
    std::fs::write(host.dir().join("file"), &content).unwrap();
    let mut cut = 0;
    for at in [3500, 4000, 4500, 5000, 10_000, 40_000, 100_000, 200_000, 299_000, 303_000, 304_000, 305_000] {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("file");
        host.set_faults(faults(|faults| faults.cut_after = Some(at)));
        let connection = world.connection();
        let got = ends(connection.get("file", &*file)).await;
        ends(connection.close()).await;
        let whole = std::fs::read(&file).is_ok_and(|seen| seen == content);
        assert!(whole || !file.exists(), "cut after {at}: half a file");
        assert!(whole || got.is_err(), "cut after {at}: a success without the file");
        assert_eq!(every_file(here.path()).len(), usize::from(whole), "cut after {at}: something is left");
        cut += usize::from(got.is_err());
    }
    assert!(cut > 0, "no get was cut");
}

#[tokio::test]
async fn links_on_a_host_lead_nowhere() {
    let world = world().await;
    let (host, outside) = (world.fleet_host(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "of the host's").unwrap();
    let tree = host.dir().join("tree");
    std::fs::create_dir_all(tree.join("sub")).unwrap();
    std::fs::write(tree.join("sub/plain"), "plain").unwrap();
    let here = tempfile::tempdir().unwrap();
    // A local directory to which a malicious link could lead.
    let local = here.path().join("local");
    std::fs::create_dir(&local).unwrap();
    std::os::unix::fs::symlink(&local, tree.join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path(), tree.join("up")).unwrap();
    std::os::unix::fs::symlink(&tree, tree.join("round")).unwrap();
    // The same name as a link and once more as a file.
    host.set_faults(faults(|faults| faults.listing = vec![b"out".to_vec(), b"out/planted".to_vec()]));
    let connection = world.connection();
    let _ = ends(connection.get("tree", here.path().join("copy"))).await;
    ends(connection.close()).await;
    assert_eq!(every_file(&local), Vec::<String>::new());
    let copied = every_file(&here.path().join("copy"));
    assert!(copied.contains(&"sub/plain".to_owned()), "{copied:?}");
    // Links are followed on the host, as with `scp -r`, and never here.
    assert!(copied.contains(&"up/secret".to_owned()), "{copied:?}");
    assert!(!copied.iter().any(|file| file.contains("planted")), "{copied:?}");
    assert!(!here.path().join("copy/out").is_symlink());
}

#[tokio::test]
async fn output_without_end_is_ended_by_the_time_limit_and_its_end_is_kept() {
    let world = world().await;
    let connection = world.connection();
    let error = ends(connection.run("yes").timeout(LIMIT).capture_limit(1000)).await.unwrap_err();
    let outcome = error.outcome().expect("an outcome");
    assert!(matches!(&error, Error::TimedOut { .. }), "{error}");
    assert!(outcome.stdout.len() == 1000 && outcome.truncated);
    assert_eq!(ends(connection.run("echo well")).await.unwrap().stdout(), "well\n");
}

/// The files below a directory, by their path in it.
fn every_file(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
