//! Declared steps: what the tasks of a TOML, YAML or JSON fabfile are made of.
//!
//! Each verb is a file: what it has, how it is read, what is known of it before it runs, and what it does. A new one has a
//! line in `VERBS` besides.

mod body;
mod command;
mod execute;
mod lists;
mod open_shell;
mod prompt;
mod read;
mod set;
mod step;
mod transfer;
mod values;
mod work;

pub(super) use body::Steps;
pub(super) use command::CommandStep;
pub(super) use read::LEVELS;
pub(super) use step::Step;

use step::Form;

const VERBS: &[&Form] = &[
    &command::RUN,
    &command::SUDO,
    &command::LOCAL,
    &transfer::PUT,
    &transfer::GET,
    &execute::FORM,
    &set::FORM,
    &prompt::FORM,
    &open_shell::FORM,
];

/// The keys of a step, by its verb.
pub(super) fn keys() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    VERBS.iter().map(|form| (form.name, form.keys.iter().copied().flatten().copied().chain([form.name]).collect()))
}
