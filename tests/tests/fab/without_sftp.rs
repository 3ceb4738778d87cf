//! Hosts without SFTP: files are transferred by `cat`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use tests::{Case, Dropbear, Host, Ran, Sshd, TestUser, case};

const SAID: &str = "the host has no SFTP server: files go through its shell";

fn large() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(40_503) >> 7) as u8).collect()
}

/// Names and content of all kinds.
fn make(root: &Path) {
    fs::create_dir_all(root.join("sub/-dir")).unwrap();
    for name in
        [&b"plain"[..], b"-rf", b"line\nend\n", b"latin-\xe9", b"quote'\"$x`\\", b"*", b"sub/-dir/ x ", b".hidden"]
    {
        fs::write(root.join(OsStr::from_bytes(name)), [name, b"\0\xff\r\n"].concat()).unwrap();
    }
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("large"), large()).unwrap();
    fs::set_permissions(root.join("plain"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("plain", root.join("link")).unwrap();
}

fn check(root: &Path) {
    for name in
        [&b"plain"[..], b"-rf", b"line\nend\n", b"latin-\xe9", b"quote'\"$x`\\", b"*", b"sub/-dir/ x ", b".hidden"]
    {
        let content = fs::read(root.join(OsStr::from_bytes(name)));
        assert_eq!(content.unwrap(), [name, b"\0\xff\r\n"].concat(), "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(fs::read(root.join("empty")).unwrap(), b"");
    assert!(fs::read(root.join("large")).unwrap() == large());
    assert_eq!(fs::metadata(root.join("plain")).unwrap().permissions().mode() & 0o777, 0o750);
    assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("plain"));
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.as_bytes().ends_with(b".part"), "{}", name.display());
    }
}

const FABFILE: &str = "[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [\n  \
    { put = \"site\", to = \"{far}/site\", links = \"keep\", verify = true, mirror_local_mode = true },\n  \
    { get = \"{far}/site\", to = \"back\", links = \"keep\", verify = true, mirror_local_mode = true },\n  \
    { put = \"site\", to = \"{far}\", links = \"keep\", skip_same = true, verify = true, save = \"again\" },\n  \
    { local = \"echo {{ again.bytes }} bytes again\" },\n]\n";

fn there_and_back(case: Case) -> Ran {
    make(&case.dir().join("site"));
    let ran = case.stdout_has("out: 0 bytes again\n").stderr_has(SAID).run();
    check(&ran.case().far().join("site"));
    check(&ran.case().dir().join("back"));
    assert_eq!(ran.stderr.matches(SAID).count(), 1, "{}", ran.stderr);
    ran
}

#[test]
fn trees_go_there_and_back_through_the_shell() {
    for sshd in [
        Sshd::builder().without_sftp(),
        Sshd::builder().sftp("/bin/false"),
        Sshd::builder().sftp("/nonexistent/sftp-server"),
    ] {
        there_and_back(case!().on(&sshd.start()).fabfile(FABFILE).args(["t"]));
    }
}

#[test]
#[ignore = "needs root"]
fn trees_go_to_dropbear_without_its_program() {
    let (user, dropbear) = (TestUser::new(), Dropbear::start_without_sftp());
    let case = case!();
    let key = case.home().join("key");
    let mut keygen = std::process::Command::new(tests::tool("ssh-keygen"));
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    fs::create_dir(user.home().join(".ssh")).unwrap();
    fs::copy(key.with_extension("pub"), user.home().join(".ssh/authorized_keys")).unwrap();
    for dir in [case.far(), case.far().parent().unwrap().to_owned()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let (address, port) = dropbear.host_string().split_once(':').unwrap();
    let host = Host { address: address.parse().unwrap(), port: port.parse().unwrap() };
    let case = case.reach(vec![host], &key).known_hosts(dropbear.known_hosts());
    let ran = there_and_back(case.fabfile(FABFILE).args(["-u", user.name(), "t"]));
    assert_eq!(
        fs::metadata(ran.case().far().join("site/plain")).unwrap().uid(),
        fs::metadata(user.home()).unwrap().uid()
    );
}

#[test]
fn what_fails_leaves_the_old_file_and_no_part() {
    let case = case!()
        .on(Sshd::shared_without_sftp())
        .file("new", "new")
        .fabfile(
            "[tasks]\nput = { hosts = [\"{h1}\"], steps = [{ put = \"new\", to = \"{far}/dir\" }, { put = \"new\", to = \"{far}/old\" }] }\n\
             get = { hosts = [\"{h1}\"], steps = [{ get = \"{far}/none\", to = \"new\" }] }\n\
             into = { hosts = [\"{h1}\"], steps = [{ put = \"new\", to = \"{far}/no/dir/x\" }] }\n",
        );
    fs::create_dir(case.far().join("dir")).unwrap();
    fs::write(case.far().join("old"), "old").unwrap();
    fs::set_permissions(case.far().join("old"), fs::Permissions::from_mode(0o600)).unwrap();
    let ran = case
        .args(["--keep-going", "put", "get", "into"])
        .any_stdout()
        .stderr_has("{far}/none: no such file")
        .status(1)
        .run();
    assert_eq!(ran.read_far("dir/new"), "new");
    assert_eq!((ran.read_far("old"), ran.read("new")), ("new".to_owned(), "new".to_owned()));
    let old = fs::metadata(ran.case().far().join("old")).unwrap();
    assert_eq!(old.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(ran.case().far()).unwrap().count(), 2);
}

#[test]
fn a_host_with_neither_sftp_nor_a_shell_says_so() {
    for (shell, said) in
        [("echo This account is not available; exit 1", "This account is not available"), ("exit 1", "exit status 1")]
    {
        let sshd = Sshd::builder().without_sftp().config(format!("ForceCommand {shell}")).start();
        case!()
            .on(&sshd)
            .file("x", "x")
            .fabfile("[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [{ put = \"x\", to = \"{far}/x\" }]\n")
            .args(["t"])
            .any_stdout()
            .stderr_has("there is no SFTP server (")
            .stderr_has(said)
            .status(1)
            .run();
    }
}
