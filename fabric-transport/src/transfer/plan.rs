//! Everything that a transfer will write, determined before it starts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use fabric_core::error::FileError;
use fabric_core::event::EventKind;
use fabric_core::outcome::Direction;
use fabric_core::{Error, TransferOutcome};

use super::engine::Engine;
use super::job::{Existing, Job};
use super::leftovers::Leftovers;
use super::local::MadeDirs;
use super::options::Links;
use super::progress::Progress;
use super::resolved::Resolved;
use super::walk::Tree;
use crate::part_names;
use crate::paths;

/// How many names a message lists.
const SHOWN: usize = 5;

#[derive(Default)]
pub(super) struct Plan {
    pub(super) files: Vec<Job>,
    pub(super) trees: Vec<Copy>,
    /// What could not be read, by source path.
    pub(super) failed: Vec<(Vec<u8>, FileError)>,
    /// Skipped links, by source path.
    pub(super) left_out: Vec<Vec<u8>>,
}

/// A directory that is copied with its content.
pub(super) struct Copy {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) tree: Tree,
}

impl Plan {
    /// Takes errors and skipped links from the listing of a tree.
    pub(super) fn note(&mut self, root: &[u8], tree: &mut Tree) {
        self.failed.extend(tree.failed.drain(..).map(|(below, error)| (paths::join(root, &below), error)));
        self.left_out.extend(tree.left_out.drain(..).map(|below| paths::join(root, &below)));
    }

    /// Fails if two sources have the same target; for local ones links are resolved.
    pub(super) fn check(&self, host: &str, direction: Direction) -> Result<(), Error> {
        if self.files.len() + self.trees.len() < 2 {
            return Ok(());
        }
        let mut taken: HashMap<Vec<u8>, (Vec<u8>, bool)> = HashMap::new();
        let files = self.files.iter().filter(|job| !job.into_stream);
        let files = files.map(|job| (job.to.clone(), job.from.clone(), false));
        let below = self.trees.iter().flat_map(|Copy { from, to, tree }| {
            let files = tree.files.iter().map(|file| &file.below).chain(tree.links.iter().map(|link| &link.below));
            let files = files.map(|below| (below, false));
            let directories = tree.directories.iter().map(|dir| (&dir.below, true));
            let both = move |below: &[u8]| (paths::below(to, below), paths::below(from, below));
            files.chain(directories).map(move |(below, is_dir)| {
                let (to, from) = both(below);
                (to, from, is_dir)
            })
        });
        let mut resolved = Resolved::default();
        for (to, from, is_dir) in files.chain(below) {
            let place = match direction {
                Direction::Get => resolved.below(&to),
                Direction::Put => to,
            };
            match taken.entry(place) {
                Entry::Vacant(entry) => {
                    entry.insert((from, is_dir));
                }
                // Directories are merged.
                Entry::Occupied(entry) if is_dir && entry.get().1 => {}
                Entry::Occupied(entry) => {
                    let [to, first, second] = [entry.key(), &entry.get().0, &from].map(|path| paths::text(path));
                    return Err(Error::Usage(format!(
                        "{host}: both {first} and {second} would become {to}; nothing was transferred: give each a \
                         place of its own"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Creates the local directories above the targets.
    pub(super) async fn make_above(&self, engine: &Engine, made: &mut MadeDirs) -> Result<(), FileError> {
        let mut above: Vec<&[u8]> = self.files.iter().map(|job| paths::parent(&job.to)).collect();
        above.extend(self.trees.iter().map(|copy| paths::parent(&copy.to)));
        above.sort_unstable();
        above.dedup();
        for dir in above {
            made.make(&**engine.target(), dir).await?;
        }
        Ok(())
    }

    /// Executes the plan, and adds to the outcome; returns the first error of a file.
    pub(super) async fn carry_out(
        self,
        engine: &Arc<Engine>,
        progress: &Arc<Progress>,
        outcome: &mut TransferOutcome,
    ) -> Result<Option<FileError>, FileError> {
        let mut first = None;
        let mut fail = |outcome: &mut TransferOutcome, path: &[u8], error: FileError| {
            outcome.failed.push((paths::text(path), error.to_string()));
            first.get_or_insert(error);
        };
        for (path, error) in self.failed {
            fail(outcome, &path, error);
        }
        let mut leftovers = Leftovers::default();
        let mut jobs = self.files;
        for job in jobs.iter().filter(|job| !job.into_stream && !matches!(job.existing, Existing::Nothing)) {
            leftovers.look_for(engine, &job.to);
        }
        let mut copied = Vec::new();
        for Copy { from, to, tree } in self.trees {
            let inside = engine.make_tree(&to, &tree.directories).await?;
            for file in &tree.files {
                let (dir, name) = paths::split(&file.below);
                let existing = inside.get(dir).and_then(|dir| dir.entries.get(name));
                let existing = existing.map_or(Existing::Nothing, |stat| Existing::Is(stat.clone()));
                let (from, to) = (paths::join(&from, &file.below), paths::join(&to, &file.below));
                jobs.push(Job { from, to, stat: file.stat.clone(), existing, into_stream: false });
            }
            copied.push((from, to, tree, inside));
        }
        if engine.options.resume {
            jobs.iter().filter_map(|job| engine.lasting_name(job, &job.to)).for_each(|path| leftovers.keep(&path));
        }
        for (_, to, tree, inside) in &copied {
            for (dir, inside) in inside.iter().filter(|(_, inside)| !inside.entries.is_empty()) {
                // A part's name has only so much of a long one.
                let counts = |of: &[u8]| {
                    let below = paths::join(dir, of);
                    let at = tree.files.partition_point(|file| file.below < below);
                    tree.files.get(at).is_some_and(|file| {
                        let (of_dir, name) = paths::split(&file.below);
                        of_dir == *dir && part_names::kept(name) == of
                    })
                };
                leftovers.see(&paths::below(to, dir), &inside.entries, counts);
            }
            if engine.options.temp_dir.is_some() {
                tree.files.iter().for_each(|file| leftovers.look_for(engine, &paths::join(to, &file.below)));
            }
        }
        let failure = engine.run(jobs, leftovers, progress, outcome).await;
        let mut refused = Vec::new();
        for (from, to, tree, inside) in copied {
            let linked = engine.make_links(&from, &to, &tree).await;
            outcome.links.extend(linked.made.iter().map(|path| paths::text(path)));
            refused.extend(linked.refused);
            for (path, error) in linked.failed {
                fail(outcome, &path, error);
            }
            engine.finish_tree(&to, &tree.directories, &inside).await?;
        }
        engine.tell_links(outcome, &self.left_out, &refused);
        Ok(first.or(failure))
    }
}

impl Engine {
    /// Warns about files that were written in place, and adds them to the outcome.
    pub(super) fn tell_in_place(&self, outcome: &mut TransferOutcome) {
        let paths = self.in_place.take();
        outcome.in_place.extend(paths.iter().map(|path| paths::text(path)));
        if !paths.is_empty() && !self.options.silent {
            let verb = self.verb();
            let (count, files) = (paths.len(), if paths.len() == 1 { "file" } else { "files" });
            let text = format!(
                "{verb}: {count} {files} written in place, not at once, as a rename can't be: {}",
                some(&paths)
            );
            self.connection.emitter().warn(text);
        }
    }

    /// Warns about skipped links, and adds them to the outcome.
    fn tell_links(&self, outcome: &mut TransferOutcome, left_out: &[Vec<u8>], refused: &[Vec<u8>]) {
        let links = |count: usize| format!("{count} {}", if count == 1 { "link" } else { "links" });
        let verb = self.verb();
        outcome.left_out.extend(left_out.iter().chain(refused).map(|path| paths::text(path)));
        if self.options.silent {
            return;
        }
        let emitter = self.connection.emitter();
        if !outcome.links.is_empty() && self.options.links == Links::Keep {
            let text = format!("{verb}: {} copied as links", links(outcome.links.len()));
            emitter.emit(EventKind::message(text));
        }
        if !left_out.is_empty() {
            let text = format!("{verb}: {} left out: {}", links(left_out.len()), some(left_out));
            emitter.emit(EventKind::message(text));
        }
        if !refused.is_empty() {
            let (count, some) = (links(refused.len()), some(refused));
            emitter.warn(format!("{verb}: {count} left out, leading out of the tree: {some}"));
        }
    }
}

/// The first of some paths.
fn some(paths: &[Vec<u8>]) -> String {
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| paths::text(path)).collect();
    format!("{}{}", shown.join(", "), if paths.len() > SHOWN { ", .." } else { "" })
}
