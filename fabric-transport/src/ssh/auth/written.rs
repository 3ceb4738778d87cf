//! Formats of private keys: OpenSSH's, PEM, PKCS #8 and PuTTY's, encrypted or not.
//!
//! russh's crates parse the keys, and decrypt those of OpenSSH, PKCS #8 (PBES2) and PuTTY. Older encryption is handled
//! here: PEM with a `DEK-Info` line (RFC 1421, with OpenSSL's key derivation), and PKCS #8 with the passphrase scheme of
//! PKCS #12 (RFC 7292, appendices B and C).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Reader as _, SliceReader};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier};
use russh::keys::ssh_encoding::Decode as _;
use sha1::{Digest as _, Sha1};
use ssh_key::{Algorithm, Cipher, PrivateKey, PublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// A private key, as far as it can be read without a passphrase.
#[derive(Debug)]
pub(super) enum Written {
    Open(Box<PrivateKey>),
    /// Encrypted; OpenSSH's format shows the public half.
    Locked(Option<PublicKey>),
}

/// Why a text is not a key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    #[error("wrong passphrase")]
    WrongPassphrase,
    #[error("unsupported kind of key: {0}")]
    Kind(String),
    #[error("unsupported encryption: {0}; `ssh-keygen -p -f FILE` changes it")]
    Encryption(String),
    #[error("not a readable private key: {0}")]
    Garbage(String),
}

/// Reads a key, without its passphrase.
pub(super) fn read(text: &str) -> Result<Written, Unusable> {
    if is_putty(text) {
        return match text.lines().find_map(|line| line.strip_prefix("Encryption:")) {
            Some(cipher) if cipher.trim() != "none" => Ok(Written::Locked(None)),
            _ => PrivateKey::from_ppk(text, None).map(Box::new).map(Written::Open).map_err(garbage),
        };
    }
    let pem = Pem::find(text)?;
    match pem.label.as_str() {
        "OPENSSH PRIVATE KEY" => {
            let key = openssh(&pem.der)?;
            let public = || key.public_key().clone();
            if key.is_encrypted() { Ok(Written::Locked(Some(public()))) } else { Ok(Written::Open(Box::new(key))) }
        }
        "ENCRYPTED PRIVATE KEY" => Pkcs8Encryption::of(&pem.der).map(|_| Written::Locked(None)),
        "DSA PRIVATE KEY" => Err(Unusable::Kind("DSA".to_owned())),
        "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "PRIVATE KEY" => match pem.dek()? {
            Some(_) => Ok(Written::Locked(None)),
            None => plain(&pem.label, &pem.der).map(Box::new).map(Written::Open),
        },
        label => Err(Unusable::Kind(label.to_owned())),
    }
}

/// Opens an encrypted key.
pub(super) fn unlock(text: &str, passphrase: &str) -> Result<PrivateKey, Unusable> {
    if is_putty(text) {
        return PrivateKey::from_ppk(text, Some(passphrase.into())).map_err(|_| Unusable::WrongPassphrase);
    }
    let pem = Pem::find(text)?;
    match pem.label.as_str() {
        "OPENSSH PRIVATE KEY" => openssh(&pem.der)?.decrypt(passphrase).map_err(|_| Unusable::WrongPassphrase),
        "ENCRYPTED PRIVATE KEY" => {
            decrypted("PRIVATE KEY", &Pkcs8Encryption::of(&pem.der)?.decrypt(passphrase.as_bytes())?)
        }
        label => {
            let dek = pem.dek()?.ok_or_else(|| garbage("it is not encrypted"))?;
            decrypted(label, &dek.decrypt(passphrase.as_bytes(), &pem.der)?)
        }
    }
}

fn is_putty(text: &str) -> bool {
    text.trim_start().starts_with("PuTTY-User-Key-File-")
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn garbage(error: impl ToString) -> Unusable {
    Unusable::Garbage(error.to_string())
}

/// OpenSSH's format; the private half may be encrypted.
fn openssh(der: &[u8]) -> Result<PrivateKey, Unusable> {
    const SUPPORTED: &str = "ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 \
                             sk-ssh-ed25519@openssh.com sk-ecdsa-sha2-nistp256@openssh.com";
    let (cipher, kind) = openssh_names(der).ok_or_else(|| garbage("its beginning is damaged"))?;
    if !SUPPORTED.split(' ').any(|supported| supported == kind) {
        let name = if kind == "ssh-dss" { "DSA (ssh-dss)".to_owned() } else { kind };
        return Err(Unusable::Kind(name));
    }
    if cipher != "none" && cipher.parse::<Cipher>().is_err() {
        return Err(Unusable::Encryption(cipher));
    }
    PrivateKey::from_bytes(der).map_err(garbage)
}

/// The names of the cipher and of the kind of key.
fn openssh_names(der: &[u8]) -> Option<(String, String)> {
    let mut rest = der.strip_prefix(b"openssh-key-v1\0")?;
    let cipher = String::decode(&mut rest).ok()?;
    let _kdf = String::decode(&mut rest).ok()?;
    let _kdf_options = Vec::<u8>::decode(&mut rest).ok()?;
    let _how_many = u32::decode(&mut rest).ok()?;
    let public = Vec::<u8>::decode(&mut rest).ok()?;
    Some((cipher, String::decode(&mut public.as_slice()).ok()?))
}

/// Parses a decrypted key; a wrong passphrase results in noise.
fn decrypted(label: &str, der: &[u8]) -> Result<PrivateKey, Unusable> {
    // All these formats are one ASN.1 sequence.
    let is_whole = SliceReader::new(der).is_ok_and(|mut reader| {
        reader.sequence(|inner| inner.drain(inner.remaining_len())).is_ok() && reader.is_finished()
    });
    if is_whole { plain(label, der) } else { Err(Unusable::WrongPassphrase) }
}

/// PKCS #1, SEC 1 or PKCS #8, not encrypted.
fn plain(label: &str, der: &[u8]) -> Result<PrivateKey, Unusable> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let text = Zeroizing::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", *text));
    let key = russh::keys::decode_secret_key(&text, None).map_err(|error| match error {
        russh::keys::Error::UnknownAlgorithm(kind) => Unusable::Kind(kind_name(kind)),
        error => garbage(error),
    })?;
    match key.algorithm() {
        Algorithm::Dsa | Algorithm::Other(_) => Err(Unusable::Kind(key.algorithm().to_string())),
        _ => Ok(key),
    }
}

/// What the object identifiers of keys and curves that OpenSSL makes are called.
fn kind_name(kind: ObjectIdentifier) -> String {
    let id = kind.to_string();
    let name = match id.as_str() {
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.113549.1.3.1" => "DH",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.113" => "Ed448",
        "1.3.132.0.10" => "EC on the curve secp256k1",
        "1.3.132.0.33" => "EC on the curve secp224r1",
        "1.2.840.10045.3.1.1" => "EC on the curve prime192v1",
        "1.3.36.3.3.2.8.1.1.7" => "EC on the curve brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "EC on the curve brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "EC on the curve brainpoolP512r1",
        _ => return format!("object identifier {id}"),
    };
    name.to_owned()
}

/// The first private key of a text in PEM (RFC 7468, and RFC 1421 for the lines before the data).
struct Pem {
    label: String,
    headers: Vec<(String, String)>,
    der: Zeroizing<Vec<u8>>,
}

impl Pem {
    fn find(text: &str) -> Result<Self, Unusable> {
        let label = |line: &str, word: &str| Some(line.strip_prefix(word)?.strip_suffix("-----")?.to_owned());
        let mut lines = text.lines().map(str::trim);
        let mut other = None;
        let found = lines.by_ref().find_map(|line| {
            let label = label(line, "-----BEGIN ")?;
            if label.ends_with("PRIVATE KEY") {
                return Some(label);
            }
            other.get_or_insert(label);
            None
        });
        let Some(label) = found else {
            return Err(match other {
                Some(label) => garbage(format!("it is a {label}")),
                None if text.contains("BEGIN SSH2 ") => {
                    garbage("it is in ssh.com's format; `ssh-keygen -i -f FILE` converts it")
                }
                None if text.starts_with("SSH PRIVATE KEY FILE FORMAT 1") => {
                    Unusable::Kind("RSA1 (version 1 of the protocol)".to_owned())
                }
                None => garbage("no line begins with -----BEGIN"),
            });
        };
        let (mut headers, mut data) = (Vec::new(), Zeroizing::new(String::new()));
        for line in lines {
            if line == format!("-----END {label}-----") {
                let der = STANDARD.decode(&*data).map(Zeroizing::new).map_err(garbage)?;
                return Ok(Self { label, headers, der });
            }
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.trim().to_owned(), value.trim().to_owned())),
                None => data.push_str(line),
            }
        }
        Err(garbage("its end is missing"))
    }

    /// How it is encrypted, if it is in the way of RFC 1421.
    fn dek(&self) -> Result<Option<Dek>, Unusable> {
        let value =
            |wanted: &str| self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let Some(info) = value("DEK-Info") else { return Ok(None) };
        let unsupported = || Unusable::Encryption(info.split(',').next().unwrap_or(info).to_owned());
        let (name, iv) = info.split_once(',').ok_or_else(unsupported)?;
        let cipher = match name.trim() {
            "AES-128-CBC" => Cipher::Aes128Cbc,
            "AES-192-CBC" => Cipher::Aes192Cbc,
            "AES-256-CBC" => Cipher::Aes256Cbc,
            "DES-EDE3-CBC" => Cipher::TdesCbc,
            _ => return Err(unsupported()),
        };
        let iv = from_hex(iv.trim()).filter(|iv| Some(iv.len()) == cipher.key_and_iv_size().map(|(_, iv)| iv));
        let iv = iv.ok_or_else(|| garbage("the initialization vector in its DEK-Info is damaged"))?;
        Ok(Some(Dek { cipher, iv }))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The encryption of PEM by a `DEK-Info` line.
struct Dek {
    cipher: Cipher,
    iv: Vec<u8>,
}

impl Dek {
    /// The key is derived from the passphrase and the first half of the initialization vector by MD5, as in OpenSSL
    /// (`EVP_BytesToKey`).
    fn decrypt(&self, passphrase: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let (length, _) = self.cipher.key_and_iv_size().unwrap_or_default();
        let (mut key, mut block) = (Zeroizing::new(Vec::new()), Vec::new());
        while key.len() < length {
            let mut digest = md5::Context::new();
            digest.consume(&block);
            digest.consume(passphrase);
            digest.consume(&self.iv[..8]);
            block = digest.finalize().0.to_vec();
            key.extend_from_slice(&block);
        }
        by_cipher(self.cipher, &key[..length], &self.iv, data)
    }
}

/// Decrypts in CBC mode and takes the padding off (RFC 8018, section 6.1.1), which shows most wrong keys.
fn by_cipher(cipher: Cipher, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let mut data = Zeroizing::new(data.to_vec());
    cipher.decrypt(key, iv, &mut data, None).map_err(garbage)?;
    let padding = usize::from(data.last().copied().unwrap_or_default());
    let is_padded = (1..=cipher.block_size().min(data.len())).contains(&padding)
        && data.iter().rev().take(padding).all(|byte| usize::from(*byte) == padding);
    if !is_padded {
        return Err(Unusable::WrongPassphrase);
    }
    let length = data.len() - padding;
    data.truncate(length);
    Ok(data)
}

/// The encryption of a PKCS #8 key.
enum Pkcs8Encryption<'a> {
    Pbes2 {
        scheme: Box<EncryptionScheme>,
        data: &'a [u8],
    },
    /// SHA-1 and triple DES with three keys, or with two of which one is used twice.
    Pkcs12 {
        keys: usize,
        salt: &'a [u8],
        iterations: u32,
        data: &'a [u8],
    },
}

impl<'a> Pkcs8Encryption<'a> {
    fn of(der: &'a [u8]) -> Result<Self, Unusable> {
        let (algorithm, data) = SliceReader::new(der)
            .and_then(|mut reader| {
                reader.sequence(|inner| {
                    let algorithm: AlgorithmIdentifierRef<'a> = inner.decode()?;
                    Ok((algorithm, inner.decode::<&OctetStringRef>()?.as_bytes()))
                })
            })
            .map_err(|error: pkcs8::der::Error| garbage(error))?;
        let id = algorithm.oid.to_string();
        let unsupported = |name: &str| Unusable::Encryption(name.to_owned());
        let keys = match id.as_str() {
            "1.2.840.113549.1.5.13" => {
                let info = EncryptedPrivateKeyInfoRef::try_from(der);
                let info = info.map_err(|error| Unusable::Encryption(format!("PBES2 ({error})")))?;
                return Ok(Self::Pbes2 { scheme: Box::new(info.encryption_algorithm), data });
            }
            "1.2.840.113549.1.12.1.3" => 3,
            "1.2.840.113549.1.12.1.4" => 2,
            "1.2.840.113549.1.5.3" => return Err(unsupported("PBE-MD5-DES")),
            "1.2.840.113549.1.5.6" => return Err(unsupported("PBE-MD5-RC2-64")),
            "1.2.840.113549.1.5.10" => return Err(unsupported("PBE-SHA1-DES")),
            "1.2.840.113549.1.5.11" => return Err(unsupported("PBE-SHA1-RC2-64")),
            "1.2.840.113549.1.12.1.1" => return Err(unsupported("PBE-SHA1-RC4-128")),
            "1.2.840.113549.1.12.1.2" => return Err(unsupported("PBE-SHA1-RC4-40")),
            "1.2.840.113549.1.12.1.5" => return Err(unsupported("PBE-SHA1-RC2-128")),
            "1.2.840.113549.1.12.1.6" => return Err(unsupported("PBE-SHA1-RC2-40")),
            id => return Err(Unusable::Encryption(format!("object identifier {id}"))),
        };
        let parameters = algorithm.parameters.ok_or_else(|| garbage("the parameters of its encryption are missing"))?;
        let parameters =
            parameters.sequence(|inner| Ok((inner.decode::<&OctetStringRef>()?.as_bytes(), inner.decode::<u32>()?)));
        let (salt, iterations) = parameters.map_err(|error: pkcs8::der::Error| garbage(error))?;
        Ok(Self::Pkcs12 { keys, salt, iterations, data })
    }

    fn decrypt(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        match self {
            Self::Pbes2 { scheme, data } => match scheme.decrypt(passphrase, data) {
                Ok(decrypted) => Ok(Zeroizing::new(decrypted)),
                Err(pkcs8::pkcs5::Error::UnsupportedAlgorithm { oid }) => {
                    Err(Unusable::Encryption(format!("PBES2 with object identifier {oid}")))
                }
                Err(_) => Err(Unusable::WrongPassphrase),
            },
            Self::Pkcs12 { keys, salt, iterations, data } => {
                let derive = |purpose, length| pkcs12_derive(passphrase, salt, *iterations, purpose, length);
                let mut key = derive(PKCS12_KEY, 8 * keys);
                if *keys == 2 {
                    key.extend_from_within(..8);
                }
                by_cipher(Cipher::TdesCbc, &key, &derive(PKCS12_IV, 8), data)
            }
        }
    }
}

/// What something is derived for (RFC 7292, appendix B.3).
const PKCS12_KEY: u8 = 1;
const PKCS12_IV: u8 = 2;

/// Derives bytes from a passphrase (RFC 7292, appendix B.2), with SHA-1.
fn pkcs12_derive(passphrase: &[u8], salt: &[u8], iterations: u32, purpose: u8, length: usize) -> Zeroizing<Vec<u8>> {
    /// The block size of SHA-1.
    const BLOCK: usize = 64;
    let passphrase = Zeroizing::new(String::from_utf8_lossy(passphrase).into_owned());
    let passphrase: Vec<u8> = passphrase.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let passphrase = Zeroizing::new(passphrase);
    let whole =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK)).collect() };
    let mut input = Zeroizing::new([whole(salt), whole(&passphrase)].concat());
    let mut derived = Zeroizing::new(Vec::new());
    while derived.len() < length {
        let mut digest = Sha1::new_with_prefix([purpose; BLOCK]).chain_update(&*input).finalize();
        for _ in 1..iterations {
            digest = Sha1::digest(digest);
        }
        derived.extend_from_slice(&digest);
        // Each block of the input is increased by what came out, and by one.
        let increase: Vec<u8> = digest.iter().copied().cycle().take(BLOCK).collect();
        for block in input.chunks_mut(BLOCK) {
            let mut carry = 1;
            for (byte, more) in block.iter_mut().zip(&increase).rev() {
                let sum = u16::from(*byte) + u16::from(*more) + carry;
                (*byte, carry) = (sum as u8, sum >> 8);
            }
        }
    }
    derived.truncate(length);
    derived
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    const PASSPHRASE: &str = "open sesame é";

    fn made(dir: &Path, command: &str) -> PathBuf {
        let ran = Command::new("sh").args(["-ec", command, "sh", PASSPHRASE]).current_dir(dir).output().unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        dir.join("key")
    }

    fn opens(name: &str, file: &Path, public: Option<&PublicKey>) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(matches!(read(&text), Ok(Written::Locked(_))), "{name}: {:?}", read(&text));
        for wrong in ["open sesame", "", "x"] {
            assert_eq!(unlock(&text, wrong).unwrap_err(), Unusable::WrongPassphrase, "{name}");
        }
        let key = unlock(&text, PASSPHRASE).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        if let Some(public) = public {
            assert_eq!(key.public_key().key_data(), public.key_data(), "{name}");
        }
    }

    #[test]
    fn what_ssh_keygen_encrypts_is_opened() {
        let ciphers = Command::new("ssh").args(["-Q", "cipher"]).output().unwrap();
        let ciphers = String::from_utf8(ciphers.stdout).unwrap();
        let mut all: Vec<String> = ciphers.lines().map(|cipher| format!("-t ed25519 -Z {cipher}")).collect();
        assert!(all.len() >= 10, "{all:?}");
        for kind in ["-t rsa -b 2048", "-t ecdsa -b 384"] {
            all.extend(["-Z aes256-gcm@openssh.com", "-m PEM", "-m PKCS8"].map(|how| format!("{kind} {how}")));
        }
        for how in all {
            let dir = tempfile::tempdir().unwrap();
            let file = made(dir.path(), &format!("ssh-keygen -q -f key -a 2 -N \"$1\" {how}"));
            let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
            opens(&how, &file, Some(&PublicKey::from_openssh(&public).unwrap()));
        }
    }

    #[test]
    fn what_openssl_encrypts_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let make = "openssl genrsa -out rsa 2048; openssl genpkey -algorithm ed25519 -out ed25519
            for curve in prime256v1 secp384r1 secp521r1; do openssl ecparam -name $curve -genkey -out $curve; done";
        made(dir.path(), make);
        let all = ["rsa", "ed25519", "prime256v1", "secp384r1", "secp521r1"];
        for kind in all {
            let text = std::fs::read_to_string(dir.path().join(kind)).unwrap();
            let Ok(Written::Open(key)) = read(&text) else { panic!("{kind}: {:?}", read(&text)) };
            let mut ways: Vec<String> = ["aes128", "aes192", "aes256", "des3"]
                .iter()
                .flat_map(|cipher| {
                    ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA512"]
                        .map(|prf| format!("openssl pkcs8 -topk8 -v2 {cipher} -v2prf {prf} -in {kind}"))
                })
                .collect();
            ways.push(format!("openssl pkcs8 -topk8 -scrypt -in {kind}"));
            ways.extend(["3DES", "2DES"].map(|keys| format!("openssl pkcs8 -topk8 -v1 PBE-SHA1-{keys} -in {kind}")));
            let traditional = match kind {
                "rsa" => Some("rsa"),
                "ed25519" => None,
                _ => Some("ec"),
            };
            if let Some(program) = traditional {
                let flags = ["aes128", "aes192", "aes256", "des3"];
                ways.extend(flags.map(|cipher| {
                    format!(
                        "openssl {program} -{cipher} -traditional -in {kind} || openssl {program} -{cipher} -in {kind}"
                    )
                }));
            }
            for way in ways {
                let way = way
                    .split(" || ")
                    .map(|way| format!("{way} -out key -passout pass:\"$1\" 2>err"))
                    .collect::<Vec<_>>();
                opens(&way[0], &made(dir.path(), &way.join(" || ")), Some(key.public_key()));
            }
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let reason = |make: &str| {
            let text = std::fs::read_to_string(made(dir.path(), make)).unwrap();
            match read(&text) {
                Err(reason) => reason.to_string(),
                Ok(Written::Open(_)) => panic!("{make}: it was read"),
                Ok(Written::Locked(_)) => unlock(&text, PASSPHRASE).unwrap_err().to_string(),
            }
        };
        let dsa = "openssl dsaparam -genkey -out dsa 1024; openssl";
        for (make, word) in [
            (&*format!("{dsa} dsa -in dsa -out key"), "DSA"),
            (&format!("{dsa} dsa -aes128 -in dsa -out key -passout pass:\"$1\""), "DSA"),
            (&format!("{dsa} pkcs8 -topk8 -nocrypt -in dsa -out key"), "DSA"),
            (&format!("{dsa} pkcs8 -topk8 -in dsa -out key -passout pass:\"$1\""), "DSA"),
            ("openssl genpkey -algorithm ed448 -out key", "Ed448"),
            ("openssl ecparam -name secp256k1 -genkey -noout -out key", "secp256k1"),
            ("openssl genpkey -algorithm ed25519 -out k; openssl pkey -in k -pubout -out key", "PUBLIC KEY"),
            ("openssl genpkey -algorithm ed25519 | sed '$d' >key", "end is missing"),
            ("echo hello >key", "no line begins with"),
            ("printf %s 'SSH PRIVATE KEY FILE FORMAT 1.1' >key", "RSA1"),
            (
                "{ echo -----BEGIN RSA PRIVATE KEY-----; echo DEK-Info: IDEA-CBC,00; echo; echo AAAA; echo -----END RSA PRIVATE KEY-----; } >key",
                "IDEA-CBC",
            ),
        ] {
            let reason = reason(make);
            assert!(reason.contains(word), "{make}: {reason}");
        }
        // OpenSSH doesn't make DSA keys any more, but there are some.
        let named = openssh_of("ssh-dss").unwrap_err();
        assert_eq!(named, Unusable::Kind("DSA (ssh-dss)".to_owned()));
        assert_eq!(openssh_of("ssh-xmss@openssh.com").unwrap_err(), Unusable::Kind("ssh-xmss@openssh.com".to_owned()));
    }

    /// The beginning of a key of this kind.
    fn openssh_of(kind: &str) -> Result<PrivateKey, Unusable> {
        let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
        let public = string(&string(kind.as_bytes()));
        openssh(
            &[b"openssh-key-v1\0".to_vec(), string(b"none"), string(b"none"), string(b""), vec![0, 0, 0, 1], public]
                .concat(),
        )
    }
}
