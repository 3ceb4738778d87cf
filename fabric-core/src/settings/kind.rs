//! The types that settings have, and how each is read from text and from untyped values.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;
use thiserror::Error;

use super::value::{Map, Value};
use crate::command::PathBehavior;
use crate::host::split_list;
use crate::secret::Secret;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, not negative, of 32 bits.
    Integer,
    /// A whole number, not negative, of 63 bits, as TOML has them: a number of bytes.
    Size,
    /// A port, from 1 to 65535.
    Port,
    /// Seconds, whole or not, from 0 to 1000000000.
    Seconds,
    /// A text.
    Text,
    /// A text, or a whole number as a text: how many, or what share of all.
    Amount,
    /// A text that is never shown.
    Secret,
    /// A list of texts; a text is a list of one.
    List,
    /// A list of whole numbers; a number is a list of one.
    Integers,
    /// Texts by name.
    TextMap,
    /// Texts by name that are never shown.
    SecretMap,
    /// Switches by name.
    BoolMap,
    /// Anything by name.
    Map,
    /// `true`, `false`, or unset.
    Maybe,
    /// A text, or `false` for off.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A value or a text is not of this type. The message says what was expected, and never what was found, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {}", .0.expected())]
pub struct NotOfKind(pub Kind);

/// The most seconds that a setting takes, some 30 years: more is a mistake, or "no limit", which is 0.
const SECONDS: f64 = 1e9;

impl Kind {
    /// What a value of this type looks like, for messages.
    pub fn expected(self) -> String {
        match self {
            Self::Bool | Self::Maybe => "true or false".to_owned(),
            Self::Integer => format!("a whole number from 0 to {}", u32::MAX),
            Self::Size => format!("a whole number from 0 to {}", i64::MAX),
            Self::Port => "a port from 1 to 65535".to_owned(),
            Self::Seconds => format!("a number of seconds from 0 to {SECONDS}"),
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Amount => "a number of hosts (5) or a share of them (25%)".to_owned(),
            Self::List => "a list of texts".to_owned(),
            Self::Integers => format!("a list of whole numbers from 0 to {}", u32::MAX),
            Self::TextMap | Self::SecretMap => "a table of texts".to_owned(),
            Self::BoolMap => "a table of true and false".to_owned(),
            Self::Map => "a table".to_owned(),
            Self::Switch => "a text, or false".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Whether values of this type must never be shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretMap)
    }

    /// Whether `value` is of this type; `null` is "not set" and of every type.
    pub fn check(self, value: &Value) -> Result<(), NotOfKind> {
        let texts = |v: &Value| v.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        let integer = |v: &Value| v.as_u64().is_some_and(|number| u32::try_from(number).is_ok());
        let table = |of: fn(&Value) -> bool| value.as_object().is_some_and(|map| map.values().all(of));
        let fits = match self {
            Self::Bool | Self::Maybe => value.is_boolean(),
            Self::Integer => integer(value),
            Self::Size => value.as_i64().is_some_and(|number| number >= 0),
            Self::Port => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
            Self::Seconds => value.as_f64().is_some_and(|seconds| (0.0..=SECONDS).contains(&seconds)),
            Self::Text | Self::Secret => value.is_string(),
            Self::Amount => value.is_u64() || value.as_str().is_some_and(is_amount),
            Self::List => value.is_string() || texts(value),
            Self::Integers => integer(value) || value.as_array().is_some_and(|items| items.iter().all(integer)),
            Self::TextMap | Self::SecretMap => table(Value::is_string),
            Self::BoolMap => table(Value::is_boolean),
            Self::Map => value.is_object(),
            Self::Switch => value.is_string() || value == &Value::Bool(false),
            Self::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        };
        if fits || value.is_null() { Ok(()) } else { Err(NotOfKind(self)) }
    }

    /// Reads a value of this type from text: a line of an rc file, `--set`, an environment variable.
    ///
    /// Lists are separated by commas, tables are JSON or `key=value` items separated by commas.
    pub fn parse(self, text: &str) -> Result<Value, NotOfKind> {
        let trimmed = text.trim();
        let wrong = || NotOfKind(self);
        let json = || serde_json::from_str::<Value>(trimmed).ok();
        let value = match self {
            Self::Maybe if trimmed.is_empty() || trimmed.eq_ignore_ascii_case("none") => Value::Null,
            Self::Bool | Self::Maybe => json!(parse_bool(trimmed).ok_or_else(wrong)?),
            Self::Integer | Self::Size | Self::Port => json!(trimmed.parse::<u64>().map_err(|_| wrong())?),
            Self::Seconds => match trimmed.parse::<u64>() {
                Ok(whole) => json!(whole),
                // As a value, what is not finite is `null`: "not set".
                Err(_) => json!(trimmed.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong)?),
            },
            Self::Text | Self::Amount | Self::Secret | Self::Choice(_) => json!(text),
            Self::List if trimmed.starts_with('[') && json().is_some_and(|v| v.is_array()) => {
                json().ok_or_else(wrong)?
            }
            Self::List => json!(split_list(trimmed)),
            Self::Integers if trimmed.starts_with('[') => json().ok_or_else(wrong)?,
            Self::Integers => {
                let numbers: Result<Vec<u64>, _> = split_list(trimmed).iter().map(|n| n.parse()).collect();
                json!(numbers.map_err(|_| wrong())?)
            }
            Self::TextMap | Self::SecretMap | Self::BoolMap | Self::Map if trimmed.starts_with('{') => {
                json().ok_or_else(wrong)?
            }
            Self::TextMap | Self::SecretMap | Self::BoolMap | Self::Map => {
                let mut map = Map::new();
                for item in trimmed.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    let (key, value) = item.split_once('=').ok_or_else(wrong)?;
                    let value = match self {
                        Self::BoolMap => json!(parse_bool(value.trim()).ok_or_else(wrong)?),
                        _ => json!(value.trim()),
                    };
                    map.insert(key.trim().to_owned(), value);
                }
                Value::Object(map)
            }
            Self::Switch => match trimmed {
                "" | "none" | "false" => Value::Bool(false),
                _ => json!(trimmed),
            },
        };
        self.check(&value)?;
        Ok(value)
    }
}

/// `true`, `yes`, `on`, `1` and their opposites, in any case. An empty text is false, as it was in Fabric 1.
fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" | "" => Some(false),
        _ => None,
    }
}

/// A type that a setting can have.
pub trait FromValue: Sized {
    /// The type's name in the table.
    const KIND: Kind;

    /// From an untyped value that [`Kind::check`] has accepted.
    fn from_value(value: &Value) -> Option<Self>;

    /// To an untyped value; secrets become texts.
    fn to_value(&self) -> Value;
}

/// A switch that lets through what a call asks for, and asks itself when it is set to true.
///
/// `use_shell`, `always_use_pty` and `combine_stderr` are true by default and then only allow what a call
/// of the classic API asks for; set to true explicitly they also ask for it (interface, section 5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// The default: what is asked for is allowed.
    #[default]
    Open,
    /// Set to true: asked for, whatever the call says by default.
    Asks,
    /// Set to false: never.
    Shut,
}

impl Gate {
    /// What holds when a call asks (`Some`) or leaves it to the gate (`None`).
    pub fn apply(self, asked: Option<bool>) -> bool {
        match self {
            Self::Open => asked.unwrap_or(false),
            Self::Asks => asked.unwrap_or(true),
            Self::Shut => false,
        }
    }
}

/// How many, or what share of all: `2`, `25%`. It is read where it is known of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount(String);

/// Whether a text is a number or a share: `2`, `25%`.
fn is_amount(text: &str) -> bool {
    let digits = text.trim().strip_suffix('%').unwrap_or(text.trim());
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Amount {
    /// The amount as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Amount {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// A text, or off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Switch {
    /// Not set.
    #[default]
    Unset,
    /// Switched off, whatever lower layers say.
    Off,
    /// This.
    To(String),
}

/// A number of seconds, as settings have them.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Seconds(pub f64);

impl Seconds {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::try_from_secs_f64(self.0).unwrap_or(Duration::MAX)
    }

    /// As a duration, where 0 is "no limit".
    pub fn limit(self) -> Option<Duration> {
        (self.0 > 0.0).then(|| self.duration())
    }
}

macro_rules! from_value {
    ($type:ty, $kind:expr, |$value:ident| $from:expr, |$this:ident| $to:expr) => {
        impl FromValue for $type {
            const KIND: Kind = $kind;
            fn from_value($value: &Value) -> Option<Self> {
                $from
            }
            fn to_value(&self) -> Value {
                let $this = self;
                $to
            }
        }
    };
}

from_value!(bool, Kind::Bool, |v| v.as_bool(), |b| json!(b));
from_value!(Option<bool>, Kind::Maybe, |v| Some(v.as_bool()), |b| json!(b));
from_value!(u32, Kind::Integer, |v| v.as_u64().and_then(|n| u32::try_from(n).ok()), |n| json!(n));
from_value!(Option<u16>, Kind::Port, |v| Some(Some(u16::try_from(v.as_u64()?).ok()?)), |n| json!(n));
from_value!(Option<u64>, Kind::Size, |v| Some(v.as_u64()), |n| json!(n));
from_value!(u64, Kind::Size, |v| v.as_u64(), |n| json!(n));
from_value!(String, Kind::Text, |v| v.as_str().map(str::to_owned), |s| json!(s));
from_value!(Option<String>, Kind::Text, |v| Some(v.as_str().map(str::to_owned)), |s| json!(s));
from_value!(
    Option<Amount>,
    Kind::Amount,
    |v| Some(match v {
        Value::String(text) => Some(Amount(text.clone())),
        Value::Number(number) => Some(Amount(number.to_string())),
        _ => None,
    }),
    |amount| json!(amount.as_ref().map(Amount::as_str))
);
from_value!(Option<PathBuf>, Kind::Text, |v| Some(v.as_str().map(PathBuf::from)), |p| json!(p));
from_value!(Option<Secret>, Kind::Secret, |v| Some(v.as_str().map(Secret::from)), |s| json!(
    s.as_ref().map(Secret::expose)
));
from_value!(
    Vec<String>,
    Kind::List,
    |v| match v {
        Value::String(one) => Some(vec![one.clone()]),
        _ => v.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
    },
    |list| json!(list)
);
from_value!(
    Vec<u32>,
    Kind::Integers,
    |v| match v.as_u64() {
        Some(one) => Some(vec![u32::try_from(one).ok()?]),
        None => v.as_array()?.iter().map(|item| item.as_u64().and_then(|n| u32::try_from(n).ok())).collect(),
    },
    |list| json!(list)
);
from_value!(IndexMap<String, String>, Kind::TextMap, |v| {
    v.as_object()?.iter().map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}, |map| json!(map));
from_value!(IndexMap<String, Secret>, Kind::SecretMap, |v| {
    v.as_object()?.iter().map(|(k, v)| Some((k.clone(), Secret::from(v.as_str()?)))).collect()
}, |map| Value::Object(map.iter().map(|(k, v)| (k.clone(), json!(v.expose()))).collect()));
from_value!(IndexMap<String, bool>, Kind::BoolMap, |v| {
    v.as_object()?.iter().map(|(k, v)| Some((k.clone(), v.as_bool()?))).collect()
}, |map| json!(map));
from_value!(Map, Kind::Map, |v| v.as_object().cloned(), |map| Value::Object(map.clone()));
from_value!(Seconds, Kind::Seconds, |v| v.as_f64().map(Seconds), |s| seconds_value(*s));
from_value!(Option<Seconds>, Kind::Seconds, |v| Some(v.as_f64().map(Seconds)), |s| s
    .map_or(Value::Null, seconds_value));
from_value!(Gate, Kind::Bool, |v| v.as_bool().map(|on| if on { Gate::Asks } else { Gate::Shut }), |g| json!(
    *g != Gate::Shut
));
from_value!(
    Switch,
    Kind::Switch,
    |v| Some(match v {
        Value::String(text) => match text.trim() {
            "" | "none" => Switch::Off,
            text => Switch::To(text.to_owned()),
        },
        Value::Bool(false) => Switch::Off,
        _ => Switch::Unset,
    }),
    |s| match s {
        Switch::Unset => Value::Null,
        Switch::Off => json!(false),
        Switch::To(text) => json!(text),
    }
);
from_value!(
    PathBehavior,
    Kind::Choice(&["append", "prepend", "replace"]),
    |v| serde_json::from_value(v.clone()).ok(),
    |b| json!(b)
);

fn seconds_value(seconds: Seconds) -> Value {
    if seconds.0.fract() == 0.0 { json!(seconds.0 as u64) } else { json!(seconds.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_by_type() {
        assert_eq!(Kind::Bool.parse("Yes").unwrap(), json!(true));
        assert_eq!(Kind::Bool.parse("").unwrap(), json!(false));
        assert!(Kind::Bool.parse("perhaps").is_err());
        assert_eq!(Kind::List.parse("a, b[1,2]").unwrap(), json!(["a", "b[1,2]"]));
        assert_eq!(Kind::Integers.parse("0,3").unwrap(), json!([0, 3]));
        assert_eq!(Kind::TextMap.parse("A=1, B=x=y").unwrap(), json!({"A": "1", "B": "x=y"}));
        assert_eq!(Kind::Seconds.parse("2.5").unwrap(), json!(2.5));
        assert_eq!(Kind::Seconds.parse("0").unwrap(), json!(0));
        for text in ["-1", "-0.5", "nan", "NaN", "inf", "-inf", "infinity", "1e999", "1000000001"] {
            let error = Kind::Seconds.parse(text).unwrap_err();
            assert_eq!(error.to_string(), "expected a number of seconds from 0 to 1000000000", "{text}");
        }
        assert_eq!(Kind::Integer.parse("4294967295").unwrap(), json!(u32::MAX));
        for text in ["-1", "4294967296", "18446744073709551615", "99999999999999999999"] {
            let error = Kind::Integer.parse(text).unwrap_err();
            assert_eq!(error.to_string(), "expected a whole number from 0 to 4294967295", "{text}");
        }
        assert_eq!(Kind::Size.parse("9223372036854775807").unwrap(), json!(i64::MAX));
        assert!(
            Kind::Size.parse("9223372036854775808").unwrap_err().to_string().ends_with("from 0 to 9223372036854775807")
        );
        assert!(Kind::Integers.parse("0,4294967296").unwrap_err().to_string().ends_with("from 0 to 4294967295"));
        assert_eq!(Kind::Switch.parse("none").unwrap(), json!(false));
        assert!(Kind::Choice(&["a", "b"]).parse("c").unwrap_err().to_string().contains("a, b"));
    }

    #[test]
    fn a_gate_allows_or_asks() {
        assert!(!Gate::Open.apply(None) && Gate::Open.apply(Some(true)));
        assert!(Gate::Asks.apply(None) && !Gate::Asks.apply(Some(false)));
        assert!(!Gate::Shut.apply(Some(true)));
    }
}
