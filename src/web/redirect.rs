//! Plain HTTP: nothing is served over it but the way to HTTPS.

use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use hyper::{StatusCode, Uri};

use super::host::Host;
use super::reply::{Reply, empty, problem};
use super::site::Options;

/// Sends a client to the same path over HTTPS.
///
/// With a domain it is sent there, whatever it asked for. Without one it is sent
/// to the host it asked for, which nobody but the client itself can choose.
pub(super) fn to_https(options: &Options, host: Option<&Host>, uri: &Uri) -> Reply {
    let Some(port) = options.https_port else {
        return problem(StatusCode::NOT_FOUND, "there is no HTTPS on this server");
    };
    let Some(name) = options.domain.as_deref().or_else(|| host.map(Host::name)) else {
        return problem(StatusCode::BAD_REQUEST, "the Host header is missing");
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // `OPTIONS *` has no path.
    let path = if path.starts_with('/') { path } else { "/" };
    let location = format!("{}{path}", https(name, port));
    let Ok(location) = HeaderValue::from_str(&location) else {
        return problem(StatusCode::BAD_REQUEST, "the path cannot be redirected");
    };
    let mut reply = empty(StatusCode::PERMANENT_REDIRECT);
    reply.headers_mut().insert(LOCATION, location);
    // A browser may keep a permanent redirect for ever, but the port can change.
    let no_cache = HeaderValue::from_static("no-cache");
    reply.headers_mut().insert(CACHE_CONTROL, no_cache);
    reply
}

/// Returns where our pages are, as the client or else the configuration names it.
pub(super) fn origin(options: &Options, host: Option<&Host>) -> Option<String> {
    let as_seen = host.map(|host| format!("https://{}", host.as_str()));
    let Some(domain) = &options.domain else {
        return as_seen;
    };
    // Under our own name the client may know a port better: there may be a
    // forwarding in between.
    as_seen
        .filter(|_| host.is_some_and(|host| host.name() == domain))
        .or_else(|| Some(https(domain, options.https_port?)))
}

fn https(name: &str, port: u16) -> String {
    if port == 443 {
        format!("https://{name}")
    } else {
        format!("https://{name}:{port}")
    }
}
