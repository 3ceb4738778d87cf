//! The values in force, as lines that won.

use std::sync::Arc;

use fabric_core::target::AddressFamily;

use super::canonical::Mode;
use super::directives::{Directive, TABLE};
use super::forward::Forward;
use super::include::Loaded;
use super::jump::{Jump, JumpSpec};
use super::origin::LineOrigin;
use super::value::{Item, Value, What};

/// OpenSSH's port.
pub(super) const DEFAULT_PORT: u16 = 22;

/// The place of an item: those of the lookup come first, under [`COMMAND_LINE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: u32,
    pub(super) block: u32,
    pub(super) item: u32,
}

/// Not a file: the user, port and options of the lookup.
pub(super) const COMMAND_LINE: u32 = u32::MAX;
/// The values as they accumulate.
#[derive(Debug, Clone)]
pub(super) struct Winners {
    pub(super) loaded: Arc<Loaded>,
    pub(super) command_line: Vec<Item>,
    pub(super) slots: Vec<Option<At>>,
    /// Key files with whether the user's own files named them.
    pub(super) identity_files: Vec<(Arc<str>, bool, At)>,
    pub(super) certificate_files: Vec<(Arc<str>, bool, At)>,
    pub(super) local_forwards: Vec<(Forward, At)>,
    pub(super) remote_forwards: Vec<(Forward, At)>,
    pub(super) send_env: Vec<(Arc<str>, At)>,
    /// The index in [`LISTS`] of the first list that is left empty. OpenSSH 9.2 reports it, continues, and omits what it
    /// would have done after it, as its output shows.
    pub(super) failed_list: Option<usize>,
}

/// Lists of algorithms, in the order in which OpenSSH puts them together.
pub(super) const LISTS: [Directive; 6] = [
    Directive::Ciphers,
    Directive::Macs,
    Directive::KexAlgorithms,
    Directive::HostbasedAcceptedAlgorithms,
    Directive::PubkeyAcceptedAlgorithms,
    Directive::CaSignatureAlgorithms,
];

impl Winners {
    pub(super) fn new(loaded: &Arc<Loaded>) -> Self {
        Self {
            loaded: Arc::clone(loaded),
            command_line: Vec::new(),
            slots: vec![None; TABLE.len()],
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            local_forwards: Vec::new(),
            remote_forwards: Vec::new(),
            send_env: Vec::new(),
            failed_list: None,
        }
    }

    fn item(&self, at: At) -> Option<&Item> {
        if at.file == COMMAND_LINE {
            return self.command_line.get(at.item as usize);
        }
        self.loaded.files.get(at.file as usize)?.blocks.get(at.block as usize)?.items.get(at.item as usize)
    }

    pub(super) fn at(&self, directive: Directive) -> Option<At> {
        self.slots[directive as usize]
    }

    /// What the line that won says.
    pub(super) fn value(&self, directive: Directive) -> Option<&Value> {
        match &self.item(self.at(directive)?)?.what {
            What::Set(_, value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn text(&self, directive: Directive) -> Option<&Arc<str>> {
        match self.value(directive)? {
            Value::Text(text) | Value::Socket(text) => Some(text),
            _ => None,
        }
    }

    /// As [`text`](Self::text), but `None` for `none`.
    pub(super) fn text_or_none(&self, directive: Directive) -> Option<&Arc<str>> {
        self.text(directive).filter(|text| !text.eq_ignore_ascii_case("none"))
    }

    /// As [`text_or_none`](Self::text_or_none), unless OpenSSH stopped before it handled `none`.
    pub(super) fn printed_text(&self, directive: Directive) -> Option<&Arc<str>> {
        if self.failed_list.is_some() { self.text(directive) } else { self.text_or_none(directive) }
    }

    pub(super) fn number(&self, directive: Directive) -> Option<i64> {
        match self.value(directive)? {
            Value::Number(number) => Some(*number),
            // A socket for the agent implies that it is forwarded.
            Value::Socket(_) => Some(1),
            _ => None,
        }
    }

    pub(super) fn words(&self, directive: Directive) -> Option<&[Arc<str>]> {
        match self.value(directive)? {
            Value::Words(words) => Some(words),
            _ => None,
        }
    }

    /// The hops of a `ProxyJump` that is in force.
    pub(super) fn jump(&self) -> Option<&Jump> {
        match self.value(Directive::ProxyJump)? {
            Value::Jump(JumpSpec::Hops(jump)) => Some(jump),
            _ => None,
        }
    }

    pub(super) fn origin(&self, at: At) -> LineOrigin {
        let Some(file) = self.loaded.files.get(at.file as usize) else { return LineOrigin::CommandLine };
        let line = self.item(at).map_or(0, |item| item.line);
        LineOrigin::File { path: Arc::clone(&file.path), line }
    }

    pub(super) fn origin_of(&self, directive: Directive) -> LineOrigin {
        self.at(directive).map_or(LineOrigin::Default, |at| self.origin(at))
    }

    /// `CanonicalizeHostname`.
    pub(super) fn canonicalize_mode(&self) -> Mode {
        match self.number(Directive::CanonicalizeHostname) {
            Some(1) => Mode::Yes,
            Some(2) => Mode::Always,
            _ => Mode::No,
        }
    }

    /// `AddressFamily`.
    pub(super) fn address_family(&self) -> AddressFamily {
        match self.number(Directive::AddressFamily) {
            Some(4) => AddressFamily::Inet,
            Some(6) => AddressFamily::Inet6,
            _ => AddressFamily::Any,
        }
    }
}
