//! Plain HTTP: nothing is served over it but the way to HTTPS.

use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, StatusCode};

use super::headers;
use super::reply::{Reply, empty, problem};
use super::site::Options;

/// Sends a client to the same path over HTTPS.
pub(super) fn to_https<B>(options: &Options, request: &Request<B>) -> Reply {
    let Some(port) = options.https_port else {
        return problem(StatusCode::NOT_FOUND, "there is no HTTPS on this server");
    };
    // The configured name first: a header of the client is not a place to send
    // people to unless there is no other.
    let asked = headers::host(request).map(without_port);
    let Some(host) = options.domain.as_deref().or(asked) else {
        return problem(StatusCode::BAD_REQUEST, "the Host header is missing");
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let location = if port == 443 {
        format!("https://{host}{path}")
    } else {
        format!("https://{host}:{port}{path}")
    };
    let Ok(location) = HeaderValue::from_str(&location) else {
        return problem(StatusCode::BAD_REQUEST, "the path cannot be redirected");
    };
    let mut reply = empty(StatusCode::PERMANENT_REDIRECT);
    reply.headers_mut().insert(LOCATION, location);
    reply
}

/// An IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_cut_and_an_ipv6_address_is_not() {
        for (host, name) in [
            ("example.org", "example.org"),
            ("example.org:8080", "example.org"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
