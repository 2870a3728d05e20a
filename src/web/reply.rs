//! Answers, problems among them (RFC 9457).

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body as _;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Every body here is small and at hand.
pub(super) type Reply = Response<Full<Bytes>>;

/// The answer to a request that goes no further.
pub(super) type Refused = Box<Reply>;

/// Makes an answer with a body.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

/// Makes an answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

/// Makes an answer to GET one to HEAD (RFC 9110 section 9.3.2): the length stays.
pub(super) fn leave_body_out(reply: &mut Reply) {
    let len = reply.body().size_hint().lower();
    if len > 0 {
        reply.headers_mut().insert(CONTENT_LENGTH, len.into());
        *reply.body_mut() = Full::default();
    }
}

/// Answers OPTIONS (RFC 9110 section 9.3.7).
pub(super) fn options(allowed: &'static str) -> Reply {
    let mut reply = empty(StatusCode::NO_CONTENT);
    let allowed = HeaderValue::from_static(allowed);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

/// Makes a JSON answer that nobody may keep: there are credentials in it.
pub(super) fn private_json(status: StatusCode, body: &impl Serialize) -> Reply {
    let text = serde_json::to_string(body).expect("strings and numbers, which always serialize");
    let mut reply = reply(status, "application/json", text);
    let no_store = HeaderValue::from_static("no-store");
    reply.headers_mut().insert(CACHE_CONTROL, no_store);
    reply
}

/// Says what is wrong and what to do about it.
pub(super) fn problem(status: StatusCode, detail: &str) -> Reply {
    let body = Problem {
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
    };
    let text = serde_json::to_string(&body).expect("strings and numbers, which always serialize");
    let mut reply = reply(status, "application/problem+json", text);
    let no_store = HeaderValue::from_static("no-store");
    reply.headers_mut().insert(CACHE_CONTROL, no_store);
    reply
}

/// Answers a method that is not for this path (RFC 9110 section 15.5.6).
pub(super) fn wrong_method(allowed: &'static str) -> Reply {
    let detail = format!("this path takes {allowed}");
    let mut reply = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
    let allowed = HeaderValue::from_static(allowed);
    reply.headers_mut().insert(ALLOW, allowed);
    reply
}

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}
