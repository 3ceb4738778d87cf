//! `fab --completion SHELL`: scripts that ask the program itself what could be meant, so that they know the
//! tasks, roles and hosts of the fabfile at hand.

use std::path::PathBuf;

use fabric_core::Resolve;
use fabric_core::settings::TABLE;
use fabric_exec::hostlist::{RoleSource, Roles};
use fabric_exec::task::Opt as TaskOption;

use crate::args::Options;
use crate::args::low::{Typed, parse_as_far_as_possible};
use crate::args::table::{self, Completes, OPTIONS, Opt, Takes};
use crate::project::{Project, Surroundings};
use crate::render::Levels;
use crate::rust_fabfile;

/// The hidden first argument by which the scripts ask; the words up to the cursor follow.
pub(crate) const ASK: &str = "__complete";

/// What stands for "file names" in an answer.
const FILES: &str = "__files__";

/// The script for a shell.
pub(crate) fn script(shell: &str) -> &'static str {
    match shell {
        "zsh" => include_str!("fab.zsh"),
        "fish" => include_str!("fab.fish"),
        _ => include_str!("fab.bash"),
    }
}

/// What the last of these words could become, one a line. Whatever is wrong yields nothing: who is typing must
/// not be disturbed.
pub(crate) fn complete(words: &[String], own: Option<Project>) -> String {
    let Ok(surroundings) = Surroundings::capture() else { return String::new() };
    let (current, before) = match words.split_last() {
        Some((current, before)) => (current.as_str(), before),
        None => ("", words),
    };
    let typed = parse_as_far_as_possible(before, &|_| Vec::new()).0;
    let options =
        [typed, Typed::default()].into_iter().find_map(|typed| Options::new(typed, &mut || Ok(String::new())).ok());
    let project =
        own.or_else(|| options.as_ref().and_then(|options| surroundings.load(options).ok())).unwrap_or_default();
    if let Some(manifest) = &project.program {
        return rust_fabfile::completed(manifest, words);
    }
    let mut found = candidates(before, current, &project, &surroundings, options.as_ref());
    found.retain(|candidate| candidate == FILES || candidate.starts_with(current));
    found.join("\n") + "\n"
}

fn candidates(
    before: &[String],
    current: &str,
    project: &Project,
    surroundings: &Surroundings,
    options: Option<&Options>,
) -> Vec<String> {
    if before.iter().any(|word| word == "--") {
        return vec![FILES.to_owned()];
    }
    // The value of an option: `--opt VALUE`, `--opt=VALUE`.
    if let Some((name, value)) = current.strip_prefix("--").and_then(|long| long.split_once('='))
        && let Some(option) = table::by_name(name)
    {
        let values = values(option, value, project, surroundings, options);
        return values.into_iter().map(|value| format!("--{name}={value}")).collect();
    }
    if let Some(option) = before.last().and_then(|word| option_of(word))
        && matches!(option.takes, Takes::Value(_) | Takes::OneOf(_) | Takes::Many(_))
    {
        return values(option, current, project, surroundings, options);
    }
    let task = before.iter().rev().find_map(|word| {
        let name = word.split_once(':').map_or(word.as_str(), |(name, _)| name);
        project.collection.find(name)
    });
    if current.starts_with('-') {
        let own = task.iter().flat_map(|task| TaskOption::all(&task.params)).map(|option| option.param.option());
        let all = OPTIONS.iter().map(|option| option.long.to_owned());
        return own.chain(all).map(|name| format!("--{name}")).collect();
    }
    project.collection.listing().names().collect()
}

/// The option that a word is, if it is one that waits for a value in the next word.
fn option_of(word: &str) -> Option<&'static Opt> {
    match word.strip_prefix("--") {
        Some(name) => table::by_name(name),
        None => table::by_letter(word.strip_prefix('-')?.chars().last()?),
    }
}

fn values(
    option: &Opt,
    current: &str,
    project: &Project,
    surroundings: &Surroundings,
    options: Option<&Options>,
) -> Vec<String> {
    let words = match option.takes {
        Takes::OneOf(words) | Takes::MaybeOneOf(words) | Takes::MaybeNextOneOf(words) => words,
        _ => &[],
    };
    let all: Vec<String> = match option.completes {
        Completes::Nothing => words.iter().map(|word| (*word).to_owned()).collect(),
        Completes::Files => return vec![FILES.to_owned()],
        Completes::Tasks => project.collection.listing().names().collect(),
        Completes::Roles => roles(project, surroundings, options).into_keys().collect(),
        Completes::Hosts => hosts(project, surroundings, options),
        Completes::Settings => TABLE.iter().filter(|s| !s.information).map(|s| s.name.to_owned()).collect(),
        Completes::Levels => Levels::NAMES.iter().chain(&Levels::GROUPS).map(|level| (*level).to_owned()).collect(),
    };
    // Lists: what stands before the last comma stays.
    match (option.completes, current.rsplit_once(',')) {
        (Completes::Hosts | Completes::Roles | Completes::Levels, Some((done, _))) => {
            all.into_iter().map(|item| format!("{done},{item}")).collect()
        }
        _ => all,
    }
}

/// Hosts that are written down: in the settings, in roles, and by name in the user's ssh_config.
fn hosts(project: &Project, surroundings: &Surroundings, options: Option<&Options>) -> Vec<String> {
    let settings =
        options.and_then(|options| project.builder(surroundings, options).build().ok()?.settings(None, &[]).ok());
    let mut hosts = settings.map(|settings| settings.hosts.clone()).unwrap_or_default();
    for role in roles(project, surroundings, options).into_values() {
        if let RoleSource::Hosts(list) = role.source {
            hosts.extend(list);
        }
    }
    hosts.extend(ssh_hosts(surroundings.environment.home.as_ref().map(|home| home.join(".ssh/config"))));
    hosts.sort();
    hosts.dedup();
    hosts
}

fn roles(project: &Project, surroundings: &Surroundings, options: Option<&Options>) -> Roles {
    let config = options.and_then(|options| project.builder(surroundings, options).build().ok());
    let all = config.and_then(|config| project.roles(&config, surroundings).ok());
    all.unwrap_or_else(|| project.own_roles().clone())
}

fn ssh_hosts(config: Option<PathBuf>) -> Vec<String> {
    let text = config.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let names = text.lines().filter_map(|line| {
        let (key, names) = line.trim().split_once(|c: char| c.is_whitespace() || c == '=')?;
        key.eq_ignore_ascii_case("host").then_some(names)
    });
    names
        .flat_map(str::split_whitespace)
        .filter(|name| !name.contains(['*', '?', '!', '"', '=']))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_config::Environment;

    fn completed(line: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fabfile.toml");
        let text = "[roledefs]\nweb = ['www1', 'www2']\ndb = ['db1']\n\
                    [tasks.deploy]\nargs = ['version']\nrun = 'x'\n[tasks.down]\nrun = 'x'\n";
        std::fs::write(&path, text).unwrap();
        let project = Project::declared(&path).unwrap();
        let home = dir.path().to_owned();
        let surroundings = Surroundings { environment: Environment::new("me", &home), dir: home };
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap_or_default();
        let mut found = candidates(&words, &current, &project, &surroundings, None);
        found.retain(|candidate| candidate.starts_with(&current) || candidate == FILES);
        found
    }

    #[test]
    fn what_could_be_meant() {
        for (line, expected) in [
            ("d", &["deploy", "down"][..]),
            ("deploy --ver", &["--version", "--version"]),
            ("-P --skip-b", &["--skip-bad-hosts"]),
            ("-R w", &["web"]),
            ("-R db,w", &["db,web"]),
            ("-H www", &["www1", "www2"]),
            ("-PH d", &["db1"]),
            ("--output=j", &["--output=json"]),
            ("--output j", &["json"]),
            ("--hide st", &["status", "stdout", "stderr"]),
            ("-i x", &[FILES]),
            ("-- c", &[FILES]),
            ("--explain connection_a", &["connection_attempts"]),
        ] {
            assert_eq!(completed(line), expected, "fab {line}");
        }
    }

    #[test]
    fn names_in_an_ssh_config() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Host a b *.x !c\n  User u\nhost=d\nMatch host z\n").unwrap();
        assert_eq!(ssh_hosts(Some(file.path().to_owned())), ["a", "b", "d"]);
    }
}
