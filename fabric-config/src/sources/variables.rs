//! Environment variables: `FABRIC_` and a setting's name.
//!
//! `__` goes into a table: `FABRIC_SHELL_ENV__RELEASE=2.4`, `FABRIC_RUN__WARN=true`. The modern program
//! joined nested names by one `_`; that spelling (`FABRIC_TIMEOUTS_CONNECT`) is taken too, as no two
//! settings share one.

use std::collections::HashMap;

use fabric_core::settings::{Kind, Layer, Origin, Problem, Setting, TABLE, Value};

use crate::environment::Environment;
use crate::values::{Intake, Unknown, list_change, nearest_name};

const PREFIX: &str = "FABRIC_";

/// Reads all `FABRIC_*` variables. A variable that no setting has is ignored, unless its name looks like a setting's.
pub(crate) fn read(environment: &Environment) -> Intake {
    let mut intake = Intake::new(Layer::Environment, Unknown::Share);
    for name in environment.undecodable.iter().filter(|name| setting_of(name).is_some()) {
        intake.problems.push(Problem::new("the value is not UTF-8").at(origin(name)));
    }
    let mut tables: Vec<(&Setting, fabric_core::settings::Map, Origin)> = Vec::new();
    let mut spelled: HashMap<&str, &str> = HashMap::new();
    for (variable, text) in environment.variables.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        match setting_of(variable) {
            Some((spelling, None)) => match spelled.insert(spelling, variable) {
                Some(earlier) => {
                    let problem = Problem::new(format!("{earlier} means the same, and both are given"));
                    intake.problems.push(problem.at(origin(variable)));
                }
                None => intake.text(spelling, text, origin(variable)),
            },
            Some((spelling, Some(key))) => nested(&mut intake, &mut tables, (spelling, key, text), variable),
            None => {
                let name = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
                if let Some(near) = nearest_name(&name).and_then(Setting::find_any) {
                    let warning = Problem::new(format!("no setting has the variable {variable}"));
                    intake.warnings.push(warning.hint(format!("did you mean {}?", near.variable())));
                }
            }
        }
    }
    for (setting, table, origin) in tables {
        intake.extend(setting.name, table, origin);
    }
    intake
}

fn origin(variable: &str) -> Origin {
    Origin::place(Layer::Environment, variable)
}

/// The spelling of the setting that a variable names, and the key inside its table.
fn setting_of(variable: &str) -> Option<(&'static str, Option<&str>)> {
    let name = variable.strip_prefix(PREFIX)?;
    let all = || TABLE.iter().filter(|setting| !setting.is_information());
    let lower = name.to_lowercase();
    let flat = |spelling: &str| {
        spelling == lower || spelling.replace('.', "__") == lower || spelling.replace('.', "_") == lower
    };
    if let Some(spelling) = all().flat_map(Setting::spellings).find(|spelling| flat(spelling)) {
        return Some((spelling, None));
    }
    all().find_map(|setting| {
        setting.spellings().find_map(|spelling| {
            let spelled = spelling.replace('.', "__");
            let head = name.get(..spelled.len()).filter(|head| head.eq_ignore_ascii_case(&spelled))?;
            let key = name[head.len()..].strip_prefix("__").filter(|key| !key.is_empty())?;
            let takes = is_table(setting.kind) || (crate::values::is_host_list(setting.name) && is_change(key));
            takes.then_some((spelling, Some(key)))
        })
    })
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::TextMap | Kind::SecretMap | Kind::BoolMap | Kind::Map)
}

fn is_change(key: &str) -> bool {
    list_change(&serde_json::json!({ key.to_lowercase(): null })).is_some()
}

/// Takes one key of a table.
fn nested(
    intake: &mut Intake,
    tables: &mut Vec<(&'static Setting, fabric_core::settings::Map, Origin)>,
    (spelling, key, text): (&str, &str, &str),
    variable: &str,
) {
    let Some(setting) = Setting::find_any(spelling) else { return };
    // Names of variables keep their case, names of everything else are lower case.
    let (key, value) = match setting.kind {
        Kind::TextMap | Kind::SecretMap => (key.to_owned(), Ok(Value::from(text))),
        Kind::BoolMap => (key.to_lowercase(), Kind::Bool.parse(text)),
        Kind::List => (key.to_lowercase(), Kind::List.parse(text)),
        _ => (key.to_lowercase(), Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))),
    };
    let value = match value {
        Ok(value) => value,
        Err(why) => {
            let problem = Problem::new(format!("setting `{}`: {why}{}", setting.name, setting.found(&text.into())));
            return intake.problems.push(problem.at(origin(variable)));
        }
    };
    match tables.iter_mut().find(|(known, ..)| known.name == setting.name) {
        Some((_, table, _)) => drop(table.insert(key, value)),
        None => tables.push((setting, [(key, value)].into_iter().collect(), origin(variable))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_settings_share_a_variable() {
        let mut seen = HashMap::new();
        for setting in TABLE {
            for spelling in setting.spellings() {
                for name in [spelling.replace('.', "_"), spelling.replace('.', "__")] {
                    let owner = seen.insert(name.clone(), setting.name);
                    assert!(owner.is_none_or(|owner| owner == setting.name), "{name}: {owner:?} and {}", setting.name);
                }
            }
        }
    }
}
