//! Where to search for plugins.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use fabric_core::Transport;
use fabric_plugin_sdk::PluginKind;

use super::gateway::PluginGateway;
use super::handle::Plugin;
use super::introduction::PluginLoadError;
use super::session::PluginTransport;
use crate::connector::{Connector, Lookup};
use crate::gateway::GatewayDialer;

impl Plugin {
    /// Registers it with a connector, as a gateway or a transport.
    #[must_use]
    pub fn register(&self, connector: Connector) -> Connector {
        match self.description().kind {
            PluginKind::Gateway => connector.gateway(self.name(), PluginGateway::new(self.clone())),
            PluginKind::Transport => connector.transport(PluginTransport::new(self.clone())),
            // A kind that this program doesn't know is refused when the plugin is loaded.
            _ => connector,
        }
    }
}

/// A file that was found, and the result of loading it.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundPlugin {
    /// The file.
    pub file: PathBuf,
    /// The plugin in it, or why it could not be loaded.
    pub plugin: Result<Plugin, PluginLoadError>,
}

/// Loads the given files, then the libraries in the given directories, in this order, and by name within a directory. A
/// missing directory is empty. Of several plugins with one name, the first is used.
pub fn find(files: &[PathBuf], directories: &[PathBuf]) -> Vec<FoundPlugin> {
    find_by(files, directories, Plugin::load)
}

/// The same with another function to load each, such as [`Plugin::load_isolated`].
pub fn find_by(
    files: &[PathBuf],
    directories: &[PathBuf],
    load: impl Fn(&Path) -> Result<Plugin, PluginLoadError>,
) -> Vec<FoundPlugin> {
    let in_directories = directories.iter().flat_map(|directory| libraries(directory));
    let mut seen = HashSet::new();
    let mut found: Vec<FoundPlugin> = files
        .iter()
        .cloned()
        .chain(in_directories)
        .filter(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())))
        .map(|file| FoundPlugin { plugin: load(&file), file })
        .collect();
    refuse_doubles(&mut found);
    found
}

/// Of several plugins with one name, the first is used.
fn refuse_doubles(found: &mut [FoundPlugin]) {
    let mut first: HashMap<(PluginKind, String), PathBuf> = HashMap::new();
    for FoundPlugin { file, plugin } in found {
        let Ok(loaded) = plugin else { continue };
        let name = (loaded.description().kind, loaded.name().to_owned());
        if let Some(other) = first.get(&name) {
            let reason = format!("`{}` is served by {} already", name.1, other.display());
            *plugin = Err(PluginLoadError::new(file, &reason));
        } else {
            first.insert(name, file.clone());
        }
    }
}

fn libraries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "so" || ending == "dylib"))
        .collect();
    files.sort();
    files
}

/// Plugins that are searched for when a host first needs a gateway or transport that the connector doesn't have. A
/// plugin that can't be loaded is an error only of the hosts that need it.
///
/// ```no_run
/// use fabric_transport::connector::Connector;
/// use fabric_transport::plugin::{OnDemand, find};
///
/// let plugins = OnDemand::new(|| find(&[], &["/usr/lib/fabric/plugins".into()]));
/// let connector = Connector::new().lookup(plugins);
/// ```
pub struct OnDemand(LazyLock<Vec<FoundPlugin>, Box<dyn FnOnce() -> Vec<FoundPlugin> + Send>>);

impl OnDemand {
    /// `find` is called at most once.
    pub fn new(find: impl FnOnce() -> Vec<FoundPlugin> + Send + 'static) -> Self {
        Self(LazyLock::new(Box::new(find)))
    }

    /// The names of all plugins that are found; this searches for them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|found| Some(found.plugin.as_ref().ok()?.name()))
    }

    fn plugin(&self, name: &str, kind: PluginKind) -> Option<Plugin> {
        let mut plugins = self.0.iter().filter_map(|found| found.plugin.as_ref().ok());
        plugins.find(|plugin| plugin.name() == name && plugin.description().kind == kind).cloned()
    }
}

impl Lookup for OnDemand {
    fn transport(&self, name: &str) -> Option<Arc<dyn Transport>> {
        Some(Arc::new(PluginTransport::new(self.plugin(name, PluginKind::Transport)?)))
    }

    fn gateway(&self, scheme: &str) -> Option<Arc<dyn GatewayDialer>> {
        Some(Arc::new(PluginGateway::new(self.plugin(scheme, PluginKind::Gateway)?)))
    }

    fn hint(&self, _name: &str) -> Option<String> {
        let refused = self.0.iter().filter_map(|found| found.plugin.as_ref().err().map(ToString::to_string));
        let refused: Vec<String> = refused.collect();
        Some(if refused.is_empty() {
            "no plugin for it was found, nor is one named in the setting `plugins`".to_owned()
        } else {
            format!("not taken: {}", refused.join("; "))
        })
    }
}

impl std::fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDemand").finish_non_exhaustive()
    }
}
