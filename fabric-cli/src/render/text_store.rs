//! Keeps texts of many hosts in little memory: long ones go to one temporary file shared by all.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// How much of a text is kept in memory while there is room.
const MOST: usize = 64 * 1024;

/// How much of a text is always kept in memory: writing less would cost more than it saves.
const SHARE: usize = 4 * 1024;

/// How much memory all texts may take together before each is limited to its share.
const ROOM: usize = 8 * 1024 * 1024;

/// The size of the file's blocks.
const BLOCK: u64 = 64 * 1024;

/// Keeps texts: in memory if the file can't be written, so that none is lost.
#[derive(Debug, Clone)]
pub(super) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many bytes of text are in memory.
    held: AtomicUsize,
    directory: PathBuf,
    disk: Mutex<Disk>,
}

/// The file, which has no name. One descriptor is enough for any number of hosts.
#[derive(Debug, Default)]
struct Disk {
    file: Option<Arc<File>>,
    /// How many blocks it has.
    blocks: u64,
    /// The unused blocks.
    free: Vec<u64>,
    failed: bool,
    error: Option<io::Error>,
}

impl Store {
    /// A store whose file, once it is needed, is in this directory.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(Arc::new(Shared { held: AtomicUsize::new(0), directory, disk: Mutex::default() }))
    }

    /// An empty text.
    pub(super) fn text(&self) -> Text {
        Text { store: self.clone(), blocks: Vec::new(), in_file: 0, kept: Vec::new() }
    }

    /// A warning, once, that texts stay in memory from now on.
    pub(super) fn warning(&self) -> Option<String> {
        let error = self.disk().error.take()?;
        let directory = self.0.directory.display();
        Some(format!(
            "long output is kept in memory, because a temporary file in {directory} can't be written: {error}; set \
             TMPDIR to a directory with room"
        ))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.disk.lock()
    }

    /// The file, if it can be written.
    fn file(&self) -> Option<Arc<File>> {
        let mut disk = self.disk();
        if disk.file.is_none() && !disk.failed {
            match tempfile::tempfile_in(&self.0.directory) {
                Ok(file) => disk.file = Some(Arc::new(file)),
                Err(error) => disk.fail(error),
            }
        }
        disk.file.clone().filter(|_| !disk.failed)
    }
}

#[cfg(test)]
impl Default for Store {
    fn default() -> Self {
        Self::new("/tmp".into())
    }
}

impl Disk {
    fn fail(&mut self, error: io::Error) {
        (self.failed, self.error) = (true, Some(error));
    }

    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.blocks += 1;
            self.blocks - 1
        })
    }

    fn give_back(&mut self, blocks: &[u64]) {
        self.free.extend(blocks);
        if self.free.len() as u64 == self.blocks {
            (self.free, self.blocks) = (Vec::new(), 0);
            // If that fails, the space is freed at the program's end.
            let _ = self.file.as_ref().map(|file| file.set_len(0));
        }
    }
}

/// A growing text: its beginning may be in the file, its end is in memory.
#[derive(Debug)]
pub(super) struct Text {
    store: Store,
    /// Its blocks in the file, in order; all but the last are full.
    blocks: Vec<u64>,
    in_file: u64,
    kept: Vec<u8>,
}

impl Text {
    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let held = self.store.0.held.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if self.kept.len() > if held > ROOM { SHARE } else { MOST } {
            self.spill();
        }
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.in_file + self.kept.len() as u64
    }

    /// Whether it is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a part of it is in the file.
    pub(super) fn is_in_file(&self) -> bool {
        self.in_file > 0
    }

    /// Reads it from the beginning.
    pub(super) fn reader(&self) -> impl Read + '_ {
        Reader { text: self, at: 0 }
    }

    /// Moves what is in memory to the file, if possible.
    fn spill(&mut self) {
        let Some(file) = self.store.file() else { return };
        match self.write_to(&file) {
            Ok(()) => self.forget(),
            Err(error) => self.store.disk().fail(error),
        }
    }

    fn write_to(&mut self, file: &File) -> io::Result<()> {
        let (mut at, mut rest) = (self.in_file, &self.kept[..]);
        while !rest.is_empty() {
            let (index, within) = ((at / BLOCK) as usize, at % BLOCK);
            if index == self.blocks.len() {
                self.blocks.push(self.store.disk().take());
            }
            let (now, later) = rest.split_at(rest.len().min((BLOCK - within) as usize));
            file.write_all_at(now, self.blocks[index] * BLOCK + within)?;
            (at, rest) = (at + now.len() as u64, later);
        }
        self.in_file = at;
        Ok(())
    }

    fn forget(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.store.0.held.fetch_sub(kept.len(), Ordering::Relaxed);
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.forget();
        if !self.blocks.is_empty() {
            self.store.disk().give_back(&self.blocks);
        }
    }
}

struct Reader<'a> {
    text: &'a Text,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let text = self.text;
        let count = if let Some(at) = self.at.checked_sub(text.in_file) {
            (&text.kept[at as usize..]).read(buffer)?
        } else {
            let within = self.at % BLOCK;
            let most = (BLOCK - within).min(text.in_file - self.at).min(buffer.len() as u64);
            let file = text.store.disk().file.clone().ok_or(io::ErrorKind::NotFound)?;
            let from = text.blocks[(self.at / BLOCK) as usize] * BLOCK + within;
            match file.read_at(&mut buffer[..most as usize], from)? {
                0 if most > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => count,
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
impl Store {
    /// How many bytes of text are in memory.
    pub(super) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// How large the file is.
    pub(super) fn in_file(&self) -> u64 {
        self.disk().blocks * BLOCK
    }

    /// Its disk is full.
    pub(super) fn full() -> Self {
        let store = Self::new("/full".into());
        store.disk().file = Some(Arc::new(File::options().read(true).write(true).open("/dev/full").unwrap()));
        store
    }

    /// Its disk loses what is on it.
    pub(super) fn lose(&self) {
        self.disk().file.as_ref().unwrap().set_len(0).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: usize, salt: usize) -> Vec<u8> {
        (0..count).map(|n| ((n + salt) % 251) as u8).collect()
    }

    fn read(text: &Text) -> Vec<u8> {
        let mut all = Vec::new();
        text.reader().read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn long_texts_share_a_file_and_come_back_whole() {
        let store = Store::default();
        let mut texts: Vec<_> = (0..5).map(|_| store.text()).collect();
        let all: Vec<_> = (0..5).map(|n| bytes(n * 150_001, n)).collect();
        for at in (0..600_004).step_by(1009) {
            for (text, all) in texts.iter_mut().zip(&all) {
                text.push(&all[at.min(all.len())..(at + 1009).min(all.len())]);
            }
        }
        assert!(store.held() <= 5 * MOST, "{}", store.held());
        assert!(texts.iter().zip(&all).all(|(text, all)| read(text) == *all && text.len() == all.len() as u64));
        // Discarded texts make room for others.
        let size = store.in_file();
        drop(texts.pop());
        let mut other = store.text();
        all[4].chunks(5000).for_each(|chunk| other.push(chunk));
        assert!(read(&other) == all[4] && read(&texts[3]) == all[3]);
        assert_eq!(store.in_file(), size);
        drop((texts, other));
        assert_eq!((store.held(), store.in_file(), store.warning()), (0, 0, None));
    }

    #[test]
    fn many_texts_have_to_do_with_a_share_each() {
        let store = Store::default();
        let mut texts: Vec<_> = (0..1000).map(|_| store.text()).collect();
        for at in 0..30 {
            for (n, text) in texts.iter_mut().enumerate() {
                text.push(&bytes(1000, n + at));
                assert!(store.held_at_most(1000));
            }
        }
        let expected = |n| (0..30).flat_map(|at| bytes(1000, n + at)).collect::<Vec<_>>();
        assert!(texts.iter().enumerate().all(|(n, text)| read(text) == expected(n)));
    }

    #[test]
    fn without_a_file_texts_stay_in_memory_and_that_is_told_once() {
        for (store, says) in [(Store::new("/nowhere".into()), "No such file"), (Store::full(), "No space left")] {
            let mut text = store.text();
            let all = bytes(300_000, 0);
            all.chunks(1009).for_each(|chunk| text.push(chunk));
            assert!(read(&text) == all && !text.is_in_file());
            assert_eq!(store.held(), all.len());
            let warning = store.warning().unwrap();
            assert!(warning.contains(&store.0.directory.display().to_string()) && warning.contains(says), "{warning}");
            text.push(&all);
            assert_eq!(store.warning(), None);
        }
    }

    #[test]
    fn a_disk_that_fills_up_takes_nothing_with_it() {
        let store = Store::default();
        let mut text = store.text();
        let all = bytes(500_000, 0);
        text.push(&all[..200_000]);
        store.disk().fail(io::ErrorKind::StorageFull.into());
        all[200_000..].chunks(1009).for_each(|chunk| text.push(chunk));
        assert!(text.is_in_file() && store.held() == 300_000);
        assert!(read(&text) == all);
    }

    impl Store {
        fn held_at_most(&self, texts: usize) -> bool {
            self.held() <= ROOM + MOST + texts * (SHARE + 1000)
        }
    }
}
