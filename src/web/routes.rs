//! Which path is answered by what.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use crate::auth::is_room_name;
use crate::clock;

use super::assets;
use super::headers;
use super::redirect;
use super::reply::{Reply, problem, wrong_method};
use super::site::{Options, Service, Upgrade};
use super::{api, credentials, upgrade};

/// Answers a request. An upgrade is left in `upgrades` for after the answer.
pub(super) async fn answer(service: &Service, request: Request<Incoming>) -> Reply {
    let options = service.options();
    let host = headers::host(&request).map(str::to_owned);
    let mut reply = if !service.admits(clock::now()) {
        too_many()
    } else if service.is_tls() {
        route(service, &options, request).await
    } else {
        redirect::to_https(&options, &request)
    };
    headers::secure(&mut reply, &options, host.as_deref());
    reply
}

async fn route(service: &Service, options: &Options, mut request: Request<Incoming>) -> Reply {
    let path = headers::path(request.uri()).to_owned();
    match path.as_str() {
        "/ws" => match upgrade::accept(options, &request, Some(SUBPROTOCOL)) {
            Ok(reply) => {
                service.set_upgrade(hyper::upgrade::on(&mut request), Upgrade::Signaling);
                reply
            }
            Err(reply) => reply,
        },
        "/turn/credentials" => turn_credentials(options, request).await,
        "/api/v1/tokens" => tokens(options, request).await,
        _ => file(&path, &request),
    }
}

async fn turn_credentials(options: &Options, request: Request<Incoming>) -> Reply {
    let headers = request.headers().clone();
    let mut query = request.uri().query().unwrap_or_default().to_owned();
    if request.method() == Method::OPTIONS {
        return headers::preflight(options, &headers, "GET, POST");
    }
    if request.method() == Method::POST {
        match body(request).await {
            Ok(body) => {
                query.push('&');
                query.push_str(&String::from_utf8_lossy(&body));
            }
            Err(reply) => return reply,
        }
    } else if request.method() != Method::GET {
        return wrong_method("GET, POST, OPTIONS");
    }
    let mut reply = credentials::issue(&options.turn, &query, clock::unix_now());
    headers::allow_origin(&mut reply, options, &headers);
    reply
}

async fn tokens(options: &Options, request: Request<Incoming>) -> Reply {
    let headers = request.headers().clone();
    if request.method() == Method::OPTIONS {
        return headers::preflight(options, &headers, "POST");
    }
    if request.method() != Method::POST {
        return wrong_method("POST, OPTIONS");
    }
    let mut reply = match api::require_admin(options, &headers) {
        Err(reply) => reply,
        Ok(()) => {
            let host = headers::host(&request).map(str::to_owned);
            match body(request).await {
                Ok(body) => api::create_token(options, &body, host.as_deref(), clock::unix_now()),
                Err(reply) => reply,
            }
        }
    };
    headers::allow_origin(&mut reply, options, &headers);
    reply
}

/// Pages and their files. The names are looked up in a table, so a path cannot
/// lead out of it.
fn file(path: &str, request: &Request<Incoming>) -> Reply {
    let name = match path {
        "/" => "index.html".to_owned(),
        "/client.js" | "/client.d.ts" => format!("client{path}"),
        _ => match path.split_once('/').map(|(_, rest)| rest.split_once('/')) {
            Some(Some(("r", room))) if is_room_name(room) => "room.html".to_owned(),
            Some(Some(("assets", name))) => format!("app/{name}"),
            _ => String::new(),
        },
    };
    let (method, headers) = (request.method(), request.headers());
    if !matches!(*method, Method::GET | Method::HEAD) {
        return wrong_method("GET, HEAD");
    }
    let Some(mut reply) = assets::serve(&name, method, headers) else {
        return not_found(request);
    };
    if path.starts_with("/client.") {
        let any = HeaderValue::from_static("*");
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
    }
    reply
}

fn not_found(request: &Request<Incoming>) -> Reply {
    let fresh = hyper::HeaderMap::new();
    let page = assets::serve("404.html", request.method(), &fresh);
    let Some(mut page) = page else {
        return problem(StatusCode::NOT_FOUND, "there is nothing at this path");
    };
    *page.status_mut() = StatusCode::NOT_FOUND;
    page
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Reply> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    match timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => {
            let detail = "the body is longer than 64 KiB, or was cut";
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(_) => {
            let detail = "the body did not come within 10 s";
            Err(problem(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

fn too_many() -> Reply {
    let detail = "too many requests from this address; try again in a second";
    let mut reply = problem(StatusCode::TOO_MANY_REQUESTS, detail);
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

const SUBPROTOCOL: &str = "turnstone.v1";

const MAX_BODY: usize = 64 << 10;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
