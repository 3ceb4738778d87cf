//! Settings by their names, and the nearest name to a wrong one.

use super::setting::Setting;
use super::table::TABLE;

impl Setting {
    /// The setting of this classic name or modern alias. A name that means the opposite is not one of them.
    pub fn find_any(name: &str) -> Option<&'static Setting> {
        Self::find(name).or_else(|| TABLE.iter().find(|setting| setting.aliases.contains(&name)))
    }

    /// The setting that has this name among all its spellings.
    pub fn any_spelling(name: &str) -> Option<&'static Setting> {
        TABLE.iter().find(|setting| setting.spellings().any(|spelling| spelling == name))
    }

    /// The name nearest to `name`, if one is near enough to be what was meant: at most two edits away.
    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, TABLE.iter().filter(|setting| !setting.is_information()).flat_map(Setting::spellings))
    }

    /// The name that `name`, which may just as well be shared state, was probably meant to be: one edit away, or two if
    /// it has more than six letters. `root` is not a mistyped `port`, nor `branch` a mistyped `batch`.
    ///
    /// ```
    /// use fabric_core::settings::Setting;
    /// assert_eq!(Setting::mistyped("comand_timout"), Some("command_timeout"));
    /// assert_eq!(Setting::mistyped("root"), None);
    /// ```
    pub fn mistyped(name: &str) -> Option<&'static str> {
        let most = if name.chars().count() > 6 { 2 } else { 1 };
        Self::nearest(name).filter(|near| strsim::damerau_levenshtein(name, near) <= most)
    }
}

/// Words in a name that make its value a secret, in shared state, arguments of tasks and options of plugins.
const SECRET_WORDS: [&str; 5] = ["password", "passphrase", "passwd", "secret", "token"];

/// Whether what has this name is taken for a secret: a setting that is one, or anything named like one.
///
/// ```
/// use fabric_core::settings::is_secret_name;
/// assert!(is_secret_name("db_password") && is_secret_name("prompts") && !is_secret_name("user"));
/// ```
pub fn is_secret_name(name: &str) -> bool {
    if let Some(setting) = Setting::any_spelling(name) {
        return setting.is_secret();
    }
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The candidate nearest to `name`, if it is at most two edits away (and fewer than `name` is long).
///
/// ```
/// use fabric_core::settings::nearest;
/// assert_eq!(nearest("hots", ["hosts", "roles"]), Some("hosts"));
/// assert_eq!(nearest("zebra", ["hosts", "roles"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= 2 && *edits < name.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}
