//! From a file's text to blocks of values.

use std::sync::Arc;

use super::algorithms;
use super::directives::{self, Directive, Keep, Kind, Words};
use super::error::Fault;
use super::forward::{Direction, ForwardSpec};
use super::jump::{self, JumpSpec};
use super::lexer;
use super::matcher::MatchLine;
use super::numbers;
use super::pattern::Pattern;
use super::value::{Block, Head, Item, Value, What};

/// `EscapeChar none`, which is not a byte.
pub(super) const NO_ESCAPE: i64 = -2;
/// `any` of `TunnelDevice`.
pub(super) const ANY_TUNNEL: i64 = 0x7fff_ffff;

/// Reads a whole file.
pub(super) fn file(text: &[u8]) -> Vec<Block> {
    let mut blocks = vec![Block { head: Head::Top, line: 0, text: "".into(), items: vec![], always: vec![] }];
    for (line, text) in lexer::lines(text) {
        match statement(&text) {
            None => {}
            Some(Parsed::Head(head)) => {
                blocks.push(Block { head, line, text: text.trim().into(), items: vec![], always: vec![] });
            }
            Some(Parsed::Items(found)) => {
                if let Some(block) = blocks.last_mut() {
                    for what in found {
                        if matters_always(&what) {
                            block.always.push(block.items.len() as u32);
                        }
                        block.items.push(Item { line, what });
                    }
                }
            }
        }
    }
    blocks
}

/// What one line comes to.
pub(super) enum Parsed {
    Head(Head),
    Items(Vec<What>),
}

/// Whether a line has an effect in a block that doesn't apply.
fn matters_always(what: &What) -> bool {
    match what {
        What::Include(_) | What::Unknown { .. } | What::Wrong { .. } => true,
        What::Set(directive, value) => {
            let unset_variable = match value {
                Value::Forward(ForwardSpec::Waiting { .. }) => true,
                Value::Text(text) => *directive == Directive::IdentityAgent && text.contains("${"),
                Value::Socket(text) => text.contains("${"),
                _ => false,
            };
            unset_variable || matches!(directive.row().keep, Keep::FirstAnywhere | Keep::LastAnywhere)
        }
    }
}

/// Reads one line; `None` if there is nothing on it.
pub(super) fn statement(line: &str) -> Option<Parsed> {
    let lexer::Statement { keyword, rest } = lexer::statement(line)?;
    let text = || -> Arc<str> { line.trim().into() };
    let wrong = |fault| Parsed::Items(vec![What::Wrong { fault, text: text() }]);
    if rest.is_empty() {
        return Some(wrong(Fault::NoArgument));
    }
    let Some(words) = lexer::words(&rest) else { return Some(wrong(Fault::Quotes)) };
    let Some(directive) = Directive::named(&keyword) else {
        return Some(Parsed::Items(vec![What::Unknown { keyword: keyword.into(), text: text() }]));
    };
    let kind = directive.row().kind;
    Some(match kind {
        Kind::Host => Parsed::Head(Head::Host(words.iter().map(|word| host_pattern(word)).collect())),
        Kind::Match => match MatchLine::parse(&rest) {
            Ok(line) => Parsed::Head(Head::Match(line)),
            Err(fault) => wrong(fault),
        },
        Kind::Ignored(_) => Parsed::Items(vec![]),
        Kind::Include if words.iter().any(String::is_empty) => wrong(Fault::MissingArgument),
        Kind::Include => Parsed::Items(vec![What::Include(words.iter().map(|word| word.as_str().into()).collect())]),
        _ => match values(directive, kind, &rest, &words) {
            Ok(values) => Parsed::Items(values.into_iter().map(|value| What::Set(directive, value)).collect()),
            Err(fault) => wrong(fault),
        },
    })
}

fn host_pattern(word: &str) -> Option<(bool, Pattern)> {
    if word.is_empty() {
        return None;
    }
    let (negated, word) = word.strip_prefix('!').map_or((false, word), |word| (true, word));
    Some((negated, Pattern::new(word)))
}

/// A line's arguments, taken one by one.
struct Arguments<'a>(std::slice::Iter<'a, String>);

impl<'a> Arguments<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    /// The next one, which must exist and not be empty.
    fn required(&mut self) -> Result<&'a str, Fault> {
        self.next().filter(|word| !word.is_empty()).ok_or(Fault::MissingArgument)
    }

    fn more_follow(&self) -> bool {
        !self.0.as_slice().is_empty()
    }
}

/// The values of a line: one, or none for a line that leaves everything as it is.
fn values(directive: Directive, kind: Kind, rest: &str, words: &[String]) -> Result<Vec<Value>, Fault> {
    match kind {
        Kind::Command | Kind::Unread => return Ok(vec![Value::Text(lexer::raw(rest).into())]),
        Kind::Jump => return Ok(vec![Value::Jump(JumpSpec::new(lexer::raw(rest)).ok_or(Fault::BadJump)?)]),
        _ => {}
    }
    let mut arguments = Arguments(words.iter());
    let values = match kind {
        Kind::Time => time(arguments.required()?)?.map(Value::Number),
        Kind::LogVerbose => {
            let words = alone(&mut arguments, &["none"])?;
            words.first().map(|first| Value::Words([first.clone()].into()))
        }
        Kind::Files => {
            let words = alone(&mut arguments, &["none"])?;
            (!words.is_empty()).then(|| Value::Words(words.into()))
        }
        Kind::SendEnv => {
            let words = every(&mut arguments, |word| {
                let fine = !word.is_empty() && !word.contains('=');
                fine.then_some(()).ok_or_else(|| bad(word, "the name of an environment variable"))
            })?;
            (!words.is_empty()).then(|| Value::Words(words.into()))
        }
        Kind::SetEnv => {
            let words =
                every(&mut arguments, |word| word.contains('=').then_some(()).ok_or_else(|| bad(word, "NAME=VALUE")))?;
            (!words.is_empty()).then(|| Value::Words(first_of_each_name(words)))
        }
        Kind::Domains => domains(&mut arguments)?,
        Kind::Cnames => cnames(&mut arguments)?,
        _ => Some(single(directive, kind, &mut arguments)?),
    };
    if arguments.more_follow() { Err(Fault::ExtraArguments) } else { Ok(values.into_iter().collect()) }
}

/// Kinds that always have a value.
fn single(directive: Directive, kind: Kind, arguments: &mut Arguments<'_>) -> Result<Value, Fault> {
    Ok(match kind {
        Kind::Word(words) => Value::Number(word(words, arguments)?),
        Kind::Number => Value::Number(number(arguments.required()?)?),
        Kind::Port => {
            let word = arguments.required()?;
            let port = numbers::port(word).filter(|port| *port > 0);
            Value::Number(i64::from(port.ok_or_else(|| bad(word, "a port"))?))
        }
        Kind::ForwardAgent => {
            let word = arguments.required()?;
            match directives::number_of(directives::FLAG, word) {
                Some(flag) => Value::Number(flag),
                None => Value::Socket(socket(word)?),
            }
        }
        Kind::AgentSocket => Value::Text(socket(arguments.required()?)?),
        Kind::Algorithms(family) => {
            let word = arguments.required()?;
            let Some((known, unknown)) = family.known_of(word) else {
                return Err(Fault::BadAlgorithms { value: word.to_owned() });
            };
            let list = family.assemble(&known).map(Into::into);
            Value::Algorithms { written: word.into(), list, unknown: unknown.into() }
        }
        Kind::GssKexes => {
            let word = arguments.required()?;
            if !algorithms::valid_gss_kexes(word) {
                return Err(Fault::BadAlgorithms { value: word.to_owned() });
            }
            Value::Text(word.into())
        }
        Kind::Forward(direction) => {
            let first = arguments.required()?;
            let second = if direction == Direction::Dynamic { None } else { arguments.next() };
            Value::Forward(ForwardSpec::new(direction, first, second)?)
        }
        Kind::RemoteOpen => Value::Words(remote_opens(arguments)?),
        Kind::EscapeChar => Value::Number(escape_char(arguments.required()?)?),
        Kind::ControlPersist => control_persist(arguments.required()?)?,
        Kind::TunnelDevice => tunnel_device(arguments.required()?)?,
        Kind::IpQos => {
            let first = qos(arguments.next().unwrap_or_default())?;
            Value::Pair(first, arguments.next().map_or(Ok(first), qos)?)
        }
        Kind::RekeyLimit => rekey_limit(arguments)?,
        Kind::Mask => {
            let word = arguments.required()?;
            Value::Number(numbers::octal_mode(word).ok_or_else(|| bad(word, "an octal mask up to 0777"))?)
        }
        Kind::AddKeys => add_keys(arguments)?,
        _ => {
            debug_assert!(kind == Kind::Text, "{directive:?} is read elsewhere");
            Value::Text(arguments.required()?.into())
        }
    })
}

fn bad(value: &str, expected: &'static str) -> Fault {
    Fault::BadValue { value: value.to_owned(), expected }
}

fn word(words: Words, arguments: &mut Arguments<'_>) -> Result<i64, Fault> {
    let word = arguments.required()?;
    directives::number_of(words, word).ok_or_else(|| Fault::UnknownWord {
        value: word.to_owned(),
        allowed: words.iter().map(|(word, _)| *word).collect(),
    })
}

fn number(word: &str) -> Result<i64, Fault> {
    numbers::number(word, i64::from(i32::MAX)).ok_or_else(|| bad(word, "a number from 0 to 2147483647"))
}

/// Seconds; `None` for `none`.
fn time(word: &str) -> Result<Option<i64>, Fault> {
    if word == "none" {
        return Ok(None);
    }
    numbers::seconds(word).map(Some).ok_or_else(|| bad(word, "a time"))
}

/// All arguments, each checked.
fn every(arguments: &mut Arguments<'_>, check: impl Fn(&str) -> Result<(), Fault>) -> Result<Vec<Arc<str>>, Fault> {
    let mut words = Vec::new();
    while let Some(word) = arguments.next() {
        check(word)?;
        words.push(word.into());
    }
    Ok(words)
}

/// All arguments, none of them empty, and certain words only alone.
fn alone(arguments: &mut Arguments<'_>, lonely: &[&str]) -> Result<Vec<Arc<str>>, Fault> {
    let count = arguments.0.len();
    every(arguments, |word| {
        if word.is_empty() {
            return Err(Fault::MissingArgument);
        }
        if count > 1 && lonely.iter().any(|lonely| lonely.eq_ignore_ascii_case(word)) {
            return Err(Fault::NotAlone { word: word.to_owned() });
        }
        Ok(())
    })
}

/// The first setting of each variable.
fn first_of_each_name(words: Vec<Arc<str>>) -> Arc<[Arc<str>]> {
    let name = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    let mut kept: Vec<Arc<str>> = Vec::with_capacity(words.len());
    for word in words {
        if !kept.iter().any(|known| name(known) == name(&word)) {
            kept.push(word);
        }
    }
    kept.into()
}

fn domains(arguments: &mut Arguments<'_>) -> Result<Option<Value>, Fault> {
    let words = alone(arguments, &["none"])?;
    let domain = |word: &Arc<str>| -> Result<Arc<str>, Fault> {
        let domain = jump::domain(word).ok_or_else(|| bad(word, "a domain name"))?;
        Ok(domain.to_ascii_lowercase().into())
    };
    let domains = words.iter().map(domain).collect::<Result<Vec<_>, _>>()?;
    Ok((!domains.is_empty()).then(|| Value::Words(domains.into())))
}

fn cnames(arguments: &mut Arguments<'_>) -> Result<Option<Value>, Fault> {
    let count = arguments.0.len();
    let mut rules: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    while let Some(word) = arguments.next() {
        if word.eq_ignore_ascii_case("none") {
            if count > 1 {
                return Err(Fault::NotAlone { word: word.to_owned() });
            }
            rules.push((word.into(), "".into()));
        } else if word == "*" {
            rules.push(("*".into(), "*".into()));
        } else {
            let lower = word.to_ascii_lowercase();
            let (source, target) = lower
                .split_once(':')
                .filter(|(_, target)| !target.is_empty())
                .ok_or_else(|| bad(word, "none, * or SOURCE:TARGET"))?;
            rules.push((source.into(), target.into()));
        }
    }
    Ok((!rules.is_empty()).then(|| Value::Cnames(rules.into())))
}

/// A path, `none`, `SSH_AUTH_SOCK` or the older `$NAME`.
fn socket(word: &str) -> Result<Arc<str>, Fault> {
    if let Some(name) = word.strip_prefix('$')
        && !name.starts_with('{')
        && (name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
    {
        return Err(Fault::BadVariable { name: name.to_owned() });
    }
    Ok(word.into())
}

fn remote_opens(arguments: &mut Arguments<'_>) -> Result<Arc<[Arc<str>]>, Fault> {
    let words = alone_or_host_ports(arguments)?;
    if words.is_empty() { Err(Fault::MissingArgument) } else { Ok(words.into()) }
}

fn alone_or_host_ports(arguments: &mut Arguments<'_>) -> Result<Vec<Arc<str>>, Fault> {
    let count = arguments.0.len();
    every(arguments, |word| {
        if word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("any") {
            return if count == 1 { Ok(()) } else { Err(Fault::NotAlone { word: word.to_owned() }) };
        }
        let end = if word.starts_with('[') {
            word.find(']').map(|at| at + 1)
        } else {
            Some(word.find([':', '/']).unwrap_or(word.len()))
        };
        let port = end.and_then(|end| word[end..].strip_prefix(':'));
        let fine = port.is_some_and(|port| port == "*" || numbers::port(port).is_some_and(|port| port > 0));
        fine.then_some(()).ok_or_else(|| bad(word, "HOST:PORT"))
    })
}

fn escape_char(word: &str) -> Result<i64, Fault> {
    match word.as_bytes() {
        b"none" => Ok(NO_ESCAPE),
        [byte] => Ok(i64::from(*byte)),
        [b'^', letter @ 64..=127] => Ok(i64::from(letter & 31)),
        _ => Err(bad(word, "a character, ^ and a letter, or none")),
    }
}

fn control_persist(word: &str) -> Result<Value, Fault> {
    Ok(match word {
        "no" | "false" => Value::Pair(0, 0),
        "yes" | "true" => Value::Pair(1, 0),
        time => Value::Pair(1, numbers::seconds(time).ok_or_else(|| bad(time, "yes, no or a time"))?),
    })
}

fn tunnel_device(word: &str) -> Result<Value, Fault> {
    let end = |word: &str| {
        if word.eq_ignore_ascii_case("any") { Some(ANY_TUNNEL) } else { numbers::number(word, ANY_TUNNEL - 2) }
    };
    let (local, remote) = word.split_once(':').unwrap_or((word, "any"));
    let pair = end(local).zip(end(remote));
    pair.map(|(local, remote)| Value::Pair(local, remote)).ok_or_else(|| bad(word, "LOCAL[:REMOTE], numbers or any"))
}

fn qos(word: &str) -> Result<i64, Fault> {
    directives::number_of(directives::QOS, word)
        .or_else(|| numbers::c_integer(word).filter(|value| (0..=255).contains(value)))
        .ok_or_else(|| bad(word, "a packet priority (af11 to ef, lowdelay, ..., 0 to 255, none)"))
}

fn rekey_limit(arguments: &mut Arguments<'_>) -> Result<Value, Fault> {
    let word = arguments.required()?;
    let bytes = if word == "default" {
        0
    } else {
        numbers::bytes(word)
            .filter(|bytes| *bytes == 0 || *bytes >= 16)
            .ok_or_else(|| bad(word, "a size of 16 or more"))?
    };
    let interval = if arguments.more_follow() { time(arguments.required()?)? } else { None };
    Ok(Value::Rekey(bytes, interval))
}

fn add_keys(arguments: &mut Arguments<'_>) -> Result<Value, Fault> {
    let first = arguments.required()?;
    let lifetime = arguments.next();
    let expected = "yes, no, ask, confirm (perhaps with a time) or a time";
    match (directives::number_of(directives::YES_NO_ASK_CONFIRM, first), lifetime) {
        (Some(3), Some(time)) => Ok(Value::Pair(3, numbers::seconds(time).ok_or_else(|| bad(time, "a time"))?)),
        (Some(number), None) => Ok(Value::Pair(number, 0)),
        (None, None) => Ok(Value::Pair(1, numbers::seconds(first).ok_or_else(|| bad(first, expected))?)),
        _ => Err(bad(first, expected)),
    }
}
