//! Makes REST credentials, the counterpart of `rest.rs`.
//!
//! For `turnstone credentials`, the HTTP interface and signaling. Anything else
//! that shares the secret makes the same ones without asking us.

use std::time::Duration;

use crate::auth::rest::RestSecret;
use crate::secret::Secret;
use crate::unix_time::UnixTime;

/// A credential to hand to a client. No `Debug`: the password is in it.
#[derive(Clone)]
pub struct Credentials {
    /// What the client sends as USERNAME.
    pub username: String,
    /// What the client computes its key from; 28 characters of base64.
    pub password: String,
    /// When the credential ends.
    pub expires: UnixTime,
}

/// Makes a credential that ends `ttl` after `now`, in whole seconds.
///
/// The username is `expiry:user`, or `expiry` alone; `user` is who quotas are
/// counted for and may hold any characters, colons too. It should be short
/// enough for the whole username to stay within 508 bytes (RFC 8489 section
/// 14.3).
#[must_use]
pub fn issue(secret: &Secret, user: Option<&str>, now: UnixTime, ttl: Duration) -> Credentials {
    let expires = now.plus(ttl);
    let username = match user {
        Some(user) => format!("{}:{user}", expires.0),
        None => expires.0.to_string(),
    };
    let password = RestSecret::new(secret).password(&username);
    let password = password.iter().map(|&byte| char::from(byte)).collect();
    Credentials {
        username,
        password,
        expires,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_names_its_end_and_its_user() {
        let secret = Secret::from("north");
        let now = UnixTime(1_699_996_400);
        let named = issue(&secret, Some("alice"), now, Duration::from_secs(3600));
        assert_eq!(named.username, "1700000000:alice");
        assert_eq!(named.password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
        assert_eq!(named.expires, UnixTime(1_700_000_000));
        let bare = issue(&secret, None, now, Duration::from_millis(3_600_999));
        assert_eq!(bare.username, "1700000000");
        assert_ne!(bare.password, named.password);
    }
}
