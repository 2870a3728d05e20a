//! Strangers cost no memory: a flood of unauthenticated Allocate requests from
//! distinct addresses leaves the process where it was. And no huge pages, which
//! stop a thread for milliseconds when they are touched first.

#[allow(
    dead_code,
    clippy::panic,
    reason = "shared by all whole-program tests, each of which uses a part"
)]
#[path = "support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use support::Transport;
use support::config::TestConfig;
use support::server::Server;
use support::session::Session;
use support::wire::Draft;

/// How many strangers there are.
const STRANGERS: u32 = 100_000;

/// How much the resident memory may grow.
const ROOM: u64 = 2 << 20;

/// After so many strangers the flood waits until the server has kept up; fewer
/// than fit in a socket's receive buffer.
const BATCH: u32 = 200;

#[test]
fn a_hundred_thousand_strangers_cost_no_memory() {
    // With the budget for unauthenticated requests, as it is by default, and without.
    let with_budget = TestConfig::standard()
        .without("limits", "unauthenticated_per_ip")
        .without("limits", "unauthenticated");
    for config in [with_budget, TestConfig::standard()] {
        let Some(mut server) = Server::requires_own_server(config) else {
            return;
        };
        // Some on each worker. Whatever is set up on first use is set up now.
        let mut regulars: Vec<Session> = (0..4)
            .map(|_| Session::allocated(&server, Transport::Udp))
            .collect();
        let address = server.address(Transport::Udp);
        flood(address, 1..STRANGERS / 50, &mut regulars);
        let before = server.process().resident_memory();
        flood(address, STRANGERS..2 * STRANGERS, &mut regulars);
        let after = server.process().resident_memory();
        assert!(
            after <= before + ROOM,
            "{before} bytes before, {after} bytes after"
        );
    }
}

#[test]
fn memory_is_backed_with_small_pages() {
    let Some(mut server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let path = format!("/proc/{}/status", server.process().id());
    let status = std::fs::read_to_string(path).expect("the process is alive");
    let setting = status.lines().find(|line| line.starts_with("THP_enabled:"));
    assert_eq!(setting, Some("THP_enabled:\t0"));
}

/// Sends one Allocate request from each of these strangers, no faster than the
/// server goes on serving its regulars.
fn flood(server: SocketAddr, strangers: Range<u32>, regulars: &mut [Session]) {
    for stranger in strangers {
        let socket = UdpSocket::bind(source(stranger)).expect("a free port");
        let request = Draft::allocate().bytes();
        socket
            .send_to(&request, server)
            .expect("loopback takes datagrams");
        if stranger % BATCH == 0 {
            for session in &mut *regulars {
                session.refresh(None).assert_success();
            }
        }
    }
}

/// A loopback address for each stranger, far apart from its neighbours'.
fn source(stranger: u32) -> SocketAddr {
    // Odd, so that no two of 2^24 strangers share an address.
    let [_, a, b, c] = stranger.wrapping_mul(0x9e_3779).to_be_bytes();
    (Ipv4Addr::new(127, a, b, c), 0).into()
}
