//! The summary at the end of a run.

use std::borrow::Cow;
use std::fmt::Write as _;

use fabric_core::HostStatus;
use fabric_core::event::EventKind;
use fabric_core::host::fold;
use indexmap::IndexMap;

use super::visible;

/// The summary of a run on several hosts, or of one that failed; empty for any other.
pub(super) fn summary(kind: &EventKind) -> Option<String> {
    let EventKind::Summary {
        hosts_ok,
        hosts_failed,
        hosts_skipped,
        duration_ms,
        hosts,
        errors,
        not_started,
        advice,
        ..
    } = kind
    else {
        return None;
    };
    if hosts.len() < 2 && hosts_failed + hosts_skipped + not_started.len() == 0 {
        return None;
    }
    let mut counts = vec![format!("{hosts_ok} ok")];
    if *hosts_failed > 0 {
        counts.push(format!("{hosts_failed} failed"));
    }
    if *hosts_skipped > 0 {
        counts.push(format!("{hosts_skipped} skipped"));
    }
    let plural = if hosts.len() == 1 { "" } else { "s" };
    let mut text = format!("{} host{plural}: {} ({})\n", hosts.len(), counts.join(", "), duration(*duration_ms));

    // Hosts with the same result share a line.
    let mut fates: IndexMap<(HostStatus, String), Vec<&str>> = IndexMap::new();
    for (host, status) in hosts.iter().filter(|(_, status)| **status != HostStatus::Ok) {
        let reason = errors.get(host).map(|error| first_line(error, host)).unwrap_or_default();
        fates.entry((*status, reason)).or_default().push(host);
    }
    fates.sort_by(|(a, ..), _, (b, ..), _| b.cmp(a));
    for ((status, reason), hosts) in fates {
        let status = status.as_str().replace('_', " ");
        let _ = match reason.as_str() {
            "" => writeln!(text, "  {status:<11}  {}", fold(hosts)),
            _ => writeln!(text, "  {status:<11}  {}: {reason}", fold(hosts)),
        };
    }
    if !not_started.is_empty() {
        let _ = writeln!(text, "  {:<11}  {}", "not started", not_started.join(", "));
    }
    if let Some(advice) = advice {
        let _ = writeln!(text, "  {advice}");
    }
    Some(text)
}

/// The first line of an error, without the host at its beginning.
pub(super) fn first_line(error: &str, host: &str) -> String {
    visible::text(without_host(error, Some(host)).lines().next().unwrap_or_default())
}

/// An error without the host at its beginning (or after the place in a fabfile), if the host is shown already.
pub(super) fn without_host<'a>(error: &'a str, host: Option<&str>) -> Cow<'a, str> {
    let Some(prefix) = host.map(|host| format!("{host}: ")) else { return error.into() };
    match (error.strip_prefix(&prefix), error.split_once(&format!(": {prefix}"))) {
        (Some(rest), _) => rest.into(),
        (None, Some((place, rest))) if !place.contains('\n') => format!("{place}: {rest}").into(),
        _ => error.into(),
    }
}

/// A duration for people: `0.4 s`, `3 min 20 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..=59_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..=3_599_999 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn hosts_with_one_fate_share_a_line() {
        let hosts = [("web1", HostStatus::Ok), ("web2", HostStatus::Failed), ("web3", HostStatus::Skipped)];
        let mut hosts: Vec<(&str, HostStatus)> = hosts.into();
        hosts.extend([("web4", HostStatus::Skipped), ("db", HostStatus::Unreachable)]);
        let errors = [
            ("web2", "web2: `exit 3` ended with exit status 3\nstderr:\nmore"),
            ("web3", "fabfile.toml:3: web3: not started"),
            ("web4", "fabfile.toml:3: web4: not started"),
            ("db", "db: connection refused"),
        ];
        let kind = EventKind::summary(
            hosts.into_iter().map(|(host, status)| (host.into(), status)).collect(),
            errors.into_iter().map(|(host, error)| (host.into(), error.to_owned())).collect(),
            vec!["restart".to_owned()],
            "--keep-going would have gone on".to_owned(),
            Duration::from_millis(2149),
        );
        assert_eq!(
            summary(&kind).unwrap(),
            "5 hosts: 1 ok, 2 failed, 2 skipped (2.1 s)\n\
             \x20 unreachable  db: connection refused\n\
             \x20 failed       web2: `exit 3` ended with exit status 3\n\
             \x20 skipped      web[3-4]: fabfile.toml:3: not started\n\
             \x20 not started  restart\n\
             \x20 --keep-going would have gone on\n"
        );
    }

    #[test]
    fn durations() {
        assert_eq!([0, 950, 61_000, 7_260_000].map(duration), ["0.0 s", "0.9 s", "1 min 1 s", "2 h 1 min"]);
    }
}
