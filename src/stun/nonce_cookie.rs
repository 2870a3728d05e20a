//! The start of a NONCE that says what the server can do (RFC 8489 section 9.2).
//!
//! A server of RFC 8489 starts its nonces with `obMatJos2` and 24 bits in
//! base64, so that a client notices when somebody on the way took
//! PASSWORD-ALGORITHMS out of a challenge. What follows these 13 bytes is the
//! server's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Length of the nonce cookie and the security feature set.
pub const LEN: usize = 13;

/// What the server tells in its nonces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SecurityFeatures {
    /// PASSWORD-ALGORITHMS is offered and PASSWORD-ALGORITHM understood.
    pub password_algorithms: bool,
    /// USERHASH is understood in place of USERNAME.
    pub username_anonymity: bool,
}

/// Returns the 13 bytes a nonce starts with.
#[must_use]
pub fn encode(features: SecurityFeatures) -> [u8; LEN] {
    let mut bits = 0;
    if features.password_algorithms {
        bits |= PASSWORD_ALGORITHMS;
    }
    if features.username_anonymity {
        bits |= USERNAME_ANONYMITY;
    }
    let mut nonce = [0; LEN];
    nonce[..COOKIE.len()].copy_from_slice(COOKIE);
    STANDARD
        .encode_slice([0, 0, bits], &mut nonce[COOKIE.len()..])
        .expect("three bytes are four base64 characters");
    nonce
}

/// Reads the security features from a nonce; bits that are not assigned are
/// ignored. `None` when the nonce has no cookie, as before RFC 8489.
#[must_use]
pub fn decode(nonce: &[u8]) -> Option<SecurityFeatures> {
    let encoded = nonce.strip_prefix(COOKIE)?.first_chunk::<4>()?;
    let mut bits = [0; 3];
    if STANDARD.decode_slice(encoded, &mut bits).ok()? != bits.len() {
        return None;
    }
    Some(SecurityFeatures {
        password_algorithms: bits[2] & PASSWORD_ALGORITHMS != 0,
        username_anonymity: bits[2] & USERNAME_ANONYMITY != 0,
    })
}

const COOKIE: &[u8; 9] = b"obMatJos2";

// RFC 8489 section 18.1 as published counts the bits from the left; erratum
// 6290 (verified) corrects that to the right: bit 0 is the least significant of
// the 24. The example in appendix B.1 agrees ("AAAC" for username anonymity).
const PASSWORD_ALGORITHMS: u8 = 1 << 0;
const USERNAME_ANONYMITY: u8 = 1 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_has_the_bits_of_the_registry() {
        let text = |password_algorithms, username_anonymity| {
            encode(SecurityFeatures {
                password_algorithms,
                username_anonymity,
            })
        };
        assert_eq!(&text(false, false), b"obMatJos2AAAA");
        assert_eq!(&text(true, false), b"obMatJos2AAAB");
        assert_eq!(&text(false, true), b"obMatJos2AAAC");
        assert_eq!(&text(true, true), b"obMatJos2AAAD");
    }

    #[test]
    fn features_are_read_from_a_longer_nonce() {
        // The nonce of RFC 8489 appendix B.1.
        assert_eq!(
            decode(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"),
            Some(SecurityFeatures {
                password_algorithms: false,
                username_anonymity: true,
            })
        );
        assert_eq!(decode(b"obMatJos2////"), decode(b"obMatJos2AAAD"));
    }

    #[test]
    fn a_nonce_without_the_cookie_says_nothing() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"f//499k954d6OL34oL9FSTvy64sA"), None);
        assert_eq!(decode(b"obMatJos2AAA"), None);
        assert_eq!(decode(b"obMatJos2A==="), None);
        assert_eq!(decode(b"obMatJos2AA=="), None);
        assert_eq!(decode(b"obMatJos2!!!!"), None);
    }
}
