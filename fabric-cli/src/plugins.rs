//! Plugins: where they are found, `--plugins`, and the child process of an isolated one.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fabric_config::Environment;
use fabric_core::settings::{Settings, nearest};
use fabric_transport::Connector;
use fabric_transport::plugin::{Found, OnDemand, Plugin, PluginLoadError, find_by, host};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::visible;

/// The hidden first argument of a child that hosts a plugin.
pub(crate) const CHILD: &str = "__plugin";

/// The plugins that settings name, and those in the user's directory.
pub(crate) fn found(settings: &Settings, environment: &Environment) -> Vec<Found> {
    let directory: Vec<PathBuf> = directory(environment).into_iter().collect();
    find_by(&named(settings, environment), &directory, loader(settings))
}

/// Adds the plugins to a connector: those that settings name at once, those in the user's directory when a
/// host asks for what is not built in. Options of no plugin are warned of.
///
/// # Errors
///
/// A plugin that was named and cannot be loaded. One in the directory is an error of the hosts that need it alone.
pub(crate) fn register(
    mut connector: Connector,
    settings: &Settings,
    environment: &Environment,
) -> Result<Connector, Failure> {
    let mut names = Vec::new();
    for plugin in load_named(settings, environment)? {
        names.push(plugin.name().to_owned());
        connector = plugin.register(connector);
    }
    let (directory, load) = (directory(environment), loader(settings));
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
        eprintln!("warning: transport_options: no plugin is called `{name}`{hint}");
    }
    Ok(connector.with_lookup(Arc::new(others)))
}

/// The plugins that settings name.
///
/// # Errors
///
/// All of them that cannot be loaded.
pub(crate) fn load_named(settings: &Settings, environment: &Environment) -> Result<Vec<Plugin>, Failure> {
    let (mut plugins, mut refused) = (Vec::new(), Vec::new());
    for found in find_by(&named(settings, environment), &[], loader(settings)) {
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

/// `--plugins`: what was found, with what each serves and takes.
pub(crate) fn list(found: &[Found], environment: &Environment) -> String {
    let mut text = String::new();
    for Found { file, plugin } in found {
        match plugin {
            Ok(plugin) => {
                let about = plugin.description();
                let kind = format!("{:?}", about.kind).to_lowercase();
                let _ = writeln!(text, "{}  {kind}  {} (ABI {})", plugin.name(), plugin.version(), plugin.abi());
                let _ = writeln!(text, "    {}", visible::text(&about.summary));
                let _ = writeln!(text, "    {}", visible::text(&file.display().to_string()));
                for (name, option) in &about.options {
                    let kind = format!("{:?}", option.kind).to_lowercase();
                    let required = if option.required { ", required" } else { "" };
                    let doc = visible::text(&option.doc);
                    let _ = writeln!(text, "    {} ({kind}{required}): {doc}", visible::text(name));
                }
            }
            Err(error) => _ = writeln!(text, "not taken: {}", visible::text(&error.to_string())),
        }
    }
    if text.is_empty() {
        let place = directory(environment).map(|directory| format!(" in {}", directory.display())).unwrap_or_default();
        text = format!("No plugins{place}, in the setting `plugins`, or by --plugin.\n");
    }
    text
}

/// Whether one of those that settings name is not taken.
pub(crate) fn lacks_named(found: &[Found], settings: &Settings, environment: &Environment) -> bool {
    let named = named(settings, environment);
    found.iter().any(|found| found.plugin.is_err() && named.contains(&found.file))
}

/// The life of a child that hosts one plugin.
pub(crate) fn child(file: &Path) -> Result<Exit, Failure> {
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| Failure::System { what: "hosting a plugin", source })?;
    // What the plugin starts or reads must not come between: its standard input is empty.
    let away = File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?));
    away.map_err(|source| Failure::System { what: "hosting a plugin", source })?;
    host(file, UnixStream::from(socket));
    Ok(Exit::Ok)
}

fn child_program() -> Vec<String> {
    let program = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    vec![program.unwrap_or_else(|| "fab".to_owned()), CHILD.to_owned()]
}

fn named(settings: &Settings, environment: &Environment) -> Vec<PathBuf> {
    settings.plugins.iter().map(|file| environment.expand(file)).collect()
}

/// `$XDG_DATA_HOME/fabric/plugins`, or below `~/.local/share`.
fn directory(environment: &Environment) -> Option<PathBuf> {
    let data = environment.get("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(environment.home.as_ref()?.join(".local/share")));
    Some(data?.join("fabric/plugins"))
}
