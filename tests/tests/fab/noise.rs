//! Hosts whose start-up files print something.

use std::fs;

use tests::{Sshd, case, tool};

/// 64 hexadecimal digits, as a checksum has.
const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn text_instead_of_sftp_is_shown_at_once() {
    for (prints, shown) in [
        // As the length of a packet, that is more than a GB; and nothing follows it.
        ("echo Welcome to web1; exec sleep 1000", r#""Welcome to web1\n""#),
        // Shorter than any packet.
        ("printf hi; exec sleep 1000", r#""hi""#),
        ("echo; exec sleep 1000", r#""\n""#),
        ("echo This account is currently not available.; exit 1", r#""This account is currently not available.\n""#),
    ] {
        let sshd = Sshd::builder().sftp(prints).start();
        for step in ["put = \"x\", to = \"{far}/x\"", "get = \"{far}/x\", to = \"y\""] {
            case!()
                .on(&sshd)
                .file("x", "x")
                .fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{{ {step} }}]\n"))
                // It isn't the limit that ends it.
                .args(["--set", "channel_timeout=1000", "t"])
                .any_stdout()
                .stderr_has(format!("the login shell printed {shown} where SFTP was to begin"))
                .status(1)
                .run();
        }
    }
}

/// A host with noise before, after and during commands, but not in SFTP.
fn noisy() -> Sshd {
    let noise = format!("echo; echo {SUM}; echo '81a4 3 0 0 1 1'; echo /nowhere");
    let force = format!(
        "case $SSH_ORIGINAL_COMMAND in */sftp-server) exec $SSH_ORIGINAL_COMMAND;; esac; {noise}; \
         echo x: No such file or directory >&2; sh -c \"$SSH_ORIGINAL_COMMAND\"; s=$?; {noise}; exit $s"
    );
    let sftp = tool("sftp-server").display().to_string();
    Sshd::builder().sftp(sftp).config(format!("ForceCommand {force}")).start()
}

#[test]
fn noise_is_no_answer_of_a_command() {
    let ran = case!()
        .on(&noisy())
        .file("site/a", "content")
        .file("site/empty", "")
        .fabfile(
            "[env]\nsudo_prefix = \"env BY_SUDO=1\"\n[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [\n  \
             { put = \"site\", to = \"{far}/one\", verify = true },\n  \
             { get = \"{far}/one\", to = \"back\", verify = true },\n  \
             { put = \"site\", to = \"{far}/two\", verify = true, use_sudo = true },\n  \
             { get = \"{far}/two\", to = \"by_sudo\", verify = true, use_sudo = true, skip_same = true },\n]\n",
        )
        .args(["t"])
        .any_stdout()
        .run();
    for root in [ran.case().far().join("one"), ran.case().far().join("two"), ran.case().dir().join("back")] {
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "content");
        assert_eq!(fs::read_to_string(root.join("empty")).unwrap(), "");
    }
    assert_eq!(ran.read("by_sudo/a"), "content");
    // The error quotes the output.
    let ran = case!()
        .on(&noisy())
        .file("x", "x")
        .fabfile(
            "[env]\nsudo_prefix = \"env BY_SUDO=1\"\n[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [\n  \
             { put = \"x\", to = \"{far}\", use_sudo = true },\n  \
             { get = \"{far}/x/y\", to = \"z\", use_sudo = true },\n]\n",
        )
        .args(["t"])
        .any_stdout()
        .stderr_has("{far}/x/y: a part of it is not a directory")
        .status(1)
        .run();
    assert_eq!(ran.read_far("x"), "x");
}
