//! Checksums of both sides.

use std::io::Read as _;

use fabric_core::error::FileError;
use sha2::{Digest as _, Sha256};

use super::local;
use crate::part_names::hex;

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
