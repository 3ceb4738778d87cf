//! `--show-config` and `--explain`.

use std::fmt::Display;

use fabric_core::HostString;
use serde_json::Value;

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::process::runtime;
use crate::python;
use crate::request::Request;

/// Prints the settings in force, for a host if one is given: with those of `-R`'s roles, as a run has them.
pub(super) fn show(request: &Request, host: Option<&str>) -> Result<Exit, Failure> {
    let host = host.map(HostString::parse).transpose().map_err(|error| Failure::Refused(error.to_string()))?;
    let of_roles = match &host {
        Some(host) if !request.options.selection().roles.is_empty() => {
            let run = request.run(request.config()?, &request.sources())?;
            runtime(request.process.as_ref())?.block_on(run.role_settings(host))?
        }
        _ => Vec::new(),
    };
    let shown = request.everything()?.show(host.as_ref(), &of_roles)?;
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
