//! `fab --completion SHELL`: scripts that ask the program itself, so that they complete the tasks, roles and hosts of the current
//! fabfile.

use std::path::PathBuf;

use fabric_core::settings::TABLE;
use fabric_exec::hostlist::{RoleSource, Roles};
use fabric_exec::task::Opt as TaskOption;

use super::rust_fabfile;
use crate::args::Shell;
use crate::args::option::{Completes, Opt, ValueKind};
use crate::args::table::{self, OPTIONS};
use crate::render::Levels;
use crate::request::Request;

/// The answer that asks the script to complete file names.
const FILES: &str = "__files__";

/// The script for a shell and a program of this name.
pub(super) fn script(shell: Shell, program: &str) -> String {
    let script = match shell {
        Shell::Bash => include_str!("fab.bash"),
        Shell::Zsh => include_str!("fab.zsh"),
        Shell::Fish => include_str!("fab.fish"),
    };
    script.replace("@PROGRAM@", program)
}

/// The completions of the last word, one a line. Errors yield none: they must not disturb typing.
pub(super) fn complete(words: &[String], request: &Request) -> String {
    let (current, before) = match words.split_last() {
        Some((current, before)) => (current.as_str(), before),
        None => ("", words),
    };
    let (request, manifest) = request.guess(before);
    if let Some(manifest) = manifest {
        return rust_fabfile::completed(&manifest, words, &request.surroundings);
    }
    let mut found = candidates(before, current, &request);
    found.retain(|candidate| candidate == FILES || candidate.starts_with(current));
    found.join("\n") + "\n"
}

fn candidates(before: &[String], current: &str, request: &Request) -> Vec<String> {
    let collection = &request.project.collection;
    if before.iter().any(|word| word == "--") {
        return vec![FILES.to_owned()];
    }
    // The value of an option: `--opt VALUE`, `--opt=VALUE`.
    if let Some((name, value)) = current.strip_prefix("--").and_then(|long| long.split_once('='))
        && let Some(option) = table::by_name(name)
    {
        return values(option, value, request).into_iter().map(|value| format!("--{name}={value}")).collect();
    }
    if let Some(option) = before.last().and_then(|word| option_of(word))
        && matches!(option.takes, ValueKind::Value(_) | ValueKind::OneOf(_) | ValueKind::Many(_))
    {
        return values(option, current, request);
    }
    let task = before.iter().rev().find_map(|word| {
        let name = word.split_once(':').map_or(word.as_str(), |(name, _)| name);
        collection.find(name)
    });
    if current.starts_with('-') {
        let own = task.iter().flat_map(|task| TaskOption::all(&task.params)).map(|option| option.param.option());
        let all = OPTIONS.iter().map(|option| option.long.to_owned());
        return own.chain(all).map(|name| format!("--{name}")).collect();
    }
    collection.listing().names().collect()
}

/// The option that a word is, if its value is the next word.
fn option_of(word: &str) -> Option<&'static Opt> {
    match word.strip_prefix("--") {
        Some(name) => table::by_name(name),
        None => table::by_letter(word.strip_prefix('-')?.chars().last()?),
    }
}

fn values(option: &Opt, current: &str, request: &Request) -> Vec<String> {
    let words = match option.takes {
        ValueKind::OneOf(words) | ValueKind::MaybeOneOf(words) | ValueKind::MaybeNextOneOf(words) => words,
        _ => &[],
    };
    let all: Vec<String> = match option.completes {
        Completes::Nothing => words.iter().map(|word| (*word).to_owned()).collect(),
        Completes::Files => return vec![FILES.to_owned()],
        Completes::Tasks => request.project.collection.listing().names().collect(),
        Completes::Roles => roles(request).into_keys().collect(),
        Completes::Hosts => hosts(request),
        Completes::Settings => TABLE.iter().filter(|s| !s.is_information()).map(|s| s.name.to_owned()).collect(),
        Completes::Levels => Levels::NAMES.iter().chain(&Levels::GROUPS).map(|level| (*level).to_owned()).collect(),
    };
    // In a list, only what follows the last comma is completed.
    match (option.completes, current.rsplit_once(',')) {
        (Completes::Hosts | Completes::Roles | Completes::Levels, Some((done, _))) => {
            all.into_iter().map(|item| format!("{done},{item}")).collect()
        }
        _ => all,
    }
}

/// Known hosts: in settings, in roles, and in the user's ssh_config by name.
fn hosts(request: &Request) -> Vec<String> {
    let mut hosts = request.settings().map(|settings| settings.hosts.clone()).unwrap_or_default();
    for role in roles(request).into_values() {
        if let RoleSource::Hosts(list) = role.source {
            hosts.extend(list);
        }
    }
    let home = request.surroundings.environment.home.as_ref();
    hosts.extend(ssh_hosts(home.map(|home| home.join(".ssh/config"))));
    hosts.sort();
    hosts.dedup();
    hosts
}

fn roles(request: &Request) -> Roles {
    let all = request.config().ok().and_then(|config| request.roles(config).ok());
    all.unwrap_or_else(|| request.project.own_roles())
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
    use crate::args::ASK;
    use crate::request::ProgramParts;
    use crate::surroundings::Surroundings;
    use fabric_config::Environment;

    fn completed(line: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let text = "[roledefs]\nweb = ['www1', 'www2']\ndb = ['db1']\n\
                    [tasks.deploy]\nargs = ['version']\nrun = 'x'\n[tasks.down]\nrun = 'x'\n";
        std::fs::write(dir.path().join("fabfile.toml"), text).unwrap();
        let surroundings = Surroundings::new(Environment::new("me", dir.path()), dir.path());
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let request = Request::read(ProgramParts::default(), surroundings, None, vec![ASK.to_owned()]).unwrap();
        let answer = complete(&words, &request);
        answer.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
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
