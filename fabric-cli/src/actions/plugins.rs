//! `--plugins`, and the child process that hosts an isolated plugin.

use std::fmt::Write as _;
use std::path::Path;

use fabric_transport::plugin::{FoundPlugin, host as host_plugin};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::plugins::{directory, found, named};
use crate::process;
use crate::render::visible;
use crate::request::Request;

/// Lists the plugins found, with their schemes and options. Fails if a named one can't be loaded; the user's directory may hold
/// anything.
pub(super) fn list(request: &Request) -> Result<Exit, Failure> {
    use fabric_core::Resolve as _;
    let settings = request.everything()?.settings(None, &[])?;
    let found = found(&settings, &request.surroundings);
    let mut text: String = found.iter().map(about).collect();
    if text.is_empty() {
        let place = directory(&request.surroundings);
        let place = place.map(|directory| format!(" in {}", directory.display())).unwrap_or_default();
        text = format!("No plugins{place}, in the setting `plugins`, or by --plugin.\n");
    }
    let listed = request.surroundings.print(&text)?;
    let named = named(&settings, &request.surroundings);
    let lacks_named = found.iter().any(|found| found.plugin.is_err() && named.contains(&found.file));
    Ok(if lacks_named { Exit::Usage } else { listed })
}

fn about(found: &FoundPlugin) -> String {
    let plugin = match &found.plugin {
        Ok(plugin) => plugin,
        Err(error) => return format!("not taken: {}\n", visible::text(&error.to_string())),
    };
    let (mut text, about) = (String::new(), plugin.description());
    let kind = format!("{:?}", about.kind).to_lowercase();
    let _ = writeln!(text, "{}  {kind}  {} (ABI {})", plugin.name(), plugin.version(), plugin.abi());
    let _ = writeln!(text, "    {}", visible::text(&about.summary));
    let _ = writeln!(text, "    {}", visible::text(&found.file.display().to_string()));
    for (name, option) in &about.options {
        let kind = format!("{:?}", option.kind).to_lowercase();
        let required = if option.required { ", required" } else { "" };
        let doc = visible::text(&option.doc);
        let _ = writeln!(text, "    {} ({kind}{required}): {doc}", visible::text(name));
    }
    text
}

/// Hosts one plugin for the parent process, which is at the other end of standard input.
pub(super) fn host(file: &Path) -> Result<Exit, Failure> {
    // The plugin and its children must not read the socket: their standard input is empty.
    let socket = process::take_socket().map_err(|source| Failure::System { what: "hosting a plugin", source })?;
    host_plugin(file, socket);
    Ok(Exit::Ok)
}
