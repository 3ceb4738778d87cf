//! Login shells and files with a working directory.

use fabric_core::target::{Shell, ShellKind};
use fabric_core::{Error, ExitStatus, Target};
use tokio::io::AsyncReadExt as _;

use super::{fleet, here};
use crate::connection::Connection;
use crate::connector::Connector;
use crate::local::LocalTransport;

#[tokio::test]
async fn a_shell_has_a_terminal_and_gives_its_status() {
    let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
    // Not the developer's own shell, as its start-up files may do anything.
    let transport = LocalTransport::new().login_shell("/bin/sh");
    let connector = Connector::new().transport(transport);
    let connection = Connection::builder("local://here").connector(connector).build().unwrap();
    let shell = connection.shell().line("tty; echo first").stdin("echo second\nexit 7\n").out_stream(ours);
    assert_eq!(shell.await.unwrap(), ExitStatus::Code(7));
    let mut seen = String::new();
    theirs.read_to_string(&mut seen).await.unwrap();
    // Once as typed, once as printed.
    let found = |word: &str| seen.matches(word).count() >= 2;
    assert!(seen.contains("/dev/") && found("first") && found("second"), "{seen}");
}

#[tokio::test]
async fn a_shell_is_opened_where_settings_say_or_not_at_all() {
    let connector = Connector::new().transport(LocalTransport::new().login_shell("/bin/sh"));
    let connection = Connection::builder("local://here").connector(connector).build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    let at = home.join("my dir");
    std::fs::create_dir(&at).unwrap();
    let guarded = |prefix: &str, cwd: &std::path::Path| {
        connection.with(|s| {
            s.cwd = cwd.to_str().unwrap().into();
            s.command_prefixes.push(prefix.into());
            s.path = "/no/such/bin".into();
            s.shell_env.insert("WORD".into(), "a word".into());
        })
    };
    for pty in [false, true] {
        let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
        let line = "echo \"$PWD:$WORD:$THEN:$PATH\" > seen; exit 3";
        let shell = guarded("export THEN=after", &at).shell().pty(pty).line(line).out_stream(ours);
        assert_eq!(shell.await.unwrap(), ExitStatus::Code(3));
        theirs.read_to_string(&mut String::new()).await.unwrap();
        let seen = std::fs::read_to_string(at.join("seen")).unwrap();
        assert!(seen.starts_with(&format!("{}:a word:after:", at.display())), "{seen}");
        assert!(seen.trim_end().ends_with(":/no/such/bin"), "{seen}");
    }
    let touched = home.join("touched");
    for (prefix, cwd) in [("false", &at), (":", &home.join("none"))] {
        let shell = guarded(prefix, cwd).shell().line(format!("touch {}", touched.display()));
        let error = shell.await.unwrap_err();
        assert!(matches!(&error, Error::UnexpectedExit(outcome) if outcome.command == "open_shell"), "{error}");
    }
    assert!(!touched.exists());
}

/// `RemoteCommand`, `RequestTTY` and `SessionType` are for shells, and for nothing else.
#[tokio::test]
async fn a_shell_is_what_ssh_config_makes_of_it() {
    let open = |shell: Shell| {
        let mut target = Target::new("local://here".parse().unwrap());
        target.shell = shell;
        let connector = Connector::new().transport(LocalTransport::new().login_shell("/bin/sh"));
        Connection::to(target).connector(connector).build().unwrap()
    };
    let says = async |shell: Shell| {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let connection = open(shell);
        let status = connection.shell().out_stream(ours).await;
        let mut seen = String::new();
        theirs.read_to_string(&mut seen).await.unwrap();
        assert_eq!(connection.run("test -t 0 || echo plain").await.unwrap().stdout, b"plain\n"[..]);
        status.map(|status| (status, seen.trim_end().to_owned()))
    };
    let command = Shell::default().command("test -t 1 && echo tty || echo none; exit 3".to_owned());
    assert_eq!(says(command.clone()).await.unwrap(), (ExitStatus::Code(3), "none".to_owned()));
    let with_terminal = command.pty(true);
    assert_eq!(says(with_terminal).await.unwrap(), (ExitStatus::Code(3), "tty".to_owned()));
    let none = says(Shell::default().kind(ShellKind::None)).await.unwrap_err();
    assert!(none.to_string().contains("SessionType none"), "{none}");
}

#[tokio::test]
async fn files_have_one_working_directory_a_session() {
    let (fleet, connect) = fleet();
    let files = fleet.host("web1").files();
    files.insert("/srv/app/VERSION", "1");
    let connection = connect("web1").build().unwrap();
    let sftp = connection.sftp().await.unwrap();
    assert_eq!(sftp.cwd().await.unwrap(), b"/home/user");
    sftp.chdir("/srv").await.unwrap();
    sftp.chdir("app").await.unwrap();
    assert_eq!(connection.sftp().await.unwrap().read("VERSION").await.unwrap(), "1");
    sftp.write("../new", "2").await.unwrap();
    assert_eq!(files.content("/srv/new").unwrap(), b"2");
    assert!(sftp.chdir("VERSION").await.is_err());
    connection.close().await;
    assert_eq!(connection.sftp().await.unwrap().cwd().await.unwrap(), b"/home/user");
}

#[tokio::test]
async fn a_file_without_end_is_not_read_into_memory() {
    let sftp = here().sftp().await.unwrap();
    let error = sftp.read("/dev/zero").await.unwrap_err().to_string();
    assert!(error.contains("/dev/zero") && error.contains("256 MiB"), "{error}");
}
