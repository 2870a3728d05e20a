//! The client side of the long-term credential mechanism, RFC 8489 section 9.2.
//!
//! SHA-1 and MD5 as RFC 5389 clients use them, and SHA-256 with PASSWORD-ALGORITHM
//! and USERHASH, which the `stun` crate lacks and is written out here.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use super::answer::Answer;
use super::config::Account;
use super::wire::{Draft, attribute};

/// Algorithm numbers of PASSWORD-ALGORITHM. RFC 8489 section 18.5.
pub(crate) const ALGORITHM_MD5: [u8; 4] = [0, 1, 0, 0];
/// See [`ALGORITHM_MD5`].
pub(crate) const ALGORITHM_SHA256: [u8; 4] = [0, 2, 0, 0];

/// What a client does with the same user name and password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    /// As RFC 5389: USERNAME, MD5 key, MESSAGE-INTEGRITY.
    Sha1,
    /// USERNAME, PASSWORD-ALGORITHM SHA-256, MESSAGE-INTEGRITY-SHA256.
    Sha256,
    /// USERNAME, PASSWORD-ALGORITHM MD5, MESSAGE-INTEGRITY-SHA256.
    Md5Sha256,
    /// USERHASH, PASSWORD-ALGORITHM SHA-256, MESSAGE-INTEGRITY-SHA256.
    UserHash,
}

/// Everything a client needs to sign requests and to check answers.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) account: Account,
    pub(crate) realm: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) algorithms: Vec<u8>,
    pub(crate) scheme: Scheme,
}

impl Credentials {
    /// Takes realm, nonce and algorithms from a 401 or 438.
    #[track_caller]
    pub(crate) fn new(account: Account, scheme: Scheme, challenge: &Answer) -> Self {
        let realm = challenge.attribute(attribute::REALM);
        let nonce = challenge.attribute(attribute::NONCE);
        let algorithms = challenge.attribute(attribute::PASSWORD_ALGORITHMS);
        Self {
            account,
            scheme,
            realm: realm.expect("a challenge has a REALM"),
            nonce: nonce.expect("a challenge has a NONCE"),
            algorithms: algorithms.unwrap_or_default(),
        }
    }

    /// Appends the credentials and the integrity attribute.
    pub(crate) fn sign(&self, draft: Draft) -> Draft {
        self.seal(self.identify(draft))
    }

    /// Appends everything but the integrity attribute.
    pub(crate) fn identify(&self, draft: Draft) -> Draft {
        let draft = match self.scheme {
            Scheme::UserHash => draft.with(attribute::USERHASH, &self.userhash()),
            Scheme::Sha1 | Scheme::Sha256 | Scheme::Md5Sha256 => {
                draft.with(attribute::USERNAME, self.account.username.as_bytes())
            }
        };
        let draft = draft
            .with(attribute::REALM, &self.realm)
            .with(attribute::NONCE, &self.nonce);
        match self.scheme {
            Scheme::Sha1 => draft,
            Scheme::Md5Sha256 => self.with_algorithm(draft, ALGORITHM_MD5),
            Scheme::Sha256 | Scheme::UserHash => self.with_algorithm(draft, ALGORITHM_SHA256),
        }
    }

    /// Appends the integrity attribute.
    pub(crate) fn seal(&self, draft: Draft) -> Draft {
        match self.scheme {
            Scheme::Sha1 => draft.integrity_sha1(&self.key()),
            Scheme::Sha256 | Scheme::Md5Sha256 | Scheme::UserHash => {
                self.seal_sha256(draft, SHA256_LENGTH)
            }
        }
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, cut to `length` bytes.
    pub(crate) fn seal_sha256(&self, draft: Draft, length: usize) -> Draft {
        let text = draft.bytes_announcing(4 + length);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key());
        let tag = hmac::sign(&key, &text);
        draft.with(attribute::MESSAGE_INTEGRITY_SHA256, &tag.as_ref()[..length])
    }

    /// Panics unless `answer` has the one integrity attribute it must have, and it is right.
    #[track_caller]
    pub(crate) fn assert_protects(&self, answer: &Answer) {
        let (present, absent) = match self.scheme {
            Scheme::Sha1 => (
                attribute::MESSAGE_INTEGRITY,
                attribute::MESSAGE_INTEGRITY_SHA256,
            ),
            Scheme::Sha256 | Scheme::Md5Sha256 | Scheme::UserHash => (
                attribute::MESSAGE_INTEGRITY_SHA256,
                attribute::MESSAGE_INTEGRITY,
            ),
        };
        assert!(answer.has(present), "no integrity attribute: {answer:?}");
        assert!(!answer.has(absent), "the other algorithm: {answer:?}");
        let valid = match self.scheme {
            Scheme::Sha1 => answer.has_valid_sha1(&self.key()),
            Scheme::Sha256 | Scheme::Md5Sha256 | Scheme::UserHash => self.has_valid_sha256(answer),
        };
        assert!(valid, "the integrity of the answer is wrong: {answer:?}");
    }

    /// The long-term key. RFC 8489 sections 9.2.2 and 18.5.1.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut text = self.account.username.as_bytes().to_vec();
        text.push(b':');
        text.extend(&self.realm);
        text.push(b':');
        text.extend(self.account.password.as_bytes());
        match self.scheme {
            Scheme::Sha1 | Scheme::Md5Sha256 => Md5::digest(&text).to_vec(),
            Scheme::Sha256 | Scheme::UserHash => sha256(&text),
        }
    }

    fn userhash(&self) -> Vec<u8> {
        let mut text = self.account.username.as_bytes().to_vec();
        text.push(b':');
        text.extend(&self.realm);
        sha256(&text)
    }

    fn with_algorithm(&self, draft: Draft, algorithm: [u8; 4]) -> Draft {
        draft
            .with(attribute::PASSWORD_ALGORITHMS, &self.algorithms)
            .with(attribute::PASSWORD_ALGORITHM, &algorithm)
    }

    fn has_valid_sha256(&self, answer: &Answer) -> bool {
        let tag = answer.attribute(attribute::MESSAGE_INTEGRITY_SHA256);
        let text = answer.text_protected_by(attribute::MESSAGE_INTEGRITY_SHA256);
        let (Some(tag), Some(text)) = (tag, text) else {
            return false;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key());
        hmac::verify(&key, &text, &tag).is_ok()
    }
}

/// The account of a REST user name, whose password is the base64 of its HMAC-SHA1
/// with the shared secret. draft-uberti-behave-turn-rest section 2.2.
pub(crate) fn rest_account(username: &str, secret: &str) -> Account {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let tag = hmac::sign(&key, username.as_bytes());
    Account::new(username, &BASE64_STANDARD.encode(tag))
}

/// Length of a full MESSAGE-INTEGRITY-SHA256 value.
pub(crate) const SHA256_LENGTH: usize = 32;

fn sha256(text: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, text).as_ref().to_vec()
}
