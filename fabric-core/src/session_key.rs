//! Which targets one session serves: [`SessionKey`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::target::Target;

/// A target as the key of its session. Two are equal if they reach the same machine, by the same way, under the same
/// checks and as the same user with the same credentials; then, and only then, one session serves both.
///
/// How the host is written does not count for `ssh`, since everything that it decides is in the rest of the target:
/// `web1`, `root@web1:22` and an alias of ssh_config may be one. It counts for each other transport, which is given it
/// and may go by it, and for gateways.
///
/// ```
/// use std::sync::Arc;
/// use fabric_core::{Gateway, SessionKey, Target};
///
/// let key = |target: &Target| SessionKey::new(Arc::new(target.clone()));
/// let mut one = Target::new("web1".parse()?);
/// one.user = Some("root".into());
/// let mut other = Target::new("root@web1:22".parse()?);
/// assert_eq!(key(&one), key(&other));
///
/// other.gateway = Some(Gateway::Command("nc -X 5 -x proxy %h %p".into()));
/// assert_ne!(key(&one), key(&other));
/// # Ok::<(), fabric_core::HostStringError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionKey(Arc<Target>);

impl SessionKey {
    /// The key of this target's session.
    pub fn new(target: Arc<Target>) -> Self {
        Self(target)
    }

    /// The target.
    pub fn target(&self) -> &Arc<Target> {
        &self.0
    }
}

impl PartialEq for SessionKey {
    fn eq(&self, other: &Self) -> bool {
        // Each field is named here, so that a new one cannot be forgotten.
        let Target {
            host_string,
            host,
            port,
            user,
            unasked,
            transport,
            gateway,
            auth,
            host_keys,
            timeouts,
            keepalive,
            algorithms,
            compression,
            forward_agent,
            address_family,
            bind_address,
            shell: _,
            warnings: _,
            send_env,
            ssh_options,
            options,
        } = &*self.0;
        let theirs = &*other.0;
        // What a transport with defaults of its own depends on.
        let asked = transport == "ssh" || (*host_string == theirs.host_string && *unasked == theirs.unasked);
        *host == theirs.host
            && *port == theirs.port
            && *user == theirs.user
            && *transport == theirs.transport
            && asked
            && *gateway == theirs.gateway
            && *auth == theirs.auth
            && *host_keys == theirs.host_keys
            && *timeouts == theirs.timeouts
            && *keepalive == theirs.keepalive
            && *algorithms == theirs.algorithms
            && *compression == theirs.compression
            && *forward_agent == theirs.forward_agent
            && *address_family == theirs.address_family
            && *bind_address == theirs.bind_address
            && *send_env == theirs.send_env
            && *ssh_options == theirs.ssh_options
            && *options == theirs.options
    }
}

impl Eq for SessionKey {}

/// By the fields that nearly always differ, which is cheap.
impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Target { transport, user, host, port, .. } = &*self.0;
        (transport, user, host, port).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::Secret;
    use crate::target::{AddressFamily, Gateway, HostKeyCheck, Identity, Unasked};

    fn target(host: &str) -> Target {
        Target::new(host.parse().unwrap())
    }

    fn jump(hop: &str, change: impl FnOnce(&mut Target)) -> Gateway {
        let mut hop = target(hop);
        change(&mut hop);
        Gateway::Jump(Box::new(hop))
    }

    #[test]
    fn whatever_differs_is_another_session() {
        type Change = fn(&mut Target);
        let changes: [Change; 31] = [
            |t| t.host = "h2".into(),
            |t| t.port = 23,
            |t| t.user = Some("u".into()),
            |t| t.transport = "local".into(),
            |t| t.gateway = Some(Gateway::Command("one".into())),
            |t| t.gateway = Some(Gateway::Command("two".into())),
            |t| t.gateway = Some(Gateway::Plugin { scheme: "s".into(), url: "s://p".into(), password: None }),
            |t| {
                let password = Some(Secret::new("p"));
                t.gateway = Some(Gateway::Plugin { scheme: "s".into(), url: "s://p".into(), password });
            },
            |t| t.gateway = Some(jump("b", |_| ())),
            |t| t.gateway = Some(jump("b", |hop| hop.auth.password = Some(Secret::new("one")))),
            |t| t.gateway = Some(jump("b", |hop| hop.auth.password = Some(Secret::new("two")))),
            |t| t.gateway = Some(jump("b", |hop| hop.auth.key = Some(Secret::new("one")))),
            |t| t.gateway = Some(jump("b", |hop| hop.gateway = Some(jump("a", |_| ())))),
            |t| t.auth.password = Some(Secret::new("one")),
            |t| t.auth.password = Some(Secret::new("two")),
            |t| t.auth.identities = vec![Identity { path: "k".into(), explicit: true }],
            |t| t.auth.identities_only = true,
            |t| t.auth.agent = Some(PathBuf::from("/a")),
            |t| t.auth.methods = vec!["password".into()],
            |t| t.host_keys.alias = Some("a".into()),
            |t| t.host_keys.check = HostKeyCheck::Strict,
            |t| t.host_keys.check = HostKeyCheck::Off,
            |t| t.host_keys.user_files = vec!["k".into()],
            |t| t.timeouts.connect = Some(Duration::from_secs(1)),
            |t| t.algorithms.ciphers = vec!["c".into()],
            |t| t.forward_agent = true,
            |t| t.address_family = AddressFamily::Inet6,
            |t| t.bind_address = Some("127.0.0.2".into()),
            |t| t.send_env = vec![("A".into(), "b".into())],
            |t| t.ssh_options = vec!["Port=7".into()],
            |t| t.options = BTreeMap::from([("o".to_owned(), json!(1))]),
        ];
        let mut keys = vec![SessionKey::new(Arc::new(target("h")))];
        for change in changes {
            let mut other = target("h");
            change(&mut other);
            keys.push(SessionKey::new(Arc::new(other)));
        }
        for (place, one) in keys.iter().enumerate() {
            for (other_place, other) in keys.iter().enumerate() {
                assert_eq!(one == other, place == other_place, "{one:?}\n{other:?}");
                let same = SessionKey::new(Arc::new(Target::clone(&one.0)));
                assert_eq!(one, &same);
            }
        }
    }

    #[test]
    fn how_the_host_is_written_counts_where_a_transport_may_go_by_it() {
        let key = |host: &str, transport: &str| {
            let mut target = target(host);
            (target.host, target.user, target.unasked) = ("h".into(), Some("u".into()), Unasked::default());
            target.transport = transport.into();
            SessionKey::new(Arc::new(target))
        };
        assert_eq!(key("alias", "ssh"), key("u@h:22", "ssh"));
        assert_ne!(key("alias", "openssh"), key("u@h:22", "openssh"));
        assert_eq!(key("alias", "openssh"), key("alias", "openssh"));
    }
}
