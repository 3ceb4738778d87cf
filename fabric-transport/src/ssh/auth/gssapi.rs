//! Kerberos, by the system's GSSAPI library: the tokens of `gssapi-with-mic` (RFC 4462).

use fabric_core::ConnectErrorKind;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE};
use russh::{GssapiAuthenticator, GssapiStep};

use super::login::{Attempt, Tried};
use super::waiting::answered;

/// The method's name in errors.
const METHOD: &str = "gssapi-with-mic";

impl Attempt<'_> {
    /// Tries the user's tickets. Without a ticket for this host the server isn't asked, since that would cost one of the
    /// allowed attempts.
    pub(super) async fn gssapi(&mut self) -> Result<Tried, ConnectErrorKind> {
        let auth = &self.target.auth;
        let start = tokio::task::spawn_blocking({
            let (host, delegate) = (self.target.host.clone(), auth.gssapi_delegate);
            move || Tickets::start(&host, delegate)
        });
        let started = match self.clock.limit(self.target.timeouts.auth, start).await {
            Ok(Ok(started)) => started,
            Ok(Err(_panicked)) => Err("the library failed".to_owned()),
            Err(_expired) => Err("no answer from the KDC within auth_timeout".to_owned()),
        };
        let mut tickets = match started {
            Ok(tickets) => tickets,
            Err(reason) => {
                self.tried.push(format!("{METHOD} ({reason})"));
                return Ok(Tried::Refused);
            }
        };
        let login = self.handle.authenticate_gssapi_with_mic(self.user.clone(), vec![mechanism()], &mut tickets);
        match answered(&self.clock, self.target, login).await? {
            Ok(answer) => self.note(METHOD, answer),
            Err(Failed::Gone(_)) => Err(self.lost()),
            Err(failed) => {
                self.tried.push(format!("{METHOD} ({failed})"));
                Ok(Tried::Refused)
            }
        }
    }
}

/// Why there is no next token.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Gone(#[from] russh::SendError),
    #[error("the server chose a mechanism that was not offered")]
    Mechanism,
    #[error("{0}")]
    Library(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Library(reason(error))
    }
}

/// The user's half of a security context with a host.
struct Tickets {
    context: ClientCtx,
    /// The token that begins it, until it is sent.
    first: Option<Vec<u8>>,
}

impl Tickets {
    /// Uses the credentials cache, or asks the KDC. Blocks.
    fn start(host: &str, delegate: bool) -> Result<Self, String> {
        let mut flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        flags.set(CtxFlags::GSS_C_DELEG_FLAG, delegate);
        let service = format!("host@{host}");
        let name = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).map_err(reason)?;
        let mut context = ClientCtx::new(None, name, flags, Some(GSS_MECH_KRB5));
        // The library keeps the details of an error for this thread only.
        let first = context.step(None, None).map_err(reason)?;
        Ok(Self { context, first: first.map(|token| token.to_vec()) })
    }
}

impl GssapiAuthenticator for Tickets {
    type Error = Failed;

    async fn gssapi_step(
        &mut self,
        selected_mechanism: Option<Vec<u8>>,
        input_token: Option<Vec<u8>>,
        mic_data: Vec<u8>,
    ) -> Result<GssapiStep, Failed> {
        if selected_mechanism.is_some_and(|selected| selected != mechanism()) {
            return Err(Failed::Mechanism);
        }
        let token = match self.first.take() {
            Some(first) => Some(first),
            None => self.context.step(input_token.as_deref(), None)?.map(|token| token.to_vec()),
        };
        if !self.context.is_complete() {
            return Ok(GssapiStep::Continue { token: token.unwrap_or_default() });
        }
        // It binds the login to this connection's keys: nothing is accepted without it.
        let mic = self.context.get_mic(&mic_data)?.to_vec();
        Ok(GssapiStep::Complete { token, mic: Some(mic) })
    }
}

/// The DER of Kerberos' object identifier.
fn mechanism() -> Vec<u8> {
    const OBJECT_IDENTIFIER: u8 = 6;
    let oid: &[u8] = &GSS_MECH_KRB5;
    [&[OBJECT_IDENTIFIER, oid.len() as u8], oid].concat()
}

/// The mechanism's message, which has more detail than GSSAPI's: `what kind of error (which error)`.
fn reason(error: Error) -> String {
    let text = error.to_string();
    let detail = text.split_once(" (").and_then(|(_, detail)| detail.strip_suffix(')'));
    detail.filter(|_| error.minor != 0).unwrap_or(&text).trim().to_owned()
}
