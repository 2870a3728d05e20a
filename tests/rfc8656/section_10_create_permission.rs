//! RFC 8656 section 10: the CreatePermission request.

use std::net::SocketAddr;

use crate::support::config::TestConfig;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::wire::{Draft, attribute};
use crate::support::{Transport, over_each_transport};

#[test]
fn several_peers_fit_in_one_request() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peers = [
            Peer::on("127.0.0.11"),
            Peer::on("127.0.0.12"),
            Peer::on("127.0.0.13"),
        ];
        let mut session = Session::allocated(&server, transport);
        let addresses: Vec<SocketAddr> = peers.iter().map(Peer::address).collect();
        session.permit(&addresses);
        for peer in &peers {
            session.send(peer.address(), b"hello");
            peer.assert_receives(b"hello", session.relayed());
            peer.send(session.relayed(), b"hello yourself");
            session.assert_receives(b"hello yourself", peer.address());
        }
    });
}

#[test]
fn the_port_does_not_matter() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        let mut anywhere = peer.address();
        anywhere.set_port(0);
        session.permit(&[anywhere]);
        session.send(peer.address(), b"hello");
        peer.assert_receives(b"hello", session.relayed());
    });
}

#[test]
fn a_permission_can_be_installed_again() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let peer = Peer::v4();
        let mut session = Session::allocated(&server, transport);
        for _ in 0..3 {
            session.permit(&[peer.address(), peer.address()]);
        }
    });
}

#[test]
fn a_request_without_a_peer_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let answer = session.request(&Draft::create_permission(&[]));
        answer.assert_error(400);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn a_malformed_peer_gets_400() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        for malformed in [
            &[][..],
            &[0, 1, 0, 0],
            // An unknown family, and families with an address of the wrong length.
            &[0, 3, 0, 0, 0, 0, 0, 0],
            &[0, 2, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let request =
                Draft::create_permission(&[]).with(attribute::XOR_PEER_ADDRESS, malformed);
            session.request(&request).assert_error(400);
        }
    });
}

#[test]
fn a_peer_of_the_other_family_gets_443() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let mut session = Session::allocated(&server, transport);
        let request = Draft::create_permission(&[Peer::v6().address()]);
        let answer = session.request(&request);
        answer.assert_error(443);
        session.credentials.assert_protects(&answer);
    });
}

#[test]
fn a_refused_request_installs_none_of_its_permissions() {
    let server = Server::start(TestConfig::standard());
    over_each_transport(&server, |transport| {
        let (peer, friend) = (Peer::on("127.0.0.14"), Peer::v4());
        let mut session = Session::allocated(&server, transport);
        let mixed = Draft::create_permission(&[peer.address(), Peer::v6().address()]);
        session.request(&mixed).assert_error(443);
        session.permit(&[friend.address()]);
        peer.send(session.relayed(), b"no permission");
        friend.send(session.relayed(), b"permission");
        session.assert_receives(b"permission", friend.address());
    });
}

#[test]
fn more_permissions_than_the_cap_get_508() {
    let Some(server) = Server::requires_own_server(TestConfig::standard()) else {
        return;
    };
    let mut session = Session::allocated(&server, Transport::Udp);
    let peer = |last: u8| SocketAddr::from(([127, 0, 1, last], 9));
    for last in 0..64 {
        session.permit(&[peer(last)]);
    }
    let request = Draft::create_permission(&[peer(64)]);
    session.request(&request).assert_error(508);
    // Those that exist can still be refreshed.
    session.permit(&[peer(0), peer(63)]);
}
