//! Lists as they are typed: `-H web[1-3],@more.txt`.

use fabric_core::HostStringError;
use fabric_core::host::{expand, split_list};
use thiserror::Error;

use super::inventory::lines;

/// A list option that cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// An item, or a line of a file, is no host.
    #[error("{}{source}", .file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default())]
    Host {
        /// The file, if it stands in one.
        file: Option<String>,
        /// What is wrong.
        source: HostStringError,
    },
    /// A `@file` cannot be read.
    #[error("cannot read the host list `{file}`: {source}")]
    File {
        /// The file; `-` is standard input.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the value of `-H` or `-x`: host strings with ranges and braces, and `@file` (one host string a
/// line, `#` comments; `@-` is standard input), separated by commas.
///
/// `read` yields a file's text; it is given what stands after the `@`.
///
/// ```
/// use fabric_exec::hostlist::read_host_option;
/// let hosts = read_host_option("web[1-2],@list", |_| Ok("db1 # main\n\ndb{2,3}\n".to_owned()))?;
/// assert_eq!(hosts, ["web1", "web2", "db1", "db2", "db3"]);
/// # Ok::<(), fabric_exec::hostlist::ListError>(())
/// ```
pub fn read_host_option(
    text: &str,
    mut read: impl FnMut(&str) -> std::io::Result<String>,
) -> Result<Vec<String>, ListError> {
    let mut hosts = Vec::new();
    for item in split_list(text) {
        match item.strip_prefix('@') {
            Some(file) if !file.is_empty() => {
                let text = read(file).map_err(|source| ListError::File { file: file.to_owned(), source })?;
                for line in lines(&text).iter().flat_map(|line| split_list(line)) {
                    let items =
                        checked(line).map_err(|source| ListError::Host { file: Some(file.to_owned()), source })?;
                    hosts.extend(items);
                }
            }
            _ => hosts.extend(checked(item).map_err(|source| ListError::Host { file: None, source })?),
        }
    }
    Ok(hosts)
}

/// Reads the value of `-R`: names separated by commas, trimmed.
pub fn read_name_option(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn checked(item: &str) -> Result<Vec<String>, HostStringError> {
    let hosts = expand(item)?;
    for host in &hosts {
        fabric_core::HostString::parse(host)?;
    }
    Ok(hosts)
}
