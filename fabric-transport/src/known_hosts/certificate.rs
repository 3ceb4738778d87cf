//! Checking host certificates (OpenSSH's PROTOCOL.certkeys).

use std::time::{SystemTime, UNIX_EPOCH};

use ssh_key::certificate::CertType;
use ssh_key::{Algorithm, Certificate, HashAlg};
use thiserror::Error;

/// What is wrong with a host certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is a user certificate.
    #[error("it is a user's certificate, not a host's")]
    NotAHost,
    /// It is not valid yet.
    #[error("it is not valid before {0} seconds after 1970")]
    NotYetValid(u64),
    /// It has expired.
    #[error("it expired {0} seconds after 1970")]
    Expired(u64),
    /// It is for other names.
    #[error("it is for {}, not for this host", .0.join(", "))]
    OtherHost(Vec<String>),
    /// It has critical options, of which none is defined for hosts.
    #[error("it has the unsupported critical option {0}")]
    CriticalOption(String),
    /// It is signed with an algorithm that is not accepted: SHA-1 or DSA (`CASignatureAlgorithms`).
    #[error("it is signed with {0}, which is not accepted")]
    SignatureAlgorithm(String),
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
}

/// Checks all except whether its authority is trusted. A certificate without principals is for any name.
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
    // The authority is trusted already; its signature remains to be checked.
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate.validate_at(now, [&authority]).map_err(|_| CertificateFault::Signature)
}
