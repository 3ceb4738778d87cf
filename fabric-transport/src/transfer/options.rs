//! The options that `put` and `get` have in common.

use crate::connection::{Connection, Manner};

/// What becomes of symbolic links in a tree. A path that is named or matched itself is followed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Links {
    /// What they lead to is copied, wherever that is, as `scp -r` does. A link that leads back to a directory that it is
    /// in is an error.
    #[default]
    Follow,
    /// They are copied as links, after everything else; from a host only those that lead to a place inside the tree.
    Keep,
    /// They are left out.
    Skip,
}

/// What the methods of a transfer said.
#[derive(Debug, Clone)]
pub(super) struct TransferOptions {
    pub(super) mode: Option<u32>,
    /// `None`: what is new gets the source's bits under the umask of the side that is written.
    pub(super) mirror_mode: Option<bool>,
    pub(super) links: Links,
    pub(super) preserve_times: bool,
    pub(super) use_sudo: bool,
    pub(super) temp_dir: Option<Vec<u8>>,
    pub(super) glob: bool,
    pub(super) parents: bool,
    pub(super) resume: bool,
    pub(super) verify: bool,
    pub(super) skip_same: bool,
    pub(super) sync: bool,
    pub(super) atomic: bool,
    pub(super) dry: bool,
    pub(super) silent: bool,
    pub(super) warn: Option<bool>,
    pub(super) concurrency: Option<usize>,
}

impl TransferOptions {
    /// What a transfer of this connection begins with.
    pub(super) fn of(connection: &Connection) -> Self {
        let Manner { silent, dry, .. } = connection.manner();
        Self { dry, silent, ..Self::default() }
    }
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            mode: None,
            mirror_mode: None,
            links: Links::Follow,
            preserve_times: false,
            use_sudo: false,
            temp_dir: None,
            glob: true,
            parents: false,
            resume: false,
            verify: false,
            skip_same: false,
            sync: false,
            atomic: false,
            dry: false,
            silent: false,
            warn: None,
            concurrency: None,
        }
    }
}

/// The methods of both requests, written once.
macro_rules! option_methods {
    () => {
        /// The permission bits of the files. Default: those of a file that is replaced, else as `mirror_mode` says.
        pub fn mode(mut self, mode: u32) -> Self {
            self.options.mode = Some(mode);
            self
        }

        /// Whether files and directories get exactly the permission bits of those they are made from, those that
        /// exist too (`mirror_local_mode` of Fabric 1, `preserve_mode` of Fabric 3). With `false` the side that is
        /// written decides about new ones. Default: new ones get the bits of those they are made from under the umask
        /// of the side that is written, as with scp, and existing ones keep theirs. What comes from a host never
        /// gets set-user-ID, set-group-ID or sticky bits.
        pub fn mirror_mode(mut self, mirror: bool) -> Self {
            self.options.mirror_mode = Some(mirror);
            self
        }

        /// What becomes of symbolic links below a directory. Default: they are followed.
        pub fn links(mut self, links: crate::transfer::Links) -> Self {
            self.options.links = links;
            self
        }

        /// Whether files and directories get the times of those they are made from. Default: no.
        pub fn preserve_times(mut self, preserve: bool) -> Self {
            self.options.preserve_times = preserve;
            self
        }

        /// Whether the host's files are reached by `sudo`, as its user. Default: no. The host needs a shell
        /// with `stat`, `cat`, `mv` and the like; files that are made belong to that user.
        pub fn use_sudo(mut self, sudo: bool) -> Self {
            self.options.use_sudo = sudo;
            self
        }

        /// Whether `*`, `?` and `[..]` in the path that is read are a pattern, where no file has that very
        /// name. Default: yes.
        pub fn glob(mut self, glob: bool) -> Self {
            self.options.glob = glob;
            self
        }

        /// Whether to go on where an earlier try was cut short, which then leaves its part behind. Default: no. The
        /// part's name is a keyed hash of the host, both paths, and the size and time of change of the file that is
        /// read, so that a part of another file, or of the file as it was, is not gone on with; nor is one that is a
        /// link or is too long. The key is in the directory of
        /// [`Connector::state_dir`](crate::Connector::state_dir); without one, a part is gone on with by
        /// the same connector only.
        pub fn resume(mut self, resume: bool) -> Self {
            self.options.resume = resume;
            self
        }

        /// Whether to compare SHA-256 checksums before a file gets its final name; the host needs
        /// `sha256sum`, `shasum` or `openssl`. Default: no.
        pub fn verify(mut self, verify: bool) -> Self {
            self.options.verify = verify;
            self
        }

        /// Whether to leave files alone that are there already with the same size, and the same time of
        /// change or the same SHA-256 checksum. Default: no.
        pub fn skip_same(mut self, skip: bool) -> Self {
            self.options.skip_same = skip;
            self
        }

        /// Whether to wait until each file is on the disk before it gets its final name. Default: no.
        pub fn sync(mut self, sync: bool) -> Self {
            self.options.sync = sync;
            self
        }

        /// Whether a file that can't be replaced by a rename is an error: one in a directory that can't be written,
        /// one that is bind-mounted, another user's in a sticky directory. Default: no; it is written in place, as scp
        /// does, once all of the new content has been read, and a warning says so. An interruption leaves it incomplete on
        /// a host; on this machine the old content is kept until the end, and put back if the writing fails.
        pub fn atomic(mut self, atomic: bool) -> Self {
            self.options.atomic = atomic;
            self
        }

        /// Whether to only tell what would be transferred; nothing is opened. Default: no.
        pub fn dry(mut self, dry: bool) -> Self {
            self.options.dry = dry;
            self
        }

        /// Whether the transfer emits events. Default: yes.
        pub fn echo(mut self, echo: bool) -> Self {
            self.options.silent = !echo;
            self
        }

        /// Whether files that can't be transferred are a warning instead of an error; the outcome lists
        /// them. Default: as `warn_only` says, which is no.
        pub fn warn(mut self, warn: bool) -> Self {
            self.options.warn = Some(warn);
            self
        }

        /// How many files are under way at once. Default: 32, or 96 of less than 64 KiB. With `use_sudo` 4 of them move at
        /// once, on a host without SFTP one.
        pub fn concurrency(mut self, files: std::num::NonZeroUsize) -> Self {
            self.options.concurrency = Some(files.get());
            self
        }
    };
}
pub(super) use option_methods;
