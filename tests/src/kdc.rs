//! A Kerberos realm on loopback.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use crate::guard::Guard;
use crate::sshd::{SshdBuilder, free_port};
use crate::tool::tool;

/// A realm with one user, and a host principal for each address. All is in one directory, and ends when it is dropped.
pub struct Kdc {
    dir: PathBuf,
    _guard: Guard,
}

impl Kdc {
    /// Starts the realm's KDC, which knows this user and the hosts of these addresses.
    #[track_caller]
    pub fn start(user: &str, hosts: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("fabric-kdc-").tempdir().expect("a temporary directory").keep();
        let port = free_port(Ipv4Addr::LOCALHOST);
        let write = |name: &str, text: String| fs::write(dir.join(name), text).expect("a file of the realm");
        write(
            "krb5.conf",
            format!(
                "[libdefaults]\n default_realm = FABRIC.TEST\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
                 dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n\
                 [realms]\n FABRIC.TEST = {{\n  kdc = 127.0.0.1:{port}\n }}\n[logging]\n kdc = STDERR\n"
            ),
        );
        write(
            "kdc.conf",
            format!(
                "[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = 127.0.0.1:{port}\n\
                 [realms]\n FABRIC.TEST = {{\n  database_name = {dir}/principal\n  key_stash_file = {dir}/stash\n }}\n",
                dir = dir.display()
            ),
        );
        let programs = ["kdb5_util", "kadmin.local", "krb5kdc"].map(tool);
        let hosts = hosts.iter().map(|host| PathBuf::from(format!("host/{host}")));
        let fixed = [dir.clone(), PathBuf::from(user)].into_iter().chain(programs);
        let mut guard = Guard::with(BEGIN, "kill $kdc; wait; rm -rf \"$dir\"", fixed.chain(hosts));
        let mut said = String::new();
        for line in BufReader::new(guard.stderr().expect("piped")).lines().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            if line.contains("commencing operation") {
                return Self { dir, _guard: guard };
            }
        }
        panic!("the KDC doesn't start:\n{said}");
    }

    /// The configuration of the realm, for `KRB5_CONFIG`.
    pub fn config(&self) -> String {
        self.path("krb5.conf")
    }

    /// A server that accepts tickets of this realm.
    pub fn believed_by(&self, sshd: SshdBuilder) -> SshdBuilder {
        sshd.config("GSSAPIAuthentication yes")
            .config("GSSAPIStrictAcceptorCheck no")
            .env("KRB5_CONFIG", self.config())
            .env("KRB5_KTNAME", self.path("host.keytab"))
            .env("KRB5RCACHENAME", "none:")
    }

    /// Gets a forwardable ticket for the user, and returns the name of its cache (`KRB5CCNAME`).
    #[track_caller]
    pub fn ticket(&self, user: &str) -> String {
        let cache = format!("FILE:{}", self.path("tickets"));
        let got = Command::new(tool("kinit"))
            .args(["-f", "-k", "-t", &self.path("user.keytab"), "-c", &cache, user])
            .env("KRB5_CONFIG", self.config())
            .output()
            .expect("kinit starts");
        assert!(got.status.success(), "kinit: {}", String::from_utf8_lossy(&got.stderr));
        cache
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// `$1` directory, `$2` user, `$3` to `$5` programs, then host principals.
const BEGIN: &str = r#"
dir=$1 user=$2 util=$3 admin=$4 server=$5
shift 5
export KRB5_CONFIG="$dir/krb5.conf" KRB5_KDC_PROFILE="$dir/kdc.conf"
"$util" create -s -P master >&2
for name in "$user" "$@"; do
    "$admin" addprinc -randkey "$name" >&2
done
"$admin" ktadd -k "$dir/user.keytab" "$user" >&2
"$admin" ktadd -k "$dir/host.keytab" "$@" >&2
"$server" -n &
kdc=$!
"#;
