//! Which path is answered by what.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{EXPECT, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use crate::auth::is_room_name;
use crate::clock;
use crate::peerjs::{self, Params};

use super::connection::{Service, Upgrade};
use super::host::Host;
use super::reply::{self, Refused, Reply, problem, wrong_method};
use super::site::Options;
use super::{api, assets, credentials, headers, redirect, upgrade};

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// The WebSocket of the signaling protocol.
    Socket,
    /// The WebSocket of PeerJS clients.
    PeerSocket,
    /// A new id for a PeerJS client.
    PeerId,
    /// A list of PeerJS clients, which nobody gets.
    Peers,
    /// TURN credentials for other servers.
    Credentials,
    /// Room tokens for applications.
    Tokens,
    /// A page, by its file in `web/`.
    Page(&'static str),
    /// What pages of any web site may load, by its file.
    Client(&'static str),
    /// What belongs to our pages, by its file.
    Asset(String),
    /// Nothing, where people look.
    Nothing,
    /// Nothing, where programs ask.
    NoApi,
}

impl Route {
    /// Finds what is at `path`.
    ///
    /// Names are compared as they came: no name of ours has a character that a
    /// client would escape.
    fn of(path: &str) -> Self {
        match path {
            "/" => return Self::Page("index.html"),
            "/client.js" => return Self::Client("client/client.js"),
            "/client.d.ts" => return Self::Client("client/client.d.ts"),
            "/ws" => return Self::Socket,
            "/turn/credentials" => return Self::Credentials,
            "/api/v1/tokens" => return Self::Tokens,
            _ => {}
        }
        match peerjs::route(path) {
            Some(peerjs::Route::Socket) => return Self::PeerSocket,
            Some(peerjs::Route::Id) => return Self::PeerId,
            Some(peerjs::Route::Peers) => return Self::Peers,
            None => {}
        }
        if path.strip_prefix("/r/").is_some_and(is_room_name) {
            return Self::Page("room.html");
        }
        if let Some(name) = path.strip_prefix("/assets/") {
            return Self::Asset(format!("app/{name}"));
        }
        if path.starts_with("/api/") || path.starts_with("/turn/") {
            return Self::NoApi;
        }
        Self::Nothing
    }

    /// Returns the word that logs have for it.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Socket => "ws",
            Self::PeerSocket => "peerjs",
            Self::PeerId => "peerjs_id",
            Self::Peers => "peerjs_peers",
            Self::Credentials => "turn_credentials",
            Self::Tokens => "tokens",
            Self::Page(_) => "page",
            Self::Client(_) => "client",
            Self::Asset(_) => "asset",
            Self::Nothing | Self::NoApi => "none",
        }
    }
}

/// Answers a request.
pub(super) async fn answer(service: &Service, mut request: Request<Incoming>) -> (Route, Reply) {
    let options = service.options();
    let route = Route::of(request.uri().path());
    let host = Host::of(&request);
    let known = host.as_ref().ok().and_then(Option::as_ref);
    let mut reply = if !service.admits(clock::now()) {
        too_many()
    } else if host.is_err() {
        let detail = "the request names no host, several, or something that is none";
        problem(StatusCode::BAD_REQUEST, detail)
    } else if service.is_tls() {
        perform(service, &options, &route, known, &mut request).await
    } else {
        redirect::to_https(&options, known, request.uri())
    };
    headers::secure(&mut reply, &options, known, service.is_tls());
    if request.method() == Method::HEAD {
        reply::leave_body_out(&mut reply);
    }
    discard_body(&mut request).await;
    (route, reply)
}

async fn perform(
    service: &Service,
    options: &Options,
    route: &Route,
    host: Option<&Host>,
    request: &mut Request<Incoming>,
) -> Reply {
    match route {
        Route::Socket => match upgrade::accept(options, host, request, Some(SUBPROTOCOL)) {
            Ok(reply) => {
                let upgrade = hyper::upgrade::on(request);
                service.set_upgrade(upgrade, Upgrade::Signaling);
                reply
            }
            Err(reply) => *reply,
        },
        Route::PeerSocket => match upgrade::accept(options, host, request, None) {
            Ok(reply) => {
                let params = Params::parse(request.uri().query().unwrap_or_default());
                let upgrade = hyper::upgrade::on(request);
                service.set_upgrade(upgrade, Upgrade::PeerJs(params));
                reply
            }
            Err(reply) => *reply,
        },
        Route::PeerId => {
            let mut reply = match *request.method() {
                Method::GET => reply::reply(StatusCode::OK, "text/plain", service.new_peer_id()),
                _ => wrong_method("GET"),
            };
            // An id opens nothing; the WebSocket that it is for has its own check.
            headers::allow_all(&mut reply);
            reply
        }
        Route::Peers => problem(
            StatusCode::FORBIDDEN,
            "nobody gets a list of all peers here",
        ),
        Route::Credentials | Route::Tokens => {
            let asked = request.headers().clone();
            let mut reply = if *route == Route::Tokens {
                tokens(options, host, request).await
            } else {
                turn_credentials(options, request).await
            };
            headers::allow_listed(&mut reply, options, &asked);
            reply
        }
        Route::Page(name) => file(name, request),
        Route::Asset(name) => file(name, request),
        Route::Client(name) => {
            let mut reply = file(name, request);
            headers::allow_all(&mut reply);
            reply
        }
        Route::Nothing => missing_page(),
        Route::NoApi => problem(StatusCode::NOT_FOUND, NOTHING),
    }
}

async fn turn_credentials(options: &Options, request: &mut Request<Incoming>) -> Reply {
    let mut asked = request.uri().query().unwrap_or_default().to_owned();
    match *request.method() {
        Method::GET => {}
        Method::POST => match body(request).await {
            // What the body says comes last, so it counts.
            Ok(body) => asked = asked + "&" + &String::from_utf8_lossy(&body),
            Err(reply) => return *reply,
        },
        Method::OPTIONS => return headers::preflight("GET, POST, OPTIONS"),
        _ => return wrong_method("GET, POST, OPTIONS"),
    }
    credentials::issue(&options.turn, &asked, clock::unix_now())
}

async fn tokens(options: &Options, host: Option<&Host>, request: &mut Request<Incoming>) -> Reply {
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return headers::preflight("POST, OPTIONS"),
        _ => return wrong_method("POST, OPTIONS"),
    }
    // Before the body: strangers send none.
    if let Err(reply) = api::require_admin(options, request.headers()) {
        return *reply;
    }
    match body(request).await {
        Ok(body) => api::create_token(options, host, &body, clock::unix_now()),
        Err(reply) => *reply,
    }
}

/// Answers with a file. Names are looked up in a table, so a path cannot lead out
/// of it.
fn file(name: &str, request: &Request<Incoming>) -> Reply {
    let Some(reply) = assets::serve(name, request.headers()) else {
        return missing_page();
    };
    match *request.method() {
        Method::GET | Method::HEAD => reply,
        Method::OPTIONS => reply::options(OF_FILES),
        _ => wrong_method(OF_FILES),
    }
}

fn missing_page() -> Reply {
    assets::page(StatusCode::NOT_FOUND, "404.html")
        .unwrap_or_else(|| problem(StatusCode::NOT_FOUND, NOTHING))
}

async fn body(request: &mut Request<Incoming>) -> Result<Bytes, Refused> {
    let body = request.body_mut();
    let too_large = || problem(StatusCode::PAYLOAD_TOO_LARGE, "a body is at most 64 KiB");
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large().into());
    }
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large().into()),
        Ok(Err(_)) => Err(problem(StatusCode::BAD_REQUEST, "the body was cut").into()),
        Err(_) => {
            let detail = "the body did not come within 10 s";
            Err(problem(StatusCode::REQUEST_TIMEOUT, detail).into())
        }
    }
}

/// Reads what nobody asked for: many clients miss an answer that comes while they
/// still write. Whoever waits to be asked for it does not write.
async fn discard_body(request: &mut Request<Incoming>) {
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return;
    }
    let mut body = Limited::new(request.body_mut(), MAX_DISCARDED);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(DISCARD_TIMEOUT, all).await;
}

fn too_many() -> Reply {
    let detail = "too many requests from this address; try again in a second";
    let mut reply = problem(StatusCode::TOO_MANY_REQUESTS, detail);
    let seconds = HeaderValue::from_static("1");
    reply.headers_mut().insert(RETRY_AFTER, seconds);
    reply
}

const SUBPROTOCOL: &str = "turnstone.v1";

const OF_FILES: &str = "GET, HEAD, OPTIONS";

const NOTHING: &str = "there is nothing at this path";

/// The longest body that any route has a use for is a hundredth of this.
const MAX_BODY: usize = 64 << 10;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const MAX_DISCARDED: usize = 1 << 20;

const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_have_names_and_files_are_not_looked_for_elsewhere() {
        assert_eq!(Route::of("/r/team-1"), Route::Page("room.html"));
        for path in ["/r/", "/r/a/b", "/r/a%20b", "/r/..%2f", "//", "/index.html"] {
            assert_eq!(Route::of(path), Route::Nothing, "{path}");
        }
        for path in [
            "/assets/../index.html",
            "/assets/..\\index.html",
            "/assets/",
        ] {
            let Route::Asset(name) = Route::of(path) else {
                panic!("{path}");
            };
            assert!(assets::serve(&name, &hyper::HeaderMap::new()).is_none());
        }
        assert_eq!(Route::of("/api/v2"), Route::NoApi);
    }
}
