//! A person's handle on one host: [`Connection`].
//!
//! ```text
//! Connection --first use--> Connector --> Session        one, shared, reopened when it has died
//!            --run, sudo, local--> CommandRequest --.await--> CommandOutcome
//!            --put, get----------> Put, Get       --.await--> TransferOutcome
//!            --forward_local, ..-> Forward        --.await--> a guard
//! ```
//!
//! Requests are awaited directly and have their options as methods; defaults come from the connection's
//! [`Settings`](fabric_core::Settings).

mod builder;
mod capture;
pub(crate) mod destinations;
mod drive;
mod driver;
mod dry;
mod execute;
mod forward;
mod handle;
mod lines;
mod options;
mod output;
mod prepare;
mod request;
mod running;
mod sessions;
mod shared_input;
mod shell;
mod slot;
mod stdin;
mod sudo;
mod terminal;
mod watch;
mod working_files;

#[cfg(test)]
mod tests;

pub use builder::ConnectionBuilder;
pub use forward::{Endpoint, EndpointError, Forward, ForwardRequest};
pub use handle::Connection;
pub(crate) use options::Manner;
pub use options::{Hide, ShellChoice};
pub use request::CommandRequest;
pub use running::Running;
pub use shared_input::SharedInput;
pub use shell::ShellRequest;
pub use stdin::{Keyboard, Stdin};
pub use terminal::Terminal;
pub use watch::{FailingResponder, Refused, Responder, Watcher, Watching};
pub use working_files::WorkingFiles;
