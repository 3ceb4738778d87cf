//! The `fab` command line: arguments, fabfiles, output. The work itself is done by the crates below.
//!
//! [`main!`] gives a program with tasks in Rust the whole command line. It needs no dependency but this crate, whose [`prelude`]
//! has what its tasks use:
//!
//! ```no_run
//! # mod program {
//! use fabric_cli::prelude::*;
//!
//! /// Say how long a host has been up.
//! #[task]
//! async fn uptime(context: Context) -> Result<(), TaskError> {
//!     context.connection().await?.run("uptime").await?;
//!     Ok(())
//! }
//!
//! fabric_cli::main!(uptime);
//! # }
//! ```
//!
//! [`Program`] does the same with more control: a name and a version, roles, settings, and [`Surroundings`] other than the
//! process's.

mod actions;
mod args;
mod choices;
mod exit;
mod failure;
mod keyboard;
mod plugins;
pub mod prelude;
mod process;
mod program;
mod project;
mod prompter;
mod python;
pub mod render;
mod request;
mod shell;
mod surroundings;

pub use exit::Exit;
pub use fabric_config::Environment;
pub use program::{IntoTasks, Program};
pub use surroundings::Surroundings;

pub use fabric_exec;

/// Defines the `main` of a program with tasks of its own: a list of functions with `#[task]`, or `= EXPRESSION` for a
/// [`Collection`](fabric_exec::Collection) or the result of building one.
#[macro_export]
macro_rules! main {
    ($($task:ident),+ $(,)?) => {
        $crate::main!(= ::std::result::Result::Ok($crate::fabric_exec::Collection::new())
            $(.and_then(|tasks| tasks.task($task::task())))+);
    };
    (= $collection:expr) => {
        fn main() -> ::std::process::ExitCode {
            $crate::Program::new().tasks($collection).main()
        }
    };
}
