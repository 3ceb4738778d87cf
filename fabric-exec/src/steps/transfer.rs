//! `put` and `get`.

use fabric_core::transport::FileKind;
use fabric_core::{Error, TransferOutcome, Value};
use fabric_transport::Connection;
use fabric_transport::transfer::Source;
use serde_json::json;

use super::work::Work;
use super::{Step, TransferStep};
use crate::task::TaskError;

impl Work {
    pub(super) async fn put(&mut self, step: &Step, transfer: &TransferStep) -> Result<Value, TaskError> {
        let connection = self.context.connection().await?;
        let from = self.render(&transfer.from)?;
        let mut to = self.render_some(transfer.to.as_ref())?.unwrap_or_default();
        let source = if transfer.template && !self.context.is_dry_run() {
            to = self.file_name(&connection, &from, to, transfer.use_sudo).await?;
            Source::bytes(self.rendered_file(&connection, &from).await?)
        } else {
            Source::from(from)
        };
        let mut put = connection.put(source, to).dry(self.context.is_dry_run()).echo(!self.hidden(step).running);
        put = put.skip_same(transfer.skip_same).resume(transfer.resume).verify(transfer.verify);
        put = put.use_sudo(transfer.use_sudo).mirror_mode(transfer.mirror_local_mode && !transfer.template);
        if let Some(mode) = transfer.mode {
            put = put.mode(mode);
        }
        if let Some(dir) = self.render_some(transfer.temp_dir.as_ref())? {
            put = put.temp_dir(dir);
        }
        if let Some(warn) = step.warn_only {
            put = put.warn(warn);
        }
        let ended = put.await;
        self.transferred(step, ended)
    }

    pub(super) async fn get(&mut self, step: &Step, transfer: &TransferStep) -> Result<Value, TaskError> {
        let connection = self.context.connection().await?;
        let from = self.render(&transfer.from)?;
        let mut to = self.render_some(transfer.to.as_ref())?.unwrap_or_default();
        if self.context.is_dry_run() {
            // What stays a template holds no placeholders.
            to = to.replace("{{", "{{{{").replace("}}", "}}}}");
        }
        let mut get = connection.get(from, to).dry(self.context.is_dry_run()).echo(!self.hidden(step).running);
        get = get.skip_same(transfer.skip_same).resume(transfer.resume).verify(transfer.verify);
        get = get.use_sudo(transfer.use_sudo);
        if let Some(mode) = transfer.mode {
            get = get.mode(mode);
        }
        if let Some(warn) = step.warn_only {
            get = get.warn(warn);
        }
        let ended = get.await;
        self.transferred(step, ended)
    }

    /// A local file as a template, rendered.
    async fn rendered_file(&self, connection: &Connection, from: &str) -> Result<String, TaskError> {
        let path = std::path::Path::new(&connection.settings().lcwd).join(from);
        let text = tokio::fs::read_to_string(&path)
            .await
            .map_err(|error| TaskError::Abort(format!("put {}: {error}", path.display())))?;
        self.render(&text)
    }

    /// Where a rendered file goes: it has no name of its own any more, so that a directory needs one.
    async fn file_name(
        &self,
        connection: &Connection,
        from: &str,
        to: String,
        use_sudo: bool,
    ) -> Result<String, TaskError> {
        let name = std::path::Path::new(from).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| from.to_owned());
        if to.is_empty() || to.ends_with('/') {
            return Ok(to + &name);
        }
        if use_sudo {
            return Ok(to);
        }
        let path = Self::below(&connection.settings().cwd, &to);
        let stat = connection.files().await?.stat(path.as_bytes()).await;
        let is_dir = stat.is_ok_and(|stat| stat.kind == FileKind::Directory);
        Ok(if is_dir { format!("{to}/{name}") } else { to })
    }

    /// What a template sees of a transfer's outcome. Where failures are to be warnings, a file that is not
    /// there at all is one too.
    fn transferred(&self, step: &Step, ended: Result<TransferOutcome, Error>) -> Result<Value, TaskError> {
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error @ Error::File { .. }) => {
                if !step.warn_only.unwrap_or(self.context.settings()?.warn_only) {
                    return Err(error.into());
                }
                self.context.warn(error.to_string());
                self.tolerate(step, error.to_string());
                return Ok(json!({"ok": false, "failed": [], "local": [], "remote": [], "bytes": 0, "duration": 0}));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some((name, reason)) = outcome.failed.first() {
            self.tolerate(step, format!("{name}: {reason}"));
        }
        Ok(json!({
            "ok": outcome.ok(),
            "failed": outcome.failed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "local": outcome.local,
            "remote": outcome.remote,
            "bytes": outcome.bytes,
            "duration": outcome.duration.as_secs_f64(),
        }))
    }
}
