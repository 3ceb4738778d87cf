//! A key of a security token (`sk-ssh-ed25519@openssh.com`) held by an agent, with a real sshd.
//!
//! No agent signs this way without a token, so the test does what an agent and its token do together.

mod common;

use std::path::{Path, PathBuf};

use common::{SshdExt, debug_sshd, open, refused, run};
use fabric_core::ConnectErrorKind;
use sha2::{Digest as _, Sha256};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey, Signature, SigningKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

const KIND: &[u8] = b"sk-ssh-ed25519@openssh.com";
const APPLICATION: &[u8] = b"ssh:";
/// A flag of a signature: the token was touched.
const TOUCHED: u8 = 1;

/// The agent protocol (draft-ietf-sshm-ssh-agent).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// A token with one key, and its agent.
struct Token {
    key: PrivateKey,
    flags: u8,
}

impl Token {
    fn new(flags: u8) -> Self {
        Self { key: Ed25519Keypair::from_seed(&[7; 32]).into(), flags }
    }

    fn public_blob(&self) -> Vec<u8> {
        [string(KIND), string(self.key.public_key().key_data().ed25519().unwrap().as_ref()), string(APPLICATION)]
            .concat()
    }

    /// The line of authorized_keys.
    fn authorized(&self) -> String {
        PublicKey::from_bytes(&self.public_blob()).unwrap().to_openssh().unwrap()
    }

    /// Signs as the token does: the application, its flags and its counter are part of the signed data (PROTOCOL.u2f of
    /// OpenSSH).
    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let tail = [&[self.flags][..], &42u32.to_be_bytes()].concat();
        let signed = [&Sha256::digest(APPLICATION)[..], &tail, &Sha256::digest(data)[..]].concat();
        [string(KIND), string(signed_by(&self.key, &signed).as_bytes()), tail].concat()
    }

    /// Serves on a socket in the directory.
    fn serve(self, dir: &Path) -> PathBuf {
        let socket = dir.join("token.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Some(request) = request(&mut stream).await {
                    let answer = string(&self.answer(&request));
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        socket
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        match request.split_first() {
            Some((&REQUEST_IDENTITIES, [])) => {
                [&[IDENTITIES_ANSWER][..], &1u32.to_be_bytes(), &string(&self.public_blob()), &string(b"token")]
                    .concat()
            }
            Some((&SIGN_REQUEST, rest)) => {
                let (blob, rest) = take(rest);
                assert_eq!(blob, self.public_blob());
                let (data, _flags) = take(rest);
                [&[SIGN_RESPONSE][..], &string(&self.sign(data))].concat()
            }
            // Such as `session-bind@openssh.com`, which older agents don't support.
            _ => vec![FAILURE],
        }
    }
}

fn signed_by(key: &impl SigningKey, data: &[u8]) -> Signature {
    key.sign(data)
}

async fn request(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut request = vec![0; length as usize];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

/// A `string` of the protocol; a whole message has the same form.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(4);
    rest.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize)
}

#[tokio::test]
async fn a_touched_token_logs_in_and_an_untouched_one_does_not() {
    for flags in [TOUCHED, 0] {
        let token = Token::new(flags);
        let sshd = debug_sshd().authorize(token.authorized()).start();
        let mut target = sshd.target_without_auth();
        target.auth.agent = Some(token.serve(&sshd.path("")));
        if flags == TOUCHED {
            let session = open(&target).await;
            assert_eq!(run(&*session, "echo in").await.text(), "in\n");
            assert!(sshd.settled_log().contains("ED25519-SK"), "{}", sshd.settled_log());
        } else {
            // Checks that sshd verifies the signature.
            let error = refused(&target).await;
            let ConnectErrorKind::AuthFailed { tried, .. } = &error.kind else { panic!("{error}") };
            assert!(tried[0].starts_with("agent key sk-ssh-ed25519@openssh.com SHA256:"), "{error}");
        }
    }
}
