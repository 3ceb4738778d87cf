//! `Match` lines: read once, judged per host.

use super::error::Fault;
use super::lexer::Cutter;
use super::pattern::PatternList;

/// A `Match` line. An empty one never comes about; `all` is the line without criteria that is always true.
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
                // One criterion before it is let through, which is OpenSSH's slip and may be relied on.
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
            let argument = cutter.next().filter(|value| !value.is_empty() && !value.starts_with('#'));
            let Some(value) = argument else { return Err(Fault::MissingCriterion { word }) };
            let test = match attribute.as_str() {
                "host" => Test::Host(PatternList::new(&value, true)),
                "originalhost" => Test::OriginalHost(PatternList::new(&value, true)),
                "user" => Test::User(PatternList::new(&value, false)),
                "localuser" => Test::LocalUser(PatternList::new(&value, false)),
                "exec" => Test::Exec(value),
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
        ] {
            assert!(MatchLine::parse(good).is_ok(), "{good}");
        }
        let bad = [
            ("all host a", Fault::AllNotAlone),
            ("host a user b all", Fault::AllNotAlone),
            ("host", Fault::MissingCriterion { word: "host".into() }),
            ("host # a", Fault::MissingCriterion { word: "host".into() }),
            ("shoe x", Fault::UnknownCriterion { word: "shoe".into() }),
            ("# x", Fault::NoCriteria),
            ("host a \"\" user b", Fault::ExtraArguments),
        ];
        for (text, fault) in bad {
            assert_eq!(MatchLine::parse(text).unwrap_err(), fault, "{text}");
        }
    }
}
