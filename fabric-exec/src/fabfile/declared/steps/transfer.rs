//! `put` and `get`.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::outcome::Direction;
use fabric_core::transport::FileKind;
use fabric_core::{Error, TransferOutcome, Value};
use fabric_core_document::{Kind, Member, Members, Node};
use fabric_transport::Connection;
use fabric_transport::transfer::{Links, Source, local_path};

use super::step::{ANY, Form, Step, Verb};
use super::values::{attributes, transfer_value};
use super::work::{Saved, Work, scope_of};
use crate::fabfile::declared::reader::Reader;
use crate::task::{Effect, KnownStep, TaskError, Text};
use crate::template;

const KEYS: &[&str] =
    &["to", "mode", "mirror_local_mode", "links", "use_sudo", "skip_same", "resume", "verify", "atomic"];
/// What has no meaning for a text that is rendered for each host: it is sent as it is, from its beginning.
const NOT_RENDERED: &[&str] = &["skip_same", "resume", "verify", "links"];

pub(super) const PUT: Form = Form {
    name: "put",
    keys: &[KEYS, &["temp_dir", "template"], ANY],
    read: |reader, subject, members, what| {
        let transfer = reader.transfer(Direction::Put, subject, members, what)?;
        let useless = NOT_RENDERED.iter().filter_map(|key| Some((key, members.get(*key)?.line)));
        for (key, line) in useless.filter(|_| transfer.template) {
            let text = format!("`{key}` of {what}: with `template` the rendered text is sent each time");
            reader.problem(line, text).hint = Some(format!("leave `{key}` out"));
        }
        Some(Arc::new(transfer))
    },
};

pub(super) const GET: Form = Form {
    name: "get",
    keys: &[KEYS, ANY],
    read: |reader, subject, members, what| {
        let transfer = reader.transfer(Direction::Get, subject, members, what)?;
        if let (Some(mode), Some(Member { line, .. })) =
            (transfer.mode.filter(|mode| mode & 0o7000 != 0), members.get("mode"))
        {
            let text = format!("`mode` of {what} is {mode:o}: what comes from a host never gets these bits");
            reader.problem(*line, text);
        }
        Some(Arc::new(transfer))
    },
};

/// A transfer. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TransferStep {
    /// Whether it is a `put` or a `get`.
    pub(crate) direction: Direction,
    /// What is read: a local path for `put`, a remote one for `get`.
    pub(crate) from: String,
    /// What is written; `None`: the default of the verb.
    pub(crate) to: Option<String>,
    /// The mode of the written file.
    pub(crate) mode: Option<u32>,
    /// Whether the mode is exactly that of the file that is read, or left to the side that is written; `None`: new files
    /// get it under the umask there, and others keep theirs.
    pub(crate) mirror_local_mode: Option<bool>,
    /// What becomes of links in a tree.
    pub(crate) links: Links,
    /// Whether root reads or writes the remote file.
    pub(crate) use_sudo: bool,
    /// The directory on the host that the file passes through, with `use_sudo`.
    pub(crate) temp_dir: Option<String>,
    /// Whether the local file is a template that is rendered first.
    pub(crate) template: bool,
    /// Whether files that are there already are left alone.
    pub(crate) skip_same: bool,
    /// Whether what an earlier transfer left unfinished is gone on with.
    pub(crate) resume: bool,
    /// Whether checksums are compared before a file gets its final name.
    pub(crate) verify: bool,
    /// Whether a file that can't be replaced by a rename is an error, and not written in place.
    pub(crate) atomic: bool,
}

#[async_trait]
impl Verb for TransferStep {
    fn name(&self) -> &'static str {
        match self.direction {
            Direction::Put => PUT.name,
            Direction::Get => GET.name,
        }
    }

    fn what(&self) -> String {
        match &self.to {
            Some(to) => format!("{} -> {to}", self.from),
            None => self.from.clone(),
        }
    }

    fn outline<'a>(&'a self, known: &mut KnownStep<'a>) {
        let texts = std::iter::once(&self.from).chain(&self.to).chain(&self.temp_dir);
        known.texts = texts.map(|text| Text::Plain(text)).collect();
        known.attributes = attributes(&transfer_value(&TransferOutcome::new("", self.direction)));
        match self.direction {
            Direction::Put => known.reads = Some(("put", &self.from, self.template)),
            Direction::Get => known.effect = Effect::MakesFiles,
        }
    }

    fn needs_host(&self) -> Option<bool> {
        Some(true)
    }

    fn moves_files(&self) -> bool {
        true
    }

    async fn carry_out(&self, work: &mut Work, step: &Step) -> Result<Value, TaskError> {
        match self.direction {
            Direction::Put => work.put(step, self).await,
            Direction::Get => work.get(step, self).await,
        }
    }
}

impl Reader {
    fn transfer(
        &mut self,
        direction: Direction,
        subject: &Node,
        members: &Members,
        what: &str,
    ) -> Option<TransferStep> {
        Some(TransferStep {
            direction,
            from: self.templated(subject, what)?,
            to: self.optional(members, "to", Self::templated),
            mode: self.optional(members, "mode", Self::mode),
            mirror_local_mode: self.optional(members, "mirror_local_mode", Self::truth),
            links: self.optional(members, "links", Self::links).unwrap_or_default(),
            use_sudo: self.optional(members, "use_sudo", Self::truth).unwrap_or_default(),
            temp_dir: self.optional(members, "temp_dir", Self::templated),
            template: self.optional(members, "template", Self::truth).unwrap_or_default(),
            skip_same: self.optional(members, "skip_same", Self::truth).unwrap_or_default(),
            resume: self.optional(members, "resume", Self::truth).unwrap_or_default(),
            verify: self.optional(members, "verify", Self::truth).unwrap_or_default(),
            atomic: self.optional(members, "atomic", Self::truth).unwrap_or_default(),
        })
    }

    /// `"follow"`, `"keep"` or `"skip"`.
    fn links(&mut self, node: &Node, what: &str) -> Option<Links> {
        let text = self.text(node, what)?;
        let links = match text.as_str() {
            "follow" => Links::Follow,
            "keep" => Links::Keep,
            "skip" => Links::Skip,
            _ => {
                self.problem(node.line, format!("{what}: expected \"follow\", \"keep\" or \"skip\", found {text:?}"));
                return None;
            }
        };
        Some(links)
    }

    /// `"0644"`, or TOML's `0o644`. The number 644 is refused: it is not the mode that it looks like.
    fn mode(&mut self, node: &Node, what: &str) -> Option<u32> {
        let mode = match &node.kind {
            Kind::Scalar(Value::String(text)) => {
                let digits = text.strip_prefix("0o").unwrap_or(text);
                u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
            }
            Kind::Scalar(value) => {
                value.as_u64().and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode <= 0o777)
            }
            _ => None,
        };
        if mode.is_none() {
            let found = node.shown();
            self.problem(node.line, format!("{what}: expected a mode such as \"0644\" or 0o644, found {found}"));
        }
        mode
    }
}

impl Work {
    async fn put(&mut self, step: &Step, transfer: &TransferStep) -> Result<Value, TaskError> {
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

    async fn get(&mut self, step: &Step, transfer: &TransferStep) -> Result<Value, TaskError> {
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
