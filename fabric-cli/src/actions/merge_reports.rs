//! `--merge-reports`.

use fabric_exec::Report;
use fabric_exec::report::ReportFormat;

use crate::exit::Exit;
use crate::failure::{Failure, FileOperation};
use crate::request::Request;

/// Merges the reports, and writes the result to the files of `--report`, or to standard output.
pub(super) fn run(request: &Request) -> Result<Exit, Failure> {
    let (options, files) = (&request.options, &request.options.merged);
    let mut reports: Vec<Report> = Vec::new();
    for path in files {
        let report = Report::read(&request.surroundings.file(path));
        let report =
            report.map_err(|source| Failure::File { what: FileOperation::Reading, path: path.clone(), source })?;
        // Else its hosts would count twice.
        if let Some(same) = reports.iter().position(|other| other.run == report.run) {
            let (one, other) = (files[same].display(), path.display());
            return Err(Failure::Refused(format!("--merge-reports: {one} and {other} are of the same run")));
        }
        reports.push(report);
    }
    let nothing = || Failure::Refused("--merge-reports: no reports are given".to_owned());
    let report = Report::merge(reports).ok_or_else(nothing)?;
    for path in &options.reports {
        let file = request.surroundings.file(path);
        report.write(&file).map_err(|source| Failure::File {
            what: FileOperation::Writing,
            path: path.clone(),
            source,
        })?;
    }
    if options.reports.is_empty() {
        request.surroundings.print(&report.render(ReportFormat::Json))?;
    }
    Ok(Exit::of(&report))
}
