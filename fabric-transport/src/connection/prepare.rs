//! From a request and the settings to the rendered command.

use std::time::Duration;

use fabric_core::event::Verb;
use fabric_core::target::{Shell, ShellKind};
use fabric_core::transport::{Program, PtyRequest, SpawnRequest};
use fabric_core::{Command, CommandOutcome, Error, Sudo, Target};

use super::options::ShellChoice;
use super::request::CommandRequest;
use super::sudo::Texts;

/// A command, ready to be started.
pub(super) struct Prepared {
    pub(super) spawn: SpawnRequest,
    /// The outcome, as far as it is known before the command runs.
    pub(super) outcome: CommandOutcome,
    /// What to look for in the output of `sudo`.
    pub(super) sudo: Option<Texts>,
    pub(super) timeout: Option<Duration>,
    pub(super) warn: bool,
    pub(super) combine_stderr: bool,
    pub(super) capture_limit: Option<u64>,
}

pub(super) fn prepare(request: &CommandRequest) -> Result<Prepared, Error> {
    let settings = request.connection.settings();
    let options = &request.options;
    let local = request.verb == Verb::Local;
    let host = if local { "localhost" } else { request.connection.host_string() };

    let mut command = Command::new(request.line.clone()).shell_escape(settings.shell_escape);
    command = command.cd(if local { &settings.lcwd } else { &settings.cwd });
    command = options.cd.iter().fold(command, Command::cd);
    let prefixes = settings.command_prefixes.iter().map(String::as_bytes);
    for prefix in prefixes.chain(options.prefixes.iter().map(Vec::as_slice)) {
        command = command.prefix(prefix);
    }
    command = command.path(settings.path.as_str(), settings.path_behavior);
    if let Some((path, behavior)) = &options.path {
        command = command.path(path.clone(), *behavior);
    }

    let mut env: Vec<(String, Vec<u8>)> = Vec::new();
    if !options.replace_env {
        env.extend(settings.shell_env.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())));
    }
    env.extend(options.env.iter().cloned());
    let mut beside = Vec::new();
    for (name, value) in &env {
        if settings.inline_ssh_env || local {
            command = command.env(name, value.as_slice());
        } else {
            beside.push((name.clone(), value.clone()));
        }
    }

    let asked = options.shell.as_ref().map(|shell| *shell != ShellChoice::No);
    let wrapped = if local { asked == Some(true) } else { settings.use_shell.apply(asked) };
    let shell = wrapped.then(|| match &options.shell {
        Some(ShellChoice::This(shell)) => shell.clone(),
        _ => settings.shell.clone(),
    });
    if let Some(shell) = &shell {
        command = command.shell(shell);
    }

    let texts = (request.verb == Verb::Sudo).then(|| Texts::new(settings));
    if let Some(texts) = &texts {
        // `sudo` expands % in its prompt (sudo(8), -p).
        let mut sudo =
            Sudo::new(texts.prompt.replace('%', "%%")).with_prefix(&settings.sudo_prefix).announce(&texts.announcement);
        if let Some(user) = options.sudo_user.as_ref().or(settings.sudo_user.as_ref()) {
            sudo = sudo.user(user);
        }
        if let Some(group) = &options.sudo_group {
            sudo = sudo.group(group);
        }
        command = command.sudo(sudo);
    } else if options.sudo_user.is_some() || options.sudo_group.is_some() || options.sudo_password.is_some() {
        return Err(Error::Usage(format!(
            "{host}: user, group and password are options of sudo, not of {}",
            request.verb
        )));
    }

    let gate = |gate: fabric_core::settings::Gate, asked| if local { asked == Some(true) } else { gate.apply(asked) };
    let pty = if options.login_shell { options.pty != Some(false) } else { gate(settings.always_use_pty, options.pty) };
    let rendered = command.render().map_err(|error| Error::Command { host: host.to_owned(), error })?;

    let mut outcome = CommandOutcome::new(host, String::from_utf8_lossy(&request.line));
    outcome.real_command = rendered.to_string();
    outcome.ok_codes = options.ok_codes.clone().unwrap_or_else(|| settings.ok_ret_codes.clone());
    outcome.shell = shell;
    outcome.env = env.iter().map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect();
    outcome.pty = pty;
    outcome.hidden = options.hide.streams();

    Ok(Prepared {
        // What ssh_config has for shells goes as it is written.
        spawn: if options.login_shell {
            SpawnRequest::new(interactive(request.connection.target())?)
        } else {
            let for_bourne = rendered.is_for_bourne();
            SpawnRequest::new(Program::Command(rendered.into_bytes())).for_bourne(for_bourne)
        }
        .pty(pty.then(|| pty_request(request)))
        .env(beside)
        .forward_agent(request.connection.target().forward_agent),
        outcome,
        sudo: texts,
        timeout: options
            .timeout
            .unwrap_or_else(|| settings.command_timeout.and_then(fabric_core::settings::Seconds::limit)),
        warn: options.warn.unwrap_or(settings.warn_only),
        combine_stderr: gate(settings.combine_stderr, options.combine_stderr),
        capture_limit: options.capture_limit.unwrap_or(settings.capture_buffer_size),
    })
}

/// What `shell()` runs.
fn interactive(target: &Target) -> Result<Program, Error> {
    let Shell { command, kind, .. } = &target.shell;
    match (kind, command) {
        (ShellKind::None, _) => Err(Error::Usage(format!(
            "{}: there is no shell with `SessionType none` of ssh_config",
            target.host_string
        ))),
        (ShellKind::Subsystem, Some(name)) => Ok(Program::Subsystem(name.clone())),
        (ShellKind::Default, Some(command)) => Ok(Program::Command(command.clone().into_bytes())),
        (_, None) => Ok(Program::Shell),
    }
}

fn pty_request(request: &CommandRequest) -> PtyRequest {
    request.connection.terminal.clone().unwrap_or_default().request()
}
