//! The user's login shell, which reads the commands.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use fabric_core::SessionError;
use fabric_core::command::LoginShell;
use fabric_core::transport::{Process, ProcessEvent, Program, SpawnRequest};

use super::link::Link;
use super::process;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many of the last bytes are kept: the answer is at the end.
const KEPT: usize = 64 * 1024;

/// Starts a process, with its command in a form that the user's login shell can read.
pub(super) async fn spawn(link: &Arc<Link>, request: &SpawnRequest) -> Result<Process, SessionError> {
    let request = for_login_shell(link, request).await?;
    process::spawn(link, &request).await
}

/// The request in a form for the login shell. The host is asked for its shell once, before the first command that depends
/// on it.
async fn for_login_shell<'a>(
    link: &Arc<Link>,
    request: &'a SpawnRequest,
) -> Result<Cow<'a, SpawnRequest>, SessionError> {
    let Program::Command(text) = &request.program else { return Ok(Cow::Borrowed(request)) };
    if !request.for_bourne {
        return Ok(Cow::Borrowed(request));
    }
    let shell = *link.login_shell.get_or_init(|| ask(link)).await;
    if matches!(shell, LoginShell::Bourne | LoginShell::Other) {
        return Ok(Cow::Borrowed(request));
    }
    let text = shell.hand_over(text.clone()).map_err(|error| SessionError::System {
        what: format!("the login shell is {shell}, which needs the command in another form"),
        reason: format!("{error}; put it into a file on the host and run that"),
    })?;
    tracing::debug!(%shell, command = %String::from_utf8_lossy(&text), "the command for the login shell");
    Ok(Cow::Owned(request.clone().program(Program::Command(text))))
}

/// Without an answer commands are sent unchanged.
async fn ask(link: &Arc<Link>) -> LoginShell {
    let program = Program::Command(LoginShell::QUESTION.to_vec());
    let asking = async {
        let mut process = process::spawn(link, &SpawnRequest::new(program)).await?;
        let mut output = Vec::new();
        while let Some(event) = process.next().await {
            match event {
                ProcessEvent::Stdout(data) => output.extend_from_slice(&data),
                ProcessEvent::Lost(error) => return Err(error),
                ProcessEvent::Stderr(_) | ProcessEvent::Exit(_) => {}
            }
            output.drain(..output.len().saturating_sub(KEPT));
        }
        Ok(LoginShell::from_answer(&output))
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(shell)) => shell,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the login shell is unknown");
            LoginShell::Other
        }
        Err(_) => {
            tracing::debug!("the login shell was not known in time");
            LoginShell::Other
        }
    }
}
