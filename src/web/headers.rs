//! Headers of every answer, and who may ask from another web site.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};

use super::host::Host;
use super::reply::{Reply, options as options_reply};
use super::site::Options;

/// Adds what keeps a page to itself.
pub(super) fn secure(reply: &mut Reply, options: &Options, host: Option<&Host>, is_tls: bool) {
    let headers = reply.headers_mut();
    // Browsers differ in whether 'self' includes WebSockets of the same host.
    let socket = host.map_or_else(String::new, |host| format!(" wss://{}", host.as_str()));
    let ancestors: String = options
        .origins
        .iter()
        .map(|origin| format!(" {origin}"))
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; connect-src 'self'{socket}; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'self'{ancestors}"
    );
    let policy = HeaderValue::from_str(&policy);
    let policy = policy.expect("hosts and origins were read as such, so they are visible ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // RFC 6797 section 7.2: never over plain HTTP.
    if options.is_trusted && is_tls {
        let one_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, one_year);
    }
}

/// Lets every page read the answer: there is nothing in it that depends on who asks.
pub(super) fn allow_all(reply: &mut Reply) {
    let any = HeaderValue::from_static("*");
    reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
}

/// Lets pages of the listed origins read the answer.
pub(super) fn allow_listed(reply: &mut Reply, options: &Options, asked: &HeaderMap) {
    let headers = reply.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    let origin = asked.get(ORIGIN);
    if let Some(origin) = origin.filter(|origin| is_listed(options, origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// Answers the question before a request (Fetch standard, CORS-preflight).
pub(super) fn preflight(allowed: &'static str) -> Reply {
    let mut reply = options_reply(allowed);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, allowed),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        let value = HeaderValue::from_static(value);
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// Whether a WebSocket may be opened: browsers name the page's origin, and do
/// not stop a foreign page themselves (RFC 6455 section 10.2). Programs that are
/// no browsers name none.
pub(super) fn is_welcome(options: &Options, asked: &HeaderMap, host: Option<&Host>) -> bool {
    let mut origins = asked.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    // No page comes over plain HTTP, so its own origin is always https.
    let is_own = host.is_some_and(|host| {
        let own = format!("https://{}", host.as_str());
        origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())
    });
    origins.next().is_none() && (is_own || is_listed(options, origin))
}

fn is_listed(options: &Options, origin: &HeaderValue) -> bool {
    let mut listed = options.origins.iter();
    listed.any(|listed| origin.as_bytes().eq_ignore_ascii_case(listed.as_bytes()))
}

const PERMISSIONS: &str =
    "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=()";
