//! The end of hidden output, shown if the command fails.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fabric_core::Stream;

/// How many lines of each stream are kept.
const LINES: usize = 10;
/// How many bytes of a line are kept.
const BYTES: usize = 512;

/// The hidden output of each host's current command: the last lines of each stream.
#[derive(Debug, Default)]
pub(super) struct Tails(HashMap<Option<Arc<str>>, [VecDeque<Vec<u8>>; 2]>);

impl Tails {
    /// Adds hidden output.
    pub(super) fn push(&mut self, host: Option<&Arc<str>>, stream: Stream, data: &[u8]) {
        let lines = &mut self.0.entry(host.cloned()).or_default()[usize::from(stream == Stream::Stderr)];
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            match lines.back_mut() {
                Some(open) if !open.ends_with(b"\n") => open.extend_from_slice(line),
                _ => lines.push_back(line.to_vec()),
            }
            if let Some(last) = lines.back_mut().filter(|last| last.len() > BYTES) {
                last.drain(..last.len() - BYTES);
            }
            while lines.len() > LINES {
                lines.pop_front();
            }
        }
    }

    /// Forgets a host's output, when a command begins or has succeeded.
    pub(super) fn clear(&mut self, host: Option<&Arc<str>>) {
        self.0.remove(&host.cloned());
    }

    /// The lines kept, as shown with an error; empty if nothing was hidden.
    pub(super) fn take(&mut self, host: Option<&Arc<str>>) -> String {
        let mut text = String::new();
        for (name, lines) in ["stdout", "stderr"].iter().zip(self.0.remove(&host.cloned()).unwrap_or_default()) {
            if !lines.is_empty() {
                let lines: Vec<u8> = lines.into_iter().flatten().collect();
                text.extend(["\n", name, ":\n", String::from_utf8_lossy(&lines).trim_end()]);
            }
        }
        text
    }
}
