//! Checksums of both sides.

use std::io::Read as _;

use fabric_core::command::quote;
use fabric_core::error::{FileError, FileErrorKind};
use sha2::{Digest as _, Sha256};

use super::local;
use crate::connection::Connection;

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

/// The checksum of a local file, in hexadecimal digits.
pub(super) async fn local_sha256(path: &[u8]) -> Result<String, FileError> {
    let at = local::path(path);
    let sum = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(at)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => digest.update(&buffer[..count]),
            }
        }
        Ok(hex(&digest.finalize()))
    });
    let sum = sum.await.unwrap_or_else(|error| Err(std::io::Error::from(error)));
    sum.map_err(|error| local::failed("read", path, &error))
}

/// The checksum of a file on the host, computed there.
pub(super) async fn remote_sha256(connection: &Connection, path: &[u8], sudo: bool) -> Result<String, FileError> {
    let failed = |kind| FileError::new("compute the checksum of", path, kind);
    let quoted = quote(path).map_err(|error| failed(FileErrorKind::Failed(error.to_string())))?;
    let mut line = b"for sum in sha256sum 'shasum -a 256' 'openssl dgst -sha256 -r'; do \
        command -v ${sum%% *} >/dev/null 2>&1 && exec $sum < "
        .to_vec();
    line.extend_from_slice(&quoted);
    line.extend_from_slice(b"; done; exit 127");
    let plain = connection.plain();
    let request = if sudo { plain.sudo(line) } else { plain.run(line) };
    let outcome = request.shell("sh -c").pty(false).quiet().await;
    let outcome = outcome.map_err(|error| failed(FileErrorKind::Failed(error.to_string())))?;
    if outcome.exit.code() == Some(127) {
        return Err(failed(FileErrorKind::Failed("the host has no sha256sum, shasum or openssl".to_owned())));
    }
    let text = outcome.stdout();
    let sum = text.split_whitespace().next().unwrap_or_default();
    if outcome.failed() || sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(failed(FileErrorKind::Failed(outcome.stderr().trim().to_owned())));
    }
    Ok(sum.to_ascii_lowercase())
}
