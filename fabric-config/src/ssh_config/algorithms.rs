//! Algorithm lists: what OpenSSH knows, what it proposes by itself, and how a directive's `+`, `-`, `^`
//! and wildcards change that.

use std::borrow::Cow;
use std::sync::Arc;

use super::pattern::PatternList;

/// The five sets of names that a directive can choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Cipher,
    Mac,
    Kex,
    /// Public keys and certificates: host keys, user keys, host-based keys.
    Key,
    /// Signatures of a certificate authority.
    CaSignature,
}

const CIPHERS: &[&str] = &[
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];
const MACS: &[&str] = &[
    "hmac-sha1",
    "hmac-sha1-96",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-md5",
    "hmac-md5-96",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
];
const KEXES: &[&str] = &[
    "diffie-hellman-group1-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group-exchange-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    // Since 9.9.
    "mlkem768x25519-sha256",
];
/// A name in `KexAlgorithms` and `GSSAPIKexAlgorithms` may begin with one of these; a mechanism follows.
const GSS_KEXES: &[&str] = &[
    "gss-gex-sha1-",
    "gss-group1-sha1-",
    "gss-group14-sha1-",
    "gss-group14-sha256-",
    "gss-group16-sha512-",
    "gss-nistp256-sha256-",
    "gss-curve25519-sha256-",
];
const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];
/// A key's short name is accepted in a list, in any case, though it selects nothing.
const SHORT_KEYS: &[&str] = &["ed25519", "ed25519-sk", "ecdsa", "ecdsa-sk", "dsa", "rsa", "null"];
const SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
];

/// The default of `GSSAPIKexAlgorithms`.
pub(super) const DEFAULT_GSS_KEXES: &str = "gss-group14-sha256-,gss-group16-sha512-,gss-nistp256-sha256-,\
    gss-curve25519-sha256-,gss-group14-sha1-,gss-gex-sha1-";

impl Family {
    fn known(self) -> &'static [&'static str] {
        match self {
            Self::Cipher => CIPHERS,
            Self::Mac => MACS,
            Self::Kex => KEXES,
            Self::Key => KEYS,
            Self::CaSignature => SIGNATURES,
        }
    }

    /// The list in force without a directive, comma-separated.
    pub(super) fn default_list(self) -> &'static str {
        match self {
            Self::Cipher => {
                "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,\
                 aes256-gcm@openssh.com"
            }
            Self::Mac => {
                "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
                 hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,\
                 umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"
            }
            Self::Kex => {
                "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
                 curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
                 diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
                 diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
            }
            Self::Key => {
                "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
                 ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
                 sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
                 rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,\
                 ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
                 sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"
            }
            Self::CaSignature => {
                "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
                 sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"
            }
        }
    }

    /// Whether a name is allowed in a list of this family.
    fn accepts(self, name: &str) -> bool {
        match self {
            Self::Cipher => CIPHERS.contains(&name),
            Self::Mac => MACS.contains(&name),
            Self::Kex => KEXES.contains(&name) || is_gss_kex(name),
            Self::Key | Self::CaSignature => {
                let pattern = PatternList::new(name, false);
                KEYS.contains(&name)
                    || SHORT_KEYS.iter().any(|short| short.eq_ignore_ascii_case(name))
                    || KEYS.iter().chain(&["null"]).any(|key| pattern.check(key) != super::pattern::Verdict::NoMatch)
            }
        }
    }

    /// Takes a list apart, as it is read: into the list of the known names, and the unknown ones. Names after an empty one are
    /// ignored; names to remove are patterns, and count as known. `None` for a list without names.
    pub(super) fn known_of(self, written: &str) -> Option<(Cow<'_, str>, Vec<Arc<str>>)> {
        let (sign, names) = written.split_at(usize::from(written.starts_with(['+', '-', '^'])));
        if sign == "-" {
            return Some((written.into(), Vec::new()));
        }
        if names.is_empty() || names.starts_with(',') {
            return None;
        }
        let unknown: Vec<&str> =
            names.split(',').take_while(|name| !name.is_empty()).filter(|name| !self.accepts(name)).collect();
        if unknown.is_empty() {
            return Some((written.into(), Vec::new()));
        }
        let known: Vec<&str> =
            names.split(',').take_while(|name| !name.is_empty()).filter(|name| self.accepts(name)).collect();
        Some((format!("{sign}{}", known.join(",")).into(), unknown.into_iter().map(Into::into).collect()))
    }

    /// The names in force after a directive said `written`; `None` if nothing is left, or if there is a negated pattern
    /// where only names are allowed.
    pub(super) fn assemble(self, written: &str) -> Option<String> {
        let default = self.default_list();
        let wanted = match (written.as_bytes().first(), written.get(1..).unwrap_or_default()) {
            (Some(b'-'), removed) => {
                let removed = PatternList::new(removed, false);
                let kept: Vec<_> = default.split(',').filter(|name| !removed.matches(name)).collect();
                return Some(kept.join(","));
            }
            (Some(b'+' | b'^'), "") => default.to_owned(),
            (Some(b'+'), more) => union(default, more),
            (Some(b'^'), first) => union(first, default),
            (_, _) => written.to_owned(),
        };
        let mut names: Vec<&str> = Vec::new();
        for pattern in wanted.split(',') {
            if pattern.starts_with('!') {
                return None;
            }
            let pattern = PatternList::new(pattern, false);
            for name in self.known() {
                if pattern.matches(name) && !names.contains(name) {
                    names.push(name);
                }
            }
        }
        (!names.is_empty()).then(|| names.join(","))
    }
}

/// The first list, then what is new in the second (as far as its first empty name).
fn union(first: &str, second: &str) -> String {
    let mut list = first.to_owned();
    for name in second.split(',').take_while(|name| !name.is_empty()) {
        if !list.split(',').any(|known| known == name) {
            list.push(',');
            list.push_str(name);
        }
    }
    list
}

fn is_gss_kex(name: &str) -> bool {
    GSS_KEXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Checks a `GSSAPIKexAlgorithms` list.
pub(super) fn valid_gss_kexes(list: &str) -> bool {
    !list.is_empty() && list.split(',').take_while(|name| !name.is_empty()).all(is_gss_kex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_change_the_defaults() {
        let cipher = |s| Family::Cipher.assemble(s).unwrap();
        assert_eq!(cipher("aes256-ctr,aes128-ctr,aes256-ctr"), "aes256-ctr,aes128-ctr");
        assert_eq!(cipher("+3des-cbc"), format!("{},3des-cbc", Family::Cipher.default_list()));
        assert!(cipher("^aes256-ctr").starts_with("aes256-ctr,chacha20"));
        assert_eq!(cipher("-*gcm*,chacha*"), "aes128-ctr,aes192-ctr,aes256-ctr");
        assert_eq!(cipher("-*"), "");
        assert_eq!(Family::Kex.assemble("gss-gex-sha1-x"), None);
        assert_eq!(Family::Key.assemble("ssh-ed*").as_deref(), Some("ssh-ed25519,ssh-ed25519-cert-v01@openssh.com"));
        assert_eq!(Family::Key.assemble("!ssh-rsa"), None);
    }

    #[test]
    fn unknown_names_are_left_out() {
        let cipher = |written| {
            let (known, unknown) = Family::Cipher.known_of(written).unwrap();
            (known.into_owned(), unknown.join(" "))
        };
        for all in ["aes128-ctr", "+aes128-ctr", "-anything", "aes128-ctr,,rubbish"] {
            assert_eq!(cipher(all), (all.to_owned(), String::new()));
        }
        for (written, known, unknown) in [
            ("aes", "", "aes"),
            ("aes128-ctr,x,3des-cbc", "aes128-ctr,3des-cbc", "x"),
            ("+aes*,aes128-ctr", "+aes128-ctr", "aes*"),
            ("^AES128-CTR", "^", "AES128-CTR"),
        ] {
            assert_eq!(cipher(written), (known.to_owned(), unknown.to_owned()));
        }
        for default in ["+", "^"] {
            assert_eq!(Family::Cipher.assemble(default).as_deref(), Some(Family::Cipher.default_list()));
        }
        assert_eq!(Family::Cipher.assemble(""), None);
        for none in ["", "+", "^", ",aes128-ctr"] {
            assert_eq!(Family::Cipher.known_of(none), None, "{none}");
        }
        assert_eq!(Family::Key.known_of("ssh-*,RSA,!ssh-dss").unwrap().1, []);
        assert_eq!(Family::Key.known_of("ssh_*").unwrap().1, ["ssh_*".into()]);
        assert!(valid_gss_kexes("gss-gex-sha1-,gss-group1-sha1-x"));
        assert!(!valid_gss_kexes("curve25519-sha256"));
    }
}
