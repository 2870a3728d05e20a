//! REST credentials: a username that carries its own end, and a password that
//! whoever shares the secret can compute (draft-uberti-behave-turn-rest).
//!
//! Owns the forms of the username and the computation. Whether a credential has
//! ended is asked elsewhere, at Allocate and Refresh.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::stun::{LongTermKey, PasswordAlgorithm, long_term_key};
use crate::unix_time::UnixTime;

/// What a REST username says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RestUsername<'a> {
    /// When the credential ends.
    pub(super) expires: UnixTime,
    /// Whom it was given to: what is left without the expiry and its colon, or
    /// the whole username when nothing is.
    pub(super) user: &'a str,
}

impl<'a> RestUsername<'a> {
    /// Reads a username of one of these forms, tried in this order:
    ///
    /// 1. `expiry`: nothing but digits;
    /// 2. `expiry:user`: digits before the first colon;
    /// 3. `user:expiry`: digits after the last colon.
    ///
    /// So with digits on both sides the first part is the expiry. Digits are 0
    /// to 9, at least one; an expiry beyond 64 bits is none.
    pub(super) fn parse(username: &'a str) -> Option<Self> {
        if let Some(expires) = parse_expiry(username) {
            return Some(Self {
                expires,
                user: username,
            });
        }
        let expiry_first = username
            .split_once(':')
            .and_then(|(expiry, user)| Some((parse_expiry(expiry)?, user)));
        let (expires, user) = expiry_first.or_else(|| {
            let (user, expiry) = username.rsplit_once(':')?;
            Some((parse_expiry(expiry)?, user))
        })?;
        let user = if user.is_empty() { username } else { user };
        Some(Self { expires, user })
    }
}

/// A secret shared with whoever hands out credentials.
///
/// Holds the state of the HMAC with the key already in it.
pub(super) struct RestSecret(hmac::Key);

impl RestSecret {
    pub(super) fn new(secret: &Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose());
        Self(key)
    }

    /// Computes the password of a username: its HMAC-SHA1 in base64.
    pub(super) fn password(&self, username: &str) -> Zeroizing<[u8; PASSWORD_LEN]> {
        let tag = hmac::sign(&self.0, username.as_bytes());
        let mut password = Zeroizing::new([0; PASSWORD_LEN]);
        STANDARD
            .encode_slice(tag, &mut password[..])
            .expect("20 bytes are 28 base64 characters");
        password
    }

    /// Computes the long-term key of a username.
    pub(super) fn key(
        &self,
        algorithm: PasswordAlgorithm,
        username: &str,
        realm: &str,
    ) -> LongTermKey {
        let password = self.password(username);
        long_term_key(algorithm, username, realm, &password[..])
    }
}

fn parse_expiry(text: &str) -> Option<UnixTime> {
    // `parse` alone would take a plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(UnixTime)
}

/// Length of 20 bytes in base64.
const PASSWORD_LEN: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_username_gives_expiry_and_user() {
        for (username, expires, user) in [
            ("1700000000", 1_700_000_000, "1700000000"),
            ("1700000000:alice", 1_700_000_000, "alice"),
            ("alice:1700000000", 1_700_000_000, "alice"),
            ("1700000000:42", 1_700_000_000, "42"),
            ("1700000000:a:b", 1_700_000_000, "a:b"),
            ("a:b:1700000000", 1_700_000_000, "a:b"),
            ("1700000000:a:42", 1_700_000_000, "a:42"),
            ("1700000000:", 1_700_000_000, "1700000000:"),
            (":1700000000", 1_700_000_000, ":1700000000"),
            ("0:", 0, "0:"),
            ("18446744073709551615", u64::MAX, "18446744073709551615"),
            ("99999999999999999999:7", 7, "99999999999999999999"),
            ("1700000000:\u{e9}", 1_700_000_000, "\u{e9}"),
        ] {
            let expires = UnixTime(expires);
            let parsed = RestUsername::parse(username);
            assert_eq!(parsed, Some(RestUsername { expires, user }), "{username}");
        }
    }

    #[test]
    fn other_usernames_have_no_expiry() {
        for username in [
            "",
            ":",
            "alice",
            "alice:bob",
            "alice:1700:bob",
            "+1700:alice",
            "-1",
            "1700 :alice",
            "17e3",
            "18446744073709551616",
            "\u{664}\u{662}:alice",
        ] {
            assert_eq!(RestUsername::parse(username), None, "{username}");
        }
    }

    #[test]
    fn the_password_is_the_one_others_compute() {
        // printf 1700000000:alice | openssl dgst -sha1 -hmac north -binary | base64
        let secret = RestSecret::new(&Secret::from("north"));
        let password = secret.password("1700000000:alice");
        assert_eq!(password[..], *b"Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    }
}
