//! The meaning of lines.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use proptest::prelude::*;

use super::super::{BadLineReason, Host, KnownHosts, Marker};
use super::{ECDSA, ED25519, OTHER_ED25519, file, key, load, verdict};

#[test]
fn lines_mean_what_sshd_8_says() {
    let table = [
        // Names.
        (format!("web {ED25519}\n"), "web", 22, "known 1"),
        (format!("web {ED25519}\n"), "WEB", 22, "known 1"),
        (format!("WEB {ED25519}\n"), "web", 22, "known 1"),
        (format!("a,web,b {ED25519}"), "web", 22, "known 1"),
        (format!("web {ED25519}\n"), "we", 22, "unknown"),
        (format!("web {ED25519}\n"), "web1", 22, "unknown"),
        (format!("2001:db8::1 {ED25519}\n"), "2001:DB8::1", 22, "known 1"),
        // Space, comments, line ends.
        (format!("\n# c\n  \t web\t \t{}  me@here\n", ED25519.replace(' ', "\t")), "web", 22, "known 3"),
        (format!("web {ED25519}\r\nx {ED25519}\r\n"), "web", 22, "known 1"),
        (format!("#web {ED25519}\n"), "web", 22, "unknown"),
        (format!("web {ED25519} # web2\n"), "web", 22, "known 1"),
        // Wildcards and negation.
        (format!("*.example.com {ED25519}\n"), "a.b.example.com", 22, "known 1"),
        (format!("*.example.com {ED25519}\n"), "example.com", 22, "unknown"),
        (format!("web? {ED25519}\n"), "web1", 22, "known 1"),
        (format!("web? {ED25519}\n"), "web", 22, "unknown"),
        (format!("*.Example.com,!BAD.example.com {ED25519}\n"), "bad.example.com", 22, "unknown"),
        (format!("*.Example.com,!BAD.example.com {ED25519}\n"), "good.example.com", 22, "known 1"),
        (format!("!bad,* {ED25519}\n"), "bad", 22, "unknown"),
        (format!("!bad {ED25519}\n"), "good", 22, "unknown"),
        // Ports.
        (format!("[web]:2222 {ED25519}\n"), "web", 2222, "known 1"),
        (format!("[web]:2222 {ED25519}\n"), "web", 22, "unknown"),
        (format!("[web]:2222 {ED25519}\n"), "web", 2223, "unknown"),
        (format!("web {ED25519}\n"), "web", 2222, "known 1"),
        (format!("web {OTHER_ED25519}\n"), "web", 2222, "unknown"),
        (format!("web {ED25519}\n[web]:2222 {OTHER_ED25519}\n"), "web", 2222, "changed 2"),
        (format!("[*]:2222 {ED25519}\n"), "web", 2222, "known 1"),
        // Any match accepts; none of several is a change.
        (format!("web {OTHER_ED25519}\nweb {ED25519}\n"), "web", 22, "known 2"),
        (format!("web {OTHER_ED25519}\n*eb {ECDSA}\n"), "web", 22, "changed 1 2"),
        (format!("web {ECDSA}\n"), "web", 22, "changed 1"),
        // Revoked wins over all others.
        (format!("web {ED25519}\n@revoked web {ED25519}\n"), "web", 22, "revoked 2"),
        (format!("@revoked * {ED25519}\nweb {ED25519}\n"), "web", 22, "revoked 1"),
        (format!("@revoked\tweb,x {ED25519}\n"), "web", 22, "revoked 1"),
        (format!("@revoked other {ED25519}\nweb {ED25519}\n"), "web", 22, "known 2"),
        (format!("@revoked web {OTHER_ED25519}\n"), "web", 22, "unknown"),
        (format!("[web]:2222 {ED25519}\n@revoked web {ED25519}\n"), "web", 2222, "revoked 2"),
        // An authority's key is not a host's key.
        (format!("@cert-authority * {ED25519}\n"), "web", 22, "unknown"),
        // Bad lines don't affect others.
        (format!("web {}\nweb {ED25519}\n", &ED25519[..40]), "web", 22, "known 2"),
        (format!("@what web {OTHER_ED25519}\nweb {ED25519}"), "web", 22, "known 2"),
    ];
    for (content, name, port, expected) in table {
        let (_dir, path) = file(&content);
        assert_eq!(verdict(&load(&path), &Host::new(name, port), ED25519), expected, "{content}");
    }
}

#[test]
fn an_alias_stands_for_name_and_port() {
    let (_dir, path) = file(format!("shared {ED25519}\nweb {OTHER_ED25519}\n[web]:2222 {OTHER_ED25519}\n"));
    let host = Host::new("web", 2222).alias(Some("Shared".into()));
    assert_eq!(verdict(&load(&path), &host, ED25519), "known 1");
    assert_eq!(verdict(&load(&path), &host, OTHER_ED25519), "changed 1");
    let host = Host::new("web", 2222).alias(Some("nobody".into()));
    assert_eq!(verdict(&load(&path), &host, OTHER_ED25519), "unknown");
}

#[test]
fn several_names_count_alike() {
    let (_dir, path) = file(format!("b {ED25519}\n"));
    let host = Host { names: vec!["a".into(), "b".into()], port: 22, alias: None };
    assert_eq!(verdict(&load(&path), &host, ED25519), "known 1");
    assert_eq!(verdict(&load(&path), &host, OTHER_ED25519), "changed 1");
}

#[test]
fn all_files_count_and_places_name_theirs() {
    let (_a, user) = file(format!("\nweb {OTHER_ED25519}\n"));
    let (_b, system) = file(format!("web {ED25519}\n@revoked * {ECDSA}\n"));
    let known =
        KnownHosts::load(&[user.clone(), "/nonexistent/known_hosts".into()], std::slice::from_ref(&system)).unwrap();
    let web = Host::new("web", 22);
    assert_eq!(verdict(&known, &web, ED25519), "known 1");
    assert_eq!(verdict(&known, &web, OTHER_ED25519), "known 2");
    assert_eq!(verdict(&known, &web, ECDSA), "revoked 2");
    let places: Vec<_> = known.keys(&web).unwrap().into_iter().map(|key| (key.place.to_string(), key.marker)).collect();
    let place = |path: &std::path::Path, line| format!("{}:{line}", path.display());
    assert_eq!(
        places,
        [(place(&user, 2), None), (place(&system, 1), None), (place(&system, 2), Some(Marker::Revoked))]
    );
}

#[test]
fn hashed_names_are_found_and_counted_in_every_way() {
    let (_dir, path) = file(format!("web {ED25519}\n[web]:2222 {ECDSA}\nother {OTHER_ED25519}\n"));
    let done = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&path).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let hashed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(hashed.matches("|1|").count(), 3);
    let known = load(&path);
    assert_eq!(verdict(&known, &Host::new("Web", 22), ED25519), "known 1");
    assert_eq!(verdict(&known, &Host::new("web", 22), ECDSA), "changed 1");
    assert_eq!(verdict(&known, &Host::new("web", 2222), ECDSA), "known 2");
    assert_eq!(verdict(&known, &Host::new("web", 2222), OTHER_ED25519), "changed 2");
    assert_eq!(verdict(&known, &Host::new("web", 2022), ED25519), "known 1");
    assert_eq!(verdict(&known, &Host::new("none", 22), ED25519), "unknown");
    // Beside plain lines: a matching plain line doesn't hide a matching hashed one.
    let third = hashed.lines().nth(2).unwrap();
    std::fs::write(&path, format!("{hashed}web {OTHER_ED25519}\n@revoked {third}")).unwrap();
    assert_eq!(verdict(&known, &Host::new("web", 22), ED25519), "known 1");
    assert_eq!(verdict(&known, &Host::new("web", 22), OTHER_ED25519), "known 4");
    assert_eq!(verdict(&known, &Host::new("web", 22), ECDSA), "changed 4 1");
    assert_eq!(verdict(&known, &Host::new("other", 22), OTHER_ED25519), "revoked 5");
}

#[test]
fn bad_lines_are_reported_with_their_places() {
    let truncated = &ED25519[..ED25519.len() - 8];
    let lines = [
        (format!("ok {ED25519}"), None),
        ("web".to_owned(), Some(BadLineReason::NoKey)),
        ("web ssh-ed25519".to_owned(), Some(BadLineReason::NoKey)),
        ("web # nothing".to_owned(), Some(BadLineReason::NoKey)),
        ("@revoked".to_owned(), Some(BadLineReason::NoKey)),
        (format!("@REVOKED web {ED25519}"), Some(BadLineReason::Marker)),
        (format!("@revoked @revoked web {ED25519}"), Some(BadLineReason::Marker)),
        (format!("web {truncated}"), Some(BadLineReason::Key)),
        (format!("web {ED25519}!"), Some(BadLineReason::Key)),
        (format!("web {}", ED25519.replace("ssh-ed25519 ", "ssh-rsa ")), Some(BadLineReason::KeyType)),
        (format!("|1|AAAA|AAAA {ED25519}"), Some(BadLineReason::Hash)),
        (format!("|2|what {ED25519}"), Some(BadLineReason::Hash)),
        ("web 1024 35 1234567".to_owned(), Some(BadLineReason::Key)),
        // Not text, and ignored.
        (format!("caf\u{e9} {ED25519} \u{1F600}"), None),
    ];
    let (_dir, path) = file(lines.each_ref().map(|(line, _)| line.as_str()).join("\n"));
    let told: Vec<_> = load(&path).bad_lines().into_iter().map(|bad| (bad.place.line, bad.reason)).collect();
    let expected: Vec<_> = lines.iter().enumerate().filter_map(|(i, (_, bad))| bad.map(|bad| (i + 1, bad))).collect();
    assert_eq!(told, expected);
}

#[test]
fn an_unreadable_file_fails_closed() {
    let dir = tempfile::tempdir().unwrap();
    let error = KnownHosts::load(&[dir.path().to_owned()], &[]).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read {}: ", dir.path().display())), "{error}");

    // The file may also become unreadable later.
    let path = dir.path().join("known_hosts");
    std::fs::write(&path, format!("web {ED25519}\n")).unwrap();
    let known = load(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(verdict(&known, &Host::new("web", 22), ED25519), "unknown");
    std::fs::create_dir(&path).unwrap();
    let web = Host::new("web", 22);
    known.check(&web, &key(ED25519).into(), std::time::SystemTime::now()).unwrap_err();
    known.algorithms(&web, &["ssh-ed25519"]).unwrap_err();
    known.record(&web, &key(ED25519).into(), false).unwrap_err();
}

#[test]
fn a_file_that_changes_on_disk_is_read_again() {
    let (_dir, path) = file(format!("# first\nweb {ED25519}"));
    let (known, web, two) = (load(&path), Host::new("web", 22), Host::new("two", 22));
    assert_eq!(verdict(&known, &web, ED25519), "known 2");
    // It grows in the middle of a line, then by lines.
    std::fs::write(&path, format!("# first\nweb {ED25519}\ntwo {ECDSA}\n")).unwrap();
    assert_eq!((verdict(&known, &web, ED25519), verdict(&known, &two, ECDSA)), ("known 2".into(), "known 3".into()));
    let content = format!("# first\nweb {ED25519}\ntwo {ECDSA}\ntwo {ED25519}\nbad\n");
    std::fs::write(&path, &content).unwrap();
    assert_eq!((verdict(&known, &two, ECDSA), verdict(&known, &two, ED25519)), ("known 3".into(), "known 4".into()));
    assert_eq!(known.bad_lines()[0].place.line, 5);
    // Another file takes its place, of the same length.
    let other = path.with_extension("new");
    std::fs::write(&other, content.replace("web", "wex")).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!((verdict(&known, &web, ED25519), verdict(&known, &two, ECDSA)), ("unknown".into(), "known 3".into()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(verdict(&known, &two, ECDSA), "unknown");
    assert_eq!(known.bad_lines(), []);
}

#[test]
fn algorithms_follow_the_keys_that_are_known() {
    const OFFERED: [&str; 7] = [
        "ssh-ed25519-cert-v01@openssh.com",
        "rsa-sha2-512-cert-v01@openssh.com",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "rsa-sha2-512",
        "ssh-rsa",
    ];
    let rsa = ssh_keygen_rsa();
    let order = |content: String, host: Host| {
        let (_dir, path) = file(content);
        let order = load(&path).algorithms(&host, &OFFERED).unwrap();
        order
            .iter()
            .map(|name| OFFERED.iter().position(|offered| offered == name).unwrap().to_string())
            .collect::<String>()
    };
    let web = || Host::new("web", 22);
    assert_eq!(order(String::new(), web()), "0123456");
    assert_eq!(order(format!("web {ECDSA}\n"), web()), "3012456");
    assert_eq!(order(format!("web {rsa}\n"), web()), "1560234");
    assert_eq!(order(format!("web {rsa}\nweb {ECDSA}\n"), web()), "1356024");
    // The best kind is known already: nothing to do.
    assert_eq!(order(format!("web {rsa}\nweb {ED25519}\n"), web()), "0123456");
    assert_eq!(order(format!("@cert-authority * {ECDSA}\nweb {ECDSA}\n"), web()), "0132456");
    assert_eq!(order(format!("@revoked * {ECDSA}\n"), web()), "0123456");
    assert_eq!(order(format!("[web]:2222 {ECDSA}\nweb {rsa}\n"), Host::new("web", 2222)), "3012456");
    assert_eq!(order(format!("web {rsa}\n"), Host::new("web", 2222)), "1560234");
}

fn ssh_keygen_rsa() -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let done = Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-N", "", "-f"]).arg(&path).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    public.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_without_permission_is_no_empty_file() {
    let (_dir, path) = file(format!("web {ED25519}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    // Root may read it anyway, and must then get its content.
    match KnownHosts::load(&[path], &[]) {
        Ok(known) => assert_eq!(verdict(&known, &Host::new("web", 22), ED25519), "known 1"),
        Err(error) => assert_eq!(error.error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_parser_panic(content in proptest::collection::vec(any::<u8>(), 0..300), name in "\\PC{0,20}") {
        let (_dir, path) = file(&content);
        let known = load(&path);
        known.keys(&Host::new(name, 22)).unwrap();
        known.bad_lines();
    }

    #[test]
    fn no_line_makes_the_parser_panic(
        lines in proptest::collection::vec("(@revoked |@cert-authority |@x )?[a-z*?!,.\\[\\]:|1=/]{0,20}[ \t]{0,2}(ssh-ed25519|ssh-rsa|x)? ?[A-Za-z0-9+/=]{0,60}", 0..20),
        name in "[a-z*?!,.]{0,8}",
    ) {
        let content = lines.join("\n");
        let (_dir, path) = file(&content);
        let known = load(&path);
        known.keys(&Host::new(name, 22)).unwrap();
        prop_assert!(known.bad_lines().iter().all(|bad| bad.place.line <= lines.len()));
    }
}
