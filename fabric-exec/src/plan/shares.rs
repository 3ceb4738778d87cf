//! Settings that name hosts, or say how many.

use fabric_core::settings::{Amount, Problem};

use super::error::RunError;
use crate::hostlist::{HostListError, Share, ShareError};

/// A list of a setting, which may be written by hand, with its ranges and braces expanded.
pub(super) fn expand(task: &str, list: &[String]) -> Result<Vec<String>, RunError> {
    let mut hosts = Vec::new();
    for item in list {
        let wrong = |error| HostListError::Host { task: task.to_owned(), role: None, error };
        hosts.extend(fabric_core::host::expand(item).map_err(wrong)?);
    }
    Ok(hosts)
}

/// A setting that is a share, if it is set.
pub(super) fn setting(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<Share, ShareError>,
) -> Result<Option<Share>, RunError> {
    let error = |error| RunError::Settings(Problem::new(format!("setting `{name}`: {error}")).into());
    text.map(|text| read(text).map_err(error)).transpose()
}

/// The settings of a listed host that are shares.
pub(crate) struct Shares {
    pub(crate) batch: Option<Share>,
    pub(crate) max_failures: Option<Share>,
}

impl Shares {
    pub(crate) fn of(settings: &fabric_core::Settings) -> Result<Self, RunError> {
        Ok(Self {
            batch: setting("batch", settings.batch.as_ref().map(Amount::as_str), Share::of_batch)?,
            max_failures: setting("max_failures", settings.max_failures.as_ref().map(Amount::as_str), str::parse)?,
        })
    }
}
