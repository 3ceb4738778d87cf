//! From settings to a target: `impl Resolve for Config`.

use std::path::PathBuf;
use std::sync::Arc;

use fabric_core::settings::{Layer, Origin, Overlay, Problem, Problems, Switch};
use fabric_core::target::{HostKeyCheck, Identity, SettingsAndTarget, UpdateHostKeys};
use fabric_core::{ConnectError, Gateway, HostString, HostStringError, Phase, Resolve, Settings, Target, wildcard};

use crate::config::Config;
use crate::ladder::Merged;
use crate::ssh_config::{Directive, IdentityAgent, RequestTty, Resolved, StrictHostKeyChecking, YesNoAsk};
use crate::ssh_layer::{SshHost, hop_text, host_keys_are_settled};

impl Resolve for Config {
    fn settings(&self, host: Option<&HostString>, overlays: &[Overlay]) -> Result<Arc<Settings>, Problems> {
        match host {
            None => Ok(Arc::clone(&self.merged(None, overlays)?.settings)),
            Some(host) => Ok(Arc::new(self.view(host, overlays, false)?.settings)),
        }
    }

    fn target(&self, host: &HostString, overlays: &[Overlay]) -> Result<Target, ConnectError> {
        self.target_behind(host, overlays, &mut Vec::new())
    }

    fn settings_and_target(&self, host: &HostString, overlays: &[Overlay]) -> Result<SettingsAndTarget, Problems> {
        let view = self.view(host, overlays, false)?;
        let target = self.target_of(&view, host, overlays, &mut Vec::new());
        Ok((Arc::new(view.settings), target))
    }
}

/// The settings of one host, and where they come from.
struct View {
    settings: Settings,
    merged: Arc<Merged>,
    ssh: Option<Arc<SshHost>>,
}

impl Config {
    /// The view of a hop that leads to the host, or of the host itself.
    fn view(&self, host: &HostString, overlays: &[Overlay], is_hop: bool) -> Result<View, Problems> {
        given_twice(host, overlays)?;
        let merged = self.merged(Some(host), overlays)?;
        let ssh = self.ssh_host(host, &merged, is_hop)?;
        let mut settings = Settings::clone(&merged.settings);
        settings.host_string = Some(host.as_str().to_owned());
        settings.host = settings.hostname.clone().or_else(|| Some(host.host().to_owned()));
        if let Some(ssh) = &ssh {
            ssh.apply(&mut settings, &merged);
        }
        if let Some(user) = host.user() {
            settings.user = Some(user.to_owned());
        }
        settings.port = host.port().or(settings.port);
        if let Some(scheme) = host.scheme() {
            scheme.clone_into(&mut settings.transport);
        }
        Ok(View { settings, merged, ssh })
    }

    /// The target of a host; `behind` are the hosts that are being reached through it.
    fn target_behind(
        &self,
        host: &HostString,
        overlays: &[Overlay],
        behind: &mut Vec<HostString>,
    ) -> Result<Target, ConnectError> {
        let mut view =
            self.view(host, overlays, !behind.is_empty()).map_err(|problems| setting_error(host, problems))?;
        if !behind.is_empty() && host.user().is_none() {
            view.settings.user = self.user_of_hop(host, &view).or(view.settings.user);
        }
        self.target_of(&view, host, overlays, behind)
    }

    /// The user to log in to a hop as: what `[hosts.*]` says about it, else ssh_config, else files and variables. `-u` is the
    /// user of the hosts behind the hop, as with `ssh -l`.
    fn user_of_hop(&self, host: &HostString, view: &View) -> Option<String> {
        let of_ssh = view.ssh.as_ref().and_then(|ssh| ssh.layer.values.get("user"));
        let lower = self.0.layers.iter().filter(|layer| layer.layer < Layer::CommandLine);
        let of_files = lower.rev().find_map(|layer| layer.values.get("user"));
        let found = self.in_section(host, "user").or(of_ssh).or(of_files);
        found.map_or_else(|| view.settings.local_user.clone(), |entry| entry.value.as_str().map(str::to_owned))
    }

    fn target_of(
        &self,
        view: &View,
        host: &HostString,
        overlays: &[Overlay],
        behind: &mut Vec<HostString>,
    ) -> Result<Target, ConnectError> {
        let mut target = Target::from_settings(host.clone(), &view.settings);
        let by_ssh_config = view.ssh.as_ref().is_some_and(|ssh| ssh.layer.values.contains_key("user"));
        target.unasked.user = host.user().is_none() && !view.merged.says("user") && !by_ssh_config;
        self.fill_in(&mut target, view);
        if let Some(ssh) = &view.ssh {
            self.fill_in_ssh(&mut target, view, ssh).map_err(|problem| setting_error(host, problem))?;
        }
        target.gateway = self.gateway(host, view, overlays, behind)?;
        Ok(target)
    }

    /// What settings say beyond [`Target::from_settings`]: keys at home, the agent, known hosts.
    fn fill_in(&self, target: &mut Target, view: &View) {
        let (environment, settings) = (&self.0.environment, &view.settings);
        let named = view.ssh.as_ref().map(|ssh| ssh.identity_files.as_slice()).unwrap_or_default();
        // What a person names is explicit; what ssh_config adds is tried as well.
        let given = &view.merged.settings.key_filename;
        let identity = |(path, explicit): (&String, bool)| Identity::new(environment.expand(path)).explicit(explicit);
        let paths = given.iter().map(|path| (path, true)).chain(named.iter().map(|path| (path, false)));
        target.auth.identities = paths.map(identity).collect();
        let identities_only = view.ssh.as_ref().is_some_and(|ssh| ssh.resolved.identities_only());
        target.auth.identities_named = !named.is_empty();
        // `IdentityFile none` rules out the default keys too.
        let none = view.ssh.as_ref().is_some_and(|ssh| ssh.resolved.names_identity_files());
        let settled = none || !named.is_empty() || (identities_only && !given.is_empty());
        if !settings.no_keys && !settled {
            let at_home = default_keys(environment.home.as_ref());
            let new =
                at_home.into_iter().filter(|key| !target.auth.identities.iter().any(|known| known.path == key.path));
            let new: Vec<Identity> = new.collect();
            target.auth.identities.extend(new);
        }
        if !settings.no_agent {
            target.auth.agent = variable_path(environment.get("SSH_AUTH_SOCK"));
        }
        if let Some(home) = &environment.home {
            target.host_keys.user_files =
                ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)).to_vec();
            target.host_keys.update = UpdateHostKeys::Yes;
        }
        for file in &mut target.host_keys.system_files {
            *file = environment.expand(&file);
        }
        for name in ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"] {
            target.host_keys.system_files.push(PathBuf::from(name));
        }
    }

    /// What only ssh_config has.
    fn fill_in_ssh(&self, target: &mut Target, view: &View, ssh: &SshHost) -> Result<(), Problem> {
        let (environment, resolved) = (&self.0.environment, &ssh.resolved);
        if let Some(reason) = resolved.refuse_connection() {
            let place = resolved.origin(Directive::RefuseConnection);
            return Err(Problem::new(format!("RefuseConnection: {reason} ({place})")));
        }
        resolved.hostname().clone_into(&mut target.host);
        target.warnings.clone_from(&ssh.warnings);
        for (directive, keyword, setting) in [
            (Directive::KexAlgorithms, "KexAlgorithms", "kex_algorithms"),
            (Directive::Ciphers, "Ciphers", "ciphers"),
            (Directive::Macs, "MACs", "macs"),
            (Directive::HostKeyAlgorithms, "HostKeyAlgorithms", "host_key_algorithms"),
        ] {
            if resolved.names(directive) && !view.merged.says(setting) {
                target.algorithms.places.insert(keyword, resolved.origin(directive).to_string());
            }
        }
        target.shell.pty = match resolved.request_tty() {
            RequestTty::Auto => None,
            RequestTty::No => Some(false),
            RequestTty::Yes | RequestTty::Force => Some(true),
        };
        target.shell.command = resolved.remote_command().map(str::to_owned);
        target.shell.kind = resolved.session_type();
        target.auth.identities_only = resolved.identities_only();
        let certificates = resolved.certificate_files();
        let certificates = certificates.map_err(|fault| Problem::new(format!("CertificateFile: {fault}")))?;
        target.auth.certificates = certificates.into_iter().map(|file| PathBuf::from(file.value)).collect();
        if !view.settings.no_agent {
            match resolved.identity_agent() {
                IdentityAgent::Environment => {}
                IdentityAgent::None => target.auth.agent = None,
                IdentityAgent::Socket(path) => target.auth.agent = Some(PathBuf::from(path)),
                IdentityAgent::Variable(name) => target.auth.agent = variable_path(environment.get(&name)),
            }
        }
        target.auth.methods = methods(resolved, view.settings.gss_auth);
        target.auth.password_prompts = resolved.number_of_password_prompts();
        let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        if resolved.names(Directive::PubkeyAcceptedAlgorithms) {
            target.auth.key_algorithms = owned(resolved.pubkey_accepted_algorithms());
        }
        target.host_keys.user_files = resolved.user_known_hosts_files().into_iter().map(PathBuf::from).collect();
        // With `UserKnownHostsFile none` keys are recorded nowhere.
        if target.host_keys.check == HostKeyCheck::RecordNew && target.host_keys.user_files.is_empty() {
            target.host_keys.check = HostKeyCheck::AcceptNew;
        }
        let named_system = view.settings.system_known_hosts.iter().map(|path| environment.expand(path));
        let system = resolved.global_known_hosts_files().into_iter().map(PathBuf::from);
        target.host_keys.system_files = named_system.chain(system).collect();
        let command = resolved.known_hosts_command_words();
        target.host_keys.command = command.map_err(|fault| {
            let place = resolved.origin(Directive::KnownHostsCommand);
            Problem::new(format!("KnownHostsCommand: {fault} ({place})"))
        })?;
        target.host_keys.revoked = resolved.revoked_host_keys().map(|file| environment.expand(file));
        target.host_keys.alias = resolved.host_key_alias();
        target.host_keys.hash_names = resolved.hash_known_hosts();
        target.host_keys.update = match resolved.update_host_keys() {
            YesNoAsk::No => UpdateHostKeys::No,
            YesNoAsk::Yes => UpdateHostKeys::Yes,
            YesNoAsk::Ask => UpdateHostKeys::Ask,
        };
        if resolved.names(Directive::StrictHostKeyChecking) && !host_keys_are_settled(&view.merged) {
            target.host_keys.check = match resolved.strict_host_key_checking() {
                StrictHostKeyChecking::Off => HostKeyCheck::Lax,
                StrictHostKeyChecking::AcceptNew => HostKeyCheck::AcceptNew,
                StrictHostKeyChecking::Yes => HostKeyCheck::Strict,
                StrictHostKeyChecking::Ask => HostKeyCheck::Ask,
            };
        }
        target.keepalive.count = resolved.server_alive_count_max();
        target.address_family = resolved.address_family();
        target.bind_address = resolved.bind_address().map(str::to_owned);
        target.send_env = self.sent_variables(resolved);
        Ok(())
    }

    /// The variables of `SendEnv` and `SetEnv`; the latter win (ssh_config(5)).
    fn sent_variables(&self, resolved: &Resolved) -> Vec<(String, String)> {
        let set: Vec<(String, String)> =
            resolved.set_env().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let patterns: Vec<&str> = resolved.send_env().into_iter().map(|pattern| pattern.value).collect();
        if patterns.is_empty() {
            return set;
        }
        let of_process = self.0.environment.variables.iter().filter(|(name, _)| {
            patterns.iter().any(|pattern| wildcard::matches(pattern.as_bytes(), name.as_bytes()))
                && !set.iter().any(|(other, _)| other == *name)
        });
        of_process.map(|(name, value)| (name.clone(), value.clone())).chain(set.iter().cloned()).collect()
    }

    /// What the connection goes through: the setting, else ssh_config's ProxyJump or ProxyCommand.
    fn gateway(
        &self,
        host: &HostString,
        view: &View,
        overlays: &[Overlay],
        behind: &mut Vec<HostString>,
    ) -> Result<Option<Gateway>, ConnectError> {
        let from_settings = view.merged.says("gateway");
        if host.scheme().unwrap_or(&view.settings.transport) == "local" {
            return Ok(None);
        }
        let text = match (&view.settings.gateway, &view.ssh) {
            (Switch::To(text), _) if from_settings => text.clone(),
            (Switch::To(_), Some(ssh)) => match ssh.resolved.proxy_jump() {
                [] => return proxy_command(host, view, ssh),
                hops => hops.iter().map(hop_text).collect::<Vec<_>>().join(","),
            },
            _ => return Ok(None),
        };
        let overlays = for_hops(overlays);
        behind.push(host.clone());
        let text = without_loops(&text, behind);
        let gateway = Gateway::parse(text, |hop| self.target_behind(hop, &overlays, behind).map_err(HopError::Failed));
        behind.pop();
        match gateway {
            Ok(Some(Gateway::Command(command))) => {
                let command = expanded(&command, host, view).map_err(|problem| setting_error(host, problem))?;
                Ok(Some(Gateway::Command(command)))
            }
            Ok(gateway) => Ok(gateway),
            Err(HopError::Failed(error)) => Err(error),
            Err(HopError::Spelling(error)) => Err(setting_error(host, Problem::new(format!("gateway: {error}")))),
        }
    }
}

/// A list of hops up to one that would be reached through itself: the hops before it lead there, and where there are none,
/// it is dialled directly (C10). Commands and plugins' URLs stay as they are.
fn without_loops<'a>(text: &'a str, behind: &[HostString]) -> &'a str {
    if text.contains(char::is_whitespace) || text.contains("://") {
        return text;
    }
    let is_behind = |hop: &HostString| {
        // Another port is another server.
        let same_port = |host: &HostString| host.port().zip(hop.port()).is_none_or(|(one, other)| one == other);
        behind.iter().any(|host| host.host() == hop.host() && same_port(host))
    };
    let mut end = 0;
    for hop in text.split(',') {
        if HostString::parse(hop).is_ok_and(|hop| is_behind(&hop)) {
            return text[..end].trim_end_matches(',');
        }
        end += hop.len() + 1;
    }
    text
}

/// Why a text is not a hop.
enum HopError {
    Failed(ConnectError),
    Spelling(HostStringError),
}

impl From<HostStringError> for HopError {
    fn from(error: HostStringError) -> Self {
        Self::Spelling(error)
    }
}

fn setting_error(host: &HostString, problems: impl Into<Problems>) -> ConnectError {
    ConnectError::new(host.as_str(), Phase::Resolve, problems.into().into())
}

/// A user or port in the host string and as an argument of the call as well (C2).
fn given_twice(host: &HostString, overlays: &[Overlay]) -> Result<(), Problems> {
    for overlay in overlays.iter().filter(|overlay| overlay.origin == Origin::argument()) {
        for (name, written) in [("user", host.user().is_some()), ("port", host.port().is_some())] {
            if written && overlay.values.get(name).is_some_and(|value| !value.is_null()) {
                let problem = Problem::new(format!("`{host}` has a {name}, and another one is given beside it"));
                return Err(problem.at(overlay.origin.clone()).hint("give it in one place").into());
            }
        }
    }
    Ok(())
}

/// The settings that a hop shares with the host behind it: how the task connects, but neither user nor address.
fn for_hops(overlays: &[Overlay]) -> Vec<Overlay> {
    const OF_THE_HOST: [&str; 6] = ["user", "port", "host", "host_string", "hostname", "gateway"];
    let shared = overlays.iter().filter(|overlay| matches!(overlay.origin.layer, Layer::Task | Layer::Runtime));
    shared
        .map(|overlay| {
            let kept = overlay.values.iter().filter(|(name, _)| !OF_THE_HOST.contains(&name.as_str()));
            let kept: fabric_core::settings::Map = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            Overlay::new(overlay.origin.clone(), kept)
        })
        .filter(|overlay| !overlay.values.is_empty())
        .collect()
}

/// ssh_config's ProxyCommand.
fn proxy_command(host: &HostString, view: &View, ssh: &SshHost) -> Result<Option<Gateway>, ConnectError> {
    match ssh.resolved.proxy_command() {
        None => Ok(None),
        Some(command) => expanded(command, host, view)
            .map(|command| Some(Gateway::Command(command)))
            .map_err(|problem| setting_error(host, problem)),
    }
}

/// A ProxyCommand with its tokens replaced: `%%`, `%h`, `%k`, `%n`, `%p` and `%r` (ssh_config(5)).
fn expanded(command: &str, host: &HostString, view: &View) -> Result<String, Problem> {
    let settings = &view.settings;
    let hostname = settings.host.as_deref().unwrap_or(host.host());
    let alias = view.ssh.as_ref().and_then(|ssh| ssh.resolved.host_key_alias());
    let mut out = String::with_capacity(command.len());
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some('h') => out.push_str(hostname),
            Some('n') => out.push_str(host.host()),
            Some('k') => out.push_str(alias.as_deref().unwrap_or(host.host())),
            Some('p') => out.push_str(&settings.port.unwrap_or(22).to_string()),
            Some('r') => out.push_str(settings.user.as_deref().unwrap_or_default()),
            Some(other) => {
                return Err(Problem::new(format!("ProxyCommand `{command}`: there is no token %{other}"))
                    .hint("known are %h %k %n %p %r and %%"));
            }
            None => return Err(Problem::new(format!("ProxyCommand `{command}` ends in a lone %")).hint("write %%")),
        }
    }
    Ok(out)
}

/// The methods to try, in order: `PreferredAuthentications` without those that are switched off.
fn methods(resolved: &Resolved, gssapi: bool) -> Vec<String> {
    const ORDER: &str = "gssapi-with-mic,publickey,keyboard-interactive,password";
    let allowed = |method: &str| match method {
        "gssapi-with-mic" => gssapi,
        "publickey" => resolved.pubkey_authentication(),
        "keyboard-interactive" => resolved.kbd_interactive_authentication(),
        "password" => resolved.password_authentication(),
        _ => false,
    };
    let order = resolved.preferred_authentications().unwrap_or(ORDER);
    order.split(',').filter(|method| allowed(method)).map(str::to_owned).collect()
}

fn variable_path(value: Option<&str>) -> Option<PathBuf> {
    value.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The keys that OpenSSH tries by itself, in its order.
fn default_keys(home: Option<&PathBuf>) -> Vec<Identity> {
    const NAMES: [&str; 7] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
    let keys = |home: &PathBuf| NAMES.map(|name| Identity::new(home.join(".ssh").join(name)).explicit(false)).to_vec();
    home.map(keys).unwrap_or_default()
}
