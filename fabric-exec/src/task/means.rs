//! What a run is given that the bodies of its tasks use as it is.

use std::path::PathBuf;
use std::sync::Arc;

use fabric_core::Prompter;

use super::input::RunInput;
use super::interrupt::Interrupt;
use super::secrets::Secrets;

/// What a run is given that the bodies of its tasks use as it is.
pub(crate) struct Means {
    /// Whether it says what would be done instead of doing it.
    pub(crate) dry_run: bool,
    /// Where local commands and relative local paths start.
    pub(crate) dir: Option<PathBuf>,
    /// The tasks as typed.
    pub(crate) tokens: Vec<String>,
    pub(crate) prompter: Arc<dyn Prompter>,
    pub(crate) interrupt: Interrupt,
    pub(crate) input: RunInput,
    /// What was asked for and must not be shown.
    pub(crate) secrets: Arc<Secrets>,
}
