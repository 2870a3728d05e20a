//! From a request to a WebSocket (RFC 6455 section 4.2).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, StatusCode, Version};

use super::headers::is_welcome;
use super::host::Host;
use super::reply::{Refused, Reply, empty, problem, wrong_method};
use super::site::Options;

/// Judges a handshake, and answers it.
///
/// # Errors
/// The answer for a request that is no handshake, or from a page that may not.
pub(super) fn accept<B>(
    options: &Options,
    host: Option<&Host>,
    request: &Request<B>,
    subprotocol: Option<&'static str>,
) -> Result<Reply, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(wrong_method("GET").into());
    }
    let is_asked = request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !is_asked {
        let detail = "this is a WebSocket: open it with one, over HTTP/1.1";
        let mut reply = problem(StatusCode::UPGRADE_REQUIRED, detail);
        // RFC 9113 section 8.2.2: HTTP/2 has no such header.
        if request.version() < Version::HTTP_2 {
            let websocket = HeaderValue::from_static("websocket");
            reply.headers_mut().insert(UPGRADE, websocket);
        }
        return Err(reply.into());
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        // RFC 6455 section 4.4
        let mut reply = problem(StatusCode::UPGRADE_REQUIRED, "the WebSocket version is 13");
        let version = HeaderValue::from_static("13");
        reply.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        return Err(reply.into());
    }
    let Some(key) = key(headers) else {
        let detail = "Sec-WebSocket-Key is missing, or is not 16 bytes in base64";
        return Err(problem(StatusCode::BAD_REQUEST, detail).into());
    };
    if !is_welcome(options, headers, host) {
        let detail = "pages of this origin may not connect: add it to signaling.origins";
        return Err(problem(StatusCode::FORBIDDEN, detail).into());
    }
    let mut reply = empty(StatusCode::SWITCHING_PROTOCOLS);
    if let Some(subprotocol) = subprotocol
        && headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
    {
        if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, subprotocol) {
            let detail = format!("the subprotocol here is {subprotocol}");
            return Err(problem(StatusCode::BAD_REQUEST, &detail).into());
        }
        let subprotocol = HeaderValue::from_static(subprotocol);
        reply
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    for (name, value) in [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept_key(key)),
    ] {
        reply.headers_mut().insert(name, value);
    }
    Ok(reply)
}

/// Returns the client's key as it wrote it.
fn key(headers: &HeaderMap) -> Option<&[u8]> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let decoded = STANDARD.decode(key).ok()?;
    (decoded.len() == KEY_LEN).then_some(key)
}

/// Shows that we speak WebSocket (RFC 6455 section 4.2.2, step 5.4).
fn accept_key(key: &[u8]) -> HeaderValue {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.finish());
    HeaderValue::from_str(&accept).expect("base64 is visible ASCII")
}

/// Whether a comma-separated header has this word, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// RFC 6455 section 4.2.1, step 5.
const KEY_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_accepted_as_it_says() {
        // RFC 6455 section 1.3
        let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
