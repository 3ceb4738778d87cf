//! From host strings to settings and targets.

use std::sync::Arc;

use super::{Gateway, Target};
use crate::error::{ConnectError, ConnectErrorKind, Phase};
use crate::host::{HostString, HostStringError};
use crate::settings::{Overlay, Problem, Problems, Settings, Switch, Value};

/// Turns host strings into settings and targets. fabric-config's `Config` does it from the layers; a
/// [`Settings`] does it from itself, without reading a file.
pub trait Resolve: Send + Sync {
    /// The settings in force, for a host if one is given, with `overlays` put in their places of the
    /// ladder.
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems>;

    /// Everything needed to connect to `host`.
    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError>;

    /// Both, for less than what they take one after the other.
    fn settings_and_target(&self, host: &HostString, overlays: &[Overlay]) -> Result<SettingsAndTarget, Problems> {
        Ok((self.settings(Some(host), overlays)?, self.target(host, overlays)))
    }
}

impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems> {
        (**self).settings(host, overlays)
    }

    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError> {
        (**self).target(host, overlays)
    }

    fn settings_and_target(&self, host: &HostString, overlays: &[Overlay]) -> Result<SettingsAndTarget, Problems> {
        (**self).settings_and_target(host, overlays)
    }
}

/// The settings of a host, and what is needed to connect to it.
pub type SettingsAndTarget = (Arc<Settings>, Result<Target, ConnectError>);

/// Settings alone, without files: targets come from the host string and these settings.
///
/// Overlays are applied in their order. Gateways are host strings with the same settings, but without a
/// gateway of their own. Key files are those in `key_filename`; there are no default ones, and no agent.
impl Resolve for Settings {
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems> {
        let mut settings = self.clone();
        for overlay in overlays {
            for (name, value) in overlay.values.iter() {
                // Of a table, the keys that are not given stay.
                let merged = match (value, value.is_object().then(|| settings.get(name)).flatten()) {
                    (Value::Object(new), Some(Value::Object(mut known))) => {
                        known.extend(new.clone());
                        Some(Value::Object(known))
                    }
                    _ => None,
                };
                let set = settings.set(name, merged.as_ref().unwrap_or(value));
                set.map_err(|problem| problem.at(overlay.origin.clone()))?;
            }
        }
        if let Some(host) = host {
            settings.host_string = Some(host.as_str().to_owned());
            settings.host = settings.hostname.clone().or_else(|| Some(host.host().to_owned()));
        }
        Ok(Arc::new(settings))
    }

    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError> {
        let wrong = |kind: ConnectErrorKind| ConnectError::new(host.as_str(), Phase::Resolve, kind);
        let settings = Resolve::settings(self, Some(host), overlays).map_err(|problems| wrong(problems.into()))?;
        let mut target = Target::from_settings(host.clone(), &settings);
        if let Switch::To(gateway) = &settings.gateway {
            target.gateway = Gateway::parse(gateway, |hop| Ok(Target::from_settings(hop.clone(), &settings)))
                .map_err(|error: HostStringError| wrong(Problem::new(error.to_string()).into()))?;
        }
        Ok(target)
    }
}
