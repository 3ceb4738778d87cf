//! Host strings as a person writes them, and the lists they come in.
//!
//! [`HostString`] is one host, parsed once at the edge and kept as written. [`expand`] turns what a
//! person types in a list (`web[01-20],db{a,b}.example.com`) into single host strings, and [`fold`] does
//! the reverse for showing long lists.

mod error;
mod list;
mod string;

pub use error::{HostStringError, HostStringErrorKind};
pub use list::{expand, fold, split_list};
pub use string::HostString;
