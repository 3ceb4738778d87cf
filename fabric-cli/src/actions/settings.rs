//! `--show-config` and `--explain`.

use std::fmt::Display;

use fabric_core::HostString;
use fabric_core::settings::Overlay;
use fabric_exec::hostlist::{RoleSource, Roles};
use serde_json::Value;

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::python;
use crate::request::Request;

/// Prints the settings in force, for a host if one is given.
pub(super) fn show(request: &Request, host: Option<&str>) -> Result<Exit, Failure> {
    let host = host.map(HostString::parse).transpose().map_err(|error| Failure::Refused(error.to_string()))?;
    let roles = request.roles(request.config()?)?;
    let shown = request.everything()?.show(host.as_ref(), &of_role(request, &roles, host.as_ref()))?;
    print(request, &shown, || shown.to_json())
}

/// Prints one setting's layers.
pub(super) fn explain(request: &Request, setting: &str) -> Result<Exit, Failure> {
    let explained = request.everything()?.explain(setting, None, &[])?;
    print(request, &explained, || explained.to_json())?;
    if setting == "python" && request.options.format == Format::Text {
        let fabfile = request.project.python().map(python::Python::path);
        let chosen = python::interpreter(request.config()?, fabfile, &request.surroundings)?;
        let text = format!("Python fabfiles are run by {}: {}\n", chosen.path.display(), chosen.why);
        return request.surroundings.print(&text);
    }
    Ok(Exit::Ok)
}

fn print(request: &Request, text: &dyn Display, json: impl Fn() -> Value) -> Result<Exit, Failure> {
    request.surroundings.print(&match request.options.format {
        Format::Text => text.to_string(),
        Format::Json => format!("{:#}\n", json()),
    })
}

/// The settings of the first role of `-R` that lists the host.
fn of_role(request: &Request, roles: &Roles, host: Option<&HostString>) -> Vec<Overlay> {
    let named = |name: &String| {
        let role = roles.get(name)?;
        let RoleSource::Hosts(hosts) = &role.source else { return None };
        hosts.iter().any(|other| Some(other.as_str()) == host.map(HostString::as_str)).then(|| role.overlay(name))?
    };
    request.options.selection().roles.iter().find_map(named).into_iter().collect()
}
