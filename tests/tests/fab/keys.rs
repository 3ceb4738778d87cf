//! Private keys of all kinds, and what a failed login reports about each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tests::{Server, Sshd, case};

const PASSPHRASE: &str = "open sesame";

/// Runs a shell's commands in a directory, which make a key in the file `key` and its public half in `key.pub`.
fn make(dir: &Path, commands: &str) {
    let ran = Command::new("sh").args(["-ec", commands, "sh", PASSPHRASE]).current_dir(dir).output().unwrap();
    assert!(ran.status.success(), "{commands}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn encrypted_keys_of_every_format_log_in() {
    let sshd = Sshd::builder().start();
    let authorized = sshd.key().with_file_name("authorized_keys");
    let ways = [
        "ssh-keygen -q -t ed25519 -Z chacha20-poly1305@openssh.com -N \"$1\" -f key",
        "ssh-keygen -q -t ed25519 -Z aes128-gcm@openssh.com -N \"$1\" -f key",
        "ssh-keygen -q -t ecdsa -Z 3des-cbc -N \"$1\" -f key",
        "ssh-keygen -q -t rsa -b 2048 -m PEM -N \"$1\" -f key",
        "openssl genrsa -traditional -aes256 -passout pass:\"$1\" -out key 2048",
        "openssl genrsa -traditional -des3 -passout pass:\"$1\" -out key 2048",
        "openssl ecparam -name secp384r1 -genkey | openssl ec -aes192 -passout pass:\"$1\" -out key",
        "openssl genrsa 2048 | openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:\"$1\" -out key",
        "openssl genrsa 2048 | openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -passout pass:\"$1\" -out key",
        "openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:\"$1\" -out key",
    ];
    for way in ways {
        let dir = tempfile::tempdir().unwrap();
        // What OpenSSH can't read by itself any more, such as an Ed25519 key of OpenSSL, is authorized from what we read.
        make(
            dir.path(),
            &format!(
                "{way}; chmod 600 key; test -e key.pub || ssh-keygen -y -P \"$1\" -f key >key.pub || rm -f key.pub"
            ),
        );
        let key = dir.path().join("key");
        let Ok(public) = fs::read_to_string(key.with_extension("pub")) else {
            assert!(way.contains("ed25519"), "{way}");
            continue;
        };
        fs::write(&authorized, public).unwrap();
        let run = |passphrase: &str| {
            let case = case!().on(&sshd).no_key().env("FABRIC_PASSPHRASE", passphrase);
            case.args(["-i", key.to_str().unwrap(), "-H", "{h1}", "--", "echo in"])
        };
        run(PASSPHRASE).stdout_has("out: in\n").run();
        run("not that").any_stdout().stderr_has("key (wrong passphrase)").stderr_lacks("not that").status(1).run();
    }
}

#[test]
fn a_failed_login_lists_what_became_of_each_key() {
    let sshd = Sshd::builder().start();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    make(
        dir.path(),
        "for name in refused half; do ssh-keygen -q -t ed25519 -N '' -f $name; done; rm half; echo junk >junk
        head -c 300 /dev/urandom >noise; mkdir directory
        openssl dsaparam -genkey 1024 2>err | openssl dsa -out dsa 2>err; chmod 600 dsa junk noise",
    );
    let files = ["missing", "half.pub", "refused", "junk", "noise", "directory", "dsa"];
    let config = files.map(|name| format!("  IdentityFile {}\n", at(name))).concat();
    let fab = || {
        let config = format!("Host *\n  IdentitiesOnly yes\n{config}");
        case!()
            .on(&sshd)
            .no_key()
            .home_file(".ssh/config", config)
            .args(["-H", "{h1}", "--", "true"])
            .any_stdout()
            .status(1)
    };
    fab()
        .stderr_has(format!("key {} (no such file)", at("missing")))
        .stderr_has(format!(
            "key {} (only its public half is here, and there is no agent for the other)",
            at("half.pub")
        ))
        .stderr_has(format!("key {} (refused)", at("refused")))
        .stderr_has(format!("key {} (not a readable private key: no line begins with", at("junk")))
        .stderr_has(format!("key {} (not a readable private key: it is not text)", at("noise")))
        .stderr_has(format!("key {} (Is a directory", at("directory")))
        .stderr_has(format!("key {} (unsupported kind of key: DSA)", at("dsa")))
        .run();
    // An agent that doesn't hold it.
    let (_agent, socket) = Server::unix("ssh-agent", |socket| vec!["-D".into(), "-a".into(), socket.to_owned()]);
    let half = "only its public half is here, and the agent doesn't hold the other";
    fab().env("SSH_AUTH_SOCK", socket.to_str().unwrap()).stderr_has(half).run();
    // A key named on the command line has to exist.
    for (file, word) in [("missing", "no such file"), ("dsa", "unsupported kind of key: DSA")] {
        let case = case!().on(&sshd).no_key().args(["-i", &at(file), "-H", "{h1}", "--", "true"]);
        case.any_stdout().stderr_has(at(file)).stderr_has(word).status(1).run();
    }
    // Missing default keys are no problem.
    case!()
        .on(&sshd)
        .no_key()
        .args(["-H", "{h1}", "--", "true"])
        .any_stdout()
        .stderr_lacks("no such file")
        .status(1)
        .run();
}

#[test]
fn a_key_that_may_not_be_read_is_listed_with_the_reason() {
    let sshd = Sshd::builder().start();
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), "ssh-keygen -q -t ed25519 -N '' -f key");
    let key = dir.path().join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&key).is_ok() {
        // Root may read everything.
        return;
    }
    let config = format!("Host *\n  IdentityFile {}\n", key.display());
    let case = case!().on(&sshd).no_key().home_file(".ssh/config", config).args(["-H", "{h1}", "--", "true"]);
    case.any_stdout().stderr_has("Permission denied").status(1).run();
}
