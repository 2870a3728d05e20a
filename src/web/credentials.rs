//! `GET /turn/credentials`: TURN credentials for other servers
//! (draft-uberti-behave-turn-rest-00, as Janus and others ask for it).

use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use crate::auth;
use crate::secret::Secret;
use crate::unix_time::UnixTime;

use super::api::is_one_of;
use super::reply::{Reply, private_json, problem};

/// What it takes to hand out credentials.
pub struct TurnAccess {
    /// Who may ask.
    pub api_keys: Vec<Secret>,
    /// Signs them.
    pub secret: Option<Secret>,
    /// How long they are good.
    pub ttl: Duration,
    /// `stun:` URLs.
    pub stun_urls: Vec<String>,
    /// `turn:` and `turns:` URLs.
    pub turn_urls: Vec<String>,
}

/// Answers a request whose parameters are `query`.
pub(super) fn issue(access: &TurnAccess, query: &str, now: UnixTime) -> Reply {
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "service" => asked.service = Some(value.into_owned()),
            "username" => asked.username = Some(value.into_owned()),
            "key" | "api" => asked.key = Some(value.into_owned()),
            _ => {}
        }
    }
    let (Some(secret), false) = (&access.secret, access.api_keys.is_empty()) else {
        let detail = "this server hands out no credentials: turn.rest.api_keys or \
                      turn.rest.secrets is not set";
        return problem(StatusCode::FORBIDDEN, detail);
    };
    let key = asked.key.unwrap_or_default();
    if !is_one_of(&access.api_keys, key.as_bytes()) {
        let detail = "the parameter key is missing, or is none of turn.rest.api_keys";
        return problem(StatusCode::FORBIDDEN, detail);
    }
    if asked.service.is_some_and(|service| service != "turn") {
        return problem(StatusCode::BAD_REQUEST, "the only service is turn");
    }
    let username = asked.username.filter(|name| !name.is_empty());
    let is_usable = |name: &String| name.len() <= MAX_USERNAME && !name.contains(char::is_control);
    if !username.iter().all(is_usable) {
        let detail = "username has at most 256 bytes and no control characters";
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    let issued = auth::issue(secret, username.as_deref(), now, access.ttl);
    let (username, password) = (issued.username.as_str(), issued.password.as_str());
    let stun = (!access.stun_urls.is_empty()).then(|| IceServer {
        urls: &access.stun_urls,
        username: None,
        credential: None,
    });
    let turn = IceServer {
        urls: &access.turn_urls,
        username: Some(username),
        credential: Some(password),
    };
    let body = Body {
        username,
        password,
        ttl: access.ttl.as_secs(),
        uris: &access.turn_urls,
        ice_servers: stun.into_iter().chain([turn]).collect(),
    };
    private_json(StatusCode::OK, &body)
}

#[derive(Default)]
struct Asked {
    service: Option<String>,
    username: Option<String>,
    key: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    username: &'a str,
    password: &'a str,
    ttl: u64,
    uris: &'a [String],
    #[serde(rename = "iceServers")]
    ice_servers: Vec<IceServer<'a>>,
}

#[derive(Serialize)]
struct IceServer<'a> {
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

/// Leaves room for the expiry within 508 bytes (RFC 8489 section 14.3).
const MAX_USERNAME: usize = 256;
