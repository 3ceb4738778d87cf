//! Host lists as they are typed: ranges, braces and files.

use std::path::Path;

use fabric_core::HostString;
use fabric_core::host::{expand, split_list};

/// The hosts that a list on the command line stands for. `@file` has one host string a line and `#`
/// comments, `@-` is standard input; the error says which item is wrong and where.
pub(super) fn hosts(list: &str, stdin: &mut dyn FnMut() -> std::io::Result<String>) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for item in split_list(list) {
        match item.strip_prefix('@') {
            Some("-") => {
                let text = stdin().map_err(|error| format!("standard input: {error}"))?;
                from_lines("standard input", &text, &mut all)?;
            }
            Some(file) if !file.is_empty() => {
                let path = home(file);
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
                from_lines(file, &text, &mut all)?;
            }
            _ => add(item, &mut all)?,
        }
    }
    Ok(all)
}

fn from_lines(name: &str, text: &str, all: &mut Vec<String>) -> Result<(), String> {
    for (number, line) in text.lines().enumerate() {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        for item in split_list(line) {
            add(item, all).map_err(|error| format!("{name}:{}: {error}", number + 1))?;
        }
    }
    Ok(())
}

fn add(item: &str, all: &mut Vec<String>) -> Result<(), String> {
    for host in expand(item).map_err(|error| error.to_string())? {
        HostString::parse(&host).map_err(|error| error.to_string())?;
        all.push(host);
    }
    Ok(())
}

/// A path with a leading `~/` replaced by `$HOME`, for `-H @~/hosts`, which no shell expands.
fn home(path: &str) -> std::path::PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(path).to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ranges_files_and_standard_input() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# fleet\nweb[1-2] # two\n\n deploy@db:2222\n").unwrap();
        let list = format!("a, x{{b,c}},@{},@-", file.path().display());
        let got = hosts(&list, &mut || Ok("s1\ns2".to_owned())).unwrap();
        assert_eq!(got, ["a", "xb", "xc", "web1", "web2", "deploy@db:2222", "s1", "s2"]);
    }

    #[test]
    fn mistakes_say_where() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\nb:99999\n").unwrap();
        let error = hosts(&format!("@{}", file.path().display()), &mut || Ok(String::new())).unwrap_err();
        assert!(error.contains(":2: `b:99999` is not a host"), "{error}");
        assert!(hosts("@/does/not/exist", &mut || Ok(String::new())).unwrap_err().starts_with("/does/not/exist: "));
        assert!(hosts("web[1-", &mut || Ok(String::new())).is_err());
    }
}
