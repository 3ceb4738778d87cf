//! Types that a task's parameter can have.

use fabric_core::Value;
use serde_json::json;
use thiserror::Error;

use super::{Param, ParamKind};

/// What was expected instead of a value. The value is not among it: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Expected(String);

impl Expected {
    /// Something like this: `a whole number`.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// A type that a parameter of a task can have: texts, numbers, `bool`, `Option`, `Vec<String>`, and enums
/// with `#[derive(Choice)]`.
///
/// ```
/// use fabric_exec::{Argument, Param, ParamKind};
/// assert_eq!(<Option<u16>>::param("port"), Param::optional("port", None::<u16>).kind(ParamKind::Integer));
/// assert_eq!(u16::from_value(&8080.into()), Ok(8080));
/// assert!(u16::from_value(&80_000.into()).is_err());
/// ```
pub trait Argument: Sized {
    /// The parameter of this type.
    fn param(name: &str) -> Param;

    /// From a bound argument.
    ///
    /// # Errors
    ///
    /// What was expected.
    fn from_value(value: &Value) -> Result<Self, Expected>;

    /// As a default.
    fn to_value(&self) -> Value;
}

impl Argument for String {
    fn param(name: &str) -> Param {
        Param::required(name)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err(Expected::new("a text")),
        }
    }

    fn to_value(&self) -> Value {
        json!(self)
    }
}

/// A switch: false unless given.
impl Argument for bool {
    fn param(name: &str) -> Param {
        Param::optional(name, false)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        value.as_bool().ok_or_else(|| Expected::new("true or false"))
    }

    fn to_value(&self) -> Value {
        json!(self)
    }
}

macro_rules! integers {
    ($($type:ty)+) => {$(
        impl Argument for $type {
            fn param(name: &str) -> Param {
                Param::required(name).kind(ParamKind::Integer)
            }

            fn from_value(value: &Value) -> Result<Self, Expected> {
                let expected = || Expected::new(format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX));
                serde_json::from_value(value.clone()).map_err(|_| expected())
            }

            fn to_value(&self) -> Value {
                json!(self)
            }
        }
    )+};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl Argument for f64 {
    fn param(name: &str) -> Param {
        Param::required(name).kind(ParamKind::Number)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        value.as_f64().ok_or_else(|| Expected::new("a number"))
    }

    fn to_value(&self) -> Value {
        json!(self)
    }
}

/// Nothing unless given.
impl<T: Argument> Argument for Option<T> {
    fn param(name: &str) -> Param {
        let inner = T::param(name);
        Param { default: Some(Value::Null), ..inner }
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Argument::to_value)
    }
}

/// Empty unless given.
impl<T: Argument> Argument for Vec<T> {
    fn param(name: &str) -> Param {
        Param::optional(name, json!([]))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let items = value.as_array().ok_or_else(|| Expected::new("a list"))?;
        // What was typed is text; the item's type reads it.
        let param = T::param("item");
        let item = |item: &Value| match item {
            Value::String(text) => T::from_value(&param.parse(text)?),
            other => T::from_value(other),
        };
        items.iter().map(item).collect()
    }

    fn to_value(&self) -> Value {
        self.iter().map(Argument::to_value).collect()
    }
}
