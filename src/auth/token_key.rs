//! The keys of room tokens: HS256 secrets and Ed25519 keys in PEM.
//!
//! A key has one algorithm, which its kind decides and no token can change. Which
//! key a token is tried with is up to `token.rs`.

use std::collections::HashSet;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::secret::Secret;

/// A key that verifies tokens and may sign them. No `Debug`: it may be secret.
#[derive(Clone)]
pub struct TokenKey {
    /// Which key it is, where that can be said without giving anything away.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
    pub(super) signing: Option<EncodingKey>,
    pub(super) validation: Validation,
}

/// Why a PEM text is no key for tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenKeyError {
    /// There is neither a PRIVATE KEY nor a PUBLIC KEY block in it.
    #[error("there is no PRIVATE KEY and no PUBLIC KEY in this PEM text")]
    NoKey,
    /// The block is not whole, or not base64.
    #[error("this PEM text is damaged")]
    Damaged,
    /// It is a key of another kind.
    #[error("this is not an Ed25519 key")]
    NotEd25519,
}

impl TokenKey {
    /// Takes a secret for HS256, which signs and verifies (RFC 7518 section 3.2).
    #[must_use]
    pub fn hs256(secret: &Secret) -> Self {
        Self {
            id: None,
            algorithm: Algorithm::HS256,
            verifying: DecodingKey::from_secret(secret.expose()),
            signing: Some(EncodingKey::from_secret(secret.expose())),
            validation: signature_only(Algorithm::HS256),
        }
    }

    /// Reads an Ed25519 key for EdDSA (RFC 8037): a private one, `PRIVATE KEY` in
    /// PKCS #8, signs and verifies; a public one, `PUBLIC KEY`, verifies.
    ///
    /// # Errors
    /// When there is no such key in the text.
    pub fn from_pem(text: &str) -> Result<Self, TokenKeyError> {
        match PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()) {
            Ok(key) => Self::private(key.secret_pkcs8_der()),
            Err(pem::Error::NoItemsFound) => {
                match SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()) {
                    Ok(key) => Self::public(key.as_ref()),
                    Err(pem::Error::NoItemsFound) => Err(TokenKeyError::NoKey),
                    Err(_) => Err(TokenKeyError::Damaged),
                }
            }
            Err(_) => Err(TokenKeyError::Damaged),
        }
    }

    /// Says whether the key can sign.
    #[must_use]
    pub const fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// Returns the key with what it signs with, if it can.
    pub(super) fn to_sign(&self) -> Option<(&Self, &EncodingKey)> {
        self.signing.as_ref().map(|signing| (self, signing))
    }

    fn private(pkcs8: &[u8]) -> Result<Self, TokenKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| TokenKeyError::NotEd25519)?;
        let mut key = Self::ed25519(pair.public_key().as_ref());
        key.signing = Some(EncodingKey::from_ed_der(pkcs8));
        Ok(key)
    }

    fn public(spki: &[u8]) -> Result<Self, TokenKeyError> {
        let point = spki.strip_prefix(&ED25519_SPKI);
        let point = point.filter(|point| point.len() == ED25519_LEN);
        point.map(Self::ed25519).ok_or(TokenKeyError::NotEd25519)
    }

    fn ed25519(point: &[u8]) -> Self {
        Self {
            id: Some(thumbprint(point)),
            algorithm: Algorithm::EdDSA,
            verifying: DecodingKey::from_ed_der(point),
            signing: None,
            validation: signature_only(Algorithm::EdDSA),
        }
    }
}

/// Returns the JWK thumbprint of an Ed25519 public key (RFC 7638 section 3, the
/// members as RFC 8037 section 2 has them).
fn thumbprint(point: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(point);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()))
}

/// Tells the JWT library to verify the signature and leave the claims to us: it
/// would read the clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims = HashSet::new();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// What a SubjectPublicKeyInfo of Ed25519 begins with: everything but the point
/// (RFC 8410 section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

const ED25519_LEN: usize = 32;
