//! A dry run: every request becomes an event, and nothing is executed.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use fabric_core::event::EventKind;
use fabric_core::transport::{ListenAddress, Program, SpawnRequest, WriteOptions};
use fabric_core::{ExitStatus, Files as _};

use super::{Recorder, fleet, here};
use crate::connection::Stdin;

#[tokio::test]
async fn a_dry_run_opens_nothing_however_it_is_asked() {
    let (fleet, connect) = fleet();
    let recorder = Arc::new(Recorder::default());
    let connection = connect("web1").emitter(recorder.emitter()).build().unwrap();
    assert!(connection.run("rm -rf /").dry(true).await.unwrap().ok());
    let dry = connection.with_dry(true);
    let mut started = dry.sudo("start").stdin(Stdin::Handle).ok_codes([3]).start().await.unwrap();
    drop(started.take_stdin());
    assert_eq!(started.wait().await.unwrap().exit, ExitStatus::Code(3));
    dry.run("disown").disown().await.unwrap();
    dry.local("exit 9").start().await.unwrap().wait().await.unwrap();
    assert_eq!(dry.shell().line("rm x").await.unwrap(), ExitStatus::Code(0));
    dry.put(Path::new("/no/such"), "/to").await.unwrap();
    dry.get("/from", "to").await.unwrap();
    assert_eq!(dry.forward_local(8080).to(("db", 80)).await.unwrap().port(), Some(8080));
    dry.forward_remote(8081).await.unwrap().close().await;
    let session = dry.session().await.unwrap();
    session.spawn(&SpawnRequest::new(Program::Command(b"rm y".to_vec()))).await.unwrap();
    session.open_stream("db", 5432).await.unwrap();
    session.listen(&ListenAddress::tcp("", NonZeroU16::new(8082))).await.unwrap();
    dry.open_gateway().await.unwrap();
    dry.open().await.unwrap();
    let files = dry.files().await.unwrap();
    files.remove_file(b"/a").await.unwrap();
    files.rename(b"/a", b"/b").await.unwrap();
    files.write_file(b"/c", &WriteOptions::default(), &mut &b"text"[..], &|_| ()).await.unwrap();
    assert_eq!(fleet.host("web1").connects(), 0);
    let events = recorder.0.lock();
    let planned = events.iter().map(|kind| match kind {
        EventKind::Planned { verb, what, .. } => format!("{verb} {what}"),
        other => format!("{other:?}"),
    });
    let planned: Vec<_> = planned.collect();
    assert_eq!(
        planned,
        [
            "run rm -rf /",
            "sudo start",
            "run disown",
            "local exit 9",
            "run a login shell",
            "put /no/such -> /to",
            "get to <- /from",
            "forward_local localhost port 8080 to db port 80",
            "forward_remote localhost port 8081 to localhost port 8081",
            "run rm y",
            "connect db port 5432",
            "listen  port 8082",
            "connect web1",
            "sftp remove /a",
            "sftp rename /a to /b",
            "sftp write /c",
        ]
    );
}

#[tokio::test]
async fn a_dry_run_reads_files_and_changes_none() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kept"), "text").unwrap();
    let dry = here().with_dry(true);
    let path = dir.path().as_os_str().as_encoded_bytes();
    dry.sftp().await.unwrap().chdir(path).await.unwrap();
    let files = dry.sftp().await.unwrap();
    assert_eq!(files.read("kept").await.unwrap(), "text");
    files.write("kept", "other").await.unwrap();
    files.write("new", "other").await.unwrap();
    files.create_dir(b"dir", None).await.unwrap();
    files.remove_file(b"kept").await.unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
    assert_eq!(std::fs::read(dir.path().join("kept")).unwrap(), b"text");
    // The request's own option wins.
    assert_eq!(dry.run("echo done").dry(false).await.unwrap().stdout(), "done\n");
}
