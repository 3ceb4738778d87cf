//! The algorithms that are offered, and their order.

use std::borrow::Cow;

use fabric_core::settings::Problem;
use fabric_core::target::Algorithms;
use fabric_core::{Phase, Target, wildcard};
use russh::{Preferred, cipher, compression, kex, mac};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg};

use super::Failure;
use super::host_keys::HostKeyVerifier;

/// The algorithms for `target`; `verifier` orders those of host keys.
pub(super) async fn preferred(target: &Target, verifier: &dyn HostKeyVerifier) -> Result<Preferred, Failure> {
    let wanted = &target.algorithms;
    let mut kex = choose("KexAlgorithms", wanted, &wanted.kex, &kex_order())?;
    // Not algorithms but announcements, which OpenSSH's lists don't contain (RFC 8308; strict key exchange).
    kex.extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
    let (plain, certified) = host_keys(target, verifier).await?;
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(plain),
        host_key_certificates: Cow::Owned(certified),
        cipher: Cow::Owned(choose("Ciphers", wanted, &wanted.ciphers, &cipher_order(has_aes()))?),
        mac: Cow::Owned(choose("MACs", wanted, &wanted.macs, &mac_order())?),
        compression: Cow::Owned(compression_order(target.compression)),
    })
}

/// The algorithms of plain host keys and of certified ones.
async fn host_keys(
    target: &Target,
    verifier: &dyn HostKeyVerifier,
) -> Result<(Vec<Algorithm>, Vec<Algorithm>), Failure> {
    let wanted = &target.algorithms.host_keys;
    let mut names = choose("HostKeyAlgorithms", &target.algorithms, wanted, &host_key_order())?;
    let mut certificates = true;
    // The user's own order is kept, as in OpenSSH; changes to the default list don't count as one.
    if wanted.first().is_none_or(|first| first.starts_with(['+', '-'])) {
        names.sort_by_key(|name| name.certified);
        let offered = names.iter().map(Named::name).collect();
        let order = verifier.order(target, offered).await.map_err(|kind| (Phase::HostKey, kind))?;
        names = order.iter().filter_map(|name| HostKeyName::from_name(name)).collect();
        certificates = !names.is_sorted_by_key(|name| name.certified);
    }
    let (certified, plain): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.certified);
    let algorithms = |names: Vec<HostKeyName>| names.into_iter().map(|name| name.algorithm).collect();
    Ok((algorithms(plain), if certificates { algorithms(certified) } else { Vec::new() }))
}

fn kex_order() -> Vec<kex::Name> {
    vec![
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
        kex::DH_G16_SHA512,
        kex::DH_G18_SHA512,
        kex::DH_G14_SHA256,
        // Last: the server chooses the size of the group, and 8192 bits take seconds.
        kex::DH_GEX_SHA256,
    ]
}

/// AES-GCM first if the processor has instructions for it; otherwise ChaCha20 is faster.
fn cipher_order(aes: bool) -> Vec<cipher::Name> {
    let gcm = [cipher::AES_128_GCM, cipher::AES_256_GCM];
    let chacha = [cipher::CHACHA20_POLY1305];
    let ctr = [cipher::AES_128_CTR, cipher::AES_192_CTR, cipher::AES_256_CTR];
    if aes {
        gcm.into_iter().chain(chacha).chain(ctr).collect()
    } else {
        chacha.into_iter().chain(gcm).chain(ctr).collect()
    }
}

fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

fn mac_order() -> Vec<mac::Name> {
    vec![mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512]
}

fn compression_order(wanted: bool) -> Vec<compression::Name> {
    if wanted { vec![compression::ZLIB_LEGACY, compression::ZLIB, compression::NONE] } else { vec![compression::NONE] }
}

fn host_key_order() -> Vec<HostKeyName> {
    let algorithms = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    let both = [false, true].into_iter();
    both.flat_map(|certified| algorithms.clone().map(|algorithm| HostKeyName { algorithm, certified })).collect()
}

/// Something with a name on the wire.
trait Named: Clone {
    /// `None` if it is not supported.
    fn from_name(name: &str) -> Option<Self>;
    fn name(&self) -> String;
}

macro_rules! named {
    ($($name:ty),*) => {$(
        impl Named for $name {
            fn from_name(name: &str) -> Option<Self> {
                // Algorithms without protection can't be chosen.
                Self::try_from(name).ok().filter(|_| !matches!(name, "none" | "clear"))
            }
            fn name(&self) -> String {
                self.as_ref().to_owned()
            }
        }
    )*};
}

named!(kex::Name, cipher::Name, mac::Name);

/// A host key algorithm, of a plain key or of one with a certificate.
#[derive(Debug, Clone, PartialEq)]
struct HostKeyName {
    algorithm: Algorithm,
    certified: bool,
}

const CERTIFICATE: &str = "-cert-v01@openssh.com";

impl Named for HostKeyName {
    fn from_name(name: &str) -> Option<Self> {
        let plain = name.strip_suffix(CERTIFICATE);
        match Algorithm::new(plain.unwrap_or(name)).ok()? {
            Algorithm::Other(_) | Algorithm::Dsa => None,
            algorithm => Some(Self { algorithm, certified: plain.is_some() }),
        }
    }

    fn name(&self) -> String {
        format!("{}{}", self.algorithm, if self.certified { CERTIFICATE } else { "" })
    }
}

/// The supported ones of the configured names; a list that begins with `+`, `-` or `^` changes the default, as in
/// ssh_config(5).
fn choose<T: Named>(
    keyword: &str,
    algorithms: &Algorithms,
    wanted: &[String],
    default: &[T],
) -> Result<Vec<T>, Failure> {
    let Some(first) = wanted.first() else { return Ok(default.to_vec()) };
    let (change, first) = match first.chars().next() {
        Some(c @ ('+' | '-' | '^')) => (Some(c), &first[1..]),
        _ => (None, first.as_str()),
    };
    let names = std::iter::once(first).chain(wanted[1..].iter().map(String::as_str));
    let chosen = match change {
        None => known(names),
        Some('-') => {
            let patterns: Vec<&str> = names.collect();
            default
                .iter()
                .filter(|d| !patterns.iter().any(|p| wildcard::matches(p.as_bytes(), d.name().as_bytes())))
                .cloned()
                .collect()
        }
        Some(change) => {
            let chosen: Vec<T> = known(names);
            let is_chosen = |d: &&T| chosen.iter().any(|n| n.name() == d.name());
            let rest: Vec<T> = default.iter().filter(|d| change == '+' || !is_chosen(d)).cloned().collect();
            if change == '^' {
                chosen.into_iter().chain(rest).collect()
            } else {
                let added = chosen.into_iter().filter(|n| !default.iter().any(|d| d.name() == n.name()));
                rest.into_iter().chain(added).collect()
            }
        }
    };
    if chosen.is_empty() {
        let have: Vec<String> = default.iter().map(Named::name).collect();
        let place = algorithms.places.get(keyword).map(|place| format!(" at {place}")).unwrap_or_default();
        let reason =
            format!("{keyword} `{}`{place} names no known algorithm (known: {})", wanted.join(","), have.join(", "));
        return Err((Phase::KeyExchange, Problem::new(reason).into()));
    }
    Ok(chosen)
}

fn known<'a, T: Named>(names: impl Iterator<Item = &'a str>) -> Vec<T> {
    names.filter_map(T::from_name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|s| (*s).to_owned()).collect();
        choose("Ciphers", &Algorithms::default(), &wanted, &cipher_order(true))
            .unwrap()
            .iter()
            .map(Named::name)
            .collect()
    }

    #[test]
    fn lists_replace_extend_remove_and_reorder() {
        assert_eq!(ciphers(&["aes256-ctr", "none", "unheard-of"]), ["aes256-ctr"]);
        assert_eq!(ciphers(&["-aes*"]), ["chacha20-poly1305@openssh.com"]);
        assert_eq!(ciphers(&["^chacha20-poly1305@openssh.com"])[0], "chacha20-poly1305@openssh.com");
        assert_eq!(ciphers(&["+aes128-cbc"]).last().unwrap(), "aes128-cbc");
        assert_eq!(ciphers(&[])[0], "aes128-gcm@openssh.com");
        let error =
            choose::<cipher::Name>("Ciphers", &Algorithms::default(), &["rot13".to_owned()], &cipher_order(false));
        let error = error.unwrap_err();
        assert!(error.1.to_string().contains("rot13"), "{}", error.1);
    }

    #[test]
    fn names_of_host_keys_are_read_back() {
        for name in host_key_order() {
            assert_eq!(HostKeyName::from_name(&name.name()), Some(name));
        }
    }
}
