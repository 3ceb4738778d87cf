//! Host certificates, made by `ssh-keygen -s`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ssh_key::Certificate;

use super::super::{CertificateFault, Host, HostKey, KnownHosts, PublicKey, Verdict};
use super::{OTHER_ED25519, load};

/// An authority and a host's key, in a directory.
struct Authority {
    dir: tempfile::TempDir,
}

impl Authority {
    fn new(key_type: &str) -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.generate("ca", key_type);
        authority.generate("host", "ed25519");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn generate(&self, name: &str, key_type: &str) {
        run("ssh-keygen", &["-q", "-t", key_type, "-N", "", "-f"], &self.path(name));
    }

    fn public(&self, name: &str) -> ssh_key::PublicKey {
        ssh_key::PublicKey::read_openssh_file(self.path(name).with_extension("pub")).unwrap()
    }

    /// A certificate of the host's key; the arguments select its kind.
    fn sign(&self, arguments: &[&str]) -> Certificate {
        let ca = self.path("ca");
        let arguments = [&["-q", "-s", ca.to_str().unwrap(), "-I", "id"], arguments].concat();
        run("ssh-keygen", &arguments, &self.path("host.pub"));
        Certificate::read_file(&self.path("host-cert.pub")).unwrap()
    }

    /// Files whose lines contain the authority's and the host's key in place of `CA` and `HOST`.
    fn known(&self, content: &str) -> KnownHosts {
        let text = |name| self.public(name).to_openssh().unwrap();
        let path = self.path("known_hosts");
        std::fs::write(&path, content.replace("CA", &text("ca")).replace("HOST", &text("host"))).unwrap();
        load(&path)
    }
}

fn run(program: &str, arguments: &[&str], file: &Path) {
    let done = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn judge(known: &KnownHosts, certificate: &Certificate) -> Verdict {
    known
        .check(&Host::new("Web.example.com", 22), &HostKey::of_certificate(certificate.clone()), SystemTime::now())
        .unwrap()
}

fn fault(verdict: Verdict) -> CertificateFault {
    match verdict {
        Verdict::BadCertificate { place, fault } => {
            assert_eq!(place.line, 1);
            fault
        }
        other => panic!("{other:?}"),
    }
}

const AUTHORITY: &str = "@cert-authority *.example.com CA\n";

#[test]
fn an_authority_vouches_for_its_hosts() {
    for key_type in ["ed25519", "ecdsa", "rsa"] {
        let ca = Authority::new(key_type);
        let certificate = ca.sign(&["-h", "-n", "other,web.example.com"]);
        assert!(matches!(judge(&ca.known(AUTHORITY), &certificate), Verdict::Known(place) if place.line == 1));
        // Not for other hosts.
        assert_eq!(judge(&ca.known("@cert-authority *.example.org CA\n"), &certificate), Verdict::Unknown);
        // And not with another key.
        let stranger = Authority::new("ed25519").sign(&["-h", "-n", "web.example.com"]);
        assert_eq!(judge(&ca.known(AUTHORITY), &stranger), Verdict::Unknown);
        // A line without the marker is no authority.
        assert!(matches!(judge(&ca.known("web.example.com CA\n"), &certificate), Verdict::Changed(_)));
    }
}

#[test]
fn a_certificate_must_be_in_order() {
    let ca = Authority::new("ed25519");
    let known = ca.known(AUTHORITY);
    let for_host = |arguments: &[&str]| ca.sign(&[&["-h", "-n", "web.example.com"], arguments].concat());

    assert_eq!(fault(judge(&known, &ca.sign(&["-n", "web.example.com"]))), CertificateFault::NotAHost);
    let other = ca.sign(&["-h", "-n", "a,b"]);
    assert_eq!(fault(judge(&known, &other)), CertificateFault::OtherHost(vec!["a".into(), "b".into()]));
    assert!(matches!(judge(&known, &ca.sign(&["-h"])), Verdict::Known(_)), "no names stand for any");

    let dated = for_host(&["-V", "20200101000000Z:20200102000000Z"]);
    assert_eq!(fault(judge(&known, &dated)), CertificateFault::Expired(1_577_923_200));
    let at = |seconds| {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        known.check(&Host::new("web.example.com", 22), &HostKey::of_certificate(dated.clone()), now).unwrap()
    };
    assert_eq!(fault(at(1_577_836_799)), CertificateFault::NotYetValid(1_577_836_800));
    assert!(matches!(at(1_577_836_800), Verdict::Known(_)));
    assert!(matches!(at(1_577_923_199), Verdict::Known(_)));
    assert_eq!(fault(at(1_577_923_200)), CertificateFault::Expired(1_577_923_200));

    let critical = for_host(&["-O", "critical:new@example.com=x"]);
    assert_eq!(fault(judge(&known, &critical)), CertificateFault::CriticalOption("new@example.com".into()));

    let forged = for_host(&[]).to_bytes().unwrap();
    let (last, rest) = forged.split_last().unwrap();
    let forged = Certificate::from_bytes(&[rest, &[last ^ 1]].concat()).unwrap();
    assert_eq!(fault(judge(&known, &forged)), CertificateFault::Signature);
}

#[test]
fn signatures_with_sha_1_are_refused() {
    let ca = Authority::new("rsa");
    let certificate = ca.sign(&["-t", "ssh-rsa", "-h", "-n", "web.example.com"]);
    let found = fault(judge(&ca.known(AUTHORITY), &certificate));
    assert_eq!(found, CertificateFault::SignatureAlgorithm("ssh-rsa".into()));
}

#[test]
fn an_alias_is_what_a_certificate_is_made_out_to() {
    let ca = Authority::new("ed25519");
    let known = ca.known("@cert-authority shared CA\n");
    let certificate = ca.sign(&["-h", "-n", "shared"]);
    let host = Host::new("web", 2222).alias(Some("shared".into()));
    assert!(matches!(
        known.check(&host, &HostKey::of_certificate(certificate.clone()), SystemTime::now()),
        Ok(Verdict::Known(_))
    ));
    // The port isn't part of it.
    let known = ca.known("@cert-authority [shared]:2222 CA\n");
    let host = Host::new("shared", 2222);
    assert!(matches!(
        known.check(&host, &HostKey::of_certificate(certificate.clone()), SystemTime::now()),
        Ok(Verdict::Known(_))
    ));
}

#[test]
fn a_certificate_is_judged_by_its_plain_key_where_nobody_vouches() {
    let ca = Authority::new("ed25519");
    let certificate = ca.sign(&["-h", "-n", "elsewhere"]);
    assert!(matches!(judge(&ca.known("web.example.com HOST\n"), &certificate), Verdict::Known(_)));
    let known = ca.known(&format!("{AUTHORITY}web.example.com HOST\n"));
    assert!(matches!(judge(&known, &certificate), Verdict::Known(place) if place.line == 2));
    let known = ca.known(&format!("web.example.com {OTHER_ED25519}\n"));
    assert!(matches!(judge(&known, &certificate), Verdict::Changed(_)));
    assert_eq!(judge(&ca.known(""), &certificate), Verdict::Unknown);
}

#[test]
fn a_revoked_key_or_authority_beats_a_good_certificate() {
    let ca = Authority::new("ed25519");
    let certificate = ca.sign(&["-h", "-n", "web.example.com"]);
    for revoked in ["@revoked * CA\n", "@revoked *.example.com HOST\n"] {
        let known = ca.known(&format!("{AUTHORITY}web.example.com HOST\n{revoked}"));
        assert!(matches!(judge(&known, &certificate), Verdict::Revoked(place) if place.line == 3), "{revoked}");
    }
    // In the other encoding of the key.
    let key = ssh_key::public::KeyData::Certificate(Box::new(certificate));
    let known = ca.known("@revoked * HOST\n");
    let verdict = known.check(&Host::new("web", 22), &PublicKey(key.into()).into(), SystemTime::now()).unwrap();
    assert!(matches!(verdict, Verdict::Revoked(_)));
}
