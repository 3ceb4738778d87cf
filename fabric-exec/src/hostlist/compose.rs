//! Set operations on lists: `web&dc1`, `web!old`.
//!
//! An item of a list is one operand or several with operators between them, worked off from left to right
//! (as in ClusterShell's node sets): `&` keeps what is in both, `!` takes away, `^` keeps what is in one of
//! them only. Items are put together in order; one that begins with an operator is applied to everything
//! before it, so that `web,db,&dc1` is the part of `web` and `db` that is in `dc1`.

use std::collections::HashSet;
use std::fmt;

/// What is done to the list so far and the operand that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetOperator {
    /// Puts the operand's hosts after the list's.
    Union,
    /// `&`: keeps the hosts that the operand has too.
    Intersection,
    /// `!`: takes the operand's hosts away.
    Difference,
    /// `^`: keeps the hosts that only one of both has.
    SymmetricDifference,
}

const SYMBOLS: [(char, SetOperator); 3] =
    [('&', SetOperator::Intersection), ('!', SetOperator::Difference), ('^', SetOperator::SymmetricDifference)];

impl SetOperator {
    fn of(symbol: char) -> Option<Self> {
        SYMBOLS.iter().find(|(other, _)| *other == symbol).map(|(_, operator)| *operator)
    }

    /// Changes `list`. The order of hosts stays, and how often each is in it.
    pub fn apply<T>(self, list: &mut Vec<T>, operand: Vec<T>, name: impl Fn(&T) -> &str) {
        let names = |items: &[T]| items.iter().map(|item| name(item).to_owned()).collect::<HashSet<String>>();
        match self {
            Self::Union => list.extend(operand),
            Self::Intersection => {
                let names = names(&operand);
                list.retain(|item| names.contains(name(item)));
            }
            Self::Difference => {
                let names = names(&operand);
                list.retain(|item| !names.contains(name(item)));
            }
            Self::SymmetricDifference => {
                let (ours, theirs) = (names(list), names(&operand));
                list.retain(|item| !theirs.contains(name(item)));
                list.extend(operand.into_iter().filter(|item| !ours.contains(name(item))));
            }
        }
    }
}

impl fmt::Display for SetOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Union => "and",
            Self::Intersection => "also in",
            Self::Difference => "not in",
            Self::SymmetricDifference => "or only in",
        })
    }
}

/// The operands of one item of a list, each with the operator before it. The first one's is
/// [`SetOperator::Union`], unless the item begins with an operator. Operators inside `[]` and `{}` are none.
///
/// ```
/// use fabric_exec::hostlist::{SetOperator::{Difference, Intersection, Union}, operands};
/// assert_eq!(operands("web & dc1!old"), [(Union, "web"), (Intersection, "dc1"), (Difference, "old")]);
/// assert_eq!(operands("!old"), [(Difference, "old")]);
/// ```
pub fn operands(item: &str) -> Vec<(SetOperator, &str)> {
    let (mut found, mut operator, mut from, mut depth) = (Vec::new(), SetOperator::Union, 0, 0_usize);
    for (at, c) in item.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(next) = SetOperator::of(c).filter(|_| depth == 0) {
            // Nothing before the first operator: it is about what came before the item.
            if from > 0 || !item[..at].trim().is_empty() {
                found.push((operator, item[from..at].trim()));
            }
            (operator, from) = (next, at + 1);
        }
    }
    found.push((operator, item[from..].trim()));
    found
}

/// The item with other names for its operands.
pub(crate) fn with_operands(item: &str, rename: impl Fn(&str) -> String) -> String {
    let symbol =
        |operator: SetOperator| SYMBOLS.iter().find(|(_, other)| *other == operator).map(|(symbol, _)| *symbol);
    let shown = |(operator, name)| symbol(operator).into_iter().collect::<String>() + &rename(name);
    operands(item).into_iter().map(shown).collect()
}

/// Puts a list together of its items, each cut into operands. `hosts_of` yields an operand's hosts; `counted` is
/// given how many hosts there are after it has been applied.
pub(crate) fn compose<'a, T, E>(
    items: impl IntoIterator<Item = Vec<(SetOperator, &'a str)>>,
    name: impl Fn(&T) -> &str,
    mut hosts_of: impl FnMut(SetOperator, &'a str) -> Result<Vec<T>, E>,
    mut counted: impl FnMut(SetOperator, &'a str, usize),
) -> Result<Vec<T>, E> {
    let mut all = Vec::new();
    for operands in items {
        let mut of_item = Vec::new();
        let about_all = operands.first().is_some_and(|(operator, _)| *operator != SetOperator::Union);
        let list = if about_all { &mut all } else { &mut of_item };
        for (operator, operand) in operands {
            operator.apply(list, hosts_of(operator, operand)?, &name);
            counted(operator, operand, list.len());
        }
        all.append(&mut of_item);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(items: &[&str]) -> String {
        let letters = |_, operand: &str| Ok::<_, ()>(operand.chars().map(String::from).collect());
        compose(items.iter().map(|item| operands(item)), String::as_str, letters, |_, _, _| {}).unwrap().concat()
    }

    #[test]
    fn the_table_of_operations() {
        for (items, hosts) in [
            (&["abc"][..], "abc"),
            (&["abc&cb"], "bc"),
            (&["aabc!b"], "aac"),
            (&["abc^cd"], "abd"),
            (&["abc&bc!c"], "b"),
            (&["ab", "cd&d"], "abd"),
            (&["ab", "cd", "&bd"], "bd"),
            (&["ab", "!a"], "b"),
            (&["!a", "ab"], "ab"),
            (&["a!a"], ""),
        ] {
            assert_eq!(evaluated(items), hosts, "{items:?}");
        }
        assert_eq!(operands("u@[::1]"), [(SetOperator::Union, "u@[::1]")]);
        assert_eq!(operands("a&"), [(SetOperator::Union, "a"), (SetOperator::Intersection, "")]);
    }
}
