//! A connection, by the shortest way that russh has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use russh::client::{Config, Handle, Handler, Msg, connect_stream};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred, cipher};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

use super::{Failed, number, variable};

/// What a login needs, read once.
pub(crate) struct Login {
    config: Arc<Config>,
    key: Arc<PrivateKey>,
    user: String,
    known: HashMap<String, String>,
}

impl Login {
    pub(crate) fn from_environment() -> Result<Self, Failed> {
        let gcm = [cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
        let ciphers: Cow<'static, [cipher::Name]> = match std::env::var("FLOOR_CIPHER") {
            Ok(name) => vec![cipher::Name::try_from(name.as_str()).map_err(|()| "no such cipher")?].into(),
            Err(_) => gcm.to_vec().into(),
        };
        let config = Config {
            nodelay: true,
            window_size: number("FLOOR_WINDOW", 16 << 20)?,
            maximum_packet_size: 65_535,
            channel_buffer_size: 1024,
            preferred: Preferred { cipher: ciphers, ..Preferred::default() },
            ..Config::default()
        };
        let mut known = HashMap::new();
        for line in std::fs::read_to_string(variable("BENCH_KNOWN_HOSTS")?)?.lines() {
            let Some((names, key)) = line.split_once(' ') else { continue };
            for name in names.split(',') {
                known.insert(name.replace(['[', ']'], ""), key.to_owned());
            }
        }
        Ok(Self {
            config: Arc::new(config),
            key: Arc::new(russh::keys::load_secret_key(variable("BENCH_KEY")?, None)?),
            user: variable("BENCH_USER")?,
            known,
        })
    }
}

/// An open connection.
pub(crate) struct Ssh(Handle<Verify>);

impl Ssh {
    pub(crate) async fn open(login: &Login, host: &str) -> Result<Self, Failed> {
        let socket = TcpStream::connect(host).await?;
        socket.set_nodelay(true)?;
        let stream = BufReader::with_capacity(1 << 16, QuickAck(socket));
        let known = login.known.get(host).ok_or("not a known host")?.clone();
        let mut handle = connect_stream(login.config.clone(), stream, Verify(known)).await?;
        let key = PrivateKeyWithHashAlg::new(login.key.clone(), None);
        if !handle.authenticate_publickey(&login.user, key).await?.success() {
            return Err(format!("{host}: not let in").into());
        }
        Ok(Self(handle))
    }

    pub(crate) async fn channel(&self) -> Result<Channel<Msg>, Failed> {
        Ok(self.0.channel_open_session().await?)
    }
}

/// Takes the one key that is known.
struct Verify(String);

impl Handler for Verify {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        Ok(key.to_openssh()? == self.0)
    }
}

/// A socket that acknowledges at once: sshd's small packets before the session starts wait for it.
struct QuickAck(TcpStream);

impl AsyncRead for QuickAck {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        socket2::SockRef::from(&self.0).set_tcp_quickack(true)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for QuickAck {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
