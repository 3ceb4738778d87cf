//! Settings for a block of code: the context managers of Fabric 1 (`settings`, `cd`, `hide`, ..).
//!
//! Each method gives a changed [`Context`], for as long as it is used. The one it was made from stays as it
//! is, so that nothing has to be restored, however the block ends; and what is made from a changed one nests.
//!
//! ```
//! # use fabric_exec::{Context, TaskError, run::Hide};
//! # async fn task(context: Context) -> Result<(), TaskError> {
//! let app = context.cd("/srv/app")?.prefix(". venv/bin/activate")?.shell_env("STAGE", "live");
//! app.connection().await?.run("./manage.py migrate").await?;
//! let kernel = context.quiet().connection().await?.run("uname -r").await?;
//! let tunnel = context.connection().await?.forward_remote(5432).await?; // `remote_tunnel`
//! app.connection().await?.run("pg_dump -h localhost").await?;
//! drop(tunnel);
//! # let _ = (kernel, Hide::OUTPUT); Ok(()) }
//! ```

use fabric_core::command::join_dir;
use fabric_core::settings::Map;
use fabric_core::{PathBehavior, Value};
use fabric_transport::connection::CommandRequest;
use serde_json::json;

use super::context::Context;
use super::error::TaskError;
use super::hide::Hide;

impl Context {
    /// With this one setting, by its classic name, or key of shared state; see [`Context::with`].
    #[must_use]
    pub fn setting(&self, name: &str, value: impl Into<Value>) -> Self {
        self.with(Map::from_iter([(name.to_owned(), value.into())]))
    }

    /// In this remote directory, below the one it is in already unless it is absolute or begins with `~`.
    pub fn cd(&self, dir: impl AsRef<str>) -> Result<Self, TaskError> {
        Ok(self.setting("cwd", below(&self.settings()?.cwd, dir.as_ref())))
    }

    /// In this local directory, below the one it is in already unless it is absolute: for local commands and
    /// for local paths of transfers.
    pub fn lcd(&self, dir: impl AsRef<str>) -> Result<Self, TaskError> {
        Ok(self.setting("lcwd", below(&self.settings()?.lcwd, dir.as_ref())))
    }

    /// With a command that must succeed before each command, in the same shell, after those there are.
    pub fn prefix(&self, command: impl Into<String>) -> Result<Self, TaskError> {
        let mut prefixes = self.settings()?.command_prefixes.clone();
        prefixes.push(command.into());
        Ok(self.setting("command_prefixes", prefixes))
    }

    /// With these directories in `$PATH`, instead of those that an outer block or a setting has put there.
    #[must_use]
    pub fn path(&self, dirs: impl Into<String>, behavior: PathBehavior) -> Self {
        self.with(Map::from_iter([
            ("path".to_owned(), json!(dirs.into())),
            ("path_behavior".to_owned(), json!(behavior)),
        ]))
    }

    /// With an environment variable for commands, on top of those there are.
    #[must_use]
    pub fn shell_env(&self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.setting("shell_env", Map::from_iter([(name.into(), json!(value.into()))]))
    }

    /// Failing commands and transfers are warnings.
    #[must_use]
    pub fn warn_only(&self) -> Self {
        self.setting("warn_only", true)
    }

    /// Shows less of its commands and transfers. It is captured all the same.
    #[must_use]
    pub fn hide(&self, what: Hide) -> Self {
        self.with_hidden(self.hidden().and(what))
    }

    /// Shows again what an outer block hides. What the command line hides stays hidden.
    #[must_use]
    pub fn show(&self, what: Hide) -> Self {
        self.with_hidden(self.hidden().but(what))
    }

    /// Shows nothing of its commands and transfers, and failing is no error.
    #[must_use]
    pub fn quiet(&self) -> Self {
        self.hide(Hide::EVERYTHING).warn_only()
    }

    /// A command on this machine, in the local directory of the context; it needs no host.
    pub fn local(&self, command: impl Into<Vec<u8>>) -> Result<CommandRequest, TaskError> {
        Ok(self.local_connection()?.local(command))
    }
}

/// A directory below another.
fn below(base: &str, dir: &str) -> String {
    let mut path = base.as_bytes().to_vec();
    join_dir(&mut path, dir.as_bytes());
    String::from_utf8_lossy(&path).into_owned()
}
