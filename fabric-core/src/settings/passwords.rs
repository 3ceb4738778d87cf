//! Passwords by host.

use indexmap::IndexMap;

use super::table::Settings;
use crate::host::HostString;
use crate::secret::Secret;

impl Settings {
    /// The login password for a host: `passwords` under its full or any shorter spelling, else `password`.
    pub fn password_for(&self, host: &HostString, user: Option<&str>, port: u16) -> Option<Secret> {
        lookup(&self.passwords, host, user, port).or_else(|| self.password.clone())
    }

    /// The password for `sudo` on a host: `sudo_passwords`, `sudo_password`, else the login password.
    pub fn sudo_password_for(&self, host: &HostString, user: Option<&str>, port: u16) -> Option<Secret> {
        lookup(&self.sudo_passwords, host, user, port)
            .or_else(|| self.sudo_password.clone())
            .or_else(|| self.password_for(host, user, port))
    }
}

fn lookup(secrets: &IndexMap<String, Secret>, host: &HostString, user: Option<&str>, port: u16) -> Option<Secret> {
    if secrets.is_empty() {
        return None;
    }
    let name = host.host();
    let bracketed = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let user = user.unwrap_or_default();
    let spellings = [
        host.as_str().to_owned(),
        format!("{user}@{bracketed}:{port}"),
        format!("{user}@{name}"),
        format!("{bracketed}:{port}"),
        name.to_owned(),
    ];
    spellings.iter().find_map(|spelling| secrets.get(spelling).cloned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_found_by_any_spelling_of_its_host() {
        let mut settings = Settings::default();
        settings.set("password", &json!("all")).unwrap();
        settings.set("passwords", &json!({"u@web1:22": "one", "web2": "two"})).unwrap();
        let of = |text: &str| settings.password_for(&text.parse().unwrap(), Some("u"), 22).unwrap().expose().to_owned();
        assert_eq!([of("web1"), of("x@web2"), of("web3")], ["one", "two", "all"]);
    }
}
