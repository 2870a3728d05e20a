//! `POST /api/v1/tokens`: room tokens for applications that hold the admin token.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::auth::{
    ANY_ROOM, Claims, Grants, MAX_IDENTITY_LEN, MAX_NAME_LEN, TokenError, is_room_name,
};
use crate::secret::Secret;
use crate::unix_time::UnixTime;

use super::host::Host;
use super::redirect;
use super::reply::{Refused, Reply, private_json, problem};
use super::site::Options;

/// Judges the `Authorization` header.
///
/// # Errors
/// The answer for whoever may not do this.
pub(super) fn require_admin(options: &Options, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(token) = &options.admin_token else {
        let detail = "the API is closed: admin.token is not set";
        return Err(problem(StatusCode::FORBIDDEN, detail).into());
    };
    let given = headers.get(AUTHORIZATION).and_then(bearer);
    if given.is_some_and(|given| is_one_of(std::slice::from_ref(token), given)) {
        return Ok(());
    }
    let detail = "send the admin token as Authorization: Bearer TOKEN";
    let mut reply = problem(StatusCode::UNAUTHORIZED, detail);
    let scheme = HeaderValue::from_static("Bearer");
    reply.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    Err(reply.into())
}

/// Answers with a token as the body asks for it.
pub(super) fn create_token(
    options: &Options,
    host: Option<&Host>,
    body: &[u8],
    now: UnixTime,
) -> Reply {
    if options.tokens.is_empty() {
        let detail = "there is no key to sign with: set signaling.tokens.secret";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let claims = match claims(body, now) {
        Ok(claims) => claims,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let token = match options.tokens.sign(&claims, now) {
        Ok(token) => token,
        Err(error) => {
            let status = if error == TokenError::NoSigningKey {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::BAD_REQUEST
            };
            return problem(status, &error.to_string());
        }
    };
    let origin = redirect::origin(options, host).filter(|_| claims.room != ANY_ROOM);
    let made = Made {
        // The part after # stays in the browser.
        url: origin.map(|origin| format!("{origin}/r/{}#token={token}", claims.room)),
        token: &token,
        expires: claims.expires.0,
    };
    private_json(StatusCode::CREATED, &made)
}

/// Reads what the token is to say; the error is for whoever wrote the request.
fn claims(body: &[u8], now: UnixTime) -> Result<Claims, String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| format!("body: {error}"))?;
    if asked.room != ANY_ROOM && !is_room_name(&asked.room) {
        let detail = "room is 1 to 64 of the characters A-Z a-z 0-9 _ . -, or * for any";
        return Err(detail.to_owned());
    }
    let ttl = asked.ttl.unwrap_or(DEFAULT_TTL);
    if !(1..=MAX_TTL).contains(&ttl) {
        return Err("ttl is seconds, from 1 to 31536000".to_owned());
    }
    if !asked.identity.as_deref().is_none_or(is_identity) {
        return Err(format!(
            "identity has 1 to {MAX_IDENTITY_LEN} bytes and no control characters"
        ));
    }
    if !asked.name.as_deref().is_none_or(is_shown_name) {
        return Err(format!(
            "name has 1 to {MAX_NAME_LEN} characters and no control characters"
        ));
    }
    let grants = asked
        .grants
        .as_deref()
        .map_or(Ok(Grants::PARTICIPANT), grants)?;
    Ok(Claims {
        room: asked.room,
        identity: asked.identity,
        name: asked.name,
        grants,
        expires: now.plus(Duration::from_secs(ttl)),
        not_before: None,
        max_participants: asked.max_participants,
    })
}

fn grants(names: &[String]) -> Result<Grants, String> {
    let is_unknown = |name: &&String| !Grants::NAMES.contains(&name.as_str());
    if let Some(unknown) = names.iter().find(is_unknown) {
        let known = Grants::NAMES.join(", ");
        return Err(format!("{unknown:?} is no grant: known are {known}"));
    }
    Ok(Grants::of_names(names.iter().map(String::as_str)))
}

fn is_identity(text: &str) -> bool {
    (1..=MAX_IDENTITY_LEN).contains(&text.len()) && !text.contains(char::is_control)
}

fn is_shown_name(text: &str) -> bool {
    let is_short = text.chars().count() <= MAX_NAME_LEN;
    !text.trim().is_empty() && is_short && !text.contains(char::is_control)
}

/// Compares with every secret, in a time that tells nothing.
pub(super) fn is_one_of(secrets: &[Secret], given: &[u8]) -> bool {
    // Of hashes, so that the time does not depend on the length either.
    let hash = |bytes: &[u8]| digest(&SHA256, bytes);
    let given = hash(given);
    secrets.iter().fold(false, |found, secret| {
        let is_same = hash(secret.expose()).as_ref().ct_eq(given.as_ref());
        found | bool::from(is_same)
    })
}

/// RFC 6750 section 2.1; the scheme's name may be in any case (RFC 9110 section
/// 11.1).
fn bearer(authorization: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = authorization.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then_some(token)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    room: String,
    name: Option<String>,
    identity: Option<String>,
    grants: Option<Vec<String>>,
    ttl: Option<u64>,
    max_participants: Option<u32>,
}

#[derive(Serialize)]
struct Made<'a> {
    token: &'a str,
    expires: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

const BEARER: &[u8] = b"bearer ";

/// One hour, in seconds.
const DEFAULT_TTL: u64 = 3_600;

/// One year, in seconds.
const MAX_TTL: u64 = 31_536_000;
