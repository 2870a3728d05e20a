//! The stateless nonce.
//!
//! A nonce is the RFC 8489 cookie with the security features, then the time it
//! was made and an HMAC over time, client address and realm. Checking one needs
//! nothing but the key, so a flood of unauthenticated requests costs no memory.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::stun::nonce_cookie::{self, SecurityFeatures};

/// Makes and checks nonces; all workers of a process share one key.
///
/// Address and port of the client are in it, since two ports of one address must
/// not get the same nonce (RFC 8489 section 9.2).
#[derive(Clone)]
pub struct NonceKey {
    key: hmac::Key,
    origin: Instant,
}

impl NonceKey {
    /// Makes a key from 32 random bytes; `origin` is any time before the first use.
    #[must_use]
    pub fn new(origin: Instant, random: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, random),
            origin,
        }
    }

    /// Makes the nonce for `client`: 35 bytes of ASCII.
    pub(super) fn make(
        &self,
        now: Instant,
        client: SocketAddr,
        realm: &str,
        features: SecurityFeatures,
    ) -> [u8; LEN] {
        let cookie = nonce_cookie::encode(features);
        let made = self.seconds(now).to_be_bytes();
        let mut stamp = [0; STAMP_LEN];
        stamp[..TIME_LEN].copy_from_slice(&made);
        stamp[TIME_LEN..].copy_from_slice(&self.mac(made, cookie, client, realm));
        let mut nonce = [0; LEN];
        nonce[..COOKIE_LEN].copy_from_slice(&cookie);
        URL_SAFE_NO_PAD
            .encode_slice(stamp, &mut nonce[COOKIE_LEN..])
            .expect("16 bytes are 22 characters of base64");
        nonce
    }

    /// Whether `nonce` was made by this key for `client`, at most [`LIFETIME`] ago.
    pub(super) fn is_valid(
        &self,
        now: Instant,
        client: SocketAddr,
        realm: &str,
        nonce: &[u8],
    ) -> bool {
        if nonce.len() != LEN {
            return false;
        }
        let (cookie, text) = nonce.split_at(COOKIE_LEN);
        let cookie: [u8; COOKIE_LEN] = cookie.try_into().expect("split at COOKIE_LEN");
        // One byte more than needed: the decoder estimates in whole groups of four.
        let mut stamp = [0; STAMP_LEN + 2];
        let Ok(STAMP_LEN) = URL_SAFE_NO_PAD.decode_slice(text, &mut stamp) else {
            return false;
        };
        let made: [u8; TIME_LEN] = stamp[..TIME_LEN].try_into().expect("sliced to TIME_LEN");
        let mac = self.mac(made, cookie, client, realm);
        let is_ours: bool = mac.ct_eq(&stamp[TIME_LEN..STAMP_LEN]).into();
        let age = self.seconds(now).saturating_sub(u32::from_be_bytes(made));
        is_ours && u64::from(age) <= LIFETIME.as_secs()
    }

    fn seconds(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.origin).as_secs()).unwrap_or(u32::MAX)
    }

    fn mac(
        &self,
        made: [u8; TIME_LEN],
        cookie: [u8; COOKIE_LEN],
        client: SocketAddr,
        realm: &str,
    ) -> [u8; MAC_LEN] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&made);
        context.update(&cookie);
        match client.ip() {
            IpAddr::V4(ip) => context.update(&ip.octets()),
            IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        context.update(&client.port().to_be_bytes());
        context.update(realm.as_bytes());
        context.sign().as_ref()[..MAC_LEN]
            .try_into()
            .expect("SHA-256 is longer")
    }
}

/// How long a nonce is accepted.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// Length of a nonce in bytes.
pub(super) const LEN: usize = COOKIE_LEN + 22;

const COOKIE_LEN: usize = 13;
const TIME_LEN: usize = 4;
const MAC_LEN: usize = 12;
const STAMP_LEN: usize = TIME_LEN + MAC_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: SecurityFeatures = SecurityFeatures {
        password_algorithms: true,
        username_anonymity: false,
    };
    const CLIENT: SocketAddr =
        SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 4000);

    fn key(byte: u8) -> (NonceKey, Instant) {
        let now = crate::clock::now();
        (NonceKey::new(now, &[byte; 32]), now)
    }

    #[test]
    fn a_nonce_is_accepted_until_it_is_too_old() {
        let (key, now) = key(1);
        let nonce = key.make(now, CLIENT, "realm", FEATURES);

        assert!(key.is_valid(now, CLIENT, "realm", &nonce));
        assert!(key.is_valid(now + LIFETIME, CLIENT, "realm", &nonce));
        assert!(!key.is_valid(
            now + LIFETIME + Duration::from_secs(1),
            CLIENT,
            "realm",
            &nonce
        ));
    }

    #[test]
    fn a_nonce_belongs_to_one_address_realm_and_key() {
        let (key_one, now) = key(1);
        let nonce = key_one.make(now, CLIENT, "realm", FEATURES);

        assert!(!key_one.is_valid(now, "192.0.2.2:4000".parse().unwrap(), "realm", &nonce));
        assert!(!key_one.is_valid(now, "192.0.2.1:4001".parse().unwrap(), "realm", &nonce));
        assert!(!key_one.is_valid(now, CLIENT, "other", &nonce));
        assert!(!key(2).0.is_valid(now, CLIENT, "realm", &nonce));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (key, now) = key(1);
        let nonce = key.make(now, CLIENT, "realm", FEATURES);

        for index in 0..nonce.len() {
            let mut changed = nonce;
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(
                !key.is_valid(now, CLIENT, "realm", &changed),
                "byte {index}"
            );
        }
        assert!(!key.is_valid(now, CLIENT, "realm", &nonce[..LEN - 1]));
    }
}
