//! Documents made from the table of settings, for readers and editors: the reference page, the JSON schemas, and
//! what a shell completes.
//!
//! A test compares them with `docs/settings.md` and `docs/schema/`; run it with `UPDATE=1` to write them anew.

mod fabfile;
mod page;
mod schema;

use fabric_core::settings::{Kind, Setting, TABLE};

pub use fabfile::fabfile_schema;
pub use page::settings_page;
pub use schema::settings_schema;

/// A setting as a shell completes it, after `--set` and `--explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completion {
    /// Its name.
    pub name: &'static str,
    /// The values that it can have, if they can be listed.
    pub values: &'static [&'static str],
    /// The first sentence about it.
    pub summary: &'static str,
}

/// Every setting that can be set, and every modern name, for a shell's completion.
///
/// ```
/// let all = fabric_config::reference::completions();
/// let parallel = all.iter().find(|item| item.name == "parallel").unwrap();
/// assert_eq!(parallel.values, ["true", "false"]);
/// ```
pub fn completions() -> Vec<Completion> {
    let settings = TABLE.iter().filter(|setting| !setting.is_information());
    settings
        .flat_map(|setting| {
            setting.spellings().map(|name| Completion { name, values: words(setting), summary: summary(setting) })
        })
        .collect()
}

fn words(setting: &Setting) -> &'static [&'static str] {
    match setting.kind {
        Kind::Bool => &["true", "false"],
        Kind::Maybe => &["true", "false", "none"],
        Kind::Choice(words) => words,
        _ => &[],
    }
}

/// The first line of a setting's documentation.
pub(crate) fn summary(setting: &Setting) -> &'static str {
    setting.doc.lines().next().unwrap_or_default().trim()
}
