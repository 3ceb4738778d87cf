//! The value of a line, ready for use with any host.

use std::sync::Arc;

use super::directives::Directive;
use super::error::Fault;
use super::forward::ForwardSpec;
use super::jump::JumpSpec;
use super::matcher::MatchLine;
use super::pattern::Pattern;

/// A directive's value as read.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(i64),
    Text(Arc<str>),
    Words(Arc<[Arc<str>]>),
    /// Two numbers: `IPQoS`, `TunnelDevice`, `ControlPersist` (switch and seconds), `AddKeysToAgent` (switch
    /// and seconds).
    Pair(i64, i64),
    /// `RekeyLimit`: bytes and seconds.
    Rekey(i64, Option<i64>),
    /// A list of algorithms, assembled with the defaults; `None` if nothing is left, which is an error only for
    /// hosts for which the line wins.
    Algorithms {
        written: Arc<str>,
        list: Option<Arc<str>>,
        /// The names that were skipped.
        unknown: Arc<[Arc<str>]>,
    },
    Forward(ForwardSpec),
    Jump(JumpSpec),
    /// `ForwardAgent` with a socket.
    Socket(Arc<str>),
    /// `CanonicalizePermittedCNAMEs`: sources and targets.
    Cnames(Arc<[(Arc<str>, Arc<str>)]>),
}

/// One line below a `Host` or `Match`.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) line: u32,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Set(Directive, Value),
    /// Patterns of files, as written.
    Include(Vec<Arc<str>>),
    /// A keyword that may be covered by `IgnoreUnknown`.
    Unknown {
        keyword: Arc<str>,
        text: Arc<str>,
    },
    Wrong {
        fault: Fault,
        text: Arc<str>,
    },
}

/// The condition under which a block's lines apply.
#[derive(Debug, Clone)]
pub(super) enum Head {
    /// The start of a file: as where it is included, else yes.
    Top,
    /// `Host`: patterns, negated or not. `None` for an empty argument, which is an error if it is reached.
    Host(Vec<Option<(bool, Pattern)>>),
    Match(MatchLine),
}

/// A `Host` or `Match` line and what follows it, up to the next.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) head: Head,
    /// The line number of the head, and its text for messages.
    pub(super) line: u32,
    pub(super) text: Arc<str>,
    pub(super) items: Vec<Item>,
    /// The items that matter even if the block doesn't apply.
    pub(super) always: Vec<u32>,
}
