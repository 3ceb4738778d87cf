//! Ansible's INI format.

use super::InventoryError;
use super::model::{FileLine, Model, Var};
use super::{pattern, words};

/// What a section has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hosts,
    Children,
    Vars,
}

/// A group that was named, but not yet declared by a section of its own.
struct Pending {
    name: String,
    place: FileLine,
    /// The groups that have it as a child; none where it only got variables.
    parents: Vec<usize>,
}

/// Whether a text is of this format: it has a section, a host with a variable, or a range.
pub(super) fn is_like(text: &str) -> bool {
    rows(text).any(|(_, row)| {
        let mut words = row.split_whitespace().take_while(|word| !word.starts_with('#'));
        is_header(row) || words.next().is_some_and(pattern::has_range) || words.any(|word| word.contains('='))
    })
}

/// Whether a text has groups.
pub(super) fn has_sections(text: &str) -> bool {
    rows(text).any(|(_, row)| is_header(row))
}

/// `[1-3]` alone is a range in a list of hosts.
fn is_header(row: &str) -> bool {
    section(row).is_some_and(|(name, _)| name.contains(|c: char| !c.is_ascii_digit() && c != '-' && c != ','))
}

/// Lines, parted as Python parts them, with their numbers, without blank ones and comments.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = |c| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    (1..).zip(text.split(ends).map(str::trim)).filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// `[name]` or `[name:kind]`, and what follows `#`.
fn section(row: &str) -> Option<(&str, Option<&str>)> {
    let (inside, after) = row.strip_prefix('[')?.split_once(']')?;
    let (name, kind) = inside.split_once(':').map_or((inside, None), |(name, kind)| (name, Some(kind)));
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let is_kind = kind.is_none_or(|kind| !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || c == '_'));
    (is_name && is_kind && is_comment(after)).then_some((name, kind))
}

fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

pub(super) fn read(text: &str, file: &FileLine, model: &mut Model) -> Result<(), InventoryError> {
    let mut pending: Vec<Pending> = Vec::new();
    let (mut group, mut kind) = (model.group("ungrouped"), Kind::Hosts);
    for (line, row) in rows(text) {
        let place = file.at(line);
        if let Some((name, what)) = section(row) {
            kind = match what {
                None | Some("hosts") => Kind::Hosts,
                Some("children") => Kind::Children,
                Some("vars") => Kind::Vars,
                Some(other) => {
                    return Err(place.refused(format!("a section has `hosts`, `children` or `vars`, not `{other}`")));
                }
            };
            let known = model.groups.contains_key(name);
            let waiting = pending.iter().position(|pending| pending.name == name);
            if kind == Kind::Vars && !known && waiting.is_none() {
                pending.push(Pending { name: name.to_owned(), place, parents: Vec::new() });
            }
            group = model.group(name);
            if let Some(waiting) = waiting.filter(|_| kind != Kind::Vars) {
                let pending = pending.remove(waiting);
                for parent in pending.parents {
                    model.add_child(parent, group, &pending.place)?;
                }
            }
            continue;
        }
        if row.starts_with('[') && row.ends_with(']') {
            return Err(
                place.refused(format!("`{row}` is no section: `[group]`, `[group:children]` or `[group:vars]`"))
            );
        }
        match kind {
            Kind::Hosts => host(row, group, &place, model)?,
            Kind::Vars => {
                let (key, value) =
                    row.split_once('=').ok_or_else(|| place.refused("variables are `name = value`, a line each"))?;
                let var = Var { value: words::value(value.trim()), place };
                model.set_group_var(group, key.trim(), var)?;
            }
            Kind::Children => {
                let length = row.find(|c: char| c.is_whitespace() || matches!(c, ':' | ']')).unwrap_or(row.len());
                let (name, after) = row.split_at(length);
                if name.is_empty() || !is_comment(after) {
                    return Err(place.refused(format!("`{row}` is no name of a group")));
                }
                if let Some(child) = model.groups.get_index_of(name) {
                    model.add_child(group, child, &place)?;
                } else if let Some(pending) = pending.iter_mut().find(|pending| pending.name == name) {
                    pending.parents.push(group);
                } else {
                    pending.push(Pending { name: name.to_owned(), place, parents: vec![group] });
                }
            }
        }
    }
    match pending.first() {
        None => Ok(()),
        Some(Pending { name, place, parents }) => Err(place.refused(match parents.last() {
            Some(parent) => format!("`{}` has the child `{name}`, but there is no group `{name}`", model.name(*parent)),
            None => format!("variables of `{name}`, but there is no group `{name}`"),
        })),
    }
}

/// `name key=value ...`
fn host(row: &str, group: usize, place: &FileLine, model: &mut Model) -> Result<(), InventoryError> {
    let words = words::split(row, true).map_err(|why| place.refused(why))?;
    let (first, rest) = words.split_first().ok_or_else(|| place.refused("a host without a name"))?;
    let pattern = pattern::read(first).map_err(|why| place.refused(why.to_string()))?;
    let mut vars = Vec::new();
    for word in rest {
        let Some((key, value)) = word.split_once('=') else {
            // It may be the rest of a password.
            let reason = match vars.last() {
                None => format!("`{word}` behind a host is no `name=value`, without blanks; a line has one host"),
                Some((key, _)) => format!("what follows `{key}=` is no `name=value`: quote a value that has blanks"),
            };
            return Err(place.refused(reason));
        };
        vars.push((key, Var { value: words::value(value), place: place.clone() }));
    }
    for written in pattern.hosts {
        if written.name.trim() == "---" {
            return Err(place.refused("`---` begins YAML"));
        }
        let host = model.host(written, pattern.port, group, place)?;
        model.hosts[host].vars.extend(vars.iter().map(|(key, var)| ((*key).to_owned(), var.clone())));
    }
    Ok(())
}
