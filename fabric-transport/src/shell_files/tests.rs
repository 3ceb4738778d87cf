//! The scripts, with the utilities of this system and with those of busybox.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use fabric_core::transport::{FileChanges, FileKind, Files, WriteOptions};
use fabric_core::{ExitStatus, FileErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::run::Ended;
use super::{Runner, Scripts, ShellFiles};

/// A local shell that finds its utilities in one directory.
struct Shell {
    program: &'static [&'static str],
    path: String,
}

#[async_trait]
impl Runner for Shell {
    async fn run(
        &self,
        script: &[u8],
        input: Option<DuplexStream>,
        mut output: DuplexStream,
    ) -> Result<Ended, FileErrorKind> {
        let script = std::os::unix::ffi::OsStrExt::from_bytes(script);
        let script: &std::ffi::OsStr = script;
        let mut child = tokio::process::Command::new(self.program[0])
            .args(&self.program[1..])
            .arg("-c")
            .arg(script)
            .env("PATH", &self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let feed = async move {
            if let Some(mut input) = input {
                let _ = tokio::io::copy(&mut input, &mut stdin).await;
            }
            let _ = stdin.shutdown().await;
        };
        let mut errors = child.stderr.take().unwrap();
        let mut stderr = Vec::new();
        let read = async { tokio::io::copy(&mut stdout, &mut output).await.unwrap() };
        let _ = tokio::join!(feed, read, errors.read_to_end(&mut stderr));
        drop(output);
        let code = child.wait().await.unwrap().code().unwrap();
        Ok(Ended { stderr, exit: ExitStatus::Code(code as u32) })
    }
}

/// busybox with links to all of its applets except `without`, in `dir`.
fn busybox(dir: &Path, without: &[&str]) -> Shell {
    let path = std::env::var_os("PATH").unwrap();
    let program = std::env::split_paths(&path).map(|dir| dir.join("busybox")).find(|file| file.exists());
    let program = program.expect("the tests need busybox: run scripts/setup-tests");
    let list = std::process::Command::new(&program).arg("--list").output().unwrap();
    for name in String::from_utf8(list.stdout).unwrap().lines().filter(|name| !without.contains(name)) {
        let _ = symlink(&program, dir.join(name));
    }
    Shell { program: &["sh"], path: dir.display().to_string() }
}

#[tokio::test]
async fn files_live_their_lives_by_the_utilities_of_this_system() {
    let path = std::env::var("PATH").unwrap();
    for program in [&["sh"][..], &["bash", "--posix"], &["dash"]] {
        check(&ShellFiles::new(Shell { program, path: path.clone() }), true).await;
    }
}

#[tokio::test]
async fn files_live_their_lives_by_busybox() {
    let dir = tempfile::tempdir().unwrap();
    check(&ShellFiles::new(busybox(dir.path(), &[])), true).await;
}

#[tokio::test]
async fn files_live_their_lives_where_there_is_not_even_stat() {
    let dir = tempfile::tempdir().unwrap();
    check(&ShellFiles::new(busybox(dir.path(), &["stat", "truncate", "readlink", "dd"])), false).await;
    let dir = tempfile::tempdir().unwrap();
    check(&ShellFiles::new(busybox(dir.path(), &["stat", "truncate"])), false).await;
}

#[tokio::test]
async fn a_checksum_is_that_of_busybox() {
    let dir = tempfile::tempdir().unwrap();
    let scripts = Scripts::new(busybox(dir.path(), &[]));
    let sum = scripts.sha256(b"/dev/null").await.unwrap();
    assert_eq!(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// `exact`: times are known, and links and lengths are supported.
async fn check<R: Runner>(files: &ShellFiles<R>, exact: bool) {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &[u8]| [temp.path().as_os_str().as_encoded_bytes(), b"/", name].concat();
    let content: Vec<u8> = (0..700_001_u32).map(|n| (n.wrapping_mul(40_503) >> 7) as u8).collect();
    let plain = WriteOptions::default();
    let all =
        [&b"plain"[..], b"-n", b"sp ace", b"new\nline\n", b"quote'\"$`\\x", b"latin-\xe9", b"[*]?", b".dot", b"!"];
    files.create_dir(&at(b"dir"), Some(0o750)).await.unwrap();
    for name in all {
        let path = at(&[b"dir/", name].concat());
        assert_eq!(files.write_file(&path, &plain, &mut &content[..], &|_| ()).await.unwrap(), 700_001);
        let mut read = Vec::new();
        files.read_file(&path, 0, &mut read, &|_| ()).await.unwrap();
        assert!(read == content);
        assert_eq!(files.stat(&path).await.unwrap().size, Some(700_001));
    }
    // More than one request asks for.
    for n in 0..205 {
        std::fs::write(temp.path().join(format!("dir/more{n}")), "").unwrap();
    }
    let mut listed: Vec<_> = files.read_dir(&at(b"dir")).await.unwrap();
    listed.retain(|entry| !entry.name.starts_with(b"more") || entry.stat.size != Some(0));
    let mut names: Vec<_> = listed.iter().map(|entry| entry.name.as_slice()).collect();
    names.sort_unstable();
    let mut expected = all.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert!(listed.iter().all(|entry| entry.stat.size == Some(700_001) && entry.stat.kind == FileKind::File));
    let matching = files.read_dir_matching(&at(b"dir"), b"[*", b"?").await.unwrap();
    assert_eq!(matching.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(), [b"[*]?"]);
    assert_eq!(files.read_dir_matching(&at(b"dir"), b"more", b"").await.unwrap().len(), 205);
    assert!(files.read_dir_matching(&at(b"dir"), b"none", b"").await.unwrap().is_empty());

    // Over the beginning, and truncated.
    let path = at(b"dir/plain");
    let over = WriteOptions::default()
        .truncate(false)
        .create(false)
        .no_follow(true)
        .changes(FileChanges::default().size(3).mode(0o640));
    let written = files.write_file(&path, &over, &mut &b"abc"[..], &|_| ()).await;
    if exact {
        written.unwrap();
        assert_eq!(std::fs::read(temp.path().join("dir/plain")).unwrap(), b"abc");
        let after = WriteOptions::default().truncate(false).offset(2);
        files.write_file(&path, &after, &mut &b"de"[..], &|_| ()).await.unwrap();
        let mut read = Vec::new();
        files.read_file(&path, 1, &mut read, &|_| ()).await.unwrap();
        assert_eq!(read, b"bde");
    }
    let missing = files.write_file(&at(b"dir/none"), &over, &mut &b"abc"[..], &|_| ()).await;
    assert_eq!(missing.unwrap_err().kind, FileErrorKind::NotFound);
    let again = WriteOptions::default().exclusive(true);
    let again = files.write_file(&path, &again, &mut &b""[..], &|_| ()).await;
    assert_eq!(again.unwrap_err().kind, FileErrorKind::Exists);

    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let changes = FileChanges::default().times((time, time)).mode(0o4711);
    files.set_stat(&path, &changes).await.unwrap();
    let stat = files.stat(&path).await.unwrap();
    assert_eq!(stat.mode, Some(0o4711));
    assert_eq!(std::fs::metadata(temp.path().join("dir/plain")).unwrap().modified().unwrap(), time);
    assert_eq!(stat.modified, exact.then_some(time));

    files.symlink(b"-n", &at(b"dir/link")).await.unwrap();
    files.symlink(&at(b"dir"), &at(b"to_dir")).await.unwrap();
    assert_eq!(files.lstat(&at(b"dir/link")).await.unwrap().kind, FileKind::Symlink);
    assert_eq!(files.stat(&at(b"dir/link")).await.unwrap().kind, FileKind::File);
    assert_eq!(std::fs::read_link(temp.path().join("dir/link")).unwrap(), Path::new("-n"));
    if exact {
        assert_eq!(files.read_link(&at(b"dir/link")).await.unwrap(), b"-n");
    }
    let real = std::fs::canonicalize(temp.path().join("dir")).unwrap();
    assert_eq!(files.canonicalize(&at(b"to_dir")).await.unwrap(), real.as_os_str().as_encoded_bytes());
    // A link to a directory is replaced, and nothing is moved into the directory.
    files.rename(&at(b"dir/-n"), &at(b"to_dir")).await.unwrap();
    assert_eq!(files.lstat(&at(b"to_dir")).await.unwrap().kind, FileKind::File);
    assert!(files.rename(&at(b"to_dir"), &at(b"dir")).await.is_err());

    let kind = |result: Result<(), fabric_core::FileError>| result.unwrap_err().kind;
    let none = at(b"No such file \n/x");
    assert_eq!(kind(files.lstat(&none).await.map(drop)), FileErrorKind::NotFound);
    assert_eq!(kind(files.remove_file(&none).await), FileErrorKind::NotFound);
    assert_eq!(kind(files.read_dir(&none).await.map(drop)), FileErrorKind::NotFound);
    assert_eq!(kind(files.read_link(&none).await.map(drop)), FileErrorKind::NotFound);
    assert_eq!(kind(files.create_dir(&at(b"dir"), None).await), FileErrorKind::Exists);
    assert!(matches!(
        kind(files.read_file(&at(b"dir"), 0, &mut Vec::new(), &|_| ()).await.map(drop)),
        FileErrorKind::WrongKind(_)
    ));
    assert!(files.remove_dir(&at(b"dir")).await.is_err());
    files.remove_file(&path).await.unwrap();
    assert_eq!(kind(files.stat(&path).await.map(drop)), FileErrorKind::NotFound);
}
