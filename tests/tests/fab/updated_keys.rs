//! Further host keys of a known host, and keys that it no longer has (UpdateHostKeys of ssh_config).

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::{Case, Ran, Sshd, case, tool};

/// A directory with further keys.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new(kinds: &[&str]) -> Self {
        let keys = Self(tempfile::tempdir().expect("a directory"));
        for kind in kinds {
            keygen(&["-q", "-t", kind, "-N", "", "-C", "", "-f"], &keys.file(kind));
        }
        keys
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.0.path().join(kind)
    }

    /// The public half, as known_hosts has it.
    fn public(&self, kind: &str) -> String {
        let text = fs::read_to_string(self.file(kind).with_extension("pub")).expect("a public key");
        text.trim().to_owned()
    }
}

fn keygen(args: &[&str], file: &Path) -> String {
    let done = Command::new(tool("ssh-keygen")).args(args).arg(file).stdin(Stdio::null()).output().expect("ssh-keygen");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A server with these keys beside its first one.
fn server(keys: &Keys, kinds: &[&str]) -> Sshd {
    let host_key =
        |sshd: tests::SshdBuilder, kind: &&str| sshd.config(format!("HostKey {}", keys.file(kind).display()));
    kinds.iter().fold(Sshd::builder(), host_key).start()
}

/// A run with this known_hosts file and ssh_config.
fn case(sshd: &Sshd, known_hosts: &str, config: &str) -> Case {
    // A system's file may say something else.
    let config = format!("{config}HashKnownHosts no\n");
    let case = case!().on(sshd).known_hosts(known_hosts).home_file(".ssh/config", config);
    case.args(["-H", "{h1}", "--", "echo in"]).stdout_has("[{h1}] out: in\n").any_stderr()
}

fn known(ran: &Ran) -> String {
    fs::read_to_string(ran.case().home().join(".ssh/known_hosts")).expect("known_hosts")
}

/// The name in known_hosts.
fn name(sshd: &Sshd) -> String {
    let host = &sshd.hosts()[0];
    format!("[{}]:{}", host.address, host.port)
}

#[test]
fn a_new_key_that_is_proved_is_recorded_as_ssh_does() {
    let keys = Keys::new(&["rsa", "ecdsa"]);
    let sshd = server(&keys, &["rsa", "ecdsa"]);
    let before = format!("# mine\n\n{}other ssh-ed25519 AAAA broken\n", sshd.known_hosts());
    let ours = known(&case(&sshd, &before, "").run());
    let mut lines: Vec<&str> = ours.strip_prefix(&before).expect("what was there").lines().collect();
    lines.sort_unstable();
    let name = name(&sshd);
    assert_eq!(lines, [format!("{name} {}", keys.public("ecdsa")), format!("{name} {}", keys.public("rsa"))]);
    // A second run has nothing to do.
    assert_eq!(known(&case(&sshd, &ours, "").run()), ours);

    let file = keys.file("known_hosts");
    fs::write(&file, &before).expect("known_hosts");
    let host = &sshd.hosts()[0];
    let recorded = format!("until grep -q ssh-rsa {0} && grep -q ecdsa {0}; do sleep 0.05; done", file.display());
    let ssh = Command::new(tool("ssh"))
        .args(["-F", "none", "-o", "UpdateHostKeys=yes", "-o", "BatchMode=yes", "-p", &host.port.to_string(), "-i"])
        .arg(sshd.key())
        .args(["-o", &format!("UserKnownHostsFile={}", file.display()), &host.address.to_string(), &recorded])
        .stdin(Stdio::null())
        .output()
        .expect("ssh starts");
    assert!(ssh.status.success(), "{}", String::from_utf8_lossy(&ssh.stderr));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&fs::read_to_string(&file).expect("known_hosts")), sorted(&ours));
}

#[test]
fn keys_that_the_host_no_longer_has_go_and_all_else_stays() {
    let keys = Keys::new(&["rsa", "ecdsa"]);
    let sshd = server(&keys, &["rsa"]);
    let (name, key) = (name(&sshd), sshd.known_hosts());
    let other = "other,more ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS me\n";
    let before = format!(
        "# begin\n{name} {} old one\n{other}@revoked elsewhere {}\n{key}# end",
        keys.public("ecdsa"),
        other.split_once(' ').expect("a key").1
    );
    let after = before.replace(&format!("{name} {} old one\n", keys.public("ecdsa")), "");
    let ran = case(&sshd, &before, "").run();
    assert_eq!(known(&ran), format!("{after}\n{name} {}\n", keys.public("rsa")));
    let files = fs::read_dir(ran.case().home().join(".ssh")).expect(".ssh").count();
    assert_eq!(files, 2, "known_hosts and config");
}

#[test]
fn files_are_left_alone_where_ssh_leaves_them() {
    let keys = Keys::new(&["rsa"]);
    let sshd = server(&keys, &["rsa"]);
    let (name, plain) = (name(&sshd), sshd.known_hosts());
    let key = plain.split_once(' ').expect("a key").1;
    let also = format!("{plain}elsewhere {}\n", keys.public("rsa"));
    let revoked = format!("{plain}@revoked {name} {}\n", keys.public("rsa"));
    for (known_hosts, config) in [
        (plain.as_str(), "UpdateHostKeys no\n"),
        // Nobody can be asked.
        (&plain, "UpdateHostKeys ask\n"),
        (&plain, "VerifyHostKeyDNS yes\n"),
        (&plain, "HostKeyAlgorithms ssh-ed25519\n"),
        // A list, a pattern, a marker, another name.
        (&format!("{name},more {key}"), ""),
        (&format!("[127.*]:* {key}"), ""),
        (&also, ""),
        (&revoked, ""),
    ] {
        assert_eq!(known(&case(&sshd, known_hosts, config).run()), known_hosts, "{config}");
    }
    // Not the default files: only where a line says so.
    for (update, lines) in [("", 1), ("UpdateHostKeys yes\n", 2)] {
        let config = format!("UserKnownHostsFile {{dir}}/known\n{update}");
        let ran = case(&sshd, "", &config).file("known", &plain).run();
        assert_eq!(ran.read("known").lines().count(), lines, "{config}");
    }
    // The system's file knows it, and the user's doesn't.
    let ran = case(&sshd, "", "GlobalKnownHostsFile {dir}/known\n").file("known", &plain).run();
    assert_eq!((known(&ran).as_str(), ran.read("known")), ("", plain.clone()));
}

#[test]
fn an_unverified_key_vouches_for_none() {
    let keys = Keys::new(&["rsa"]);
    let sshd = server(&keys, &["rsa"]);
    for check in ["no", "off", "accept-new"] {
        let ran = case(&sshd, "", &format!("StrictHostKeyChecking {check}\n")).run();
        let recorded = known(&ran);
        assert_eq!(recorded.lines().count(), 1, "{recorded}");
        // Now it is known.
        assert_eq!(known(&case(&sshd, &recorded, "").run()).lines().count(), 2);
    }
    let without = case!().on(&sshd).args(["-D", "-H", "{h1}", "--", "echo in"]).stdout_has("out: in\n").any_stderr();
    assert_eq!(known(&without.run()), sshd.known_hosts());
    let other = format!("{} {}\n", name(&sshd), Keys::new(&["ed25519"]).public("ed25519"));
    assert_eq!(known(&case(&sshd, &other, "StrictHostKeyChecking no\n").run()), other);
}

#[test]
fn a_certificate_vouches_for_none() {
    let keys = Keys::new(&["rsa", "ecdsa", "ed25519"]);
    let sign = ["-q", "-s", &keys.file("ed25519").display().to_string(), "-I", "host", "-h"].map(str::to_owned);
    let sign: Vec<&str> = sign.iter().map(String::as_str).collect();
    keygen(&sign, &keys.file("ecdsa").with_extension("pub"));
    let certificate = keys.0.path().join("ecdsa-cert.pub");
    let sshd = Sshd::builder()
        .config(format!("HostKey {}", keys.file("rsa").display()))
        .config(format!("HostKey {}", keys.file("ecdsa").display()))
        .config(format!("HostCertificate {}", certificate.display()))
        .start();
    let known_hosts = format!("@cert-authority * {}\n", keys.public("ed25519"));
    assert_eq!(known(&case(&sshd, &known_hosts, "").run()), known_hosts);
}

#[test]
fn hashed_names_are_known_and_written() {
    let keys = Keys::new(&["rsa", "ecdsa"]);
    let sshd = server(&keys, &["rsa"]);
    let file = keys.file("known_hosts");
    fs::write(&file, format!("{}{} {}\n", sshd.known_hosts(), name(&sshd), keys.public("ecdsa"))).expect("known_hosts");
    keygen(&["-H", "-f"], &file);
    let before = fs::read_to_string(&file).expect("known_hosts");
    assert!(before.lines().all(|line| line.starts_with("|1|")));
    let ran = case(&sshd, &before, "HashKnownHosts yes\n").run();
    let after = known(&ran);
    let found = keygen(&["-F", &name(&sshd), "-f"], &ran.case().home().join(".ssh/known_hosts"));
    assert!(found.contains(&keys.public("rsa")) && !found.contains(&keys.public("ecdsa")), "{found}");
    assert!(after.lines().count() == 2 && after.lines().all(|line| line.starts_with("|1|")), "{after}");
    assert!(before.contains(after.lines().next().expect("the first line")));
}

/// The server uses an agent for its second key, whose signatures are wrong.
#[test]
fn a_key_that_the_host_cannot_prove_is_not_recorded() {
    let keys = Keys::new(&["ecdsa"]);
    let agent = keys.file("agent");
    let listener = UnixListener::bind(&agent).expect("a socket");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || sign_wrongly(stream, &count));
        }
    });
    let (file, public) = (keys.file("ecdsa"), keys.public("ecdsa"));
    fs::remove_file(&file).expect("a private key");
    let sshd = Sshd::builder()
        .config(format!("HostKey {}.pub", file.display()))
        .config(format!("HostKeyAgent {}", agent.display()))
        .start();
    let after = known(&case(&sshd, &sshd.known_hosts(), "").run());
    assert!(!after.contains(&public), "{after}");
    assert_eq!(after, sshd.known_hosts());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Answers each request for a signature (13) with one that is well formed and wrong (14), others with failure (5).
fn sign_wrongly(mut stream: UnixStream, count: &AtomicUsize) {
    let string = |text: &[u8]| [&u32::try_from(text.len()).expect("short").to_be_bytes(), text].concat();
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).expect("a request");
        let answer = if request[0] == 13 {
            count.fetch_add(1, Ordering::SeqCst);
            let number = string(&[17; 32]);
            let signature = [string(b"ecdsa-sha2-nistp256"), string(&[number.clone(), number].concat())].concat();
            [vec![14], string(&signature)].concat()
        } else {
            vec![5]
        };
        stream.write_all(&string(&answer)).expect("an answer");
    }
}
