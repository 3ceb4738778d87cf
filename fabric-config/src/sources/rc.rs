//! The classic settings file: `key = value` lines (Fabric 1, "Settings files").
//!
//! A line is cut at its first `=`; lines that begin with `#` are comments. Unlike in Fabric 1, values have
//! the type of their setting.

use std::path::Path;

use fabric_core::settings::{Layer, Origin, Problem};
use fabric_core_document::Source;
use indexmap::IndexMap;

use crate::values::{Intake, Unknown};

pub(crate) fn parse(layer: Layer, path: &Path, bytes: &[u8]) -> Intake {
    let at = |line: usize| Origin::file(layer, path, Some(line));
    let mut intake = Intake::new(layer, Unknown::RefuseTypos);
    let source = match Source::decode(layer, path, bytes) {
        Ok(source) => source,
        Err(problem) => {
            intake.problems.push(problem);
            return intake;
        }
    };
    let mut lines: IndexMap<&str, usize> = IndexMap::new();
    for (number, line) in source.text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
            intake.problems.push(Problem::new("expected `key = value`").at(at(number)));
            continue;
        };
        if key.is_empty() {
            intake.problems.push(Problem::new("the key before `=` is missing").at(at(number)));
            continue;
        }
        if let Some(earlier) = lines.insert(key, number) {
            let problem = Problem::new(format!("`{key}` is given twice, first on line {earlier}"));
            intake.problems.push(problem.at(at(number)));
            continue;
        }
        intake.text(key, value, at(number));
    }
    intake
}
