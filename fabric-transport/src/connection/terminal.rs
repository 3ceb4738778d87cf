//! The local terminal, which remote ones follow.

use fabric_core::transport::{PtyRequest, WindowSize};
use tokio::sync::watch;

/// The type and size of the local terminal, for pseudo-terminals on hosts.
#[derive(Debug, Clone)]
pub struct Terminal {
    term: String,
    size: watch::Receiver<WindowSize>,
}

impl Terminal {
    /// A terminal of this type (`$TERM`) with the size in `size`, which may change.
    pub fn new(term: impl Into<String>, size: watch::Receiver<WindowSize>) -> Self {
        Self { term: term.into(), size }
    }

    /// A terminal of this type and a fixed size.
    pub fn fixed(term: impl Into<String>, size: WindowSize) -> Self {
        Self::new(term, watch::channel(size).1)
    }

    /// The terminal on standard output or standard input of this program; `None` if there is none. `term` is `$TERM`. A
    /// task of the runtime follows its size while it is in use.
    pub fn of_this_program(term: impl Into<String>) -> Option<Self> {
        let (tell, size) = watch::channel(local_size()?);
        let mut resized = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()).ok()?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tell.closed() => break,
                    told = resized.recv() => match (told, local_size()) {
                        (Some(()), Some(size)) => { tell.send_replace(size); }
                        _ => break,
                    },
                }
            }
        });
        Some(Self::new(term, size))
    }

    pub(super) fn request(&self) -> PtyRequest {
        PtyRequest::new(self.term.clone(), *self.size.borrow())
    }

    pub(super) fn sizes(&self) -> watch::Receiver<WindowSize> {
        self.size.clone()
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::fixed("xterm", WindowSize::default())
    }
}

fn local_size() -> Option<WindowSize> {
    let of = |fd: std::os::fd::BorrowedFd<'_>| rustix::termios::tcgetwinsize(fd).ok();
    let size = of(rustix::stdio::stdout()).or_else(|| of(rustix::stdio::stdin()))?;
    (size.ws_col > 0 && size.ws_row > 0).then_some(WindowSize::new(size.ws_col, size.ws_row))
}
