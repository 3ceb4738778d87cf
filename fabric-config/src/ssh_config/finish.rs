//! The last step of a lookup: checks that need all lines, and values that are expanded right away.

use std::sync::Arc;

use super::directives::{Directive, Here};
use super::error::Fault;
use super::facts::Facts;
use super::jump::Jump;
use super::lookup::Lookup;
use super::origin::LineOrigin;
use super::resolved::{Expanded, Resolved};
use super::tokens;
use super::value::Value;
use super::winners::{DEFAULT_PORT, LISTS, Winners};

/// A fault, and the line that it comes from.
pub(super) type Refusal = (Fault, Option<LineOrigin>);

/// Does the checks that need all lines, and expands the values that OpenSSH expands right away.
pub(super) fn finish(mut state: Winners, lookup: &Lookup<'_>, hostname: String) -> Result<Resolved, Refusal> {
    if state.number(Directive::ClearAllForwardings) == Some(1) {
        state.local_forwards.clear();
        state.remote_forwards.clear();
    }
    let user = state.text(Directive::User).map_or_else(|| lookup.local.user.clone(), std::string::ToString::to_string);
    let port = state.number(Directive::Port).map_or(DEFAULT_PORT, |port| port as u16);
    let alias = state.text(Directive::HostKeyAlias).map(|alias| alias.to_ascii_lowercase());
    let facts = Facts {
        key_alias: alias.unwrap_or_else(|| lookup.host.to_owned()),
        hostname,
        host: lookup.host.to_owned(),
        user,
        port,
        local: Arc::clone(&lookup.local),
    };
    let empty = |directive: &Directive| matches!(state.value(*directive), Some(Value::Algorithms { list: None, .. }));
    state.failed_list = LISTS.iter().position(empty);
    check_conflicts(&state, &facts)?;
    let expanded = expand(&mut state, &facts)?;
    Ok(Resolved { state, facts, expanded })
}

fn check_conflicts(state: &Winners, facts: &Facts) -> Result<(), Refusal> {
    let refuse = |fault, directive| Err((fault, Some(state.origin_of(directive))));
    for directive in LISTS.into_iter().chain([Directive::HostKeyAlgorithms]) {
        if directive.row().here == Here::Unused {
            continue;
        }
        match state.value(directive) {
            Some(Value::Algorithms { written, list: None, unknown }) if !unknown.is_empty() => {
                let (keyword, value) = (directive.name(), written.to_string());
                return refuse(Fault::NoAlgorithm { keyword, value }, directive);
            }
            _ => {}
        }
    }
    if let Some(Value::Algorithms { written, list: None, .. }) = state.value(Directive::HostKeyAlgorithms) {
        return refuse(Fault::BadAlgorithms { value: written.to_string() }, Directive::HostKeyAlgorithms);
    }
    if let Some(last) = state.jump().and_then(Jump::last) {
        let same_user = last.user.as_ref().is_none_or(|user| *user == facts.user);
        if last.host == facts.hostname && last.port.unwrap_or(DEFAULT_PORT) == facts.port && same_user {
            return refuse(Fault::JumpLoop { host: last.host.clone() }, Directive::ProxyJump);
        }
    } else if state.text(Directive::ProxyCommand).is_some_and(|command| &**command == "-")
        && state.number(Directive::ProxyUseFdpass) == Some(1)
    {
        return refuse(Fault::Conflict("ProxyCommand=- and ProxyUseFDPass are incompatible"), Directive::ProxyCommand);
    }
    if state.number(Directive::ConnectionAttempts) == Some(0) {
        return refuse(Fault::Conflict("ConnectionAttempts must be at least 1"), Directive::ConnectionAttempts);
    }
    if state.number(Directive::ForkAfterAuthentication) == Some(1)
        && state.printed_text(Directive::RemoteCommand).is_none()
        && state.number(Directive::SessionType) != Some(0)
    {
        let fault = Fault::Conflict("ForkAfterAuthentication needs a RemoteCommand or SessionType none");
        return refuse(fault, Directive::ForkAfterAuthentication);
    }
    Ok(())
}

fn expand(state: &mut Winners, facts: &Facts) -> Result<Expanded, Refusal> {
    let path = |text: &str| tokens::percent_and_variables(&tokens::tilde(text, &facts.local)?, facts, &facts.local);
    let path_of = |state: &Winners, directive, text: Option<&Arc<str>>| -> Result<Option<String>, Refusal> {
        text.map(|text| path(text)).transpose().map_err(|fault| (fault, Some(state.origin_of(directive))))
    };
    let remote_command = state.text_or_none(Directive::RemoteCommand).map(|text| tokens::percent(text, facts));
    let expanded = Expanded {
        remote_command: remote_command
            .transpose()
            .map_err(|fault| (fault, Some(state.origin_of(Directive::RemoteCommand))))?,
        control_path: path_of(state, Directive::ControlPath, state.text_or_none(Directive::ControlPath))?,
        identity_agent: path_of(state, Directive::IdentityAgent, state.text(Directive::IdentityAgent))?,
        forward_agent_socket: path_of(state, Directive::ForwardAgentSocket, state.text(Directive::ForwardAgentSocket))?,
        user_known_hosts: match state.words(Directive::UserKnownHostsFile) {
            None => None,
            Some([none]) if none.eq_ignore_ascii_case("none") => Some(Vec::new()),
            Some(files) => {
                let files = files.iter().map(|file| path(file)).collect::<Result<Vec<_>, _>>();
                Some(files.map_err(|fault| (fault, Some(state.origin_of(Directive::UserKnownHostsFile))))?)
            }
        },
    };
    if let Some(socket) = &expanded.forward_agent_socket
        && state.number(Directive::ExitOnForwardFailure) == Some(1)
        && std::fs::metadata(socket).is_err()
    {
        let fault = Fault::Conflict("the agent's socket to forward isn't there, and ExitOnForwardFailure is on");
        return Err((fault, Some(state.origin_of(Directive::ForwardAgentSocket))));
    }
    let Winners { local_forwards, remote_forwards, .. } = state;
    let mut failed = None;
    for (forward, at) in local_forwards.iter_mut().chain(remote_forwards) {
        if let Err(fault) = forward.expand(facts) {
            failed = Some((fault, *at));
            break;
        }
    }
    match failed {
        Some((fault, at)) => Err((fault, Some(state.origin(at)))),
        None => Ok(expanded),
    }
}
