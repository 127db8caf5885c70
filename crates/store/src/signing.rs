//! Signatures of audit entries: who has the key wrote them. Ed25519, RFC 8032.

use std::path::Path;
use std::sync::OnceLock;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// What stands before the hash that is signed, so that no signature of anything else is one of an entry.
const DOMAIN: &[u8] = b"switchback audit entry\n";

/// What stands before the 32 bytes of a public key of Ed25519 (RFC 8410, section 4).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The key of this process, which signs every entry that it writes.
static OWN: OnceLock<Ed25519KeyPair> = OnceLock::new();

/// The key that entries must be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKey(Vec<u8>);

impl AuditKey {
    /// Reads a public key, or the public half of a private one.
    ///
    /// # Errors
    ///
    /// The file is no PEM file with such a key; in words, with its path.
    pub fn read(path: &Path) -> Result<Self, String> {
        if let Ok(der) = SubjectPublicKeyInfoDer::from_pem_file(path) {
            return match der.strip_prefix(&SPKI) {
                Some(key) if key.len() == 32 => Ok(Self(key.to_vec())),
                _ => Err(no_key(path)),
            };
        }
        let pair = pair(path)?;
        Ok(Self(pair.public_key().as_ref().to_vec()))
    }

    /// Tells whether a signature in hexadecimal digits is one of a hash with this key.
    #[must_use]
    pub(crate) fn signed(&self, hash: &[u8], signature: &str) -> bool {
        let Some(signature) = bytes(signature) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(&[DOMAIN, hash].concat(), &signature)
            .is_ok()
    }
}

/// Has every audit entry that this process writes signed with the private key of a file.
///
/// # Errors
///
/// The file is no PEM file with such a key; in words, with its path.
pub fn sign_with(path: &Path) -> Result<(), String> {
    let pair = pair(path)?;
    // There is one command line, so that it is set once.
    OWN.set(pair)
        .map_err(|_| "a key is in use already".to_owned())
}

/// Signs the hash of an entry, in hexadecimal digits, if there is a key.
pub(crate) fn signature(hash: &[u8]) -> Option<String> {
    let signature = OWN.get()?.sign(&[DOMAIN, hash].concat());
    let hex = |hex: String, byte: &u8| hex + &format!("{byte:02x}");
    Some(signature.as_ref().iter().fold(String::new(), hex))
}

fn pair(path: &Path) -> Result<Ed25519KeyPair, String> {
    let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|error| match error {
        rustls::pki_types::pem::Error::Io(error) => format!("{}: {error}", path.display()),
        _ => no_key(path),
    })?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| no_key(path))
}

fn no_key(path: &Path) -> String {
    format!(
        "{} is no key of Ed25519 in PEM: make one with openssl genpkey -algorithm ed25519 -out FILE",
        path.display()
    )
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks_exact(2);
    if !digits.remainder().is_empty() {
        return None;
    }
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
