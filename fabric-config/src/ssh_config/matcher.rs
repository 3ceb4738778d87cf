//! `Match` lines: read once, evaluated for each host.

use std::net::IpAddr;

use super::error::Fault;
use super::lexer::Cutter;
use super::pattern::PatternList;

/// A `Match` line. It is never empty; `all` is the line without criteria, which is always true.
#[derive(Debug, Clone)]
pub(super) struct MatchLine {
    pub(super) criteria: Vec<Criterion>,
    /// `Some(negated)` if the line ends in `all`.
    pub(super) all: Option<bool>,
}

/// One criterion, perhaps with `!`.
#[derive(Debug, Clone)]
pub(super) struct Criterion {
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// What is tested.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// `canonical` and `final`: in the second pass only. `final` asks for one.
    SecondPass {
        asks: bool,
    },
    Host(PatternList),
    OriginalHost(PatternList),
    User(PatternList),
    LocalUser(PatternList),
    Exec(String),
    Tagged(PatternList),
    /// One of this machine's own addresses is in one of these networks.
    LocalNetwork(Vec<Network>),
    Version(PatternList),
    SessionType(PatternList),
    Command(PatternList),
}

impl MatchLine {
    /// Reads what follows `Match`.
    pub(super) fn parse(line: &str) -> Result<Self, Fault> {
        let mut cutter = Cutter::new(line);
        let mut criteria = Vec::new();
        while let Some(word) = cutter.next().filter(|word| !word.is_empty()) {
            if word.starts_with('#') {
                cutter.finish();
                break;
            }
            let (negated, attribute) = word.strip_prefix('!').map_or((false, word.as_str()), |rest| (true, rest));
            let attribute = attribute.to_ascii_lowercase();
            match attribute.as_str() {
                // One criterion before it is accepted: a mistake of OpenSSH that configurations may rely on.
                "all" => {
                    let next = cutter.next().unwrap_or_default();
                    if criteria.len() > 1 || !(next.is_empty() || next.starts_with('#')) {
                        return Err(Fault::AllNotAlone);
                    }
                    if next.starts_with('#') {
                        cutter.finish();
                    }
                    return Self { criteria, all: Some(negated) }.unless_more_follows(&cutter);
                }
                "canonical" | "final" => {
                    criteria.push(Criterion { negated, test: Test::SecondPass { asks: attribute == "final" } });
                    continue;
                }
                _ => {}
            }
            // No tag, and no command, is the empty text.
            let may_be_empty = matches!(attribute.as_str(), "tagged" | "command") && cutter.rest().is_some();
            let argument = cutter.next().filter(|value| (may_be_empty || !value.is_empty()) && !value.starts_with('#'));
            let Some(value) = argument else { return Err(Fault::MissingCriterion { word }) };
            let test = match attribute.as_str() {
                "host" => Test::Host(PatternList::new(&value, true)),
                "originalhost" => Test::OriginalHost(PatternList::new(&value, true)),
                "user" => Test::User(PatternList::new(&value, false)),
                "localuser" => Test::LocalUser(PatternList::new(&value, false)),
                "exec" => Test::Exec(value),
                "tagged" => Test::Tagged(texts(&value)),
                "localnetwork" => Test::LocalNetwork(networks(&value)?),
                "version" => Test::Version(texts(&value)),
                "sessiontype" => Test::SessionType(texts(&value)),
                "command" => Test::Command(texts(&value)),
                _ => return Err(Fault::UnknownCriterion { word }),
            };
            criteria.push(Criterion { negated, test });
        }
        if criteria.is_empty() {
            return Err(Fault::NoCriteria);
        }
        Self { criteria, all: None }.unless_more_follows(&cutter)
    }

    fn unless_more_follows(self, cutter: &Cutter) -> Result<Self, Fault> {
        if cutter.rest().is_none_or(str::is_empty) { Ok(self) } else { Err(Fault::ExtraArguments) }
    }
}

/// A list of patterns; an empty text is one that matches the empty text.
fn texts(value: &str) -> PatternList {
    PatternList::new(if value.is_empty() { "," } else { value }, false)
}

/// An address and the length of its network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    length: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(bits), |length| length.parse().ok().filter(|length| *length <= bits))?;
        let network = Self { address, length };
        // OpenSSH refuses an address with bits beyond the network prefix.
        let (own, _) = network.parts(address);
        (own.checked_shl(network.beyond()).unwrap_or(0) == number(address)).then_some(network)
    }

    /// How many bits are not part of the network prefix.
    fn beyond(self) -> u32 {
        (if self.address.is_ipv4() { 32 } else { 128 }) - self.length
    }

    /// The network prefixes of an address and of this network.
    fn parts(self, address: IpAddr) -> (u128, u128) {
        let part = |address| number(address).checked_shr(self.beyond()).unwrap_or(0);
        (part(address), part(self.address))
    }

    pub(super) fn has(self, address: IpAddr) -> bool {
        let (theirs, own) = self.parts(address);
        address.is_ipv4() == self.address.is_ipv4() && theirs == own
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn networks(list: &str) -> Result<Vec<Network>, Fault> {
    let network = |text: &str| {
        let bad = || Fault::BadValue { value: text.to_owned(), expected: "a network such as 10.0.0.0/8" };
        Network::parse(text).ok_or_else(bad)
    };
    list.split(',').map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_read() {
        for good in [
            "all",
            "!all",
            "host a",
            "host=a user=b",
            "HOST a,b !User c",
            "final",
            "canonical host x # y",
            "host \"a b\"",
            "host a all",
            "all # x",
            "exec \"test 1 = 1\" localuser me",
            "tagged \"\" command \"\" user b",
            "tagged a,b* localnetwork 10.0.0.0/8,::1 version OpenSSH_10.* !sessiontype exec",
        ] {
            assert!(MatchLine::parse(good).is_ok(), "{good}");
        }
        let bad = [
            ("all host a", Fault::AllNotAlone),
            ("host a user b all", Fault::AllNotAlone),
            ("host", Fault::MissingCriterion { word: "host".into() }),
            ("host # a", Fault::MissingCriterion { word: "host".into() }),
            ("version", Fault::MissingCriterion { word: "version".into() }),
            ("tagged", Fault::MissingCriterion { word: "tagged".into() }),
            (
                "localnetwork 10.1.0.0/8",
                Fault::BadValue { value: "10.1.0.0/8".into(), expected: "a network such as 10.0.0.0/8" },
            ),
            ("shoe x", Fault::UnknownCriterion { word: "shoe".into() }),
            ("# x", Fault::NoCriteria),
            ("host a \"\" user b", Fault::ExtraArguments),
        ];
        for (text, fault) in bad {
            assert_eq!(MatchLine::parse(text).unwrap_err(), fault, "{text}");
        }
    }

    #[test]
    fn networks_have_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("::/0", "8.8.8.8", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, address, has) in cases {
            assert_eq!(Network::parse(network).unwrap().has(address.parse().unwrap()), has, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "web1", "10.0.0.0/x", "::1/64"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
