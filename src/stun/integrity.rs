//! MESSAGE-INTEGRITY, FINGERPRINT and the keys behind them (RFC 8489 sections
//! 9.2, 14.5 to 14.7 and 18.5).
//!
//! Owns the computations only; where the attributes stand in a message is known
//! to `message.rs` and `builder.rs`. Comparisons take constant time and keys are
//! wiped when dropped.

use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::attribute::{ATTRIBUTE_HEADER_LEN, AttributeType};
use super::header::HEADER_LEN;

/// Which attribute protects a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IntegrityAlgorithm {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256.
    Sha256,
}

impl IntegrityAlgorithm {
    /// Returns the attribute that carries this kind of HMAC.
    #[must_use]
    pub const fn attribute(self) -> AttributeType {
        match self {
            Self::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            Self::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
        }
    }

    /// Says whether a value of `len` bytes can be such an HMAC. SHA-256 may be
    /// truncated to 16 bytes where the usage of STUN allows it.
    pub(super) const fn is_len_valid(self, len: usize) -> bool {
        match self {
            Self::Sha1 => len == 20,
            Self::Sha256 => len >= 16 && len <= 32 && len.is_multiple_of(4),
        }
    }

    /// Computes the HMAC of `covered`, the message up to the integrity
    /// attribute, with the length field as if that attribute (with a value of
    /// `value_len` bytes) were the last one.
    pub(super) fn compute(self, key: &[u8], covered: &[u8], value_len: usize) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        let length = covered.len() - HEADER_LEN + ATTRIBUTE_HEADER_LEN + value_len;
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        context.update(&covered[..2]);
        context.update(&length.to_be_bytes());
        context.update(&covered[4..]);
        context.sign()
    }

    /// Says whether `value` is the HMAC of `covered`, or a truncation of it.
    pub(super) fn verify(self, key: &[u8], covered: &[u8], value: &[u8]) -> bool {
        let expected = self.compute(key, covered, value.len());
        let Some(expected) = expected.as_ref().get(..value.len()) else {
            return false;
        };
        expected.ct_eq(value).into()
    }
}

/// How a long-term key is made from a password.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u16)]
pub enum PasswordAlgorithm {
    /// MD5, the only one before RFC 8489.
    Md5 = 1,
    /// SHA-256.
    Sha256 = 2,
}

impl PasswordAlgorithm {
    /// Reads a PASSWORD-ALGORITHM: a number and no parameters.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [0, 1, 0, 0] => Some(Self::Md5),
            [0, 2, 0, 0] => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Lays out one entry of PASSWORD-ALGORITHM(S).
    pub(super) fn encode(self) -> [u8; 4] {
        let [high, low] = (self as u16).to_be_bytes();
        [high, low, 0, 0]
    }
}

/// The key of a user in a realm: 16 bytes made with MD5 or 32 with SHA-256.
///
/// It is as good as the password within its realm, so it has no `Debug` and is
/// wiped when dropped. Comparing two takes constant time.
#[derive(Clone)]
pub struct LongTermKey {
    bytes: Zeroizing<[u8; 32]>,
    algorithm: PasswordAlgorithm,
}

impl LongTermKey {
    /// Takes over a key that was computed elsewhere (an "HA1"); `None` unless it
    /// has 16 or 32 bytes.
    #[must_use]
    pub fn from_bytes(key: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => PasswordAlgorithm::Md5,
            32 => PasswordAlgorithm::Sha256,
            _ => return None,
        };
        let mut bytes = Zeroizing::new([0; 32]);
        bytes[..key.len()].copy_from_slice(key);
        Some(Self { bytes, algorithm })
    }

    /// Returns the key itself, for an HMAC and never for an output.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self.algorithm {
            PasswordAlgorithm::Md5 => &self.bytes[..16],
            PasswordAlgorithm::Sha256 => &self.bytes[..],
        }
    }

    /// Returns the algorithm the key was made with.
    #[must_use]
    pub const fn algorithm(&self) -> PasswordAlgorithm {
        self.algorithm
    }
}

impl PartialEq for LongTermKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for LongTermKey {}

/// Computes the long-term key (RFC 8489 sections 18.5.1.1 and 18.5.1.2).
///
/// The standard prepares the strings with the OpaqueString profile first. That
/// changes no ASCII text; others are used as they are, so they must be given in
/// the prepared form.
#[must_use]
pub fn long_term_key(
    algorithm: PasswordAlgorithm,
    username: &str,
    realm: &str,
    password: &[u8],
) -> LongTermKey {
    let parts = [username.as_bytes(), b":", realm.as_bytes(), b":", password];
    let mut bytes = Zeroizing::new([0; 32]);
    match algorithm {
        PasswordAlgorithm::Md5 => {
            let mut context = Md5::new();
            parts.iter().for_each(|part| context.update(part));
            bytes[..16].copy_from_slice(&context.finalize());
        }
        PasswordAlgorithm::Sha256 => bytes.copy_from_slice(sha256(&parts).as_ref()),
    }
    LongTermKey { bytes, algorithm }
}

/// Computes USERHASH (RFC 8489 section 14.4); see [`long_term_key`] for text
/// that is not ASCII.
#[must_use]
pub fn user_hash(username: &str, realm: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = sha256(&[username.as_bytes(), b":", realm.as_bytes()]);
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Computes FINGERPRINT over the message in front of it, whose length field
/// already counts the attribute (RFC 8489 section 14.7).
pub(super) fn fingerprint(covered: &[u8]) -> [u8; 4] {
    // The constant is "STUN" and keeps it apart from the CRC of other protocols.
    (crc32fast::hash(covered) ^ 0x5354_554E).to_be_bytes()
}

fn sha256(parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_md5_key_is_the_one_of_the_standard() {
        // RFC 8489 section 9.2.2: user "user", realm "realm", password "pass".
        let key = long_term_key(PasswordAlgorithm::Md5, "user", "realm", b"pass");
        let expected = 0x8493_fbc5_3ba5_82fb_4c04_4c45_6bdc_40eb_u128.to_be_bytes();
        assert_eq!(key.as_bytes(), expected);
        assert_eq!(key.algorithm(), PasswordAlgorithm::Md5);
    }

    #[test]
    fn a_key_has_16_or_32_bytes() {
        assert!(LongTermKey::from_bytes(&[1; 16]).is_some());
        assert!(LongTermKey::from_bytes(&[1; 17]).is_none());
        assert!(LongTermKey::from_bytes(&[]).is_none());
        let key = LongTermKey::from_bytes(&[1; 32]).unwrap();
        assert_eq!(key.as_bytes(), [1; 32]);
        assert!(key != LongTermKey::from_bytes(&[1; 16]).unwrap());
        assert!(key == key.clone());
    }

    #[test]
    fn a_password_algorithm_has_no_parameters() {
        assert_eq!(
            PasswordAlgorithm::parse(&PasswordAlgorithm::Sha256.encode()),
            Some(PasswordAlgorithm::Sha256)
        );
        assert_eq!(PasswordAlgorithm::parse(&[0, 1, 0, 4, 1, 2, 3, 4]), None);
        assert_eq!(PasswordAlgorithm::parse(&[0, 3, 0, 0]), None);
        assert_eq!(PasswordAlgorithm::parse(&[0, 1]), None);
    }
}
