//! Headers of every answer, and who may ask from another web site.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, StatusCode, Uri};

use super::reply::{Reply, empty};
use super::site::Options;

/// Adds what keeps a page to itself.
pub(super) fn secure(reply: &mut Reply, options: &Options, host: Option<&str>) {
    let headers = reply.headers_mut();
    let ancestors = options.origins.join(" ");
    let socket = host.map_or_else(String::new, |host| format!(" wss://{host}"));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; connect-src 'self'{socket}; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'self' {ancestors}"
    );
    if let Ok(policy) = HeaderValue::from_str(policy.trim_end()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
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
    if options.is_trusted {
        let two_years = HeaderValue::from_static("max-age=63072000");
        headers.insert(STRICT_TRANSPORT_SECURITY, two_years);
    }
}

/// Lets pages of the listed origins read the answer.
pub(super) fn allow_origin(reply: &mut Reply, options: &Options, headers: &HeaderMap) {
    reply
        .headers_mut()
        .append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = headers.get(ORIGIN) else {
        return;
    };
    if is_listed(options, origin) {
        let origin = origin.clone();
        reply
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// Answers the question before a request (Fetch standard, CORS-preflight).
pub(super) fn preflight(options: &Options, headers: &HeaderMap, methods: &'static str) -> Reply {
    let mut reply = empty(StatusCode::NO_CONTENT);
    allow_origin(&mut reply, options, headers);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// Whether a WebSocket may be opened: browsers name the page's origin, and do
/// not stop a foreign page themselves (RFC 6455 section 10.2).
pub(super) fn is_welcome<B>(options: &Options, request: &Request<B>) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else {
        return true;
    };
    let own = host(request).map(|host| format!("https://{host}"));
    own.is_some_and(|own| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
        || is_listed(options, origin)
}

/// Returns host and port that the client asked for, when they can be believed
/// to be such: what we write into answers must not be anything else.
pub(super) fn host<B>(request: &Request<B>) -> Option<&str> {
    let named = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let header = || request.headers().get(HOST)?.to_str().ok();
    let host = named.or_else(header)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let is_sane = host.len() <= 255 && host.bytes().all(is_plain) && !host.is_empty();
    is_sane.then_some(host)
}

/// Returns the part of a URI that a log may show.
pub(super) fn path(uri: &Uri) -> &str {
    uri.path()
}

fn is_listed(options: &Options, origin: &HeaderValue) -> bool {
    let mut listed = options.origins.iter();
    listed.any(|listed| origin.as_bytes().eq_ignore_ascii_case(listed.as_bytes()))
}

const PERMISSIONS: &str =
    "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), geolocation=()";
