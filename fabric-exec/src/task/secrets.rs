//! What a person was asked for and must not be shown: it is hidden in all that a run says.

use std::sync::Arc;
use std::task::{self, Poll};

use fabric_core::{Event, EventSink, Secret};
use parking_lot::RwLock;

/// Shorter answers are hidden nowhere: they are in every other word.
const SHORTEST: usize = 3;

/// The secret answers of a run.
#[derive(Debug, Default)]
pub(crate) struct Secrets(RwLock<Vec<Secret>>);

impl Secrets {
    pub(crate) fn learn(&self, secret: &Secret) {
        if secret.expose().len() >= SHORTEST {
            self.0.write().push(secret.clone());
        }
    }

    /// The text without them.
    pub(crate) fn hidden(&self, mut text: String) -> String {
        for secret in self.0.read().iter() {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        text
    }

    fn are_none(&self) -> bool {
        self.0.read().is_empty()
    }
}

/// A sink whose events have no secrets in their texts. What hosts print passes as it is.
pub(crate) struct Discreet {
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) secrets: Arc<Secrets>,
}

impl EventSink for Discreet {
    fn emit(&self, mut event: Event) {
        if !self.secrets.are_none() {
            for text in event.kind.texts_mut() {
                *text = self.secrets.hidden(std::mem::take(text));
            }
        }
        self.sink.emit(event);
    }

    fn poll_ready(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        self.sink.poll_ready(cx)
    }
}
