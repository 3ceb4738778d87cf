//! The `fab` command line: arguments, fabfiles, rendering. Thin: what it asks for is done by the crates
//! below it.
//!
//! A program of your own with tasks in Rust gets the whole command line by [`main!`]:
//!
//! ```no_run
//! # mod program {
//! use fabric_exec::{Context, TaskError, task};
//!
//! /// Says how long a host has been up.
//! #[task]
//! async fn uptime(context: Context) -> Result<(), TaskError> {
//!     context.connection().await?.run("uptime").await?;
//!     Ok(())
//! }
//!
//! fabric_cli::main!(uptime);
//! # }
//! ```

pub mod args;
mod completion;
mod demo;
pub mod exit;
mod failure;
mod init;
mod keyboard;
mod list;
mod plugins;
mod program;
mod project;
pub mod prompter;
pub mod render;
mod run;
mod rust_fabfile;
mod shell;

pub use failure::Failure;
pub use program::{IntoTasks, Program, main};

#[doc(hidden)]
pub use fabric_exec;

/// The `main` of a program with tasks of its own: a list of functions that are `#[task]`s, or
/// `= EXPRESSION` for a [`Collection`](fabric_exec::Collection) or what building one yields.
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
