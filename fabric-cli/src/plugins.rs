//! Where plugins are found, and how they are added to a connector.

use std::path::{Path, PathBuf};

use fabric_core::settings::{Settings, nearest};
use fabric_transport::Connector;
use fabric_transport::plugin::{FoundPlugin, OnDemand, Plugin, PluginLoadError, find_by};

use crate::args::HOST_PLUGIN;
use crate::failure::Failure;
use crate::process;
use crate::render::visible;
use crate::surroundings::Surroundings;

/// The plugins that settings name, and those in the user's directory.
pub(crate) fn found(settings: &Settings, surroundings: &Surroundings) -> Vec<FoundPlugin> {
    let directory: Vec<PathBuf> = directory(surroundings).into_iter().collect();
    find_by(&named(settings, surroundings), &directory, loader(settings))
}

/// Adds plugins to a connector: those named in settings at once, those in the user's directory once a host needs a transport
/// or gateway that is not built in. Warns of `transport_options` for which there is no plugin.
///
/// # Errors
///
/// A named plugin cannot be loaded. One in the directory that cannot be loaded is an error of the hosts that need it.
pub(crate) fn register(
    mut connector: Connector,
    settings: &Settings,
    surroundings: &Surroundings,
) -> Result<Connector, Failure> {
    let mut names = Vec::new();
    for plugin in load_named(settings, surroundings)? {
        names.push(plugin.name().to_owned());
        connector = plugin.register(connector);
    }
    let (directory, load) = (directory(surroundings), loader(settings));
    let others = OnDemand::new(move || {
        let directory: Vec<PathBuf> = directory.into_iter().collect();
        find_by(&[], &directory, load)
    });
    let mut unknown: Vec<&String> = settings.transport_options.keys().filter(|name| !names.contains(name)).collect();
    if !unknown.is_empty() {
        names.extend(others.names().map(str::to_owned));
        unknown.retain(|name| !names.contains(name));
    }
    for name in unknown {
        let near = nearest(name, names.iter().map(String::as_str));
        let hint = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
        let name = visible::text(name);
        surroundings.say(&format!("warning: transport_options: no plugin is called `{name}`{hint}\n"));
    }
    Ok(connector.lookup(others))
}

/// Loads the plugins that settings name.
///
/// # Errors
///
/// Names all that cannot be loaded.
pub(crate) fn load_named(settings: &Settings, surroundings: &Surroundings) -> Result<Vec<Plugin>, Failure> {
    let (mut plugins, mut refused) = (Vec::new(), Vec::new());
    for found in find_by(&named(settings, surroundings), &[], loader(settings)) {
        match found.plugin {
            Ok(plugin) => plugins.push(plugin),
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() { Ok(plugins) } else { Err(Failure::Refused(refused.join("\n"))) }
}

fn loader(settings: &Settings) -> impl Fn(&Path) -> Result<Plugin, PluginLoadError> + Send + 'static {
    let isolated = settings.plugin_isolation;
    move |file| if isolated { Plugin::load_isolated(file, &child_program()) } else { Plugin::load(file) }
}

fn child_program() -> Vec<String> {
    vec![process::program().unwrap_or_else(|| "fab".to_owned()), HOST_PLUGIN.to_owned()]
}

pub(crate) fn named(settings: &Settings, surroundings: &Surroundings) -> Vec<PathBuf> {
    settings.plugins.iter().map(|file| surroundings.environment.expand(file)).collect()
}

/// `$XDG_DATA_HOME/fabric/plugins`, or below `~/.local/share`.
pub(crate) fn directory(surroundings: &Surroundings) -> Option<PathBuf> {
    Some(surroundings.environment.xdg("XDG_DATA_HOME", ".local/share")?.join("fabric/plugins"))
}
