//! Files that a rename can't replace.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use tests::{Case, Sshd, TestUser, case, needs_root};

const SAID: &str = "written in place, not at once";

/// A run in mounts of its own: `far/mounted` and `dir/mounted` are bind-mounted files, `far/sealed` and `dir/sealed` are
/// directories on a read-only file system with a bind-mounted file in each.
fn with_mounts(steps: &str) -> Case {
    needs_root();
    let case = case!()
        .file("new", "new")
        .fabfile(format!(
            "[env]\nsudo_prefix = \"env BY_SUDO=1\"\n[tasks.t]\nhosts = [\"local://here\"]\nsteps = [\n{steps}\n]\n"
        ))
        .within(
            "exec unshare -m sh -c 'for at in {far} {dir}; do mount --bind $at/real $at/mounted && \
             mount --bind $at/sealed $at/sealed && mount -o remount,ro,bind $at/sealed && \
             mount --bind $at/inner $at/sealed/file || exit 99; done; exec \"$0\" \"$@\"' \"$0\" \"$@\"",
        )
        .args(["t"]);
    for at in [case.far(), case.dir()] {
        fs::create_dir(at.join("sealed")).unwrap();
        for name in ["real", "mounted", "inner", "sealed/file"] {
            fs::write(at.join(name), "what was there before is longer").unwrap();
            fs::set_permissions(at.join(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
    }
    case
}

fn same_file(path: &Path, inode: u64, content: &str) {
    let meta = fs::metadata(path).unwrap();
    assert_eq!((fs::read_to_string(path).unwrap(), meta.ino()), (content.to_owned(), inode), "{}", path.display());
    assert_eq!(meta.permissions().mode() & 0o7777, 0o640, "{}", path.display());
}

#[test]
#[ignore = "needs root"]
fn what_is_mounted_is_written_in_place() {
    for (step, at, warned) in [
        ("{ put = \"new\", to = \"{far}/AT\", verify = true }", "far", "put: 1 file"),
        ("{ put = \"new\", to = \"{far}/AT\", use_sudo = true, verify = true }", "far", "put: 1 file"),
        ("{ put = \"new\", to = \"{far}/AT\", template = true }", "far", "put: 1 file"),
        ("{ put = \"new\", to = \"{far}/AT\", resume = true, verify = true }", "far", "put: 1 file"),
        ("{ get = \"{dir}/new\", to = \"{dir}/AT\", verify = true }", "dir", "get: 1 file"),
        ("{ get = \"{dir}/new\", to = \"{dir}/AT\", use_sudo = true }", "dir", "get: 1 file"),
    ] {
        for (name, real) in [("mounted", "real"), ("sealed/file", "inner")] {
            let case = with_mounts(&step.replace("AT", name));
            let at = if at == "far" { case.far() } else { case.dir() };
            let inode = fs::metadata(at.join(real)).unwrap().ino();
            let ran = case.any_stdout().stderr_has(format!("{warned} {SAID}")).stderr_has(name).run();
            same_file(&at.join(real), inode, "new");
            // Neither parts nor copies of the old content are left.
            let left: Vec<_> = fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
            drop(ran);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn atomic_makes_it_an_error_that_changes_nothing() {
    for step in [
        "{ put = \"new\", to = \"{far}/AT\", atomic = true }",
        "{ put = \"new\", to = \"{far}/AT\", atomic = true, use_sudo = true }",
        "{ put = \"new\", to = \"{far}/AT\", atomic = true, template = true }",
        "{ get = \"{dir}/new\", to = \"{dir}/AT\", atomic = true }",
    ] {
        for (name, real) in [("mounted", "real"), ("sealed/file", "inner")] {
            let case = with_mounts(&step.replace("AT", name));
            let at = if step.contains("put") { case.far() } else { case.dir() };
            let inode = fs::metadata(at.join(real)).unwrap().ino();
            let ran = case.any_stdout().stderr_has("which `atomic` rules out").stderr_lacks(SAID).status(1).run();
            same_file(&at.join(real), inode, "what was there before is longer");
            drop(ran);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn what_fails_in_place_here_is_put_back() {
    // There is room for the old content and not for the new.
    let steps = "{ get = \"{dir}/large\", to = \"{dir}/mounted\" }";
    let case = with_mounts(steps).file("large", "x".repeat(1 << 20)).within(
        "exec unshare -m sh -c 'mkdir {dir}/small && mount -t tmpfs -o size=64k none {dir}/small && \
         printf old >{dir}/small/real && mount --bind {dir}/small/real {dir}/mounted || exit 99; \
         \"$0\" \"$@\"; s=$?; cat {dir}/mounted >{dir}/seen; exit $s' \"$0\" \"$@\"",
    );
    let ran = case.any_stdout().stderr_has("mounted: ").status(1).run();
    assert_eq!(ran.read("seen"), "old");
}

/// A directory on the host that its user can't write to, with files that the user can; and a sticky one.
#[test]
#[ignore = "needs root"]
fn a_file_in_a_directory_of_others_is_written_in_place() {
    for sshd in [Sshd::shared(), Sshd::shared_without_sftp()] {
        let user = TestUser::new();
        let case = case!()
            .on(sshd)
            .file("site/a", "new a")
            .file("site/b", "new b")
            .file("single", "new")
            .fabfile(
                "[tasks.t]\nhosts = [\"{h1}\"]\nsteps = [\n  \
                 { put = \"single\", to = \"{far}/closed/one\", verify = true, save = \"one\" },\n  \
                 { put = \"single\", to = \"{far}/sticky/one\", verify = true },\n  \
                 { put = \"single\", to = \"{far}/closed/link\" },\n  \
                 { put = \"single\", to = \"{far}/closed/two\", template = true },\n  \
                 { put = \"site/*\", to = \"{far}/closed\" },\n  \
                 { local = \"echo {{ one.in_place | join(' ') }}\" },\n  \
                 { put = \"single\", to = \"{far}/closed/none\", warn_only = true },\n  \
                 { put = \"single\", to = \"{far}/closed/locked\", warn_only = true },\n]\n",
            )
            .args(["-u", user.name(), "t"]);
        let far = case.far();
        fs::set_permissions(far.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        for (dir, mode) in [("closed", 0o755), ("sticky", 0o1777)] {
            fs::create_dir(far.join(dir)).unwrap();
            fs::set_permissions(far.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        for name in ["closed/one", "closed/two", "closed/three", "closed/a", "closed/b", "sticky/one"] {
            fs::write(far.join(name), "what was there before is longer").unwrap();
            fs::set_permissions(far.join(name), fs::Permissions::from_mode(0o666)).unwrap();
        }
        fs::write(far.join("closed/locked"), "locked").unwrap();
        std::os::unix::fs::symlink("three", far.join("closed/link")).unwrap();
        let ran = case
            .stdout_has("out: {far}/closed/one\n")
            .stderr_has(format!("put: 1 file {SAID}"))
            .stderr_has(format!("put: 2 files {SAID}"))
            .stderr_has("{far}/closed/none: permission denied")
            .stderr_has("{far}/closed/locked: permission denied")
            .run();
        for (name, content) in [
            ("closed/one", "new"),
            ("sticky/one", "new"),
            ("closed/three", "new"),
            ("closed/two", "new"),
            ("closed/a", "new a"),
            ("closed/b", "new b"),
            ("closed/locked", "locked"),
        ] {
            assert_eq!(fs::read_to_string(far.join(name)).unwrap(), content, "{name}");
            let meta = fs::metadata(far.join(name)).unwrap();
            assert_eq!(meta.uid(), 0, "{name}");
        }
        assert!(fs::symlink_metadata(far.join("closed/link")).unwrap().is_symlink());
        assert!(!far.join("closed/none").exists());
        assert_eq!(fs::read_dir(far.join("sticky")).unwrap().count(), 1);
        drop(ran);
    }
}

#[test]
fn devices_and_pipes_are_an_error_at_once() {
    for server in [Sshd::shared(), Sshd::shared_without_sftp()] {
        for (get, said) in [
            ("{far}/app/fifo", "{far}/app/fifo: it is neither a file nor a directory"),
            ("/dev/zero", "/dev/zero: it is neither a file nor a directory"),
            ("{far}/app", "{far}/app/fifo: read fifo: it is neither a file nor a directory"),
        ] {
            let case = case!()
                .on(server)
                .fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{{ get = \"{get}\", to = \"got\" }}]\n"))
                .args(["t"]);
            fs::create_dir(case.far().join("app")).unwrap();
            fs::write(case.far().join("app/file"), "file").unwrap();
            let made = std::process::Command::new("mkfifo").arg(case.far().join("app/fifo")).status().unwrap();
            assert!(made.success());
            let ran = case.any_stdout().stderr_has(said).status(1).run();
            let got = ran.case().dir().join("got");
            if get.ends_with("app") {
                assert_eq!(ran.read("got/file"), "file");
            } else {
                assert!(!got.exists());
            }
        }
    }
}
