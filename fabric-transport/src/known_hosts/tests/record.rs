//! Recording keys, alone and concurrently.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Barrier;

use super::super::{Host, KnownHosts, RecordError, Recorded};
use super::{ECDSA, ED25519, OTHER_ED25519, file, key, load, verdict};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn record(known: &KnownHosts, host: &Host, text: &str) -> Result<Recorded, RecordError> {
    known.record(host, &key(text).into(), false)
}

#[test]
fn a_new_key_is_written_as_openssh_would() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".ssh/known_hosts");
    let known = load(&path);
    assert_eq!(record(&known, &Host::new("Web", 22), ED25519).unwrap(), Recorded::Added);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(record(&known, &Host::new("web", 2222), ECDSA).unwrap(), Recorded::Added);
    assert_eq!(record(&known, &Host::new("web", 22), ED25519).unwrap(), Recorded::Already);
    let several = Host { names: vec!["a".into(), "web".into(), "b".into()], port: 22, alias: None };
    assert_eq!(record(&known, &several, ED25519).unwrap(), Recorded::Added);
    let alias = Host::new("x", 99).alias(Some("fleet".into()));
    assert_eq!(record(&known, &alias, ED25519).unwrap(), Recorded::Added);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("web {ED25519}\n[web]:2222 {ECDSA}\na,b {ED25519}\nfleet {ED25519}\n"));
    assert_eq!(verdict(&known, &Host::new("b", 22), ED25519), "known 3");
    // OpenSSH reads it.
    let found = Command::new("ssh-keygen").args(["-F", "[web]:2222", "-f"]).arg(&path).output().unwrap();
    assert!(String::from_utf8_lossy(&found.stdout).contains("found: line 2"));
}

#[test]
fn names_are_hashed_on_request() {
    let (_dir, path) = file("");
    let known = load(&path);
    let host = Host { names: vec!["web".into(), "192.0.2.1".into()], port: 2222, alias: None };
    assert_eq!(known.record(&host, &key(ED25519).into(), true).unwrap(), Recorded::Added);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().filter(|line| line.starts_with("|1|") && line.ends_with(ED25519)).count(), 2);
    assert!(!written.contains("web"));
    assert_eq!(verdict(&known, &host, ED25519), "known 1");
    assert_eq!(verdict(&load(&path), &Host::new("192.0.2.1", 2222), ED25519), "known 2");
    let found = Command::new("ssh-keygen").args(["-F", "[web]:2222", "-f"]).arg(&path).output().unwrap();
    assert!(String::from_utf8_lossy(&found.stdout).contains("found: line 1"));
}

#[test]
fn a_line_without_an_end_is_ended_first() {
    let (_dir, path) = file(format!("web {ED25519}"));
    record(&load(&path), &Host::new("two", 22), ECDSA).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("web {ED25519}\ntwo {ECDSA}\n"));
}

#[test]
fn what_another_process_recorded_meanwhile_counts() {
    let (_dir, path) = file("");
    let known = load(&path);
    std::fs::write(&path, format!("web {ED25519}\n")).unwrap();
    assert_eq!(record(&known, &Host::new("web", 22), ED25519).unwrap(), Recorded::Already);
    let conflict = record(&known, &Host::new("web", 22), OTHER_ED25519).unwrap_err();
    assert!(matches!(&conflict, RecordError::Conflict(there) if there.place.line == 1), "{conflict}");
    // Not even under a second name that is free.
    let both = Host { names: vec!["free".into(), "web".into()], port: 22, alias: None };
    assert!(matches!(record(&known, &both, OTHER_ED25519).unwrap_err(), RecordError::Conflict(_)));
    std::fs::write(&path, format!("@revoked * {ECDSA}\n")).unwrap();
    assert!(matches!(record(&known, &Host::new("x", 22), ECDSA).unwrap_err(), RecordError::Conflict(_)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("@revoked * {ECDSA}\n"));
}

#[test]
fn names_that_mean_more_than_themselves_are_refused() {
    let (_dir, path) = file("");
    let known = load(&path);
    for name in ["", "a b", "a\nb", "a,b", "*", "we?", "!a", "@revoked", "|1|x", "#a", "a\u{7f}", "a\u{2028}b"] {
        let error = record(&known, &Host::new(name, 22), ED25519).unwrap_err();
        assert!(matches!(error, RecordError::Name(_)), "{name:?}");
    }
    let nameless = Host { names: vec![], port: 22, alias: None };
    assert!(matches!(record(&known, &nameless, ED25519).unwrap_err(), RecordError::Name(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    let nowhere = KnownHosts::load(&[], &[path]).unwrap();
    assert!(matches!(record(&nowhere, &Host::new("web", 22), ED25519).unwrap_err(), RecordError::NoFile));
}

/// Each writer has its own view of the file and its own lock, as processes have.
#[test]
fn many_writers_lose_nothing_and_repeat_nothing() {
    const WRITERS: usize = 16;
    const HOSTS: usize = 25;
    let (_dir, path) = file(format!("first {ED25519}"));
    let barrier = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (path, barrier) = (&path, &barrier);
            scope.spawn(move || {
                let known = load(path);
                barrier.wait();
                for i in 0..HOSTS {
                    record(&known, &Host::new(format!("own-{writer}-{i}"), 22), ED25519).unwrap();
                    record(&known, &Host::new(format!("shared-{i}"), 22), ECDSA).unwrap();
                }
            });
        }
    });
    let written = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = written.lines().collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((all, lines.len()), (1 + WRITERS * HOSTS + HOSTS, all));
    let known = load(&path);
    assert_eq!(known.bad_lines(), []);
    for i in 0..HOSTS {
        assert!(verdict(&known, &Host::new(format!("own-7-{i}"), 22), ED25519).starts_with("known"));
    }
}

/// Of several keys for one new host, one is recorded and the others are refused.
#[test]
fn writers_that_disagree_do_not_both_win() {
    let (_dir, path) = file("");
    let barrier = Barrier::new(16);
    let added: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    let (known, text) = (load(path), [ED25519, ECDSA][writer % 2]);
                    barrier.wait();
                    match record(&known, &Host::new("web", 22), text) {
                        Ok(Recorded::Added) => 1,
                        Ok(Recorded::Already) | Err(RecordError::Conflict(_)) => 0,
                        Err(error) => panic!("{error}"),
                    }
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(added, 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}

/// `ssh-keygen -R` replaces the file while the writer waits for the old one's lock.
#[test]
fn a_file_that_is_replaced_while_it_is_locked_is_not_written_to_in_vain() {
    let (dir, path) = file(format!("web {ED25519}\n"));
    let holder = std::fs::File::open(&path).unwrap();
    holder.lock().unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| record(&load(&path), &Host::new("two", 22), ECDSA).unwrap());
        // The writer waits for the old file's lock, now or later: either way it must write into the new file.
        let new = dir.path().join("new");
        std::fs::write(&new, "# new\n").unwrap();
        std::fs::rename(&new, &path).unwrap();
        drop(holder);
        writer.join().unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("# new\ntwo {ECDSA}\n"));
}
