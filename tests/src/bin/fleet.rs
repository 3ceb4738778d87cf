//! A process that is N cheap SSH hosts, for benchmarks and for trying things out.
//!
//! ```text
//! fleet [HOSTS] [DIRECTORY]
//! ```
//!
//! Prints one line of JSON once all hosts take connections: the directory with `client_key`, `known_hosts` and
//! `ssh_config`, and the hosts as host strings. It ends at the end of its standard input: what starts it holds a pipe,
//! and however that ends, the fleet ends with it. The commands that [`fabric_transport_fleet::cheap`] lists take no
//! process; other ones are run by `sh`.

use std::io::Write;
use std::process::ExitCode;

use fabric_transport_fleet::{Fleet, cheap};

/// So many hosts there are unless a number is given.
const HOSTS: usize = 10;

/// Each host has an address of its own: from 127.0.1.1 to 127.255.255.254.
const MOST_HOSTS: usize = 0xff_fffe - 0x100;

const USAGE: &str = "\
Usage: fleet [HOSTS] [DIRECTORY]

Serves HOSTS cheap SSH hosts (10), until its standard input ends. Prints one line of JSON once all take connections:
`dir`, the directory with client_key, known_hosts and ssh_config (DIRECTORY, or a temporary one), and `hosts`, the
host strings.
";

/// What was asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Help,
    Serve { hosts: usize, dir: Option<String> },
}

impl Asked {
    fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut texts = Vec::new();
        for arg in args {
            match arg.as_str() {
                "-h" | "--help" => return Ok(Self::Help),
                // A number below 0 is quoted as it is.
                option if option.starts_with('-') && option.parse::<i64>().is_err() => {
                    return Err(format!("unknown option {option}"));
                }
                _ => texts.push(arg),
            }
        }
        let mut texts = texts.into_iter();
        let hosts = match texts.next() {
            None => HOSTS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|hosts| (1..=MOST_HOSTS).contains(hosts))
                .ok_or_else(|| format!("`{text}` is not a number of hosts: expected 1 to {MOST_HOSTS}"))?,
        };
        let dir = texts.next();
        texts.next().map_or(Ok(Self::Serve { hosts, dir }), |text| Err(format!("unexpected argument `{text}`")))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let (hosts, dir) = match Asked::parse(std::env::args().skip(1)) {
        Ok(Asked::Serve { hosts, dir }) => (hosts, dir),
        Ok(Asked::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("fleet: {error}\nSee `fleet --help`.");
            return ExitCode::from(2);
        }
    };
    match serve(hosts, dir).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(hosts: usize, dir: Option<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Fleet::builder().hosts(hosts).one_host_key().answers(cheap());
    if let Some(dir) = dir {
        builder = builder.root(dir);
    }
    let fleet = builder.start().await?;
    let about = serde_json::json!({ "dir": fleet.dir(), "hosts": fleet.host_strings() });
    writeln!(std::io::stdout(), "{about}")?;
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Asked, String> {
        Asked::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_asked_for_is_understood_or_told() {
        assert_eq!(parse(""), Ok(Asked::Serve { hosts: HOSTS, dir: None }));
        assert_eq!(parse("3 /somewhere"), Ok(Asked::Serve { hosts: 3, dir: Some("/somewhere".to_owned()) }));
        assert_eq!((parse("-h"), parse("3 --help")), (Ok(Asked::Help), Ok(Asked::Help)));
        let wrong = |text: &str| format!("`{text}` is not a number of hosts: expected 1 to {MOST_HOSTS}");
        for text in ["abc", "-1", "0", "99999999999", "99999999999999999999"] {
            assert_eq!(parse(text), Err(wrong(text)), "{text}");
        }
        assert_eq!(parse("--hosts 3"), Err("unknown option --hosts".to_owned()));
        assert_eq!(parse("3 a b"), Err("unexpected argument `b`".to_owned()));
    }
}
