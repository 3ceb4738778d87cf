//! From settings to a target: `impl Resolve for Config`.

use std::path::PathBuf;
use std::sync::Arc;

use fabric_core::settings::{Layer, Overlay, Problem, Problems, Switch};
use fabric_core::target::Identity;
use fabric_core::{ConnectError, ConnectErrorKind, Gateway, HostString, Phase, Resolve, Settings, Target};

use crate::config::Config;

impl Resolve for Config {
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems> {
        let merged = self.merged(host, overlays)?;
        let Some(host) = host else { return Ok(Arc::clone(&merged.settings)) };
        given_twice(host, overlays)?;
        let mut settings = Settings::clone(&merged.settings);
        settings.host_string = Some(host.as_str().to_owned());
        settings.host = Some(host.host().to_owned());
        if let Some(user) = host.user() {
            settings.user = Some(user.to_owned());
        }
        settings.port = host.port().or(settings.port);
        Ok(Arc::new(settings))
    }

    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError> {
        self.target_behind(host, overlays, &mut Vec::new())
    }
}

impl Config {
    /// The target of a host; `behind` are the hosts that are being reached through it.
    fn target_behind(
        &self,
        host: &HostString,
        overlays: &[Overlay],
        behind: &mut Vec<HostString>,
    ) -> Result<Target, ConnectError> {
        let settings = Resolve::settings(self, Some(host), overlays)
            .map_err(|problems| setting_error(host, problems.to_string()))?;
        let environment = &self.0.environment;
        let mut target = Target::from_settings(host.clone(), &settings);
        for identity in &mut target.auth.identities {
            identity.path = environment.expand(&identity.path);
        }
        if !settings.no_keys && target.auth.identities.is_empty() {
            target.auth.identities = default_keys(environment.home.as_ref());
        }
        if !settings.no_agent {
            target.auth.agent = environment.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
        }
        if let (Some(home), false) = (&environment.home, settings.disable_known_hosts) {
            target.host_keys.user_files =
                ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)).to_vec();
        }
        if let Switch::To(gateway) = &settings.gateway {
            behind.push(host.clone());
            target.gateway = Gateway::parse(gateway, |hop| {
                if behind.iter().any(|host| host.host() == hop.host()) {
                    return Err(Hop::Itself);
                }
                self.target_behind(hop, &[], behind).map_err(Hop::Failed)
            })
            .or_else(|error| match error {
                Hop::Itself => Ok(None),
                Hop::Failed(error) => Err(error),
                Hop::Spelling(error) => Err(setting_error(host, format!("gateway: {error}"))),
            })?;
            behind.pop();
        }
        Ok(target)
    }
}

/// Why a hop is none.
enum Hop {
    /// A gateway that would be reached through itself: the host is dialled directly (C10).
    Itself,
    Failed(ConnectError),
    Spelling(fabric_core::HostStringError),
}

impl From<fabric_core::HostStringError> for Hop {
    fn from(error: fabric_core::HostStringError) -> Self {
        Self::Spelling(error)
    }
}

fn setting_error(host: &HostString, reason: String) -> ConnectError {
    ConnectError::new(host.as_str(), Phase::Resolve, ConnectErrorKind::Setting { reason })
}

/// A user or port in the host string and as an argument of the call as well (C2).
fn given_twice(host: &HostString, overlays: &[Overlay]) -> Result<(), Problems> {
    for overlay in overlays.iter().filter(|overlay| overlay.origin.layer == Layer::Step) {
        for (name, written) in [("user", host.user().is_some()), ("port", host.port().is_some())] {
            if written && overlay.values.get(name).is_some_and(|value| !value.is_null()) {
                let problem = Problem::new(format!("`{host}` has a {name}, and another one is given beside it"));
                return Err(problem.at(overlay.origin.clone()).hint("give it in one place").into());
            }
        }
    }
    Ok(())
}

/// The keys that OpenSSH tries by itself, in its order.
fn default_keys(home: Option<&PathBuf>) -> Vec<Identity> {
    const NAMES: [&str; 7] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
    let keys =
        |home: &PathBuf| NAMES.map(|name| Identity { path: home.join(".ssh").join(name), explicit: false }).to_vec();
    home.map(keys).unwrap_or_default()
}
