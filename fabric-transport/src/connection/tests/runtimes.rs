//! Connections that are used in several runtimes.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::error::SessionError;
use fabric_core::transport::{BoxStream, OpenContext, SpawnRequest};
use fabric_core::{ConnectError, Error, Files, Process, Session, Target, Transport};

use super::here;
use crate::memory::{MemoryTransport, Reply};
use crate::{Connection, Connector};

#[test]
fn a_session_whose_runtime_is_idle_is_an_error_and_one_whose_runtime_has_gone_is_opened_anew() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (transport, bound) = (MemoryTransport::named("ssh"), |fleet| Connector::new().transport(Bound(fleet)));
    transport.every_host().on("true", Reply::ok());
    let connection = Connection::builder("web1").connector(bound(transport.clone())).build().unwrap();
    let (first, second) = (runtime(), runtime());
    first.block_on(connection.run("true").into_future()).unwrap();
    let error = second.block_on(connection.run("true").into_future()).unwrap_err();
    assert!(matches!(error, Error::Session { error: SessionError::NotDriven, .. }), "{error}");
    first.block_on(connection.run("true").into_future()).unwrap();
    assert_eq!(transport.host("web1").connects(), 1);
    drop(first);
    second.block_on(connection.run("true").into_future()).unwrap();
    assert_eq!(transport.host("web1").connects(), 2);

    // Requests that were started there wait for it too.
    let (here, third) = (here(), runtime());
    let running = third.block_on(here.run("sleep 4321").start()).unwrap();
    let error = second.block_on(running.wait()).unwrap_err();
    assert!(matches!(error, Error::Session { error: SessionError::NotDriven, .. }), "{error}");
}

/// Hosts in memory whose sessions have tasks, as SSH sessions do.
struct Bound(Arc<MemoryTransport>);

struct BoundSession(Arc<dyn Session>);

#[async_trait]
impl Transport for Bound {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn open(
        &self,
        target: &Target,
        stream: Option<BoxStream>,
        context: &OpenContext,
    ) -> Result<Arc<dyn Session>, ConnectError> {
        Ok(Arc::new(BoundSession(self.0.open(target, stream, context).await?)))
    }
}

#[async_trait]
impl Session for BoundSession {
    async fn spawn(&self, request: &SpawnRequest) -> Result<Process, SessionError> {
        self.0.spawn(request).await
    }

    async fn open_stream(&self, host: &str, port: u16) -> Result<BoxStream, SessionError> {
        self.0.open_stream(host, port).await
    }

    async fn files(&self) -> Result<Arc<dyn Files>, SessionError> {
        self.0.files().await
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    async fn closed(&self) -> SessionError {
        self.0.closed().await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
