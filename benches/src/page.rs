//! The page with the tables.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::bars::bars;
use crate::clients::CLIENTS;
use crate::plot;
use crate::results::{Entry, Measured, Results};
use crate::works::{Work, number};

/// What stands before the numbers; kept by hand.
const INTRODUCTION: &str = include_str!("page.md");

/// Writes `benchmarks.md` and `benchmarks.svg`.
pub(crate) fn write(out: &Path, results: &Results, works: &[Work]) -> io::Result<()> {
    let mut text = INTRODUCTION.to_owned();
    let _ = writeln!(text, "\n## Where this was measured\n\n{}.\n", results.machine);
    for client in CLIENTS {
        if let Some(version) = results.versions.get(client.name) {
            let _ = writeln!(text, "* {}: {version}", client.name);
        }
    }
    bars_table(&mut text, results);
    text.push_str("\n## All works\n\n![Cost a host, and how other programs compare](benchmarks.svg)\n");
    for work in works {
        if let Some(measured) = results.work(&work.name) {
            work_table(&mut text, work, measured);
        } else {
            let _ = writeln!(text, "\n### {}\n\n`{}`: **not measured yet.**", work.title, work.name);
        }
    }
    fs::write(out.join("benchmarks.svg"), plot::draw(results, works))?;
    fs::write(out.join("benchmarks.md"), text)
}

fn bars_table(text: &mut String, results: &Results) {
    let bars = bars(results);
    let missed = bars.iter().filter(|bar| bar.holds() == Some(false)).count();
    let unknown = bars.iter().filter(|bar| bar.holds().is_none()).count();
    let _ = writeln!(
        text,
        "\n## What must hold\n\nOf {} bars {missed} are missed, and {unknown} not measured. `x`: times.\n\n\
         | what | bar | measured | |\n| --- | --- | --- | --- |",
        bars.len()
    );
    for bar in bars {
        let sign = if bar.at_most { "<=" } else { ">=" };
        let (value, verdict) = match (bar.value, bar.holds()) {
            (Some(value), Some(true)) => (amount(value) + bar.unit, "holds".to_owned()),
            (Some(value), _) => {
                let off = if bar.at_most { value / bar.limit } else { bar.limit / value };
                (amount(value) + bar.unit, format!("**missed** by {:.0} %", (off - 1.0) * 100.0))
            }
            (None, _) => ("-".to_owned(), "**not measured**".to_owned()),
        };
        let _ = writeln!(text, "| {} | {sign} {}{} | {value} | {verdict} |", bar.text, bar.limit, bar.unit);
    }
}

fn work_table(text: &mut String, work: &Work, measured: &Measured) {
    let Measured { date, commit, quick, .. } = measured;
    let quick = if *quick { ", **a tenth of the size**" } else { "" };
    let _ = writeln!(text, "\n### {}\n\n`{}`, {date}, commit {commit}{quick}\n", work.title, work.name);
    let bytes = work.job.bytes(work.servers);
    let has_value = measured.clients.iter().any(|entry| entry.runs.iter().any(|usage| usage.value.is_some()));
    let _ = write!(
        text,
        "| client | runs | wall s | (min-max) | CPU s | MiB | threads | wall : floor | CPU : floor | Fabric 3 : wall |"
    );
    let _ = write!(text, "{}{}", if bytes.is_some() { " MB/s |" } else { "" }, if has_value { " count |" } else { "" });
    let columns = 10 + usize::from(bytes.is_some()) + usize::from(has_value);
    let _ = writeln!(text, "\n|{}", " --- |".repeat(columns));
    for entry in &measured.clients {
        row(text, measured, entry, bytes, has_value);
    }
}

fn row(text: &mut String, measured: &Measured, entry: &Entry, bytes: Option<u64>, has_value: bool) {
    let Some(wall) = entry.median(|usage| usage.wall) else {
        let why = entry.trouble.as_deref().unwrap_or("no reason known").replace('|', "/");
        let _ = writeln!(text, "| {} | **not measured**: {why} |", entry.client);
        return;
    };
    let cpu = entry.median(|usage| usage.cpu).unwrap_or_default();
    let (least, most) = entry.spread(|usage| usage.wall).unwrap_or_default();
    let memory = entry.median(|usage| usage.memory).unwrap_or_default();
    let threads = entry.median(|usage| f64::from(usage.threads)).unwrap_or_default();
    let other = |client: &str, of: fn(&crate::results::Usage) -> f64| measured.entry(client)?.median(of);
    let times = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let _ = write!(
        text,
        "| {}{} | {} | {} | {}-{} | {} | {memory:.0} | {threads:.0} | {} | {} | {} |",
        entry.client,
        if entry.trouble.is_some() { " (failed once)" } else { "" },
        entry.runs.len(),
        amount(wall),
        amount(least),
        amount(most),
        amount(cpu),
        times(other("floor", |usage| usage.wall).map(|floor| wall / floor)),
        times(other("floor", |usage| usage.cpu).map(|floor| cpu / floor)),
        times(other("fabric3", |usage| usage.wall).map(|fabric| fabric / wall)),
    );
    if let Some(bytes) = bytes {
        let _ = write!(text, " {} |", amount(bytes as f64 / wall / 1e6));
    }
    if has_value {
        let value = entry.median(|usage| usage.value.unwrap_or(f64::NAN)).filter(|value| !value.is_nan());
        let _ = write!(text, " {} |", value.map_or("-".to_owned(), |value| number(value as usize)));
    }
    text.push('\n');
}

/// Three digits that matter.
pub(crate) fn amount(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::works;

    /// Of a run without any number, and of one with some, everything is said and nothing divided by nothing.
    #[test]
    fn what_is_not_measured_is_said() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &Results::default(), &works(false)).unwrap();
        let page = fs::read_to_string(dir.path().join("benchmarks.md")).unwrap();
        assert!(page.contains("**not measured yet.**") && page.contains("**not measured** |"), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        let plot = fs::read_to_string(dir.path().join("benchmarks.svg")).unwrap();
        assert!(plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"), "{plot}");
    }
}
