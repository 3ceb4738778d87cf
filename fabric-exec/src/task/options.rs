//! Task arguments as options: `deploy --version 1.2 --no-restart -q`.

use fabric_core::Value;
use serde_json::json;
use thiserror::Error;

use super::{Invocation, Param, ParamKind};

/// The letters of the program's own options: no parameter gets one of them unasked.
const TAKEN: &str = "HRxPzwupIikaAgtTnDrsfcelFdVh";

/// A parameter as an option.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Opt<'a> {
    /// The parameter.
    pub param: &'a Param,
    /// Its letter, if it has one.
    pub short: Option<char>,
}

/// An option of a task that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// It needs a value, and nothing follows.
    #[error("option `{option}` of task `{task}` needs a value")]
    NeedsValue {
        /// The option, as typed.
        option: String,
        /// The task.
        task: String,
    },
    /// It needs a value, and an option follows.
    #[error("option `{option}` of task `{task}` needs a value, and `{word}` is an option{}", glued(.option, .word))]
    FollowedByOption {
        /// The option, as typed.
        option: String,
        /// The task.
        task: String,
        /// What follows.
        word: String,
    },
    /// It takes no value.
    #[error("option `{option}` of task `{task}` takes no value")]
    TakesNoValue {
        /// The option, as typed.
        option: String,
        /// The task.
        task: String,
    },
}

/// How a value that looks like an option is written.
fn glued(option: &str, word: &str) -> String {
    match option.starts_with("--") {
        _ if word == "--" => String::new(),
        true => format!(": write `{option}={word}` if that is it"),
        false => format!(": write `{option}{word}` if that is it"),
    }
}

impl<'a> Opt<'a> {
    /// The options of a task: each parameter has its name as a long option, and as its letter the one it
    /// asks for, else the first letter of its name that neither another parameter nor the program has.
    pub fn all(params: &'a [Param]) -> Vec<Self> {
        let mut used: Vec<char> = params.iter().filter_map(|param| param.short).collect();
        params
            .iter()
            .filter(|param| !param.is_surplus())
            .map(|param| {
                let short = param.short.or_else(|| {
                    let free = |c: &char| c.is_ascii_alphabetic() && !TAKEN.contains(*c) && !used.contains(c);
                    let letter = param.name.chars().find(free)?;
                    used.push(letter);
                    Some(letter)
                });
                Self { param, short }
            })
            .collect()
    }

    /// The option as help shows it: `-v, --version TEXT`.
    pub fn usage(&self) -> String {
        let short = self.short.map(|c| format!("-{c}, ")).unwrap_or_default();
        let name = self.param.option();
        match &self.param.kind {
            ParamKind::Bool => format!("{short}--[no-]{name}"),
            ParamKind::Text => format!("{short}--{name} TEXT"),
            ParamKind::Integer | ParamKind::Number => format!("{short}--{name} NUMBER"),
            ParamKind::List | ParamKind::Rest => format!("{short}--{name} ITEM.."),
            ParamKind::Named => format!("{short}NAME=VALUE.."),
            ParamKind::Choice(words) => format!("{short}--{name} {}", words.join("|")),
        }
    }
}

/// Takes the options at the head of `words` that the task's parameters declare into `call`, and says how
/// many words they were: 0 if the first word is none of them.
///
/// `--name value`, `--name=value`, `--no-name` for what is true or false, `-n value`, `-nvalue`, and
/// letters of true-or-false parameters together (`-qv`). A list parameter may come several times.
///
/// A value that is the next word is no option: neither one of the task's own nor one of the program's, which
/// `is_option` knows (`--name=--value` is a value nevertheless).
///
/// # Errors
///
/// A value is missing, or given where none can be.
///
/// ```
/// use fabric_exec::{Invocation, Param, take_options};
///
/// let params = [Param::required("version"), Param::optional("restart", true)];
/// let mut call = Invocation::new("deploy");
/// let words = ["--version", "1.2", "--no-restart", "next"].map(String::from);
/// assert_eq!(take_options(&params, &words, &mut call, |_| false), Ok(3));
/// assert_eq!(call.bind(&params).unwrap()["restart"], false);
/// ```
pub fn take_options(
    params: &[Param],
    words: &[String],
    call: &mut Invocation,
    is_option: impl Fn(&str) -> bool,
) -> Result<usize, OptionError> {
    let options = Opt::all(params);
    let is_option = |word: &str| word == "--" || is_own(&options, word) || is_option(word);
    let next = |option: &str, call: &Invocation, next: Option<&String>| match next {
        Some(word) if word.starts_with('-') && !is_number(word) && is_option(word) => {
            let (option, task) = (option.to_owned(), call.task.clone());
            Err(OptionError::FollowedByOption { option, task, word: word.clone() })
        }
        Some(word) => Ok(json!(word)),
        None => Err(OptionError::NeedsValue { option: option.to_owned(), task: call.task.clone() }),
    };
    let mut taken = 0;
    while let Some(word) = words.get(taken) {
        let value = |option: &str, call: &Invocation| next(option, call, words.get(taken + 1));
        let used = match word.strip_prefix("--") {
            Some("") => break,
            Some(long) => take_long(&options, long, value, call)?,
            None => match word.strip_prefix('-') {
                Some(letters) if !letters.is_empty() => take_short(&options, letters, value, call)?,
                _ => break,
            },
        };
        match used {
            0 => break,
            used => taken += used,
        }
    }
    Ok(taken)
}

/// Whether a word is an option of these.
fn is_own(options: &[Opt<'_>], word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split_once('=').map_or(long, |(name, _)| name);
            options.iter().any(|option| option.param.is_named(name))
                || name.strip_prefix("no-").is_some_and(|name| options.iter().any(|option| option.param.is_named(name)))
        }
        None => word.chars().nth(1).is_some_and(|letter| options.iter().any(|option| option.short == Some(letter))),
    }
}

/// Whether a word is a number, as `-1` and `-.5` are.
fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok_and(f64::is_finite)
}

fn take_long(
    options: &[Opt<'_>],
    long: &str,
    next: impl Fn(&str, &Invocation) -> Result<Value, OptionError>,
    call: &mut Invocation,
) -> Result<usize, OptionError> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let find = |name: &str| options.iter().map(|option| option.param).find(|param| param.is_named(name));
    if let Some(param) = find(name) {
        return match (value, &param.kind) {
            (Some(value), _) => Ok(set(call, param, json!(value), 1)),
            (None, ParamKind::Bool) => Ok(set(call, param, json!(true), 1)),
            (None, _) => {
                let value = next(&format!("--{name}"), call)?;
                Ok(set(call, param, value, 2))
            }
        };
    }
    match name.strip_prefix("no-").and_then(find) {
        Some(param) if param.kind == ParamKind::Bool => match value {
            None => Ok(set(call, param, json!(false), 1)),
            Some(_) => Err(OptionError::TakesNoValue { option: format!("--{name}"), task: call.task.clone() }),
        },
        _ => Ok(0),
    }
}

fn take_short(
    options: &[Opt<'_>],
    letters: &str,
    next: impl Fn(&str, &Invocation) -> Result<Value, OptionError>,
    call: &mut Invocation,
) -> Result<usize, OptionError> {
    let find = |letter: char| options.iter().find(|option| option.short == Some(letter)).map(|option| option.param);
    // All or nothing: a word with a letter of another option belongs to that.
    for (index, letter) in letters.char_indices() {
        match find(letter) {
            None => return Ok(0),
            Some(param) if param.kind == ParamKind::Bool => {}
            Some(_) if index + letter.len_utf8() <= letters.len() => break,
            Some(_) => {}
        }
    }
    for (index, letter) in letters.char_indices() {
        let Some(param) = find(letter) else { return Ok(0) };
        if param.kind == ParamKind::Bool {
            set(call, param, json!(true), 1);
            continue;
        }
        let rest = &letters[index + letter.len_utf8()..];
        if !rest.is_empty() {
            return Ok(set(call, param, json!(rest.strip_prefix('=').unwrap_or(rest)), 1));
        }
        let value = next(&format!("-{letter}"), call)?;
        return Ok(set(call, param, value, 2));
    }
    Ok(1)
}

/// Sets an argument, and says how many words it took.
fn set(call: &mut Invocation, param: &Param, value: Value, words: usize) -> usize {
    if param.kind == ParamKind::List {
        match call.named.entry(param.name.clone()).or_insert_with(|| json!([])) {
            Value::Array(items) => items.push(value),
            other => *other = json!([other.take(), value]),
        }
    } else {
        call.named.insert(param.name.clone(), value);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(params: &[Param], words: &[&str]) -> Result<(usize, String), OptionError> {
        let mut call = Invocation::new("t");
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let taken = take_options(params, &words, &mut call, |word| word == "--list")?;
        Ok((taken, serde_json::to_string(&call.named).unwrap()))
    }

    #[test]
    fn the_table_of_spellings() {
        let params = [
            Param::required("app_name"),
            Param::optional("quiet", false),
            Param::optional("verbose", false),
            Param::optional("only", json!([])),
        ];
        let table: &[(&[&str], usize, &str)] = &[
            (&["--app-name", "x", "y"], 2, r#"{"app_name":"x"}"#),
            (&["--app_name=x=y"], 1, r#"{"app_name":"x=y"}"#),
            (&["--quiet", "--no-verbose"], 2, r#"{"quiet":true,"verbose":false}"#),
            (&["-qv", "next"], 1, r#"{"quiet":true,"verbose":true}"#),
            (&["-m", "x"], 2, r#"{"app_name":"x"}"#),
            (&["-qmx"], 1, r#"{"quiet":true,"app_name":"x"}"#),
            (&["--only", "a", "--only=b"], 3, r#"{"only":["a","b"]}"#),
            (&["-H", "web1"], 0, "{}"),
            (&["--", "x"], 0, "{}"),
            (&["next"], 0, "{}"),
        ];
        for (words, taken, named) in table {
            assert_eq!(take(&params, words), Ok((*taken, (*named).to_owned())), "{words:?}");
        }
        assert!(take(&params, &["--app-name"]).is_err());
        assert!(take(&params, &["--no-quiet=1"]).is_err());
    }
}
