//! What a run is given to reach the world outside of it, and how much of that it may use.

use std::sync::Arc;

use fabric_core::EventSink;
use fabric_transport::Connector;
use fabric_transport::connection::Terminal;

use super::interactive::Interactive;
use crate::journal::Journal;

/// What a run is given to reach the world outside of it.
pub(crate) struct Outside {
    pub(super) connector: Connector,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) terminal: Option<Terminal>,
    pub(super) interactive: Option<Arc<dyn Interactive>>,
    pub(super) journal: Option<Journal>,
    /// Whether the report has each host's commands and what they printed.
    pub(super) keep_output: bool,
    /// How many connections may be open at the same time; 0: any number.
    pub(super) open_at_most: usize,
    /// Over how many threads hosts are spread.
    pub(super) threads: usize,
    pub(super) id: Option<String>,
}
