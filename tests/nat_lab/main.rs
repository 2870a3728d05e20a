//! Two clients behind NAT routers, in network namespaces: the relay connects every pair.
//!
//! First the lab itself is tested, because a router that is more permissive than
//! its name would make the rest worthless. Needs root.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "../support/mod.rs"]
mod support;

mod browsers;
mod pairs;
mod rooms;
mod routers;

use support::config::{TestConfig, strings};
use support::nat_lab::{INTERNET, NatLab, Place, SERVER_IP};
use support::server::Server;

const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// Starts the server on the lab's internet. Its address is in a documentation range, which has to
/// be allowed as a peer.
fn start_server(lab: &NatLab) -> Server {
    let ip = SERVER_IP.to_string();
    let address = |port| strings(&[&format!("{ip}:{port}")]);
    let config = TestConfig::standard()
        .set("server.public_ips", strings(&[&ip]))
        .set("listen.udp", address(PORT))
        .set("listen.tcp", address(PORT))
        .set("listen.tls", address(TLS_PORT))
        .set("turn.relay_ips", strings(&[&ip]))
        .set("turn.allow_peers", strings(&[INTERNET]))
        .set("signaling.guests", true);
    Server::start_in(&lab.name(Place::Internet), config)
}
