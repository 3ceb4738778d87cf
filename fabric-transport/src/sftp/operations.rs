//! Operations on files and directories by path.

use super::attributes::Attributes;
use super::client::{Client, about};
use super::directory::ReadDir;
use super::driver::{About, Expected};
use super::error::{ProtocolError, SftpError, StatusCode};
use super::extensions::{self, FileSystem};
use super::file::RemoteFile;
use super::open_flags::OpenFlags;
use super::wire::{Request, packet};

impl Client {
    /// Opens a file. `attributes` apply if it is created: OpenSSH uses only the permissions, and applies the server's
    /// umask to them.
    pub async fn open(&self, path: &[u8], flags: OpenFlags, attributes: &Attributes) -> Result<RemoteFile, SftpError> {
        let about = about("open", path)?;
        let handle = self.open_handle(about, flags, attributes).await?;
        Ok(RemoteFile::new(handle, self.clone(), path))
    }

    /// Opens a directory to read its entries.
    pub async fn read_dir(&self, path: &[u8]) -> Result<ReadDir, SftpError> {
        let about = about("opendir", path)?;
        let mut call = self.conversation.submit(on_path(packet::OPENDIR, path), Expected::Handle).await?;
        Ok(ReadDir::new(call.handle(about).await?, path))
    }

    /// The attributes of a file; links are followed.
    pub async fn stat(&self, path: &[u8]) -> Result<Attributes, SftpError> {
        let about = about("stat", path)?;
        let mut call = self.conversation.submit(on_path(packet::STAT, path), Expected::Attributes).await?;
        call.attributes(about).await
    }

    /// The attributes of a file, or of a link itself.
    pub async fn lstat(&self, path: &[u8]) -> Result<Attributes, SftpError> {
        let about = about("lstat", path)?;
        let mut call = self.conversation.submit(on_path(packet::LSTAT, path), Expected::Attributes).await?;
        call.attributes(about).await
    }

    /// Changes a file's attributes; links are followed.
    pub async fn set_stat(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let request = Request::new(packet::SETSTAT, path.len() + 40).string(path).attributes(attributes);
        self.status(about("setstat", path)?, request).await
    }

    /// Changes the attributes of a file or a link itself (`lsetstat@openssh.com`).
    pub async fn lset_stat(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let about = about("lsetstat", path)?;
        let request = self.extended(about, extensions::LSETSTAT, path.len() + 40)?;
        self.status(about, request.string(path).attributes(attributes)).await
    }

    /// Creates a directory; the server's umask applies to the permissions.
    pub async fn make_dir(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        let request = Request::new(packet::MKDIR, path.len() + 40).string(path).attributes(attributes);
        self.status(about("mkdir", path)?, request).await
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, path: &[u8]) -> Result<(), SftpError> {
        self.status(about("rmdir", path)?, on_path(packet::RMDIR, path)).await
    }

    /// Removes a file or a link.
    pub async fn remove_file(&self, path: &[u8]) -> Result<(), SftpError> {
        self.status(about("remove", path)?, on_path(packet::REMOVE, path)).await
    }

    /// Renames, and fails if `to` exists.
    pub async fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        about("rename", to)?;
        let request = Request::new(packet::RENAME, from.len() + to.len() + 8).string(from).string(to);
        self.status(about("rename", from)?, request).await
    }

    /// Renames, and atomically replaces `to` (`posix-rename@openssh.com`, rename(2)).
    ///
    /// If the server doesn't offer that, and `to` exists, `to` is removed first: not atomically, and not if it is a
    /// directory.
    pub async fn replace(&self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        about("rename", to)?;
        let about = about("rename", from)?;
        match self.extended(about, extensions::POSIX_RENAME, from.len() + to.len() + 8) {
            Ok(request) => self.status(about, request.string(from).string(to)).await,
            Err(_) => match self.rename(from, to).await {
                Err(error) if error.status() == Some(StatusCode::Failure) && self.lstat(from).await.is_ok() => {
                    self.remove_file(to).await.map_err(|_| error)?;
                    self.rename(from, to).await
                }
                done => done,
            },
        }
    }

    /// Creates `link` as another name of the file `target` (`hardlink@openssh.com`).
    pub async fn hard_link(&self, target: &[u8], link: &[u8]) -> Result<(), SftpError> {
        about("hardlink", target)?;
        let about = about("hardlink", link)?;
        let request = self.extended(about, extensions::HARDLINK, target.len() + link.len() + 8)?;
        self.status(about, request.string(target).string(link)).await
    }

    /// Creates `link` as a symbolic link to `target`.
    ///
    /// The arguments are sent in OpenSSH's order, target first, which is the reverse of the draft's; other servers have
    /// followed OpenSSH (OpenSSH's PROTOCOL, section 4.1).
    pub async fn symlink(&self, target: &[u8], link: &[u8]) -> Result<(), SftpError> {
        about("symlink", target)?;
        let request = Request::new(packet::SYMLINK, target.len() + link.len() + 8).string(target).string(link);
        self.status(about("symlink", link)?, request).await
    }

    /// The target of a symbolic link.
    pub async fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        self.one_name(about("readlink", path)?, on_path(packet::READLINK, path)).await
    }

    /// The absolute path of a path, with links resolved; of `.`, the directory of relative paths.
    pub async fn real_path(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        self.one_name(about("realpath", path)?, on_path(packet::REALPATH, path)).await
    }

    /// Like [`Self::real_path`], and expands `~` and `~user` (`expand-path@openssh.com`).
    pub async fn expand_path(&self, path: &[u8]) -> Result<Vec<u8>, SftpError> {
        let about = about("expand-path", path)?;
        let request = self.extended(about, extensions::EXPAND_PATH, path.len() + 4)?;
        self.one_name(about, request.string(path)).await
    }

    /// The file system of a path (`statvfs@openssh.com`).
    pub async fn file_system(&self, path: &[u8]) -> Result<FileSystem, SftpError> {
        let about = about("statvfs", path)?;
        let request = self.extended(about, extensions::STATVFS, path.len() + 4)?.string(path);
        let body = self.conversation.submit(request, Expected::Extended).await?.extended(about).await?;
        Ok(FileSystem::decode(body)?)
    }

    async fn one_name(&self, about: About<'_>, request: Request) -> Result<Vec<u8>, SftpError> {
        let names = self.conversation.submit(request, Expected::Names).await?.names(about).await?;
        let count = names.len();
        match names.into_iter().next() {
            Some(only) if count == 1 => Ok(only.name),
            _ => Err(ProtocolError::NotOneName(count).into()),
        }
    }
}

fn on_path(packet: u8, path: &[u8]) -> Request {
    Request::new(packet, path.len() + 4).string(path)
}
