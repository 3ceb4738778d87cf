//! Parts that killed or disconnected transfers have left behind. The next transfer to the same name removes those that are
//! certainly dead. For trees they are found in the listings, which are needed anyway; for single files the directory is
//! listed during the transfer.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use fabric_core::error::FileError;
use fabric_core::outcome::Direction;
use fabric_core::transport::{DirEntry, FileStat};
use futures_util::future::join_all;

use super::engine::Engine;
use crate::part_names::{self, ENDING, PartName};
use crate::paths;

/// How much longer than the transfer itself the search may take; a directory may have any number of entries.
const LONGEST: Duration = Duration::from_secs(2);

/// Parts that were seen, and directories to search.
#[derive(Default)]
pub(super) struct Leftovers {
    seen: Vec<(Vec<u8>, Option<SystemTime>)>,
    /// Directories to search, each with the names whose parts count.
    unseen: HashMap<Vec<u8>, HashSet<Vec<u8>>>,
    /// Parts to be resumed.
    wanted: HashSet<Vec<u8>>,
}

impl Leftovers {
    /// Searches for parts of this file beside it.
    pub(super) fn look_for(&mut self, engine: &Engine, path: &[u8]) {
        let beside = engine.beside(path);
        let name = part_names::kept(paths::base(&beside)).to_vec();
        self.unseen.entry(paths::parent(&beside).to_vec()).or_default().insert(name);
    }

    /// Keeps a part, which is to be resumed.
    pub(super) fn keep(&mut self, path: &[u8]) {
        self.wanted.insert(paths::base(path).to_vec());
    }

    /// Takes parts from the listing of a directory; `counts` selects the names whose parts count.
    pub(super) fn see<'a>(
        &mut self,
        dir: &[u8],
        entries: impl IntoIterator<Item = (&'a Vec<u8>, &'a FileStat)>,
        counts: impl Fn(&[u8]) -> bool,
    ) {
        let parts = entries.into_iter().filter(|(name, _)| {
            PartName::parse(name).is_some_and(|part| counts(part.of)) && !self.wanted.contains(*name)
        });
        self.seen.extend(parts.map(|(name, stat)| (paths::join(dir, name), stat.modified)).collect::<Vec<_>>());
    }
}

impl Engine {
    /// Does `work`, and meanwhile removes dead parts.
    pub(super) async fn while_sweeping<T>(&self, leftovers: Leftovers, work: impl Future<Output = T>) -> T {
        let (mut sweep, mut work) = (pin!(self.sweep(leftovers)), pin!(work));
        let mut swept = false;
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                () = &mut sweep, if !swept => swept = true,
            }
        };
        if !swept {
            let _ = tokio::time::timeout(LONGEST, sweep).await;
        }
        done
    }

    async fn sweep(&self, mut leftovers: Leftovers) {
        let unseen = std::mem::take(&mut leftovers.unseen);
        let looked = unseen.into_iter().map(|(dir, names)| async move {
            let found = self.look(&dir, &names).await.unwrap_or_default();
            (dir, names, found)
        });
        for (dir, names, found) in join_all(looked.collect::<Vec<_>>()).await {
            let entries = found.iter().map(|entry| (&entry.name, &entry.stat));
            match self.direction {
                Direction::Put => leftovers.see(&dir, entries, |of| names.contains(of)),
                Direction::Get => leftovers.see(&dir, entries, |_| true),
            }
        }
        let (mut dead, mut doubtful) = (Vec::new(), Vec::new());
        for (path, modified) in leftovers.seen {
            let part = PartName::parse(paths::base(&path));
            match part.and_then(|part| self.connection.parts().is_ours_and_dead(&part)) {
                Some(true) => dead.push(path),
                Some(false) => {}
                None => doubtful.push((path, modified)),
            }
        }
        if let Some((path, _)) = doubtful.first()
            && let Some(part) = PartName::parse(paths::base(path))
            && self.direction == Direction::Put
        {
            // By the clock of that side.
            let now = self.probe(&paths::join(paths::parent(path), part.of)).await.ok();
            let now = now.and_then(|probe| probe.modified);
            doubtful.retain(|(_, modified)| part_names::is_old(*modified, now));
            dead.extend(doubtful.into_iter().map(|(path, _)| path));
        }
        join_all(dead.iter().map(|path| async move {
            if let Err(error) = self.target().remove_file(path).await {
                tracing::debug!(%error, "a part that was left behind");
            }
        }))
        .await;
    }

    /// The parts in a directory. A local one is searched once only, since thousands of hosts may send files there.
    async fn look(&self, dir: &[u8], names: &HashSet<Vec<u8>>) -> Result<Vec<DirEntry>, FileError> {
        if self.direction == Direction::Get && !self.connection.parts().is_new(dir) {
            return Ok(Vec::new());
        }
        let mut prefix = b".".to_vec();
        if let (1, Some(name), Direction::Put) = (names.len(), names.iter().next(), self.direction) {
            prefix.extend_from_slice(name);
            prefix.push(b'.');
        }
        self.target().read_dir_matching(dir, &prefix, ENDING).await
    }
}
