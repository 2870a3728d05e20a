//! HTTP and WebSockets of the real binary, over the ports that TURN uses: pages,
//! API, redirects, handshakes, and what becomes of bad input.
//!
//! `curl` is the client where a request can be made with it; what no client would
//! send is written byte by byte.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "an unreadable answer is a failed test"
)]

mod answer;
mod api;
mod bad_input;
mod pages;
mod peerjs;
mod raw;
mod redirect;
mod stop;
mod websocket;

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use serde_json::Value;

use support::config::{TestConfig, strings};
use support::server::Server;

const ADMIN_TOKEN: &str = "an admin token that is long enough, 0123456789";
const API_KEY: &str = "an API key of another server, 0123456789abcdef";
const TOKEN_SECRET: &str = "a secret that signs room tokens, 0123456789abc";
const REST_SECRET: &str = "a secret that signs TURN credentials, 01234567";
const FRIEND: &str = "https://friend.example";

/// A server with everything that the site can do, and no limit that a test meets
/// by accident.
fn site() -> TestConfig {
    TestConfig::standard()
        .set("listen.http", strings(&["127.0.0.1:0"]))
        .set("signaling.origins", strings(&[FRIEND]))
        .set("signaling.tokens.secret", TOKEN_SECRET)
        .set("admin.token", ADMIN_TOKEN)
        .set("turn.rest.secrets", strings(&[REST_SECRET]))
        .set("turn.rest.api_keys", strings(&[API_KEY]))
        .set("limits.requests_per_ip", 0)
        .set("limits.connections_per_ip", 1000)
}

/// The listener of plain HTTP, as the log names it.
fn http_address(server: &mut Server) -> SocketAddr {
    let log = server.process().log();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let address = events.into_iter().find_map(|event: Value| {
        let fields = &event["fields"];
        let is_it = fields["message"] == "listening" && fields["transport"] == "http";
        is_it.then(|| fields["address"].as_str().unwrap().parse().unwrap())
    });
    address.expect("there is a listener of plain HTTP")
}
