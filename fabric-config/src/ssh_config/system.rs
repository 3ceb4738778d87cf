//! What OpenSSH gets from the C library, read from files: users, groups and services.
//!
//! Only looked at where a configuration names a user (`~user`), a service (`Port https`) or has a
//! group-writable file.

use std::fs;

/// The lines of a file, without comments; nothing if it can't be read.
fn records(path: &str) -> Vec<String> {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    text.lines().map(|line| line.split('#').next().unwrap_or_default().to_owned()).collect()
}

/// One entry of the password database.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: String,
}

/// All accounts of `/etc/passwd`.
pub(super) fn accounts() -> impl Iterator<Item = Account> {
    records("/etc/passwd").into_iter().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        Some(Account {
            name: (*fields.first()?).to_owned(),
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: (*fields.get(5)?).to_owned(),
        })
    })
}

/// A user's home directory.
pub(super) fn home_of(user: &str) -> Option<String> {
    accounts().find(|account| account.name == user).map(|account| account.home)
}

/// The members that `/etc/group` lists for a group; `None` if there is no such group.
pub(super) fn members(gid: u32) -> Option<Vec<String>> {
    records("/etc/group").into_iter().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(gid)).then(|| {
            let members = fields.get(3).copied().unwrap_or_default();
            members.split(',').filter(|name| !name.is_empty()).map(|name| name.trim().to_owned()).collect()
        })
    })
}

/// A TCP service's port, by its name or an alias of it in `/etc/services`.
pub(super) fn port_of_service(name: &str) -> Option<u16> {
    records("/etc/services").iter().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        (official == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_entries_are_found() {
        assert_eq!(home_of("root").as_deref(), Some("/root"));
        assert_eq!(home_of("no-such-user"), None);
        assert_eq!(members(0), Some(vec![]));
        assert_eq!(port_of_service("no-such-service"), None);
    }
}
