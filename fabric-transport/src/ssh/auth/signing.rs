//! Signatures by local private keys.
//!
//! aws-lc computes them for keys that it supports: in constant time, unlike the `rsa` crate (RUSTSEC-2023-0071), and many
//! times faster than the crates behind `ssh-key`. A key is prepared once for all hosts.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use russh::keys::pkcs8::encode_pkcs8;
use russh::keys::signature::{Error, Signer as _};
use russh::keys::ssh_encoding::Encode as _;
use ssh_key::private::KeypairData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Mpint, PrivateKey, Signature};
use zeroize::Zeroizing;

/// A private key that is ready to sign.
#[derive(Debug)]
pub(super) struct SigningKey {
    key: PrivateKey,
    /// `None` for keys that aws-lc doesn't support, such as RSA keys of 1024 bits.
    prepared: Option<Prepared>,
}

#[derive(Debug)]
enum Prepared {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    pub(super) fn new(key: PrivateKey) -> Self {
        let prepared = Prepared::new(&key);
        Self { key, prepared }
    }

    /// The key itself.
    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs. `hash` is for RSA keys, `None` for SHA-1.
    pub(super) fn sign(&self, hash: Option<HashAlg>, message: &[u8]) -> Result<Signature, Error> {
        let algorithm = self.key.algorithm();
        let data = match (&self.prepared, self.key.key_data()) {
            (Some(Prepared::Ed25519(key)), _) => key.sign(message).as_ref().to_vec(),
            (Some(Prepared::Ecdsa(key)), _) => {
                // Two numbers of the same length here, two with lengths of their own in SSH (RFC 5656, section 3.1.2).
                let signature = key.sign(&SystemRandom::new(), message).map_err(Error::from_source)?;
                let (r, s) = signature.as_ref().split_at(signature.as_ref().len() / 2);
                let mut data = Vec::new();
                for number in [r, s] {
                    Mpint::from_positive_bytes(number).encode(&mut data).map_err(Error::from_source)?;
                }
                data
            }
            (Some(Prepared::Rsa(key)), _) if hash.is_some() => {
                let padding = if hash == Some(HashAlg::Sha256) { &RSA_PKCS1_SHA256 } else { &RSA_PKCS1_SHA512 };
                let mut data = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut data).map_err(Error::from_source)?;
                return Signature::new(Algorithm::Rsa { hash }, data).map_err(Error::from_source);
            }
            (_, KeypairData::Rsa(rsa)) => return (rsa, hash).try_sign(message),
            _ => return self.key.try_sign(message),
        };
        Signature::new(algorithm, data).map_err(Error::from_source)
    }
}

impl Prepared {
    fn new(key: &PrivateKey) -> Option<Self> {
        let curve = match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Rsa { .. } => None,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => Some(&ECDSA_P521_SHA512_FIXED_SIGNING),
            _ => return None,
        };
        let encoded = Zeroizing::new(encode_pkcs8(key).ok()?);
        match (curve, key.key_data()) {
            (Some(curve), _) => EcdsaKeyPair::from_pkcs8(curve, &encoded).ok().map(Self::Ecdsa),
            (None, KeypairData::Rsa(_)) => RsaKeyPair::from_pkcs8(&encoded).ok().map(Self::Rsa),
            (None, _) => Ed25519KeyPair::from_pkcs8(&encoded).ok().map(Self::Ed25519),
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::signature::Verifier as _;

    use super::*;

    fn made(algorithm: Algorithm) -> SigningKey {
        SigningKey::new(PrivateKey::random(&mut rand::rng(), algorithm).unwrap())
    }

    fn verifies(key: &SigningKey, hash: Option<HashAlg>) {
        // Numbers that begin with a zero come once in 256 times.
        for message in 0_u16..600 {
            let message = message.to_be_bytes();
            let signature = key.sign(hash, &message).unwrap();
            key.key().public_key().key_data().verify(&message, &signature).unwrap();
            if message[1] % 8 == 7 && key.key().algorithm().is_rsa() {
                return;
            }
        }
    }

    #[test]
    fn every_kind_is_signed_with_by_aws_lc() {
        let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
        let curves = curves.map(|curve| Algorithm::Ecdsa { curve });
        for algorithm in [Algorithm::Ed25519].into_iter().chain(curves) {
            let key = made(algorithm);
            assert!(key.prepared.is_some(), "{:?}", key.key().algorithm());
            verifies(&key, None);
        }
        let key = made(Algorithm::Rsa { hash: None });
        assert!(key.prepared.is_some());
        for hash in [HashAlg::Sha256, HashAlg::Sha512] {
            verifies(&key, Some(hash));
        }
        // SHA-1 is not aws-lc's.
        verifies(&key, None);
    }
}
