//! What a program with tasks and a command line imports: `use fabric_cli::prelude::*;`.
//!
//! All of [`fabric_exec::prelude`], [`Program`] with its parts, and [`Config`], which finds the user's settings and keys.

pub use fabric_config::Config;
pub use fabric_exec::prelude::*;

pub use crate::{Environment, Exit, Program, Surroundings};
