//! Beyond the RFC, which leaves it to the server (sections 10.2, 11.2, 12.2 and
//! 21.1.5): by default no client can reach private, local or special addresses
//! through the relay, however they are written.

use std::net::SocketAddr;

use crate::support::answer::Frame;
use crate::support::client::is_data_indication;
use crate::support::config::{TestConfig, strings};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, IPV6, attribute};
use crate::support::{SILENCE, Transport, over_each_transport};

/// One address of every IPv4 range that is denied by default.
const DENIED_V4: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
];

/// One address of every IPv6 range that is denied by default, and denied IPv4
/// addresses in every disguise.
const DENIED_V6: &[&str] = &[
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:9.9.9.9",
    "::127.0.0.1",
    "::9.9.9.9",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:909:909::80ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    // ISATAP: the interface identifier holds 127.0.0.1 or 10.0.0.1.
    "2a00:1450::5efe:7f00:1",
    "2a00:1450::200:5efe:a00:1",
];

/// Addresses that may be peers. Nothing is sent to them.
const ALLOWED_V4: &[&str] = &["9.9.9.9", "100.63.255.255", "172.32.0.1", "223.255.255.255"];
/// See [`ALLOWED_V4`].
const ALLOWED_V6: &[&str] = &["2620:fe::fe", "2a00:1450::1"];

#[test]
fn denied_ipv4_peers_get_403() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for ip in DENIED_V4 {
            assert_forbidden(&mut session, ip);
        }
    });
}

#[test]
fn denied_ipv6_peers_get_403() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = allocated_v6(&server, transport);
        for ip in DENIED_V6 {
            assert_forbidden(&mut session, ip);
        }
    });
}

#[test]
fn public_peers_are_allowed() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for ip in ALLOWED_V4 {
            session.permit(&[address(ip)]);
        }
        let mut session = allocated_v6(&server, transport);
        for (number, ip) in (0x4000..).zip(ALLOWED_V6) {
            session.permit(&[address(ip)]);
            session.bind(number, address(ip));
        }
    });
}

#[test]
fn a_denied_peer_spoils_the_whole_request() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let mixed = [address("9.9.9.9"), address("10.0.0.1")];
        let answer = session.request(&Draft::create_permission(&mixed));
        answer.assert_error(403);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn data_to_a_denied_peer_is_dropped_in_silence() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        let message = Draft::send(peer.address(), b"data");
        session.client.assert_ignored(&message.bytes());
        assert!(peer.receive_within(SILENCE).is_none());
    });
}

#[test]
fn data_from_a_denied_peer_is_dropped() {
    let Some(server) = strict_server() else {
        return;
    };
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        peer.send(session.relayed(), b"data");
        let frame: Option<Frame> = session.client.receive_within(SILENCE);
        assert!(!frame.as_ref().is_some_and(is_data_indication), "{frame:?}");
    });
}

#[test]
fn an_allowed_range_opens_itself_and_nothing_else() {
    let allowed = strings(&["10.1.0.0/16", "192.168.7.7/32"]);
    let config = relaying_elsewhere().set("turn.allow_peers", allowed);
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        session.permit(&[address("10.1.2.3"), address("192.168.7.7")]);
        for ip in ["10.2.0.1", "192.168.7.8", "127.0.0.1", "169.254.169.254"] {
            assert_forbidden(&mut session, ip);
        }
        let mut session = allocated_v6(&server, transport);
        for ip in ["::ffff:10.1.2.3", "2002:a01:203::1", "64:ff9b::a01:203"] {
            assert_forbidden(&mut session, ip);
        }
    });
}

#[test]
fn the_operator_can_deny_more() {
    let config = relaying_elsewhere()
        .set("turn.allow_peers", strings(&[]))
        .set("turn.deny_peers", strings(&["recommended", "9.9.9.0/24"]));
    let Some(server) = Server::requires_own_server(config) else {
        return;
    };
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        assert_forbidden(&mut session, "9.9.9.9");
        assert_forbidden(&mut session, "10.0.0.1");
        session.permit(&[address("9.9.8.9")]);
    });
}

/// A server that allows no peers beyond the defaults.
fn strict_server() -> Option<Server> {
    let config = relaying_elsewhere().set("turn.allow_peers", strings(&[]));
    Server::requires_own_server(config)
}

/// The address of the relays is a peer where relays live (`own_relays.rs`), so
/// here it is one that no test asks for.
fn relaying_elsewhere() -> TestConfig {
    let relay_ips = strings(&["127.0.0.77", "::1"]);
    TestConfig::standard()
        .set("turn.relay_ips", relay_ips.clone())
        .set("server.public_ips", relay_ips)
}

fn allocated_v6(server: &Server, transport: Transport) -> Session {
    let mut session = Session::open(server, transport);
    let request = Draft::allocate().family(attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
    session.allocate_with(request);
    session
}

/// Panics unless neither a permission nor a channel can be had for this peer.
#[track_caller]
fn assert_forbidden(session: &mut Session, ip: &str) {
    let peer = address(ip);
    for request in [
        Draft::create_permission(&[peer]),
        Draft::channel_bind(0x4000, peer),
    ] {
        let answer = session.request(&request);
        assert_eq!(answer.error_code(), Some(403), "{ip}: {answer:?}");
    }
}

fn address(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 40_000)
}
