//! The ssh_config resolver against the real `ssh -G` of the machine: random files, random hosts, no difference
//! allowed. Needs OpenSSH 9.2 as Debian builds it.
//!
//! `FABRIC_SSH_CONFIG_SEED` (default 1) and `FABRIC_SSH_CONFIG_LOOKUPS` (default 2000) choose other files and more
//! of them.

mod compare;
mod generator;
mod newer;
mod rng;
mod settings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use compare::{Case, Oracle};
use fabric_config::ssh_config::{AddressFamily, HostResolver, Lookup, SshConfig, SshConfigFiles};
use rng::Rng;

/// Lookups in each generated set of files.
const LOOKUPS_PER_CASE: u64 = 8;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn random_configurations_resolve_as_ssh_does() {
    let seed = number("FABRIC_SSH_CONFIG_SEED", 1);
    let cases = number("FABRIC_SSH_CONFIG_LOOKUPS", 2000).div_ceil(LOOKUPS_PER_CASE);
    let next = AtomicU64::new(0);
    let differences = Mutex::new(Vec::new());
    let answered = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases || differences.lock().unwrap().len() >= 5 {
                        break;
                    }
                    let home = tempfile::tempdir().unwrap();
                    let oracle = Oracle::new(home.path());
                    let mut rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
                    let files = generator::files(&mut rng, home.path());
                    for _ in 0..LOOKUPS_PER_CASE {
                        let case = Case::random(&mut rng, &files);
                        match oracle.difference(&case, None) {
                            Ok(true) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Ok(false) => {}
                            Err(difference) => {
                                let text = format!("seed {seed}, case {number}: {difference}\n{}", files.show());
                                differences.lock().unwrap().push(text);
                                break;
                            }
                        }
                    }
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n========\n"));
    // Files that ssh refuses prove little: most must not be.
    let answered = answered.into_inner();
    assert!(answered * 2 > cases * LOOKUPS_PER_CASE, "only {answered} lookups were answered");
}

/// Files for what random ones hit too rarely, each with the hosts to ask for.
#[test]
fn corner_cases_resolve_as_ssh_does() {
    let long_domains = format!("CanonicalDomains {}", vec!["a.org"; 33].join(" "));
    let many_keys: String = (0..101).fold(String::new(), |all, n| all + "IdentityFile /k" + &n.to_string() + "\n");
    let mut cases: Vec<&str> = include_str!("corner_cases.txt").split("\n----\n").collect();
    let long = |n: usize| "w".repeat(n);
    let limits = [
        format!("LocalForward 8080 {}:80", long(240)),
        format!("LocalForward 8080 {}:80", long(248)),
        format!("LocalForward 8080 {}:80", long(300)),
        format!("LocalForward /{} /{}", long(106), long(107)),
        format!("RemoteForward /{}", long(107)),
        format!("Match host web1,{}\nUser x", long(1022)),
        format!("Match host web1,{}\nUser x", long(1023)),
        format!("Match host !{},web1\nUser x", long(1023)),
        format!("Host {} web1\nUser {}", long(5000), long(5000)),
        format!("UserKnownHostsFile {}", "/a ".repeat(32)),
        format!("UserKnownHostsFile {}", "/a ".repeat(33)),
        format!("CanonicalizePermittedCNAMEs {}\nProxyCommand x", "a:b ".repeat(33)),
        format!("SendEnv {}", "A ".repeat(500)),
        format!("Match final\n{}", "CertificateFile a\n".repeat(101)),
    ];
    cases.extend([long_domains.as_str(), many_keys.as_str()]);
    cases.extend(limits.iter().map(String::as_str));
    assert!(cases.len() > 30);
    for text in cases {
        let home = tempfile::tempdir().unwrap();
        let oracle = Oracle::new(home.path());
        let config = home.path().join("config");
        std::fs::write(&config, text).unwrap();
        for host in [
            "web1",
            "Web1.Example.org",
            "127.1",
            "2001:DB8::1",
            "fe80::1%lo",
            "::FFFF:1.2.3.4",
            "10.0.0.1",
            "localhost",
        ] {
            let case = Case::plain(config.clone(), host);
            if let Err(difference) = oracle.difference(&case, None) {
                panic!("{difference}\n{text}");
            }
        }
    }
}

/// Files that include one another, as deep as it goes and one deeper; in blocks that apply and that don't.
#[test]
fn includes_nest_as_deep_as_in_ssh() {
    for depth in [1, 15, 16, 17] {
        for head in ["", "Host web1\n", "Host other\n", "Match final\n"] {
            let home = tempfile::tempdir().unwrap();
            let oracle = Oracle::new(home.path());
            let name = |n: usize| home.path().join(n.to_string());
            for n in 0..depth {
                let text = format!("{head}Include {}\nIdentityFile /k{n}\n", name(n + 1).display());
                std::fs::write(name(n), text).unwrap();
            }
            std::fs::write(name(depth), "Host web1\nUser last\n").unwrap();
            let answered = oracle.difference(&Case::plain(name(0), "web1"), None);
            assert_eq!(answered, Ok(depth <= 16), "{depth} {head:?}");
        }
    }
}

/// Knows what every machine knows without being asked.
struct LoopbackOnly;

impl HostResolver for LoopbackOnly {
    fn canonical_name(&self, name: &str, _: AddressFamily) -> Option<String> {
        (name == "localhost").then(|| "localhost".to_owned())
    }
}

#[test]
fn aliases_are_followed_as_ssh_does() {
    for text in [
        "CanonicalizePermittedCNAMEs *:*\n",
        "CanonicalizePermittedCNAMEs *:*\nCanonicalizeHostname yes\nMatch canonical\nUser c\n",
        "CanonicalizePermittedCNAMEs none\nCanonicalizeHostname always\nMatch final\nUser f\n",
        "CanonicalizePermittedCNAMEs a*:b*,c* x:y\n",
        "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\n",
        "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\nProxyJump x\n",
        "CanonicalizeHostname yes\nCanonicalDomains none a.org\n",
        "CanonicalizeHostname yes\nCanonicalDomains none\nMatch host localhost !final\nPort 3\n",
    ] {
        let home = tempfile::tempdir().unwrap();
        let oracle = Oracle::new(home.path());
        let config = home.path().join("config");
        std::fs::write(&config, text).unwrap();
        for host in ["localhost", "LOCALHOST", "127.0.0.1"] {
            let case = Case::plain(config.clone(), host);
            if let Err(difference) = oracle.difference(&case, Some(&LoopbackOnly)) {
                panic!("{difference}\n{text}");
            }
        }
    }
}

/// The machine's own files, the system's included.
#[test]
fn the_usual_files_resolve_as_ssh_does() {
    let home = tempfile::tempdir().unwrap();
    let oracle = Oracle::new(home.path());
    let config = SshConfig::load(&SshConfigFiles::usual(&oracle.local), &oracle.local).unwrap();
    for host in ["web1", "127.0.0.1", "Db.Example.org"] {
        let expected = oracle.ssh(&[], host).expect("ssh -G answers for the machine's own files");
        let lookup = Lookup::new(host, &oracle.local);
        assert_eq!(compare::lines(&config.resolve(&lookup).unwrap()), expected, "{host}");
    }
}

#[test]
fn no_file_is_the_defaults() {
    let home = tempfile::tempdir().unwrap();
    let oracle = Oracle::new(home.path());
    let config = SshConfig::load(&SshConfigFiles::explicit("none"), &oracle.local).unwrap();
    let expected = oracle.ssh(&["-F", "none"], "web1").unwrap();
    assert_eq!(compare::lines(&config.resolve(&Lookup::new("web1", &oracle.local)).unwrap()), expected);
    assert!(
        SshConfig::load(&SshConfigFiles::explicit(home.path().join("missing")), &Arc::clone(&oracle.local)).is_err()
    );
}
