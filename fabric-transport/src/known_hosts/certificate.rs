//! Whether a host certificate is in order (OpenSSH's PROTOCOL.certkeys).

use std::time::{SystemTime, UNIX_EPOCH};

use ssh_key::certificate::CertType;
use ssh_key::{Algorithm, Certificate, HashAlg};
use thiserror::Error;

/// What is wrong with a host certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is one of a user.
    #[error("it is a user's certificate, not a host's")]
    NotAHost,
    /// Its time has not come.
    #[error("it is not valid before {0} seconds after 1970")]
    NotYetValid(u64),
    /// Its time is over.
    #[error("it expired {0} seconds after 1970")]
    Expired(u64),
    /// It is made out to other names.
    #[error("it is made out to {}, not to this host", .0.join(", "))]
    OtherHost(Vec<String>),
    /// It has critical options, of which none is defined for hosts.
    #[error("it has the critical option {0}, which is not known")]
    CriticalOption(String),
    /// It is signed with an algorithm that is not taken: SHA-1 or DSA (`CASignatureAlgorithms`).
    #[error("it is signed with {0}, which is not accepted")]
    SignatureAlgorithm(String),
    /// The signature is not right.
    #[error("its signature is wrong")]
    Signature,
}

/// Checks all but whether its authority is trusted. No principals stands for any name.
pub(super) fn validate(
    certificate: &Certificate,
    principals: &[String],
    now: SystemTime,
) -> Result<(), CertificateFault> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if certificate.cert_type() != CertType::Host {
        return Err(CertificateFault::NotAHost);
    }
    if now < certificate.valid_after() {
        return Err(CertificateFault::NotYetValid(certificate.valid_after()));
    }
    if now >= certificate.valid_before() {
        return Err(CertificateFault::Expired(certificate.valid_before()));
    }
    let valid = certificate.valid_principals();
    if !valid.is_empty() && !principals.iter().any(|name| valid.contains(name)) {
        return Err(CertificateFault::OtherHost(valid.to_vec()));
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(CertificateFault::CriticalOption(option.clone()));
    }
    match certificate.signature().algorithm() {
        Algorithm::Rsa { hash: None } | Algorithm::Dsa => {
            let algorithm = certificate.signature().algorithm();
            return Err(CertificateFault::SignatureAlgorithm(algorithm.as_str().to_owned()));
        }
        _ => {}
    }
    // That the authority is trusted is what led here; left to check is its signature.
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate.validate_at(now, [&authority]).map_err(|_| CertificateFault::Signature)
}
