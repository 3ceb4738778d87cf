//! From the name that was asked for to the name that is connected to: numeric addresses in their one form,
//! and, where the configuration says so, names completed with a domain and aliases followed.

use std::net::{Ipv4Addr, Ipv6Addr};

use fabric_core::target::AddressFamily;

use super::error::Fault;
use super::jump;
use super::pattern::PatternList;

/// Looks host names up, for canonicalisation only. The library itself never asks the network.
pub trait HostResolver {
    /// `Some` if `name` has an address of the family; a trailing dot means that no search domain is to be
    /// tried. The string inside is the canonical name that was reported, or empty if none was.
    fn canonical_name(&self, name: &str, family: AddressFamily) -> Option<String>;
}

impl<F: Fn(&str, AddressFamily) -> Option<String>> HostResolver for F {
    fn canonical_name(&self, name: &str, family: AddressFamily) -> Option<String> {
        self(name, family)
    }
}

/// What the configuration says about canonicalisation.
pub(super) struct Rules<'a> {
    pub(super) mode: Mode,
    pub(super) domains: &'a [std::sync::Arc<str>],
    pub(super) max_dots: i64,
    pub(super) fall_back: bool,
    /// Aliases that may be followed: patterns of sources and targets.
    pub(super) cnames: &'a [(std::sync::Arc<str>, std::sync::Arc<str>)],
    /// There is no proxy.
    pub(super) direct: bool,
    pub(super) family: AddressFamily,
}

/// `CanonicalizeHostname`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    No,
    Yes,
    Always,
}

/// The canonical host name.
pub(super) fn canonicalize(name: &str, rules: &Rules<'_>, dns: Option<&dyn HostResolver>) -> Result<String, Fault> {
    let mut host = name.to_owned();
    let address = looks_like_address(&host) || address(&host, rules.family).is_some();
    if !address {
        host.make_ascii_lowercase();
    }
    let mut resolved = false;
    if (rules.mode != Mode::No || address)
        && let Some(found) = complete(&host, rules, dns)?
    {
        host = found;
        resolved = true;
    }
    let follows = rules.direct || rules.mode == Mode::Always;
    if !resolved && has_cname_rules(rules) && follows {
        match look_up(&host, rules, dns) {
            Some(cname) => host = follow(host, &cname, rules),
            // Without a resolver nothing is known about a name, and it is not refused.
            None if rules.direct && dns.is_some() => return Err(Fault::Unresolved { name: host }),
            None => {}
        }
    }
    Ok(host)
}

/// The name with the first domain under which it is found; `None` if it stays as it is.
fn complete(host: &str, rules: &Rules<'_>, dns: Option<&dyn HostResolver>) -> Result<Option<String>, Fault> {
    if let Some(address) = address(host, rules.family) {
        // A difference in case alone is left as it was written.
        return Ok(Some(if address.eq_ignore_ascii_case(host) { host.to_owned() } else { address }));
    }
    let applies = match rules.mode {
        Mode::No => false,
        Mode::Yes => rules.direct,
        Mode::Always => true,
    };
    if looks_like_address(host) || !applies {
        return Ok(None);
    }
    let found = |full: &str| {
        let cname = look_up(full, rules, dns)?;
        Some(follow(full.strip_suffix('.').unwrap_or(full).to_owned(), &cname, rules))
    };
    if host.ends_with('.') {
        if let Some(name) = found(host) {
            return Ok(Some(name));
        }
    } else {
        if host.bytes().filter(|b| *b == b'.').count() as i64 > rules.max_dots {
            return Ok(None);
        }
        for domain in rules.domains.iter().take_while(|domain| !domain.eq_ignore_ascii_case("none")) {
            if let Some(name) = found(&format!("{host}.{domain}.")) {
                return Ok(Some(name));
            }
        }
    }
    if rules.fall_back { Ok(None) } else { Err(Fault::Unresolved { name: host.to_owned() }) }
}

/// The canonical name of a name that has an address; empty if that isn't a sound one.
fn look_up(name: &str, rules: &Rules<'_>, dns: Option<&dyn HostResolver>) -> Option<String> {
    let cname = dns?.canonical_name(name, rules.family)?;
    Some(jump::domain(&cname).unwrap_or_default())
}

fn has_cname_rules(rules: &Rules<'_>) -> bool {
    match rules.cnames {
        [(source, target)] if target.is_empty() && source.eq_ignore_ascii_case("none") => false,
        rules => !rules.is_empty(),
    }
}

/// The alias's target, if a rule lets it take the name's place.
fn follow(host: String, cname: &str, rules: &Rules<'_>) -> String {
    let may = match rules.mode {
        Mode::No => false,
        Mode::Yes => rules.direct,
        Mode::Always => true,
    };
    if cname.is_empty() || cname == host || !may || !has_cname_rules(rules) {
        return host;
    }
    let permitted = rules.cnames.iter().any(|(source, target)| {
        PatternList::new(source, true).matches(&host) && PatternList::new(target, true).matches(cname)
    });
    if permitted { cname.to_owned() } else { host }
}

/// Whether a name can only be an address.
fn looks_like_address(name: &str) -> bool {
    name.contains(['%', ':']) || name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// A numeric address in the form in which the system prints it; `None` if the name isn't one of the family.
fn address(name: &str, family: AddressFamily) -> Option<String> {
    if !name.bytes().next()?.is_ascii_hexdigit() && !name.starts_with(':') {
        return None;
    }
    if family != AddressFamily::Inet6
        && let Some(v4) = v4(name)
    {
        return Some(v4.to_string());
    }
    match family {
        // An IPv4-mapped IPv6 address counts as IPv4.
        AddressFamily::Inet => name.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped().map(|v4| v4.to_string()),
        _ => v6(name),
    }
}

/// IPv4 with one to four parts, each decimal, octal (`0`) or hexadecimal (`0x`).
fn v4(name: &str) -> Option<Ipv4Addr> {
    let part = |text: &str| -> Option<u32> {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
            None => (text, 10),
        };
        digits.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
    };
    let parts = name.split('.').map(part).collect::<Option<Vec<_>>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|byte| *byte > 255) {
        return None;
    }
    let free_bits = 32 - 8 * bytes.len() as u32;
    if u64::from(*last) >> free_bits != 0 {
        return None;
    }
    let high = bytes.iter().enumerate().fold(0u32, |sum, (n, byte)| sum | byte << (24 - 8 * n));
    Some(Ipv4Addr::from(high | last))
}

/// IPv6, with the zone by name for link-local addresses, else by number.
fn v6(name: &str) -> Option<String> {
    let (address, zone) = name.split_once('%').map_or((name, None), |(address, zone)| (address, Some(zone)));
    let address: Ipv6Addr = address.parse().ok()?;
    let segments = address.segments();
    let local = segments[0] & 0xffc0 == 0xfe80 || (segments[0] >> 8 == 0xff && segments[0] & 0xf == 2);
    let index = match zone {
        None => 0,
        Some(zone) => zone_index(zone, local)?,
    };
    let text = match segments {
        // An IPv4 address in the last 32 bits, unless they are all that makes `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            format!("::{}", Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address.to_string(),
    };
    if index == 0 {
        return Some(text);
    }
    let zone = if local { zone_name(index) } else { None };
    Some(format!("{text}%{}", zone.unwrap_or_else(|| index.to_string())))
}

/// A network interface's number, from its name (link-local addresses only) or as a number.
fn zone_index(zone: &str, local: bool) -> Option<u32> {
    let by_name = || -> Option<u32> {
        let family = rustix::net::AddressFamily::INET;
        let socket = rustix::net::socket(family, rustix::net::SocketType::DGRAM, None).ok()?;
        rustix::net::netdevice::name_to_index(socket, zone).ok()
    };
    let number = || zone.bytes().all(|b| b.is_ascii_digit()).then(|| zone.parse().ok())?;
    if local { by_name().or_else(number) } else { number() }
}

fn zone_name(index: u32) -> Option<String> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(socket, index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn addresses_have_one_form() {
        let cases = [
            ("127.1", Some("127.0.0.1")),
            ("0x7f.0.0.010", Some("127.0.0.8")),
            ("1", Some("0.0.0.1")),
            ("256.1.1.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.", None),
            ("08.1.1.1", None),
            ("0x.1", None),
            ("::FFFF:1.2.3.4", Some("::ffff:1.2.3.4")),
            ("0:0:0:0:0:0:0:1", Some("::1")),
            ("::1:2", Some("::0.1.0.2")),
            ("2001:DB8::0:1", Some("2001:db8::1")),
            ("::1%1", Some("::1%1")),
            ("fe80::1%no-such-device", None),
            ("web1", None),
            ("dead.beef", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(address(name, AddressFamily::Any).as_deref(), expected, "{name}");
        }
        assert_eq!(address("127.1", AddressFamily::Inet6), None);
        assert_eq!(address("::1", AddressFamily::Inet), None);
        assert_eq!(address("::FFFF:1.2.3.4", AddressFamily::Inet).as_deref(), Some("1.2.3.4"));
    }

    fn dns(name: &str, _: AddressFamily) -> Option<String> {
        match name {
            "web1.b.org." | "db.b.org." => Some("real.c.org".into()),
            "plain" => Some("plain.c.org".into()),
            _ => None,
        }
    }

    fn rules<'a>(domains: &'a [Arc<str>], cnames: &'a [(Arc<str>, Arc<str>)]) -> Rules<'a> {
        Rules {
            mode: Mode::Yes,
            domains,
            max_dots: 1,
            fall_back: true,
            cnames,
            direct: true,
            family: AddressFamily::Any,
        }
    }

    #[test]
    fn names_are_completed_and_aliases_followed() {
        let domains: [Arc<str>; 2] = ["a.org".into(), "b.org".into()];
        let cnames: [(Arc<str>, Arc<str>); 1] = [("web*".into(), "*.c.org".into())];
        let canonical = |host: &str, rules: &Rules<'_>| canonicalize(host, rules, Some(&dns));
        let plain = rules(&domains, &[]);
        assert_eq!(canonical("WEB1", &plain).unwrap(), "web1.b.org");
        assert_eq!(canonical("nope", &plain).unwrap(), "nope");
        assert_eq!(canonical("web1.b.org.", &plain).unwrap(), "web1.b.org");
        assert_eq!(canonical("a.b.c", &plain).unwrap(), "a.b.c");
        assert_eq!(canonical("WEB1", &Rules { mode: Mode::No, ..rules(&domains, &[]) }).unwrap(), "web1");
        assert_eq!(canonical("web1", &Rules { direct: false, ..rules(&domains, &[]) }).unwrap(), "web1");
        let strict = Rules { fall_back: false, ..rules(&domains, &[]) };
        assert_eq!(canonical("nope", &strict), Err(Fault::Unresolved { name: "nope".into() }));
        let follows = rules(&domains, &cnames);
        assert_eq!(canonical("web1", &follows).unwrap(), "real.c.org");
        assert_eq!(canonical("db", &follows).unwrap(), "db.b.org");
        // Rules alone have the bare name looked up.
        let all: [(Arc<str>, Arc<str>); 1] = [("*".into(), "*".into())];
        assert_eq!(canonical("plain", &rules(&[], &all)).unwrap(), "plain.c.org");
        assert!(canonical("nope", &rules(&[], &all)).is_err());
        assert_eq!(canonicalize("nope", &rules(&[], &all), None).unwrap(), "nope");
    }
}
