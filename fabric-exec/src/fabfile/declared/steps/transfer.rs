//! `put` and `get`.

use std::os::unix::fs::PermissionsExt as _;

use fabric_core::outcome::Direction;
use fabric_core::transport::FileKind;
use fabric_core::{Error, TransferOutcome, Value};
use fabric_transport::Connection;
use fabric_transport::transfer::{Source, local_path};

use super::values::transfer_value;
use super::work::{Saved, Work, scope_of};
use super::{Step, TransferStep};
use crate::task::TaskError;
use crate::template;

impl Work {
    pub(super) async fn put(&mut self, step: &Step, transfer: &TransferStep) -> Result<Value, TaskError> {
        let connection = self.context.hide(step.hide).connection().await?;
        let from = self.render(&transfer.from)?;
        let mut to = self.render_some(transfer.to.as_ref())?.unwrap_or_default();
        let mut mode = None;
        let source = if transfer.template && !self.context.is_dry_run() {
            to = self.file_name(&connection, &from, to, transfer.use_sudo).await?;
            let (text, of_file) = self.rendered_file(&connection, &from).await?;
            mode = Some(of_file);
            Source::bytes(text)
        } else {
            Source::from(from)
        };
        let mut put = connection.put(source, to);
        put = put.skip_same(transfer.skip_same).resume(transfer.resume).verify(transfer.verify);
        put = put.use_sudo(transfer.use_sudo).links(transfer.links).atomic(transfer.atomic);
        if let Some(mirror) = transfer.mirror_local_mode {
            put = put.mirror_mode(mirror);
        }
        if let Some(mode) = mode {
            put = put.source_mode(mode);
        }
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
        if !self.context.is_dry_run() {
            self.keep_apart(step, transfer)?;
        }
        let connection = self.context.hide(step.hide).connection().await?;
        let from = self.render(&transfer.from)?;
        let mut to = self.render_some(transfer.to.as_ref())?.unwrap_or_default();
        if self.context.is_dry_run() {
            // What stays a template holds no placeholders.
            to = to.replace("{{", "{{{{").replace("}}", "}}}}");
        }
        let mut get = connection.get(from, to);
        get = get.skip_same(transfer.skip_same).resume(transfer.resume).verify(transfer.verify);
        get = get.use_sudo(transfer.use_sudo).links(transfer.links).atomic(transfer.atomic);
        if let Some(mirror) = transfer.mirror_local_mode {
            get = get.mirror_mode(mirror);
        }
        if let Some(mode) = transfer.mode {
            get = get.mode(mode);
        }
        if let Some(warn) = step.warn_only {
            get = get.warn(warn);
        }
        let ended = get.await;
        self.transferred(step, ended)
    }

    /// Fails where hosts that get it at the same time would get over each other's files, before any of them begins.
    fn keep_apart(&self, step: &Step, transfer: &TransferStep) -> Result<(), TaskError> {
        if step.condition.is_some() {
            // It may hold on one of them only.
            return Ok(());
        }
        let texts = || [Some(&transfer.from), transfer.to.as_ref()].into_iter().flatten();
        let is_saved = |name: &String| self.is_saved(name);
        if texts().any(|text| template::names(self.environment(), text).iter().any(is_saved)) {
            // What other hosts have saved isn't known; each is held against the others when it gets there.
            return Ok(());
        }
        self.context.keep_apart(&step.at, |context| {
            let scope = scope_of(context, &Saved::new());
            let render = |text: &String| template::render(self.environment(), text, &scope).map_err(TaskError::from);
            Ok((render(&transfer.from)?, transfer.to.as_ref().map(render).transpose()?.unwrap_or_default()))
        })
    }

    /// A local file as a template, rendered, and its mode.
    async fn rendered_file(&self, connection: &Connection, from: &str) -> Result<(String, u32), TaskError> {
        let path = local_path(&connection.settings().lcwd, from.as_ref());
        let read = async {
            let about = tokio::fs::metadata(&path).await?;
            if !about.is_file() {
                // A pipe would be empty for the second host.
                return Err(std::io::Error::other("only a regular file can be rendered"));
            }
            let mode = about.permissions().mode() & 0o7777;
            Ok::<_, std::io::Error>((tokio::fs::read_to_string(&path).await?, mode))
        };
        let (text, mode) = read.await.map_err(|error| TaskError::Abort(format!("put {}: {error}", path.display())))?;
        Ok((self.render_file(&path, &text)?, mode))
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
                let mut value = transfer_value(&TransferOutcome::new("", Direction::Put));
                value["ok"] = false.into();
                return Ok(value);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some((name, reason)) = outcome.failed.first() {
            self.tolerate(step, format!("{name}: {reason}"));
        }
        Ok(transfer_value(&outcome))
    }
}
