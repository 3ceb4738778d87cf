//! Lists as they are typed: `-H web[1-3],@more.txt`.

use fabric_core::HostStringError;
use fabric_core::host::{expand, split_list};
use thiserror::Error;

use super::compose::{compose, operands};
use super::inventory::lines;

/// A list option that cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// An item, or a line of a file, is no host.
    #[error("{}{error}", .place.as_ref().map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default())]
    Host {
        /// The file and the line, if it comes from one.
        place: Option<(String, usize)>,
        /// What is wrong.
        error: HostStringError,
    },
    /// A `@file` cannot be read.
    #[error("cannot read the host list `{file}`: {error}")]
    File {
        /// The file; `-` is standard input.
        file: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Reads the value of `-H`, `-x` or `--only`: host strings with ranges and braces, and `@file` (one host
/// string a line, `#` comments; `@-` is standard input), separated by commas, with set operations on them
/// ([`operands`]).
///
/// `read` yields a file's text; it is given what follows the `@`.
///
/// ```
/// use fabric_exec::hostlist::read_host_option;
/// let hosts = read_host_option("web[1-2],@list", |_| Ok("db1 # main\n\ndb{2,3}\n".to_owned()))?;
/// assert_eq!(hosts, ["web1", "web2", "db1", "db2", "db3"]);
/// let up = read_host_option("web[1-9]!@down", |_| Ok("web[4-9]\n".to_owned()))?;
/// assert_eq!(up, ["web1", "web2", "web3"]);
/// # Ok::<(), fabric_exec::hostlist::ListError>(())
/// ```
pub fn read_host_option(
    text: &str,
    mut read: impl FnMut(&str) -> std::io::Result<String>,
) -> Result<Vec<String>, ListError> {
    let items = split_list(text).into_iter().map(operands);
    compose(items, String::as_str, |_, operand| hosts_of(operand, &mut read), |_, _, _| {})
}

fn hosts_of(operand: &str, read: &mut impl FnMut(&str) -> std::io::Result<String>) -> Result<Vec<String>, ListError> {
    let Some(file) = operand.strip_prefix('@').filter(|file| !file.is_empty()) else {
        return expand_item(operand).map_err(|error| ListError::Host { place: None, error });
    };
    let text = read(file).map_err(|error| ListError::File { file: file.to_owned(), error })?;
    let mut hosts = Vec::new();
    for (number, line) in lines(&text) {
        for item in split_list(line) {
            let wrong = |error| ListError::Host { place: Some((file.to_owned(), number)), error };
            hosts.extend(expand_item(item).map_err(wrong)?);
        }
    }
    Ok(hosts)
}

/// The hosts of one item: its ranges and braces expanded, each a host string.
///
/// ```
/// use fabric_exec::hostlist::expand_item;
/// assert_eq!(expand_item("web[1-2]:22")?, ["web1:22", "web2:22"]);
/// assert!(expand_item("web[1-2]:http").is_err());
/// # Ok::<(), fabric_core::HostStringError>(())
/// ```
pub fn expand_item(item: &str) -> Result<Vec<String>, HostStringError> {
    let hosts = expand(item)?;
    for host in &hosts {
        fabric_core::HostString::parse(host)?;
    }
    Ok(hosts)
}
