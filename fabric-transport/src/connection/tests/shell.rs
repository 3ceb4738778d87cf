//! Login shells and files with a working directory.

use std::sync::Arc;

use fabric_core::target::{Shell, ShellKind};
use fabric_core::{ExitStatus, Target};
use tokio::io::AsyncReadExt as _;

use super::fleet;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::local::LocalTransport;
use crate::memory::Reply;

#[tokio::test]
async fn a_shell_has_a_terminal_and_gives_its_status() {
    let (ours, mut theirs) = tokio::io::duplex(1024 * 1024);
    // Not the developer's own shell, whose start-up files may do anything.
    let transport = LocalTransport::new().login_shell("/bin/sh");
    let connector = Arc::new(Connector::new().with_transport(Arc::new(transport)));
    let connection = Connection::builder("local://here").connector(connector).build().unwrap();
    let shell = connection.shell().line("tty; echo first").stdin("echo second\nexit 7\n").out_stream(ours);
    assert_eq!(shell.await.unwrap(), ExitStatus::Code(7));
    let mut seen = String::new();
    theirs.read_to_string(&mut seen).await.unwrap();
    // Once as it is typed, once as it is said.
    let found = |word: &str| seen.matches(word).count() >= 2;
    assert!(seen.contains("/dev/") && found("first") && found("second"), "{seen}");
}

#[tokio::test]
async fn a_shell_without_a_terminal_is_left_alone_by_settings() {
    let (fleet, connect) = fleet();
    fleet.host("web1").on("", Reply::ok().echo_stdin().exit(3));
    let connection = connect("web1").build().unwrap().with(|s| {
        s.cwd = "/srv".into();
        s.command_prefixes.push("false".into());
    });
    assert_eq!(connection.shell().pty(false).stdin("x").await.unwrap(), ExitStatus::Code(3));
    let asked = &fleet.host("web1").asked()[0];
    assert!(asked.pty.is_none() && asked.command.is_empty());
    assert_eq!(fleet.host("web1").stdin(0).unwrap(), b"x");
}

/// `RemoteCommand`, `RequestTTY` and `SessionType` are for shells, and for nothing else.
#[tokio::test]
async fn a_shell_is_what_ssh_config_makes_of_it() {
    let open = |shell: Shell| {
        let mut target = Target::new("local://here".parse().unwrap());
        target.shell = shell;
        let connector =
            Arc::new(Connector::new().with_transport(Arc::new(LocalTransport::new().login_shell("/bin/sh"))));
        Connection::builder("local://here").target(target).connector(connector).build().unwrap()
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
    let command = Shell { command: Some("test -t 1 && echo tty || echo none; exit 3".to_owned()), ..Shell::default() };
    assert_eq!(says(command.clone()).await.unwrap(), (ExitStatus::Code(3), "none".to_owned()));
    let with_terminal = Shell { pty: Some(true), ..command };
    assert_eq!(says(with_terminal).await.unwrap(), (ExitStatus::Code(3), "tty".to_owned()));
    let none = says(Shell { kind: ShellKind::None, ..Shell::default() }).await.unwrap_err();
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
