//! Renaming roles where they are named.

use fabric_core::Value;

use crate::hostlist::with_operands;
use crate::template;

/// The new name of a role.
pub(super) type Rename<'a> = dyn Fn(&str) -> String + 'a;

/// Renames the roles of a list, in set operations too; templates stay.
pub(super) fn rename_all(items: &mut [String], rename: &Rename<'_>) {
    for item in items.iter_mut().filter(|item| !template::is_template(item)) {
        *item = with_operands(item, rename);
    }
}

/// A list of roles, or what is added to one.
pub(super) fn rename_in(roles: &mut Value, rename: &Rename<'_>) {
    match roles {
        Value::String(role) => rename_all(std::slice::from_mut(role), rename),
        Value::Array(items) => items.iter_mut().for_each(|item| rename_in(item, rename)),
        Value::Object(members) => members.values_mut().for_each(|item| rename_in(item, rename)),
        _ => {}
    }
}
