//! The vocabulary of Fabric.
//!
//! Every other crate of the project speaks in the words of this one: [`HostString`], [`Command`],
//! [`Settings`], [`Target`], [`CommandOutcome`], [`Event`], the errors, and the traits behind which a
//! host is reached: [`Transport`], [`Session`], [`ProcessControl`] and [`Files`]. It does no I/O, has no
//! runtime and reads no environment, so that it builds in seconds and so that a host can be anything
//! that implements the traits: an SSH server, this machine, a plugin, or a double in a test.
//!
//! ```
//! use fabric_core::{Command, HostString};
//!
//! let host: HostString = "deploy@web1.example.com:2222".parse()?;
//! assert_eq!((host.user(), host.host(), host.port()), (Some("deploy"), "web1.example.com", Some(2222)));
//!
//! let command = Command::new("bin/migrate --all").cd("/srv/my app").env("RELEASE", "it's 2.4");
//! assert_eq!(
//!     command.render()?.to_string(),
//!     r#"export RELEASE="it's 2.4" && cd '/srv/my app' && bin/migrate --all"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised, and what is not
//!
//! * Everything here is plain data or a trait. Parsing, host-list expansion and command rendering are
//!   pure functions, tested by table and by property.
//! * Host strings are compared as written: `a`, `root@a` and `a:22` are three hosts.
//! * A rendered command means the same to `sh`, `bash`, `dash`, `ksh` and `zsh`. A login shell that is
//!   not of the Bourne family (csh, fish) gets the same text; give [`Command::shell`] to be sure.
//! * Plain data may get further fields in a new version: it is made by `new` or `default`, and has a method for each field.
//!
//! ```
//! use fabric_core::transport::WriteOptions;
//!
//! let options = WriteOptions::default().exclusive(true).mode(0o600);
//! assert!(options.exclusive && options.truncate);
//! ```
//!
//! ```compile_fail,E0639
//! use fabric_core::transport::WriteOptions;
//!
//! let options = WriteOptions { exclusive: true, ..WriteOptions::default() };
//! ```

mod captured;
pub mod command;
pub mod error;
pub mod event;
pub mod home;
pub mod host;
pub mod outcome;
pub mod prompt;
pub mod secret;
mod session_key;
mod setters;
pub mod settings;
mod signal;
pub mod target;
pub mod transport;
pub mod wildcard;

pub use captured::Captured;
pub use command::{Command, CommandError, PathBehavior, Rendered, Sudo};
pub use error::{ConnectError, ConnectErrorKind, Error, FileError, FileErrorKind, Phase, SessionError};
pub use event::{Emitter, Event, EventKind, EventSink, HostStatus};
pub use host::{HostString, HostStringError};
pub use outcome::{CommandOutcome, ExitStatus, Stream, TransferOutcome};
pub use prompt::{PromptError, PromptKind, PromptRequest, Prompter, RefusePrompts};
pub use secret::Secret;
pub use session_key::SessionKey;
pub use settings::{Layer, Origin, Settings, Value};
pub use signal::Signal;
pub use target::{Gateway, HostKeyPolicy, Resolve, Target, Unasked};
pub use transport::{ByteStream, Files, Process, ProcessControl, ProcessEvent, Session, Transport};
