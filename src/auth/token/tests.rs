//! Tokens of other implementations, and tokens that must not open a room.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::auth::claims::MAX_NAME_LEN;
use crate::auth::token_key::TokenKeyError;
use crate::secret::Secret;

const NOW: UnixTime = UnixTime(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const SECRET: &str = "q3v0cX2l7R8nJm4TtY6wZs1aKf5hUe9i";

/// The key of RFC 8037 appendix A.1, in PKCS #8 and SubjectPublicKeyInfo.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

/// Made once with: openssl genpkey -algorithm ed25519
const OTHER_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOyMCg1zS702Go4M3SciqoZIeTSVKc6TyAntU7Zx3FUG
-----END PRIVATE KEY-----
";

/// By `jsonwebtoken` 9 for Node: `jwt.sign({ room, name, grants,
/// max_participants, iat }, SECRET, { subject, expiresIn: "1h" })`.
const OF_NODE: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb29tIjoidGVhbSIsIm5hbWUiOiJBbm4iLCJncmFudHMiOlsicHVibGlzaCIsInN1YnNjcmliZSIsIm1vZGVyYXRlIl0sIm1heF9wYXJ0aWNpcGFudHMiOjIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJzdWIiOiJhbm5AZXhhbXBsZS5vcmcifQ.OzDxeICwggNl2ZJwfY4wkTwCV_rvlEUsT0zekUS0BVw";

/// By `PyJWT` 2.15 with `PRIVATE`: `jwt.encode({"room": "*", "sub": "bot-1",
/// "grants": ["subscribe"], "exp": 1700003600.5}, PRIVATE, algorithm="EdDSA")`.
const OF_PYTHON: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJyb29tIjoiKiIsInN1YiI6ImJvdC0xIiwiZ3JhbnRzIjpbInN1YnNjcmliZSJdLCJleHAiOjE3MDAwMDM2MDAuNX0.M-A3IHhoXwoZW85s7YKof_T063RcJVIqfhkCErFM-wgqSaUyu3T41Q-F2jNbE4rkr9-fgJSb115agcHmqR2yCw";

/// `{"alg":"HS256"}` and `{"room":"team","exp":1700003600}`, signed by:
/// `printf %s "$header.$payload" | openssl dgst -sha256 -hmac "$SECRET" -binary
/// | basenc --base64url`.
const OF_OPENSSL: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoidGVhbSIsImV4cCI6MTcwMDAwMzYwMH0.ZG9Lj3VHrFo2PJz0A31KKP8T7rn-CjEPi4XAx_kGY0k";

/// By `jsonwebtoken` for Node, with the algorithm "none".
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJyb29tIjoidGVhbSIsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzk1NTQ2NTI3fQ.";

/// By `jsonwebtoken` for Node with SECRET, but HS512.
const OF_HS512: &str = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJyb29tIjoidGVhbSIsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwfQ.KBcrwJ9Bc9Dk06f__TiLeMllkMuT0P8PViTtyW-8kT-9igb0i8ItZR2CbThgvjRrDf5piuSamuyA_Bv6O6H-7Q";

/// By `PyJWT` with RS256 and a key of its own.
const OF_RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb29tIjoidGVhbSIsImV4cCI6MTcwMDAwMzYwMH0.vxvMay4_bwcuH87Y7AJgoPvpNPPIvOzuCtAGWZhi-OhLKFoIpoD9wqH0NP4MbXr-thBHLE8SIkiCMWDiS9tE0w1VA3q-7t4yHgF04imw9t7lH_ExVNTtyASKBA-5HJCkQkXEfTEVf_kbobgZzuXCQOOYrwskDC381ZB3rhZaZXMz8jM4v1urH4Hj_FAV_DzwxNtEEhLEIdjBiLCl4ErpxuP64Sy4w1mBVkaO7oRXeVtv6toDgaSX9864OueO-U5cXPUyyu-JAkRE-sxDta-2LC1QqI_mpNqJKrQ3rqaR0N8ymNse1C-Jy8fst7_8eIoxMezsJuTUrIIGZz58R5uprQ";

#[test]
fn tokens_of_other_programs_are_read() {
    let ann = secret_tokens().verify(OF_NODE, NOW).unwrap();
    assert_eq!(
        ann,
        Claims {
            room: "team".to_owned(),
            identity: Some("ann@example.org".to_owned()),
            name: Some("Ann".to_owned()),
            grants: Grants::of_names(Grants::NAMES),
            expires: NOW.plus(HOUR),
            not_before: None,
            max_participants: Some(2),
        }
    );
    let bare = secret_tokens().verify(OF_OPENSSL, NOW).unwrap();
    assert_eq!(bare.grants, Grants::PARTICIPANT);
    assert_eq!((bare.identity, bare.name), (None, None));

    for key in [PRIVATE, PUBLIC] {
        let bot = pem_tokens(&[key]).verify(OF_PYTHON, NOW).unwrap();
        assert!(bot.opens("team") && bot.opens("other"));
        assert_eq!(bot.grants.names(), ["subscribe"]);
        assert_eq!(bot.expires, NOW.plus(HOUR), "the fraction is cut");
    }
}

#[test]
fn what_is_signed_is_read_again() {
    let claims = Claims {
        room: "team".to_owned(),
        identity: Some("ann".to_owned()),
        name: Some("Ann \u{1f98a}".to_owned()),
        grants: Grants::NONE,
        expires: NOW.plus(HOUR),
        not_before: Some(NOW),
        max_participants: Some(3),
    };
    for tokens in [secret_tokens(), pem_tokens(&[PRIVATE])] {
        let token = tokens.sign(&claims, NOW).unwrap();
        assert_eq!(tokens.verify(&token, NOW).unwrap(), claims);
    }
    assert!(claims.opens("team") && !claims.opens("Team"));
}

#[test]
fn time_decides_with_the_leeway() {
    let tokens = secret_tokens();
    let at = |token: &str, seconds| tokens.verify(token, UnixTime(seconds)).err();
    let end = 1_700_003_600 + LEEWAY;
    assert_eq!(at(OF_OPENSSL, end - 1), None);
    assert_eq!(at(OF_OPENSSL, end), Some(TokenError::Expired));
    assert_eq!(at(OF_OPENSSL, u64::MAX), Some(TokenError::Expired));
    for claim in ["nbf", "iat"] {
        let payload = format!(r#"{{"room":"r","exp":1700003600,"{claim}":1700000000}}"#);
        let token = token(HS256, &payload);
        let begin = 1_700_000_000 - LEEWAY;
        assert_eq!(at(&token, begin), None, "{claim}");
        assert_eq!(at(&token, begin - 1), Some(TokenError::NotYetValid));
    }
    let forever = token(HS256, r#"{"room":"r","exp":1e300}"#);
    assert_eq!(at(&forever, u64::MAX - 1), None);
    assert_eq!(at(&forever, u64::MAX), Some(TokenError::Expired));
}

#[test]
fn other_algorithms_are_refused_whatever_the_keys() {
    let confused = signed_with(PUBLIC.as_bytes(), HS256, PAYLOAD);
    let both = Tokens::new(vec![secret_key(SECRET), pem_key(PUBLIC)]);
    for (name, token) in [
        ("RS256", OF_RS256),
        ("HS512", OF_HS512),
        ("none", UNSIGNED),
        ("an HMAC of the public key", &confused),
    ] {
        for tokens in [&secret_tokens(), &pem_tokens(&[PUBLIC]), &both] {
            let error = tokens.verify(token, NOW).unwrap_err();
            let expected = [
                TokenError::UnknownAlgorithm,
                TokenError::Malformed,
                TokenError::WrongSignature,
            ];
            assert!(expected.contains(&error), "{name}: {error:?}");
        }
    }
    let error = |tokens: Tokens, token| tokens.verify(token, NOW).unwrap_err();
    let unknown = TokenError::UnknownAlgorithm;
    assert_eq!(error(pem_tokens(&[PUBLIC]), &confused), unknown);
    assert_eq!(error(secret_tokens(), OF_RS256), unknown);
    assert_eq!(error(secret_tokens(), OF_PYTHON), unknown);
    assert_eq!(error(Tokens::new(Vec::new()), OF_NODE), unknown);
}

#[test]
fn tampered_and_foreign_tokens_are_refused() {
    let error = |tokens: &Tokens, token: &str| tokens.verify(token, NOW).unwrap_err();
    let wrong = TokenError::WrongSignature;
    let [header, payload, signature]: [&str; 3] = parts(OF_NODE);
    let other = URL_SAFE_NO_PAD.encode(r#"{"room":"*","exp":9999999999}"#);
    let forged = format!("{header}.{other}.{signature}");
    assert_eq!(error(&secret_tokens(), &forged), wrong);
    let cut = format!("{header}.{payload}.{}", &signature[..40]);
    assert_eq!(error(&secret_tokens(), &cut), wrong);
    assert_eq!(
        error(&secret_tokens(), &format!("{header}.{payload}.")),
        wrong
    );
    let others = Tokens::new(vec![secret_key("another secret")]);
    assert_eq!(error(&others, OF_NODE), wrong);
    assert_eq!(error(&pem_tokens(&[OTHER_PRIVATE]), OF_PYTHON), wrong);
}

#[test]
fn what_is_no_token_is_refused() {
    let padded = format!("{OF_OPENSSL}=");
    let critical = token(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, PAYLOAD);
    let twice = token(HS256, r#"{"room":"r","exp":1,"exp":1700003600}"#);
    for text in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "\u{e9}.\u{e9}.\u{e9}",
        &padded,
        &critical,
        &twice,
        &token(HS256, "[]"),
        &token(HS256, "\"room\""),
        &token("{}", PAYLOAD),
        &token(r#"{"alg":7}"#, PAYLOAD),
    ] {
        let error = secret_tokens().verify(text, NOW).unwrap_err();
        assert_eq!(error, TokenError::Malformed, "{text}");
    }
}

#[test]
fn a_token_is_as_long_as_allowed_and_no_longer() {
    let with = |blanks: usize| {
        let blanks = " ".repeat(blanks);
        token(HS256, &format!("{PAYLOAD}{blanks}"))
    };
    // Three bytes are four characters.
    let longest = (0..4096)
        .rev()
        .map(with)
        .find(|token| token.len() <= MAX_TOKEN_LEN)
        .unwrap();
    assert_eq!(longest.len(), MAX_TOKEN_LEN);
    assert!(secret_tokens().verify(&longest, NOW).is_ok());
    let error = secret_tokens().verify(&format!("{longest}A"), NOW);
    assert_eq!(error.unwrap_err(), TokenError::TooLong);
}

#[test]
fn claims_of_a_wrong_kind_are_named() {
    for (payload, claim) in [
        (r#"{"exp":1700003600}"#, "room"),
        (r#"{"room":null,"exp":1700003600}"#, "room"),
        (r#"{"room":"","exp":1700003600}"#, "room"),
        (r#"{"room":"a b","exp":1700003600}"#, "room"),
        (r#"{"room":["r"],"exp":1700003600}"#, "room"),
        (r#"{"room":"r"}"#, "exp"),
        (r#"{"room":"r","exp":"1700003600"}"#, "exp"),
        (r#"{"room":"r","exp":-1}"#, "exp"),
        (r#"{"room":"r","exp":1700003600,"nbf":"now"}"#, "nbf"),
        (r#"{"room":"r","exp":1700003600,"iat":{}}"#, "iat"),
        (r#"{"room":"r","exp":1700003600,"sub":7}"#, "sub"),
        (r#"{"room":"r","exp":1700003600,"name":7}"#, "name"),
        (r#"{"room":"r","exp":1700003600,"grants":"all"}"#, "grants"),
        (
            r#"{"room":"r","exp":1700003600,"max_participants":0}"#,
            "max_participants",
        ),
        (
            r#"{"room":"r","exp":1700003600,"max_participants":1.5}"#,
            "max_participants",
        ),
    ] {
        let error = secret_tokens().verify(&token(HS256, payload), NOW);
        assert_eq!(error.unwrap_err(), TokenError::WrongClaim(claim));
    }
    let long = format!(
        r#"{{"room":"r","exp":1700003600,"sub":"{}"}}"#,
        "x".repeat(257)
    );
    let error = secret_tokens().verify(&token(HS256, &long), NOW);
    assert_eq!(error.unwrap_err(), TokenError::WrongClaim("sub"));
}

#[test]
fn what_is_not_known_or_empty_does_no_harm() {
    let name = "n".repeat(200);
    let payload = format!(
        r#"{{"room":"r","exp":1700003600,"nbf":null,"sub":"","name":"{name}",
            "grants":["moderate","fly",7,null],"aud":"x","iss":["y"],"video":{{"a":[1]}}}}"#
    );
    let claims = secret_tokens().verify(&token(HS256, &payload), NOW);
    let claims = claims.unwrap();
    assert_eq!(claims.identity, None);
    assert_eq!(claims.name.map(|name| name.len()), Some(MAX_NAME_LEN));
    assert_eq!(claims.grants.names(), ["moderate"]);
}

#[test]
fn several_keys_serve_a_rotation() {
    let old = secret_key("the secret of last year, long enough");
    let new = secret_key(SECRET);
    let claims = claims();
    let by_old = Tokens::new(vec![old.clone()]).sign(&claims, NOW).unwrap();
    let both = Tokens::new(vec![new.clone(), old]);
    assert!(both.verify(&by_old, NOW).is_ok());
    let by_both = both.sign(&claims, NOW).unwrap();
    let only_new = Tokens::new(vec![new]);
    assert!(
        only_new.verify(&by_both, NOW).is_ok(),
        "the first key signs"
    );
    let error = only_new.verify(&by_old, NOW).unwrap_err();
    assert_eq!(error, TokenError::WrongSignature);
}

#[test]
fn a_key_that_only_verifies_leaves_signing_to_the_next() {
    let only_public = pem_tokens(&[PUBLIC]);
    let error = only_public.sign(&claims(), NOW).unwrap_err();
    assert_eq!(error, TokenError::NoSigningKey);
    let mixed = Tokens::new(vec![pem_key(PUBLIC), secret_key(SECRET)]);
    let token = mixed.sign(&claims(), NOW).unwrap();
    assert!(secret_tokens().verify(&token, NOW).is_ok());
    assert!(!mixed.is_empty() && Tokens::new(Vec::new()).is_empty());
}

#[test]
fn the_key_id_is_the_thumbprint_and_picks_the_key() {
    let signer = pem_tokens(&[PRIVATE]);
    let token = signer.sign(&claims(), NOW).unwrap();
    let header = decode_header(&token).unwrap();
    // RFC 8037 appendix A.3.
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(header.kid.as_deref(), Some(thumbprint));
    let several = pem_tokens(&[OTHER_PRIVATE, PUBLIC]);
    assert!(several.verify(&token, NOW).is_ok());
    // With an id, only that key is tried; with one that nobody has, all are.
    let of_other = |kid: &str| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        let other = pem_key(OTHER_PRIVATE).signing.unwrap();
        encode(&header, &write(&claims(), NOW), &other).unwrap()
    };
    let error = several.verify(&of_other(thumbprint), NOW).unwrap_err();
    assert_eq!(error, TokenError::WrongSignature);
    assert!(several.verify(&of_other("mine"), NOW).is_ok());
}

#[test]
fn what_would_be_refused_is_not_signed() {
    let tokens = secret_tokens();
    let sign = |claims: &Claims| tokens.sign(claims, NOW).unwrap_err();
    let room = "a b".to_owned();
    let error = sign(&Claims { room, ..claims() });
    assert_eq!(error, TokenError::WrongClaim("room"));
    let name = Some("n".repeat(4000));
    let error = sign(&Claims { name, ..claims() });
    assert_eq!(error, TokenError::TooLong);
}

#[test]
fn a_pem_text_is_an_ed25519_key_or_refused() {
    let error = |text: &str| TokenKey::from_pem(text).err().unwrap();
    assert_eq!(error(""), TokenKeyError::NoKey);
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(error(certificate), TokenKeyError::NoKey);
    assert_eq!(
        error(&PRIVATE.replace("MC4C", "M!4C")),
        TokenKeyError::Damaged
    );
    assert_eq!(error(&PUBLIC[..60]), TokenKeyError::Damaged);
    let p256 = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgN7UeMWTkxFYFRJLM
OlvG8JSe1Aj8EPUn1qqqTrDZtzOhRANCAARTZxwEqBYs2PykqKLw5r/+yG/eyHPA
IqXBOQz9nmJaIZnlB7LkEP7PyljjHAJvRu1gx03K5ehkpaE1okeiaesp
-----END PRIVATE KEY-----
";
    assert_eq!(error(p256), TokenKeyError::NotEd25519);
    let short = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n";
    assert_eq!(error(short), TokenKeyError::NotEd25519);
    assert!(pem_key(PRIVATE).can_sign() && !pem_key(PUBLIC).can_sign());
}

fn claims() -> Claims {
    Claims {
        room: "team".to_owned(),
        identity: None,
        name: None,
        grants: Grants::PARTICIPANT,
        expires: NOW.plus(HOUR),
        not_before: None,
        max_participants: None,
    }
}

fn secret_tokens() -> Tokens {
    Tokens::new(vec![secret_key(SECRET)])
}

fn pem_tokens(keys: &[&str]) -> Tokens {
    Tokens::new(keys.iter().map(|key| pem_key(key)).collect())
}

fn secret_key(secret: &str) -> TokenKey {
    TokenKey::hs256(&Secret::from(secret))
}

fn pem_key(text: &str) -> TokenKey {
    TokenKey::from_pem(text).unwrap()
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const PAYLOAD: &str = r#"{"room":"team","exp":1700003600}"#;

/// Signs any text with `SECRET`, without the JWT library.
fn token(header: &str, payload: &str) -> String {
    signed_with(SECRET.as_bytes(), header, payload)
}

fn signed_with(secret: &[u8], header: &str, payload: &str) -> String {
    let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{payload}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}
