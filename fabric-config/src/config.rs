//! A configuration: all layers read, ready to answer for any host.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use fabric_core::settings::{Layer, Map, Origin, Overlay, Problem, Problems, Value};
use fabric_core::{HostString, Settings};
use parking_lot::Mutex;

use crate::environment::Environment;
use crate::hosts::Sections;
use crate::ladder::Merged;
use crate::ssh_config::DumpValue;
use crate::ssh_layer::{Question, SshFiles, SshHost, SshSource};
use crate::values::{Entry, Intake, LayerValues, Unknown};

/// Layered settings, ready to answer for any host.
///
/// Reading happens once, in [`Config::load`] or [`ConfigBuilder::build`](crate::ConfigBuilder::build); afterwards nothing is read but
/// ssh_config. It is cheap to clone and may be shared between threads.
#[derive(Clone)]
pub struct Config(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) environment: Environment,
    /// All layers but ssh_config, the host sections and what calls add; the lowest first.
    pub(crate) layers: Vec<LayerValues>,
    pub(crate) sections: Sections,
    pub(crate) defaults: Settings,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) ssh: SshFiles,
    merged: Mutex<HashMap<u64, Vec<Kept>>>,
    kept: std::sync::atomic::AtomicUsize,
}

/// A ladder that was merged before.
struct Kept {
    sections: Vec<usize>,
    overlays: Vec<Overlay>,
    merged: Arc<Merged>,
}

/// How many merged ladders are kept. A run has a handful: one for each set of host sections and task.
const MOST_KEPT: usize = 512;

impl Config {
    pub(crate) fn new(
        environment: Environment,
        mut layers: Vec<LayerValues>,
        sections: Sections,
        warnings: Vec<Problem>,
        ssh: SshSource,
    ) -> Self {
        layers.sort_by_key(|layer| layer.layer);
        let mut defaults = Settings::default();
        defaults.user.clone_from(&environment.user);
        defaults.local_user.clone_from(&environment.user);
        defaults.rcfile = environment.home.as_ref().map(|home| home.join(".fabricrc"));
        Self(Arc::new(Inner {
            ssh: SshFiles::new(&environment, ssh),
            environment,
            layers,
            sections,
            defaults,
            warnings,
            merged: Mutex::default(),
            kept: std::sync::atomic::AtomicUsize::new(0),
        }))
    }

    /// Warnings: names that look like settings, settings without effect.
    pub fn warnings(&self) -> &[Problem] {
        &self.0.warnings
    }

    /// The settings in force for a host string, and the origin of each.
    ///
    /// ```
    /// use fabric_config::{Config, Format};
    /// use fabric_core::settings::Layer;
    ///
    /// let text = "[timeouts]\nconnect = 5\n";
    /// let config = Config::builder().text(Layer::Project, "fabric.toml", Format::Toml, text).build()?;
    /// let web1 = config.for_host("deploy@web1")?;
    /// assert_eq!(web1.settings().user.as_deref(), Some("deploy"));
    /// assert_eq!(web1.origin("timeout").unwrap().to_string(), "fabric.toml:2");
    /// # Ok::<(), fabric_core::settings::Problems>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A text that isn't a host string, or an ssh_config that can't be applied to it.
    pub fn for_host(&self, host: &str) -> Result<HostSettings, Problems> {
        let host = HostString::parse(host).map_err(|error| Problem::new(error.to_string()))?;
        let settings = fabric_core::Resolve::settings(self, Some(&host), &[])?;
        Ok(HostSettings { config: self.clone(), host, settings })
    }

    /// The ladder merged for a host, kept for the next host with the same sections and overlays.
    pub(crate) fn merged(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Merged>, Problems> {
        let sections = host.map(|host| self.0.sections.matching(host.host())).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        sections.hash(&mut hasher);
        for overlay in overlays {
            overlay.origin.layer.hash(&mut hasher);
            // The values too: each host of an inventory may have its own under the same names.
            overlay.values.hash(&mut hasher);
        }
        let key = hasher.finish();
        let lock = || self.0.merged.lock();
        let same = |kept: &&Kept| kept.sections == sections && same_overlays(&kept.overlays, overlays);
        if let Some(kept) = lock().get(&key).and_then(|list| list.iter().find(same)) {
            return Ok(Arc::clone(&kept.merged));
        }
        let added = read_overlays(overlays)?;
        let merged = Arc::new(Merged::new(&self.rungs(&sections, &added), &self.0.defaults));
        let mut all = lock();
        if self.0.kept.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= MOST_KEPT {
            self.0.kept.store(1, std::sync::atomic::Ordering::Relaxed);
            all.clear();
        }
        let kept = Kept { sections, overlays: overlays.to_vec(), merged: Arc::clone(&merged) };
        all.entry(key).or_default().push(kept);
        Ok(merged)
    }

    /// The value in the last matching `[hosts.*]` section that has one.
    pub(crate) fn in_section(&self, host: &HostString, name: &str) -> Option<&Entry> {
        let sections = self.0.sections.matching(host.host());
        sections.iter().rev().find_map(|index| self.0.sections.list[*index].values.values.get(name))
    }

    /// The layers for a set of host sections and overlays, the lowest first.
    pub(crate) fn rungs<'a>(&'a self, sections: &[usize], added: &'a [LayerValues]) -> Vec<&'a LayerValues> {
        let sections = sections.iter().map(|&index| &self.0.sections.list[index].values);
        let mut rungs: Vec<&LayerValues> = self.0.layers.iter().chain(sections).chain(added).collect();
        rungs.sort_by_key(|rung| rung.layer);
        rungs
    }

    /// What ssh_config says about a host under these settings; `None` if it isn't read.
    ///
    /// A hop's user may come from ssh_config where the host's does not.
    pub(crate) fn ssh_host(
        &self,
        host: &HostString,
        merged: &Merged,
        is_hop: bool,
    ) -> Result<Option<Arc<SshHost>>, Problems> {
        let settings = &merged.settings;
        let transport = host.scheme().unwrap_or(&settings.transport);
        // Other transports don't use it, or read it themselves.
        if transport != "ssh" || (!settings.use_ssh_config && settings.ssh_options.is_empty()) {
            return Ok(None);
        }
        let says_user = if is_hop { self.in_section(host, "user").is_some() } else { merged.says("user") };
        let user = host.user().or_else(|| settings.user.as_deref().filter(|_| says_user));
        let port = host.port().or_else(|| settings.port.filter(|_| merged.says("port")));
        self.0.ssh.ask(self.question(host, settings, user, port)).map(Some)
    }

    fn question(&self, host: &HostString, settings: &Settings, user: Option<&str>, port: Option<u16>) -> Question {
        let file = settings.ssh_config_path.as_ref().map(|path| self.0.environment.expand(path));
        Question::new(host, settings, user, port, file)
    }

    /// ssh_config as a layer, for showing.
    pub(crate) fn ssh_layer(
        &self,
        host: Option<&HostString>,
        overlays: &[Overlay],
    ) -> Result<Option<LayerValues>, Problems> {
        let Some(host) = host else { return Ok(None) };
        let merged = self.merged(Some(host), overlays)?;
        Ok(self.ssh_host(host, &merged, false)?.map(|ssh| ssh.layer.clone()))
    }

    /// What `ssh -G` prints for a host string, by key; OpenSSH's defaults if no ssh_config is read.
    pub(crate) fn ssh_config_of(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Map, Problems> {
        let Some(host) = host else { return Ok(Map::new()) };
        let settings = Arc::clone(&self.merged(Some(host), overlays)?.settings);
        let resolved = self.0.ssh.resolve(&self.question(host, &settings, host.user(), host.port()))?;
        let value = |value: DumpValue| match value {
            DumpValue::One(line) => Value::from(line),
            DumpValue::Many(lines) => Value::from(lines),
        };
        Ok(resolved.dump_map().into_iter().map(|(key, lines)| (key.to_owned(), value(lines))).collect())
    }
}

/// The settings in force for one host, and the origin of each.
#[derive(Debug, Clone)]
pub struct HostSettings {
    config: Config,
    host: HostString,
    settings: Arc<Settings>,
}

impl HostSettings {
    /// The host string.
    pub fn host_string(&self) -> &HostString {
        &self.host
    }

    /// Where a setting's value comes from, by its classic or modern name; `None` if there is no such setting.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.config.explain(name, Some(&self.host), &[]).ok().map(|explained| explained.origin().clone())
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings alone.
    pub fn into_settings(self) -> Arc<Settings> {
        self.settings
    }
}

fn same_overlays(one: &[Overlay], other: &[Overlay]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.origin == b.origin && (Arc::ptr_eq(&a.values, &b.values) || a.values == b.values))
}

/// Checks the values that a role, a task or a call adds.
pub(crate) fn read_overlays(overlays: &[Overlay]) -> Result<Vec<LayerValues>, Problems> {
    let mut problems = Vec::new();
    let mut layers = Vec::new();
    for overlay in overlays {
        let mut intake = Intake::new(overlay.origin.layer, Unknown::Share);
        overlay.values.iter().for_each(|(name, value)| intake.given(name, value, &overlay.origin));
        let (layer, found, _) = intake.finish();
        problems.extend(found);
        layers.push(layer);
    }
    if problems.is_empty() { Ok(layers) } else { Err(Problems(problems)) }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<Layer> = self.0.layers.iter().map(|layer| layer.layer).collect();
        f.debug_struct("Config").field("layers", &layers).finish_non_exhaustive()
    }
}
