//! Asks `ssh -G` and the resolver the same question.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fabric_config::ssh_config::{HostResolver, Local, Lookup, Resolved, SshConfig, SshConfigFiles};

use crate::generator::{self, Files};
use crate::rng::Rng;
use crate::settings;

/// The lines of an answer.
pub(crate) type Lines = Vec<(String, String)>;

/// One lookup.
#[derive(Debug)]
pub(crate) struct Case {
    config: PathBuf,
    host: String,
    user: Option<&'static str>,
    port: Option<u16>,
    options: Vec<String>,
}

impl Case {
    pub(crate) fn plain(config: PathBuf, host: &str) -> Self {
        Self { config, host: host.to_owned(), user: None, port: None, options: Vec::new() }
    }

    pub(crate) fn random(rng: &mut Rng, files: &Files) -> Self {
        let mut case = Self::plain(files.root.clone(), settings::host(rng));
        if rng.one_in(4) {
            case.user = Some(rng.pick(&["deploy", "root", "Admin", "a.b", "x y"]));
        }
        if rng.one_in(5) {
            case.port = Some([22, 2222, 1, 65535][rng.below(4)]);
        }
        if rng.one_in(6) {
            case.options = rng.several(1, 3, generator::option);
        }
        case
    }
}

/// The real ssh, in an environment of the test's own.
pub(crate) struct Oracle {
    pub(crate) local: Arc<Local>,
}

impl Oracle {
    pub(crate) fn new(home: &Path) -> Self {
        let mut local = Local::capture_like_ssh();
        local.env = HashMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            // Not what ssh takes for `~`, but where it looks for included files.
            ("HOME".to_owned(), home.to_str().unwrap().to_owned()),
            ("FAB_NAME".to_owned(), "web".to_owned()),
            ("FAB_PATH".to_owned(), "/run/fab/%h.sock".to_owned()),
            ("FAB_EMPTY".to_owned(), String::new()),
        ]);
        Self { local: Arc::new(local) }
    }

    /// What ssh prints, or nothing if it fails.
    pub(crate) fn ssh(&self, arguments: &[&str], host: &str) -> Option<Lines> {
        let mut ssh = Command::new("ssh");
        ssh.args(["-G"]).args(arguments).args(["--", host]).env_clear().envs(&self.local.env);
        let output = ssh.stdin(Stdio::null()).output().expect("ssh is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then(|| {
            text.lines()
                .map(|line| line.split_once(' ').unwrap_or((line, "")))
                .map(|(k, v)| (k.into(), v.into()))
                .collect()
        })
    }

    /// `Ok(true)` if both answer alike, `Ok(false)` if both refuse.
    pub(crate) fn difference(&self, case: &Case, resolver: Option<&dyn HostResolver>) -> Result<bool, String> {
        let port = case.port.map(|port| port.to_string());
        let mut arguments = vec!["-F", case.config.to_str().unwrap()];
        arguments.extend(case.user.iter().flat_map(|user| ["-l", *user]));
        arguments.extend(port.iter().flat_map(|port| ["-p", port.as_str()]));
        arguments.extend(case.options.iter().flat_map(|option| ["-o", option.as_str()]));
        let expected = self.ssh(&arguments, &case.host);

        let config =
            SshConfig::load(&SshConfigFiles::explicit(&case.config), &self.local).map_err(|error| error.to_string())?;
        let mut lookup = Lookup::new(&case.host, &self.local);
        if let Some(user) = case.user {
            lookup = lookup.user(user);
        }
        if let Some(port) = case.port {
            lookup = lookup.port(port);
        }
        for option in &case.options {
            lookup = lookup.option(option);
        }
        if let Some(resolver) = resolver {
            lookup = lookup.resolver(resolver);
        }
        let answer = config.resolve(&lookup);
        let found = match (&answer, &expected) {
            (Err(_), None) => return Ok(false),
            (Err(error), Some(_)) => format!("ssh answers, the resolver says: {error}"),
            (Ok(_), None) => {
                let mut ssh = Command::new("ssh");
                ssh.arg("-G").args(&arguments).args(["--", &case.host]).env_clear().envs(&self.local.env);
                let output = ssh.stdin(Stdio::null()).output().expect("ssh is installed");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if only_algorithms(&said) {
                    return Ok(false);
                }
                format!("the resolver answers, ssh says: {said}")
            }
            (Ok(values), Some(expected)) => {
                let ours = lines(values);
                if ours == *expected {
                    return Ok(true);
                }
                let only = |a: &Lines, b: &Lines| {
                    a.iter()
                        .filter(|line| !b.contains(line))
                        .fold(String::new(), |all, (k, v)| all + k + " " + v + "\n")
                };
                format!("--- ssh:\n{}--- the resolver:\n{}", only(expected, &ours), only(&ours, expected))
            }
        };
        Err(format!("ssh -G {} -- {}\n{found}", arguments.join(" "), case.host))
    }
}

/// The resolver's answer, in the same form.
pub(crate) fn lines(resolved: &Resolved) -> Lines {
    resolved.dump().into_iter().map(|line| (line.key.to_owned(), line.value)).collect()
}

/// Whether `ssh` refuses only names of algorithms that it doesn't know, which the resolver leaves out.
fn only_algorithms(said: &str) -> bool {
    const BAD: [&str; 6] = [
        "Bad SSH2 ",
        "Bad key types",
        "Bad protocol 2 host key",
        "Bad CASignature",
        "Unsupported KEX algorithm",
        "terminating,",
    ];
    said.lines().all(|line| BAD.iter().any(|bad| line.contains(bad)))
}
