//! Layered settings that can be explained, and an ssh_config resolver that answers as `ssh -G` does.
//!
//! A [`Config`] reads every source once and then answers for any host: which settings are in force, where
//! each comes from (file and line), and, as a [`fabric_core::Resolve`], everything that is needed to connect.
//!
//! ```
//! use fabric_config::{Config, Environment, Format};
//! use fabric_core::Resolve;
//! use fabric_core::settings::Layer;
//!
//! let config = Config::builder()
//!     .environment(Environment::new("alice", "/home/alice"))
//!     .text(Layer::Project, "fabric.toml", Format::Toml, "user = 'deploy'\ngateway = 'bastion'\n")
//!     .build()?;
//! let target = config.target(&"web1:2222".parse()?, &[])?;
//! assert_eq!((target.user.as_deref(), target.port), (Some("deploy"), 2222));
//! assert!(target.gateway.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The ladder, lowest first: defaults, ssh_config, `/etc/fabric.*`, the user's files, `fabric.*` beside the
//! fabfile, `FABRIC_*`, the fabfile's `[env]`, the role, `[hosts."pattern"]`, the task, the command line, what
//! a task sets, the step, the host string.

mod builder;
mod config;
mod environment;
mod explain;
mod hosts;
mod ladder;
mod mask;
mod merge;
pub mod reference;
mod resolve;
mod sources;
pub mod ssh_config;
mod ssh_layer;
mod values;

pub use builder::ConfigBuilder;
pub use config::{Config, HostSettings};
pub use environment::Environment;
pub use explain::{Explanation, Rung, Shown};
pub use fabric_core_document::Format;
pub use mask::shown;
pub use sources::{Assignment, SettingsFiles, SourceFile, parse_set};
pub use ssh_config::SshConfig;
