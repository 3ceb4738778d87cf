//! What a program with tasks and a command line uses: `use fabric_cli::prelude::*;`.
//!
//! All of [`fabric_exec::prelude`], and what a program is made of.

pub use fabric_exec::prelude::*;

pub use crate::{Environment, Exit, Program, Surroundings};
