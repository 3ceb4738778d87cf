//! A plugin's description of itself, and why a plugin is refused.

use std::path::Path;

use fabric_plugin_sdk::Description;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A plugin's description of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Introduction {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) abi: u32,
    pub(super) description: Description,
}

impl Introduction {
    /// The same for people to read. Names of plugins and options are taken from the raw texts.
    pub(super) fn harmless(mut self) -> Self {
        self.version = harmless(&self.version);
        let about = &mut self.description;
        about.summary = harmless(&about.summary);
        let options = std::mem::take(&mut about.options).into_iter();
        about.options = options
            .map(|(name, mut option)| {
                option.doc = harmless(&option.doc);
                (harmless(&name), option)
            })
            .collect();
        self
    }
}

/// A text from a plugin, or from its peer, that is safe to print: control characters and changes of direction become
/// U+FFFD, and white space a blank.
pub(super) fn harmless(text: &str) -> String {
    let direction = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() || direction(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.trim().chars().map(replaced).collect()
}

/// Why a file can't be loaded as a plugin.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("plugin {file}: {reason}")]
#[non_exhaustive]
pub struct PluginLoadError {
    /// The file.
    pub file: String,
    /// The error, and what to do.
    pub reason: String,
}

impl PluginLoadError {
    pub(super) fn new(file: &Path, reason: &str) -> Self {
        Self { file: file.display().to_string(), reason: harmless(reason) }
    }
}
