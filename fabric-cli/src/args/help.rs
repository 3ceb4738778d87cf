//! The help text, made from the table of options.

use std::fmt::Write as _;

use super::option::{Group, Opt, ValueKind};
use super::table::OPTIONS;

/// The column at which descriptions begin.
const INDENT: usize = 34;

/// The help text, for a terminal of this width.
pub(crate) fn help(program: &str, width: usize) -> String {
    let mut out = format!(
        "Run commands, deploys and maintenance on one server or ten thousand, over SSH.\n\n\
         Usage: {program} [OPTIONS] [TASK[:ARGS] [--task-option ...]]... [-- COMMAND ...]\n\n\
         \x20 {program} -H web1,web2 -- uname -a        one command on two hosts\n\
         \x20 {program} deploy --version 1.2            a task of the fabfile\n\
         \x20 {program} --list                          list the tasks; --help TASK shows the options of one\n\
         \x20 {program} --init                          write a first fabfile.toml\n"
    );
    for (group, title) in Group::ALL {
        let _ = write!(out, "\n{title}:\n");
        for option in OPTIONS.iter().filter(|option| option.group == group) {
            entry(&mut out, &left_side(option), option.help, width);
        }
    }
    out.push_str(
        "\nExit status: 0 success, 1 a task or host failed, 2 an invalid command line or file, 130 interrupted.\n",
    );
    out
}

/// Adds an entry: its left side, and its description wrapped beside or below it.
fn entry(out: &mut String, left: &str, text: &str, width: usize) {
    let _ = write!(out, "{left}");
    let mut column = left.chars().count();
    if column + 2 > INDENT && !text.is_empty() {
        out.push('\n');
        column = 0;
    }
    for word in text.split_whitespace() {
        if column > INDENT && column + 1 + word.chars().count() > width.max(INDENT + 20) {
            out.push('\n');
            column = 0;
        }
        let blanks = if column > INDENT { 1 } else { INDENT - column };
        out.extend(std::iter::repeat_n(' ', blanks));
        out.push_str(word);
        column += blanks + word.chars().count();
    }
    out.push('\n');
}

fn left_side(option: &Opt) -> String {
    let value = match option.takes {
        ValueKind::Nothing => String::new(),
        ValueKind::Value(name) => format!(" {name}"),
        ValueKind::OneOf(words) => format!(" {}", words.join("|")),
        ValueKind::MaybeOneOf(words) => format!("[={}]", words.join("|")),
        ValueKind::MaybeNextOneOf(words) => format!(" [{}]", words.join("|")),
        ValueKind::MaybeNext(name) => format!(" [{name}]"),
        ValueKind::Many(name) => format!(" {name}..."),
    };
    match option.short {
        Some(short) => format!("  -{short}, --{}{value}", option.long),
        None => format!("      --{}{value}", option.long),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_help_and_fits() {
        let text = help("fab", 100);
        for option in OPTIONS {
            assert!(text.contains(&format!("--{}", option.long)), "{}", option.long);
        }
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.len() <= 100, "{line}");
        }
    }
}
