//! OpenSSH's client configuration: read once, resolved for any host, with the origin of each value.
//!
//! [`SshConfig`] answers for a host what `ssh -G HOST` of OpenSSH answers (9.2 as Debian builds it): `Host` and
//! `Match` blocks, `Include`, the first value that counts, directives that add up, quoting, tokens, lists of
//! algorithms with `+`, `-` and `^`, canonical host names. What `ssh` refuses is refused, with file, line, the
//! text and, for a misspelt keyword, the name that was meant. The origin of each value is known.
//!
//! Keywords and `Match` criteria of later releases, up to 10.2, are known too, and so are keywords of other builds
//! ([`Directive`]). `Match version` compares `OpenSSH_10.2p1`. An algorithm that is not known is left out of its list
//! ([`Resolved::unknown_algorithms`]); a list without known names is an error, but only for hosts that it applies to.
//!
//! ```
//! use std::sync::Arc;
//! use fabric_config::ssh_config::{Directive, Local, Lookup, SshConfig};
//!
//! let text = "
//! Host web* !web9
//!     HostName %h.example.org
//!     IdentityFile ~/.ssh/web
//! Match user deploy
//!     ProxyJump bastion
//! Host *
//!     User deploy
//! ";
//! let config = SshConfig::parse(text, "config");
//! let local = Arc::new(Local::new("alice", "/home/alice", "laptop"));
//!
//! let web1 = config.resolve(&Lookup::new("web1", &local))?;
//! assert_eq!(web1.hostname(), "web1.example.org");
//! assert_eq!(web1.user(), "deploy");
//! assert_eq!(web1.identity_files()?[0].value, "/home/alice/.ssh/web");
//! assert_eq!(web1.origin(Directive::HostName).to_string(), "config:3");
//! // `Match user` came too early to see the user of line 8, but it sees the one of the lookup.
//! assert!(web1.proxy_jump().is_empty());
//! let web1 = config.resolve(&Lookup::new("web1", &local).user("deploy"))?;
//! assert_eq!(web1.proxy_jump()[0].host, "bastion");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! About the process only the caller's values are used: [`Local::capture`] takes user, home, host
//! name and environment, [`SshConfig::load`] reads files, a [`Lookup`] says whether `Match exec` may run
//! commands and who looks names up.
//!
//! Where things are: `lexer` cuts lines, `parse` turns them into values by the table in `directives`, `include`
//! finds the files, `matcher` and `pattern` decide which lines apply, `resolve` walks them and
//! keeps the `winners`, `canonical` completes the host name, `finish` checks and expands (`tokens`, `facts`), `resolved` and
//! `dump` are the answer.
//!
//! Differences to `ssh` that remain: what is not UTF-8 becomes U+FFFD; users, groups and services are looked
//! up in `/etc` only; without a resolver no name is known, and an alias that cannot be followed is no error.

mod algorithms;
mod canonical;
mod choices;
mod directives;
mod dump;
mod error;
mod facts;
mod finish;
mod forward;
mod glob;
mod include;
mod jump;
mod lexer;
mod local;
mod lookup;
mod matcher;
mod numbers;
mod origin;
mod parse;
mod pattern;
mod resolve;
mod resolved;
mod system;
mod tokens;
mod value;
mod winners;

use std::path::Path;
use std::sync::Arc;

pub use fabric_core::target::AddressFamily;

pub use canonical::HostResolver;
pub use choices::{
    ForwardAgent, IdentityAgent, IpQos, LogLevel, RekeyLimit, RequestTty, StrictHostKeyChecking, YesNoAsk,
};
pub use directives::Directive;
pub use dump::{DumpLine, DumpValue};
pub use error::{BadLine, Fault, SshConfigError};
pub use forward::{Forward, ForwardEnd};
pub use include::SshConfigFiles;
pub use jump::Hop;
pub use local::Local;
pub use lookup::{Lookup, MatchExec, ShellExec, SystemResolver};
pub use origin::LineOrigin;
pub use resolved::{Resolved, Sourced};

/// One or several configuration files, ready for lookups. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SshConfig {
    loaded: Arc<include::Loaded>,
}

impl SshConfig {
    /// Reads a text as a user's file; `path` is for messages. Reads no file: an `Include` in the text is an error
    /// of every lookup. Other errors, too, are reported when a host is looked up, since `IgnoreUnknown` and variables
    /// decide whether they are errors.
    pub fn parse(text: impl AsRef<[u8]>, path: impl AsRef<Path>) -> Self {
        Self { loaded: Arc::new(include::parse_text(text.as_ref(), path.as_ref())) }
    }

    /// Reads files and what they include. Fails only if an explicit file can't be read.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use fabric_config::ssh_config::{Local, Lookup, SshConfigFiles, SshConfig};
    ///
    /// let local = Arc::new(Local::capture());
    /// let config = SshConfig::load(&SshConfigFiles::usual(&local), &local)?;
    /// println!("{}", config.resolve(&Lookup::new("web1", &local))?.hostname());
    /// # Ok::<(), fabric_config::ssh_config::SshConfigError>(())
    /// ```
    pub fn load(sources: &SshConfigFiles, local: &Local) -> Result<Self, SshConfigError> {
        Ok(Self { loaded: Arc::new(include::load(sources, local)?) })
    }

    /// The values in force for a host, as `ssh -G` would print them.
    pub fn resolve(&self, lookup: &Lookup<'_>) -> Result<Resolved, SshConfigError> {
        resolve::resolve(&self.loaded, lookup)
    }

    /// The files that were read, in the order in which they were found.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.loaded.files.iter().map(|file| &*file.path)
    }
}
