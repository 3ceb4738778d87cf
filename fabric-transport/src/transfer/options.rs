//! The options that `put` and `get` have in common.

use crate::connection::{Connection, Manner};

/// How to treat symbolic links in a tree. A path that is named or matched itself is always followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Links {
    /// Copy their targets, as `scp -r` does. A link to a directory that contains it is an error.
    #[default]
    Follow,
    /// Copy them as links, after all files; from a host only those that lead inside the tree.
    Keep,
    /// Skip them.
    Skip,
}

/// The options of a transfer.
#[derive(Debug, Clone)]
pub(super) struct TransferOptions {
    pub(super) mode: Option<u32>,
    /// `None`: new files have the source's permissions, subject to the umask of the written side.
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
    /// The defaults for a transfer of this connection.
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

/// The methods of both requests.
macro_rules! option_methods {
    () => {
        /// The permission bits of the files. Default: those of the replaced file, otherwise as `mirror_mode` says.
        pub fn mode(mut self, mode: u32) -> Self {
            self.options.mode = Some(mode);
            self
        }

        /// Whether files and directories have exactly the permission bits of their sources, also existing ones
        /// (`mirror_local_mode` of Fabric 1, `preserve_mode` of Fabric 3). With `false` new ones have the defaults of the
        /// written side. Default: new ones have the bits of their sources, subject to the umask of the written side, as with
        /// scp, and existing ones keep theirs. Files from a host never have set-user-ID, set-group-ID or sticky bits.
        pub fn mirror_mode(mut self, mirror: bool) -> Self {
            self.options.mirror_mode = Some(mirror);
            self
        }

        /// How to treat symbolic links below a directory. Default: they are followed.
        pub fn links(mut self, links: crate::transfer::Links) -> Self {
            self.options.links = links;
            self
        }

        /// Whether files and directories have the times of their sources. Default: no.
        pub fn preserve_times(mut self, preserve: bool) -> Self {
            self.options.preserve_times = preserve;
            self
        }

        /// Whether to access the host's files with `sudo`, as its user. Default: no. The host needs a shell with `stat`, `cat`,
        /// `mv` and similar; new files belong to that user.
        pub fn use_sudo(mut self, sudo: bool) -> Self {
            self.options.use_sudo = sudo;
            self
        }

        /// Whether `*`, `?` and `[..]` in the source path are a pattern, unless a file has that very name. Default: yes.
        pub fn glob(mut self, glob: bool) -> Self {
            self.options.glob = glob;
            self
        }

        /// Whether to resume a transfer that was cut short with this option, which keeps the part of the file. Default: no.
        /// The part's name is a keyed hash of the host, both paths, and the source's size and time of change. So a part of
        /// another file, or of another version, is not used; nor is a link or a part that is too long. The key is in the
        /// directory of [`Connector::state_dir`](crate::Connector::state_dir); without one, only the same connector can
        /// resume.
        pub fn resume(mut self, resume: bool) -> Self {
            self.options.resume = resume;
            self
        }

        /// Whether to compare SHA-256 checksums before a file has its final name; the host needs `sha256sum`, `shasum` or
        /// `openssl`. Default: no.
        pub fn verify(mut self, verify: bool) -> Self {
            self.options.verify = verify;
            self
        }

        /// Whether to skip files that exist with the same size, and the same time of change or SHA-256 checksum. Default: no.
        pub fn skip_same(mut self, skip: bool) -> Self {
            self.options.skip_same = skip;
            self
        }

        /// Whether to sync each file to disk before it has its final name. Default: no.
        pub fn sync(mut self, sync: bool) -> Self {
            self.options.sync = sync;
            self
        }

        /// Whether a file that can't be replaced by a rename is an error: in a read-only directory, bind-mounted, or another
        /// user's in a sticky directory. Default: no; it is written in place, as by scp, after all of the new content was
        /// read, with a warning. After an interruption it may be incomplete on a host; on this machine the old content is
        /// kept until the end, and restored if writing fails.
        pub fn atomic(mut self, atomic: bool) -> Self {
            self.options.atomic = atomic;
            self
        }

        /// Whether to only emit what would be transferred, without opening a session. Default: no.
        pub fn dry(mut self, dry: bool) -> Self {
            self.options.dry = dry;
            self
        }

        /// Whether the transfer emits events. Default: yes.
        pub fn echo(mut self, echo: bool) -> Self {
            self.options.silent = !echo;
            self
        }

        /// Whether failed files are a warning instead of an error; the outcome lists them. Default: as `warn_only` says, which is
        /// no.
        pub fn warn(mut self, warn: bool) -> Self {
            self.options.warn = Some(warn);
            self
        }

        /// How many files are transferred at once. Default: 32, or 96 of less than 64 KiB. With `use_sudo` it is at most 4, on a
        /// host without SFTP 1.
        pub fn concurrency(mut self, files: std::num::NonZeroUsize) -> Self {
            self.options.concurrency = Some(files.get());
            self
        }
    };
}
pub(super) use option_methods;
