//! Files of settings.

use fabric_core::settings::{Origin, Problem, Problems};
use fabric_core_document::Document;

use super::{SourceFile, parse_rc};
use crate::values::{Intake, Unknown};

/// Reads one file.
pub(crate) fn read(file: &SourceFile) -> Intake {
    match std::fs::read(&file.path) {
        Ok(bytes) => parse(file, &bytes),
        Err(error) => {
            let mut intake = Intake::new(file.layer, Unknown::Refuse);
            let problem = Problem::new(format!("cannot read the settings file: {error}"));
            intake.problems.push(problem.at(Origin::file(file.layer, &file.path, None)));
            intake
        }
    }
}

/// Reads the text of one file.
pub(crate) fn parse(file: &SourceFile, bytes: &[u8]) -> Intake {
    let Some(format) = file.format else { return parse_rc(file.layer, &file.path, bytes) };
    let mut intake = Intake::new(file.layer, Unknown::Refuse);
    match Document::parse(file.layer, &file.path, format, bytes) {
        Ok(document) => intake.document(&document),
        Err(Problems(problems)) => intake.problems = problems,
    }
    intake
}
