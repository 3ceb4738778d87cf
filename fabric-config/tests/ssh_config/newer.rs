//! What OpenSSH 9.2 doesn't have yet, or what is more lenient here: by recorded tables, and beside the real `ssh -G`.

use std::net::IpAddr;
use std::sync::Arc;

use fabric_config::ssh_config::{Directive, Local, Lookup, Resolved, SshConfig, SshConfigError, SshConfigFiles};

use crate::compare::Oracle;

const KEYWORDS: &str = include_str!("keywords.txt");

fn local() -> Arc<Local> {
    Arc::new(Local::new("alice", "/home/alice", "laptop"))
}

fn ask(text: &str) -> Result<Resolved, SshConfigError> {
    SshConfig::parse(text, "config").resolve(&Lookup::new("web1", &local()))
}

fn keywords() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = KEYWORDS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').expect("a keyword and a value"))
}

#[test]
fn keywords_of_later_releases_and_other_builds_are_known() {
    let home = tempfile::tempdir().unwrap();
    let oracle = Oracle::new(home.path());
    let config = home.path().join("config");
    for (keyword, value) in keywords() {
        let directive = Directive::named(keyword).unwrap_or_else(|| panic!("{keyword}"));
        let resolved = ask(&format!("{keyword} {value}\nUser u\n")).unwrap();
        assert_eq!(resolved.origin(directive).to_string(), "config:1", "{keyword}");
        let used = matches!(keyword, "Tag" | "RefuseConnection");
        assert_eq!(resolved.unused().any(|(unused, _)| unused == directive), !used, "{keyword}");
        // Nothing of it is in force elsewhere; but it needs an argument there too.
        let elsewhere = ask(&format!("Host other\n{keyword} {value}\n")).unwrap();
        assert_eq!((elsewhere.unused().count(), elsewhere.refuse_connection()), (0, None), "{keyword}");
        ask(&format!("Host other\n{keyword}\n")).unwrap_err();
        // Or it would belong into the comparisons.
        std::fs::write(&config, format!("{keyword} {value}\n")).unwrap();
        assert_eq!(oracle.ssh(&["-F", config.to_str().unwrap()], "web1"), None, "{keyword}");
    }
    assert_eq!(ask("RefuseConnection \"not here\"\n").unwrap().refuse_connection(), Some("not here"));
}

#[test]
fn criteria_of_later_releases_are_judged() {
    let config = SshConfig::parse(
        "Match tagged lab*\n User tagged\nMatch tagged \"\"\n Port 1\nMatch localnetwork 10.0.0.0/8,fd00::/8\n Compression yes\n\
         Match version OpenSSH_10.*\n ForwardX11 yes\nMatch version OpenSSH_9.*\n ForwardX11Trusted no\n\
         Match sessiontype exec\n BatchMode yes\nMatch sessiontype shell command \"\"\n VisualHostKey yes\n\
         Match command uname*\n HashKnownHosts yes\nMatch !command \"\"\n GatewayPorts yes\n",
        "config",
    );
    let local = local();
    let addresses = ["127.0.0.1", "10.1.2.3"].map(|address| address.parse::<IpAddr>().unwrap());
    let seen = |lookup: Lookup<'_>| {
        let resolved = config.resolve(&lookup).unwrap();
        let flags = [
            Directive::Compression,
            Directive::ForwardX11,
            Directive::ForwardX11Trusted,
            Directive::BatchMode,
            Directive::VisualHostKey,
            Directive::HashKnownHosts,
            Directive::GatewayPorts,
        ];
        let set = flags.iter().filter(|flag| resolved.names(**flag)).map(|flag| flag.name()).collect::<Vec<_>>();
        (resolved.user().to_owned(), resolved.port(), set.join(" "))
    };
    let lookup = || Lookup::new("web1", &local);
    let plain = seen(lookup().local_addresses(&addresses[..1]));
    assert_eq!(plain, ("alice".to_owned(), 1, "forwardx11 visualhostkey".to_owned()));
    let near = seen(lookup().local_addresses(&addresses).option("Tag=lab1").command("uname -a"));
    let set = "compression forwardx11 batchmode hashknownhosts gatewayports";
    assert_eq!(near, ("tagged".to_owned(), 22, set.to_owned()));
    // Loopback is an interface that is up.
    let own = SshConfig::parse("Match localnetwork 127.0.0.0/8,::1\n User here\n", "config");
    assert_eq!(own.resolve(&lookup()).unwrap().user(), "here");
}

#[test]
fn algorithms_that_are_not_known_are_left_out() {
    for (line, left, unknown) in [
        ("Ciphers rot13,aes128-ctr", "aes128-ctr", "rot13"),
        ("Ciphers aes*,aes128-ctr,rot13", "aes128-ctr", "aes* rot13"),
        ("MACs hmac-x@y,hmac-sha2-256", "hmac-sha2-256", "hmac-x@y"),
        ("KexAlgorithms kyber,mlkem768x25519-sha256", "mlkem768x25519-sha256", "kyber"),
        ("HostKeyAlgorithms ssh-falcon,ssh-ed25519", "ssh-ed25519", "ssh-falcon"),
        ("PubkeyAcceptedAlgorithms ssh-mldsa44,ssh-ed25519", "ssh-ed25519", "ssh-mldsa44"),
    ] {
        let resolved = ask(line).unwrap();
        let keyword = line.split(' ').next().unwrap().to_lowercase();
        let found = resolved.dump().into_iter().find(|line| line.key == keyword).unwrap();
        assert_eq!(found.value, left, "{line}");
        let skipped = resolved.unknown_algorithms().map(|(_, names)| names.join(" ")).collect::<Vec<_>>();
        assert_eq!(skipped, [unknown], "{line}");
        // Nothing is left: an error, where it counts.
        for sign in ["", "+", "^", "-"] {
            let line = format!("{keyword} {sign}not-known-1,not-known-2\n");
            match ask(&line) {
                Err(error) => {
                    assert_eq!(sign, "", "{error}");
                    let text = error.to_string();
                    assert!(
                        text.contains(&keyword) && text.contains("not-known-1") && text.ends_with("(config:1)"),
                        "{text}"
                    );
                }
                Ok(resolved) => {
                    assert_ne!(sign, "", "{line}");
                    let default = ask("").unwrap().dump().into_iter().find(|line| line.key == keyword);
                    let found = resolved.dump().into_iter().find(|line| line.key == keyword);
                    assert_eq!(found.map(|line| line.value), default.map(|line| line.value), "{line}");
                }
            }
            let elsewhere = format!("Host other\n{line}Match user nobody\n{line}");
            assert_eq!(ask(&elsewhere).unwrap().unknown_algorithms().count(), 0, "{elsewhere}");
        }
    }
}

/// Whatever is no option is an error as in `ssh`, in a block that doesn't apply too, with the way out.
#[test]
fn unknown_keywords_are_errors_as_in_ssh() {
    let home = tempfile::tempdir().unwrap();
    let oracle = Oracle::new(home.path());
    let config = home.path().join("config");
    for (text, line) in
        [("Colour red\n", 1), ("User u\nHost other\n Colour red\n", 3), ("Match user x\nColour red\n", 2)]
    {
        let error = ask(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("config:{line}: Bad configuration option: colour")), "{error}");
        ask(&format!("IgnoreUnknown col*\n{text}")).unwrap();
        std::fs::write(&config, text).unwrap();
        assert_eq!(oracle.ssh(&["-F", config.to_str().unwrap()], "web1"), None);
        std::fs::write(&config, format!("IgnoreUnknown col*\n{text}")).unwrap();
        assert!(oracle.ssh(&["-F", config.to_str().unwrap()], "web1").is_some());
    }
}

#[test]
fn files_without_an_end_are_errors_at_once() {
    let home = tempfile::tempdir().unwrap();
    let local = local();
    let path = |name: &str| home.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    // One line of 20 MB, which takes no room on the disk.
    std::fs::File::create(path("endless")).unwrap().set_len(20_000_000).unwrap();
    std::fs::write(path("loop"), format!("Include {0}\nInclude {0}\n", path("loop").display())).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    let included = |file: &str| {
        let config = path("config");
        std::fs::write(&config, format!("Include {file}\nUser u\n")).unwrap();
        let config = SshConfig::load(&SshConfigFiles::explicit(config), &local).unwrap();
        config
            .resolve(&Lookup::new("web1", &local))
            .map(|resolved| resolved.user().to_owned())
            .map_err(|e| e.to_string())
    };
    for (file, said) in [
        ("/dev/zero", "it is a device"),
        ("/dev/random", "it is a device"),
        ("pipe", "it is a named pipe"),
        ("socket", "it is a socket"),
        ("endless", "it is larger than 16 MiB"),
        ("loop", "too many recursive configuration includes"),
    ] {
        let file = path(file).display().to_string();
        let error = included(&file).unwrap_err();
        assert!(error.contains(said) && error.contains("config"), "{error}");
        let config = SshConfig::load(&SshConfigFiles::explicit(&file), &local).unwrap();
        assert!(config.resolve(&Lookup::new("web1", &local)).unwrap_err().to_string().contains(said));
    }
    // As with ssh.
    for file in ["folder", "missing"] {
        assert_eq!(included(&path(file).display().to_string()).as_deref(), Ok("u"), "{file}");
    }
}
