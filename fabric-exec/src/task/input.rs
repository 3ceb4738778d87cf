//! What the commands of a run read: what this program was given, or what a person types.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fabric_transport::connection::{Keyboard, SharedInput, Stdin};
use parking_lot::Mutex;

/// What the command after `--`, and steps and functions that ask for it, read.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Input {
    /// Nothing: they find end-of-file. The default.
    #[default]
    None,
    /// The standard input of this program, whole for each command on each host and each try. What no command asks for is
    /// not read.
    Inherited,
    /// This, whole for each command on each host and each try.
    Given(SharedInput),
    /// What a person types. Where hosts run one after another, every command of a step has it; where several run at the same
    /// time, none.
    Keyboard(Arc<dyn Keyboard>),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Inherited => "Inherited",
            Self::Given(_) => "Given(..)",
            Self::Keyboard(_) => "Keyboard(..)",
        })
    }
}

/// The input of one run.
#[derive(Debug, Default)]
pub(crate) struct RunInput {
    input: Input,
    taken: Mutex<Taken>,
    /// The pipes and devices that steps have named.
    pipes: Mutex<HashMap<PipeId, SharedInput>>,
}

/// Which pipe or device: device, number, and when it was made, where the file system says that.
type PipeId = (u64, u64, Option<SystemTime>);

/// Who has had the standard input of this program.
#[derive(Debug, Default)]
enum Taken {
    /// No command.
    #[default]
    No,
    /// One that nothing else of the run follows; whether there was anything in a file or a pipe.
    Once { waited: bool },
    /// Commands, for which it is kept.
    Kept(SharedInput),
}

impl RunInput {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, taken: Mutex::default(), pipes: Mutex::default() }
    }

    /// For a command that doesn't ask for it: what a person types.
    pub(crate) fn typed(&self, serial: bool) -> Stdin {
        match &self.input {
            Input::Keyboard(keyboard) if serial => Stdin::Keyboard(keyboard.clone()),
            _ => Stdin::None,
        }
    }

    /// For a command that asks for it; `once` where no other one will, so that nothing has to be kept.
    pub(crate) fn whole(&self, serial: bool, once: bool) -> Stdin {
        match &self.input {
            Input::Inherited => {}
            Input::Given(input) => return input.stdin(),
            Input::None | Input::Keyboard(_) => return self.typed(serial),
        }
        let mut taken = self.taken.lock();
        match &*taken {
            Taken::No if once => {
                *taken = Taken::Once { waited: Stdin::has_something() };
                Stdin::Inherit
            }
            Taken::No => {
                let kept = SharedInput::inherited();
                let stdin = kept.stdin();
                *taken = Taken::Kept(kept);
                stdin
            }
            Taken::Kept(kept) => kept.stdin(),
            Taken::Once { .. } => Stdin::None,
        }
    }

    /// Whether commands have been given anything of this program's standard input.
    pub(crate) fn was_given(&self) -> bool {
        if let Input::Given(input) = &self.input {
            return !input.is_empty();
        }
        match &*self.taken.lock() {
            Taken::No => false,
            Taken::Once { waited } => *waited,
            Taken::Kept(kept) => !kept.is_empty(),
        }
    }

    /// What is in a file, whole for each command that asks: what comes out of a pipe or device comes once, and is kept.
    pub(crate) async fn file(&self, path: &Path, serial: bool) -> io::Result<Stdin> {
        let about = tokio::fs::metadata(path).await?;
        let kind = about.file_type();
        if !kind.is_fifo() && !kind.is_char_device() && !kind.is_socket() {
            return Stdin::file(path).await;
        }
        if matches!(self.input, Input::Inherited | Input::Keyboard(_)) && Stdin::is_inherited(&about) {
            return Ok(self.whole(serial, false));
        }
        let id: PipeId = (about.dev(), about.ino(), about.created().ok());
        let mut pipes = self.pipes.lock();
        Ok(pipes.entry(id).or_insert_with(|| SharedInput::file(path)).stdin())
    }

    /// How many bytes no command has asked for.
    pub(crate) fn left_over(&self) -> u64 {
        let taken = self.taken.lock();
        if matches!((&self.input, &*taken), (Input::Inherited, Taken::No)) { Stdin::waiting() } else { 0 }
    }
}
