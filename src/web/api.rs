//! `POST /api/v1/tokens`: room tokens for applications that hold the admin token.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::auth::{ANY_ROOM, Claims, Grants, is_room_name};
use crate::secret::Secret;
use crate::unix_time::UnixTime;

use super::reply::{Reply, private_json, problem};
use super::site::Options;

/// Judges the `Authorization` header.
///
/// # Errors
/// The answer for whoever may not do this.
pub(super) fn require_admin(options: &Options, headers: &HeaderMap) -> Result<(), Reply> {
    let Some(token) = &options.admin_token else {
        let detail = "the API is closed: admin.token is not set";
        return Err(problem(StatusCode::FORBIDDEN, detail));
    };
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| is_one_of(std::slice::from_ref(token), given)) {
        return Ok(());
    }
    let detail = "send the admin token as Authorization: Bearer TOKEN";
    let mut reply = problem(StatusCode::UNAUTHORIZED, detail);
    let scheme = HeaderValue::from_static("Bearer");
    reply.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    Err(reply)
}

/// Answers with a token as the body asks for it.
pub(super) fn create_token(
    options: &Options,
    body: &[u8],
    host: Option<&str>,
    now: UnixTime,
) -> Reply {
    if options.tokens.is_empty() {
        let detail = "there is no key to sign with: set signaling.tokens.secret";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    let asked: Asked = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("body: {error}")),
    };
    if asked.room != ANY_ROOM && !is_room_name(&asked.room) {
        let detail = "room is 1 to 64 of the characters A-Z a-z 0-9 _ . -, or * for any";
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    let ttl = asked.ttl.unwrap_or(DEFAULT_TTL);
    if !(1..=MAX_TTL).contains(&ttl) {
        let detail = "ttl is seconds, from 1 to 31536000";
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    let names = asked.grants.as_ref();
    if let Some(unknown) = names.and_then(|names| {
        let mut names = names.iter();
        names.find(|name| !Grants::NAMES.contains(&name.as_str()))
    }) {
        let detail = format!("{unknown:?} is no grant: known are publish, subscribe, moderate");
        return problem(StatusCode::BAD_REQUEST, &detail);
    }
    let grants = names.map_or(Grants::PARTICIPANT, |names| {
        Grants::of_names(names.iter().map(String::as_str))
    });
    let expires = now.plus(Duration::from_secs(ttl));
    let claims = Claims {
        room: asked.room,
        identity: asked.identity,
        name: asked.name,
        grants,
        expires,
        not_before: None,
        max_participants: asked.max_participants,
    };
    let token = match options.tokens.sign(&claims, now) {
        Ok(token) => token,
        Err(error) => return problem(StatusCode::FORBIDDEN, &error.to_string()),
    };
    let host = options.domain.as_deref().map_or(host, |domain| {
        (options.https_port == Some(443)).then_some(domain).or(host)
    });
    let url = host
        .filter(|_| claims.room != ANY_ROOM)
        .map(|host| format!("https://{host}/r/{}#token={token}", claims.room));
    let made = Made {
        token: &token,
        expires: expires.0,
        url,
    };
    private_json(StatusCode::CREATED, &made)
}

/// Compares with every secret, in a time that tells nothing.
pub(super) fn is_one_of(secrets: &[Secret], given: &[u8]) -> bool {
    secrets.iter().fold(false, |found, secret| {
        found | bool::from(secret.expose().ct_eq(given))
    })
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

/// One hour, in seconds.
const DEFAULT_TTL: u64 = 3_600;

/// One year, in seconds.
const MAX_TTL: u64 = 31_536_000;
