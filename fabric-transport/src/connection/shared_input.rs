//! Input that several commands read, each from its beginning.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use super::stdin::{CHUNK, Stdin};

/// How much is kept in memory; a longer input is moved to a temporary file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// Input that any number of commands read from its beginning, one after another or at the same time. It is kept in memory,
/// or if it is longer than 8 MiB in a temporary file (in `TMPDIR`, without a name). Cheap to clone; clones share it.
///
/// The source is read only as far as a command asks for.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fabric_transport::connection::SharedInput;
///
/// let here = fabric_transport::Connection::builder("local://localhost").build()?;
/// let input = SharedInput::new(&b"to all\n"[..]);
/// for _ in 0..2 {
///     assert_eq!(here.run("cat").stdin(input.stdin()).await?.stdout(), "to all\n");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SharedInput {
    kept: Arc<Mutex<Kept>>,
    waiting: Arc<Waiting>,
}

struct Kept {
    /// `None` once all of it has been read.
    source: Option<Box<dyn AsyncRead + Send + Unpin>>,
    place: Storage,
    length: u64,
    /// Why no more can be read or kept.
    failed: Option<(io::ErrorKind, String)>,
    buffer: Vec<u8>,
}

enum Storage {
    Memory(Vec<u8>),
    File(File),
}

impl SharedInput {
    /// What can be read from `source`.
    pub fn new(source: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::of(Some(Box::new(source)))
    }

    /// The standard input of this program.
    pub fn inherited() -> Self {
        Self::of(super::stdin::inherited())
    }

    /// The content of the pipe or device at a path, which is opened at once. Readers get the error if that fails.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(super::stdin::pipe(path.into()))
    }

    fn of(source: Option<Box<dyn AsyncRead + Send + Unpin>>) -> Self {
        let kept = Kept { source, place: Storage::Memory(Vec::new()), length: 0, failed: None, buffer: Vec::new() };
        Self { kept: Arc::new(Mutex::new(kept)), waiting: Arc::default() }
    }

    /// Whether nothing has been read: no command has asked for it, or it is empty.
    pub fn is_empty(&self) -> bool {
        self.kept.lock().length == 0
    }

    /// All of it, for a command.
    pub fn stdin(&self) -> Stdin {
        Stdin::reader(Reader { input: self.clone(), at: 0 })
    }
}

impl std::fmt::Debug for SharedInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedInput")
    }
}

impl Kept {
    /// Copies kept bytes from `at` on, as many as fit.
    fn copy(&self, at: u64, buf: &mut ReadBuf<'_>) -> io::Result<u64> {
        let room = usize::try_from(self.length - at).map_or(buf.remaining(), |left| left.min(buf.remaining()));
        match &self.place {
            Storage::Memory(bytes) => {
                let at = usize::try_from(at).map_err(io::Error::other)?;
                buf.put_slice(&bytes[at..at + room]);
            }
            // It was written just now: the system has it in memory.
            Storage::File(file) => {
                file.read_exact_at(buf.initialize_unfilled_to(room), at)?;
                buf.advance(room);
            }
        }
        Ok(room as u64)
    }

    fn keep(&mut self, count: usize) -> io::Result<()> {
        let bytes = &self.buffer[..count];
        if let Storage::Memory(kept) = &mut self.place {
            if kept.len() + count <= IN_MEMORY {
                kept.extend_from_slice(bytes);
                self.length += count as u64;
                return Ok(());
            }
            let mut file = tempfile::tempfile()?;
            file.write_all(kept)?;
            self.place = Storage::File(file);
        }
        if let Storage::File(file) = &mut self.place {
            file.write_all(bytes)?;
        }
        self.length += count as u64;
        Ok(())
    }

    /// Reads more; returns whether there may be more now.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else { return Poll::Ready(()) };
        self.buffer.resize(CHUNK, 0);
        let mut buf = ReadBuf::new(&mut self.buffer);
        let read = std::task::ready!(Pin::new(source).poll_read(cx, &mut buf));
        let count = buf.filled().len();
        match read.and_then(|()| self.keep(count)) {
            Ok(()) if count > 0 => {}
            Ok(()) => self.source = None,
            Err(error) => {
                self.source = None;
                self.failed = Some((error.kind(), error.to_string()));
            }
        }
        Poll::Ready(())
    }
}

/// Tasks that wait for more.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

struct Reader {
    input: SharedInput,
    at: u64,
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let SharedInput { kept, waiting } = self.input.clone();
        let mut kept = kept.lock();
        loop {
            if kept.length > self.at {
                self.at += kept.copy(self.at, buf)?;
                return Poll::Ready(Ok(()));
            }
            if let Some((kind, why)) = &kept.failed {
                return Poll::Ready(Err(io::Error::new(*kind, why.clone())));
            }
            if kept.source.is_none() {
                return Poll::Ready(Ok(()));
            }
            // Before the source is asked, which may wake at once.
            waiting.0.lock().push(cx.waker().clone());
            let waker = Waker::from(waiting.clone());
            std::task::ready!(kept.poll_more(&mut Context::from_waker(&waker)));
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn reader(input: &SharedInput) -> Reader {
        Reader { input: input.clone(), at: 0 }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_reader_has_all_of_it_whenever_it_begins() {
        for length in [0, 1, CHUNK, IN_MEMORY, IN_MEMORY + 1, 2 * IN_MEMORY + 17] {
            let all: Arc<Vec<u8>> = Arc::new((0..length).map(|n| (n % 251) as u8).collect());
            let (mut ours, theirs) = tokio::io::duplex(100_003);
            let input = SharedInput::new(theirs);
            let read = |input: &SharedInput| {
                let (mut reader, all) = (reader(input), all.clone());
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    reader.read_to_end(&mut got).await.unwrap();
                    assert!(got == *all, "{} of {length}", got.len());
                })
            };
            let early: Vec<_> = (0..5).map(|_| read(&input)).collect();
            ours.write_all(&all).await.unwrap();
            drop(ours);
            for reading in early {
                reading.await.unwrap();
            }
            read(&input).await.unwrap();
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_is_asked_for() {
        let (mut ours, theirs) = tokio::io::duplex(4);
        let input = SharedInput::new(theirs);
        ours.write_all(b"1234").await.unwrap();
        let more = tokio::time::timeout(std::time::Duration::from_millis(10), ours.write_all(b"5")).await;
        assert!(more.is_err());
        assert_eq!(reader(&input).read_u8().await.unwrap(), b'1');
        ours.write_all(b"5").await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_of_all() {
        let input = SharedInput::new(Failing);
        for _ in 0..2 {
            let error = reader(&input).read_to_end(&mut Vec::new()).await.unwrap_err();
            assert!(error.to_string().contains("the disk is on fire"), "{error}");
        }
    }

    struct Failing;

    impl AsyncRead for Failing {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::other("the disk is on fire")))
        }
    }
}
