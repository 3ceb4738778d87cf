//! The harness of the end-to-end tests.
//!
//! * [`Sshd`]: real OpenSSH servers on loopback: N host names are N addresses in 127.0.0.0/8.
//! * [`case!`] makes a [`Case`]: one run of the real `fab` in a home of its own, compared exactly.
//! * [`World`]: one host, over the in-memory, the local, the embedded or the real transport; [`transports!`] runs a test
//!   over several of them.
//! * [`TestUser`]: a throw-away user with a password and a sudo rule, for tests that run as root.
//! * [`Dropbear`]: a server that is not OpenSSH's.
//! * [`Kdc`]: a Kerberos realm on loopback.
//! * [`Link`]: a slow link to a server, which counts round trips.
//! * [`BuiltPlugin`]: a plugin as cargo or `cc` has built it; [`Server`]: a proxy of the system that listens.
//! * [`Modules`]: which module of a crate uses which.
//! * [`Guard`]: cleans up, even if the test is killed.
//!
//! ```ignore
//! #[test]
//! fn a_command_runs_on_every_host() {
//!     case!()
//!         .hosts(2)
//!         .args(["-H", "{hosts}", "--", "echo hello"])
//!         .stdout("[{h1}] out: hello\n[{h2}] out: hello\n")
//!         .run();
//! }
//! ```
//!
//! A test fails if a program that it needs is missing, and names it; `scripts/setup-tests` installs all.

mod case;
mod dropbear;
mod guard;
mod kdc;
mod link;
mod modules;
mod plugin;
mod sshd;
mod stall;
mod tool;
mod tree;
mod user;
mod world;

pub use case::{Case, Ran, peak_memory};
pub use dropbear::Dropbear;
pub use guard::Guard;
pub use kdc::Kdc;
pub use link::Link;
pub use modules::Modules;
pub use plugin::{BuiltPlugin, Server};
pub use sshd::{Host, Sshd, SshdBuilder, current_user};
pub use stall::{From, Stall};
pub use tool::{is_root, needs_root, tool};
pub use tree::{files_below, repository};
pub use user::TestUser;
pub use world::World;

/// A [`Case`] that runs the `fab` that cargo has just built.
///
/// Cargo sets the path of a program only for integration tests of the same package. So this package has the program too, called
/// `fab-under-test`, from the same `main`. `case!(examples)` runs the examples in Rust, `case!(tasks)` the tasks in Rust of
/// `src/bin/tasks.rs`.
#[macro_export]
macro_rules! case {
    () => {
        $crate::Case::new(env!("CARGO_BIN_EXE_fab-under-test"))
    };
    (examples) => {
        $crate::Case::new(env!("CARGO_BIN_EXE_examples-under-test"))
    };
    (readme) => {
        $crate::Case::new(env!("CARGO_BIN_EXE_readme"))
    };
    (tasks) => {
        $crate::Case::new(env!("CARGO_BIN_EXE_tasks"))
    };
}
