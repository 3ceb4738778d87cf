//! A real dropbear on loopback: a server that is not OpenSSH's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::guard::Guard;
use crate::sshd::free_port;
use crate::tool::{needs_root, tool};

/// A running server on one address. It lets users in by the `authorized_keys` in their homes, or by password.
pub struct Dropbear {
    dir: PathBuf,
    host_string: String,
    _guard: Guard,
}

impl Dropbear {
    /// Starts it, and returns once it accepts connections.
    #[track_caller]
    pub fn start() -> Self {
        Self::begin("exec")
    }

    /// Starts it without its program for SFTP, as on a small device. Needs root, for a mount namespace in which another file
    /// replaces that program.
    #[track_caller]
    pub fn start_without_sftp() -> Self {
        needs_root();
        tool("unshare");
        Self::begin(WITHOUT_SFTP)
    }

    #[track_caller]
    fn begin(how: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("fabric-dropbear-").tempdir().expect("a temporary directory").keep();
        let address = Ipv4Addr::new(127, 0, 3, 1);
        let host_string = format!("{address}:{}", free_port(address));
        let args = [dir.clone(), tool("dropbear"), tool("dropbearkey"), PathBuf::from(&host_string), how.into()];
        let mut guard = Guard::with(BEGIN, "kill $server; wait; rm -rf \"$dir\"", args);
        let mut said = String::new();
        for line in BufReader::new(guard.stderr().expect("piped")).lines().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            if line.contains("Not backgrounding") {
                return Self { dir, host_string, _guard: guard };
            }
            if line.contains("Early exit") || line.contains("Failed listening") {
                break;
            }
        }
        panic!("dropbear doesn't start:\n{said}");
    }

    /// `address:port`.
    pub fn host_string(&self) -> &str {
        &self.host_string
    }

    /// Its line of known_hosts.
    pub fn known_hosts(&self) -> String {
        let text = fs::read_to_string(self.dir.join("host_key.pub")).expect("the server's public key");
        let key = text.lines().find(|line| line.starts_with("ssh-ed25519 ")).expect("a line with the key");
        let (address, port) = self.host_string.split_once(':').expect("address:port");
        format!("[{address}]:{port} {key}\n")
    }
}

/// The path of the program that is compiled into dropbear.
const WITHOUT_SFTP: &str = r#"
for program in $(grep -ao '/[a-z/]*/sftp-server' "$2"); do
    [ -e "$program" ] && mount --bind /dev/null "$(readlink -f "$program")" || :
done
exec"#;

/// `$1` directory, `$2` dropbear, `$3` dropbearkey, `$4` address and port, `$5` commands before it.
const BEGIN: &str = r#"
dir=$1
"$3" -t ed25519 -f "$dir/host_key" >"$dir/host_key.pub"
case $5 in exec) own= ;; *) own="unshare -m" ;; esac
$own sh -c "$5"' "$2" -F -E -r "$1/host_key" -P "$1/pid" -p "$4"' sh "$dir" "$2" "$3" "$4" &
server=$!
"#;
