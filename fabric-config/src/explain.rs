//! Where every value comes from: [`Config::explain`] for one setting, [`Config::show`] for all.

use std::fmt;

use fabric_core::settings::{Layer, Map, Origin, Overlay, Problem, Problems, Setting, TABLE, Value};
use fabric_core::{HostString, Resolve};
use serde_json::json;

use crate::config::{Config, read_overlays};
use crate::ladder::HostList;
use crate::mask::shown;
use crate::values::{LayerValues, nearest_name};

/// What one layer says about a setting. Secrets are shown as `set` and `unset`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rung {
    /// Where it comes from.
    pub origin: Origin,
    /// What it says.
    pub value: Value,
}

/// One setting: what each layer says, and what is in force.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Its classic name, or that of a value of shared state.
    pub name: String,
    /// The value in force. Secrets are shown as `set` and `unset`.
    pub value: Value,
    /// What the layers say, the lowest first; the last is the built-in default where no layer says anything.
    pub rungs: Vec<Rung>,
    /// Which of them the value in force is made of: one, or several where it is a table or a list that was added to.
    pub parts: Vec<usize>,
}

impl Explanation {
    /// Where the value in force comes from.
    pub fn origin(&self) -> &Origin {
        &self.rungs[self.winner()].origin
    }

    /// The index of the layer that won: the last one that counts.
    pub fn winner(&self) -> usize {
        self.parts.last().copied().unwrap_or_default()
    }
}

/// Every setting in force.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shown {
    /// The host, as written, if it is for one.
    pub host: Option<String>,
    /// The settings in the order of the table, then shared state.
    pub settings: Vec<Explanation>,
    /// With a host: what `ssh -G` prints for it, a list where it prints several lines.
    pub ssh_config: Map,
}

impl Config {
    /// One setting's layers, from the lowest to the highest, and which won. `name` may be a modern one.
    ///
    /// ```
    /// use fabric_config::{Config, Format};
    /// use fabric_core::settings::Layer;
    ///
    /// let config = Config::builder()
    ///     .text(Layer::User, "rc.toml", Format::Toml, "pool_size = 5")
    ///     .set("pool_size=9")
    ///     .build()?;
    /// let explained = config.explain("pool_size", None, &[])?;
    /// assert_eq!((explained.value.as_u64(), explained.origin().to_string()), (Some(9), "--set".to_owned()));
    /// assert_eq!(explained.rungs[1].origin.to_string(), "rc.toml:1");
    /// # Ok::<(), fabric_core::settings::Problems>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An unknown name, or an error of resolving the host.
    pub fn explain(
        &self,
        name: &str,
        host: Option<&HostString>,
        overlays: &[Overlay],
    ) -> Result<Explanation, Problems> {
        let picture = Picture::take(self, host, overlays)?;
        let name = match Setting::any_spelling(name) {
            Some(setting) => setting.name,
            None => name,
        };
        picture.explain(name).ok_or_else(|| {
            let problem = Problem::new(format!("no setting is called `{name}`"));
            match nearest_name(name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")).into(),
                None => problem.into(),
            }
        })
    }

    /// Every setting in force, for a host if one is given.
    ///
    /// # Errors
    ///
    /// An error of resolving the host.
    pub fn show(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Shown, Problems> {
        let picture = Picture::take(self, host, overlays)?;
        let shared = picture.layers.iter().flat_map(|layer| layer.values.keys().map(String::as_str));
        let mut names: Vec<&str> = TABLE.iter().map(|setting| setting.name).collect();
        for name in shared {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Shown {
            host: host.map(|host| host.as_str().to_owned()),
            settings: names.into_iter().filter_map(|name| picture.explain(name)).collect(),
            ssh_config: self.ssh_config_of(host, overlays)?,
        })
    }
}

/// All layers that apply to a host.
struct Picture {
    layers: Vec<LayerValues>,
    settings: std::sync::Arc<fabric_core::Settings>,
    defaults: fabric_core::Settings,
}

impl Picture {
    fn take(config: &Config, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Self, Problems> {
        let settings = Resolve::settings(config, host, overlays)?;
        let mut added = read_overlays(overlays)?;
        added.extend(config.ssh_layer(host, overlays)?);
        added.extend(host.map(|host| host_string_layer(host, settings.host.as_deref())));
        let sections = host.map(|host| config.0.sections.matching(host.host())).unwrap_or_default();
        let layers = config.rungs(&sections, &added).into_iter().cloned().collect();
        Ok(Self { layers, settings, defaults: config.0.defaults.clone() })
    }

    fn explain(&self, name: &str) -> Option<Explanation> {
        let value = self.settings.get(name)?;
        let mut rungs: Vec<Rung> = Vec::new();
        if Setting::find(name).is_some() {
            let value = self.defaults.get(name).unwrap_or_default();
            rungs.push(Rung { origin: Origin::new(Layer::Default), value });
        }
        let defaults = rungs.len();
        let layers: Vec<&LayerValues> = self.layers.iter().collect();
        let in_list = HostList::of(name, &layers).map(|list| list.layers()).unwrap_or_default();
        let mut parts = Vec::new();
        for (index, entry) in layers.iter().enumerate().filter_map(|(i, layer)| Some((i, layer.values.get(name)?))) {
            if in_list.contains(&index) {
                parts.push(rungs.len());
            }
            rungs.push(Rung { origin: entry.origin.clone(), value: entry.value.clone() });
        }
        if parts.is_empty() {
            let one = rungs.iter().rposition(|rung| as_typed(name, &rung.value) == value);
            parts = one.map_or_else(|| (defaults..rungs.len()).collect(), |one| vec![one]);
        }
        for rung in &mut rungs {
            rung.value = shown(name, &rung.value);
        }
        Some(Explanation { name: name.to_owned(), value: shown(name, &value), rungs, parts })
    }
}

/// A value as the setting has it: a single text becomes a list of one where a list is expected.
fn as_typed(name: &str, value: &Value) -> Value {
    let mut settings = fabric_core::Settings::default();
    match settings.set(name, value) {
        Ok(()) => settings.get(name).unwrap_or_default(),
        Err(_) => value.clone(),
    }
}

/// The values of the host string itself; `name` is the host's name in force, which may come from ssh_config.
fn host_string_layer(host: &HostString, name: Option<&str>) -> LayerValues {
    let origin = Origin::place(Layer::HostString, host.as_str());
    let mut values = indexmap::IndexMap::new();
    let mut say = |name: &str, value: Value| {
        values.insert(name.to_owned(), crate::values::Entry { value, origin: origin.clone() });
    };
    say("host_string", json!(host.as_str()));
    if name == Some(host.host()) {
        say("host", json!(host.host()));
    }
    if let Some(scheme) = host.scheme() {
        say("transport", json!(scheme));
    }
    if let Some(user) = host.user() {
        say("user", json!(user));
    }
    if let Some(port) = host.port() {
        say("port", json!(port));
    }
    LayerValues { layer: Layer::HostString, values }
}

impl Shown {
    /// As the interface has it: `{"host": .., "settings": {NAME: {"value", "layer", "origin"}}, "ssh_config": {..}}`.
    pub fn to_json(&self) -> Value {
        let setting = |explained: &Explanation| {
            let origin = explained.origin();
            (
                explained.name.clone(),
                json!({"value": explained.value, "layer": origin.layer, "origin": origin.to_string()}),
            )
        };
        json!({
            "host": self.host,
            "settings": self.settings.iter().map(setting).collect::<Map>(),
            "ssh_config": self.ssh_config,
        })
    }
}

impl Explanation {
    /// As data: the value, the winner, and all layers from the lowest to the highest.
    pub fn to_json(&self) -> Value {
        let rung = |(index, rung): (usize, &Rung)| {
            let (value, origin, in_force) = (&rung.value, &rung.origin, self.parts.contains(&index));
            json!({"value": value, "layer": origin.layer, "origin": origin.to_string(), "in_force": in_force})
        };
        json!({
            "setting": self.name,
            "value": self.value,
            "layer": self.origin().layer,
            "origin": self.origin().to_string(),
            "layers": self.rungs.iter().enumerate().map(rung).collect::<Vec<_>>(),
        })
    }
}

/// A table to read: setting, value, origin, and what it overrode.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["setting", "value", "from", "overrode"].map(str::to_owned)];
        for explained in &self.settings {
            let below = explained
                .rungs
                .iter()
                .enumerate()
                .take(explained.winner())
                .filter(|(index, rung)| rung.origin.layer != Layer::Default && !explained.parts.contains(index));
            let overrode: Vec<String> =
                below.rev().map(|(_, rung)| format!("{} ({})", text(&rung.value), rung.origin)).collect();
            let from = explained.parts.iter().rev().map(|part| match &explained.rungs[*part].origin {
                origin if origin.layer == Layer::Default => "default".to_owned(),
                origin => format!("{}, {origin}", origin.layer),
            });
            let from: Vec<String> = from.collect();
            rows.push([explained.name.clone(), text(&explained.value), from.join("; "), overrode.join("; ")]);
        }
        let width = |column: usize, most: usize| {
            rows.iter().map(|row| row[column].chars().count()).filter(|width| *width <= most).max().unwrap_or(0)
        };
        let widths = [width(0, 40), width(1, 40), width(2, 60)];
        for row in &rows {
            let line = format!(
                "{:a$}  {:b$}  {:c$}  {}",
                row[0],
                row[1],
                row[2],
                row[3],
                a = widths[0],
                b = widths[1],
                c = widths[2]
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The layers to read, the lowest first, with the winner marked.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} = {}", self.name, text(&self.value))?;
        if let Some(setting) = Setting::find(&self.name) {
            for line in setting.doc.lines() {
                writeln!(f, "  {}", line.trim())?;
            }
        }
        for (index, rung) in self.rungs.iter().enumerate() {
            let mark = match (self.parts.contains(&index), self.parts.len()) {
                (true, 1) => "  <- in force",
                (true, _) => "  <- part of it",
                (false, _) => "",
            };
            let (layer, place) = (rung.origin.layer.to_string(), rung.origin.to_string());
            let from = if layer == place { layer } else { format!("{layer}, {place}") };
            writeln!(f, "  {}. {from}: {}{mark}", index + 1, text(&rung.value))?;
        }
        Ok(())
    }
}

/// A value to read: texts without quotes, and `unset` for none.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) if text.is_empty() => "''".to_owned(),
        Value::String(text) => text.escape_debug().collect::<String>().replace("\\\"", "\"").replace("\\'", "'"),
        _ => value.to_string(),
    }
}
