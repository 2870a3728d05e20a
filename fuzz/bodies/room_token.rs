//! Verifying a room token: any text, and any header and claims with a signature
//! that is right. What is read keeps its limits and survives being signed again.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use turnstone::auth::{ANY_ROOM, Claims, TokenKey, Tokens, is_room_name};
use turnstone::auth::{MAX_IDENTITY_LEN, MAX_NAME_LEN};
use turnstone::secret::Secret;
use turnstone::unix_time::UnixTime;

const SECRET: &str = "a secret of this fuzz target alone";
const NOW: UnixTime = UnixTime(1_700_000_000);

/// Takes a token as it is, and a header, a line break and claims to be signed.
pub(crate) fn room_token(data: &[u8]) {
    let tokens = Tokens::new(vec![TokenKey::hs256(&Secret::from(SECRET))]);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = tokens.verify(text, NOW);
        let _ = TokenKey::from_pem(text);
    }
    let end = data.iter().position(|byte| *byte == b'\n');
    let (header, rest) = data.split_at(end.unwrap_or(0));
    if let Ok(claims) = tokens.verify(&signed(header, rest), NOW) {
        check(&tokens, &claims);
    }
}

fn check(tokens: &Tokens, claims: &Claims) {
    assert!(claims.room == ANY_ROOM || is_room_name(&claims.room));
    let identity = claims.identity.as_ref().map_or(1, String::len);
    assert!((1..=MAX_IDENTITY_LEN).contains(&identity));
    let name = claims.name.as_deref().unwrap_or("Guest");
    assert!((1..=MAX_NAME_LEN).contains(&name.chars().count()));
    assert!(!name.contains(char::is_control));
    assert!(claims.max_participants != Some(0));
    assert!(claims.expires.plus(Duration::from_secs(60)) > NOW);
    let again = tokens
        .sign(claims, NOW)
        .expect("what is read can be signed");
    assert!(tokens.verify(&again, NOW).as_ref() == Ok(claims));
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}
